"""3,521 real updates of 1,708 fires by CSV: in order and shuffled, the current state is the latest."""
import collections
import csv
import datetime
import random
import unittest

from jukwaa_harness import ROOT, Stack, need_data, scratch


class NswTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.updates = need_data("incidents", "nsw_rfs_incident_updates_2019_2020.csv")
        cls.map = ROOT / "deploy" / "maps" / "nsw-rfs.map"

    def publish(self, path):
        stack = Stack(services=("intake", "cases", "dispatch"))
        publisher = stack.add_publisher("NSW-RFS")
        stack.wait_known(publisher)
        receipts, status = stack.cli_json(publisher, "publish", "--format", "csv", "--map", self.map, "--county", "047", path)
        self.assertEqual(status, 0)
        self.assertEqual(collections.Counter(r["verdict"] for r in receipts), {"STORED": 3521})
        self.assertEqual(len({r["incident_id"] for r in receipts}), 1708)
        return stack, receipts

    def check_current(self, stack, receipts):
        latest = {}
        with open(self.updates, newline="", encoding="utf-8") as f:
            for row in csv.DictReader(f):
                at = int(datetime.datetime.fromisoformat(row["first_seen_utc_commit"]).timestamp() * 1000)
                latest[row["guid"]] = max(at, latest.get(row["guid"], 0))
        self.assertEqual(len(latest), 1708)
        by_incident = {r["incident_id"]: r["external_id"] for r in receipts}
        current = {by_incident[str(i)]: revision for i, revision in
                   stack.sql("SELECT incident_id::text, current_revision FROM intake.incident")}
        self.assertEqual(current, latest)
        events = {r["event_id"]: (r["external_id"], r["revision"]) for r in receipts}
        for event_id, revision in stack.sql("SELECT current_event_id::text, current_revision FROM intake.incident"):
            self.assertEqual(events[event_id][1], revision)
        from jukwaa_harness import wait_until
        wait_until(lambda: stack.sql("SELECT count(*) FROM feed.event e JOIN cases.cursor c USING (stream) WHERE e.seq > c.seq")
                   == [(0,)] and stack.sql("SELECT count(*) FROM cases.cursor") == [(1,)], 30, "cases caught up")
        cases = {by_incident[i]: revision for i, revision in stack.sql('SELECT case_id::text, revision FROM cases."case"')}
        self.assertEqual(cases, latest)

    def test_in_order(self):
        stack, receipts = self.publish(self.updates)
        self.check_current(stack, receipts)
        again, status = stack.cli_json(next(stack.run.glob("pub-*.key")), "publish", "--format", "csv", "--map", self.map,
                                       "--county", "047", self.updates)
        self.assertEqual((status, collections.Counter(r["verdict"] for r in again)), (0, {"DUPLICATE": 3521}))
        self.assertEqual([(r["event_id"], r["incident_id"], r["positions"]) for r in sorted(again, key=lambda r: r["event_id"])],
                         [(r["event_id"], r["incident_id"], r["positions"]) for r in sorted(receipts, key=lambda r: r["event_id"])])
        stack.stop()

    def test_shuffled(self):
        with open(self.updates, newline="", encoding="utf-8") as f:
            rows = list(csv.reader(f))
        head, body = rows[0], rows[1:]
        random.Random(20191108).shuffle(body)
        shuffled = scratch() / "shuffled.csv"
        with open(shuffled, "w", newline="", encoding="utf-8") as f:
            csv.writer(f).writerows([head, *body])
        stack, receipts = self.publish(shuffled)
        self.check_current(stack, receipts)
        kinds = dict(stack.sql("SELECT kind, count(*) FROM feed.event GROUP BY 1"))
        self.assertGreater(kinds[4], 500, "late revisions are stored as HISTORY")
        stack.stop()


if __name__ == "__main__":
    unittest.main()
