"""PostgreSQL absent, restarted, gone for a while, and its sessions ended or cancelled, under load: no false receipt, BUSY meanwhile,
each state named, everything back with nobody's help. Independent check: tests/harness/load.py."""
import os
import random
import threading
import time
import unittest

from database_faults import reason, status, wait_all_ready, wait_reason
from jukwaa_harness import Stack, protos, run_cli, wait_until
from load import Load, SteadyDesk, check_stored

pb = protos()
GONE_S = 120 if os.environ.get("JUKWAA_TEST_LONG") else 5
SERVICES = ("intake", "dispatch", "cases", "notify")


class DatabaseTest(unittest.TestCase):
    def setUp(self):
        self.stack = Stack(services=())
        self.addCleanup(self.stack.stop)
        self.cluster = self.stack.cluster
        self.publisher = self.stack.add_publisher("KRCS")
        self.desk_key = self.stack.add_desk("NBO")
        # Under load all streams are written at once: what waits for nothing here is the fault itself.
        self.seed = int(os.environ.get("JUKWAA_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)
        self.random = random.Random(self.seed)
        print(f"JUKWAA_TEST_SEED={self.seed}")

    def start_all(self):
        for name in SERVICES:
            self.stack.services[name].start(ready=False)
        wait_all_ready(self.stack)

    def load(self, name="load", **options):
        load = Load(self.stack, self.publisher, name, **options)
        load.wait_receipts(100, what="the first receipts")
        return load

    def assert_status(self, code, words, database):
        """What `jukwaa status` says of the four services and of the database."""
        rows, exit_status, human = status(self.stack)
        for name in SERVICES:
            self.assertEqual((rows[name]["state"], rows[name]["code"]), ("NOT_READY", code), rows[name])
            self.assertIn(words, rows[name]["reason"])
            self.assertGreaterEqual(rows[name]["for_s"], 0)
        self.assertIn(words, human)
        self.assertRegex(human, r"\(for \d+ s\)")
        self.assertEqual((rows["database"]["state"], rows["database"].get("code")), database)
        self.assertEqual(exit_status, 3 if database[0] == "UNREACHABLE" else 1)


class AwayTest(DatabaseTest):
    def test_absent_at_start(self):
        self.cluster.stop()
        for name in SERVICES:
            self.stack.services[name].start(ready=False)
        words = wait_reason(self.stack, "DATABASE_UNREACHABLE")
        self.assertIn("no connection to the database", words["intake"])
        self.assert_status("DATABASE_UNREACHABLE", "no connection to the database", ("UNREACHABLE", "DATABASE_UNREACHABLE"))
        peer = self.stack.peer("intake", self.publisher)
        self.addCleanup(peer.close)
        self.assertIsNone(peer.hello(timeout=1), "nobody is let in before the registry is known")
        self.cluster.start()
        print(f"absent at start: ready {wait_all_ready(self.stack):.1f} s after PostgreSQL")
        load = self.load()
        load.end()
        self.assertGreaterEqual(check_stored(self, self.stack, load), 100)

    def test_restarted_under_load(self):
        self.start_all()
        self.stack.wait_known(self.desk_key, "dispatch")
        desk, load = SteadyDesk(self.stack, self.desk_key), self.load()
        for mode in ("immediate", "fast", "immediate"):
            load.wait_receipts(self.random.randrange(20, 120))
            before = len(load.receipts)
            self.cluster.stop(mode)
            down = time.monotonic()
            self.assertTrue(load.outstanding or load.waiting, "nothing was outstanding when the database had gone")
            self.cluster.start()
            up = time.monotonic()
            load.wait_receipts(1, what="a receipt after the restart")
            print(f"restart ({mode}): away {up - down:.1f} s, first receipt {load.at[-1] - up:.2f} s after; "
                  f"{before} receipts before")
        wait_all_ready(self.stack)
        load.wait_receipts(50)
        load.end()
        count = check_stored(self, self.stack, load)
        desk.end(count)
        self.assertEqual(desk.again, [], "an acknowledged event came again")
        wait_until(lambda: self.stack.sql('SELECT count(*) FROM cases."case"') == [(count,)], 20, "a case for each")

    def test_gone_for_a_while(self):
        self.start_all()
        self.stack.wait_known(self.desk_key, "dispatch")
        desk, load = SteadyDesk(self.stack, self.desk_key), self.load(rate=50)
        asker = self.stack.peer("cases", self.desk_key)
        self.addCleanup(asker.close)
        self.assertIsNotNone(asker.hello())
        sessions = desk.sessions
        self.cluster.stop()
        gone = time.monotonic()
        wait_reason(self.stack, "DATABASE_UNREACHABLE")
        print(f"gone: all four say so {time.monotonic() - gone:.1f} s after")
        wait_until(lambda: load.busy > 20, 10, "BUSY")
        before = len(load.receipts)
        self.assert_status("DATABASE_UNREACHABLE", "no connection to the database", ("UNREACHABLE", "DATABASE_UNREACHABLE"))
        end = gone + GONE_S
        while time.monotonic() < end:
            asked = time.monotonic()
            asker.send("CASE_LIST", pb.CaseList(request=1, purpose=pb.CASE_PURPOSE_RESPONSE))
            refused = asker.expect("REFUSED")
            self.assertEqual(refused.code, pb.CODE_UNAVAILABLE)
            self.assertLess(time.monotonic() - asked, 1, "cases answers at once")
            time.sleep(0.2)
        self.assertGreaterEqual(reason(self.stack.services["intake"])[2], GONE_S - 2, "for how long it has been so")
        self.assertEqual(len(load.receipts), before, "a receipt without a database")
        self.assertEqual(desk.sessions, sessions, "the desk kept its session")
        self.cluster.start()
        up = time.monotonic()
        wait_all_ready(self.stack)
        print(f"gone for {GONE_S} s: all ready {time.monotonic() - up:.1f} s after; {load.busy} times BUSY meanwhile")
        load.wait_receipts(50)
        load.end()
        desk.end(check_stored(self, self.stack, load))
        self.assertEqual((desk.again, desk.sessions), ([], sessions))
        rows, exit_status, _ = status(self.stack)
        self.assertEqual((exit_status, rows["database"]["state"]), (0, "READ_WRITE"))

    def test_positions_are_saved_again(self):
        """A cursor is saved without waiting for the disk: what a crash of PostgreSQL takes away is written again, also where the
        desk acknowledges nothing more."""
        self.start_all()
        load = self.load()
        load.end()
        desk = self.stack.peer("dispatch", self.desk_key)
        self.addCleanup(desk.close)
        desk.hello()
        desk.send("SUBSCRIBE", pb.Subscribe(request=1, all=True, start_at=pb.START_AT_CURSOR, cursor="kept"))
        desk.expect("SUBSCRIBED")
        last = desk.expect("DELIVER")
        desk.send("ACK", pb.Ack(delivery_no=last.delivery_no))

        def kept():
            return self.stack.sql("SELECT seq FROM dispatch.cursor WHERE name = 'kept' AND stream = %s", last.stream)
        wait_until(lambda: kept() and kept()[0][0] >= last.seq, 5, "the cursor is saved")
        self.stack.sql("UPDATE dispatch.cursor SET seq = 0 WHERE name = 'kept'")  # as a crash before the disk had it
        self.cluster.stop("immediate")
        self.cluster.start()
        wait_until(lambda: kept()[0][0] >= last.seq, 10, "the cursor is saved again")

    def test_a_wrong_password_is_named(self):
        self.start_all()
        self.stack.sql("ALTER ROLE jukwaa_intake PASSWORD 'another'")
        self.stack.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'jukwaa_intake'")
        words = wait_reason(self.stack, "DATABASE_LOGIN_REFUSED", services=["intake"])["intake"]
        self.assertIn("password authentication failed", words)
        env = {"JUKWAA_DATABASE": self.cluster.conninfo(self.stack.database, "jukwaa_admin") + " password=wrong passfile=/nowhere"}
        done = run_cli("admin", "agency", "list", env=env, check=False)
        self.assertEqual(done.returncode, 4, done.stderr)
        rows, exit_status, _ = status(self.stack)
        self.assertEqual((rows["intake"]["code"], exit_status), ("DATABASE_LOGIN_REFUSED", 1))


class SessionsTest(DatabaseTest):
    """Sessions that an operator (or a failing network) ends, statements that are cancelled."""

    def shake(self, function, seconds=4):
        """Calls the function on a random session of the services, again and again; how often it hit one at work."""
        hits, end = 0, time.monotonic() + seconds
        while time.monotonic() < end:
            rows = self.stack.sql(f"SELECT state, {function}(pid) FROM pg_stat_activity WHERE application_name LIKE 'jukwaa-%%'"
                                  " ORDER BY (state = 'active') DESC, random() LIMIT %s", self.random.randrange(1, 3))
            hits += sum(state == "active" for state, _ in rows)
            threading.Event().wait(self.random.random() * 0.1)
        return hits

    def check_shaken(self, function):
        self.start_all()
        self.stack.wait_known(self.desk_key, "dispatch")
        desk, load = SteadyDesk(self.stack, self.desk_key), self.load(rate=2000, window=64)
        hits = self.shake(function)
        self.assertGreater(hits, 3, "no session was at work")
        wait_all_ready(self.stack)
        load.wait_receipts(100)
        load.end()
        count = check_stored(self, self.stack, load)
        desk.end(count)
        self.assertEqual(desk.again, [])
        verdicts = [verdict for verdict, _, _ in load.receipts.values()]
        print(f"{function}: {hits} sessions at work hit, {count} reports, {verdicts.count('DUPLICATE')} answered as duplicates, "
              f"{load.busy} BUSY, longest gap {load.longest_gap():.2f} s")

    def test_terminated(self):
        self.check_shaken("pg_terminate_backend")

    def test_cancelled(self):
        self.check_shaken("pg_cancel_backend")


if __name__ == "__main__":
    unittest.main()
