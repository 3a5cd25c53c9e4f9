"""Dispatch: batches in catch-up, many sessions with a backlog at once, and what a stopped desk may hold. Rules are asserted by
counts and bounds on memory, not by the clock."""
import contextlib
import time
import unittest

from dispatch_test import Desk, append, make_body
from jukwaa_harness import Stack, protos, wait_until

pb = protos()
BATCH_BYTES = 32768
FLIGHT_BYTES = 64 * 1024 * 1024


class BatchDesk(Desk):
    """A subscriber that takes batches; `messages` holds how many deliveries each message had."""

    def __init__(self, stack, key, batch_bytes=BATCH_BYTES):
        self.waiting, self.messages, self.batch_bytes = [], [], batch_bytes
        super().__init__(stack, key)

    def subscribe_raw(self, counties=(), start=pb.START_AT_BEGINNING, timeout=5, **fields):
        self.request += 1
        self.peer.send("SUBSCRIBE", pb.Subscribe(request=self.request, counties=counties, start_at=start,
                                                 batch_max_bytes=self.batch_bytes, **fields))
        return self.peer.expect("SUBSCRIBED", "REFUSED", timeout=timeout)

    def next(self, timeout=10):
        """The next delivery, out of a batch or alone; checked."""
        if not self.waiting:
            self.open(self.peer.expect("DELIVER", "DELIVER_BATCH", timeout=timeout))
        return self.check(self.waiting.pop(0))

    def open(self, got):
        if isinstance(got, pb.DeliverBatch):
            assert got.session == self.peer.session and len(got.deliveries) > 1
            assert all(d.session == 0 for d in got.deliveries)
            assert got.ByteSize() <= self.batch_bytes, got.ByteSize()
        self.waiting = list(got.deliveries) if isinstance(got, pb.DeliverBatch) else [got]
        self.messages.append(len(self.waiting))

    def drain(self, seconds=0.3):
        """Takes what is on its way, without acknowledging."""
        end = time.monotonic() + seconds
        while self.waiting or (got := self.peer.receive(end - time.monotonic())) is not None:
            if self.waiting:
                self.next()
            elif got[0] in ("DELIVER", "DELIVER_BATCH"):
                self.open(got[1])

    def take(self, n, ack=True, timeout=10):
        out = []
        for i in range(n):
            out.append(self.next(timeout))
            if ack and (i % 16 == 15 or i == n - 1):
                self.ack()
        return out


class BatchTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = Stack(services=("dispatch",), settings={"dispatch": {"JUKWAA_LAG_AFTER_S": "0"}})
        cls.service = cls.stack.services["dispatch"]
        cls.police, cls.fire = cls.stack.add_publisher("POLICE"), cls.stack.add_publisher("FIRE")
        cls.key = cls.stack.add_desk("OPEN")
        cls.changing = cls.stack.add_desk("CHANGING")
        cls.gone = cls.stack.add_desk("GONE")
        cls.stack.wait_known(cls.gone, "dispatch")
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

    def desk(self, key=None, **kwargs):
        self.desks.append(BatchDesk(self.stack, key or self.key, **kwargs))
        return self.desks[-1]

    def append(self, n, stream=None, agencies=("POLICE",), **fields):
        bodies = [make_body(agencies[i % len(agencies)], **fields) for i in range(n)]
        return append(self.stack, stream or self.stream, bodies)

    # ---- batches ----

    def test_every_event_once_and_in_order(self):
        self.append(1000)
        desk = self.desk()
        desk.subscribe([self.stream])
        self.assertEqual([m.seq for m in desk.take(1000)], list(range(1, 1001)))
        self.assertGreater(max(desk.messages), 20)
        self.assertLessEqual(max(desk.messages), 128)
        self.append(3)
        self.assertEqual([m.seq for m in desk.take(3)], [1001, 1002, 1003])
        desk.quiet(0.3)  # nothing but beats

    def test_who_does_not_ask_gets_none(self):
        self.append(300)
        desk = Desk(self.stack, self.key)
        self.desks.append(desk)
        desk.subscribe([self.stream])
        self.assertEqual(len(desk.take(300)), 300)  # expects DELIVER only

    def test_the_clients_limit_holds(self):
        self.append(200)
        desk = self.desk(batch_bytes=5000)
        desk.subscribe([self.stream])
        desk.take(200)
        self.assertGreater(max(desk.messages), 1)
        self.append(1, headline="x" * 20000)  # over the limit: alone
        self.append(2)
        desk.take(3)

    def test_a_batch_takes_one_place_of_the_window(self):
        self.append(900)
        desk = self.desk()
        desk.subscribe([self.stream], window=3)
        first = desk.take(1, ack=False) + desk.take(len(desk.waiting), ack=False)
        while len(desk.messages) < 3:
            first += desk.take(1, ack=False) + desk.take(len(desk.waiting), ack=False)
        self.assertGreater(len(first), 30)
        desk.quiet(0.3)
        desk.ack(desk.messages[0] - 1)  # all of the first batch but its last one: the place is still taken
        desk.quiet(0.3)
        desk.ack(desk.messages[0])
        desk.take(900 - len(first))

    def test_resume_in_the_middle_of_a_batch(self):
        self.append(600)
        desk = self.desk()
        desk.subscribe([self.stream])
        seen = desk.take(70, ack=False)
        while len(desk.waiting) < 5:  # to the middle of a batch
            seen += desk.take(1, ack=False)
        again = self.desk()
        again.last, again.chains = dict(desk.last), dict(desk.chains)
        again.subscribe([self.stream], pb.START_AT_TOKEN,
                        positions=[pb.SealedPosition(stream=s, seal=b) for s, b in desk.positions.items()])
        self.assertEqual([m.seq for m in again.take(600 - len(seen))], list(range(len(seen) + 1, 601)))

    def test_cursor_in_the_middle_of_a_batch(self):
        self.append(600)
        desk = self.desk()
        desk.subscribe([self.stream], pb.START_AT_CURSOR, cursor="middle")
        desk.take(77, ack=False)
        desk.ack(50)
        again = self.desk()
        again.subscribe([self.stream], pb.START_AT_CURSOR, cursor="middle")
        self.assertEqual(again.take(1)[0].seq, 51)

    def test_live_events_are_not_held_back(self):
        desk = self.desk()
        desk.subscribe([self.stream], pb.START_AT_NOW)
        for _ in range(20):
            self.append(1)
            desk.take(1, timeout=2)
        self.assertEqual(desk.messages, [1] * 20)

    def test_a_denied_event_never_appears_in_a_batch(self):
        """The policy changes while batches are on their way: what is denied from then on is in none of them."""
        self.append(3000, agencies=("POLICE", "FIRE"))
        desk = self.desk(self.changing)
        desk.subscribe([self.stream], window=2)
        desk.take(60, ack=False)
        self.stack.sql("UPDATE registry.allow SET revoked_at = now() FROM registry.desk d WHERE d.desk_id = allow.desk_id"
                       " AND d.code = 'CHANGING'")
        self.stack.admin("allow", "add", "--desk", "CHANGING", "--agency", "FIRE")
        version = self.stack.sql("SELECT version FROM registry.version")[0][0]
        wait_until(lambda: self.service.metric("jukwaa_dispatch_registry_version") >= version, 3, "policy in force")
        desk.drain()  # what had left before
        left, before = 3000 - desk.last[self.stream], desk.delivered
        self.assertGreater(left, 2000)
        desk.ack()
        for message in desk.take((left + 1) // 2):
            identity = pb.Identity.FromString(message.event.groups[0].content)
            self.assertEqual(identity.agency, "FIRE")
        self.assertEqual(desk.delivered - before, (left + 1) // 2)
        desk.quiet(0.3)

    def test_revocation_stops_batches(self):
        self.append(20000)
        desk = self.desk(self.gone)
        desk.subscribe([self.stream])
        desk.take(500)
        self.stack.sql("UPDATE registry.key SET revoked_at = now() FROM registry.desk d WHERE d.desk_id = key.desk_id"
                       " AND d.code = 'GONE'")
        began = last_came = time.monotonic()
        # The link may be cut while Bye stands behind batches in it: then nothing more comes.
        while (got := desk.peer.receive(2)) is not None and got[0] != "BYE":
            if got[0] in ("DELIVER", "DELIVER_BATCH"):
                last_came = time.monotonic()
                last = got[1].deliveries[-1] if got[0] == "DELIVER_BATCH" else got[1]
                desk.ack(last.delivery_no)
                self.assertLess(last.seq, 20000, "the backlog was over before the key was gone")
        if got:
            self.assertEqual(got[1].code, pb.CODE_REVOKED)
        self.assertLess(last_came - began, 1.5)  # 1 s, and the way here
        self.assertIsNone(desk.peer.receive(0.3))

    def test_nothing_of_a_batch_is_sent_before_it_is_written_down(self):
        self.append(500)
        with contextlib.closing(self.stack.cluster.connect(self.stack.database)) as lock:
            lock.autocommit = False
            lock.cursor().execute("LOCK TABLE dispatch.disclosure IN SHARE MODE")
            desk = self.desk()
            desk.subscribe([self.stream])
            desk.quiet(0.8)
            lock.rollback()
        desk.take(500)
        rows = self.stack.sql("SELECT min(from_seq), max(to_seq) FROM dispatch.disclosure WHERE stream = %s", self.stream)
        self.assertEqual(rows[0][0], 1)
        self.assertGreaterEqual(rows[0][1], 500)

    def test_the_library_gives_one_event_a_call(self):
        self.append(500)
        batches = self.service.metric("jukwaa_dispatch_batches_total")
        resume = self.stack.run / f"resume-{self.stream}"
        rows = []
        for count in (77, 1, 422):  # each ends in the middle of a batch
            got, status = self.stack.cli_json(self.key, "watch", "--county", self.stream, "--from", "beginning", "--resume", resume,
                                              "--count", count, "--timeout", 20)
            self.assertEqual(status, 0)
            self.assertEqual([row["delivery_no"] for row in got], list(range(1, count + 1)))
            rows += got
        self.assertEqual([row["seq"] for row in rows], list(range(1, 501)))
        self.assertTrue(all(row["copy_verified"] for row in rows))
        self.assertEqual([row["seq"] for row in rows if not row["chain_verified"]], [78, 79])  # first ones of their runs
        self.assertGreater(self.service.metric("jukwaa_dispatch_batches_total"), batches)

    # ---- many at once ----

    def test_sessions_with_one_backlog_read_it_once(self):
        """50 sessions, 5,000 events each: every block is read once for all of them, ranges are few, memory is bounded."""
        for _ in range(10):
            self.append(500)
        read = self.service.metric("jukwaa_dispatch_events_read_total")
        ranges = self.service.metric("jukwaa_dispatch_disclosures_total")
        desks = [self.desk() for _ in range(50)]
        for desk in desks:
            desk.peer.send("SUBSCRIBE", pb.Subscribe(request=1, counties=[self.stream], start_at=pb.START_AT_BEGINNING,
                                                     batch_max_bytes=BATCH_BYTES, window=8))
        for desk in desks:
            desk.peer.expect("SUBSCRIBED")
        while any(desk.delivered < 5000 for desk in desks):
            for desk in desks:
                desk.waiting = desk.waiting or []
                for _ in range(min(200, 5000 - desk.delivered)):
                    desk.next()
                desk.ack()
        for desk in desks:
            self.assertEqual(desk.last[self.stream], 5000)
        self.assertLess(self.service.metric("jukwaa_dispatch_events_read_total") - read, 2 * 5000)
        self.assertLessEqual(self.service.metric("jukwaa_dispatch_disclosures_total") - ranges, 50 * 3)
        self.assertLessEqual(self.service.metric("jukwaa_dispatch_cache_bytes"), 16 * 1024 * 1024)

    def test_stopped_desks_leave_room_for_the_others(self):
        """Desks that never acknowledge hold a bounded share of the memory; one that does gets everything."""
        for _ in range(6):
            self.append(500, headline="x" * 4000)
        flight = lambda: self.service.metric("jukwaa_dispatch_unacknowledged_bytes")  # noqa: E731
        wait_until(lambda: flight() == 0, 20, "nothing on its way")
        stopped = [self.desk() for _ in range(20)]
        stopped[0].subscribe([self.stream], window=256)
        wait_until(lambda: flight() > 4 * 1024 * 1024 - 2 * BATCH_BYTES, 10, "one has what one may have")
        self.assertLessEqual(flight(), 4 * 1024 * 1024 + BATCH_BYTES)
        for desk in stopped[1:]:
            desk.subscribe([self.stream], window=256)
        wait_until(lambda: flight() > FLIGHT_BYTES / 2, 10, "stopped desks hold what they may")
        fast = self.desk()
        fast.subscribe([self.stream])
        self.assertEqual([m.seq for m in fast.take(3000)], list(range(1, 3001)))
        self.assertLess(flight(), FLIGHT_BYTES)
        for desk in stopped:
            desk.close()
        self.desks = [fast]

    def test_sessions_of_one_agency_do_not_stop_another(self):
        """A member that opens many sessions, takes large events and acknowledges none: others go on meanwhile."""
        hostile = self.stack.add_desk("HOSTILE", agency="HOSTILE")
        self.stack.wait_known(hostile, "dispatch")
        for _ in range(12):
            self.append(1, headline="x" * 1500000)
        stopped = [self.desk(hostile) for _ in range(56)]  # of 64: those that asked whether the key is known may not have ended yet
        for desk in stopped:
            desk.subscribe([self.stream], window=256)
        flight = lambda: self.service.metric("jukwaa_dispatch_unacknowledged_bytes")  # noqa: E731
        wait_until(lambda: flight() > FLIGHT_BYTES * 5 / 8, 20, "the agency has what it may have")
        other = self.desk()
        other.subscribe([self.stream], window=4)
        self.assertEqual([other.take(1)[0].seq for _ in range(12)], list(range(1, 13)))
        self.append(1)
        self.assertEqual(other.take(1, timeout=5)[0].seq, 13)
        self.assertLess(flight(), FLIGHT_BYTES)


if __name__ == "__main__":
    unittest.main()
