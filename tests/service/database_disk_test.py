"""PostgreSQL without room: for its tables, and for its log (which takes the whole server down). Real full file systems."""
import os
import shutil
import time
import unittest

import psycopg2
from database_faults import SmallDisk, reason, status, wait_all_ready, wait_reason
from jukwaa_harness import Stack, wait_until
from load import Load, SteadyDesk, check_stored


class DiskTest(unittest.TestCase):
    def setUp(self):
        self.stack = Stack(services=(), cluster_settings=("min_wal_size = 32MB", "max_wal_size = 64MB"))
        self.addCleanup(self.stack.stop)
        self.cluster = self.stack.cluster
        self.publisher = self.stack.add_publisher("KRCS")
        self.desk_key = self.stack.add_desk("NBO")

    def start_all(self):
        for name in ("intake", "dispatch", "cases", "notify"):
            self.stack.services[name].start(ready=False)
        wait_all_ready(self.stack)
        self.stack.wait_known(self.desk_key, "dispatch")

    def test_no_room_for_tables(self):
        disk = SmallDisk(self.cluster, 16)
        self.start_all()
        desk = SteadyDesk(self.stack, self.desk_key)
        load = Load(self.stack, self.publisher, "disk", rate=400)
        load.wait_receipts(100)
        self.stack.sql(f"CREATE TABLESPACE small LOCATION '{disk.path}'")
        self.stack.sql("ALTER TABLE intake.report SET TABLESPACE small")
        load.wait_receipts(50)
        disk.fill()
        words = wait_reason(self.stack, "DATABASE_DISK_FULL", services=["intake"])["intake"]
        self.assertIn("the database's disk is full", words)
        self.assertIn("No space left on device", words)
        wait_until(lambda: load.busy > 20, 10, "BUSY")
        before = len(load.receipts)
        rows, exit_status, human = status(self.stack)
        self.assertEqual((rows["intake"]["state"], rows["intake"]["code"]), ("NOT_READY", "DATABASE_DISK_FULL"))
        self.assertIn("the database's disk is full", human)
        self.assertEqual((rows["cases"]["state"], exit_status), ("READY", 1), "the others can go on")
        self.assertEqual(len(load.receipts), before, "a receipt without room to store")
        disk.free()
        freed = time.monotonic()
        load.wait_receipts(50)
        wait_all_ready(self.stack)
        print(f"room again: first receipt {next(t for t in load.at if t > freed) - freed:.2f} s after, all ready after "
              f"{time.monotonic() - freed:.2f} s; {load.busy} times BUSY")
        load.end()
        desk.end(check_stored(self, self.stack, load))
        self.assertEqual(desk.again, [])

    def test_full_disk_and_nobody_tries(self):
        """Ready again by itself though no report comes: a balancer sends none to whoever is not ready."""
        self.start_all()
        disk = SmallDisk(self.cluster, 16)
        self.stack.sql(f"CREATE TABLESPACE small LOCATION '{disk.path}'")
        self.stack.sql("ALTER TABLE intake.report SET TABLESPACE small")
        disk.fill()
        load = Load(self.stack, self.publisher, "disk", rate=400)
        wait_until(lambda: load.busy > 20, 20, "BUSY")
        wait_reason(self.stack, "DATABASE_DISK_FULL", services=["intake"])
        load.waiting.clear()
        load.stopping = True
        load.outstanding.clear()
        load.join(10)
        service = self.stack.services["intake"]
        wait_until(lambda: service.metric("jukwaa_intake_queue_bytes") == 0, 10, "nothing is left that could be tried")
        self.assertEqual(reason(service)[0], "DATABASE_DISK_FULL")
        disk.free()
        freed = time.monotonic()
        service.wait_ready(30)
        print(f"nobody tries: ready {time.monotonic() - freed:.0f} s after the disk was freed")

    def wal_left(self):
        """Bytes of log that fit into segments that are there already."""
        return self.stack.sql(
            "SELECT (1 + (SELECT count(*) FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$' AND name > w.file)) * 16777216 - w.at"
            " FROM (SELECT pg_walfile_name(l) AS file, (pg_walfile_name_offset(l)).file_offset AS at"
            " FROM pg_current_wal_insert_lsn() l) w")[0][0]

    def recovers_by_itself(self):
        """Whether the server is still there (it tries to recover) and gets up."""
        def check():
            if self.cluster._run("pg_ctl", "-D", self.cluster.data, "status", check=False).returncode != 0:
                return "ended"
            try:
                self.stack.sql("SELECT 1")
                return "up"
            except psycopg2.OperationalError:
                return None
        return wait_until(check, 20, "PostgreSQL has recovered, or ended") == "up"

    def test_no_room_for_the_log(self):
        self.cluster.stop("fast")
        disk = SmallDisk(self.cluster, 128)
        wal = self.cluster.data / "pg_wal"
        shutil.copytree(wal, disk.path / "wal")
        for path in [disk.path / "wal", *(disk.path / "wal").rglob("*")]:
            if self.cluster.user:
                os.chown(path, self.cluster.user.pw_uid, self.cluster.user.pw_gid)
        (disk.path / "wal").chmod(0o700)
        shutil.rmtree(wal)
        wal.symlink_to(disk.path / "wal")
        self.cluster.start()
        self.start_all()
        desk = SteadyDesk(self.stack, self.desk_key)
        load = Load(self.stack, self.publisher, "log", rate=400)
        load.wait_receipts(100)
        disk.fill()
        filler = "SELECT pg_logical_emit_message(false, 'filler', repeat('x', %s))"
        while (left := self.wal_left()) > 3 << 20:
            self.stack.sql(filler, int(min(left - (2 << 20), 4 << 20)))
        words = wait_reason(self.stack, "DATABASE_DISK_FULL", "DATABASE_UNREACHABLE", "DATABASE_STARTING", timeout=60)
        print(f"no room for the log: {words['intake']}")
        wait_until(lambda: load.busy > 20, 10, "BUSY")
        rows, exit_status, _ = status(self.stack)
        self.assertEqual((rows["intake"]["state"], exit_status), ("NOT_READY", 3 if rows["database"]["state"] == "UNREACHABLE" else 1))
        self.assertTrue(rows["intake"]["code"].startswith("DATABASE_"), rows["intake"])
        self.assertIn("No space left on device", (self.cluster.folder / "log").read_text(), "it was the disk")
        before = len(load.receipts)
        self.assertTrue(load.waiting or load.outstanding)
        disk.free()
        freed = time.monotonic()
        # What PostgreSQL's own supervisor does (systemd, Patroni): a server that could not recover for want of room has ended.
        if not self.recovers_by_itself():
            self.cluster.start()
        load.wait_receipts(50)
        wait_all_ready(self.stack)
        print(f"room again: first receipt {load.at[before] - freed:.2f} s after, all ready {time.monotonic() - freed:.2f} s after")
        load.end()
        desk.end(check_stored(self, self.stack, load))
        self.assertEqual(desk.again, [])


if __name__ == "__main__":
    unittest.main()
