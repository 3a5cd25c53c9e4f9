"""Dispatch: a subscription that begins with what is open, and goes on from exactly there; backfills of one agreement."""
import contextlib
import json
import os
import random
import subprocess
import threading
import time
import unittest

import feed_events as feed
from agreements import Party, agree
from dispatch_test import Desk
from jukwaa_harness import BIN, Stack, commitment, protos, run_cli, wait_until

pb = protos()
SNAPSHOT = pb.START_AT_SNAPSHOT
NEW, TRIAGED, CLOSED, REOPENED = 1, 2, 8, 9


def case_state(of, to):
    work = pb.Work(at_us=int(time.time() * 1e6))
    work.case_step.to = to
    return feed.WorkEvent(of, feed.CASE_STATE, work)


class Viewer(Desk):
    """A desk that begins with a snapshot."""

    def snapshot(self, counties, ack=True, timeout=15, **fields):
        """(items, SnapshotEnd): each item checked, the end acknowledged."""
        told = self.subscribe(counties, SNAPSHOT, work=True, recalled=True, **fields)
        assert not told.positions, told
        return self.take_snapshot(ack, timeout)

    def take_item(self, message):
        self.delivered += 1
        assert message.delivery_no == self.delivered, (message.delivery_no, self.delivered)
        assert message.snapshot and not message.HasField("position"), message
        assert commitment(message.event.groups) == message.commitment
        assert not message.event.stored_apart
        return message

    def take_snapshot(self, ack=True, timeout=15, items=()):
        """items: those taken already."""
        items = list(items)
        while True:
            kind, message = self.peer.receive(timeout) or (None, None)
            assert kind in ("DELIVER", "DELIVER_BATCH", "SNAPSHOT_END", "BEAT"), (kind, message)
            if kind == "BEAT":
                assert not message.positions, "positions before the end"
            elif kind == "SNAPSHOT_END":
                break
            else:
                items += [self.take_item(m) for m in (message.deliveries if kind == "DELIVER_BATCH" else [message])]
                if ack:
                    self.ack()
        self.delivered += 1
        assert message.delivery_no == self.delivered, message
        assert message.count == len(items), (message.count, len(items))
        self.positions = {p.stream: p.seal for p in message.positions}
        if ack:
            self.ack()
        return items, message


class SnapshotCase(unittest.TestCase):
    """What the cases share: a stream of its own for each, desks, events."""

    @classmethod
    def in_force(cls):
        version = cls.stack.sql("SELECT version FROM registry.version")[0][0]
        wait_until(lambda: cls.service.metric("jukwaa_dispatch_registry_version") >= version, 5, "registry in force")

    @classmethod
    def tearDownClass(cls):
        assert cls.service.stop() == 0, cls.service.log()

    def setUp(self):
        self.stream, self.desks = self.counties.pop(), []

    def tearDown(self):
        for desk in self.desks:
            desk.close()
        self.assertIsNone(self.service.process.poll(), self.service.log())

    def desk(self, key="OPEN"):
        self.desks.append(Viewer(self.stack, self.keys.get(key, key)))
        return self.desks[-1]

    def event(self, kind=feed.INCIDENT, of=None, counties=None, **fields):
        event = feed.Event(kind, counties or (self.stream,), incident=of.incident if of else None,
                           revision=of.revision + 1 if of else 1, **{"agency": "POLICE", **fields})
        feed.append(self.stack, event)
        return event

    def revoke_allow(self, code):
        for row, in self.stack.sql("SELECT allow_id FROM registry.allow JOIN registry.desk USING (desk_id) WHERE code = %s", code):
            self.stack.admin("allow", "revoke", row)
        self.in_force()

    def followed(self):
        wait_until(lambda: self.stack.sql(
            "SELECT bool_and(h.last_seq = coalesce(f.seq, 0)) FROM feed.head h LEFT JOIN dispatch.follow f USING (stream)"
            " WHERE h.stream !~ '^@'")[0][0], 15, "followed")

    def many(self, count):
        """So many incidents with bodies that repeat."""
        bodies = [feed.Event(counties=(self.stream,), agency="POLICE", severity=1 + n % 4) for n in range(8)]
        for start in range(0, count, 2000):
            some = [bodies[n % 8] for n in range(start, min(start + 2000, count))]
            n = len(some)
            self.stack.sql("SELECT count(*) FROM feed.append(%s::text[], %s::uuid[], %s::int2[], %s::uuid[], %s::int8[], %s::int2[],"
                           " %s::int2[], %s::bytea[], %s::bytea[])", [self.stream] * n, [str(feed.new_id()) for _ in some], [1] * n,
                           [str(feed.new_id()) for _ in some], [1] * n, [2] * n, [e.category for e in some], [e.commitment for e in some],
                           [e.body for e in some])
        self.followed()


class SnapshotTest(SnapshotCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = Stack(services=("dispatch",), settings={"dispatch": {"JUKWAA_CLOSED_KEEP_S": "3600"}})
        cls.service = cls.stack.services["dispatch"]
        cls.police = Party(cls.stack, "POLICE")
        cls.other = Party(cls.stack, "OTHER")
        cls.fire = cls.stack.add_publisher("FIRE")
        cls.keys = {"OPEN": cls.stack.add_desk("OPEN"), "OWN": cls.stack.add_desk("OWN", agency="POLICE", allow=()),
                    "NOBODY": cls.stack.add_desk("NOBODY", allow=()),
                    "FIREONLY": cls.stack.add_desk("FIREONLY", allow=(("--agency", "FIRE"),)),
                    "COARSE": cls.stack.add_desk("COARSE", agency="OTHER", allow=())}
        agree(cls.stack, "A-COARSE", cls.police, cls.other, "COARSE_PLACE@1", desks=["COARSE"])
        cls.stack.wait_known(cls.keys["COARSE"], "dispatch")
        cls.in_force()
        cls.counties = [f"{n:03}" for n in range(1, 48)]
        random.seed(5)

    def open_by_sql(self, counties, closed_since=None):
        """What is open by the feed alone: the newest state of each incident in each stream, from its events in their order."""
        out = {}
        for county in counties:
            known, state = {}, {}
            for seq, kind, incident, body, at in self.stack.sql(
                    "SELECT seq, kind, incident_id::text, body, extract(epoch FROM recorded_at)::float8 FROM feed.event WHERE stream = %s ORDER BY seq", county):
                body = pb.EventBody.FromString(bytes(body))
                if kind in (feed.INCIDENT, feed.UPDATE, feed.CANCEL, 8):
                    known[incident] = seq
                if kind == feed.CASE_STATE:
                    state[incident] = ("case", pb.Work.FromString(body.groups[13].content).case_step.to, at)
                elif kind in (feed.CANCEL, feed.MOVED_AWAY):
                    state[incident] = ("gone", 0, at)
                elif kind == feed.INCIDENT:
                    state.setdefault(incident, ("case", NEW, at))
            for incident, seq in known.items():
                why, to, at = state[incident]
                closed = why == "gone" or to in (CLOSED, 10)
                if not closed or closed_since:
                    out[county, seq] = closed
        return out

    def shown(self, items):
        return {(m.stream, m.seq): m.closed for m in items}

    # ---- what is in it ----

    def test_none(self):
        items, end = self.desk().snapshot([self.stream])
        self.assertEqual((items, end.count), ([], 0))
        self.assertEqual([p.stream for p in end.positions], [self.stream])
        cancelled = self.event()
        self.event(feed.CANCEL, cancelled)
        self.followed()
        desk = self.desk()
        self.assertEqual(desk.snapshot([self.stream])[0], [])
        after = self.event()
        self.assertEqual([(m.seq, m.event_id) for m in desk.take(1)], [(3, after.event_id.bytes)])

    def test_the_gravest_comes_first_and_each_as_it_is_now(self):
        grave = []
        for severity in (4, 1, 0, 3, 2, 5):
            grave.append(self.event(severity=severity))
        newer = self.event(feed.UPDATE, grave[0], severity=1, headline="worse now")
        self.event(feed.HISTORY, grave[1], severity=4)
        feed.append(self.stack, case_state(grave[4], TRIAGED))
        self.followed()
        items, end = self.desk().snapshot([self.stream])
        # Of two that are equal, the one that began last comes first.
        self.assertEqual([m.incident_id for m in items], [grave[i].incident.bytes for i in (1, 0, 4, 3, 5, 2)])
        told = {m.incident_id: m for m in items}
        self.assertEqual(told[newer.incident.bytes].event_id, newer.event_id.bytes)
        self.assertEqual(told[newer.incident.bytes].kind, feed.UPDATE)
        self.assertEqual(told[grave[4].incident.bytes].case_state, TRIAGED)
        self.assertEqual(told[grave[1].incident.bytes].case_state, NEW)
        self.assertEqual(self.shown(items), self.open_by_sql([self.stream]))
        self.assertEqual(end.count, 6)

    def test_closed_ones_are_told_to_who_asks_within_the_grace_time(self):
        events = [self.event() for _ in range(5)]
        self.event(feed.CANCEL, events[0])
        feed.append(self.stack, case_state(events[1], CLOSED), case_state(events[2], CLOSED), case_state(events[2], REOPENED),
                    case_state(events[3], CLOSED))
        self.followed()
        # Longer ago than the grace time.
        self.stack.sql("UPDATE dispatch.open_incident SET closed_at = closed_at - interval '3601 seconds' WHERE incident_id = %s",
                       str(events[3].incident))
        items, _ = self.desk().snapshot([self.stream])
        self.assertEqual({m.incident_id for m in items}, {events[2].incident.bytes, events[4].incident.bytes})
        items, _ = self.desk().snapshot([self.stream], include_closed=True)
        closed = {m.incident_id: (m.closed, m.kind, m.case_state) for m in items}
        self.assertEqual(closed, {events[0].incident.bytes: (True, feed.CANCEL, NEW), events[1].incident.bytes: (True, feed.INCIDENT, CLOSED),
                                  events[2].incident.bytes: (False, feed.INCIDENT, REOPENED), events[4].incident.bytes: (False, feed.INCIDENT, NEW)})

    def test_filters_and_desks_that_may_not(self):
        fire, other = self.event(category=6, severity=1), self.event(category=9, severity=4)
        test = self.event(status=4)
        theirs = self.event(agency="FIRE")
        self.followed()
        for key, fields, expected in (("OPEN", {}, (fire, other, theirs)), ("OPEN", {"categories": [6]}, (fire,)),
                                      ("OPEN", {"minimum_severity": 2}, (fire, theirs)),
                                      ("OPEN", {"include_test": True}, (fire, other, test, theirs)),
                                      ("FIREONLY", {}, (theirs,)), ("OWN", {}, (fire, other)), ("NOBODY", {}, ())):
            items, end = self.desk(key).snapshot([self.stream], **fields)
            self.assertEqual({m.incident_id for m in items}, {e.incident.bytes for e in expected}, (key, fields))
            self.assertEqual(end.count, len(expected))

    def test_a_redacted_copy_says_nothing_of_what_was_done(self):
        event = self.event(headline="nobody may read this")
        feed.append(self.stack, case_state(event, TRIAGED))
        old = self.event(old=True, severity=1)
        self.followed()
        items, _ = self.desk("COARSE").snapshot([self.stream])
        self.assertEqual([m.incident_id for m in items], [event.incident.bytes, old.incident.bytes], "how grave the old one is is not shown")
        for message in items:
            self.assertEqual((message.case_state, message.profile), (0, "COARSE_PLACE@1"))
            self.assertNotIn(b"nobody may read", message.SerializeToString())

    def test_several_streams_and_a_mailbox(self):
        second = self.counties.pop()
        both, one = self.event(counties=(self.stream, second), severity=2), self.event(severity=1)
        self.followed()
        desk = self.desk("OWN")
        items, end = desk.snapshot([self.stream, second], mailbox=True)
        self.assertEqual([m.incident_id for m in items], [one.incident.bytes, both.incident.bytes, both.incident.bytes])
        self.assertEqual([p.stream for p in end.positions], [*sorted([self.stream, second]), "@POLICE"])
        self.assertEqual(len({m.stream for m in items[1:]}), 2)

    # ---- where it ends, deltas begin ----

    def test_the_positions_are_a_token(self):
        first = self.event()
        self.followed()
        desk = self.desk()
        desk.snapshot([self.stream])
        positions = dict(desk.positions)
        desk.close()
        later = self.event(feed.UPDATE, first)
        again = self.desk()
        again.resume(positions, [self.stream], work=True)
        self.assertEqual([m.event_id for m in again.take(1)], [later.event_id.bytes])

    def test_who_breaks_off_begins_anew(self):
        events = [self.event() for _ in range(40)]
        self.followed()
        desk = self.desk()
        desk.subscribe([self.stream], SNAPSHOT, window=4, cursor="half")
        for _ in range(4):
            desk.take_item(desk.peer.expect("DELIVER"))
        desk.quiet(0.4)  # the window is full
        desk.close()
        rows = self.stack.sql("SELECT count(*) FROM dispatch.cursor WHERE name = 'half'")[0][0]
        self.assertEqual(rows, 0)
        items, end = self.desk().snapshot([self.stream], window=4, cursor="half")
        self.assertEqual({m.incident_id for m in items}, {e.incident.bytes for e in events})
        wait_until(lambda: self.stack.sql("SELECT seq FROM dispatch.cursor WHERE name = 'half'") == [(40,)], 5, "cursor at the end")
        self.assertEqual(end.count, 40)

    def test_the_cursor_moves_when_the_end_is_acknowledged(self):
        for _ in range(3):
            self.event()
        self.followed()
        desk = self.desk()
        desk.subscribe([self.stream], pb.START_AT_BEGINNING, cursor="wall")
        desk.take(2)
        wait_until(lambda: self.stack.sql("SELECT seq FROM dispatch.cursor WHERE name = 'wall'") == [(2,)], 5, "cursor saved")
        desk.close()
        desk = self.desk()
        items, end = desk.snapshot([self.stream], ack=False, cursor="wall")
        desk.ack(2)
        time.sleep(1.5)  # a save goes by
        self.assertEqual(self.stack.sql("SELECT seq FROM dispatch.cursor WHERE name = 'wall'"), [(2,)], "not before the end is acknowledged")
        desk.ack(end.delivery_no)
        wait_until(lambda: self.stack.sql("SELECT seq FROM dispatch.cursor WHERE name = 'wall'") == [(3,)], 5, "cursor at the head")
        self.event()
        self.assertEqual([m.seq for m in desk.take(1)], [4])

    def test_nothing_is_lost_or_doubled_at_the_seam_under_load(self):
        """20 desks come while a publisher goes on: what a desk knows from snapshot and deltas is what the feed says."""
        counties = [self.stream, *[self.counties.pop() for _ in range(2)]]
        stop, lock, events = threading.Event(), threading.Lock(), []

        def publish():
            with contextlib.closing(self.stack.cluster.connect(self.stack.database)) as connection:
                stack = type("One", (), {"feed_connection": connection, "cluster": self.stack.cluster, "database": self.stack.database})
                chance = random.Random(7)
                while not stop.is_set():
                    batch = []
                    for _ in range(chance.randint(1, 4)):
                        known = chance.choice(events) if events and chance.random() < 0.5 else None
                        if known is None:
                            batch.append(feed.Event(counties=tuple(chance.sample(counties, chance.randint(1, 2))), agency="POLICE", severity=chance.randint(1, 4)))
                        elif chance.random() < 0.4:
                            batch.append(case_state(known, chance.choice((TRIAGED, CLOSED, REOPENED))))
                        else:
                            batch.append(feed.Event(chance.choice((feed.UPDATE, feed.CANCEL)), known.counties, known.incident, known.revision + 1, "POLICE"))
                    feed.append(stack, *batch)
                    with lock:
                        events.extend(e for e in batch if e.kind == feed.INCIDENT)
                    stop.wait(0.01)

        thread = threading.Thread(target=publish)
        thread.start()
        results, threads = {}, []

        def view(number):
            desk = self.desk()
            items, _ = desk.snapshot(counties, window=8, batch_max_bytes=32768 if number % 2 else 0)
            results[number] = (desk, {(m.stream, m.incident_id): m.seq for m in items if not m.closed})

        try:
            for number in range(20):
                threads.append(threading.Thread(target=view, args=(number,)))
                threads[-1].start()
                time.sleep(0.05)
            for t in threads:
                t.join(60)
        finally:
            stop.set()
            thread.join()
        self.assertEqual(len(results), 20)
        heads = dict(self.stack.sql("SELECT stream, last_seq FROM feed.head WHERE stream = ANY(%s)", counties))
        rows = self.stack.sql("SELECT stream, seq, kind, incident_id, body FROM feed.event WHERE stream = ANY(%s) ORDER BY stream, seq", counties)
        for desk, opened in results.values():
            first = {}
            while any(desk.last.get(c, 0) < heads[c] for c in counties):
                kind, message = desk.peer.receive(10) or (None, None)
                self.assertIsNotNone(kind, (desk.last, heads))
                for m in message.deliveries if kind == "DELIVER_BATCH" else [message] if kind == "DELIVER" else []:
                    first.setdefault(m.stream, m.seq)
                    self.assertEqual(m.seq, desk.last.get(m.stream, m.seq - 1) + 1, "every number, once")
                    desk.check(m)
                    desk.ack()
            # The snapshot is what was open right before the first delta, by the events alone.
            for county in counties:
                expected, last = {}, first.get(county, heads[county] + 1) - 1
                gone = set()
                for stream, seq, kind, incident, body in rows:
                    if stream != county or seq > last:
                        continue
                    incident = incident.bytes
                    if kind in (feed.INCIDENT, feed.UPDATE, feed.CANCEL):
                        expected[incident] = seq
                    if kind == feed.CANCEL:
                        gone.add((incident, "cancelled"))
                    if kind == feed.UPDATE:
                        gone.discard((incident, "cancelled"))
                    if kind == feed.CASE_STATE:
                        to = pb.Work.FromString(pb.EventBody.FromString(bytes(body)).groups[13].content).case_step.to
                        (gone.add if to == CLOSED else gone.discard)((incident, "case"))
                open_then = {i: s for i, s in expected.items() if not any(g[0] == i for g in gone)}
                self.assertEqual({i: s for (c, i), s in opened.items() if c == county}, open_then, f"{county} up to {last}")

    # ---- records ----

    def record(self, desk, seq):
        return {u for u, in self.stack.sql(
            "SELECT dispatch.sent_under(d, %s) FROM dispatch.disclosure d JOIN registry.desk k ON d.holder = 'D' || k.desk_id WHERE k.code = %s"
            " AND d.stream = %s AND %s BETWEEN d.from_seq AND d.to_seq", seq, desk, self.stream, seq)}

    def test_what_was_told_is_on_record_and_what_was_not_is_not(self):
        events = [self.event(category=6 if i % 3 else 9) for i in range(30)]
        self.followed()
        key = self.stack.add_desk("RECORDED")
        self.stack.wait_known(key, "dispatch")
        desk = self.desk(key)
        items, _ = desk.snapshot([self.stream], categories=[6])
        told = {m.seq for m in items}
        self.assertEqual(len(told), 20)

        def closed():
            return self.stack.sql("SELECT bool_and(closed_at IS NOT NULL) FROM dispatch.disclosure d JOIN registry.desk k ON"
                                  " d.holder = 'D' || k.desk_id WHERE k.code = 'RECORDED'")[0][0]
        wait_until(closed, 8, "the ranges of the snapshot are closed")
        for number in range(1, len(events) + 1):
            self.assertEqual(self.record("RECORDED", number) - {None}, {self.under("RECORDED")} if number in told else set(), number)
        for event, number in zip(events, range(1, len(events) + 1)):
            done = run_cli("--json", "disclosures", event.incident, env=self.stack.admin_env, check=False)
            copies = [row for row in map(json.loads, done.stdout.splitlines()) if row["type"] == "copy"]
            self.assertEqual([(row["desk"], row["acknowledged"], row["possibly"]) for row in copies],
                             [("RECORDED", True, False)] if number in told else [], done.stdout)
        self.assertEqual(self.stack.sql("SELECT count(*) FROM dispatch.disclosure WHERE stream = %s", self.stream)[0][0], 1,
                         "one row, not one an incident")

    def under(self, desk):
        row, = self.stack.sql("SELECT allow_id FROM registry.allow JOIN registry.desk USING (desk_id) WHERE code = %s", desk)[0]
        return f"allow {row} FULL@1"

    def test_a_copy_of_a_snapshot_is_recalled(self):
        event = self.event()
        self.followed()
        key = self.stack.add_desk("RECALLED", allow=((),))
        self.stack.wait_known(key, "dispatch")
        for settled in (True, False):
            desk = self.desk(key)
            items, end = desk.snapshot([self.stream], ack=settled)
            self.assertEqual(len(items), 1)
            if settled:
                continue
            self.revoke_allow("RECALLED")
            self.event(feed.CANCEL, event)
            self.assertEqual([d.peer.expect("DELIVER", timeout=8).recalled.reason for d in self.desks], ["CANCELLED"] * 2)

    def test_a_policy_that_changes_in_the_middle_holds_for_the_rest(self):
        events = [self.event(category=6 if i % 2 else 9) for i in range(30)]
        self.followed()
        key = self.stack.add_desk("CHANGED", allow=((),))
        self.stack.wait_known(key, "dispatch")
        desk = self.desk(key)
        desk.subscribe([self.stream], SNAPSHOT, window=4, work=True)
        items = [desk.take_item(desk.peer.expect("DELIVER")) for _ in range(4)]
        desk.quiet(0.3)
        self.revoke_allow("CHANGED")
        self.stack.admin("allow", "add", "--desk", "CHANGED", "--category", "FIRE")
        self.in_force()
        desk.ack()
        items, end = desk.take_snapshot(items=items)
        burning = {e.incident.bytes for e in events if e.category == 6}
        self.assertEqual({m.incident_id for m in items[4:]} - burning, set())
        self.assertEqual({m.incident_id for m in items} & burning, burning)
        wait_until(lambda: self.stack.sql("SELECT count(*) FROM dispatch.disclosure d JOIN registry.desk k ON d.holder = 'D' || k.desk_id"
                                          " WHERE k.code = 'CHANGED' AND closed_at IS NULL")[0][0] == 0, 8, "closed")
        for message in items:
            self.assertEqual(len(self.record("CHANGED", message.seq) - {None}), 1, message.seq)
        self.assertEqual(sum(bool(self.record("CHANGED", n) - {None}) for n in range(1, 31)), len(items))

    def test_publishers_learn_who_has_their_incidents(self):
        self.event(agency="FIRE")
        self.event()
        self.event(of=None, agency="FIRE")
        self.followed()
        box = Desk(self.stack, self.fire)
        self.desks.append(box)
        box.subscribe(mailbox=True, start=pb.START_AT_NOW)
        desk = self.desk()
        _, end = desk.snapshot([self.stream], ack=False)
        desk.ack(end.delivery_no - 1)
        box.quiet(1.5)  # not before all of it is with the desk
        desk.ack(end.delivery_no)
        told = box.take(1)[0].delivered
        self.assertEqual((told.desk, told.stream, told.up_to_seq), ("OPEN", self.stream, 3))

    # ---- what goes wrong in the middle ----

    def test_the_library_begins_anew_when_dispatch_is_killed(self):
        """jukwaa watch goes on by itself, and says that what it showed of the first snapshot counts no more."""
        count, path = 12000, self.stack.new_key("watch").with_suffix(".out")
        self.many(count)
        with open(path, "w") as out:
            watch = subprocess.Popen([BIN / "jukwaa", "--json", "watch", "--county", self.stream, "--snapshot", "--window", "1"], stdout=out,
                                     env={**os.environ, **self.stack.env(self.keys["OPEN"])})
        try:
            wait_until(lambda: path.read_text().count("\n") > 200, 20, "the snapshot has begun")
            self.service.kill()
            self.assertNotIn("SNAPSHOT_END", path.read_text(), "it was told before dispatch was killed")
            self.service.start()
            wait_until(lambda: "SNAPSHOT_END" in path.read_text(), 60, "a whole snapshot")
        finally:
            watch.terminate()
            watch.wait(10)
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        begins = [i for i, row in enumerate(rows) if row["snapshot_begins"]]
        self.assertEqual((len(begins), begins[0]), (2, 0))
        whole = rows[begins[1]:]
        self.assertEqual(len({row["incident_id"] for row in whole[:-1]}), count)
        self.assertEqual((whole[-1]["kind"], whole[-1]["snapshot_count"], len(whole)), ("SNAPSHOT_END", count, count + 1))
        self.assertEqual([row["delivery_no"] for row in rows], list(range(1, len(rows) + 1)))
        severities = [row["severity"] for row in whole[:-1]]
        self.assertEqual(severities, sorted(severities, key=["EXTREME", "SEVERE", "MODERATE", "MINOR"].index))

    def test_the_database_goes_away_in_the_middle(self):
        events = [self.event() for _ in range(150)]
        self.followed()
        desk = self.desk()
        desk.subscribe([self.stream], SNAPSHOT, window=2, work=True)
        items = [desk.take_item(desk.peer.expect("DELIVER")) for _ in range(2)]
        self.stack.cluster.stop()
        desk.ack()
        self.stack.cluster.start()
        self.stack.feed_connection.close()
        items, end = desk.take_snapshot(items=items, timeout=30)
        self.assertEqual({m.incident_id for m in items}, {e.incident.bytes for e in events})
        self.assertEqual(end.count, 150)

    def test_what_was_removed_by_age_is_passed_over(self):
        """An incident that is older than the feed is kept: nothing is known of it any more."""
        events = [self.event() for _ in range(5)]
        self.followed()
        self.stack.sql("DELETE FROM feed.event WHERE stream = %s AND seq = 2", self.stream)
        items, end = self.desk().snapshot([self.stream])
        self.assertEqual({m.incident_id for m in items}, {e.incident.bytes for e in events} - {events[1].incident.bytes})
        self.assertEqual(end.count, 4)

    def test_a_desk_that_stops_holds_up_nobody(self):
        self.many(3000)
        stopped = [self.desk() for _ in range(3)]
        for desk in stopped:
            desk.subscribe([self.stream], SNAPSHOT, window=1, work=True)
            desk.peer.expect("DELIVER")
        items, end = self.desk().snapshot([self.stream], batch_max_bytes=32768)
        self.assertEqual((len(items), end.count), (3000, 3000))

    # ---- backfill of an agreement ----

    def test_backfill_of_a_new_agreement(self):
        name = f"BF{self.stream}"
        recipient = Party(self.stack, name)
        key = self.stack.add_desk(f"{name}-DESK", agency=name, allow=(("--agency", "FIRE"),))
        before = [self.event(agency=agency) for agency in ("POLICE", "FIRE", "POLICE")]
        feed.append(self.stack, case_state(before[0], TRIAGED))
        self.stack.wait_known(key, "dispatch")
        desk = self.desk(key)
        desk.subscribe([self.stream], work=True)
        self.assertEqual([m.event_id for m in desk.take(1)], [before[1].event_id.bytes])
        agree(self.stack, f"A-{name}", self.police, recipient, "FULL@1")
        self.in_force()
        filler = self.desk(key)
        filler.subscribe([self.stream], only_agreement=f"A-{name}", work=True, recalled=True)
        self.assertEqual([m.seq for m in filler.take(3)], [1, 3, 4])
        end = filler.peer.expect("SNAPSHOT_END")
        self.assertEqual((end.count, end.delivery_no, [p.stream for p in end.positions]), (3, 4, [self.stream]))
        filler.ack(4)
        later = self.event()
        filler.quiet(0.5)  # nothing more comes
        self.assertEqual([m.event_id for m in desk.take(1)], [later.event_id.bytes])
        wait_until(lambda: self.stack.sql("SELECT count(*) FROM dispatch.disclosure WHERE stream = %s AND closed_at IS NULL AND from_seq = 1"
                                          " AND array_to_string(terms, ',') ~ 'agreement'", self.stream)[0][0] > 0, 8, "its own record")
        # Its positions are good for a backfill of the same agreement alone.
        positions = {p.stream: p.seal for p in end.positions}
        self.assertEqual(self.desk(key).resume(positions, [self.stream]).code, pb.CODE_NOT_PERMITTED)
        more = self.desk(key)
        more.resume(positions, [self.stream], only_agreement=f"A-{name}", work=True)
        self.assertEqual([m.seq for m in more.take(1)], [5])
        self.assertEqual(more.peer.expect("SNAPSHOT_END").count, 1)

    def test_backfills_that_cannot_be(self):
        desk = self.desk()
        for fields, field in (({"start": SNAPSHOT}, "start_at"), ({"start": pb.START_AT_NOW}, "start_at"), ({"cursor": "c"}, "cursor"),
                              ({"mailbox": True}, "mailbox"), ({"only_agreement": "A" * 33}, "only_agreement")):
            refused = desk.subscribe_raw([self.stream], **{"only_agreement": "A-COARSE", **fields})
            self.assertEqual((refused.code, refused.field), (pb.CODE_RULE_VIOLATION, field))
        # An agreement that the desk is no party to gives nothing.
        self.event()
        desk.subscribe([self.stream], only_agreement="A-COARSE")
        self.assertEqual(desk.peer.expect("SNAPSHOT_END").count, 0)

    # ---- the command line ----

    def watch(self, key, *options):
        return run_cli("watch", "--county", self.stream, *options, env={**self.stack.env(self.keys.get(key, key)), "COLUMNS": "80"}, check=False)

    def test_watch_shows_a_snapshot(self):
        done = self.watch("OPEN", "--snapshot", "--timeout", 2)
        self.assertEqual((done.stdout.strip(), done.returncode), ("no open incidents", 0), done.stderr)
        first, second = self.event(severity=3), self.event(severity=1)
        feed.append(self.stack, case_state(first, TRIAGED))
        self.event(feed.CANCEL, self.event())
        self.followed()
        done = self.watch("OPEN", "--snapshot", "--timeout", 2)
        lines = done.stdout.splitlines()
        self.assertEqual(len(lines), 3, done.stdout)
        self.assertRegex(lines[0], r"EXTREME +TRANSPORT +NEW +Two vehicles")
        self.assertRegex(lines[1], r"MODERATE +TRANSPORT +TRIAGED +Two vehicles")
        self.assertEqual(lines[2], "2 incidents; what comes now is new")
        self.assertRegex(self.watch("OPEN", "--snapshot", "--include-closed", "--timeout", 2).stdout, r"SEVERE +TRANSPORT +CANCEL +Two")
        rows, _ = self.stack.cli_json(self.keys["OPEN"], "watch", "--county", self.stream, "--snapshot", "--timeout", 2)
        self.assertEqual([(r["kind"], r["snapshot_begins"]) for r in rows], [("INCIDENT", True), ("INCIDENT", False), ("SNAPSHOT_END", False)])
        self.assertEqual([(r["case_state"], r["closed"], r["copy_verified"]) for r in rows[:2]], [("NEW", False, True), ("TRIAGED", False, True)])
        self.assertEqual(rows[2]["snapshot_count"], 2)
        self.assertTrue(second)

    def test_watch_goes_on_from_its_resume_file_after_a_snapshot(self):
        path = self.stack.new_key("resume").with_suffix(".resume")
        self.event()
        self.followed()
        rows, status = self.stack.cli_json(self.keys["OPEN"], "watch", "--county", self.stream, "--snapshot", "--resume", path, "--timeout", 2)
        self.assertEqual([r["kind"] for r in rows], ["INCIDENT", "SNAPSHOT_END"])
        self.event()
        rows, status = self.stack.cli_json(self.keys["OPEN"], "watch", "--county", self.stream, "--snapshot", "--resume", path,
                                           "--count", 1, "--timeout", 5)
        self.assertEqual([(r["seq"], "snapshot" in r) for r in rows], [(2, False)])
        self.assertEqual(status, 0)

    def test_watch_backfills(self):
        self.event()
        done = self.watch("COARSE", "--backfill", "A-COARSE", "--timeout", 10)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(done.stdout.splitlines()), 2, done.stdout)
        self.assertIn("backfilled: 1 events; that is all", done.stdout)
        for wrong in (("--backfill", "A-COARSE", "--snapshot"), ("--backfill", "A-COARSE", "--cursor", "c"), ("--include-closed",),
                      ("--snapshot", "--from", "now")):
            self.assertEqual(self.watch("COARSE", *wrong, "--timeout", 2).returncode, 2, wrong)


class StallTest(SnapshotCase):
    """Desks that take nothing of their snapshots, until there is no memory for others."""

    @classmethod
    def setUpClass(cls):
        cls.stack = Stack(services=("dispatch",), settings={"dispatch": {"JUKWAA_CACHE_MIB": "1"}})
        cls.service = cls.stack.services["dispatch"]
        cls.stack.add_publisher("POLICE")
        cls.keys = {"OPEN": cls.stack.add_desk("OPEN")}
        cls.stack.wait_known(cls.keys["OPEN"], "dispatch")
        cls.counties = ["047"]

    def test_who_takes_nothing_makes_room_for_others(self):
        self.many(12000)
        stalled = [self.desk() for _ in range(14)]
        for desk in stalled:
            desk.subscribe([self.stream], SNAPSHOT, window=1, work=True)
        for desk in stalled[:8]:
            desk.peer.expect("DELIVER", timeout=10)
        ended = threading.Event()

        def stay():  # they are there, and say so
            while not ended.wait(1):
                for desk in stalled:
                    desk.peer.send("PING", pb.Ping())
        thread = threading.Thread(target=stay)
        thread.start()
        try:
            items, end = self.desk().snapshot([self.stream], batch_max_bytes=32768, timeout=40)
        finally:
            ended.set()
            thread.join()
        self.assertEqual((len(items), end.count), (12000, 12000))
        said = []
        for desk in stalled:
            while (got := desk.peer.receive(0.2)) is not None:
                said.append(got[1].code if got[0] == "BYE" else None)
        self.assertIn(pb.CODE_UNAVAILABLE, said)


if __name__ == "__main__":
    unittest.main()
