"""A rolling restart: every service, one after another, twice, under load. Publishers and desks notice a new session and nothing
else; nothing is lost, nothing that was acknowledged comes again."""
import json
import os
import subprocess
import time
import unittest

from jukwaa_harness import BIN, Stack, wait_until
from load import Load, SteadyDesk, check_stored

OURS = 8000  # reports of the command line's client


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else 0


class RollingTest(unittest.TestCase):
    def setUp(self):
        self.stack = Stack()
        self.addCleanup(self.stack.stop)
        self.publisher, self.other = self.stack.add_publisher("KRCS"), self.stack.add_publisher("KPS")
        self.desk_key, self.watch_key = self.stack.add_desk("NBO"), self.stack.add_desk("MSA", agency="KPS2")
        self.stack.wait_known(self.watch_key, "dispatch")

    def start_client(self, key, *args, stdin=None):
        process = subprocess.Popen([str(BIN / "jukwaa"), "--json", *map(str, args)], env={**os.environ, **self.stack.env(key)},
                                   stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        return process

    def reports(self):
        path = self.stack.run / "ours.jsonl"
        path.write_text("".join(json.dumps({
            "identity": {"external_id": f"ours-{i}", "status": "ACTUAL"}, "classification": {"categories": ["FIRE"]},
            "place": {"codes": [{"scheme": "COUNTY", "code": f"{i % 5 + 1:03d}"}]},
            "handling": {"tlp": "GREEN", "scope": "PUBLIC"}}) + "\n" for i in range(OURS)))
        return path

    def test_all_services_under_load(self):
        load, desk = Load(self.stack, self.publisher, "roll", rate=150), SteadyDesk(self.stack, self.desk_key)
        watch = self.start_client(self.watch_key, "watch", "--all", "--from", "beginning", "--ack", "--resume",
                                  self.stack.run / "watch.resume", "--timeout", "120")
        seen = []
        load.wait_receipts(100)
        publish = self.start_client(self.other, "publish", "--format", "json", "--window", "32", self.reports())
        for turn in range(2):
            for name in ("intake", "dispatch", "cases", "notify"):
                service = self.stack.services[name]
                if turn == 0 and name in ("intake", "dispatch"):
                    self.assertIsNone(publish.poll(), "the client was done before anything was restarted")
                began = time.monotonic()
                self.assertEqual(service.stop(), 0)
                stopped = time.monotonic()
                service.start()
                print(f"{name}: stopped in {stopped - began:.2f} s, ready again {time.monotonic() - stopped:.2f} s later")
                load.wait_receipts(30, what=f"receipts after {name}")
        receipts, errors = publish.communicate(timeout=60)
        self.assertEqual(publish.returncode, 0, errors)
        receipts = [json.loads(line) for line in receipts.splitlines()]
        self.assertEqual(len(receipts), OURS)
        self.assertLessEqual({r["verdict"] for r in receipts}, {"STORED", "DUPLICATE"})
        load.end()
        load.receipts.update({r["external_id"]: (r["verdict"], r["event_id"], [(p["county"], p["seq"]) for p in r["positions"]])
                              for r in receipts})
        count = check_stored(self, self.stack, load)
        desk.end(count)
        self.assertEqual(desk.again, [], "acknowledged, and sent again")
        self.assertGreaterEqual(desk.sessions, 3)
        self.check_watch(watch, seen, count)
        wait_until(lambda: self.stack.sql('SELECT count(*) FROM cases."case"') == [(count,)], 20, "a case for each")
        gaps = [b - a for a, b in zip(load.at, load.at[1:])]
        pauses = [b - a for a, b in zip(desk.at, desk.at[1:])]
        print(f"{count} reports; publish to receipt: p50 {percentile(load.latency, .5) * 1000:.1f} ms, p99 "
              f"{percentile(load.latency, .99) * 1000:.0f} ms, longest {max(load.latency):.2f} s; between receipts: p99 "
              f"{percentile(gaps, .99) * 1000:.0f} ms, longest {max(gaps):.2f} s; between deliveries: p99 "
              f"{percentile(pauses, .99) * 1000:.0f} ms, longest {max(pauses):.2f} s")
        # The client's own limits: it finds out after a second at most, and asks again at once.
        self.assertLess(max(load.latency), 10)

    def check_watch(self, watch, seen, count):
        """The C client saw each event once: it resumed by itself where it had acknowledged."""
        for line in watch.stdout:
            row = json.loads(line)
            if "seq" in row:
                seen.append((row["county"], row["seq"]))
            if len(set(seen)) == count:
                break
        watch.terminate()
        _, errors = watch.communicate(timeout=20)
        self.assertEqual(len(seen), len(set(seen)), "an event came twice to a client that acknowledges each")
        self.assertEqual(watch.returncode, 0, errors)


if __name__ == "__main__":
    unittest.main()
