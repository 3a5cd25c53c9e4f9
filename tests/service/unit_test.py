"""Units, recommendation and help between agencies: the real dispatch on a real database, incidents written into the feed by hand,
clients made from the .proto files."""
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
    global stack, dispatch, police, other, ambulance, blind, viewer, coast, coast_pub
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
    kps, watchers = Party(stack, "KPS"), Party(stack, "WATCHERS")
    agree(stack, "KPS-WATCH", kps, watchers, "FULL@1", actions=["VIEW"])
    for key in (police, other, ambulance, coast, blind, viewer):
        stack.wait_known(key, "dispatch")


def tearDownModule():
    stack.stop()


def number():
    return random.getrandbits(40)


def short(bytes_of_id):
    return str(uuid.UUID(bytes=bytes_of_id))


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
            while not stop.wait(0.02 + random.random() / 20):
                dispatch.kill()
                dispatch.start()
                deaths.append(1)
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
                thread.join(120)
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
        end = time.monotonic() + 60
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
        self.done(answer, "DISPATCHED")
        self.assertEqual(len(self.steps(event)), 1)


if __name__ == "__main__":
    unittest.main()
