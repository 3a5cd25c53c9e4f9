"""Units, recommendation and help between agencies: the real dispatch on a real database, incidents written into the feed by hand,
clients made from the .proto files."""
import contextlib
import json
import math
import random
import struct
import threading
import time
import unittest
import uuid

import feed_events as feed
from agreements import Party, agree
from feed_events import Event, append
from jukwaa_harness import Stack, protos, wait_until

pb = protos()
NAIROBI, THIKA, MOMBASA = (-1.2864, 36.8172), (-1.0333, 37.0693), (-4.0435, 39.6682)


def setUpModule():
    global stack, dispatch, police, other, ambulance, blind, viewer, coarse, coast, coast_pub
    stack = Stack(services=("dispatch",))
    dispatch = stack.services["dispatch"]
    stack.add_publisher("KPS")
    coast_pub = stack.add_publisher("COASTPUB")
    police = stack.add_desk("NAIROBI", agency="POLICE")
    other = stack.add_desk("INDUSTRIAL", agency="POLICE")
    ambulance = stack.add_desk("AMBU", agency="KRCS")
    coast = stack.add_desk("COAST", agency="COAST", allow=(("--county", "001"),))
    blind = stack.add_desk("BLIND", agency="NONE", allow=())
    viewer = stack.add_desk("VIEWER", agency="WATCHERS", allow=())
    coarse = stack.add_desk("COARSE", agency="COARSE", allow=())
    kps, watchers = Party(stack, "KPS"), Party(stack, "WATCHERS")
    agree(stack, "KPS-WATCH", kps, watchers, "FULL@1", actions=["VIEW"])
    agree(stack, "KPS-COARSE", kps, Party(stack, "COARSE"), "COARSE_PLACE@1")
    for key in (police, other, ambulance, coast, blind, viewer, coarse):
        stack.wait_known(key, "dispatch")


def tearDownModule():
    alive = dispatch.process.poll() is None
    stack.stop()
    assert alive, dispatch.log()[-6000:]


def km(a, b):
    """By the spherical law of cosines: another formula than the service's."""
    (lat, lon), (to_lat, to_lon) = [[math.radians(x) for x in point] for point in (a, b)]
    return 6371.0088 * math.acos(math.sin(lat) * math.sin(to_lat) + math.cos(lat) * math.cos(to_lat) * math.cos(to_lon - lon))


def number():
    return random.getrandbits(40)


class UnitTest(unittest.TestCase):
    def setUp(self):
        self.peers = []
        self.addCleanup(lambda: [peer.close() for peer in self.peers])

    def peer(self, key):
        peer = stack.peer("dispatch", key)
        self.peers.append(peer)
        wait_until(lambda: peer.hello(timeout=1), 10, "welcome")
        return peer

    def incident(self, **fields):
        """An incident that dispatch knows to be open."""
        event = Event(**fields)
        append(stack, event)
        wait_until(lambda: stack.sql("SELECT count(*) FROM dispatch.open_incident WHERE incident_id = %s", str(event.incident))[0][0]
                   >= len(event.counties), 10, "dispatch follows")
        return event

    def close(self, event):
        cancel = Event(kind=feed.CANCEL, incident=event.incident, revision=event.revision + 1, counties=event.counties)
        append(stack, cancel)
        wait_until(lambda: stack.sql("SELECT count(*) = 0 FROM dispatch.open_incident WHERE incident_id = %s AND closed_at IS NULL",
                                     str(event.incident))[0][0], 10, "closed")

    def command(self, peer, kind, command_id=None, timeout=10, **fields):
        message = getattr(pb, {"UNIT_COMMAND": "UnitCommand", "AID_COMMAND": "AidCommand"}[kind])(
            request=number(), command_id=command_id or uuid.uuid4().bytes, **fields)
        peer.send(kind, message)
        got = peer.expect("COMMAND_DONE", "REFUSED", timeout=timeout)
        if got.request:  # 0: the body was refused before it was read
            self.assertEqual(got.request, message.request)
        return got

    def unit(self, peer, code, action, sub=None, **fields):
        return self.command(peer, "UNIT_COMMAND", code=code, **{action: sub if sub is not None else {}}, **fields)

    def done(self, answer, state=None, version=None):
        self.assertIsInstance(answer, pb.CommandDone, answer)
        if state:
            self.assertEqual(answer.state, state)
        if version:
            self.assertEqual(answer.version, version)
        return answer

    def refused(self, answer, code, field=None):
        self.assertIsInstance(answer, pb.Refused, answer)
        self.assertEqual((pb.Code.Name(answer.code), answer.field if field is not None else None), (f"CODE_{code}", field), answer)
        return answer

    def record(self, at=NAIROBI, discipline="POLICE", capabilities=("PATROL",), county="047", desk=""):
        return {"discipline": discipline, "capabilities": list(capabilities), "base_point": {"lat": at[0], "lon": at[1]},
                "county": county, "desk": desk}

    def add(self, peer, code=None, **fields):
        code = code or f"U{random.getrandbits(60):X}"
        self.done(self.unit(peer, code, "add", {"record": self.record(**fields)}), "AVAILABLE", 1)
        return code

    def assign(self, peer, code, event, **fields):
        return self.unit(peer, code, "assign", {"incident_id": event.incident.bytes}, **fields)

    def advance(self, peer, code, to, reason="", **fields):
        return self.unit(peer, code, "advance", {"to": f"UNIT_STATE_{to}", "reason": reason}, **fields)

    def ask(self, peer, kind, message):
        message.request = number()
        peer.send(kind, message)
        got = peer.expect({"UNIT_LIST": "UNIT_LISTED", "UNIT_RECOMMEND": "UNIT_RECOMMENDED", "AID_LIST": "AID_LISTED"}[kind], "REFUSED",
                          timeout=10)
        self.assertEqual(got.request, message.request)
        return got

    def steps(self, event, kind=feed.UNIT):
        """(county, step's message, Work) of the incident's events of this kind, in each stream by number."""
        out = []
        for stream, body in stack.sql("SELECT stream, body FROM feed.event WHERE incident_id = %s AND kind = %s ORDER BY stream, seq",
                                      str(event.incident), kind):
            body = pb.EventBody.FromString(bytes(body))
            work = pb.Work.FromString(body.groups[13].content)
            out.append((stream, getattr(work, work.WhichOneof("step")), work))
        return out

    def mails(self, event, agency="KPS"):
        return [pb.Acted.FromString(bytes(body)) for body, in stack.sql(
            "SELECT body FROM feed.event WHERE stream = %s AND incident_id = %s AND kind = %s ORDER BY seq", f"@{agency}",
            str(event.incident), feed.ACTED)]


class LadderTest(UnitTest):
    def test_from_base_to_scene_and_back(self):
        peer, event = self.peer(police), self.incident(counties=("047", "022"))
        code = self.add(peer)
        self.done(self.assign(peer, code, event), "DISPATCHED", 2)
        for version, state in enumerate(("EN_ROUTE", "ON_SCENE", "TRANSPORTING", "CLEARED", "AVAILABLE"), 3):
            self.done(self.advance(peer, code, state), state, version)
        steps = self.steps(event)
        names = ["DISPATCHED", "EN_ROUTE", "ON_SCENE", "TRANSPORTING", "CLEARED"]
        for county in ("022", "047"):
            self.assertEqual([pb.UnitState.Name(s.to)[len("UNIT_STATE_"):] for c, s, _ in steps if c == county], names)
        self.assertEqual({s.assignment_id for _, s, _ in steps}, {steps[0][1].assignment_id})
        self.assertEqual({(w.agency, w.desk, s.unit) for _, s, w in steps}, {("POLICE", "NAIROBI", code)})
        self.assertEqual([(m.step, m.agency, m.desk, m.discipline) for m in self.mails(event)],
                         [(step, "POLICE", "NAIROBI", "POLICE") for step in ("DISPATCHED", "ON_SCENE", "CLEARED")])
        # Both counties' copies are the same event, under the same id.
        self.assertEqual(len(stack.sql("SELECT DISTINCT event_id FROM feed.event WHERE incident_id = %s AND kind = 11",
                                       str(event.incident))), 5)
        row = stack.sql("SELECT dispatched_at <= en_route_at, en_route_at <= on_scene_at, on_scene_at <= transporting_at,"
                        " transporting_at <= ended_at, outcome FROM dispatch.assignment WHERE incident_id = %s", str(event.incident))
        self.assertEqual(row, [(True, True, True, True, 6)])


    def test_stood_down_and_broken_down(self):
        peer, event = self.peer(police), self.incident()
        code = self.add(peer)
        self.done(self.assign(peer, code, event))
        self.refused(self.advance(peer, code, "AVAILABLE"), "RULE_VIOLATION", "reason")
        self.done(self.advance(peer, code, "AVAILABLE", reason="called off"), "AVAILABLE")
        self.done(self.assign(peer, code, event))
        self.done(self.advance(peer, code, "ON_SCENE"), "ON_SCENE")
        self.refused(self.unit(peer, code, "out_of_service", {}), "RULE_VIOLATION", "reason")
        self.done(self.unit(peer, code, "out_of_service", {"reason": "engine"}), "OUT_OF_SERVICE")
        self.done(self.unit(peer, code, "in_service"), "AVAILABLE")
        steps = [s for _, s, _ in self.steps(event)]
        self.assertEqual([(s.to, s.reason) for s in steps], [(2, ""), (1, "called off"), (2, ""), (4, ""), (7, "engine")])
        self.assertEqual(len({s.assignment_id for s in steps}), 2)
        self.done(self.unit(peer, code, "remove"), "REMOVED")
        self.refused(self.unit(peer, code, "in_service"), "NOT_FOUND", "unit_id")
        self.add(peer, code)  # its code may be given again

    def test_illegal_jumps_are_refused_and_change_nothing(self):
        peer, event = self.peer(police), self.incident()
        code = self.add(peer)
        for to in ("EN_ROUTE", "ON_SCENE", "TRANSPORTING", "CLEARED", "AVAILABLE"):
            self.refused(self.advance(peer, code, to), "WRONG_STATE", "")
        self.refused(self.unit(peer, code, "in_service"), "WRONG_STATE", "")
        self.done(self.assign(peer, code, event), version=2)
        self.refused(self.assign(peer, code, event), "WRONG_STATE", "")
        self.refused(self.unit(peer, code, "remove"), "WRONG_STATE", "")
        self.refused(self.advance(peer, code, "TRANSPORTING"), "WRONG_STATE", "")
        self.refused(self.advance(peer, code, "CLEARED"), "WRONG_STATE", "")
        self.refused(self.advance(peer, code, "DISPATCHED"), "RULE_VIOLATION", "to")
        self.refused(self.advance(peer, code, "OUT_OF_SERVICE"), "RULE_VIOLATION", "to")
        self.refused(self.advance(peer, code, "EN_ROUTE", version=1), "STALE_VERSION", "version")
        self.assertEqual(len(self.steps(event)), 1)
        self.assertEqual(stack.sql("SELECT state, version FROM dispatch.unit WHERE code = %s", code), [(2, 2)])

    def test_who_may(self):
        mine, theirs, sibling = self.peer(police), self.peer(ambulance), self.peer(other)
        event = self.incident()
        code, run_by_one = self.add(mine), self.add(mine, desk="NAIROBI")
        unit_id, = stack.sql("SELECT unit_id FROM dispatch.unit WHERE code = %s", code)[0]
        absent = self.refused(self.command(theirs, "UNIT_COMMAND", unit_id=uuid.uuid4().bytes, in_service={}), "NOT_FOUND", "unit_id")
        hidden = self.refused(self.command(theirs, "UNIT_COMMAND", unit_id=uuid.UUID(unit_id).bytes, in_service={}), "NOT_FOUND",
                              "unit_id")
        by_code = self.refused(self.unit(theirs, code, "in_service"), "NOT_FOUND", "unit_id")
        self.assertEqual({(r.code, r.field, r.reason) for r in (absent, hidden, by_code)}, {(absent.code, "unit_id", absent.reason)})
        self.done(self.assign(sibling, code, event))
        self.refused(self.assign(sibling, run_by_one, event), "NOT_PERMITTED", "unit_id")
        self.refused(self.unit(sibling, run_by_one, "position", {"point": {"lat": 0, "lon": 0}}), "NOT_PERMITTED", "unit_id")
        self.refused(self.unit(mine, run_by_one, "change", {"record": self.record(desk="COAST")}), "RULE_VIOLATION", "desk")
        self.done(self.unit(sibling, run_by_one, "change", {"record": self.record(desk="")}), version=2)
        self.done(self.assign(sibling, run_by_one, event))
        publisher = self.peer(coast_pub)
        publisher.send("UNIT_COMMAND", pb.UnitCommand(request=1, command_id=uuid.uuid4().bytes, code="X", in_service={}))
        self.assertEqual(publisher.expect("REFUSED").code, pb.CODE_NOT_PERMITTED)

    def test_incidents_that_may_not_be_answered(self):
        event, closed = self.incident(), self.incident()
        self.close(closed)
        for key, of, code in ((blind, event, "NOT_FOUND"), (coast, event, "NOT_FOUND"), (viewer, event, "NOT_PERMITTED"),
                              (police, closed, "WRONG_STATE"), (blind, closed, "NOT_FOUND"), (viewer, closed, "NOT_PERMITTED"),
                              (police, Event(), "NOT_FOUND")):
            peer = self.peer(key)
            answer = self.refused(self.assign(peer, self.add(peer), of), code, "incident_id")
            if code == "NOT_FOUND":
                self.assertEqual(answer.reason, "there is no such incident, or not for you")
        self.assertEqual(self.steps(event) + self.steps(closed), [])
        self.assertEqual(self.mails(event) + self.mails(closed), [])

    def test_a_unit_on_an_incident_that_is_closed_goes_on_alone(self):
        peer, event = self.peer(police), self.incident()
        code = self.add(peer)
        self.done(self.assign(peer, code, event))
        self.close(event)
        for state in ("EN_ROUTE", "ON_SCENE", "CLEARED", "AVAILABLE"):
            self.done(self.advance(peer, code, state), state)
        self.assertEqual(len(self.steps(event)), 1)
        self.assertEqual([m.step for m in self.mails(event)], ["DISPATCHED", "ON_SCENE", "CLEARED"])

    def test_what_is_absurd_is_refused(self):
        peer = self.peer(police)
        code = self.add(peer)
        record = self.record()
        for lat, lon in ((90.1, 0), (-91, 0), (0, 180.5), (0, -1e9), (1e308, 1e308)):
            self.refused(self.unit(peer, code, "position", {"point": {"lat": lat, "lon": lon}}), "RULE_VIOLATION", "point")
            self.refused(self.unit(peer, "NEW", "add", {"record": {**record, "base_point": {"lat": lat, "lon": lon}}}),
                         "RULE_VIOLATION", "base_point")
        for lat in (math.nan, math.inf, -math.inf):
            self.refused(self.unit(peer, code, "position", {"point": {"lat": lat, "lon": 0}}), "INVALID_SCHEMA")
        self.refused(self.unit(peer, code, "position"), "RULE_VIOLATION", "point")
        self.refused(self.command(peer, "UNIT_COMMAND", code=code), "RULE_VIOLATION", "action")
        for bad in ("", "lower", "-X", "A" * 33, "A B", "Ä", "A;DROP"):
            self.refused(self.unit(peer, bad, "add", {"record": record}), "RULE_VIOLATION", "code")
        self.refused(self.unit(peer, code, "add", {"record": record}), "RULE_VIOLATION", "code")
        self.refused(self.unit(peer, "NEW", "add"), "RULE_VIOLATION", "record")
        for field, value, code_of in (("discipline", "", "RULE_VIOLATION"), ("discipline", "A" * 17, "RULE_VIOLATION"),
                                      ("capabilities", ["x"], "RULE_VIOLATION"), ("capabilities", ["A", "A"], "RULE_VIOLATION"),
                                      ("capabilities", [f"C{i}" for i in range(17)], "RULE_VIOLATION"),
                                      ("county", "999", "UNKNOWN_COUNTY"), ("county", "47", "UNKNOWN_COUNTY"),
                                      ("desk", "NOWHERE", "RULE_VIOLATION")):
            self.refused(self.unit(peer, "NEW", "add", {"record": {**record, field: value}}), code_of, field)
        self.refused(self.assign(peer, code, Event(), unit_id=uuid.uuid4().bytes), "RULE_VIOLATION", "unit_id")
        self.refused(self.command(peer, "UNIT_COMMAND", unit_id=b"short", in_service={}), "RULE_VIOLATION", "unit_id")
        self.refused(self.unit(peer, code, "assign", {"incident_id": b"x"}), "RULE_VIOLATION", "incident_id")
        self.refused(self.unit(peer, code, "out_of_service", {"reason": "x" * 201}), "OVERSIZE", "reason")
        self.refused(self.unit(peer, code, "out_of_service", {"reason": "x" * 1000000}), "OVERSIZE")
        self.refused(self.unit(peer, code, "in_service", version=2**32 - 1), "RULE_VIOLATION", "version")
        self.refused(self.unit(peer, code, "in_service", command_id=b"1"), "RULE_VIOLATION", "command_id")
        self.refused(self.unit(peer, code, "in_service", command_id=bytes(16)), "RULE_VIOLATION", "command_id")
        self.assertEqual(stack.sql("SELECT count(*) FROM dispatch.unit WHERE code = 'NEW'"), [(0,)])
        self.assertEqual(stack.sql("SELECT lat, version FROM dispatch.unit WHERE code = %s", code), [(None, 1)])


class LeakTest(UnitTest):
    """A unit's status never leaks from one assignment to another."""

    def watch(self, county):
        peer = self.peer(ambulance)
        peer.send("SUBSCRIBE", pb.Subscribe(request=1, counties=[county], start_at=pb.START_AT_NOW, window=64, work=True))
        peer.expect("SUBSCRIBED")
        return peer

    def test_who_watches_one_incident_learns_nothing_of_the_next(self):
        desk, a, b = self.peer(police), self.incident(counties=("030",)), self.incident(counties=("031",))
        of_a, of_b = self.watch("030"), self.watch("031")
        code = self.add(desk)
        for event in (a, b):
            self.done(self.assign(desk, code, event))
            for state in ("EN_ROUTE", "ON_SCENE"):
                self.done(self.unit(desk, code, "position", {"point": {"lat": -0.77001, "lon": 37.77001}}))
                self.done(self.advance(desk, code, state), state)
            self.done(self.advance(desk, code, "CLEARED"))
            self.done(self.advance(desk, code, "AVAILABLE"))
            self.done(self.unit(desk, code, "out_of_service"))
            self.done(self.unit(desk, code, "in_service"))
        seen = []
        for watcher, event in ((of_a, a), (of_b, b)):
            marker = self.incident(counties=("030",) if watcher is of_a else ("031",))
            ids, texts = set(), []
            while True:
                got = watcher.expect("DELIVER", timeout=10)
                if got.incident_id == marker.incident.bytes:
                    break
                self.assertEqual(got.incident_id, event.incident.bytes)
                self.assertEqual(got.kind, feed.UNIT)
                work = pb.Work.FromString(got.event.groups[13].content)
                ids.add(work.unit_step.assignment_id)
                texts.append(work.unit_step.to)
                self.assertNotIn(struct.pack("<d", -0.77001), got.SerializeToString())
            self.assertEqual(texts, [2, 3, 4, 6])
            self.assertEqual(len(ids), 1)
            seen.append(ids)
        self.assertTrue(seen[0].isdisjoint(seen[1]))


class ErasureTest(UnitTest):
    """An event that says what was done carries what is known of the incident: what is erased does not come back by it."""

    def incident(self, **fields):
        event = super().incident(headline="Wambui was hurt", **fields)
        stack.sql("INSERT INTO intake.dedup (key, revision, content, incident_id, event_id, first) VALUES (%s, 1, %s, %s, %s, true)",
                  uuid.uuid4().bytes, uuid.uuid4().bytes, str(event.incident), str(event.event_id))
        return event

    ERASE = "SELECT done FROM intake.erase(%s, 32, %s, 'asked for', 'DPO')"

    def narratives(self, event):
        """(kind, revision, does it tell?) of all its events."""
        return [(kind, revision, b"Wambui" in bytes(body)) for kind, revision, body in stack.sql(
            "SELECT kind, revision, body FROM feed.event WHERE incident_id = %s AND kind < 16 ORDER BY seq", str(event.incident))]

    def test_erasing_finds_what_was_done(self):
        peer, event = self.peer(police), self.incident()
        self.done(self.assign(peer, self.add(peer), event))
        self.assertEqual(self.narratives(event), [(1, 1, True), (11, 1, True)])
        self.assertEqual(stack.sql(self.ERASE, str(event.incident), False), [("erased",)])
        self.assertEqual(self.narratives(event), [(1, 1, False), (11, 1, False), (8, 1, False)])

    def test_what_is_not_superseded_stays(self):
        peer, event = self.peer(police), self.incident()
        code = self.add(peer)
        self.done(self.assign(peer, code, event))
        newer = Event(kind=feed.UPDATE, incident=event.incident, revision=2, headline="Wambui is well")
        append(stack, newer)
        stack.sql("INSERT INTO intake.dedup (key, revision, content, incident_id, event_id, first) VALUES (%s, 2, %s, %s, %s, true)",
                  uuid.uuid4().bytes, uuid.uuid4().bytes, str(event.incident), str(newer.event_id))
        wait_until(lambda: stack.sql("SELECT revision = 2 FROM dispatch.open_incident WHERE incident_id = %s", str(event.incident))[0][0],
                   10, "followed")
        self.done(self.advance(peer, code, "ON_SCENE"))
        stack.sql(self.ERASE, str(event.incident), True)
        self.assertEqual(self.narratives(event)[:4], [(1, 1, False), (11, 1, False), (2, 2, True), (11, 2, True)])

    def test_a_step_that_meets_an_erasure(self):
        """The step has read the body, the erasure is not committed: the step waits, and goes in without it."""
        peer, event = self.peer(police), self.incident()
        code = self.add(peer)
        with contextlib.closing(stack.cluster.connect(stack.database)) as connection, connection.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute(self.ERASE, (str(event.incident), False))
            peer.send("UNIT_COMMAND", pb.UnitCommand(request=1, command_id=uuid.uuid4().bytes, code=code,
                                                     assign={"incident_id": event.incident.bytes}))
            wait_until(lambda: stack.sql("SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation"
                                         " WHERE c.relname = 'erasure' AND NOT l.granted")[0][0], 5, "the step waits")
            self.assertIsNone(peer.receive(0.2))
            cursor.execute("COMMIT")
        self.done(peer.expect("COMMAND_DONE", "REFUSED"))
        self.assertEqual(self.narratives(event), [(1, 1, False), (8, 1, False), (11, 1, False)])


class ListTest(UnitTest):
    def test_pages_by_code_and_filters_and_no_other_agency(self):
        peer, theirs = self.peer(ambulance), self.peer(police)
        mine = sorted(self.add(peer, f"PAGE-{i}", discipline="AMBULANCE", capabilities=["ALS"]) for i in range(7))
        self.add(theirs, "PAGE-X")
        self.done(self.unit(peer, "PAGE-3", "position", {"point": {"lat": THIKA[0], "lon": THIKA[1]}}))
        self.done(self.unit(peer, "PAGE-5", "out_of_service"))
        got, after, pages = [], b"PAGE-", 0
        while after:
            listed = self.ask(peer, "UNIT_LIST", pb.UnitList(limit=3, after=b"PAGE" if after == b"PAGE-" else after))
            got += [u for u in listed.units if u.code.startswith("PAGE-")]
            after, pages = listed.page, pages + 1
        self.assertEqual([u.code for u in got], mine)
        self.assertGreaterEqual(pages, 3)
        unit = got[3]
        self.assertEqual((unit.position.lat, unit.position.lon, unit.record.discipline, list(unit.record.capabilities), unit.version),
                         (*THIKA, "AMBULANCE", ["ALS"], 1))
        self.assertLess(abs(unit.position_at_us / 1e6 - time.time()), 60)
        out = self.ask(peer, "UNIT_LIST", pb.UnitList(state=pb.UNIT_STATE_OUT_OF_SERVICE))
        self.assertEqual([u.code for u in out.units if u.code.startswith("PAGE-")], ["PAGE-5"])
        self.assertEqual({u.state for u in out.units}, {pb.UNIT_STATE_OUT_OF_SERVICE})
        self.assertEqual(len(self.ask(peer, "UNIT_LIST", pb.UnitList(discipline="FIRE")).units), 0)
        self.assertEqual([u.code for u in self.ask(peer, "UNIT_LIST", pb.UnitList(code="PAGE-X")).units], [])

    def test_an_assignment_shows_its_steps(self):
        peer, event = self.peer(ambulance), self.incident()
        code = self.add(peer)
        self.done(self.assign(peer, code, event))
        self.done(self.advance(peer, code, "ON_SCENE"))
        unit, = self.ask(peer, "UNIT_LIST", pb.UnitList(code=code)).units
        self.assertEqual(unit.incident_id, event.incident.bytes)
        self.assertTrue(unit.assignment_id)
        self.assertGreaterEqual(unit.on_scene_at_us, unit.dispatched_at_us)
        self.assertEqual(unit.state_at_us, unit.on_scene_at_us)
        self.assertEqual((unit.en_route_at_us, unit.transporting_at_us), (0, 0))

    def test_bad_questions(self):
        peer = self.peer(police)
        self.refused(self.ask(peer, "UNIT_LIST", pb.UnitList(limit=501)), "RULE_VIOLATION", "limit")
        self.refused(self.ask(peer, "UNIT_LIST", pb.UnitList(after=b"not a code")), "INVALID_SCHEMA", "after")
        self.refused(self.ask(peer, "UNIT_LIST", pb.UnitList(after=b"A" * 100)), "INVALID_SCHEMA", "after")
        self.refused(self.ask(peer, "UNIT_LIST", pb.UnitList(code="x")), "RULE_VIOLATION", "code")
        self.refused(self.ask(peer, "UNIT_LIST", pb.UnitList(discipline="x")), "RULE_VIOLATION", "discipline")
        self.refused(self.ask(peer, "UNIT_RECOMMEND", pb.UnitRecommend()), "RULE_VIOLATION", "incident_id")
        self.refused(self.ask(peer, "AID_LIST", pb.AidList(after=b"1")), "RULE_VIOLATION", "after")

    def test_the_ladder_is_the_services_own(self):
        rows = self.ask(self.peer(police), "UNIT_LIST", pb.UnitList(ladder=True)).ladder
        self.assertIn(("ON_SCENE", "CLEAR", "CLEARED", True), [
            (pb.UnitState.Name(r.to and getattr(r, "from"))[11:], r.event, pb.UnitState.Name(r.to)[11:], r.ends) for r in rows])
        self.assertEqual(len(rows), 20)

    def test_metrics_count_units_by_state(self):
        counts = {state: n for state, n in stack.sql("SELECT state, count(*) FROM dispatch.unit WHERE removed_at IS NULL GROUP BY 1")}
        wait_until(lambda: dispatch.metric("jukwaa_dispatch_units", 'state="AVAILABLE"') == counts.get(1, 0), 12, "gauge")


class NearestTest(UnitTest):
    discipline = 0

    def setUp(self):
        super().setUp()
        NearestTest.discipline += 1
        self.word = f"NEAR_{NearestTest.discipline}"

    def near(self, peer, event, capabilities=(), limit=0):
        return self.ask(peer, "UNIT_RECOMMEND", pb.UnitRecommend(
            incident_id=event.incident.bytes, discipline=self.word, capabilities=capabilities, limit=limit))

    def put(self, key, at, **fields):
        return self.add(self.peer(key), discipline=self.word, at=at, **fields)

    def test_nearest_first_and_why_others_are_not_there(self):
        peer, event = self.peer(police), self.incident(point=NAIROBI)
        far, near = self.put(police, MOMBASA), self.put(police, THIKA)
        theirs, next_door = self.put(ambulance, (-1.2864, 36.9)), self.put(ambulance, (-1.2864, 36.8173))
        busy, out = self.put(police, NAIROBI), self.put(ambulance, NAIROBI)
        self.put(police, NAIROBI, capabilities=["BOAT"])
        self.put(blind, NAIROBI)
        self.put(viewer, NAIROBI)
        self.put(coast, NAIROBI)
        self.done(self.assign(peer, busy, self.incident()))
        self.done(self.unit(self.peer(ambulance), out, "out_of_service"))
        got = self.near(peer, event, ["PATROL"])
        self.assertEqual([c.code for c in got.choices], [next_door, theirs, near, far])
        self.assertEqual(got.order, pb.UNIT_ORDER_DISTANCE)
        self.assertEqual([c.distance_km for c in got.choices], [1, 9, round(km(NAIROBI, THIKA), 1), round(km(NAIROBI, MOMBASA), 1)])
        self.assertEqual((got.further, got.busy, got.out_of_service, got.lacking, got.not_allowed), (0, 1, 1, 1, 3))
        self.assertTrue(all(c.allowed_by.startswith("allow:") for c in got.choices))
        # Of another agency's unit: code, agency, discipline, distance, why.
        named = {f.name for f, _ in got.choices[0].ListFields()}
        self.assertEqual(named, {"code", "agency", "discipline", "distance_km", "same_county", "allowed_by"})
        self.assertEqual((got.choices[2].version, list(got.choices[2].capabilities)), (1, ["PATROL"]))
        short = self.near(peer, event, ["PATROL"], limit=1)
        self.assertEqual(([c.code for c in short.choices], short.further), ([next_door], 3))

    def test_a_position_counts_for_an_hour(self):
        peer, event = self.peer(police), self.incident(point=NAIROBI)
        code = self.put(police, MOMBASA)
        self.done(self.unit(peer, code, "position", {"point": {"lat": THIKA[0], "lon": THIKA[1]}}))
        choice, = self.near(peer, event).choices
        self.assertEqual(choice.distance_km, round(km(NAIROBI, THIKA), 1))
        self.assertTrue(choice.HasField("position_age_s"))
        stack.sql("UPDATE dispatch.unit SET position_at = now() - interval '61 minutes' WHERE code = %s", code)
        choice, = self.near(peer, event).choices
        self.assertEqual(choice.distance_km, round(km(NAIROBI, MOMBASA), 1))
        self.assertFalse(choice.HasField("position_age_s"))

    def test_without_a_point_its_county_comes_first(self):
        peer, event = self.peer(police), self.incident(counties=("022",))
        away, home = self.put(police, NAIROBI, county="047"), self.put(ambulance, MOMBASA, county="022")
        got = self.near(peer, event)
        self.assertEqual((got.order, [(c.code, c.same_county) for c in got.choices]),
                         (pb.UNIT_ORDER_COUNTY, [(home, True), (away, False)]))
        self.assertFalse(got.choices[0].HasField("distance_km"))

    def test_who_may_not_know_the_point_does_not_learn_it_from_distances(self):
        event = self.incident(point=NAIROBI)
        self.put(coarse, THIKA)
        got = self.near(self.peer(coarse), event)
        self.assertEqual(got.order, pb.UNIT_ORDER_COUNTY)
        self.assertFalse(got.choices[0].HasField("distance_km"))
        self.assertEqual(got.choices[0].allowed_by, "agreement:KPS-COARSE@1")

    def test_who_may_not_answer_may_not_ask(self):
        event, closed = self.incident(point=NAIROBI), self.incident(point=NAIROBI)
        self.close(closed)
        self.refused(self.near(self.peer(blind), event), "NOT_FOUND", "incident_id")
        self.refused(self.near(self.peer(blind), Event()), "NOT_FOUND", "incident_id")
        self.refused(self.near(self.peer(viewer), event), "NOT_PERMITTED", "incident_id")
        self.refused(self.near(self.peer(police), closed), "WRONG_STATE", "incident_id")


class AidTest(UnitTest):
    def aid(self, peer, action, sub=None, aid=None, **fields):
        return self.command(peer, "AID_COMMAND", aid_id=aid or b"", **{action: sub if sub is not None else {}}, **fields)

    def request(self, peer, event, to="", count=4):
        return self.done(self.aid(peer, "ask", {"incident_id": event.incident.bytes, "capability": "RESCUE_BOAT", "count": count,
                                                "to_agency": to}), "REQUESTED", 1).thing_id

    def listed(self, key, event):
        return list(self.ask(self.peer(key), "AID_LIST", pb.AidList(incident_id=event.incident.bytes)).aids)

    def told(self, event):
        return [(s.aid_id, pb.AidState.Name(s.to)[10:], s.count, s.giver) for _, s, _ in self.steps(event, feed.AID)]

    def test_asked_offered_taken_released_returned(self):
        asker, giver, event = self.peer(police), self.peer(ambulance), self.incident()
        aid = self.request(asker, event, "KRCS")
        self.done(self.aid(giver, "offer", {"count": 3}, aid), "OFFERED", 2)
        self.done(self.aid(giver, "offer", {"count": 2}, aid), "OFFERED", 3)
        self.done(self.aid(asker, "commit", aid=aid), "COMMITTED", 4)
        self.done(self.aid(asker, "release", aid=aid), "RELEASED", 5)
        self.done(self.aid(giver, "return_back", aid=aid), "RETURNED", 6)
        self.assertEqual(self.told(event), [(aid, *rest) for rest in (
            ("REQUESTED", 4, "KRCS"), ("OFFERED", 3, "KRCS"), ("OFFERED", 2, "KRCS"), ("COMMITTED", 2, "KRCS"), ("RELEASED", 2, "KRCS"),
            ("RETURNED", 2, "KRCS"))])
        for key in (police, ambulance):
            row, = self.listed(key, event)
            self.assertEqual((row.aid_id, row.requester, row.giver, row.count, row.offered, row.state),
                             (aid, "POLICE", "KRCS", 4, 2, pb.AID_STATE_RETURNED))
        self.assertEqual(self.listed(coarse, event), [])

    def test_a_request_to_all_has_one_row_for_each_answer(self):
        asker, one, two, event = self.peer(police), self.peer(ambulance), self.peer(coarse), self.incident()
        aid = self.request(asker, event)
        for key in (ambulance, coarse):
            self.assertEqual([r.aid_id for r in self.listed(key, event)], [aid])
        for key in (blind, viewer, coast):
            self.assertEqual(self.listed(key, event), [])
        first = self.done(self.aid(one, "offer", {"count": 1}, aid), "OFFERED", 1).thing_id
        second = self.done(self.aid(two, "decline", {"reason": "none here"}, aid), "DECLINED", 1).thing_id
        self.assertEqual(len({aid, first, second}), 3)
        self.refused(self.aid(one, "offer", {"count": 1}, aid), "WRONG_STATE", "aid_id")
        # Each sees the request and its own answer; the requester all.
        self.assertEqual({r.aid_id for r in self.listed(ambulance, event)}, {aid, first})
        self.assertEqual({r.aid_id for r in self.listed(coarse, event)}, {aid, second})
        self.assertEqual({r.aid_id: r.asked_id for r in self.listed(police, event)}, {aid: b"", first: aid, second: aid})
        self.refused(self.aid(two, "decline", {"reason": "x"}, first), "NOT_FOUND", "aid_id")
        self.done(self.aid(asker, "commit", aid=first), "COMMITTED")
        self.done(self.aid(asker, "withdraw", {"reason": "enough"}, aid), "WITHDRAWN")
        self.assertEqual({r.aid_id: r.state for r in self.listed(police, event)},
                         {aid: pb.AID_STATE_WITHDRAWN, first: pb.AID_STATE_COMMITTED, second: pb.AID_STATE_DECLINED})

    def test_a_withdrawn_request_takes_its_offers_with_it(self):
        asker, event = self.peer(police), self.incident()
        aid = self.request(asker, event)
        offer = self.done(self.aid(self.peer(ambulance), "offer", {"count": 1}, aid)).thing_id
        self.refused(self.aid(asker, "withdraw", {"reason": "x"}, aid, version=1), "STALE_VERSION", "version")
        self.done(self.aid(asker, "withdraw", {}, aid), "WITHDRAWN")
        self.refused(self.aid(asker, "commit", aid=offer), "WRONG_STATE", "")
        self.assertEqual([t[:2] for t in self.told(event)], [(aid, "REQUESTED"), (offer, "OFFERED"), (aid, "WITHDRAWN"), (offer, "WITHDRAWN")])

    def test_who_is_no_party_and_who_may_not(self):
        asker, giver, event = self.peer(police), self.peer(ambulance), self.incident()
        aid = self.request(asker, event, "KRCS")
        absent = self.refused(self.aid(giver, "commit", aid=uuid.uuid4().bytes), "NOT_FOUND", "aid_id")
        for key in (coarse, blind, viewer):
            for action, sub in (("offer", {"count": 1}), ("decline", {"reason": "x"}), ("commit", {}), ("withdraw", {})):
                self.assertEqual(self.refused(self.aid(self.peer(key), action, sub, aid), "NOT_FOUND", "aid_id").reason, absent.reason)
        for peer, action, sub in ((asker, "offer", {"count": 1}), (giver, "commit", {}), (giver, "withdraw", {}), (giver, "return_back", {}),
                                  (asker, "return_back", {}), (asker, "release", {}), (asker, "decline", {"reason": "x"})):
            self.refused(self.aid(peer, action, sub, aid), "WRONG_STATE", "")
        self.refused(self.aid(giver, "decline", {}, aid), "RULE_VIOLATION", "reason")
        self.assertEqual(len(self.told(event)), 1)

    def test_what_is_absurd_is_refused(self):
        asker, event, closed = self.peer(police), self.incident(), self.incident()
        self.close(closed)
        good = {"incident_id": event.incident.bytes, "capability": "BOAT", "count": 1}
        for fields, code, field in (({"count": 0}, "RULE_VIOLATION", "count"), ({"count": 1001}, "RULE_VIOLATION", "count"),
                                    ({"count": 2**32 - 1}, "RULE_VIOLATION", "count"), ({"capability": ""}, "RULE_VIOLATION", "capability"),
                                    ({"capability": "x"}, "RULE_VIOLATION", "capability"),
                                    ({"needed_by_us": -1}, "RULE_VIOLATION", "needed_by_us"),
                                    ({"needed_by_us": 2**63 - 1}, "RULE_VIOLATION", "needed_by_us"),
                                    ({"to_agency": "NOWHERE"}, "RULE_VIOLATION", "to_agency"),
                                    ({"to_agency": "POLICE"}, "RULE_VIOLATION", "to_agency"),
                                    ({"to_agency": "NONE"}, "RULE_VIOLATION", "to_agency"),
                                    ({"incident_id": closed.incident.bytes}, "WRONG_STATE", "incident_id"),
                                    ({"incident_id": uuid.uuid4().bytes}, "NOT_FOUND", "incident_id")):
            self.refused(self.aid(asker, "ask", {**good, **fields}), code, field)
        self.refused(self.aid(self.peer(viewer), "ask", good), "NOT_PERMITTED", "incident_id")
        self.refused(self.aid(self.peer(blind), "ask", good), "NOT_FOUND", "incident_id")
        self.refused(self.aid(asker, "commit"), "RULE_VIOLATION", "aid_id")
        self.refused(self.aid(asker, "ask", good, uuid.uuid4().bytes), "RULE_VIOLATION", "aid_id")
        self.assertEqual(stack.sql("SELECT count(*) FROM dispatch.aid WHERE incident_id = %s", str(event.incident)), [(0,)])

    def test_needed_by_comes_back_as_it_was_given(self):
        asker, event = self.peer(police), self.incident()
        at = 1900000000123456
        self.done(self.aid(asker, "ask", {"incident_id": event.incident.bytes, "capability": "BOAT", "count": 1, "needed_by_us": at}))
        self.assertEqual(self.listed(police, event)[0].needed_by_us, at)

    def test_a_member_of_a_task_force_that_the_owner_is_not_in_is_named_to_its_fellows_alone(self):
        def write(name, content):
            path = stack.run / name
            path.write_text(json.dumps(content))
            return path
        rangers, wardens = stack.add_desk("RANGERS", agency="KWS", allow=()), stack.add_desk("WARDENS", agency="NCC", allow=())
        owner, signers = stack.add_desk("OWN", agency="KPS", allow=()), {}
        for agency in ("KPS", "KWS", "NCC"):
            signers[agency] = stack.new_key(f"signs-{agency}")
            stack.admin("key", "add", "--file", f"{signers[agency]}.pub", "--role", "publisher", "--agency", agency, "--may-sign")
        since = {"purpose": "p", "legal_basis": "l", "start": "2020-01-01T00:00:00Z"}
        stack.admin("taskforce", "propose", write("force.json", {
            "task_force": "HIDDEN", "version": 1, "lead": "KWS", "members": ["KWS", "NCC"], "counties": ["030"], **since,
            "end": "2099-01-01T00:00:00Z"}), "--key", signers["KWS"])
        stack.admin("taskforce", "accept", "HIDDEN", "--key", signers["NCC"])
        stack.admin("agreement", "propose", write("pact.json", {
            "agreement": "KPS-FORCE", "version": 1, "kind": "MUTUAL_CONSENT", "provider": "KPS", "recipient": "taskforce:HIDDEN",
            "counties": ["030"], "all_categories": True, "tlp_ceiling": "AMBER", "profile": "FULL@1", "actions": ["VIEW", "RESPOND"],
            **since}), "--key", signers["KPS"])
        stack.admin("agreement", "accept", "KPS-FORCE", "--key", signers["KWS"])
        for key in (rangers, wardens, owner):
            stack.wait_known(key, "dispatch")
        event = self.incident(counties=("030",))

        def names(key):
            return {row.aid_id: (row.requester, row.giver) for row in self.listed(key, event)}
        asked = self.request(self.peer(rangers), event)
        for key, name in ((rangers, "KWS"), (wardens, "KWS"), (ambulance, ""), (owner, "")):
            self.assertEqual(names(key), {asked: (name, "")})
        offer = self.done(self.aid(self.peer(ambulance), "offer", {"count": 1}, asked), "OFFERED").thing_id
        self.assertEqual(names(rangers)[offer], ("KWS", "KRCS"))
        self.assertEqual(names(ambulance)[offer], ("", "KRCS"))  # who offers learns no more by it
        plain = self.request(self.peer(police), event)
        given = self.done(self.aid(self.peer(wardens), "offer", {"count": 1}, plain), "OFFERED").thing_id
        self.assertEqual(names(wardens)[given], ("POLICE", "NCC"))
        self.assertEqual({aid: names(police)[aid] for aid in (plain, given)}, {plain: ("POLICE", ""), given: ("POLICE", "")})
        self.assertEqual(names(owner)[plain], ("POLICE", ""))
        self.assertEqual([(work.agency, step.giver) for _, step, work in self.steps(event, feed.AID)],
                         [("", ""), ("", ""), ("POLICE", ""), ("", "")])

    def test_pages_of_requests(self):
        asker, event = self.peer(police), self.incident()
        ids = [self.request(asker, event) for _ in range(5)]
        got, after = [], b""
        while True:
            listed = self.ask(self.peer(ambulance), "AID_LIST", pb.AidList(incident_id=event.incident.bytes, limit=2, after=after))
            got += [r.aid_id for r in listed.aids]
            after = listed.page
            if not after:
                break
        self.assertEqual(got, ids[::-1])


class CliTest(UnitTest):
    def run_cli(self, key, *args, status=0):
        done = stack.cli(key, *args, check=False)
        self.assertEqual(done.returncode, status, done.stderr + done.stdout)
        self.assertTrue(all(len(line) <= 80 for line in done.stdout.splitlines()), done.stdout)
        return done

    def test_the_units_of_a_desk(self):
        event = self.incident(point=NAIROBI)
        incident = str(event.incident)
        self.run_cli(police, "unit", "add", "CLI-1", "--discipline", "CLI", "--at", "-1.0333,37.0693", "--capability", "PATROL",
                     "--county", "022")
        self.run_cli(police, "unit", "position", "CLI-1", "--at", "-1.2864,36.8")
        rows, status = stack.cli_json(police, "unit", "recommend", incident, "--discipline", "CLI", "--capability", "PATROL")
        self.assertEqual((status, rows[0]["choices"][0]["code"], rows[0]["choices"][0]["distance_km"]), (0, "CLI-1", 1.9))
        self.assertIn("CLI-1", self.run_cli(police, "unit", "recommend", incident, "--discipline", "CLI").stdout)
        same = str(uuid.uuid4())
        self.assertIn("DISPATCHED", self.run_cli(police, "unit", "assign", "CLI-1", incident, "--command-id", same).stdout)
        self.assertIn("done before", self.run_cli(police, "unit", "assign", "CLI-1", incident, "--command-id", same).stdout)
        for state in ("en-route", "on-scene", "transporting", "cleared", "available"):
            self.run_cli(police, "unit", "advance", "CLI-1", state)
        self.assertIn("WRONG_STATE", self.run_cli(police, "unit", "advance", "CLI-1", "cleared", status=1).stderr)
        self.run_cli(police, "unit", "change", "CLI-1", "--discipline", "CLI", "--at", "-1,37", "--version", "7")
        self.run_cli(police, "unit", "out-of-service", "CLI-1", "--reason", "rest")
        self.assertIn("OUT_OF_SERVICE", self.run_cli(police, "unit", "show", "CLI-1").stdout)
        self.run_cli(police, "unit", "in-service", "CLI-1")
        rows, _ = stack.cli_json(police, "unit", "list", "--discipline", "CLI")
        self.assertEqual([(r["code"], r["state"], r["version"]) for r in rows], [("CLI-1", "AVAILABLE", 10)])
        self.run_cli(police, "unit", "list", "--state", "available")
        self.assertIn("ON_SCENE", self.run_cli(police, "unit", "states").stdout)
        self.run_cli(police, "unit", "remove", "CLI-1")
        self.run_cli(police, "unit", "show", "CLI-1", status=1)
        self.run_cli(ambulance, "unit", "in-service", "CLI-1", status=1)
        self.run_cli(viewer, "unit", "recommend", incident, status=4)

    def test_help_of_other_agencies(self):
        event = self.incident()
        done, _ = stack.cli_json(police, "resource", "request", str(event.incident), "--capability", "BOAT", "--count", "2", "--by",
                                 "2030-01-01T00:00:00Z")
        offer, _ = stack.cli_json(ambulance, "resource", "offer", done[0]["thing_id"], "--count", "1")
        self.run_cli(police, "resource", "commit", offer[0]["thing_id"])
        self.assertIn("KRCS", self.run_cli(police, "resource", "list", "--incident", str(event.incident)).stdout)
        self.run_cli(police, "resource", "release", offer[0]["thing_id"])
        self.run_cli(ambulance, "resource", "return", offer[0]["thing_id"])
        self.run_cli(police, "resource", "withdraw", done[0]["thing_id"])
        self.run_cli(police, "resource", "decline", offer[0]["thing_id"], "--reason", "late", status=1)
        rows, _ = stack.cli_json(police, "resource", "list", "--incident", str(event.incident), "--state", "returned")
        self.assertEqual([r["offered"] for r in rows], [1])

    def test_usage(self):
        for args in (("unit",), ("unit", "fly"), ("unit", "add", "X"), ("unit", "add", "X", "--discipline", "Y"), ("unit", "assign", "X"),
                     ("unit", "position", "X", "--at", "1"), ("unit", "list", "x"), ("unit", "list", "--at", "1,2"),
                     ("unit", "advance", "X", "flying"), ("unit", "list", "--limit", "0"), ("unit", "assign", "X", "not-an-id"),
                     ("resource",), ("resource", "request", str(uuid.uuid4())), ("resource", "offer", str(uuid.uuid4()), "--count", "0")):
            self.run_cli(police, *args, status=2)


class OneBatch(UnitTest):
    """Commands that come while a commit is under way are committed together."""

    def send(self, peer, code, action, sub=None):
        peer.send("UNIT_COMMAND", pb.UnitCommand(request=number(), command_id=uuid.uuid4().bytes, code=code,
                                                 **{action: sub if sub is not None else {}}))

    @contextlib.contextmanager
    def one_batch(self, *peers):
        """What these send in here makes up one batch: one command before it waits for a row."""
        first = self.peer(police)
        code = self.add(first)
        with contextlib.closing(stack.cluster.connect(stack.database)) as connection, connection.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT 1 FROM dispatch.unit WHERE code = %s FOR UPDATE", (code,))
            self.send(first, code, "out_of_service")
            wait_until(lambda: stack.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'jukwaa-dispatch-unit'"
                                         " AND wait_event_type = 'Lock'")[0][0], 5, "it waits")
            yield
            for peer in peers:  # when this is answered, what was sent before it stands in the queue
                self.ask(peer, "UNIT_LIST", pb.UnitList(ladder=True))
            cursor.execute("COMMIT")
        self.done(first.expect("COMMAND_DONE", "REFUSED", timeout=10), "OUT_OF_SERVICE")

    def answer(self, peer):
        return peer.expect("COMMAND_DONE", "REFUSED", timeout=10)


class BatchTest(OneBatch):
    def test_a_code_is_given_again_in_the_same_batch(self):
        mine, theirs, event = self.peer(police), self.peer(ambulance), self.incident()
        code, their_code = self.add(mine), f"U{random.getrandbits(60):X}"
        with self.one_batch(mine, theirs):
            self.send(theirs, their_code, "add", {"record": self.record()})
            self.send(mine, code, "remove")
            self.send(mine, code, "add", {"record": self.record(capabilities=("BOAT",))})
            self.send(mine, code, "assign", {"incident_id": event.incident.bytes})
        for state, version in (("REMOVED", 2), ("AVAILABLE", 1), ("DISPATCHED", 2)):
            self.done(self.answer(mine), state, version)
        self.done(self.answer(theirs), "AVAILABLE", 1)
        self.assertEqual(stack.sql("SELECT u.removed_at IS NULL, u.version, u.capabilities, a.incident_id::text FROM dispatch.unit u"
                                   " LEFT JOIN dispatch.assignment a USING (unit_id) WHERE u.code = %s ORDER BY 1", code),
                         [(False, 2, ["PATROL"], None), (True, 2, ["BOAT"], str(event.incident))])

    def test_one_that_another_process_always_forestalls_is_refused_alone(self):
        mine, theirs = self.peer(police), self.peer(ambulance)
        before, stuck, after, other_one = self.add(mine), self.add(mine), self.add(mine), self.add(theirs)
        self.addCleanup(stack.sql, "DROP FUNCTION public.forestall CASCADE")
        stack.sql("CREATE FUNCTION public.forestall() RETURNS trigger LANGUAGE plpgsql AS"
                  " $$ BEGIN RAISE EXCEPTION 'a row changed in between' USING ERRCODE = 'serialization_failure'; END $$")
        stack.sql("CREATE TRIGGER forestall BEFORE UPDATE ON dispatch.unit FOR EACH ROW WHEN (NEW.code = %s)"
                  " EXECUTE FUNCTION public.forestall()", stuck)
        with self.one_batch(mine, theirs):
            for code in (before, stuck, after):
                self.send(mine, code, "out_of_service")
            self.send(theirs, other_one, "out_of_service")
        self.done(self.answer(mine), "OUT_OF_SERVICE", 2)
        self.refused(self.answer(mine), "UNAVAILABLE", "")
        self.done(self.answer(mine), "OUT_OF_SERVICE", 2)
        self.done(self.answer(theirs), "OUT_OF_SERVICE", 2)
        self.assertEqual(stack.sql("SELECT code, state FROM dispatch.unit WHERE code = ANY (%s) AND state <> 7",
                                   [before, stuck, after, other_one]), [(stuck, 1)])


class OvertakenTest(OneBatch):
    """A newer report has been stored, and dispatch has not read it yet: nothing is appended behind it with the older one's body."""

    def test_a_step_waits_for_the_newest_report(self):
        for counties in (("047",), ("047", "022", "001", "010", "011")):  # few events and many are appended in two ways
            with self.subTest(counties=len(counties)):
                peer, event = self.peer(police), self.incident(counties=counties)
                code, ident, newer = self.add(peer), uuid.uuid4().bytes, feed.report_ahead(stack, event)
                answer = self.refused(self.assign(peer, code, event, command_id=ident), "UNAVAILABLE", "")
                self.assertIn("newer report", answer.reason)
                self.assertEqual(feed.revisions(stack, event), [(1, 1)] * len(counties))
                append(stack, newer)
                wait_until(lambda: self.assign(peer, code, event, command_id=ident).DESCRIPTOR.name == "CommandDone", 10, "done")
                self.assertEqual(feed.revisions(stack, event), [(1, 1), (2, 2), (11, 2)] * len(counties))

    def test_others_of_its_batch_do_not_wait(self):
        mine, theirs, event, late = self.peer(police), self.peer(ambulance), self.incident(), self.incident()
        codes, their_code = [self.add(mine) for _ in range(3)], self.add(theirs)
        feed.report_ahead(stack, late)
        with self.one_batch(mine, theirs):
            for code, which in zip(codes, (late, event, late)):
                self.send(mine, code, "assign", {"incident_id": which.incident.bytes})
            self.send(theirs, their_code, "assign", {"incident_id": event.incident.bytes})
        self.refused(self.answer(mine), "UNAVAILABLE", "")
        self.done(self.answer(mine), "DISPATCHED", 2)
        self.refused(self.answer(mine), "UNAVAILABLE", "")
        self.done(self.answer(theirs), "DISPATCHED", 2)
        self.assertEqual(feed.revisions(stack, late), [(1, 1)])


class AgainTest(UnitTest):
    def test_a_command_that_comes_again_is_done_once(self):
        peer, event = self.peer(police), self.incident()
        code, same = self.add(peer), uuid.uuid4().bytes
        first = self.done(self.assign(peer, code, event, command_id=same))
        again = self.done(self.assign(self.peer(police), code, event, command_id=same))
        self.assertFalse(first.repeated)
        self.assertTrue(again.repeated)
        self.assertEqual((again.thing_id, again.version, again.state), (first.thing_id, first.version, first.state))
        self.refused(self.advance(peer, code, "EN_ROUTE", command_id=same), "RULE_VIOLATION", "command_id")
        self.refused(self.assign(self.peer(other), code, event, command_id=same), "RULE_VIOLATION", "command_id")
        # Another agency may have made the same id.
        self.done(self.unit(self.peer(ambulance), code, "add", {"record": self.record()}, command_id=same))
        self.assertEqual(len(self.steps(event)), 1)

    def test_the_same_id_many_times_at_once(self):
        peer, event = self.peer(police), self.incident()
        code, same = self.add(peer), uuid.uuid4().bytes
        for i in range(20):
            peer.send("UNIT_COMMAND", pb.UnitCommand(request=i + 1, command_id=same, code=code,
                                                     assign={"incident_id": event.incident.bytes}))
        answers = [self.done(peer.expect("COMMAND_DONE", "REFUSED")) for _ in range(20)]
        self.assertEqual(sum(not a.repeated for a in answers), 1)
        self.assertEqual(len(self.steps(event)), 1)

    def test_two_desks_send_the_same_unit_at_once(self):
        event, peers = self.incident(), [self.peer(police), self.peer(other)]
        for _ in range(20):
            code = self.add(peers[0])
            barrier, answers = threading.Barrier(2), [None, None]

            def send(i):
                barrier.wait()
                answers[i] = self.assign(peers[i], code, event)
            threads = [threading.Thread(target=send, args=(i,)) for i in (0, 1)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(sorted(type(a).__name__ for a in answers), ["CommandDone", "Refused"], answers)
        self.assertEqual(stack.sql("SELECT count(*) FROM dispatch.assignment WHERE incident_id = %s", str(event.incident)), [(20,)])

    def test_two_processes_on_one_database(self):
        """Another dispatch decides upon the same rows: the database's guards, not the process, keep a unit on one incident."""
        from jukwaa_harness import Service, free_port
        env, port = dict(dispatch.env), free_port()
        listen = free_port()
        env.update(JUKWAA_LISTEN=f"tcp://127.0.0.1:{listen}", JUKWAA_HTTP_LISTEN=f"127.0.0.1:{port}")
        second = Service("dispatch", env, port).start()
        self.addCleanup(second.stop)
        event, here = self.incident(), self.peer(police)
        from jukwaa_harness import Peer
        there = Peer(env["JUKWAA_LISTEN"], other, f"{stack.server_key}.pub")
        self.peers.append(there)
        wait_until(lambda: there.hello(timeout=1), 10, "welcome")
        codes = [self.add(here) for _ in range(40)]
        for i, code in enumerate(codes):
            for peer in (here, there):
                peer.send("UNIT_COMMAND", pb.UnitCommand(request=i + 1, command_id=uuid.uuid4().bytes, code=code,
                                                         assign={"incident_id": event.incident.bytes}))
        done, refused = [], []
        for peer in (here, there):
            for _ in codes:
                answer = peer.expect("COMMAND_DONE", "REFUSED", timeout=15)
                (done if isinstance(answer, pb.CommandDone) else refused).append(answer)
        self.assertEqual(len(done), 40, refused[:3])
        self.assertEqual({pb.Code.Name(r.code) for r in refused}, {"CODE_WRONG_STATE"})
        self.assertEqual(stack.sql("SELECT count(*), count(DISTINCT unit_id) FROM dispatch.assignment WHERE incident_id = %s",
                                   str(event.incident)), [(40, 40)])
        self.assertEqual(len(self.steps(event)), 40)

    def test_kill_9_in_the_middle(self):
        """Killed again and again under load, commands repeated with their ids: each is done once, and told once."""
        peer, event = self.peer(police), self.incident()
        codes = [self.add(peer) for _ in range(8)]
        wanted = [("assign", {"incident_id": event.incident.bytes})] + [
            ("advance", {"to": pb.UnitState.Value(f"UNIT_STATE_{s}")}) for s in ("EN_ROUTE", "ON_SCENE", "CLEARED", "AVAILABLE")]
        stop = threading.Event()
        deaths, rounds = [], dict.fromkeys(codes, 0)

        def kill():
            while len(deaths) < 6 and not stop.wait(0.02 + random.random() / 10):
                dispatch.kill()
                deaths.append(1)
                for _ in range(3):  # on a busy machine it may take long until it is ready
                    with contextlib.suppress(AssertionError):
                        dispatch.start()
                        break
                    dispatch.kill()
        killer = threading.Thread(target=kill)
        killer.start()
        try:
            peers = {}

            def run(code):
                while len(deaths) < 5 or rounds[code] < 3:
                    rounds[code] += 1
                    for action, sub in wanted:
                        self.insist(peers, code, action, sub)
            threads = [threading.Thread(target=run, args=(code,)) for code in codes]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(300)
        finally:
            stop.set()
            killer.join()
        self.assertGreaterEqual(len(deaths), 5)
        steps = [s for _, s, _ in self.steps(event)]
        self.assertEqual(len(steps), 4 * sum(rounds.values()))
        self.assertEqual(dict(stack.sql("SELECT code, version FROM dispatch.unit WHERE code = ANY (%s)", codes)),
                         {code: 1 + 5 * rounds[code] for code in codes})
        told = {}
        for step in steps:
            told.setdefault(step.assignment_id, []).append(step.to)
        self.assertEqual(len(told), sum(rounds.values()))
        self.assertEqual({tuple(to) for to in told.values()}, {(2, 3, 4, 6)})

    def insist(self, peers, code, action, sub):
        """Sends the command until it is answered, each time under the same id; a new session where the old one is gone."""
        message = pb.UnitCommand(request=number(), command_id=uuid.uuid4().bytes, code=code, **{action: sub})
        end = time.monotonic() + 120
        while time.monotonic() < end:
            peer = peers.get(code)
            if peer is None:
                peer = stack.peer("dispatch", police)
                if peer.hello(timeout=1) is None:
                    peer.close()
                    continue
                peers[code] = peer
                self.peers.append(peer)
            message.session = peer.session
            peer.send("UNIT_COMMAND", message)
            got = peer.receive(1)
            if got and got[0] == "COMMAND_DONE" and got[1].request == message.request:
                return
            if got and got[0] == "REFUSED" and got[1].code != pb.CODE_UNAVAILABLE:
                raise AssertionError(got)
            peers[code] = None
        raise AssertionError("no answer")

    def test_the_database_goes_away(self):
        peer, event = self.peer(police), self.incident()
        code, same = self.add(peer), uuid.uuid4().bytes
        stack.cluster.stop()
        try:
            got = self.refused(self.assign(peer, code, event, command_id=same, timeout=15), "UNAVAILABLE")
            self.assertIn("send it again", got.reason)
            self.refused(self.ask(peer, "UNIT_LIST", pb.UnitList()), "UNAVAILABLE")
        finally:
            stack.cluster.start()
            stack.feed_connection.close()
        dispatch.wait_ready()
        end = time.monotonic() + 20
        while True:
            peer = self.peer(police)
            answer = self.assign(peer, code, event, command_id=same, timeout=15)
            if isinstance(answer, pb.CommandDone) or time.monotonic() > end:
                break
            peer.close()  # a key has only so many sessions
            time.sleep(0.2)
        self.done(answer, "DISPATCHED")
        self.assertEqual(len(self.steps(event)), 1)


if __name__ == "__main__":
    unittest.main()
