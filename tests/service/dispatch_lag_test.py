"""Dispatch: how far desks are behind, in metrics and `jukwaa status`, and what publishers are told of it in their mailboxes."""
import contextlib
import time
import unittest

from dispatch_test import Desk, append, make_body
from jukwaa_harness import Stack, protos, run_cli, wait_until

pb = protos()


class LagTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = Stack(services=("dispatch",), settings={"dispatch": {"JUKWAA_LAG_AFTER_S": "1", "JUKWAA_LAG_AGAIN_S": "3"}})
        cls.service = cls.stack.services["dispatch"]
        cls.police, cls.fire = cls.stack.add_publisher("POLICE"), cls.stack.add_publisher("FIRE")
        cls.keys = {name: cls.stack.add_desk(name, allow=rows) for name, rows in (
            ("OPEN", ((),)), ("QUICK", ((),)), ("AWAY", ((),)), ("FIREONLY", (("--agency", "FIRE"),)), ("COUNTED", ((),)))}
        cls.stack.wait_known(cls.keys["COUNTED"], "dispatch")
        cls.counties = [f"{n:03}" for n in range(1, 48)]

    @classmethod
    def tearDownClass(cls):
        assert cls.service.stop() == 0, cls.service.log()

    def setUp(self):
        self.stream, self.desks = self.counties.pop(), []

    def tearDown(self):
        for desk in self.desks:
            desk.close()
        self.assertIsNone(self.service.process.poll(), self.service.log())

    def desk(self, key):
        self.desks.append(Desk(self.stack, self.keys.get(key, key)))
        return self.desks[-1]

    def append(self, n=1, agency="POLICE", **fields):
        return append(self.stack, self.stream, [make_body(agency, **fields) for _ in range(n)])

    def mailbox(self, key, lagging=True):
        box = self.desk(key)
        box.subscribe(mailbox=True, start=pb.START_AT_NOW, lagging=lagging)
        return box

    def notices(self, box, seconds):
        """LAGGING messages of this test's stream that come within a while."""
        end, out = time.monotonic() + seconds, []
        while (got := box.peer.receive(end - time.monotonic())) is not None:
            if got[0] == "DELIVER":
                box.check(got[1])
                box.ack()
                if got[1].kind == pb.EVENT_KIND_LAGGING and got[1].lagging.stream == self.stream:
                    out.append(got[1])
        return out

    def notice(self, box, check, timeout=8):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            for message in self.notices(box, 0.2):
                if check(message.lagging):
                    return message
        raise AssertionError("no such notice")

    def lag(self, desk, measure="events"):
        return self.service.metric("jukwaa_dispatch_desk_lag", f'desk="{desk}",measure="{measure}"')

    # ---- mailboxes ----

    def test_publisher_learns_of_a_desk_that_lags_and_that_it_has_caught_up(self):
        box, other = self.mailbox(self.police), self.mailbox(self.fire)
        slow, quick = self.desk("OPEN"), self.desk("QUICK")
        slow.subscribe([self.stream], pb.START_AT_NOW)
        quick.subscribe([self.stream], pb.START_AT_NOW)
        self.append(2, agency="FIRE")
        rows = self.append(3)
        self.append(1, scope=2)  # PRIVATE: nobody waits for it
        quick.take(5)
        message = self.notice(box, lambda m: m.desk == "OPEN")
        first = min(row[1] for row in rows)
        self.assertEqual((message.stream, message.tlp), ("@POLICE", 3))
        self.assertEqual((message.lagging.from_seq, message.lagging.cleared), (first, False))
        recorded = next(row[3] for row in rows if row[1] == first)
        self.assertEqual(message.lagging.since_us, round(recorded.timestamp() * 1e6))
        self.assertEqual(self.notice(other, lambda m: m.desk == "OPEN").lagging.from_seq, 1)
        slow.take(5)
        self.assertEqual(self.notice(box, lambda m: m.cleared).lagging.desk, "OPEN")
        self.notice(other, lambda m: m.cleared)
        self.assertEqual([m.lagging.desk for m in self.notices(box, 1.5)], [])
        self.assertEqual(self.stack.sql("SELECT count(*) FROM feed.event WHERE kind = 17 AND stream !~ '^@'"), [(0,)])

    def test_told_again_but_not_often(self):
        box = self.mailbox(self.police)
        self.desk("OPEN").subscribe([self.stream], pb.START_AT_NOW)
        self.append(1)
        self.notice(box, lambda m: m.desk == "OPEN")
        self.assertEqual(len(self.notices(box, 2)), 0)
        self.assertEqual(len(self.notices(box, 3.5)), 1)  # again after 3 s

    def test_nothing_about_desks_that_may_not_see_it(self):
        box, fire = self.mailbox(self.police), self.mailbox(self.fire)
        desk = self.desk("FIREONLY")
        desk.subscribe([self.stream], pb.START_AT_NOW)
        self.append(5)
        self.append(1, agency="FIRE")
        self.append(5)
        self.assertEqual(self.notice(fire, lambda m: m.desk == "FIREONLY").lagging.from_seq, 6)
        self.assertEqual(self.notices(box, 1), [])
        self.stack.sql("UPDATE registry.allow SET revoked_at = now() FROM registry.desk d WHERE d.desk_id = allow.desk_id"
                       " AND d.code = 'FIREONLY'")
        self.notice(fire, lambda m: m.cleared)  # it may see nothing now: no more is said of it
        self.assertEqual(self.notices(fire, 4), [])

    def test_a_desk_away_with_a_durable_cursor(self):
        box = self.mailbox(self.police)
        desk = self.desk("AWAY")
        self.append(2)
        desk.subscribe([self.stream], pb.START_AT_CURSOR, cursor="away")
        desk.take(2)
        wait_until(lambda: self.stack.sql("SELECT seq FROM dispatch.cursor WHERE name = 'away'") == [(2,)], 5, "cursor saved")
        desk.close()
        self.desks.remove(desk)
        self.append(7)
        # The session is gone after three silent intervals; nobody waits for that: the cursor counts once it is.
        self.service.stop()
        self.service.start()
        wait_until(lambda: self.lag("AWAY") == 7, 15, "lag of a cursor without a session")
        wait_until(lambda: self.lag("AWAY", "seconds") >= 1, 5, "age of the oldest")
        self.assertLess(self.lag("AWAY", "seconds"), 60)
        box = self.mailbox(self.police)
        self.notice(box, lambda m: m.desk == "AWAY" and m.from_seq == 3 and not m.cleared, 15)
        back = self.desk("AWAY")
        back.subscribe([self.stream], pb.START_AT_CURSOR, cursor="away")
        back.take(7)
        self.notice(box, lambda m: m.desk == "AWAY" and m.cleared)
        wait_until(lambda: self.lag("AWAY") == 0, 15, "no lag any more")

    def test_a_client_that_does_not_know_the_kind_gets_none(self):
        old = self.mailbox(self.police, lagging=False)
        box = self.mailbox(self.police)
        self.desk("OPEN").subscribe([self.stream], pb.START_AT_NOW)
        self.append(1)
        self.notice(box, lambda m: m.desk == "OPEN")
        self.assertEqual(self.notices(old, 0.5), [])

    def test_watch_shows_it(self):
        self.desk("OPEN").subscribe([self.stream], pb.START_AT_NOW)
        self.append(1)
        rows, status = self.stack.cli_json(self.police, "watch", "--mailbox", "--count", 1, "--timeout", 15)
        self.assertEqual(status, 0)
        self.assertEqual(rows[0]["kind"], "LAGGING")
        self.assertTrue(rows[0]["copy_verified"])
        self.assertEqual(rows[0]["lagging"]["desk"], "OPEN")
        self.append(1)
        done = self.stack.cli(self.police, "watch", "--mailbox", "--count", 1, "--timeout", 15, check=False)
        self.assertRegex(done.stdout, rf"OPEN has not taken \d\d\d from #\d+ on, since \d\d:\d\d:\d\d")

    # ---- measures ----

    def test_the_age_is_that_of_the_oldest_event_that_waits(self):
        """A stream that was quiet for long makes no lag of an event that is new."""
        with contextlib.closing(self.stack.cluster.connect(self.stack.database)) as c, c.cursor() as cursor:
            self.append(1)
            cursor.execute("UPDATE feed.event SET recorded_at = recorded_at - interval '1 hour' WHERE stream = %s", (self.stream,))
        desk = self.desk("COUNTED")
        desk.subscribe([self.stream])
        desk.peer.expect("DELIVER")  # its chain does not hold any more
        wait_until(lambda: self.lag("COUNTED", "seconds") >= 3600, 5, "an old event waits")
        desk.ack(1)
        wait_until(lambda: self.lag("COUNTED") == 0, 5, "nothing waits")
        self.append(1)
        desk.peer.expect("DELIVER")
        wait_until(lambda: self.lag("COUNTED") == 1, 5, "a new event waits")
        self.assertLess(self.lag("COUNTED", "seconds"), 60)

    def test_status_shows_who_lags(self):
        desk = self.desk("OPEN")
        desk.subscribe([self.stream], pb.START_AT_NOW)
        self.append(4)
        wait_until(lambda: self.lag("OPEN") >= 4, 5, "lag measured")
        env = {**self.stack.env(self.police), "JUKWAA_HTTP": f"http://127.0.0.1:{self.service.http_port}"}
        rows = run_cli("--json", "status", env=env, check=False).stdout
        self.assertIn('"part":"lag"', rows)
        for columns in ("40", "100"):
            done = run_cli("status", env={**env, "COLUMNS": columns}, check=False)
            line = next(line for line in done.stdout.splitlines() if line.startswith("lag") and "OPEN" in line)
            self.assertRegex(line, r"behind \d+")
            self.assertRegex(done.stdout, r"oldest \d+ s")
            self.assertLessEqual(max(map(len, done.stdout.splitlines())), int(columns))


if __name__ == "__main__":
    unittest.main()
