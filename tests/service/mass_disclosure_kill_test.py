"""kill -9 of dispatch during disclosure, at random, again and again: every copy that a desk holds is covered by a range that was
written down for that desk, in that session, before the copy came; and no record denies a copy that a desk holds."""
import os
import random
import threading
import time
import unittest
import uuid

import feed_events
from jukwaa_harness import Stack, protos, wait_until

pb = protos()
KILLS = 100 if os.environ.get("JUKWAA_TEST_LONG") else 20
COUNTIES, EVENTS = ("001", "002", "003"), 12000  # events of each
CATEGORIES = (6, 9)
DESKS = 4


class Reader(threading.Thread):
    """A desk that reads everything, from where it was, over and over; notes each copy with the session it came in."""

    def __init__(self, stack, number, key):
        super().__init__(daemon=True)
        self.stack, self.key, self.batches = stack, key, number % 2 == 0
        self.copies = []  # (session, stream, seq, received_us)
        self.sessions, self.positions, self.rounds = 0, {}, 0
        self.snapshots, self.begins = 0, number % 2 == 1  # every second desk begins with a snapshot now and then
        self.over, self.failure = False, None

    def run(self):
        try:
            while not self.over:
                self.read_session()
        except Exception as e:  # shown by the test
            self.failure = e

    def read_session(self):
        peer = self.stack.peer("dispatch", self.key)
        try:
            if not peer.hello(timeout=0.5):
                return
            self.sessions += 1
            snapshot = self.begins and random.random() < 0.5
            tokens = [pb.SealedPosition(stream=s, seal=b) for s, b in self.positions.items()] if not snapshot else []
            peer.send("SUBSCRIBE", pb.Subscribe(
                request=1, counties=COUNTIES, positions=tokens,
                start_at=pb.START_AT_SNAPSHOT if snapshot else pb.START_AT_TOKEN if tokens else pb.START_AT_BEGINNING,
                window=256, recalled=True, batch_max_bytes=32768 if self.batches else 0))
            silent = 0
            while not self.over and silent < 2 and not self.rounds_over():
                got = peer.receive(0.3)
                if got is None:  # is anybody there? A process that was started since answers BAD_SESSION
                    silent += 1
                    peer.send("PING", pb.Ping())
                elif got[0] in ("BYE", "BAD_SESSION", "SNAPSHOT_END"):
                    return  # where the feed ends nothing comes: on from where it was before
                else:
                    silent = 0
                    self.take(peer, *got)
        finally:
            peer.close()

    def take(self, peer, kind, message):
        if kind == "REFUSED":
            raise AssertionError(message)
        deliveries = message.deliveries if kind == "DELIVER_BATCH" else [message] if kind == "DELIVER" else []
        now_us = time.time_ns() // 1000
        for delivery in deliveries:
            self.copies.append((peer.session, delivery.stream, delivery.seq, now_us))
            self.snapshots += delivery.snapshot
            if not delivery.snapshot:
                self.positions[delivery.stream] = delivery.position.seal
        if kind in ("BEAT", "SUBSCRIBED"):
            self.positions.update({p.stream: p.seal for p in message.positions})
        # Not every time: some copies are held that dispatch never heard back of.
        if deliveries and random.random() < 0.5:
            peer.send("ACK", pb.Ack(delivery_no=deliveries[-1].delivery_no))

    def rounds_over(self):
        """Everything was read: from the beginning again."""
        ends = [c for c in self.copies[-64:] if c[2] >= EVENTS - 2]
        if not ends or len({c[1] for c in ends}) < 1 or len(self.copies) < (self.rounds + 1) * EVENTS:
            return False
        self.rounds += 1
        self.positions = {}
        return True


class DisclosureKillTest(unittest.TestCase):
    def fill(self, stack):
        """Some bodies, under ids of their own: each is an incident that is open."""
        bodies = [feed_events.Event(category=category) for category in CATEGORIES]
        for start in range(0, EVENTS, 2000):
            for county in COUNTIES:
                events = [bodies[n % len(bodies)] for n in range(2000)]
                stack.sql("SELECT count(*) FROM feed.append(%s::text[], %s::uuid[], %s::int2[], %s::uuid[], %s::int8[], %s::int2[],"
                          " %s::int2[], %s::bytea[], %s::bytea[])", [county] * 2000, [str(uuid.uuid4()) for _ in events],
                          [1] * 2000, [str(uuid.uuid4()) for _ in events], [1] * 2000, [2] * 2000, [e.category for e in events],
                          [e.commitment for e in events], [e.body for e in events])

    def kill_again_and_again(self, stack, readers):
        service = stack.services["dispatch"]
        for n in range(KILLS):
            before = sum(len(r.copies) for r in readers)
            wait_until(lambda: sum(len(r.copies) for r in readers) > before or any(r.failure for r in readers), 30, "copies again")
            self.assertEqual([r.failure for r in readers if r.failure], [])
            # The moment itself is left to chance.
            time.sleep(random.random() * 0.4)
            if n % 3 == 0:  # policy moves now and then: ranges end early
                stack.sql("UPDATE registry.allow SET tlp_ceiling = 3 WHERE desk_id = (SELECT min(desk_id) + %s FROM registry.desk)",
                          n % DESKS)
                time.sleep(random.random() * 0.4)
            if n % 7 == 0:  # some ranges have a record when it comes
                noted = self.noted(stack)
                wait_until(lambda noted=noted: self.noted(stack) > noted, 30, "records are written")
            self.assertIsNone(service.process.poll(), service.log())
            service.kill()
            service.start(ready=False)
        service.wait_ready()

    @staticmethod
    def noted(stack):
        return stack.sql("SELECT count(*) FROM dispatch.disclosure WHERE noted_at IS NOT NULL")[0][0]

    def check(self, stack, code, reader):
        """Rows of the desk, by session and stream; ranges of a session follow one another."""
        rows = {}
        for row in stack.sql("SELECT session, stream, from_seq, to_seq, (extract(epoch FROM reserved_at) * 1000000)::int8, record,"
                             " closed_at IS NOT NULL FROM dispatch.disclosure WHERE holder = (SELECT 'D' || desk_id FROM"
                             " registry.desk WHERE code = %s)", code):
            rows.setdefault((row[0], row[1]), []).append(row[2:])
        found = {"uncovered": 0, "late": 0, "denied": 0, "exact": 0, "possibly": 0}
        for session, stream, seq, received_us in reader.copies:
            # As the database stores it.
            signed = session - (1 << 64) if session >= 1 << 63 else session
            covering = [r for r in rows.get((signed, stream), ()) if r[0] <= seq <= r[1]]
            if not covering:
                found["uncovered"] += 1
                continue
            found["late"] += all(reserved_us > received_us for _, _, reserved_us, _, _ in covering)
            # Of two that cover it (the older one was cut short) one says so, or none has been written to the end.
            said = [self.said(r, seq) for r in covering]
            found["exact"] += "sent" in said
            found["possibly"] += "sent" not in said and "possibly" in said
            found["denied"] += said == ["not sent"] * len(said)
        return found

    @staticmethod
    def said(row, seq):
        from_seq, _, _, record, closed = row
        if record is not None and seq - from_seq < len(record):
            return "sent" if bytes(record)[seq - from_seq] else "not sent"
        return "not sent" if closed else "possibly"

    def test_every_copy_held_is_covered(self):
        stack = Stack(services=("dispatch",))
        stack.add_publisher("KPS")
        keys = {}
        for n in range(DESKS):
            allow = [(), ("--category", "FIRE"), ("--agency", "KPS"), ("--county", "002")][n]
            keys[f"DESK{n}"] = stack.add_desk(f"DESK{n}", allow=(allow,))
        self.fill(stack)
        for key in keys.values():
            stack.wait_known(key, "dispatch")
        readers = [Reader(stack, n, key) for n, key in enumerate(keys.values())]
        for reader in readers:
            reader.start()
        began = time.monotonic()
        try:
            self.kill_again_and_again(stack, readers)
        finally:
            for reader in readers:
                reader.over = True
            for reader in readers:
                reader.join(30)
        took = time.monotonic() - began
        self.assertEqual(stack.services["dispatch"].stop(), 0)
        total = {}
        for code, reader in zip(keys, readers):
            self.assertIsNone(reader.failure, code)
            self.assertGreater(len(reader.copies), 20 * KILLS, code)
            found = self.check(stack, code, reader)
            self.assertEqual((found["uncovered"], found["late"], found["denied"]), (0, 0, 0), (code, found))
            for name, count in found.items():
                total[name] = total.get(name, 0) + count
        sessions, snapshots = sum(r.sessions for r in readers), sum(r.snapshots for r in readers)
        self.assertGreater(snapshots, 50 * KILLS, "hardly a copy came with a snapshot")
        open_rows, rows = stack.sql("SELECT count(*) FILTER (WHERE closed_at IS NULL), count(*) FROM dispatch.disclosure")[0]
        self.assertGreaterEqual(sessions, KILLS)
        self.assertGreater(open_rows, KILLS, "no kill left a range open: none came during disclosure")
        print(f"{KILLS} kills in {took:.0f} s, {sessions} sessions, {sum(len(r.copies) for r in readers)} copies held,"
              f" {snapshots} of them of snapshots: all covered;"
              f" {total['exact']} by the record, {total['possibly']} as possibly disclosed; {rows} rows, {open_rows} left open")


if __name__ == "__main__":
    unittest.main()
