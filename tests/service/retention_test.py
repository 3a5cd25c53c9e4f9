"""Removal by age of the feed: what goes, what stays, in which order, under whose eyes; while everything runs, killed and doubled."""
import contextlib
import json
import signal
import threading
import time
import unittest
import uuid

import psycopg2
import psycopg2.extras
from dispatch_test import Desk, make_body
from feed_proof import check_feed, check_head
from jukwaa_harness import Cluster, Stack, protos, read_key, run_cli, wait_until
from protected_incident import Revision, store

pb = protos()
psycopg2.extras.register_uuid()
cluster = Cluster()


def keep(stack, **kinds):
    """Sets how long kinds are kept, in seconds; None: for ever. In one statement, as the rules are checked in each."""
    stack.sql("UPDATE meta.retention SET " + ", ".join(f"{k} = %s::interval" for k in kinds),
              *[None if v is None else f"{v} seconds" for v in kinds.values()])


def keep_all(stack):
    keep(stack, spool=1, event=None, report=None, dedup=None, disclosure=None, message=None, head=None)


def events(stack, stream=None):
    return stack.sql("SELECT count(*) FROM feed.event WHERE %s::text IS NULL OR stream = %s", stream, stream)[0][0]


def removed(stack, stream):
    rows = stack.sql("SELECT seq, gone_seq FROM feed.removed WHERE stream = %s", stream)
    return rows[0] if rows else (0, 0)


class FeedCase(unittest.TestCase):
    """Events written by hand; dispatch signs and removes; the followers' cursors are moved by hand unless they run."""
    services = ("dispatch",)

    def setUp(self):
        self.stack = Stack(services=self.services, cluster=cluster)
        keep_all(self.stack)
        self.stack.add_publisher("POLICE")
        self.desk_key = self.stack.add_desk("OPEN")
        self.stack.wait_known(self.desk_key, "dispatch")
        self.dispatch = self.stack.services["dispatch"]
        self.peers = []

    def tearDown(self):
        for peer in self.peers:
            peer.close()
        for service in self.stack.services.values():
            if service.process and service.process.poll() is None:
                service.process.send_signal(signal.SIGCONT)
                self.assertEqual(service.stop(), 0, service.log())

    def desk(self):
        self.peers.append(Desk(self.stack, self.desk_key))
        return self.peers[-1]

    def append(self, stream, n, role=None):
        bodies = [make_body("POLICE") for _ in range(min(n, 20))]
        rows = [bodies[i % len(bodies)] for i in range(n)]
        ids = [uuid.uuid4() for _ in rows]
        self.stack.sql("SELECT count(*) FROM feed.append(%s::text[], %s::uuid[], %s::int2[], %s::uuid[], %s::int8[], %s::int2[],"
                       " %s::int2[], %s::bytea[], %s::bytea[])", [stream] * n, ids, [1] * n, ids, [1] * n, [2] * n, [9] * n,
                       [c for _, c in rows], [b for b, _ in rows], role=role)

    def signed(self):
        """The number of a signed head over all there is now."""
        total = self.stack.sql("SELECT sum(last_seq) FROM feed.head")[0][0]
        return wait_until(lambda: self.stack.sql("SELECT max(head_no) FROM evidence.head WHERE (SELECT sum(s) FROM unnest(seqs) s) >= %s",
                                                 total)[0][0], 15, "a signed head")

    def follow(self, *names):
        """The cursors of those who follow, moved to the end."""
        for name in names or ("cases", "notify"):
            self.stack.sql(f"INSERT INTO {name}.cursor SELECT stream, last_seq FROM feed.head"
                           " ON CONFLICT (stream) DO UPDATE SET seq = excluded.seq")

    def remove_all(self, stream, seq, timeout=30):
        wait_until(lambda: removed(self.stack, stream) == (seq, seq), timeout, f"{stream} removed up to {seq}")


class RemovalTest(FeedCase):
    def test_what_is_left_is_proven_by_a_head_signed_before(self):
        self.append("001", 700)
        self.append("002", 30)
        self.append("@POLICE", 12)
        first = self.signed()
        self.append("001", 400)
        self.append("003", 5)
        second = self.signed()
        self.follow()
        before = check_feed(self.stack, second)
        self.assertEqual((before["001"], before["@POLICE"]), ((1, 1100), (1, 12)))
        # Old enough is what was there before the first head, ten seconds before the second. The service stands still; by hand,
        # in steps that end within a head.
        self.dispatch.process.send_signal(signal.SIGSTOP)
        age = self.stack.sql("SELECT extract(epoch FROM clock_timestamp() - stored_at) FROM evidence.head WHERE head_no = %s",
                             second)[0][0]
        keep(self.stack, event=float(age) + 5)
        steps = []
        while not steps or steps[-1][1]:
            steps += self.stack.sql("SELECT removed, more FROM feed.remove(100)", role="jukwaa_dispatch")
            check_feed(self.stack, second)
        # A head may have been signed between the appends, and a step ends at each.
        self.assertEqual((sum(s[0] for s in steps), max(s[0] for s in steps), steps[-1][0]), (742, 100, 0))
        self.assertEqual([removed(self.stack, s) for s in ("001", "002", "@POLICE", "003")], [(700, 700), (30, 30), (12, 12), (0, 0)])
        keep(self.stack, event=None)
        self.dispatch.process.send_signal(signal.SIGCONT)
        self.append("002", 3)
        key = read_key(f"{self.stack.server_key}.pub")["sign-public"]
        kept = check_feed(self.stack, second, key)
        self.assertEqual(kept, {"001": (701, 1100), "002": (31, 33), "003": (1, 5), "@POLICE": (13, 12)})
        # The head that covers what is gone still says so by itself.
        self.assertEqual({s: n for s, (n, _) in check_head(self.stack, first, key).items()}, {"001": 700, "002": 30, "@POLICE": 12})
        # Tampering: with the beginning, with what follows it, with the head, with a hole.
        for spoil in ("UPDATE feed.removed SET chain = sha256(chain) WHERE stream = '001'",
                      "UPDATE feed.removed SET seq = 699, gone_seq = 699 WHERE stream = '001'",
                      "UPDATE evidence.head SET chains[1] = sha256('x') WHERE head_no = (SELECT head_no FROM feed.removed LIMIT 1)",
                      "UPDATE evidence.head SET signature = public_key || public_key WHERE head_no = (SELECT head_no FROM feed.removed"
                      " LIMIT 1)",
                      "DELETE FROM feed.event WHERE stream = '001' AND seq = 701",
                      "UPDATE feed.event SET tlp = 1 WHERE stream = '001' AND seq = 900",
                      "UPDATE feed.head SET last_seq = 1099 WHERE stream = '001'"):
            with self.subTest(spoil):
                self.undoing(spoil, lambda: self.assertRaises(AssertionError, check_feed, self.stack, second))
        self.assertEqual(check_feed(self.stack, second), kept)

    def undoing(self, spoil, check):
        """check() while the change stands; then as before."""
        self.dispatch.process.send_signal(signal.SIGSTOP)
        tables = ("feed.removed", "evidence.head", "feed.event", "feed.head")
        try:
            for table in tables:
                self.stack.sql(f"CREATE TABLE public.saved_{table.replace('.', '_')} AS SELECT * FROM {table}")
            self.stack.sql(spoil)
            check()
        finally:
            for table in tables:
                copy = f"public.saved_{table.replace('.', '_')}"
                if table == "evidence.head":
                    self.stack.sql("UPDATE evidence.head h SET chains = s.chains, signature = s.signature"
                                   f" FROM {copy} s WHERE s.head_no = h.head_no")
                else:
                    self.stack.sql(f"DELETE FROM {table}; INSERT INTO {table} SELECT * FROM {copy}")
                self.stack.sql(f"DROP TABLE {copy}")
            self.dispatch.process.send_signal(signal.SIGCONT)

    def test_nothing_goes_before_those_who_follow_have_it(self):
        self.append("010", 50)
        self.signed()
        keep(self.stack, event=.1)
        held = lambda: self.stack.sql("SELECT held FROM meta.removal WHERE kind = 'event'")[0][0]
        wait_until(lambda: held() == "cases", 15, "held by cases")
        self.follow("cases")
        wait_until(lambda: held() == "notify", 15, "held by notify")
        self.assertEqual(self.dispatch.metric("jukwaa_retention_held", 'kind="event"'), 1)
        status = run_cli("status", env={**self.stack.admin_env, "JUKWAA_HTTP": f"http://127.0.0.1:{self.dispatch.http_port}"},
                         check=False).stdout
        self.assertRegex(status, r"retention .*held event by notify")
        # One short of the end is not enough.
        self.stack.sql("INSERT INTO notify.cursor VALUES ('010', 49)")
        time.sleep(6)
        self.assertEqual((events(self.stack), removed(self.stack, "010")), (50, (0, 0)))
        self.follow("notify")
        self.remove_all("010", 50)
        wait_until(lambda: held() == "", 15, "not held")
        self.assertEqual(events(self.stack), 0)
        check_feed(self.stack)

    def test_nothing_goes_without_a_signed_head(self):
        self.dispatch.kill()
        self.append("011", 40)
        self.follow()
        keep(self.stack, event=.1)
        for _ in range(3):
            self.assertEqual(self.stack.sql("SELECT removed, more FROM feed.remove(100)", role="jukwaa_dispatch"), [(0, False)])
        # A head of another history (a standby that lost commits was promoted) is passed over.
        self.stack.sql("INSERT INTO evidence.head (signed_at, root, streams, seqs, chains, public_key, signature) VALUES"
                       " (now(), sha256('r'), '{011}', '{40}', ARRAY[sha256('lost')], sha256('k'), sha256('a') || sha256('b'))")
        time.sleep(.2)
        self.stack.sql("SELECT removed, more FROM feed.remove(100)", role="jukwaa_dispatch")
        self.assertEqual((events(self.stack), removed(self.stack, "011")), (40, (0, 0)))
        self.dispatch.start()
        self.remove_all("011", 40)

    def test_what_is_held_is_set_apart_and_the_rest_goes(self):
        """A legal hold keeps its events whole, and keeps no stream from being removed; when it ends they go with the next removal."""
        sql = self.stack.sql
        held, free = Revision(counties=("017", "018")), Revision(counties=("017",))
        self.append("017", 500)
        store(self.stack, held, free)
        self.append("017", 1100)
        kept = sql("SELECT e::text FROM feed.event e WHERE event_id = %s ORDER BY stream", held.event_id)
        self.stack.admin("hold", "add", str(held.incident), "--reason", "case 1143")
        head = self.signed()
        self.follow()
        keep(self.stack, event=.1)
        apart = lambda: sql("SELECT e::text FROM feed.held e ORDER BY stream")

        def remove(stream, seq):
            """By hand, beside dispatch: whoever comes first."""
            wait_until(lambda: sql("SELECT feed.remove(5000)", role="jukwaa_dispatch") and removed(self.stack, stream) == (seq, seq), 15,
                       f"{stream} removed up to {seq}")

        remove("017", 1602)
        remove("018", 1)
        self.assertEqual((events(self.stack), apart()), (0, kept))
        self.assertEqual(check_feed(self.stack, head), {"017": (1603, 1602), "018": (2, 1)})
        holds = [json.loads(line) for line in run_cli("--json", "admin", "hold", "list", env=self.stack.admin_env).stdout.splitlines()]
        self.assertEqual([(h["incident_id"], int(h["apart"])) for h in holds], [(str(held.incident), 2)])
        # The stream goes on and is removed from, past what is held.
        keep(self.stack, event=None)
        self.append("017", 1100)
        self.assertEqual(check_feed(self.stack, head)["017"], (1603, 2702))
        self.signed()
        self.follow()
        keep(self.stack, event=.1)
        remove("017", 2702)
        self.assertEqual(apart(), kept)
        self.stack.admin("hold", "release", holds[0]["hold_id"])
        wait_until(lambda: sql("SELECT feed.remove(5000)", role="jukwaa_dispatch") and not apart(), 5, "gone with the hold")
        check_feed(self.stack)

    def test_a_desk_behind_what_is_kept_is_told_to_resync(self):
        self.append("012", 300)
        desk = self.desk()
        desk.subscribe(["012"], cursor="C", window=20)
        desk.take(20)
        wait_until(lambda: self.stack.sql("SELECT seq FROM dispatch.cursor WHERE name = 'C'") == [(20,)], 5, "cursor saved")
        token = dict(desk.positions)
        slow = self.desk()
        slow.subscribe(["012"], window=16)
        slow.take(16, ack=False)
        at_anchor = self.desk()
        at_anchor.subscribe(["012"])
        at_anchor.take(300)
        self.signed()
        desk.close()
        self.follow()
        keep(self.stack, event=.1)
        self.remove_all("012", 300)
        keep(self.stack, event=None)
        # Nobody holds it in memory any more (another dispatch, or this one after a restart).
        slow_service = self.dispatch
        slow_service.stop()
        self.append("012", 50)
        slow_service.start()
        for how in ({"start": pb.START_AT_CURSOR, "cursor": "C"}, {}):
            again = self.desk()
            got = again.subscribe_raw(["012"], **how) if how else again.resume(token, ["012"])
            self.assertEqual(pb.Code.Name(got.code), "CODE_RESYNC", got.reason)
        # The last removed position is as good as ever; a forged chain at it is not.
        again = self.desk()
        self.assertIsInstance(again.resume(at_anchor.positions, ["012"]), pb.Subscribed)
        again.last, again.chains = dict(at_anchor.last), dict(at_anchor.chains)
        self.assertEqual([m.seq for m in again.take(50)], list(range(301, 351)))
        self.stack.sql("UPDATE feed.removed SET chain = sha256(chain)")
        got = self.desk().resume(at_anchor.positions, ["012"])
        self.assertEqual(pb.Code.Name(got.code), "CODE_RESYNC", got.reason)
        # The beginning is the first event kept.
        fresh = self.desk()
        fresh.subscribe(["012"])
        self.assertEqual([m.seq for m in fresh.take(50)], list(range(301, 351)))

    def test_a_live_session_that_is_overtaken_is_told(self):
        """Not passed over in silence: it was promised every event."""
        self.append("013", 3000)
        slow = self.desk()
        slow.subscribe(["013"], window=16)
        slow.take(16, ack=False)
        self.signed()
        self.follow()
        keep(self.stack, event=.1)
        self.remove_all("013", 3000)
        slow.ack()
        seen = 16
        while True:
            got = slow.peer.expect("DELIVER", "BYE")
            if isinstance(got, pb.Bye):
                break
            seen += 1
            self.assertEqual(slow.check(got).seq, seen)
            slow.ack()
        self.assertEqual(pb.Code.Name(got.code), "CODE_RESYNC", got.reason)
        self.assertLess(seen, 3000)

    def test_disclosures_and_heads(self):
        self.append("014", 30)
        desk = self.desk()
        desk.subscribe(["014"])
        desk.take(30)
        self.signed()
        self.append("015", 5)
        last = self.signed()
        self.follow()
        wait_until(lambda: self.stack.sql("SELECT count(*) FROM dispatch.disclosure")[0][0] > 0, 5, "disclosure")
        keep(self.stack, event=.1, head=.1, dedup=None, disclosure=.1)
        self.remove_all("014", 30)
        self.remove_all("015", 5)
        wait_until(lambda: self.stack.sql("SELECT count(*) FROM dispatch.disclosure")[0][0] == 0, 15, "disclosures gone")
        needed = {r[0] for r in self.stack.sql("SELECT head_no FROM feed.removed")}
        wait_until(lambda: {r[0] for r in self.stack.sql("SELECT head_no FROM evidence.head WHERE head_no < %s", last)}
                   <= needed, 15, "old heads gone")
        self.assertLessEqual(needed, {r[0] for r in self.stack.sql("SELECT head_no FROM evidence.head")})
        check_feed(self.stack)
        self.assertGreater(self.dispatch.metric("jukwaa_retention_removed_total", 'kind="disclosure"'), 0)
        self.assertIn("removed_by_age kind=event", self.dispatch.log())

    def test_a_clock_that_jumped_ahead_is_not_believed(self):
        """Ages are the database's; what its clock says is taken with a bound."""
        sql = self.stack.sql
        self.assertEqual(sql("SELECT meta.retention_clock(now() + interval '31 days')"), [(None,)])
        self.assertEqual(sql("SELECT meta.retention_clock('1970-01-01') = '1970-01-01'"), [(True,)])
        self.append("016", 10)
        self.signed()
        self.follow()
        sql("UPDATE meta.retention SET believed_at = now() - interval '31 days'")
        keep(self.stack, event=.1)
        wait_until(lambda: sql("SELECT held FROM meta.removal WHERE kind = 'event'")[0][0] == "clock", 15, "held by the clock")
        self.assertEqual(events(self.stack, "016"), 10)
        self.stack.admin("retention", "confirm")
        self.remove_all("016", 10)

    def test_the_process_clock_does_not_matter(self):
        """A test that the age is not asked of the service: nothing of it is a parameter."""
        self.assertEqual(self.stack.sql("SELECT DISTINCT pg_get_function_arguments(p.oid) FROM pg_proc p JOIN pg_namespace n ON n.oid ="
                                        " pronamespace WHERE prosecdef AND proname LIKE 'remove%%'"),
                         [("p_max integer, OUT removed bigint, OUT more boolean, OUT held text, OUT oldest timestamp with time zone",)])

    def test_least_privilege(self):
        for role, table in (("dispatch", "feed.event"), ("dispatch", "dispatch.disclosure"), ("intake", "intake.report"),
                            ("intake", "intake.dedup"), ("notify", "notify.message"), ("dispatch", "feed.removed"),
                            ("admin", "feed.event"), ("dispatch", "evidence.head")):
            with self.subTest(role=role, table=table), self.assertRaises(psycopg2.errors.InsufficientPrivilege):
                self.stack.sql(f"DELETE FROM {table}", role=f"jukwaa_{role}")
        for role, call in (("intake", "feed.remove(1)"), ("notify", "intake.remove_keys(1)"), ("cases", "feed.remove(1)"),
                           ("dispatch", "feed.delete_removed(1)"), ("intake", "meta.set_retention('event', 1)"),
                           ("dispatch", "meta.confirm_clock()")):
            with self.subTest(role=role, call=call), self.assertRaises(psycopg2.errors.InsufficientPrivilege):
                self.stack.sql(f"SELECT {call}", role=f"jukwaa_{role}")


class LoadTest(FeedCase):
    services = ("dispatch", "cases", "notify")

    def test_under_load_killed_and_doubled(self):
        """Appends go on at full speed while another dispatch removes too and one is killed again and again. Nothing wanted is lost,
        numbers stay whole, and no append waits for a lock of removal."""
        second = type(self.dispatch)("dispatch", {**self.dispatch.env, "JUKWAA_LISTEN": "tcp://127.0.0.1:0",
                                                  "JUKWAA_HTTP_LISTEN": "127.0.0.1:0"}, 0)
        stop, slowest, looks, failures, waits = threading.Event(), [0.0], [0], [], []
        streams = [f"{n:03}" for n in range(20, 30)]

        def write(number):
            while not stop.is_set():
                began = time.monotonic()
                try:
                    self.append(streams[number % len(streams)], 40, role="jukwaa_intake")
                except psycopg2.Error as e:
                    failures.append(str(e))
                slowest[0] = max(slowest[0], time.monotonic() - began)
                number += 1

        def look():
            with contextlib.closing(self.stack.cluster.connect(self.stack.database)) as c, c.cursor() as cursor:
                while not stop.is_set():
                    cursor.execute("SELECT w.query, b.query FROM pg_stat_activity w, unnest(pg_blocking_pids(w.pid)) p"
                                   " JOIN pg_stat_activity b ON b.pid = p WHERE b.query ~ '\\.remove' AND w.query !~ '\\.remove'")
                    waits.extend(cursor.fetchall())
                    looks[0] += 1
                    stop.wait(.002)

        keep(self.stack, event=2)
        threads = [threading.Thread(target=write, args=(n,)) for n in (0, 5)] + [threading.Thread(target=look)]
        for thread in threads:
            thread.start()
        kills = 0
        try:
            second.start(ready=False)
            wait_until(lambda: self.stack.sql("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND"
                                              " application_name = 'jukwaa-dispatch-retain'") == [(2,)], 20, "two that remove")
            wait_until(lambda: self.gone() > 0, 60, "removal has begun")
            for _ in range(5):
                # In the middle: more was removed since the last time, and there is more to remove.
                before = self.gone()
                wait_until(lambda: self.gone() > before, 30, "removal goes on")
                self.dispatch.process.kill()
                self.dispatch.process.wait()
                self.assertGreater(events(self.stack), 0)
                kills += 1
                self.dispatch.start()
        finally:
            stop.set()
            for thread in threads:
                thread.join()
            second.stop()
        self.assertEqual((kills, failures, waits), (5, [], []))
        self.assertGreater(looks[0], 100)
        self.assertLess(slowest[0], 2.0)
        last = self.signed()
        kept = check_feed(self.stack, last)
        total = self.stack.sql("SELECT sum(last_seq) FROM feed.head WHERE stream !~ '^@'")[0][0]
        self.assertEqual(self.stack.sql("SELECT count(*) FROM cases.\"case\"")[0][0], total)  # each event was an incident's
        self.assertGreater(self.gone(), 1000)
        # To the end: everything goes, and what comes then is numbered on.
        for stream in streams:
            if stream in kept:
                self.remove_all(stream, kept[stream][1], 60)
        self.append("020", 3)
        wait_until(lambda: self.stack.sql("SELECT seq FROM cases.cursor WHERE stream = '020'")[0][0] == kept["020"][1] + 3, 10, "followed")
        print(f"{total} events appended, {self.gone()} removed, slowest append {slowest[0] * 1000:.0f} ms")

    def gone(self):
        return self.stack.sql("SELECT coalesce(sum(gone_seq), 0) FROM feed.removed")[0][0]


if __name__ == "__main__":
    unittest.main()
