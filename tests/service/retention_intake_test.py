"""Removal by age of what intake and notify own, and the operator's commands for it."""
import json
import time
import unittest
import uuid

from intake_test import Publisher, report
from jukwaa_harness import Stack, protos, wait_until
from retention_test import cluster, keep, keep_all

pb = protos()


class IntakeTest(unittest.TestCase):
    """Reports, keys and incidents; the whole chain runs."""

    @classmethod
    def setUpClass(cls):
        cls.stack = Stack(cluster=cluster)
        keep_all(cls.stack)
        cls.key = cls.stack.add_publisher("KPS")
        cls.stack.wait_known(cls.key)

    def setUp(self):
        keep_all(self.stack)
        self.publisher = Publisher(self.stack, self.key)

    def tearDown(self):
        self.publisher.peer.close()

    def sql(self, *args):
        return self.stack.sql(*args)

    def count(self, table, **where):
        column, value = next(iter(where.items()))
        return self.sql(f"SELECT count(*) FROM {table} WHERE {column} = %s", value)[0][0]

    def age(self, table, column, by, **where):
        key, value = next(iter(where.items()))
        self.sql(f"UPDATE {table} SET {column} = {column} - %s::interval WHERE {key} = %s", by, value)

    def publish(self, incident, **fields):
        receipt = self.publisher.publish(incident, **fields)
        return receipt, uuid.UUID(bytes=receipt.event_id) if receipt.event_id else None

    def test_reports_go_with_their_protected_groups_and_keys_stay(self):
        message = report("R1")
        message.reporter.name = "Wanjiku"
        first, event_id = self.publish(message)
        self.assertEqual(first.verdict, pb.VERDICT_STORED)
        young, young_id = self.publish(report("R2"))
        self.assertEqual(self.count("intake.protected", event_id=event_id), 1)
        # An old id, so that the walk by id comes to it: the row is renamed to what intake would have given it then.
        old_id = uuid.UUID(int=(event_id.int & ((1 << 80) - 1)) | (event_id.int >> 80) - 86_400_000 << 80)
        for table in ("intake.report", "intake.protected"):
            self.sql(f"UPDATE {table} SET event_id = %s WHERE event_id = %s", old_id, event_id)
        keep(self.stack, report=3600)
        time.sleep(6)
        self.assertEqual(self.count("intake.report", event_id=old_id), 1, "an old id alone is no age")
        self.age("intake.report", "received_at", "1 day", event_id=old_id)
        wait_until(lambda: self.count("intake.report", event_id=old_id) == 0, 15, "report removed")
        self.assertEqual(self.count("intake.protected", event_id=old_id), 0)
        self.assertEqual(self.count("intake.report", event_id=young_id), 1)
        again, _ = self.publish(message)
        self.assertEqual((again.verdict, again.event_id, [p.seq for p in again.positions]),
                         (pb.VERDICT_DUPLICATE, first.event_id, [p.seq for p in first.positions]))

    def test_a_duplicate_whose_event_is_gone_gets_its_ids(self):
        first, event_id = self.publish(report("D1", county="033"))
        self.assertEqual(len(first.positions), 1)
        wait_until(lambda: self.sql("SELECT count(*) FROM cases.cursor c JOIN notify.cursor n USING (stream) WHERE stream = '033'")[0][0],
                   10, "followed")
        keep(self.stack, event=1)
        wait_until(lambda: self.count("feed.event", event_id=event_id) == 0, 30, "event removed")
        again, _ = self.publish(report("D1", county="033"))
        self.assertEqual((again.verdict, again.incident_id, again.event_id), (pb.VERDICT_DUPLICATE, first.incident_id, event_id.bytes))
        self.assertEqual((list(again.positions), again.commitment, again.epoch), ([], b"", 0))
        # And the case is still shown, without the incident.
        desk = self.stack.add_desk("CASES")
        self.stack.wait_known(desk, "cases")
        shown, status = self.stack.cli_json(desk, "case", "show", str(uuid.UUID(bytes=first.incident_id)))
        self.assertEqual((status, shown[0].get("incident")), (0, None), shown)
        self.assertIn("no longer kept", self.stack.cli(desk, "case", "show", str(uuid.UUID(bytes=first.incident_id))).stdout)

    def test_keys_and_incidents(self):
        first, event_id = self.publish(report("K1"))
        incident = uuid.UUID(bytes=first.incident_id)
        young, _ = self.publish(report("K2"))
        self.age("intake.dedup", "received_at", "10 days", event_id=event_id)
        keep(self.stack, spool=60, event=60, report=60, dedup=60, head=None)
        wait_until(lambda: self.count("intake.dedup", event_id=event_id) == 0, 20, "key removed")
        self.assertEqual(self.count("intake.incident", incident_id=incident), 1, "young enough by its last report")
        self.age("intake.incident", "touched_at", "10 days", incident_id=incident)
        wait_until(lambda: self.count("intake.incident", incident_id=incident) == 0, 20, "incident removed")
        self.assertEqual(self.count("intake.dedup", event_id=uuid.UUID(bytes=young.event_id)), 1)
        # A spool that is older than it promised to be: stored again, as something new.
        again, _ = self.publish(report("K1"))
        self.assertEqual(again.verdict, pb.VERDICT_STORED)
        self.assertNotEqual(again.incident_id, first.incident_id)
        self.assertEqual(self.publish(report("K2"))[0].verdict, pb.VERDICT_DUPLICATE)

    def test_a_late_report_keeps_its_incident(self):
        """HISTORY changes no incident, but its key is as young as it is."""
        first, _ = self.publish(report("H1", revision=5))
        incident = uuid.UUID(bytes=first.incident_id)
        self.age("intake.incident", "touched_at", "10 days", incident_id=incident)
        self.publish(report("H1", revision=3))
        self.assertEqual(self.sql("SELECT now() - touched_at < interval '1 minute' FROM intake.incident WHERE incident_id = %s", incident),
                         [(True,)])

    def test_awaited_keys_go_with_their_incident(self):
        message = report("O2")
        message.identity.msg_type = pb.MSG_TYPE_UPDATE
        message.references.references.add(external_id="O1")
        first, event_id = self.publish(message)
        incident = uuid.UUID(bytes=first.incident_id)
        self.assertEqual(self.count("intake.awaited", incident_id=incident), 1, first)
        self.age("intake.dedup", "received_at", "10 days", event_id=event_id)
        self.age("intake.incident", "touched_at", "10 days", incident_id=incident)
        keep(self.stack, spool=60, event=60, report=60, dedup=60, head=None)
        wait_until(lambda: self.count("intake.awaited", incident_id=incident) == 0, 20, "awaited key removed")

    def test_messages_go_but_not_those_that_wait(self):
        desk = self.sql("SELECT desk_id FROM registry.desk LIMIT 1") or None
        if desk is None:
            self.stack.add_desk("RULES")
            desk = self.sql("SELECT desk_id FROM registry.desk LIMIT 1")
        rule = self.sql("INSERT INTO notify.rule (name, desk_id, url, secret_file, revoked_at) VALUES (%s, %s, 'http://127.0.0.1:9/',"
                        " '/nonexistent', now()) RETURNING rule_id", uuid.uuid4().hex, desk[0][0])[0][0]
        ids = {}
        for state, created in (("ACCEPTED", "5 days"), ("DEAD", "5 days"), ("PENDING", "5 days"), ("ACCEPTED", "1 second")):
            ids[state, created] = self.sql(
                "INSERT INTO notify.message (message_id, rule_id, event_id, incident_id, county, category, severity, state, created_at,"
                " next_attempt_at) SELECT (substr(meta.uuid_at(now() - %s::interval)::text, 1, 14) || '7' ||"
                " substr(gen_random_uuid()::text, 16))::uuid, %s, gen_random_uuid(), gen_random_uuid(), '047', 9, 2, %s,"
                " now() - %s::interval, now() + interval '1 day' RETURNING message_id", created, rule, state, created)[0][0]
        for message_id in ids.values():
            self.sql("INSERT INTO notify.attempt (message_id, attempt_no) VALUES (%s, 1)", message_id)
        keep(self.stack, message=86400)
        wait_until(lambda: self.count("notify.message", message_id=ids["ACCEPTED", "5 days"]) == 0, 15, "message removed")
        left = {r[0] for r in self.sql("SELECT message_id FROM notify.message WHERE rule_id = %s", rule)}
        self.assertEqual(left, {ids["PENDING", "5 days"], ids["ACCEPTED", "1 second"]})
        self.assertEqual(self.sql("SELECT count(*) FROM notify.attempt a JOIN notify.message m USING (message_id) WHERE rule_id = %s",
                                  rule), [(2,)])


class CommandTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = Stack(services=(), cluster=cluster)

    def test_list_set_and_refusals(self):
        rows, _ = self.listed()
        self.assertEqual({r["kind"]: r["days"] for r in rows}, {"event": 400, "report": 400, "dedup": 460, "spool": 60,
                                                                "disclosure": 1100, "access": 1100, "message": 400, "head": 1100, "protected": 90})
        for kind, days, words in (("dedup", "59", "at least as long as"), ("dedup", "399", "at least as long as"),
                                  ("report", "461", "at least as long as report"), ("event", "461", "at least as long as event"),
                                  ("spool", "461", "as long as spool"), ("spool", "forever", "for ever"), ("report", "forever", "report"),
                                  ("head", "399", "signed heads"), ("colour", "9", "no such kind")):
            with self.subTest(kind=kind, days=days):
                done = self.stack.admin("retention", "set", kind, days, check=False)
                self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
                self.assertIn(words, done.stderr)
        for days in ("0", "-1", "x", "36501", "1.5"):
            self.assertEqual(self.stack.admin("retention", "set", "event", days, check=False).returncode, 2, days)
        self.assertEqual(self.stack.admin("retention", "set", "dedup", "forever").stdout, "retention dedup: set\n")
        self.stack.admin("retention", "set", "report", "forever")
        self.stack.admin("retention", "set", "event", "30")
        rows, human = self.listed()
        self.assertEqual({r["kind"]: r["days"] for r in rows if r["kind"] in ("dedup", "report", "event")},
                         {"dedup": None, "report": None, "event": 30})
        self.assertRegex(human, r"(?m)^event +30 ")
        self.assertIn('"done":"confirmed"', self.stack.admin("--json", "retention", "confirm").stdout)

    def listed(self):
        lines = self.stack.admin("--json", "retention", "list").stdout.splitlines()
        return [json.loads(line) for line in lines], self.stack.admin("retention", "list").stdout


if __name__ == "__main__":
    unittest.main()
