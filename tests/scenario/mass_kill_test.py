"""kill -9 of each service in turn, at a seeded moment between 20 % and 80 % of 20,000 reports with receipts outstanding, and
restart: receipted = stored, numbers 1..n a stream, a resuming desk sees no acknowledged event again."""
import json
import os
import random
import subprocess
import unittest

from jukwaa_harness import BIN, Stack, wait_until
from load import SteadyDesk

REPORTS = 20000


class KillTest(unittest.TestCase):
    def setUp(self):
        self.seed = int(os.environ.get("JUKWAA_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)
        print(f"JUKWAA_TEST_SEED={self.seed}")
        self.random = random.Random(self.seed)

    def publish(self, stack, publisher, victim):
        """Publishes through `jukwaa publish`; kills the victim between 20 % and 80 % of the receipts. The receipts."""
        kill_after = self.random.randrange(REPORTS // 5, REPORTS * 4 // 5)
        reports = "".join(json.dumps({
            "identity": {"external_id": f"r{i}", "status": "ACTUAL"}, "classification": {"categories": ["FIRE"]},
            "place": {"codes": [{"scheme": "COUNTY", "code": f"{self.random.randrange(1, 48):03d}"}]},
            "handling": {"tlp": "GREEN", "scope": "PUBLIC"}}) + "\n" for i in range(REPORTS))
        path = stack.run / "reports.jsonl"
        path.write_text(reports)
        process = subprocess.Popen([BIN / "jukwaa", "--json", "publish", "--format", "json", "--window", "256", path],
                                   env={**os.environ, **stack.env(publisher)}, stdout=subprocess.PIPE, text=True)
        receipts, outstanding = [], None
        for line in process.stdout:
            receipts.append(json.loads(line))
            if len(receipts) == kill_after:
                victim.kill()
                outstanding = REPORTS - len(receipts)
                victim.start(ready=False)
        process.wait()
        self.assertGreater(outstanding, 0)
        self.assertEqual(process.returncode, 0)
        return receipts, kill_after

    def check(self, name):
        stack = Stack()
        publisher, desk_key = stack.add_publisher("KILL"), stack.add_desk("ALL")
        stack.wait_known(desk_key, "dispatch")
        desk = SteadyDesk(stack, desk_key, window=128, ack_every=32)
        receipts, kill_after = self.publish(stack, publisher, stack.services[name])
        stack.services[name].wait_ready()

        self.assertEqual(len({r["external_id"] for r in receipts}), REPORTS)
        self.assertLessEqual({r["verdict"] for r in receipts}, {"STORED", "DUPLICATE"})
        stored = {str(e) for e, in stack.sql("SELECT event_id::text FROM intake.report")}
        self.assertEqual({r["event_id"] for r in receipts}, stored, "receipted = stored")
        self.assertEqual(len(stored), REPORTS)
        for stream, least, most, count in stack.sql(
                "SELECT stream, min(seq), max(seq), count(*) FROM feed.event WHERE stream !~ '^@' GROUP BY 1"):
            self.assertEqual((least, most), (1, count), stream)
        try:
            desk.end(REPORTS, 60)
        except AssertionError as e:
            dispatch = stack.services["dispatch"]
            print(dispatch.http("/metrics")[1], dispatch.log()[-3000:], sep="\n")
            raise AssertionError(f"{e}; killed {name} after {kill_after}") from None
        self.assertEqual(desk.again, [], "an acknowledged event came again")
        self.assertEqual(len(set(desk.seen.values())), REPORTS)
        if name == "dispatch":
            self.assertGreaterEqual(desk.sessions, 2)
        wait_until(lambda: stack.sql('SELECT count(*) FROM cases."case"') == [(REPORTS,)], 60, "a case for each")
        self.assertEqual(stack.sql("SELECT count(*), count(DISTINCT case_id) FROM cases.entry WHERE kind = 1"), [(REPORTS, REPORTS)])
        stack.stop()

    def test_intake(self):
        self.check("intake")

    def test_dispatch(self):
        self.check("dispatch")

    def test_cases(self):
        self.check("cases")

    def test_notify(self):
        self.check("notify")


if __name__ == "__main__":
    unittest.main()
