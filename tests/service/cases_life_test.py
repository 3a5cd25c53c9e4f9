"""The life of a case: commands of desks, who may give them, what they leave in the history, the feed and the owner's mailbox."""
import hashlib
import os
import time
import unittest
import uuid

import feed_events as feed
from agreements import Party, agree
from feed_events import Event, append
from jukwaa_harness import Stack, commitment, protos, wait_until


def setUpModule():
    global stack, desk, second, owner_desk, publisher, far, blind
    stack = Stack(services=("cases",))
    publisher = stack.add_publisher("KPS")
    owner_desk = stack.add_desk("KPS-HQ", agency="KPS", allow=())
    desk = stack.add_desk("NAIROBI", agency="DESKS")
    second = stack.add_desk("EMS-1", agency="EMS")
    far = stack.add_desk("MOMBASA", agency="COAST", allow=(("--county", "001"),))
    blind = stack.add_desk("NOBODY", agency="NONE", allow=())
    for key in (publisher, owner_desk, desk, second, far, blind):
        stack.wait_known(key, "cases")


def tearDownModule():
    stack.stop()


def wait_applied(timeout=10):
    """Until cases has applied all there is."""
    wait_until(lambda: stack.sql(
        "SELECT count(*) = 0 FROM feed.head h LEFT JOIN cases.cursor c USING (stream)"
        " WHERE h.stream ~ '^[0-9]' AND h.last_seq <> coalesce(c.seq, 0)")[0][0], timeout, "cases has applied the feed")


def put(*args, **fields):
    event = Event(*args, **fields)
    append(stack, event)
    wait_applied()
    return event


def words(code):
    return protos().Code.Name(code)[5:]


class LifeTest(unittest.TestCase):
    def setUp(self):
        self.pb = protos()
        self.peers = {}
        self.addCleanup(lambda: [peer.close() for peer in self.peers.values()])

    def peer(self, key):
        if key not in self.peers:
            self.peers[key] = stack.peer("cases", key)
            self.assertIsNotNone(self.peers[key].hello(), stack.services["cases"].log()[-2000:])
        return self.peers[key]

    def command(self, key, case, version=0, command_id=None, **action):
        """The answer to one command; action: triage={}, note={"text": …}."""
        (name, fields), = action.items()
        message = self.pb.CaseCommand(request=7, command_id=command_id or os.urandom(16), case_id=uuid.UUID(str(case)).bytes, version=version)
        getattr(message, name).SetInParent()
        for field, value in fields.items():
            setattr(getattr(message, name), field, value)
        peer = self.peer(key)
        peer.send("CASE_COMMAND", message)
        return peer.expect("COMMAND_DONE", "REFUSED", timeout=10)

    def done(self, *args, **fields):
        answer = self.command(*args, **fields)
        self.assertEqual(answer.DESCRIPTOR.name, "CommandDone", answer)
        return answer

    def refused(self, code, *args, **fields):
        answer = self.command(*args, **fields)
        self.assertEqual(answer.DESCRIPTOR.name, "Refused", answer)
        self.assertEqual(words(answer.code), code, answer)
        return answer

    def version(self, case):
        return stack.sql('SELECT version FROM cases."case" WHERE case_id = %s', str(case))[0][0]

    def moved(self, key, case, **action):
        """Does one that moves, at the case's version; its state after it."""
        return self.done(key, case, self.version(case), **action).state

    def show(self, key, case):
        peer = self.peer(key)
        while True:
            peer.send("CASE_SHOW", self.pb.CaseShow(request=8, case_id=uuid.UUID(str(case)).bytes, purpose=1))
            answer = peer.expect("CASE_SHOWN", "REFUSED")
            if "has just changed" not in getattr(answer, "reason", ""):
                return answer

    def bring(self, case, *actions):
        for action in actions:
            self.moved(desk, case, **{action: {}})


class FirstTest(LifeTest):
    def test_a_case_from_new_to_closed(self):
        event = put(counties=("047", "001"))
        case = event.incident
        before = self.version(case)
        answer = self.done(desk, case, before, triage={"reason": "looked at"})
        self.assertEqual((answer.state, answer.version, answer.thing_id, answer.repeated),
                         ("TRIAGED", before + 1, case.bytes, False))
        rows = stack.sql("SELECT stream, event_id::text, revision, commitment, body FROM feed.event WHERE incident_id = %s AND kind = 9"
                         " ORDER BY stream", str(case))
        self.assertEqual([r[0] for r in rows], ["001", "047"])
        self.assertEqual(rows[0][1], rows[1][1])
        body = self.pb.EventBody.FromString(bytes(rows[0][4]))
        self.assertEqual(commitment(body.groups), bytes(rows[0][3]))
        step = self.pb.Work.FromString(body.groups[13].content)
        self.assertEqual((step.agency, step.desk, step.case_step.action, step.case_step.version), ("DESKS", "NAIROBI", "TRIAGE", before + 1))
        self.assertEqual([self.moved(desk, case, **a) for a in (
            {"assign": {"desk": "EMS-1"}}, {"start": {}}, {"hold": {"reason": "waiting for a boat"}}, {"resume": {}},
            {"resolve": {"disposition": 1}}, {"close": {}}, {"reopen": {"reason": "again"}})],
            ["ASSIGNED", "IN_PROGRESS", "ON_HOLD", "IN_PROGRESS", "RESOLVED", "CLOSED", "REOPENED"])
        mails = [self.pb.Acted.FromString(bytes(row[0])) for row in stack.sql(
            "SELECT body FROM feed.event WHERE stream = '@KPS' AND incident_id = %s AND kind = 20 ORDER BY seq", str(case))]
        self.assertEqual([(m.step, m.agency, m.desk) for m in mails],
                         [(s, "DESKS", "NAIROBI") for s in ("ASSIGNED", "IN_PROGRESS", "RESOLVED", "CLOSED")])
        wait_applied()
        # Its own events change nothing.
        self.assertEqual(self.version(case), before + 8)


if __name__ == "__main__":
    unittest.main()
