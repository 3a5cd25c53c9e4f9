"""3,521 real updates of 1,708 fires by CSV: in order and shuffled, the current state is the latest."""
import bisect
import collections
import csv
import datetime
import math
import random
import time
import unittest

from jukwaa_harness import ROOT, Stack, need_data, scratch

STEPS = ("accepted", "dispatched", "on_scene", "resolved")
OPEN = ("open_hour", "open_day", "open_week", "open_older")
AGES = (3600, 86400, 7 * 86400)


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

    def follow(self, stack, receipts):
        """What desks did with the cases: {incident_id: (open, [time of each of STEPS, or None])}. Here: nothing yet."""
        return {receipt["incident_id"]: (True, [None] * len(STEPS)) for receipt in receipts}

    def check_figures(self, stack, receipts):
        """The exchange's figures against those made from the feed and from what desks did."""
        done = self.follow(stack, receipts)
        opened = dict(stack.sql("SELECT incident_id::text, extract(epoch FROM min(recorded_at))::float8 FROM feed.event WHERE stream = '047'"
                                " GROUP BY 1"))
        self.assertEqual(set(opened), set(done))
        lines, status = stack.cli_json(next(stack.run.glob("pub-*.key")), "case", "figures", "--purpose", "statistics")
        now = time.time()
        self.assertEqual(status, 0)
        self.assertEqual([(line.get("county", ""), line.get("agency", "")) for line in lines], [("047", "NSW-RFS"), ("", "")])
        ages = collections.Counter(bisect.bisect(AGES, now - at) for incident, at in opened.items() if done[incident][0])
        for line in lines:
            self.assertEqual(line["count"], 1708)
            self.assertEqual([line.get(name, 0) for name in OPEN], [ages[i] for i in range(len(OPEN))])
            for number, name in enumerate(STEPS):
                spans = sorted(times[number] - before for incident, (_, times) in done.items()
                               for before in [times[number - 1] if number else opened[incident]] if times[number] and before)
                told = line.get(name, {})
                self.assertEqual(told.get("count", 0), len(spans), name)
                for percent in (50, 90) if spans else ():
                    self.assertAlmostEqual(told[f"p{percent}_ms"] / 1000, spans[math.ceil(len(spans) * percent / 100) - 1], delta=0.02)

    def test_in_order(self):
        stack, receipts = self.publish(self.updates)
        self.check_current(stack, receipts)
        self.check_figures(stack, receipts)
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
        self.check_figures(stack, receipts)
        kinds = dict(stack.sql("SELECT kind, count(*) FROM feed.event GROUP BY 1"))
        self.assertGreater(kinds[4], 500, "late revisions are stored as HISTORY")
        stack.stop()


if __name__ == "__main__":
    unittest.main()
