"""Dispatch: the real program on a real database, events appended as intake does, clients written from the .proto files."""
import contextlib
import hashlib
import os
import signal
import threading
import time
import unittest
import uuid

import psycopg2.extras
from feed_proof import merkle_root
from groups import PERSONS, REPORTER, seal
from jukwaa_harness import Stack, chain_next, commitment, protos, wait_until

pb = protos()
psycopg2.extras.register_uuid()
MARKER = b"unknown-field-marker"


def make_body(agency, category=9, severity=2, status=1, scope=1, tlp=2, headline="Crash on the highway", unknown=b"", old=False):
    """A body as intake seals it (old: as version 0.1.0 did), and its commitment."""
    body, commit = seal(pb.Incident(
        identity=pb.Identity(agency=agency, external_id=uuid.uuid4().hex, revision=1, status=status, msg_type=1),
        classification=pb.Classification(categories=[category], event="test", severity=severity), times=pb.Times(sent_us=1),
        place=pb.Place(counties=["047"]), narrative=pb.Narrative(texts=[pb.Text(headline=headline)]),
        handling=pb.Handling(tlp=tlp, scope=scope), reporter=pb.Reporter(name="nobody may read this")), old)
    return body + unknown, commit


def append(stack, stream, bodies, kind=1, tlp=2, category=9):
    """feed.append with these (body, commitment) pairs; the rows it gave."""
    n = len(bodies)
    return stack.sql(
        "SELECT * FROM feed.append(%s::text[], %s::uuid[], %s::int2[], %s::uuid[], %s::int8[], %s::int2[], %s::int2[],"
        " %s::bytea[], %s::bytea[])",
        [stream] * n, [uuid.uuid4() for _ in bodies], [kind] * n, [uuid.uuid4() for _ in bodies], [1] * n, [tlp] * n,
        [category] * n, [commit for _, commit in bodies], [body for body, _ in bodies])


class Desk:
    """A subscriber that checks what it gets: no hole in delivery_no, order, copy against commitment, chain."""

    def __init__(self, stack, key, hello=True):
        self.peer = stack.peer("dispatch", key)
        self.positions, self.last, self.delivered, self.chains = {}, {}, 0, {}
        self.beats, self.request = [], 0
        if hello:
            self.welcome = wait_until(lambda: self.peer.hello(timeout=1), 10, "welcome")

    def subscribe_raw(self, counties=(), start=pb.START_AT_BEGINNING, timeout=5, **fields):
        self.request += 1
        self.peer.send("SUBSCRIBE", pb.Subscribe(request=self.request, counties=counties, start_at=start, **fields))
        while True:
            got = self.peer.expect("SUBSCRIBED", "REFUSED", "DELIVER", timeout=timeout)
            if not isinstance(got, pb.Deliver):
                return got

    def subscribe(self, counties=(), start=pb.START_AT_BEGINNING, **fields):
        got = self.subscribe_raw(counties, start, **fields)
        assert isinstance(got, pb.Subscribed), got
        assert got.request == self.request
        self.positions = {p.stream: p.seal for p in got.positions}
        return got

    def resume(self, positions, counties, **fields):
        tokens = [pb.SealedPosition(stream=s, seal=b) for s, b in positions.items()]
        return self.subscribe_raw(counties, pb.START_AT_TOKEN, positions=tokens, **fields)

    def check(self, m):
        self.delivered += 1
        assert m.delivery_no == self.delivered, (m.delivery_no, self.delivered)
        assert m.seq > self.last.get(m.stream, 0), (m.stream, m.seq, self.last)
        if m.WhichOneof("body") == "event":
            assert commitment(m.event.groups) == m.commitment, "copy does not add up to its commitment"
            assert [g.tag for g in m.event.groups] in (list(range(1, n + 1)) for n in (14, 13, 10))
            assert not any(g.content for g in m.event.groups if g.tag in (REPORTER, PERSONS)), "protected group shown"
            assert not m.event.stored_apart
        else:
            assert hashlib.sha256(getattr(m, m.WhichOneof("body")).SerializeToString()).digest() == m.commitment
        if m.seq == 1 or self.last.get(m.stream) == m.seq - 1 and m.stream in self.chains:
            assert chain_next(self.chains.get(m.stream, b"") if m.seq > 1 else b"", m) == m.chain, "chain broken"
        self.last[m.stream], self.chains[m.stream] = m.seq, m.chain
        self.positions[m.stream] = m.position.seal
        return m

    def take(self, n, ack=True, timeout=10):
        """The next n deliveries, checked; acknowledged every 16 and at the end."""
        out = []
        for i in range(n):
            out.append(self.check(self.peer.expect("DELIVER", timeout=timeout)))
            if ack and (i % 16 == 15 or i == n - 1):
                self.ack()
        return out

    def ack(self, number=None):
        self.peer.send("ACK", pb.Ack(delivery_no=number or self.delivered))

    def quiet(self, seconds=0.6):
        """Nothing but beats comes for a while; returns the beats."""
        end, beats = time.monotonic() + seconds, []
        while (got := self.peer.receive(end - time.monotonic())) is not None:
            assert got[0] in ("BEAT", "PONG"), got
            if got[0] == "BEAT":
                beats.append(got[1])
                self.positions.update({p.stream: p.seal for p in got[1].positions})
        return beats

    def beat(self, check, timeout=8):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            got = self.peer.receive(end - time.monotonic())
            if got and got[0] == "BEAT":
                self.positions.update({p.stream: p.seal for p in got[1].positions})
                if check(got[1]):
                    return got[1]
        raise AssertionError("no such beat")

    def close(self):
        self.peer.close()


class DispatchTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # A small cache: slow desks are served from the database again.
        cls.stack = Stack(services=("dispatch",), settings={"dispatch": {"JUKWAA_CACHE_MIB": "1"}})
        cls.police = cls.stack.add_publisher("POLICE")
        cls.fire = cls.stack.add_publisher("FIRE")
        cls.open = cls.stack.add_desk("OPEN")
        cls.other = cls.stack.add_desk("OTHER")
        cls.fire_only = cls.stack.add_desk("FIREONLY", allow=(("--agency", "FIRE"),))
        cls.nobody = cls.stack.add_desk("NOBODY", allow=())
        cls.own = cls.stack.add_desk("OWN", agency="POLICE", allow=())
        cls.wait_in_force()
        cls.counties = sorted({f"{n:03}" for n in range(1, 48)} - {"016", "022", "034", "047"}, reverse=True)

    @classmethod
    def wait_in_force(cls):
        """Until dispatch works with the registry as it is now."""
        version = cls.stack.sql("SELECT version FROM registry.version")[0][0]
        service = cls.stack.services["dispatch"]
        wait_until(lambda: service.metric("jukwaa_dispatch_registry_version") >= version, 3, "registry in force")

    @classmethod
    def tearDownClass(cls):
        service = cls.stack.services["dispatch"]
        assert service.stop() == 0, service.log()

    def setUp(self):
        """Each test has a county of its own; Nairobi and its neighbours are for the one about neighbours."""
        self.stream = self.counties.pop()
        self.desks = []

    def tearDown(self):
        for desk in self.desks:
            desk.close()
        service = self.stack.services["dispatch"]
        self.assertIsNone(service.process.poll(), service.log())

    def desk(self, key=None, **kwargs):
        self.desks.append(Desk(self.stack, key or self.open, **kwargs))
        return self.desks[-1]

    def append(self, n=1, stream=None, agency="POLICE", tlp=2, category=9, **fields):
        return append(self.stack, stream or self.stream, [make_body(agency, tlp=tlp, category=category, **fields)
                                                          for _ in range(n)], tlp=tlp, category=category)

    # ---- replay, live, and the seam between ----

    def test_beginning_then_live(self):
        self.append(300)
        desk = self.desk()
        self.assertEqual(desk.welcome.service, "dispatch")
        self.assertGreater(desk.welcome.epoch, 0)
        desk.subscribe([self.stream])
        self.assertEqual([m.seq for m in desk.take(300)], list(range(1, 301)))
        self.append(5)
        got = desk.take(5)
        self.assertEqual([m.seq for m in got], list(range(301, 306)))
        self.assertTrue(got[0].allowed_by.startswith("allow:"), got[0].allowed_by)
        headline = next(g for g in got[0].event.groups if g.tag == pb.GROUP_TAG_NARRATIVE)
        self.assertEqual(pb.Narrative.FromString(headline.content).texts[0].headline, "Crash on the highway")
        # Nothing to tell but, at its time, a new signed head.
        self.assertEqual([beat for beat in desk.quiet() if not beat.head_root], [])

    def test_now_gives_only_what_follows(self):
        self.append(10)
        desk = self.desk()
        desk.subscribe([self.stream], pb.START_AT_NOW)
        self.append(3)
        self.assertEqual([m.seq for m in desk.take(3)], [11, 12, 13])

    def test_seam_while_others_append(self):
        """Subscriptions that start in the middle of appending neither miss nor repeat."""
        self.append(200)
        stop = threading.Event()

        def writer():
            while not stop.is_set():
                self.append(7)
        thread = threading.Thread(target=writer)
        thread.start()
        try:
            desks = []
            for start in (pb.START_AT_BEGINNING, pb.START_AT_NOW) * 3:
                desk = self.desk()
                desk.subscribe([self.stream], start)
                desks.append(desk)
            for desk in desks:
                first = desk.take(250)
                self.assertEqual([m.seq for m in first], list(range(first[0].seq, first[0].seq + 250)))
        finally:
            stop.set()
            thread.join()
        head = self.stack.sql("SELECT last_seq FROM feed.head WHERE stream = %s", self.stream)[0][0]
        for desk in desks:
            rest = desk.take(head - desk.last[self.stream])
            self.assertEqual(desk.last[self.stream], head)
            self.assertEqual(len(rest), len({m.seq for m in rest}))

    def test_several_streams_each_in_order(self):
        streams = ["016", "022", "034"]
        for stream in streams:
            self.append(150, stream=stream)
        desk = self.desk()
        desk.subscribe(["047"], neighbours=True)
        self.assertEqual(sorted(desk.positions), [*streams, "047"])
        seen = {s: [] for s in streams}
        for message in desk.take(450):
            seen[message.stream].append(message.seq)
        for stream in streams:
            self.assertEqual(seen[stream], list(range(1, 151)))

    def test_kill_and_resume_by_token(self):
        self.append(500)
        desk = self.desk()
        desk.subscribe([self.stream])
        seen = [m.seq for m in desk.take(170)]
        service = self.stack.services["dispatch"]
        service.kill()
        self.append(50)
        service.start()
        again = self.desk()
        again.last, again.chains = dict(desk.last), dict(desk.chains)
        self.assertIsInstance(again.resume(desk.positions, [self.stream]), pb.Subscribed)
        seen += [m.seq for m in again.take(380)]
        self.assertEqual(seen, list(range(1, 551)))

    def test_orderly_stop_says_goodbye_and_saves(self):
        self.append(20)
        desk = self.desk()
        desk.subscribe([self.stream], pb.START_AT_CURSOR, cursor="stop")
        desk.take(20)
        time.sleep(0.1)
        service = self.stack.services["dispatch"]
        self.assertEqual(service.stop(), 0)
        self.assertEqual(desk.peer.expect("BYE").code, pb.CODE_STOPPING)
        self.assertEqual(self.stack.sql("SELECT seq FROM dispatch.cursor WHERE name = 'stop'"), [(20,)])
        service.start()

    # ---- who gets what ----

    def test_denied_and_filtered_events_advance_the_position(self):
        self.append(5, agency="FIRE")
        self.append(40)
        desk = self.desk(self.fire_only)
        desk.subscribe([self.stream])
        self.assertEqual([m.seq for m in desk.take(5)], [1, 2, 3, 4, 5])
        desk.beat(lambda beat: [p.stream for p in beat.positions] == [self.stream])
        again = self.desk(self.fire_only)
        self.assertIsInstance(again.resume(desk.positions, [self.stream]), pb.Subscribed)
        again.quiet(0.4)
        self.append(1, agency="FIRE")
        self.assertEqual([m.seq for m in again.take(1)], [46])

    def test_filters(self):
        self.append(1, category=6, severity=1)    # 1 fire, extreme
        self.append(1, category=6, severity=4)    # 2 fire, minor
        self.append(1, category=6, severity=5)    # 3 fire, unknown
        self.append(1, category=9, severity=2)    # 4 transport, severe
        self.append(1, category=6, status=4)      # 5 fire, TEST
        for fields, expected in (
                ({}, [1, 2, 3, 4]), ({"include_test": True}, [1, 2, 3, 4, 5]), ({"categories": [6]}, [1, 2, 3]),
                ({"categories": [6, 9], "minimum_severity": 2}, [1, 4]), ({"minimum_severity": 4}, [1, 2, 4])):
            with self.subTest(fields):
                desk = self.desk()
                desk.subscribe([self.stream], **fields)
                self.assertEqual([m.seq for m in desk.take(len(expected))], expected)
                desk.quiet(0.2)

    def test_no_agreement_no_copy(self):
        self.append(3)
        desk = self.desk(self.nobody)
        desk.subscribe(all=True)
        self.assertEqual(len(desk.positions), 47)
        desk.quiet()

    def test_red_private_restricted_only_to_the_owner(self):
        self.append(1, tlp=5)
        self.append(1, scope=2)
        self.append(1, scope=3)
        self.append(1)
        desk, own, publisher, stranger = self.desk(), self.desk(self.own), self.desk(self.police), self.desk(self.fire)
        for each in (desk, own, publisher, stranger):
            each.subscribe([self.stream])
        self.assertEqual([m.seq for m in desk.take(1)], [4])
        self.assertEqual([(m.seq, m.allowed_by) for m in own.take(4)], [(i, "owner") for i in range(1, 5)])
        self.assertEqual([m.seq for m in publisher.take(4)], [1, 2, 3, 4])
        stranger.quiet(0.3)
        desk.quiet(0.1)

    def test_unknown_fields_never_pass(self):
        field = b"\xfa\x06" + bytes([len(MARKER)]) + MARKER  # field 111, length-delimited
        self.append(2, unknown=field)
        desk = self.desk()
        desk.subscribe([self.stream])
        for message in desk.take(2):
            self.assertNotIn(MARKER, message.SerializeToString())
            self.assertEqual(len(message.event.groups), 13)

    def test_what_is_not_a_body_is_passed_over(self):
        append(self.stack, self.stream, [(b"\xff\xff garbage", os.urandom(32))])
        self.append(1)
        desk = self.desk()
        desk.subscribe([self.stream])
        self.assertEqual([m.seq for m in desk.take(1)], [2])

    def test_new_agreement_is_in_force_within_a_second(self):
        key = self.stack.add_desk("LATE", allow=())
        self.wait_in_force()
        desk = self.desk(key)
        desk.subscribe([self.stream], pb.START_AT_NOW)
        self.append(1)
        desk.quiet(0.5)
        self.stack.admin("allow", "add", "--desk", "LATE")
        self.wait_in_force()
        self.append(1)
        self.assertEqual([m.seq for m in desk.take(1)], [2])
        rows = self.stack.sql("SELECT DISTINCT policy_version FROM dispatch.disclosure WHERE stream = %s", self.stream)
        self.assertEqual(len(rows), 1)

    def test_a_revoked_desk_stops_within_a_second(self):
        key = self.stack.add_desk("GONE")
        self.wait_in_force()
        desk = self.desk(key)
        desk.subscribe([self.stream], pb.START_AT_NOW)
        self.append(1)
        desk.take(1)
        self.stack.sql("UPDATE registry.desk SET revoked_at = now() WHERE code = 'GONE'")
        bye = desk.peer.expect("BYE", timeout=1)
        self.assertEqual(bye.code, pb.CODE_REVOKED)
        self.append(1)
        self.assertIsNone(desk.peer.receive(0.5))

    # ---- positions ----

    def refused(self, got, code):
        self.assertIsInstance(got, pb.Refused)
        self.assertEqual(pb.Code.Name(got.code), f"CODE_{code}", got.reason)
        self.assertTrue(got.reason)
        return got

    def test_tokens_that_are_not_ours(self):
        self.append(10)
        desk = self.desk()
        desk.subscribe([self.stream])
        desk.take(10)
        seal = desk.positions[self.stream]
        for number, forged in enumerate((seal[:7] + b"\x05" + seal[8:], seal[:8] + b"\0" * 8 + seal[16:], seal[:16] + b"\1" * 16)):
            with self.subTest(forged=number):
                self.refused(self.desk().resume({self.stream: forged}, [self.stream]), "NOT_PERMITTED")
        for cut in (b"", seal[:31], seal + b"\0"):
            self.refused(self.desk().resume({self.stream: cut}, [self.stream]), "NOT_WELL_FORMED")
        self.refused(self.desk(self.other).resume(desk.positions, [self.stream]), "NOT_PERMITTED")
        self.refused(self.desk().resume(desk.positions, [self.stream], include_test=True), "NOT_PERMITTED")
        self.refused(self.desk().resume({"001": seal}, ["001"]), "NOT_PERMITTED")
        wider = self.refused(self.desk().resume(desk.positions, [self.stream, "047"]), "NOT_PERMITTED")
        self.assertIn("047", wider.reason)
        # The same desk with the same token after all these: served.
        self.assertIsInstance(self.desk().resume(desk.positions, [self.stream]), pb.Subscribed)

    def test_token_of_another_history_is_told_to_resync(self):
        self.append(10)
        desk = self.desk()
        desk.subscribe([self.stream])
        desk.take(10)
        self.stack.sql("UPDATE feed.event SET chain = sha256(chain) WHERE stream = %s AND seq = 10", self.stream)
        self.refused(self.desk().resume(desk.positions, [self.stream]), "RESYNC")
        self.stack.sql("DELETE FROM feed.event WHERE stream = %s AND seq > 4", self.stream)
        self.stack.sql("UPDATE feed.head SET last_seq = 4 WHERE stream = %s", self.stream)
        self.refused(self.desk().resume(desk.positions, [self.stream]), "RESYNC")
        # The session that was there when the feed went back has been told, too.
        self.assertEqual(desk.peer.expect("BYE").code, pb.CODE_RESYNC)

    def test_beginning_after_removal(self):
        self.append(300)
        self.stack.sql("DELETE FROM feed.event WHERE stream = %s AND seq < 140", self.stream)
        desk = self.desk()
        desk.subscribe([self.stream])
        self.assertEqual([m.seq for m in desk.take(161)], list(range(140, 301)))

    def test_removal_in_front_of_a_slow_desk(self):
        """What is gone from feed and cache is not passed over in silence: the desk is told, and starts where the feed begins."""
        self.append(3000)
        slow, fast = self.desk(), self.desk()
        slow.subscribe([self.stream], window=20)
        slow.take(20, ack=False)
        fast.subscribe([self.stream])
        fast.take(3000)
        self.stack.sql("DELETE FROM feed.event WHERE stream = %s AND seq <= 2900", self.stream)
        slow.ack()
        self.assertEqual(slow.peer.expect("BYE").code, pb.CODE_RESYNC)
        again = self.desk()
        again.subscribe([self.stream])
        self.assertEqual([m.seq for m in again.take(100)], list(range(2901, 3001)))

    def test_refused_subscriptions(self):
        desk = self.desk()
        for fields, code, field in (
                ({"counties": ["048"]}, "UNKNOWN_COUNTY", "counties[0]"), ({"counties": ["047", "47"]}, "UNKNOWN_COUNTY", "counties[1]"),
                ({"counties": ["@FIRE"]}, "UNKNOWN_COUNTY", "counties[0]"), ({}, "RULE_VIOLATION", "counties"),
                ({"counties": ["047"], "start": pb.START_AT_UNSPECIFIED}, "RULE_VIOLATION", "start_at"),
                ({"counties": ["047"], "start": pb.START_AT_CURSOR}, "RULE_VIOLATION", "cursor"),
                ({"counties": ["047"], "cursor": "no blanks"}, "RULE_VIOLATION", "cursor"),
                ({"counties": ["047"], "cursor": "x" * 65}, "RULE_VIOLATION", "cursor"),
                ({"counties": ["047"], "window": 257}, "RULE_VIOLATION", "window"),
                ({"counties": ["047"], "minimum_severity": 5}, "RULE_VIOLATION", "minimum_severity")):
            with self.subTest(fields):
                self.assertEqual(self.refused(desk.subscribe_raw(**fields), code).field, field)
        self.append(1)
        desk.subscribe([self.stream])
        desk.take(1)

    # ---- cursors ----

    def saved(self, name):
        return dict(self.stack.sql("SELECT stream, seq FROM dispatch.cursor WHERE name = %s", name))

    def test_cursor_goes_on_where_it_was_acknowledged(self):
        self.append(30)
        name = f"c{self.stream}"
        desk = self.desk()
        desk.subscribe([self.stream], pb.START_AT_CURSOR, cursor=name)
        desk.take(12)
        desk.take(5, ack=False)
        wait_until(lambda: self.saved(name).get(self.stream) == 12, 3, "cursor saved")
        self.stack.services["dispatch"].kill()
        self.stack.services["dispatch"].start()
        again = self.desk()
        again.subscribe([self.stream], pb.START_AT_CURSOR, cursor=name)
        self.assertEqual([m.seq for m in again.take(18)], list(range(13, 31)))

    def test_cursor_newest_session_wins_and_starts_at_the_newest_ack(self):
        self.append(30)
        old = self.desk()
        old.subscribe([self.stream], pb.START_AT_CURSOR, cursor="won")
        old.take(20)
        new = self.desk()
        new.subscribe([self.stream], pb.START_AT_CURSOR, cursor="won")
        self.assertEqual([m.seq for m in new.take(10)], list(range(21, 31)))
        while not isinstance(got := old.peer.expect("BYE", "DELIVER"), pb.Bye):
            pass
        self.assertEqual(got.code, pb.CODE_REPLACED)

    def test_cursor_never_goes_back_by_itself(self):
        self.append(20)
        name = f"m{self.stream}"
        desk = self.desk()
        desk.subscribe([self.stream], pb.START_AT_CURSOR, cursor=name)
        desk.take(5)
        early = dict(desk.positions)
        desk.take(15)
        wait_until(lambda: self.saved(name).get(self.stream) == 20, 3, "cursor saved")
        again = self.desk()
        self.assertIsInstance(again.resume(early, [self.stream], cursor=name), pb.Subscribed)
        again.take(3)
        service = self.stack.services["dispatch"]
        service.stop()  # saves what is left to be saved
        self.assertEqual(self.saved(name), {self.stream: 20})
        service.start()

    def test_cursor_of_another_filter_is_refused_until_started_anew(self):
        self.append(6)
        name = f"f{self.stream}"
        self.desk().subscribe([self.stream], pb.START_AT_CURSOR, cursor=name)
        wait_until(lambda: self.saved(name), 3, "cursor saved")
        for counties, fields in (([self.stream], {"include_test": True}), ([self.stream, "047"], {})):
            got = self.desk().subscribe_raw(counties, pb.START_AT_CURSOR, cursor=name, **fields)
            self.assertEqual(self.refused(got, "NOT_PERMITTED").field, "cursor")
        backfill = self.desk()
        backfill.subscribe([self.stream], include_test=True, cursor=name)
        backfill.take(4)
        wait_until(lambda: self.saved(name).get(self.stream) == 4, 3, "cursor started anew")
        again = self.desk()
        again.subscribe([self.stream], pb.START_AT_CURSOR, cursor=name, include_test=True)
        self.assertEqual([m.seq for m in again.take(2)], [5, 6])

    def test_cursor_passes_over_what_is_filtered(self):
        self.append(9, category=6)
        name = f"p{self.stream}"
        desk = self.desk()
        desk.subscribe([self.stream], pb.START_AT_CURSOR, cursor=name, categories=[1])
        wait_until(lambda: self.saved(name).get(self.stream) == 9, 4, "cursor over the filtered")

    # ---- credit ----

    def test_window_bounds_what_is_on_its_way(self):
        self.append(50)
        desk = self.desk()
        desk.subscribe([self.stream], window=10)
        desk.take(10, ack=False)
        desk.quiet(0.4)
        desk.ack(4)
        desk.take(4, ack=False)
        desk.quiet(0.2)
        desk.ack(99)
        self.assertEqual(desk.peer.expect("REFUSED").code, pb.CODE_RULE_VIOLATION)

    def test_slow_desk_holds_up_nobody(self):
        slow, fast = self.desk(), self.desk()
        for desk in (slow, fast):
            desk.subscribe([self.stream], pb.START_AT_NOW)
        for _ in range(10):
            self.append(300)
            fast.take(300, timeout=3)
        service = self.stack.services["dispatch"]
        labels = 'desk="OPEN",measure="events"'
        wait_until(lambda: service.metric("jukwaa_dispatch_desk_lag", labels) == 3000, 3, "lag shown")
        self.assertEqual([m.seq for m in slow.take(3000)], list(range(1, 3001)))

    def test_a_beat_tells_no_position_beyond_what_is_unacknowledged(self):
        """A seal says "I have everything up to here": it must not overtake a delivery that may be lost."""
        self.append(2)
        self.append(3, category=6)
        desk = self.desk()
        desk.subscribe([self.stream], categories=[9])
        desk.take(2, ack=False)
        before = desk.positions[self.stream]
        beat = desk.beat(lambda beat: True)
        self.assertEqual(list(beat.positions), [])
        desk.ack()
        desk.beat(lambda beat: [p.stream for p in beat.positions] == [self.stream])
        self.assertNotEqual(desk.positions[self.stream], before)

    def test_second_subscription_replaces_the_first(self):
        self.append(5)
        desk = self.desk()
        desk.subscribe([self.stream])
        desk.take(5)
        desk.last.clear()
        desk.subscribe([self.stream])
        self.assertEqual([m.delivery_no for m in desk.take(5)], [6, 7, 8, 9, 10])

    # ---- mailboxes, disclosure, heads ----

    def test_publisher_learns_in_its_mailbox_who_has_its_events(self):
        publisher, own = self.desk(self.police), self.desk(self.police)
        publisher.subscribe(mailbox=True, start=pb.START_AT_NOW)
        self.assertEqual(list(publisher.positions), ["@POLICE"])
        own.subscribe([self.stream], pb.START_AT_NOW)
        self.append(20)
        own.take(20)
        publisher.quiet(1.5)  # what it fetched itself needs no receipt
        for key, name in ((self.open, "OPEN"), (self.other, "OTHER")):
            desk = self.desk(key)
            desk.subscribe([self.stream])
            desk.take(20)
            while (message := publisher.take(1)[0]).delivered.up_to_seq < 20:
                self.assertIn(message.delivered.desk, ("OPEN", "OTHER"))
            self.assertEqual((message.kind, message.stream), (pb.EVENT_KIND_DELIVERED, "@POLICE"))
            self.assertEqual(message.delivered, pb.Delivered(desk=name, stream=self.stream, up_to_seq=20))
            self.assertEqual(message.allowed_by, "owner")

    def test_nothing_is_sent_before_it_is_written_down(self):
        self.append(1500)
        desk = self.desk()
        desk.subscribe([self.stream])
        desk.take(1500)
        rows = "SELECT from_seq, to_seq, sent_seq, acked_seq FROM dispatch.disclosure WHERE stream = %s ORDER BY from_seq"
        self.assertEqual([r[:2] for r in self.stack.sql(rows, self.stream)], [(1, 1024), (1025, 2048)])
        session, holder, key = self.stack.sql(
            "SELECT DISTINCT session, holder, key_id FROM dispatch.disclosure WHERE stream = %s", self.stream)[0]
        self.assertEqual(session % 2**64, desk.welcome.session)
        self.assertTrue(holder.startswith("D") and key > 0)
        self.stack.services["dispatch"].stop()
        self.assertEqual(self.stack.sql(rows, self.stream), [(1, 1024, 1024, 1024), (1025, 2048, 1500, 1500)])
        self.stack.services["dispatch"].start()

    def test_sending_waits_for_the_writing_down(self):
        self.append(3)
        with contextlib.closing(self.stack.cluster.connect(self.stack.database)) as lock:
            lock.autocommit = False
            lock.cursor().execute("LOCK TABLE dispatch.disclosure IN SHARE MODE")
            desk = self.desk()
            desk.subscribe([self.stream])
            desk.quiet(1)
            lock.rollback()
        self.assertEqual([m.seq for m in desk.take(3)], [1, 2, 3])

    def test_denied_desks_leave_no_disclosure(self):
        self.append(3)
        desk = self.desk(self.nobody)
        desk.subscribe([self.stream])
        desk.quiet(0.5)
        self.assertEqual(self.stack.sql("SELECT * FROM dispatch.disclosure WHERE stream = %s", self.stream), [])

    def test_heads_are_signed_and_told(self):
        desk = self.desk()
        desk.subscribe([self.stream], pb.START_AT_NOW)
        self.append(1100)
        desk.take(1100)
        beat = desk.beat(lambda b: b.head_root)
        key, signature = self.stack.sql("SELECT public_key, signature FROM evidence.head WHERE root = %s", beat.head_root)[0]
        self.assertEqual((bytes(key), bytes(signature)), (beat.head_public_key, beat.head_signature))
        streams, seqs, chains, root = self.stack.sql(
            "SELECT streams, seqs, chains, root FROM evidence.head ORDER BY head_no DESC LIMIT 1")[0]
        leaves = [hashlib.sha256(b"\0" + len(s).to_bytes(4, "big") + s.encode() + n.to_bytes(8, "big") + bytes(c)).digest()
                  for s, n, c in zip(streams, seqs, chains)]
        self.assertEqual(list(streams), sorted(streams))
        self.assertEqual(merkle_root(leaves), bytes(root))

    def test_metrics_keep_the_samples_of_a_name_together(self):
        for key in (self.open, self.other, self.fire_only):
            self.desk(key).subscribe([self.stream])
        service = self.stack.services["dispatch"]
        wait_until(lambda: service.metric("jukwaa_dispatch_sessions") >= 3, 3, "sessions shown")
        types = [line.split()[2] for line in service.http("/metrics")[1].splitlines() if line.startswith("# TYPE")]
        self.assertEqual(len(types), len(set(types)))

    # ---- the database away ----

    def test_database_away_and_back(self):
        self.append(3)
        desk = self.desk()
        desk.subscribe([self.stream])
        desk.take(3)
        service = self.stack.services["dispatch"]
        self.stack.cluster.stop("fast")
        try:
            wait_until(lambda: service.http("/readyz")[0] == 503, 5, "not ready")
            self.assertIn("database", service.http("/readyz")[1])
            self.assertEqual(service.http("/healthz")[0], 200)
            desk.peer.send("PING", pb.Ping())
            desk.peer.expect("PONG")
        finally:
            self.stack.cluster.start()
        service.wait_ready()
        self.append(3)
        self.assertEqual([m.seq for m in desk.take(3)], [4, 5, 6])

    def test_stopped_for_a_while(self):
        desk = self.desk()
        desk.subscribe([self.stream], pb.START_AT_NOW)
        service = self.stack.services["dispatch"]
        service.process.send_signal(signal.SIGSTOP)
        self.append(500)
        time.sleep(1)
        service.process.send_signal(signal.SIGCONT)
        self.assertEqual([m.seq for m in desk.take(500)], list(range(1, 501)))


if __name__ == "__main__":
    unittest.main()
