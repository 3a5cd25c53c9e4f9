"""Standbys: services pointed at one by mistake, and commits that wait for one that is missing. A commit whose wait was cancelled is
no commit to anybody: no receipt for it, nor a DUPLICATE, before the standby has it."""
import contextlib
import time
import unittest

from database_faults import Standby, reason, status, wait_all_ready, wait_reason
from jukwaa_harness import Service, Stack, free_port, protos, wait_until
from load import Load, SteadyDesk, check_stored

pb = protos()


class StandbyTest(unittest.TestCase):
    def setUp(self):
        self.stack = Stack(services=())
        self.addCleanup(self.stack.stop)
        self.primary = self.stack.cluster
        self.publisher = self.stack.add_publisher("KRCS")
        self.desk_key = self.stack.add_desk("NBO")

    def start_all(self, names=("intake", "dispatch", "cases", "notify"), **env):
        for name in names:
            self.stack.services[name].env.update(env)
            self.stack.services[name].start(ready=False)

    def point_at(self, *clusters):
        """The services' connection strings name these clusters, in this order."""
        for service in self.stack.services.values():
            text = service.env["JUKWAA_DATABASE"]
            hosts = ",".join(str(cluster.folder) for cluster in clusters)
            service.env["JUKWAA_DATABASE"] = " ".join(
                f"host={hosts}" if part.startswith("host=") else part for part in text.split(" "))


class MistakeTest(StandbyTest):
    def test_a_standby_by_mistake(self):
        standby = Standby(self.primary)
        self.addCleanup(standby.stop)
        self.point_at(standby)
        self.start_all()
        words = wait_reason(self.stack, "DATABASE_READ_ONLY")
        for name, text in words.items():
            self.assertIn("the database is read-only (a standby?)", text, name)
        self.stack.admin_env["JUKWAA_DATABASE"] = self.stack.admin_env["JUKWAA_DATABASE"].replace(
            str(self.primary.folder), str(standby.folder))
        rows, exit_status, human = status(self.stack)
        self.assertEqual((rows["database"]["state"], exit_status), ("READ_ONLY", 1))
        self.assertIn("the database is read-only (a standby?)", human)
        # Promoted, it is another timeline: that is a person's decision, and named; then all goes on by itself.
        self.primary.stop("fast")
        standby._run("pg_ctl", "-D", standby.data, "-w", "promote")
        promoted = time.monotonic()
        wait_reason(self.stack, "EPOCH_NOT_CONFIRMED", services=["intake"])
        print(f"a standby that was promoted is used after {time.monotonic() - promoted:.1f} s")
        self.stack.admin("epoch", "confirm")
        wait_all_ready(self.stack)
        load = Load(self.stack, self.publisher, "promoted")
        load.wait_receipts(50)
        load.end()
        check_stored(self, self.stack, load, cluster=standby)

    def test_only_the_standby_is_left(self):
        """Two hosts; the first goes away under load, the standby is none to write to, and the first comes back."""
        standby = Standby(self.primary)
        self.addCleanup(standby.stop)
        self.point_at(standby, self.primary)
        self.start_all()
        wait_all_ready(self.stack)
        self.stack.wait_known(self.desk_key, "dispatch")
        desk, load = SteadyDesk(self.stack, self.desk_key), Load(self.stack, self.publisher, "two")
        load.wait_receipts(100)
        self.primary.stop()
        wait_reason(self.stack, "DATABASE_READ_ONLY")
        wait_until(lambda: load.busy > 20, 10, "BUSY")
        before, sessions = len(load.receipts), desk.sessions
        self.primary.start()
        up = time.monotonic()
        wait_all_ready(self.stack)
        load.wait_receipts(50)
        print(f"primary back: first receipt {load.at[before] - up:.2f} s after")
        load.end()
        desk.end(check_stored(self, self.stack, load))
        self.assertEqual((desk.again, desk.sessions), ([], sessions))


class ReplicationTest(StandbyTest):
    """synchronous_standby_names demands a standby."""

    def demand(self, name):
        with contextlib.closing(self.primary.connect()) as c, c.cursor() as cur:
            cur.execute("SET synchronous_commit = local")
            cur.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{name}'")
            cur.execute("SELECT pg_reload_conf()")
        wait_until(lambda: self.stack.sql("SHOW synchronous_standby_names") == [(name,)], 5, "the setting")

    def waiting(self, like="jukwaa-intake"):
        return self.stack.sql("SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND application_name LIKE %s", like)

    def cancel(self, function="pg_cancel_backend"):
        """Cancels the waits that are; how many."""
        return sum(len(self.stack.sql(f"SELECT {function}(%s)", pid)) for pid, in self.waiting("jukwaa-%%"))

    def test_cancelled_waits_are_no_receipts(self):
        self.start_all()
        wait_all_ready(self.stack)
        load = Load(self.stack, self.publisher, "sync", rate=100)
        load.wait_receipts(50)
        self.demand("standby1")
        wait_until(self.waiting, 10, "a commit that waits")
        before = len(load.receipts)
        cancelled, ended, end = 0, 0, time.monotonic() + 5
        while time.monotonic() < end:
            cancelled += self.cancel()
            ended += self.cancel("pg_terminate_backend") if cancelled % 4 == 3 else 0
            self.assertEqual(len(load.receipts), before, "a receipt for what the standby does not have")
        stored = self.stack.sql("SELECT count(*) FROM intake.report")[0][0]
        self.assertGreater(cancelled, 5)
        self.assertGreater(stored, before, "committed here, and not receipted: else this test shows nothing")
        wait_reason(self.stack, "DATABASE_NOT_REPLICATED", "DATABASE_NO_ANSWER", services=["intake"])
        wait_reason(self.stack, "DATABASE_NO_ANSWER", services=["intake"])  # nobody cancels any more: it waits
        wait_until(lambda: load.busy > 10, 15, "BUSY while it waits")
        rows, _, human = status(self.stack)
        self.assertEqual(rows["intake"]["code"], "DATABASE_NO_ANSWER")
        self.assertIn("a standby that it waits for?", human)
        self.assertEqual(len(load.receipts), before)
        standby = Standby(self.primary)
        self.addCleanup(standby.stop)
        up = time.monotonic()
        load.wait_receipts(50)
        first = load.at[before]
        wait_all_ready(self.stack)
        print(f"standby there: {cancelled} waits cancelled, {ended} ended, {stored - before} reports committed without receipt; "
              f"first receipt {first - up:.2f} s after, ready {time.monotonic() - up:.2f} s after")
        load.end()
        count = check_stored(self, self.stack, load)
        # Every one that was receipted is on the standby: it could take over now.
        at = self.stack.sql("SELECT pg_current_wal_lsn()::text")[0][0]
        with contextlib.closing(standby.connect(self.stack.database)) as c, c.cursor() as cur:
            def replayed():
                cur.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", (at,))
                return cur.fetchone()[0]
            wait_until(replayed, 10, "the standby has replayed")
            cur.execute("SELECT count(*) FROM intake.report")
            self.assertEqual(cur.fetchone()[0], count)

    def publish(self, peer, request, external_id):
        peer.send("PUBLISH", pb.Publish(request=request, format=pb.FORMAT_PROTOBUF, payload=self.body(external_id)))

    def body(self, external_id):
        incident = pb.Incident()
        incident.identity.external_id, incident.identity.status = external_id, pb.STATUS_ACTUAL
        incident.classification.categories.append(pb.CATEGORY_FIRE)
        incident.handling.scope, incident.handling.tlp = pb.SCOPE_PUBLIC, pb.TLP_GREEN
        incident.place.codes.add(scheme=pb.PLACE_SCHEME_COUNTY, code="047")
        return incident.SerializeToString()

    def test_another_intake_does_not_vouch_for_it_either(self):
        """A's wait is cancelled, its publisher asks B: B can read the row, and must not say DUPLICATE."""
        self.start_all(["intake"])
        port, listen = free_port(), free_port()
        first = self.stack.services["intake"]
        env = {**first.env, "JUKWAA_LISTEN": f"tcp://127.0.0.1:{listen}", "JUKWAA_HTTP_LISTEN": f"127.0.0.1:{port}",
               "JUKWAA_HINT_SOCKET": str(self.stack.run / "second.hint")}
        first.wait_ready()
        second = Service("intake", env, port).start()
        self.addCleanup(second.kill)
        self.stack.wait_known(self.publisher)
        a = self.stack.peer("intake", self.publisher)
        b = type(a)(f"tcp://127.0.0.1:{listen}", self.publisher, f"{self.stack.server_key}.pub")
        for peer in (a, b):
            self.addCleanup(peer.close)
            self.assertIsNotNone(peer.hello())
        self.demand("standby1")
        self.publish(a, 1, "doubtful")
        wait_until(self.waiting, 5, "the commit waits")
        self.cancel()
        wait_until(lambda: self.stack.sql("SELECT count(*) FROM intake.report") == [(1,)], 5, "committed here alone")
        first.kill()
        self.publish(b, 1, "doubtful")
        wait_until(self.waiting, 5, "B makes sure")
        got = b.receive(timeout=2)
        self.assertTrue(got is None or got[1].verdict == pb.VERDICT_BUSY, got)
        standby = Standby(self.primary)
        self.addCleanup(standby.stop)
        receipt = b.expect("RECEIPT", timeout=15)
        self.assertEqual(receipt.verdict, pb.VERDICT_DUPLICATE)
        self.demand("")
        at = time.monotonic()
        self.publish(b, 2, "doubtful")
        self.assertEqual(b.expect("RECEIPT").verdict, pb.VERDICT_DUPLICATE)
        print(f"a duplicate without a standby to wait for: {(time.monotonic() - at) * 1000:.1f} ms")

    def test_a_restart_during_the_wait(self):
        """After the restart what waited is simply there, warned of by nobody."""
        self.start_all(["intake"])
        wait_all_ready(self.stack)
        load = Load(self.stack, self.publisher, "crash", rate=100)
        load.wait_receipts(50)
        self.demand("standby1")
        wait_until(self.waiting, 10, "a commit that waits")
        before = len(load.receipts)
        hidden = self.stack.sql("SELECT count(*) FROM intake.report")[0][0]
        self.primary.stop("immediate")
        self.primary.start()
        wait_until(lambda: self.stack.sql("SELECT count(*) FROM intake.report")[0][0] > hidden, 5, "what waited can be read now")
        wait_until(self.waiting, 15, "intake makes sure")
        self.assertEqual(len(load.receipts), before, "a receipt for what no standby has")
        self.assertIn(reason(self.stack.services["intake"])[0], ("READY", "DATABASE_NO_ANSWER", "DATABASE_STARTING", "DATABASE_UNREACHABLE"))
        self.demand("")
        load.wait_receipts(50)
        load.end()
        self.assertIn("DUPLICATE", {verdict for verdict, _, _ in load.receipts.values()})
        check_stored(self, self.stack, load)


if __name__ == "__main__":
    unittest.main()
