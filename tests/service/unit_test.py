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


if __name__ == "__main__":
    unittest.main()
