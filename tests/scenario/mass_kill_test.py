"""kill -9 of each service in turn, at a seeded moment between 20 % and 80 % of 20,000 reports with receipts outstanding, and
restart: receipted = stored, numbers 1..n a stream, a resuming desk sees no acknowledged event again."""
import json
import os
import random
import subprocess
import threading
import time
import unittest

from jukwaa_harness import BIN, Stack, protos, wait_until

REPORTS = 20000


class Desk(threading.Thread):
    """Acknowledges as it goes; after a lost session it says Hello again and resumes with its newest sealed positions."""

    def __init__(self, stack, key):
        super().__init__(daemon=True)
        self.stack, self.key, self.pb = stack, key, protos()
        self.acked, self.again, self.seen, self.positions = set(), [], {}, {}
        self.stop, self.sessions, self.error = False, 0, None

    def run(self):
        try:
            while not self.stop:
                self.session()
        except Exception as e:  # the test looks at it
            self.error = e

    def session(self):
        peer = self.stack.peer("dispatch", self.key)
        try:
            if peer.hello(timeout=2) is None:
                return
            self.sessions += 1
            subscribe = self.pb.Subscribe(request=1, all=True, window=128, start_at=self.pb.START_AT_BEGINNING)
            if self.positions:
                subscribe.start_at = self.pb.START_AT_TOKEN
                subscribe.positions.extend(self.positions.values())
            peer.send("SUBSCRIBE", subscribe)
            pending, quiet, pinged = [], time.monotonic(), time.monotonic()
            while not self.stop:
                if time.monotonic() - pinged > 0.5:
                    peer.send("PING", self.pb.Ping())
                    pinged = time.monotonic()
                got = peer.receive(0.1)
                if got is None:
                    if time.monotonic() - quiet > 2:
                        return
                    continue
                quiet = time.monotonic()
                kind, message = got
                if kind in ("BAD_SESSION", "BYE", "REFUSED"):
                    return
                if kind != "DELIVER" or message.stream.startswith("@"):
                    continue
                if message.event_id in self.acked:
                    self.again.append((message.stream, message.seq))
                self.seen[message.stream, message.seq] = message.event_id
                pending.append(message)
                if len(pending) >= 32:
                    peer.send("ACK", self.pb.Ack(delivery_no=pending[-1].delivery_no))
                    for one in pending:
                        self.acked.add(one.event_id)
                        self.positions[one.stream] = one.position
                    pending = []
        finally:
            peer.close()


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
        desk = Desk(stack, desk_key)
        desk.start()
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
            wait_until(lambda: desk.error or len(desk.seen) == REPORTS, 60, "the desk has everything")
        except AssertionError:
            dispatch = stack.services["dispatch"]
            print(dispatch.http("/metrics")[1], dispatch.log()[-3000:], sep="\n")
            raise AssertionError(f"desk has {len(desk.seen)} of {REPORTS}, {desk.sessions} sessions; killed {name} after {kill_after}")
        desk.stop = True
        desk.join()
        self.assertIsNone(desk.error)
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
