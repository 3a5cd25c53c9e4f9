"""Reading a case asks for a purpose and is recorded before the answer leaves."""
import contextlib
import random
import threading
import unittest
import uuid

import feed_events as feed
from feed_events import Event, append
from jukwaa_harness import Stack, protos, wait_until

SHOWN = ("CASE_SHOWN", "CASE_LISTED", "REFUSED")


def setUpModule():
    global stack, desk, narrow, publisher, incidents
    stack = Stack(services=("cases",))
    publisher = stack.add_publisher("KPS")
    desk = stack.add_desk("NAIROBI", agency="DESKS")
    narrow = stack.add_desk("MOMBASA", agency="COAST", allow=(("--county", "001"),))
    for key in (publisher, desk, narrow):
        stack.wait_known(key, "cases")
    incidents = [Event(counties=("047",), headline=f"Number {i}") for i in range(5)]
    for event in incidents:
        append(stack, event)
    wait_until(lambda: stack.sql('SELECT count(*) FROM cases."case"') == [(5,)], 10, "cases")


def tearDownModule():
    stack.stop()


def records():
    return stack.sql("SELECT asked, purpose, note, granted, case_ids::text[], under, query, agency_id, desk_id, key_id, policy_version"
                     " FROM cases.access ORDER BY access_id")


@contextlib.contextmanager
def records_locked():
    """Nothing can be recorded within."""
    with contextlib.closing(stack.cluster.connect(stack.database)) as connection, connection.cursor() as cursor:
        connection.autocommit = False
        cursor.execute("LOCK TABLE cases.access IN SHARE MODE")
        yield
        connection.rollback()


class AccessTest(unittest.TestCase):
    def setUp(self):
        self.pb = protos()
        self.before = len(records())

    def peer(self, key):
        peer = stack.peer("cases", key)
        self.addCleanup(peer.close)
        self.assertIsNotNone(peer.hello())
        return peer

    def new_records(self):
        return records()[self.before:]

    def send_show(self, peer, case_id, purpose="RESPONSE", request=1, **fields):
        peer.send("CASE_SHOW", self.pb.CaseShow(request=request, case_id=uuid.UUID(str(case_id)).bytes,
                                                purpose=self.pb.CasePurpose.Value(f"CASE_PURPOSE_{purpose}"), **fields))

    def show(self, peer, case_id, purpose="RESPONSE", **fields):
        self.send_show(peer, case_id, purpose, **fields)
        return peer.expect(*SHOWN)

    def assert_refused(self, answer, code, field=""):
        self.assertEqual((answer.DESCRIPTOR.name, self.pb.Code.Name(getattr(answer, "code", 0)), getattr(answer, "field", "")),
                         ("Refused", f"CODE_{code}", field), answer)


class PurposeTest(AccessTest):
    def test_without_a_purpose_nothing_is_shown(self):
        peer, case_id = self.peer(desk), incidents[0].incident.bytes
        for kind, message in (("CASE_SHOW", self.pb.CaseShow(request=1, case_id=case_id)), ("CASE_LIST", self.pb.CaseList(request=1)),
                              ("CASE_SHOW", self.pb.CaseShow(request=1, case_id=case_id, purpose_note="because"))):
            peer.send(kind, message)
            answer = peer.expect(*SHOWN)
            self.assert_refused(answer, "RULE_VIOLATION", "purpose")
            self.assertIn("INVESTIGATION", answer.reason)
        peer.send("CASE_SHOW", self.pb.CaseShow(request=1, case_id=case_id, purpose=99))
        self.assertEqual(peer.expect(*SHOWN).DESCRIPTOR.name, "Refused")
        self.assert_refused(self.show(peer, incidents[0].incident, purpose_note="é" * 101), "OVERSIZE", "purpose_note")
        self.assertEqual(self.new_records(), [])

    def test_what_is_recorded(self):
        peer, event = self.peer(desk), incidents[1]
        answer = self.show(peer, event.incident, "INVESTIGATION", purpose_note="é" * 100)
        self.assertEqual(answer.summary.case_id, event.incident.bytes)
        peer.send("CASE_LIST", self.pb.CaseList(request=2, purpose=self.pb.CASE_PURPOSE_STATISTICS, counties=["047", "001"], limit=3,
                                                include_test=True, state=self.pb.CASE_STATE_NEW))
        page = peer.expect(*SHOWN)
        shown, listed = self.new_records()
        row, = stack.sql("SELECT a.agency_id, d.desk_id, k.key_id, v.version FROM registry.desk d JOIN registry.agency a USING (agency_id)"
                         " JOIN registry.key k USING (desk_id), registry.version v WHERE d.code = 'NAIROBI'")
        allow, = stack.sql("SELECT 'allow:' || allow_id FROM registry.allow a JOIN registry.desk d USING (desk_id) WHERE d.code = 'NAIROBI'")
        self.assertEqual(shown, ("SHOW", "INVESTIGATION", "é" * 100, True, [str(event.incident)], [allow[0]], "", *row))
        self.assertEqual([str(uuid.UUID(bytes=case.case_id)) for case in page.cases], listed[4])
        self.assertEqual(listed[4], [str(e.incident) for e in reversed(incidents[2:])])
        self.assertEqual(listed[:4] + listed[5:], ("LIST", "STATISTICS", "", True, [allow[0]] * 3,
                                                   "counties=001,047 state=NEW include_test limit=3", *row))
        self.assertEqual({case.allowed_by for case in page.cases} | {answer.summary.allowed_by}, {allow[0]})
        peer.send("CASE_LIST", self.pb.CaseList(request=3, purpose=self.pb.CASE_PURPOSE_AUDIT, after=page.page))
        self.assertEqual(len(peer.expect(*SHOWN).cases), 2)
        self.assertEqual(self.new_records()[-1][6], f"limit=50 after={incidents[2].incident}")

    def test_an_owner_is_recorded_too(self):
        self.assertEqual(self.show(self.peer(publisher), incidents[0].incident, "FOLLOW_UP").summary.allowed_by, "owner")
        (record,) = self.new_records()
        self.assertEqual((record[1], record[5], record[8]), ("FOLLOW_UP", ["owner"], None))

    def test_what_may_not_be_seen_is_answered_as_what_is_not_there(self):
        """Same bytes; and both attempts are recorded, as not granted."""
        peer, unknown = self.peer(narrow), feed.new_id()
        answers = [self.show(peer, case_id, "AUDIT", purpose_note="curious") for case_id in (incidents[0].incident, unknown)]
        self.assert_refused(answers[0], "NOT_FOUND", "case_id")
        self.assertEqual(answers[0].SerializeToString(), answers[1].SerializeToString())
        self.assertEqual([record[:6] for record in self.new_records()],
                         [("SHOW", "AUDIT", "curious", False, [str(i)], [""]) for i in (incidents[0].incident, unknown)])

    def test_the_list_of_who_may_see_none_is_recorded(self):
        peer = self.peer(narrow)
        peer.send("CASE_LIST", self.pb.CaseList(request=1, purpose=self.pb.CASE_PURPOSE_AUDIT))
        self.assertEqual(len(peer.expect(*SHOWN).cases), 0)
        self.assertEqual([record[:6] for record in self.new_records()], [("LIST", "AUDIT", "", True, [], [])])


class BeforeTest(AccessTest):
    """First the record, then the answer."""

    def test_no_answer_while_nothing_can_be_recorded(self):
        peer = self.peer(desk)
        with records_locked():
            self.send_show(peer, incidents[0].incident)
            self.send_show(peer, feed.new_id(), request=2)
            for _ in range(2):  # not even that there is none
                self.assert_refused(peer.expect(*SHOWN), "UNAVAILABLE")
        wait_until(lambda: self.show(peer, incidents[0].incident).DESCRIPTOR.name == "CaseShown", what="an answer")

    def test_a_record_that_fails_is_no_answer(self):
        peer = self.peer(desk)
        stack.sql("ALTER TABLE cases.access ADD CONSTRAINT nothing CHECK (false) NOT VALID")
        try:
            self.assert_refused(self.show(peer, incidents[0].incident), "UNAVAILABLE")
            peer.send("CASE_LIST", self.pb.CaseList(request=1, purpose=self.pb.CASE_PURPOSE_AUDIT))
            self.assert_refused(peer.expect(*SHOWN), "UNAVAILABLE")
        finally:
            stack.sql("ALTER TABLE cases.access DROP CONSTRAINT nothing")
        self.assertEqual(self.new_records(), [])
        self.assertEqual(self.show(peer, incidents[0].incident).DESCRIPTOR.name, "CaseShown")

    def test_many_are_recorded_by_one_commit(self):
        service, peers = stack.services["cases"], [self.peer(desk) for _ in range(4)]
        commits = service.metric("jukwaa_cases_access_commits_total")
        with records_locked():
            for number in range(40):
                self.send_show(peers[number % 4], incidents[number % 5].incident, request=number)
            wait_until(lambda: service.metric("jukwaa_cases_held_answers") == 40, what="all are held")
        answers = [peers[number % 4].expect(*SHOWN) for number in range(40)]
        self.assertEqual({answer.DESCRIPTOR.name for answer in answers}, {"CaseShown"})
        self.assertEqual(len(self.new_records()), 40)
        self.assertLessEqual(service.metric("jukwaa_cases_access_commits_total") - commits, 3)

    def test_a_session_has_its_share_and_no_more(self):
        peer, other = self.peer(desk), self.peer(narrow)
        with records_locked():
            for number in range(70):
                self.send_show(peer, incidents[0].incident, request=number + 1)
            early = [peer.expect(*SHOWN) for _ in range(6)]
            self.assertEqual({answer.request for answer in early}, set(range(65, 71)))
            for answer in early:
                self.assert_refused(answer, "UNAVAILABLE")
            self.send_show(other, incidents[0].incident)
            wait_until(lambda: stack.services["cases"].metric("jukwaa_cases_held_answers") == 65, what="the other's is held")
        self.assertEqual([peer.expect(*SHOWN).DESCRIPTOR.name for _ in range(64)], ["CaseShown"] * 64)
        self.assert_refused(other.expect(*SHOWN), "NOT_FOUND", "case_id")

    def test_a_policy_that_changes_meanwhile_is_not_forgotten(self):
        brief = stack.add_desk("BRIEF", agency="BRIEFLY")
        stack.wait_known(brief, "cases")
        peer = self.peer(brief)
        marker = stack.add_desk("MARKER", agency="BRIEFLY")
        stack.wait_known(marker, "cases")
        witness = self.peer(marker)
        self.assertEqual(self.show(peer, incidents[0].incident).DESCRIPTOR.name, "CaseShown")
        allow_id = stack.sql("SELECT allow_id FROM registry.allow JOIN registry.desk USING (desk_id) WHERE code = 'BRIEF'")[0][0]
        with records_locked():
            self.send_show(peer, incidents[0].incident)
            wait_until(lambda: stack.services["cases"].metric("jukwaa_cases_held_answers") == 1, what="it is held")
            stack.sql("WITH gone AS (UPDATE registry.allow SET revoked_at = now() WHERE allow_id = %s) UPDATE registry.key k"
                      " SET revoked_at = now() FROM registry.desk d WHERE d.desk_id = k.desk_id AND d.code = 'MARKER'", allow_id)
            witness.expect("BYE", timeout=1.5)
        answer = peer.expect(*SHOWN)
        self.assert_refused(answer, "UNAVAILABLE")
        self.assertIn("changed", answer.reason)
        self.assert_refused(self.show(peer, incidents[0].incident), "NOT_FOUND", "case_id")

    def test_whoever_is_held_at_the_end_is_answered(self):
        peer, service = self.peer(desk), stack.services["cases"]
        with records_locked():
            self.send_show(peer, incidents[0].incident)
            wait_until(lambda: service.metric("jukwaa_cases_held_answers") == 1, what="it is held")
            service.process.terminate()
            wait_until(lambda: service.http("/readyz")[0] != 200, what="it is stopping")
        self.assertEqual(peer.expect(*SHOWN).DESCRIPTOR.name, "CaseShown")
        self.assertEqual(service.stop(), 0)
        service.start()

    def test_kill_9_again_and_again(self):
        """Every answer that arrived has its record."""
        service, chance, answered, stop = stack.services["cases"], random.Random(15), [], threading.Event()

        def ask():
            number = 0
            while not stop.is_set():
                peer = stack.peer("cases", desk)
                good = peer.hello(timeout=1) is not None
                while good and not stop.is_set():
                    number += 1
                    for part in range(4):
                        self.send_show(peer, incidents[number % 5].incident, purpose_note=f"{number}.{part}")
                    for part in range(4):
                        got = peer.receive(0.5)
                        good = good and got is not None
                        if got and got[0] == "CASE_SHOWN":
                            answered.append(f"{number}.{part}")
                peer.close()
        thread = threading.Thread(target=ask)
        thread.start()
        try:
            for _ in range(8):
                count = len(answered)
                wait_until(lambda: len(answered) > count + chance.randint(1, 40), 20, "answers")  # noqa: B023
                service.kill()
                service.start()
        finally:
            stop.set()
            thread.join()
        recorded = {record[2] for record in self.new_records()}
        self.assertGreater(len(answered), 8)
        self.assertEqual(set(answered) - recorded, set())


class KeptTest(AccessTest):
    def test_the_service_adds_and_does_nothing_else(self):
        self.show(self.peer(desk), incidents[0].incident)
        for statement in ("SELECT count(*) FROM cases.access", "UPDATE cases.access SET purpose = 'AUDIT'", "DELETE FROM cases.access",
                          "TRUNCATE cases.access"):
            for role in ("jukwaa_cases", "jukwaa_dispatch", "jukwaa_admin"):
                if (statement, role) == ("SELECT count(*) FROM cases.access", "jukwaa_admin"):
                    continue
                with self.assertRaisesRegex(Exception, "permission denied", msg=(statement, role)):
                    stack.sql(statement, role=role)

    def test_removed_by_age(self):
        peer = self.peer(desk)
        self.show(peer, incidents[0].incident, purpose_note="old")
        self.show(peer, incidents[0].incident, purpose_note="young")
        stack.sql("UPDATE cases.access SET at = at - interval '5 days' WHERE note <> 'young'")
        stack.admin("retention", "set", "access", "6")
        self.assertIn("old", {record[2] for record in records()})
        stack.admin("retention", "set", "access", "4")
        wait_until(lambda: [record[2] for record in records()] == ["young"], 20, "the old ones are gone")
        self.assertGreater(stack.sql("SELECT removed FROM meta.removal WHERE kind = 'access'")[0][0], 0)
        stack.admin("retention", "set", "access", "forever")
        self.before = 0

    def test_auditors_see_it(self):
        peer, event = self.peer(desk), incidents[3]
        self.show(peer, event.incident, purpose_note="audited")
        peer.send("CASE_LIST", self.pb.CaseList(request=2, purpose=self.pb.CASE_PURPOSE_AUDIT))
        peer.expect(*SHOWN)
        self.show(self.peer(narrow), event.incident, "AUDIT")
        out = stack.admin("access", "list", "--case", str(event.incident)).stdout.splitlines()
        self.assertEqual(len(out), 1 + len([r for r in records() if str(event.incident) in r[4]]))
        self.assertIn("audited", out[-3])
        self.assertRegex(out[-1], r"COAST +MOMBASA .*SHOW +AUDIT +false")
        self.assertEqual(len(stack.admin("access", "list", "--agency", "COAST", "--limit", "1").stdout.splitlines()), 2)
        self.assertEqual(len(stack.admin("access", "list", "--since", "2999-01-01T00:00:00Z").stdout.splitlines()), 1)
        self.assertEqual(stack.admin("access", "list", "--case", "x", check=False).returncode, 2)


if __name__ == "__main__":
    unittest.main()
