"""The outside of the exchange, as the suite plays it: publishers, desks and a webhook receiver. They write down what they saw
and nothing else; the checker reads these notes."""
import collections
import dataclasses
import http.server
import json
import threading
import time

import zmq

from jukwaa_harness import Peer, protos

SILENCE_S = 2.0
CATEGORIES = ("FIRE", "HEALTH", "TRANSPORT", "SAFETY")


@dataclasses.dataclass(frozen=True)
class Report:
    """What a publisher says. Everything the checker may know of an event's meaning stands here."""
    external_id: str
    revision: int
    counties: tuple
    tlp: str = "GREEN"
    scope: str = "PUBLIC"
    category: str = "FIRE"
    note: str = ""

    def payload(self):
        handling = {"tlp": self.tlp, "scope": self.scope}
        if self.scope == "PRIVATE":
            handling["addresses"] = ["nobody"]
        return json.dumps({
            "identity": {"external_id": self.external_id, "revision": self.revision, "status": "ACTUAL"},
            "classification": {"categories": [self.category], "event": self.note},
            "place": {"codes": [{"scheme": "COUNTY", "code": c} for c in self.counties]},
            "handling": handling}).encode()


def make_reports(random, count, prefix="r", counties=8, updates=0.06, multi=0.08):
    """Reports over a few counties, so that they contend: some in two counties, some RED or PRIVATE, some revised later,
    perhaps elsewhere. Revisions come well after what they revise, so that most meet a stored one."""
    reports, open_keys = [], collections.deque()
    for i in range(count):
        n = 2 if random.random() < multi else 1
        where = tuple(f"{c:03d}" for c in sorted(random.sample(range(1, counties + 1), n)))
        draw = random.random()
        revise = len(open_keys) > 200 and random.random() < updates
        key, revision = open_keys.popleft() if revise else (f"{prefix}{i}", 0)
        tlp = "RED" if draw < 0.04 else "AMBER" if draw < 0.2 else "GREEN"
        scope = "PRIVATE" if 0.2 <= draw < 0.24 else "PUBLIC"
        reports.append(Report(key, revision + 1, where, tlp, scope, CATEGORIES[i % 4], note=f"note {i}"))
        open_keys.append((key, revision + 1))
    return reports


@dataclasses.dataclass(frozen=True)
class Receipt:
    number: int
    report: Report
    verdict: str
    code: str
    event_id: str
    incident_id: str
    positions: tuple
    at: float


class Publisher(threading.Thread):
    """Sends reports with a window, repeats what got BUSY or no answer, opens a new session after silence. twice: the share of
    reports that is sent two times in a row, as a nervous client would."""

    def __init__(self, endpoint, key, server_key, reports, window=64, rate=None, random=None, twice=0.0):
        super().__init__(daemon=True)
        self.endpoint, self.key, self.server_key, self.reports = endpoint, key, server_key, reports
        self.window, self.rate, self.random, self.twice = window, rate, random, twice
        self.pb = protos()
        self.verdicts = {v: k[len("VERDICT_"):] for k, v in self.pb.Verdict.items()}
        self.codes = {v: k[len("CODE_"):] for k, v in self.pb.Code.items()}
        self.receipts, self.final, self.asked, self.sent = [], {}, set(), {}
        self.next, self.busy, self.sessions, self.error, self.halt = 0, 0, 0, None, False
        self.held = []   # (when, number): answered BUSY
        self.began = None

    def run(self):
        try:
            while not self.halt and len(self.final) < len(self.reports):
                self.session()
        except Exception as e:  # the suite looks at it
            self.error = e

    def outstanding(self):
        """Reports that left this client and have no final answer yet."""
        return len(self.asked) - len(self.final)

    def session(self):
        peer = Peer(self.endpoint, self.key, self.server_key)
        try:
            if peer.hello(timeout=1.0, window=256) is None:
                return
            self.sessions += 1
            self.serve(peer)
        except zmq.Again:
            pass  # nothing goes out any more: a new session
        finally:
            peer.close()

    def serve(self, peer):
        again = collections.deque(sorted(self.asked - self.final.keys()))
        self.held, flying = [], set()
        self.began = self.began or time.monotonic()
        heard = pinged = time.monotonic()
        while not self.halt and len(self.final) < len(self.reports):
            now = time.monotonic()
            while self.held and self.held[0][0] <= now:
                again.append(self.held.pop(0)[1])
            while len(flying) < self.window:
                number = again.popleft() if again else self.fresh(now)
                if number is None:
                    break
                if number not in self.final:
                    self.send(peer, number)
                    flying.add(number)
            if now - pinged > 0.5:
                peer.send("PING", self.pb.Ping())
                pinged = now
            got = peer.receive(0.02)
            while got is not None:
                heard = time.monotonic()
                if got[0] in ("BAD_SESSION", "BYE", "REFUSED"):
                    return
                if got[0] == "RECEIPT":
                    flying.discard(got[1].request)
                    self.take(got[1])
                got = peer.receive(0)
            if time.monotonic() - heard > SILENCE_S:
                return

    def fresh(self, now):
        if self.next >= len(self.reports) or (self.rate and self.next >= (now - self.began) * self.rate):
            return None
        self.next += 1
        return self.next - 1

    def send(self, peer, number):
        publish = self.pb.Publish(request=number, format=self.pb.FORMAT_JSON, payload=self.reports[number].payload())
        self.asked.add(number)
        self.sent.setdefault(number, time.monotonic())
        for _ in range(2 if self.twice and self.random.random() < self.twice else 1):
            peer.send("PUBLISH", publish)

    def take(self, message):
        verdict, number = self.verdicts[message.verdict], message.request
        if verdict == "BUSY":
            self.busy += 1
            if number not in self.final:
                self.held.append((time.monotonic() + 0.1, number))
            return
        receipt = Receipt(number, self.reports[number], verdict, self.codes.get(message.code, ""), message.event_id.hex(),
                          message.incident_id.hex(), tuple((p.stream, p.seq, p.chain.hex()) for p in message.positions),
                          time.monotonic())
        self.receipts.append(receipt)
        self.final.setdefault(number, receipt)


@dataclasses.dataclass(frozen=True)
class Delivery:
    session: int
    number: int
    stream: str
    seq: int
    event_id: str
    chain: str
    again: bool      # this desk had acknowledged it before it came
    at: float


class Desk(threading.Thread):
    """Acknowledges as it goes and resumes with its newest sealed positions (or under a cursor). counties None: all. What it is
    entitled to follows from what its allow rows say, not from what it gets."""

    def __init__(self, name, endpoint, key, server_key, counties=None, cursor=None, ack_every=16):
        super().__init__(daemon=True)
        self.desk_name, self.endpoint, self.key, self.server_key = name, endpoint, key, server_key
        self.counties, self.cursor, self.ack_every = counties, cursor, ack_every
        self.pb = protos()
        self.codes = {v: k[len("CODE_"):] for k, v in self.pb.Code.items()}
        self.deliveries, self.seen, self.acked, self.positions = [], set(), {}, {}
        self.sessions, self.gaps, self.endings, self.error, self.halt = 0, 0, [], None, False
        # Under a cursor what was acknowledged in the last seconds of the session before may come again; ended_at: its last delivery.
        # Where PostgreSQL crashed and dispatch had no more than these seconds to save again, the seconds before the crash as well.
        self.forgets_s, self.ended_at, self.outages = None, float("inf"), []

    def entitled(self, report, stream):
        """The rule as an agreement says it: PUBLIC up to AMBER, in the counties named."""
        return (self.counties is None or stream in self.counties) and report.tlp in ("CLEAR", "GREEN", "AMBER") \
            and report.scope == "PUBLIC"

    def run(self):
        try:
            while not self.halt:
                self.session()
        except Exception as e:  # the suite looks at it
            self.error = e

    def close(self):
        self.halt = True
        self.join()

    def ask(self):
        ask = self.pb.Subscribe(request=1, all=True, window=128, start_at=self.pb.START_AT_BEGINNING)
        if self.cursor:
            ask.cursor, ask.start_at = self.cursor, self.pb.START_AT_CURSOR
        elif self.positions:
            ask.start_at = self.pb.START_AT_TOKEN
            ask.positions.extend(self.positions.values())
        return ask

    def session(self):
        peer = Peer(self.endpoint, self.key, self.server_key)
        try:
            if peer.hello(timeout=1.0) is None:
                return
            self.sessions += 1
            if self.deliveries:
                self.ended_at = self.deliveries[-1].at
            peer.send("SUBSCRIBE", self.ask())
            self.serve(peer, self.sessions)
        except zmq.Again:
            pass
        finally:
            peer.close()

    def serve(self, peer, session):
        pending, number, heard, pinged = [], 0, time.monotonic(), time.monotonic()
        while not self.halt:
            now = time.monotonic()
            if now - pinged > 0.5:
                peer.send("PING", self.pb.Ping())
                pinged = now
            got = peer.receive(0.05)
            if got is None:
                self.acknowledge(peer, pending)
                pending = []
                if time.monotonic() - heard > SILENCE_S:
                    return
                continue
            heard = time.monotonic()
            kind, message = got
            if kind in ("BAD_SESSION", "BYE", "REFUSED"):
                code = getattr(message, "code", None)
                self.endings.append((self.codes.get(code, kind), heard))
                return
            if kind in ("BEAT", "SUBSCRIBED"):
                for position in message.positions:
                    self.positions[position.stream] = position
            elif kind == "DELIVER" and not message.stream.startswith("@"):
                if message.delivery_no != number + 1:
                    self.gaps += 1  # the protocol's own alarm: what came before is missing, so go back to the last position
                    return
                number += 1
                self.take(session, message, heard)
                pending.append(message)
                if len(pending) >= self.ack_every:
                    self.acknowledge(peer, pending)
                    pending = []

    def take(self, session, message, at):
        key = (message.stream, message.seq)
        acked_at = self.acked.get(key)
        forgiven = acked_at is not None and self.forgets_s is not None and acked_at > self.safe_until()
        self.seen.add(key)
        self.deliveries.append(Delivery(session, message.delivery_no, *key, message.event_id.hex(), message.chain.hex(),
                                        acked_at is not None and not forgiven, at))

    def safe_until(self):
        """What was acknowledged until then is saved for good."""
        crashes = [down for down, up in self.outages if down <= self.ended_at < up + self.forgets_s]
        return min([self.ended_at, *crashes]) - self.forgets_s

    def acknowledge(self, peer, pending):
        if not pending:
            return
        peer.send("ACK", self.pb.Ack(delivery_no=pending[-1].delivery_no))
        now = time.monotonic()
        for one in pending:
            self.acked[one.stream, one.seq] = now
            self.positions[one.stream] = one.position


class WebhookReceiver:
    """Takes webhooks and notes id, incident and county of each. hang: seconds to wait before the answer."""

    def __init__(self):
        notes = self.notes = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                notes.append((self.headers["webhook-id"], body["data"]["id"], body["data"]["county"]))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
