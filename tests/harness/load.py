"""A publisher that goes on through everything, a desk that does, and the independent check of what they were told: what has a
receipt is stored once, and what is stored is numbered without hole. Knows the wire and SQL, nothing of the services' insides."""
import collections
import threading
import time
import uuid

import zmq
from jukwaa_harness import protos, wait_until

AGAIN_S = 0.05       # after BUSY
SILENCE_S = 2.0      # then the session is begun anew and what was not answered is sent again


class Load(threading.Thread):
    """Publishes reports, `rate` a second at most, until end(); each is repeated until it has its receipt."""

    def __init__(self, stack, key, name, rate=200, window=32, endpoint=None):
        super().__init__(daemon=True)
        self.stack, self.key, self.name_prefix, self.rate, self.window = stack, key, name, rate, window
        self.endpoint, self.pb = endpoint, protos()
        self.receipts = {}                        # external_id -> (verdict, event_id, positions)
        self.at, self.latency = [], []            # when each receipt came; from the first sending to it
        self.first_sent = {}
        self.busy, self.sessions, self.reconnects, self.other = 0, 0, 0, []
        self.waiting, self.outstanding = collections.deque(), {}
        self.made, self.stopping, self.error = 0, False, None
        self.start()

    def run(self):
        try:
            while not self.is_over():
                self.session()
        except Exception as e:  # the test looks at it
            self.error = e

    def is_over(self):
        return self.stopping and not self.waiting and not self.outstanding

    def body(self, external_id, number):
        incident = self.pb.Incident()
        incident.identity.external_id = external_id
        incident.identity.revision = 1
        incident.identity.status = self.pb.STATUS_ACTUAL
        incident.classification.categories.append(self.pb.CATEGORY_FIRE)
        incident.handling.scope = self.pb.SCOPE_PUBLIC
        incident.handling.tlp = self.pb.TLP_GREEN
        incident.place.codes.add(scheme=self.pb.PLACE_SCHEME_COUNTY, code=f"{1 + number % 5:03d}")
        return incident.SerializeToString()

    def session(self):
        peer = self.stack.peer("intake", self.key)
        if self.endpoint:
            peer.close()
            peer = type(peer)(self.endpoint, self.key, f"{self.stack.server_key}.pub")
        try:
            if peer.hello(timeout=1) is None:
                self.reconnects += 1
                return
            self.sessions += 1
            for external_id in self.outstanding.values():
                self.waiting.appendleft((0, external_id))
            self.outstanding = {}
            self.talk(peer)
        finally:
            peer.close()

    def fill(self, now):
        while not self.stopping and len(self.waiting) + len(self.outstanding) < self.window and now >= self.next_at:
            self.waiting.append((0, f"{self.name_prefix}-{self.made}"))
            self.made += 1
            self.next_at = max(self.next_at + 1 / self.rate, now - 0.1)

    def talk(self, peer):
        request, heard = 1000 * self.sessions * 1000, time.monotonic()
        self.next_at = time.monotonic()
        while not self.is_over():
            now = time.monotonic()
            self.fill(now)
            for _ in range(len(self.waiting)):
                due, external_id = self.waiting.popleft()
                if due > now:
                    self.waiting.append((due, external_id))
                    continue
                request += 1
                self.outstanding[request] = external_id
                self.first_sent.setdefault(external_id, now)
                number = int(external_id.rsplit("-", 1)[1])
                try:
                    peer.send("PUBLISH", self.pb.Publish(request=request, format=self.pb.FORMAT_PROTOBUF,
                                                         payload=self.body(external_id, number)))
                except zmq.Again:  # the link has gone, and its queue with it
                    return
            got = peer.receive(0.005)
            while got:
                heard = time.monotonic()
                if not self.take(*got):
                    return
                got = peer.receive(0)
            if self.outstanding and time.monotonic() - heard > SILENCE_S:
                return

    def take(self, kind, message):
        """False: the session is over."""
        if kind in ("BYE", "BAD_SESSION"):
            return False
        if kind == "REFUSED" and message.code == self.pb.CODE_STOPPING:
            return False
        if kind != "RECEIPT":
            if kind not in ("PONG", "BEAT"):
                self.other.append((kind, str(message)))
            return True
        external_id = self.outstanding.pop(message.request, None)
        if external_id is None:
            return True
        now = time.monotonic()
        if message.verdict == self.pb.VERDICT_BUSY:
            self.busy += 1
            self.waiting.append((now + AGAIN_S, external_id))
            return True
        self.receipts[external_id] = (self.pb.Verdict.Name(message.verdict)[8:], str(uuid.UUID(bytes=message.event_id)),
                                      [(p.stream, p.seq) for p in message.positions])
        self.at.append(now)
        self.latency.append(now - self.first_sent[external_id])
        return True

    def end(self, timeout=30):
        self.stopping = True
        self.join(timeout)
        if self.error:
            raise self.error
        if self.is_alive():
            raise AssertionError(f"{len(self.waiting) + len(self.outstanding)} reports without a receipt after {timeout} s")

    def wait_receipts(self, more, timeout=20, what="receipts"):
        target = len(self.receipts) + more
        wait_until(lambda: self.error or len(self.receipts) >= target, timeout, what)
        if self.error:
            raise self.error

    def longest_gap(self):
        return max((b - a for a, b in zip(self.at, self.at[1:])), default=0)


class SteadyDesk(threading.Thread):
    """Watches all streams, acknowledges each event (or so many at once; 0: none), and begins anew where it was whenever its session
    ends."""

    def __init__(self, stack, key, window=64, ack_every=1):
        super().__init__(daemon=True)
        self.stack, self.key, self.pb, self.window, self.ack_every = stack, key, protos(), window, ack_every
        self.acked, self.again, self.seen, self.positions = set(), [], {}, {}
        self.at, self.sessions, self.stopping, self.error = [], 0, False, None
        self.start()

    def run(self):
        try:
            while not self.stopping:
                self.session()
        except Exception as e:  # the test looks at it
            self.error = e

    def session(self):
        peer = self.stack.peer("dispatch", self.key)
        try:
            if peer.hello(timeout=1) is None:
                return
            self.sessions += 1
            self.pending = []
            subscribe = self.pb.Subscribe(request=1, all=True, window=self.window, start_at=self.pb.START_AT_BEGINNING)
            if self.positions:
                subscribe.start_at = self.pb.START_AT_TOKEN
                subscribe.positions.extend(self.positions.values())
            peer.send("SUBSCRIBE", subscribe)
            heard = pinged = time.monotonic()
            while not self.stopping:
                if time.monotonic() - pinged > 0.5:
                    peer.send("PING", self.pb.Ping())
                    pinged = time.monotonic()
                got = peer.receive(0.05)
                if got is None:
                    if time.monotonic() - heard > 2:
                        return
                    continue
                heard = time.monotonic()
                kind, message = got
                if kind in ("BAD_SESSION", "BYE", "REFUSED"):
                    return
                if kind == "SUBSCRIBED":  # a token holds a position of every stream
                    for position in message.positions:
                        self.positions.setdefault(position.stream, position)
                if kind == "DELIVER" and not message.stream.startswith("@"):
                    self.take(peer, message)
        finally:
            peer.close()

    def take(self, peer, message):
        if (message.stream, message.seq) in self.acked:
            self.again.append((message.stream, message.seq))
        self.seen[message.stream, message.seq] = str(uuid.UUID(bytes=message.event_id))
        self.at.append(time.monotonic())
        self.pending.append(message)
        if not self.ack_every or len(self.pending) < self.ack_every:
            return
        peer.send("ACK", self.pb.Ack(delivery_no=message.delivery_no))
        for one in self.pending:
            self.acked.add((one.stream, one.seq))
            self.positions[one.stream] = one.position
        self.pending = []

    def end(self, events, timeout=30):
        try:
            wait_until(lambda: self.error or len(self.seen) >= events, timeout, "the desk has everything")
        except AssertionError as e:
            raise AssertionError(f"{e}: {len(self.seen)} of {events}, {self.sessions} sessions") from None
        self.stopping = True
        self.join()
        if self.error:
            raise self.error


def check_stored(test, stack, *loads, cluster=None):
    """Receipted = stored, once; numbers 1..n in each stream; the positions told are those stored."""
    sql = stack.sql
    if cluster:
        def sql(statement):
            with cluster.connect(stack.database) as c, c.cursor() as cur:
                cur.execute(statement)
                return cur.fetchall()
    stored = collections.defaultdict(list)
    for external_id, event_id in sql("SELECT external_id, event_id::text FROM intake.report"):
        stored[external_id].append(event_id)
    events = {(event_id, stream, seq) for event_id, stream, seq in sql("SELECT event_id::text, stream, seq FROM feed.event "
                                                                       "WHERE stream !~ '^@'")}
    for load in loads:
        for external_id, (verdict, event_id, positions) in load.receipts.items():
            test.assertIn(verdict, ("STORED", "DUPLICATE"), external_id)
            test.assertEqual(stored.get(external_id), [event_id], f"{external_id} has a receipt and is not stored so")
            for county, seq in positions:
                test.assertIn((event_id, county, seq), events)
    receipted = {external_id for load in loads for external_id in load.receipts}
    if all(load.is_over() for load in loads):
        test.assertEqual(receipted, set(stored), "stored and never receipted, though all was repeated until it was")
    test.assertEqual([], [e for e, rows in stored.items() if len(rows) != 1], "stored twice")
    for stream, least, most, count in sql("SELECT stream, min(seq), max(seq), count(*) FROM feed.event GROUP BY 1"):
        test.assertEqual((least, most), (1, count), f"a hole in stream {stream}")
    test.assertEqual(sql("SELECT count(*) FROM intake.dedup"), [(len(stored),)])
    for load in loads:
        test.assertEqual(load.other, [], "answered with something else than a receipt")
    return len(receipted)
