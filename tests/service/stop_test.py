"""Stopping: SIGTERM drains within 5 s, ends with 0 and says what was left; a second one ends at once. Under load, with desks that do
not acknowledge, webhooks that hang, the database gone or silent."""
import base64
import contextlib
import re
import secrets
import socket
import time
import unittest

from database_faults import wait_all_ready, wait_reason
from jukwaa_harness import Stack, wait_until
from load import Load, SteadyDesk, check_stored

LIMIT_S = 5.0


class StopTest(unittest.TestCase):
    def setUp(self):
        self.stack = Stack(services=())
        self.addCleanup(self.stack.stop)
        self.cluster = self.stack.cluster
        self.publisher = self.stack.add_publisher("KRCS")
        self.desk_key = self.stack.add_desk("NBO")

    def start(self, *names):
        for name in names:
            self.stack.services[name].start(ready=False)
        wait_all_ready(self.stack)

    def stop(self, name, signals=1):
        """Sends SIGTERM; the seconds until it has ended, and the fields of its line `left`."""
        service = self.stack.services[name]
        began = time.monotonic()
        service.process.terminate()
        if signals == 2:
            wait_until(lambda: "event=stopping " in service.log() or " stopping " in service.log(), 3, "stopping")
            self.assertIsNone(service.process.poll(), "over before the second signal")
            began = time.monotonic()
            service.process.terminate()
        status = service.process.wait(20)
        took = time.monotonic() - began
        self.assertEqual(status, 0, service.log()[-2000:])
        self.assertLess(took, LIMIT_S)
        lines = [line for line in service.log().splitlines() if re.search(r"\bleft\b", line) and "=" in line]
        self.assertEqual(len(lines), 1, service.log()[-2000:])
        left = dict(re.findall(r"(\w+)=(\S+)", lines[0]))
        print(f"{name} ended {took:.2f} s after SIGTERM{' no. 2' if signals == 2 else ''}; left: "
              f"{' '.join(f'{k}={v}' for k, v in left.items() if k in lines[0].split('left', 1)[1])}")
        return took, left

    def demand_standby(self, name):
        with contextlib.closing(self.cluster.connect()) as c, c.cursor() as cur:
            cur.execute("SET synchronous_commit = local")
            cur.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{name}'")
            cur.execute("SELECT pg_reload_conf()")


class IntakeTest(StopTest):
    def test_under_load(self):
        self.start("intake")
        load = Load(self.stack, self.publisher, "stop", rate=4000, window=64)
        load.wait_receipts(200)
        self.assertTrue(load.outstanding, "nothing was under way")
        took, left = self.stop("intake")
        self.assertLess(took, 2)
        self.assertEqual((left["reports_queued"], left["batch_under_way"]), ("0", "no"), "all that was taken is answered")
        self.start("intake")
        load.wait_receipts(100)
        load.end()
        check_stored(self, self.stack, load)

    def test_with_the_database_gone(self):
        self.start("intake")
        load = Load(self.stack, self.publisher, "gone", rate=4000, window=64)
        load.wait_receipts(200)
        self.cluster.stop()
        self.stop("intake")
        self.cluster.start()
        self.start("intake")
        load.wait_receipts(100)
        load.end()
        check_stored(self, self.stack, load)

    def check_silent_database(self, signals):
        """A commit that waits for a standby that is missing."""
        self.start("intake")
        load = Load(self.stack, self.publisher, "wait", rate=500, window=32)
        load.wait_receipts(100)
        self.demand_standby("nobody")
        wait_until(lambda: self.stack.sql("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'"), 10, "a commit that waits")
        took, left = self.stop("intake", signals)
        self.assertEqual(left["batch_under_way"], "yes")
        self.assertGreater(int(left["bytes_in_flight"]), 0)
        self.demand_standby("")
        self.start("intake")
        load.wait_receipts(100)
        load.end()
        check_stored(self, self.stack, load)
        return took

    def test_with_a_silent_database(self):
        self.check_silent_database(1)

    def test_the_second_signal(self):
        self.assertLess(self.check_silent_database(2), 1)


class DispatchTest(StopTest):
    def test_with_a_desk_that_does_not_acknowledge(self):
        self.start("intake", "dispatch")
        self.stack.wait_known(self.desk_key, "dispatch")
        load = Load(self.stack, self.publisher, "desk", rate=500)
        good, deaf = SteadyDesk(self.stack, self.desk_key), SteadyDesk(self.stack, self.desk_key, ack_every=0)
        wait_until(lambda: len(deaf.seen) >= 64 and len(good.seen) > 200, 20, "deliveries under way")
        took, left = self.stop("dispatch")
        self.assertLess(took, 2)
        self.assertGreaterEqual(int(left["deliveries_unacknowledged"]), 64)
        self.assertGreaterEqual(int(left["sessions"]), 2)
        self.assertEqual(left["cursors_and_receipts_written"], "yes")
        deaf.stopping = True
        load.end()
        self.start("dispatch")
        good.end(check_stored(self, self.stack, load))
        self.assertEqual(good.again, [], "acknowledged, and sent again")

    def test_with_the_database_gone(self):
        self.start("intake", "dispatch")
        self.stack.wait_known(self.desk_key, "dispatch")
        load = Load(self.stack, self.publisher, "gone", rate=500)
        desk = SteadyDesk(self.stack, self.desk_key)
        wait_until(lambda: len(desk.seen) > 100, 20, "deliveries")
        self.cluster.stop()
        self.stop("dispatch")
        self.cluster.start()
        self.start("dispatch")
        load.end()
        desk.end(check_stored(self, self.stack, load))


class CasesTest(StopTest):
    def test_under_load(self):
        self.start("intake", "cases")
        load = Load(self.stack, self.publisher, "cases", rate=2000)
        wait_until(lambda: self.stack.sql('SELECT count(*) FROM cases."case"')[0][0] > 100, 20, "cases")
        took, left = self.stop("cases")
        self.assertLess(took, 2)
        self.assertIn(left["batch_under_way"], ("yes", "no"))
        load.end()
        count = check_stored(self, self.stack, load)
        self.start("cases")
        wait_until(lambda: self.stack.sql('SELECT count(*) FROM cases."case"') == [(count,)], 20, "a case for each")
        self.assertEqual(self.stack.sql("SELECT count(*) FROM cases.entry WHERE kind = 1"), [(count,)], "opened once")

    def test_with_the_database_gone(self):
        self.start("intake", "cases")
        self.cluster.stop()
        self.stop("cases")
        self.cluster.start()


class NotifyTest(StopTest):
    def hang(self):
        """A receiver that takes connections and never answers; a message under way to it."""
        silent = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.addCleanup(silent.close)
        secret = self.stack.run / "hook.whsec"
        secret.write_text("whsec_" + base64.b64encode(secrets.token_bytes(32)).decode() + "\n")
        secret.chmod(0o600)
        self.stack.admin("notify", "rule", "add", "hanging", "--desk", "NBO", "--secret-file", secret, "--url",
                         f"http://127.0.0.1:{silent.getsockname()[1]}/hook")
        self.start("intake", "notify")
        load = Load(self.stack, self.publisher, "hook", rate=100)
        service = self.stack.services["notify"]
        wait_until(lambda: service.metric("jukwaa_notify_in_flight") >= 8, 20, "webhooks in flight")
        load.end()
        return load

    def test_with_a_webhook_that_hangs(self):
        self.hang()
        _, left = self.stop("notify")
        self.assertGreaterEqual(int(left["webhooks_in_flight"]), 8)
        self.assertEqual(self.stack.sql("SELECT count(*) FROM notify.message WHERE state <> 'PENDING'"), [(0,)], "none is lost")

    def test_the_second_signal(self):
        self.hang()
        took, left = self.stop("notify", signals=2)
        self.assertLess(took, 1)
        self.assertGreaterEqual(int(left["webhooks_in_flight"]), 8)

    def test_with_the_database_gone(self):
        self.hang()
        self.cluster.stop()
        wait_reason(self.stack, "DATABASE_UNREACHABLE", services=["notify"])
        self.stop("notify")
        self.cluster.start()


if __name__ == "__main__":
    unittest.main()
