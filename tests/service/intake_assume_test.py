"""Intake decides a batch of new reports without loading what is known, and the commit proves it: what must come out when that
was wrong. Each test begins with a service that assumes, and sees in its metrics that it did."""
import collections
import unittest
import uuid

from intake_test import NOW_US, IntakeCase, Publisher, cap, report
from jukwaa_harness import Stack, protos, wait_until

pb = protos()


class Assuming(IntakeCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = Stack(services=("intake",))
        cls.service = cls.stack.services["intake"]
        cls.key = cls.stack.add_publisher("KRCS")
        cls.stack.wait_known(cls.key)

    @classmethod
    def tearDownClass(cls):
        cls.stack.stop()

    def setUp(self):
        self.p = Publisher(self.stack, self.key)
        self.addCleanup(self.p.peer.close)
        self.settle()

    def assumed(self, result):
        return self.service.metric("jukwaa_intake_batches_assumed_total", f'result="{result}"')

    def settle(self):
        """New reports until one is stored on an assumption; leaves the counts as they stand then."""
        def tried():
            before = self.assumed("right")
            self.assert_verdict(self.p.publish(report()), "STORED")
            return self.assumed("right") > before
        wait_until(tried, 20, "a batch that is assumed")
        self.right, self.wrong = self.assumed("right"), self.assumed("wrong")

    def assert_wrong(self, count=1):
        self.assertEqual(self.assumed("wrong") - self.wrong, count)

    def test_new_reports_are_assumed(self):
        for n in range(20):
            self.assert_verdict(self.p.publish(report(f"{self.id()}-{n}")), "STORED")
        self.assertEqual(self.assumed("right") - self.right, 20)
        self.assert_wrong(0)

    def test_a_repetition_gets_its_first_answer(self):
        message = report()
        first = self.assert_verdict(self.p.publish(message), "STORED")
        again = self.assert_verdict(self.p.publish(message), "DUPLICATE")
        self.assertEqual((again.event_id, again.positions, again.commitment), (first.event_id, first.positions, first.commitment))
        self.assert_wrong()
        message.narrative.texts[0].headline = "Something else"
        self.assert_verdict(self.p.publish(message), "CONFLICT")
        self.assert_wrong()  # the next batches are loaded at once

    def test_among_new_ones(self):
        """One known report in a batch of new ones: the others are stored once, without hole."""
        known = report()
        first = self.assert_verdict(self.p.publish(known), "STORED")
        before = self.stack.sql("SELECT count(*), max(seq) FROM feed.event WHERE stream = '047'")[0]
        self.settle()
        new = [report() for _ in range(40)]
        sent = {self.p.send(m): m for m in (*new[:20], known, *new[20:])}
        receipts = [self.p.peer.expect("RECEIPT") for _ in sent]
        verdicts = collections.Counter(pb.Verdict.Name(r.verdict)[8:] for r in receipts)
        self.assertEqual(verdicts, {"STORED": 40, "DUPLICATE": 1})
        repeated = next(r for r in receipts if r.verdict == pb.VERDICT_DUPLICATE)
        self.assertEqual(repeated.event_id, first.event_id)
        self.assertGreaterEqual(self.assumed("wrong"), self.wrong + 1)
        after = self.stack.sql("SELECT count(*), max(seq) FROM feed.event WHERE stream = '047'")[0]
        self.assertEqual(after[0] - before[0], after[1] - before[1])

    def test_a_revision_of_a_known_incident_joins_it(self):
        ident = uuid.uuid4().hex
        first = self.p.publish(report(ident))
        second = self.assert_verdict(self.p.publish(report(ident, revision=2)), "STORED")
        self.assertEqual(second.incident_id, first.incident_id)
        self.assertEqual(self.kinds(second), {"047": "UPDATE"})
        self.assertEqual(self.incident(first)[0], 2)
        self.assert_wrong()

    def test_an_awaited_report_joins_the_orphan(self):
        a, sent = uuid.uuid4().hex, "2026-03-01T08:00:00+03:00"
        update = self.p.publish(cap(a + "-2", "2026-03-01T09:00:00+03:00", "Update", f"ops@krcs.example,{a},{sent}"),
                                pb.FORMAT_CAP, county="047")
        self.assertEqual(self.warnings(update), ["ORPHAN"])
        self.assert_wrong(0)  # it refers to another: loaded
        alert = self.assert_verdict(self.p.publish(cap(a, sent), pb.FORMAT_CAP, county="047"), "STORED")
        self.assertEqual(alert.incident_id, update.incident_id)
        self.assertEqual(self.kinds(alert), {"047": "HISTORY"})
        self.assert_wrong()

    def test_a_refusal_comes_after_what_is_known(self):
        """Expired and known: the first answer, though the agency's policy has changed since."""
        message = report()
        message.times.expires_us = NOW_US - 1
        first = self.assert_verdict(self.p.publish(message), "STORED")
        self.stack.sql("UPDATE registry.agency SET refuse_expired = true WHERE code = 'KRCS'")
        fresh = report()
        fresh.times.expires_us = NOW_US - 1

        def refused():
            fresh.identity.external_id = uuid.uuid4().hex
            return self.p.publish(fresh).verdict == pb.VERDICT_REJECTED
        try:
            wait_until(refused, 5, "the policy in force")
            self.settle()
            again = self.assert_verdict(self.p.publish(message), "DUPLICATE")
            self.assertEqual(again.event_id, first.event_id)
            self.assert_wrong(0)  # not even tried
        finally:
            self.stack.sql("UPDATE registry.agency SET refuse_expired = false WHERE code = 'KRCS'")

    def test_a_check_sees_what_is_known(self):
        message = report()
        self.assert_verdict(self.p.publish(message), "STORED")
        self.settle()
        self.assert_verdict(self.p.publish(message, check=True), "DUPLICATE")
        self.assert_wrong(0)


if __name__ == "__main__":
    unittest.main()
