"""Hostile peers at each service's port, below and above authentication, while an honest peer of the same service goes on. Memory is
bounded, nobody unknown gets in, and whoever is honest is answered. What was seen is printed."""
import contextlib
import os
import random
import resource
import signal
import socket
import struct
import threading
import time
import unittest
import uuid

import zmq
from hostile_peers import (HUGE_COMMAND, HUGE_MESSAGE, SIGNATURE, closed_within, connect, descriptors, greeting, percentile, push,
                           rss_kib)
from intake_test import Publisher, cap, report
from jukwaa_harness import BIN, FRAME, Peer, Stack, free_port, protos, read_key, wait_until
from raw_curve import COMMAND, MORE, RawCurve, box

pb = protos()
SERVICES = ("intake", "dispatch", "cases")
MIB = 1024 * 1024
SANITIZED = b"__asan_init" in (BIN / "jukwaa-intake").read_bytes()
# What a service may grow by under attack. The sanitizer keeps what was freed and pads what is not.
GROWTH_MIB = 240 if SANITIZED else 64
ANSWER_S = 15 if SANITIZED else 10


def setUpModule():
    global stack, keys
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(20000, hard), hard))
    quiet = {"ASAN_OPTIONS": "abort_on_error=1:detect_leaks=1:quarantine_size_mb=8"}
    stack = Stack(services=SERVICES, settings={name: quiet for name in SERVICES})
    keys = {"honest": stack.add_publisher("GOOD"), "hostile": stack.add_publisher("BAD"), "honest desk": stack.add_desk("GOOD-DESK"),
            "hostile desk": stack.add_desk("BAD-DESK")}
    stack.wait_known(keys["hostile"])
    for name in ("dispatch", "cases"):
        stack.wait_known(keys["hostile desk"], name)


def key_for(service, who):
    return keys[who if service == "intake" else f"{who} desk"]


class Honest(threading.Thread):
    """A peer that asks, waits for the answer, and asks again; its latencies, and the most memory the service had meanwhile."""

    def __init__(self, name):
        super().__init__()
        self.name, self.service = name, stack.services[name]
        self.latencies, self.trouble, self.done = [], [], threading.Event()
        self.peak_kib = self.before_kib = rss_kib(self.service.process.pid)
        self.asked = 0

    def ask(self, peer):
        if self.name == "intake":
            self.asked += 1
            peer.send("PUBLISH", pb.Publish(request=self.asked, format=pb.FORMAT_PROTOBUF, payload=report().SerializeToString()))
            receipt = peer.expect("RECEIPT", timeout=ANSWER_S)
            assert receipt.verdict == pb.VERDICT_STORED, receipt
        elif self.name == "dispatch":
            peer.send("PING", pb.Ping())
            assert peer.receive(ANSWER_S)[0] == "PONG"
        else:
            peer.send("CASE_LIST", pb.CaseList(request=1, limit=5, purpose=pb.CASE_PURPOSE_AUDIT))
            peer.expect("CASE_LISTED", timeout=ANSWER_S)

    def run(self):
        peer = stack.peer(self.name, key_for(self.name, "honest"))
        try:
            assert peer.hello(timeout=ANSWER_S), "no welcome"
            while not self.done.wait(0.02):
                began = time.monotonic()
                self.ask(peer)
                self.latencies.append((time.monotonic() - began) * 1000)
                self.peak_kib = max(self.peak_kib, rss_kib(self.service.process.pid))
        except Exception as error:  # whatever it is, the test must hear of it
            self.trouble.append(repr(error))
        finally:
            peer.close()


class HostileCase(unittest.TestCase):
    @contextlib.contextmanager
    def honest_beside(self, name, growth_mib=GROWTH_MIB, at_least=3):
        """While the block runs an honest peer is served; afterwards all is as it was."""
        honest = Honest(name)
        honest.start()
        wait_until(lambda: honest.latencies or honest.trouble, 20, "the honest peer is at work")
        try:
            yield stack.services[name]
            count = len(honest.latencies)
            wait_until(lambda: len(honest.latencies) >= count + at_least or honest.trouble, 20, "the honest peer goes on")
        finally:
            honest.done.set()
            honest.join(30)
        self.assertEqual(honest.trouble, [], name)
        growth = (honest.peak_kib - honest.before_kib) / 1024
        print(f"    {self.id().rsplit('.', 1)[1]}, {name}: honest p50 {percentile(honest.latencies, 50):.1f} ms, p99 "
              f"{percentile(honest.latencies, 99):.1f} ms of {len(honest.latencies)}; memory +{growth:.1f} MiB", flush=True)
        self.assertLess(growth, growth_mib, f"{name} has grown")
        self.assertIsNone(stack.services[name].process.poll(), f"{name} has ended:\n{stack.services[name].log()[-3000:]}")

    def each(self, **limits):
        for name in SERVICES:
            with self.honest_beside(name, **limits) as service:
                yield name, service, stack.ports[name]

    def raw(self, name, **kwargs):
        peer = RawCurve(stack.ports[name], read_key(key_for(name, "hostile")), read_key(f"{stack.server_key}.pub"), **kwargs)
        self.addCleanup(peer.close)
        return peer

    def say_hello(self, raw):
        raw.send(FRAME.pack(b"JK", 1, 0, 1, 0), MORE)
        raw.send(pb.Hello(client="raw").SerializeToString())
        raw.receive()
        return pb.Welcome.FromString(raw.receive()[1])


class UnknownTest(HostileCase):
    """Who has no key that is known here."""

    def test_strangers_are_refused(self):
        for name, service, _ in self.each():
            before = service.metric("jukwaa_port_handshakes_total", "refused")
            stranger = stack.new_key(f"stranger-{uuid.uuid4().hex[:6]}")
            known = key_for(name, "hostile")
            peers = [stack.peer(name, stranger) for _ in range(10)]
            peers += [Peer(stack.endpoints[name], known, f"{stranger}.pub"), Peer(stack.endpoints[name], None, None, curve=False)]
            for peer in peers:
                self.addCleanup(peer.close)
                peer.socket.setsockopt(zmq.SNDTIMEO, 0)
                with contextlib.suppress(zmq.Again):
                    peer.send("HELLO", pb.Hello(client="stranger"))
            wait_until(lambda: service.metric("jukwaa_port_handshakes_total", "refused") >= before + 10, 10, "strangers are counted")
            for peer in peers:
                self.assertIsNone(peer.receive(0.05))

    def test_old_protocols_and_garbage_are_cut_off(self):
        chance = random.Random(7)
        pieces = [b"\x01\x00", b"\x01\x00\x05\x00aaaa", SIGNATURE + b"\x00\x05\x00\x00", SIGNATURE + b"\x01\x05\x00\x00\x00\x01x",
                  greeting(b"NULL"), greeting(b"PLAIN"), greeting(b"GSSAPI"), greeting(b"CURVE", as_server=1), greeting(b"x" * 20),
                  greeting() + b"\x04\xc8\x05HELLO\x01\x00" + bytes(192), greeting() + b"\x04\x05\x04PING" * 50, b"GET / HTTP/1.1\r\n\r\n",
                  b"\xff" * 4096, bytes(4096), chance.randbytes(64), chance.randbytes(4096), b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + greeting()]
        for _, _, port in self.each():
            socks = [connect(port, piece) for piece in pieces]
            for piece, raw in zip(pieces, socks):
                with raw:
                    self.assertTrue(closed_within(raw, 8), f"still open: {piece[:40]}")

    def test_a_thousand_silent_connections_end_by_themselves(self):
        for _, service, port in self.each():
            known = descriptors(service.process.pid)
            socks = [connect(port, b"" if n % 2 else greeting()) for n in range(1000)]
            wait_until(lambda: descriptors(service.process.pid) >= known + 900, 10, "they are open")
            wait_until(lambda: descriptors(service.process.pid) <= known + 20, 10, "they are closed by the service")
            for raw in socks:
                raw.close()

    def test_announcing_four_gib_before_being_known(self):
        for _, _, port in self.each():
            for start in (greeting() + HUGE_COMMAND, greeting() + HUGE_MESSAGE, HUGE_MESSAGE, SIGNATURE + b"\x03" + HUGE_COMMAND):
                with connect(port, start, timeout=5) as raw:
                    self.assertLess(push(raw, bytes(256 * 1024), 128 * MIB), 32 * MIB, "it was listened to")


class KnownTest(HostileCase):
    """Who is let in, and then misbehaves."""

    def test_a_message_without_end_is_cut(self):
        """libzmq 4.3.4 keeps the parts of an unfinished message without limit, and tells nobody."""
        for name, service, _ in self.each():
            before = service.metric("jukwaa_port_cut_total")
            peer = self.raw(name)
            pushed = 0
            peer.raw.settimeout(5)  # once it is cut the kernel may say so, or take nothing more
            with contextlib.suppress(ConnectionError, TimeoutError):
                while pushed < 300 * MIB:
                    peer.send(bytes(256 * 1024), MORE)
                    pushed += 256 * 1024
            self.assertLess(pushed, 300 * MIB, "nobody cut it")
            wait_until(lambda: service.metric("jukwaa_port_cut_total") > before, 5, "it is counted")
            wait_until(lambda: "peers_cut" in service.log(), 5, "it is in the log")

    def test_many_slow_messages_without_end(self):
        """Each below the limit of one peer, together over that of all."""
        with self.honest_beside("dispatch", growth_mib=GROWTH_MIB + 160) as service:
            before = service.metric("jukwaa_port_cut_total")
            peers = [self.raw("dispatch") for _ in range(24)]
            for peer in peers:
                peer.raw.settimeout(5)
            with contextlib.suppress(ConnectionError, TimeoutError):
                for _ in range(28):
                    for peer in peers:
                        peer.send(bytes(256 * 1024), MORE)
            wait_until(lambda: service.metric("jukwaa_port_cut_total") > before, 5, "some are cut")

    def test_very_many_small_messages_without_end(self):
        """Each under 1 MiB, which one alone may hold as long as it likes; together over the limit of all."""
        with self.honest_beside("dispatch", growth_mib=GROWTH_MIB + 160) as service:
            before = service.metric("jukwaa_port_cut_total")
            for _ in range(170):
                peer = self.raw("dispatch")
                peer.raw.settimeout(5)
                with contextlib.suppress(ConnectionError, TimeoutError):
                    for _ in range(4):
                        peer.send(bytes(224 * 1024), MORE)
            wait_until(lambda: service.metric("jukwaa_port_cut_total") > before, 5, "some are cut")

    def test_a_slow_message_of_full_size_is_let_be(self):
        """The guard against endless ones must not hit a peer at a slow link."""
        peer = self.raw("dispatch")
        self.say_hello(peer)
        before = stack.services["dispatch"].metric("jukwaa_port_cut_total")
        peer.send(FRAME.pack(b"JK", 1, 0, 1, 0), MORE)
        body = pb.Hello(client="x" * 2 * MIB).SerializeToString()
        count = peer.count()
        sealed = b"\x07MESSAGE" + count + box(b"CurveZMQMESSAGEC" + count, b"\0" + body, peer.peer, peer.secret)
        head = struct.pack(">BQ", 2, len(sealed))
        peer.raw.sendall(head)
        for first in range(0, len(sealed), 256 * 1024):
            peer.raw.sendall(sealed[first:first + 256 * 1024])
            threading.Event().wait(0.1)  # the slow link itself
        peer.receive()
        self.assertIn(pb.Refused.FromString(peer.receive()[1]).code, (pb.CODE_RULE_VIOLATION, pb.CODE_OVERSIZE))
        self.assertEqual(stack.services["dispatch"].metric("jukwaa_port_cut_total"), before)

    def test_a_frame_over_the_limit_ends_the_connection(self):
        for name, _, _ in self.each():
            peer = self.raw(name)
            with contextlib.suppress(ConnectionError, TimeoutError):
                peer.send(bytes(2 * MIB + 8192))
            self.assertTrue(closed_within(peer.raw, 5))
            peer = self.raw(name)
            peer.send_frame(b"", 0)
            peer.raw.sendall(HUGE_MESSAGE)
            self.assertTrue(closed_within(peer.raw, 5))

    def test_receipts_are_small_whatever_is_published(self):
        """CAP says nothing of the length of an identifier, and receipts repeat it: a member that reads none has them pile up here."""
        long = "x" * 1900000
        with self.honest_beside("intake"):
            publisher = Publisher(stack, keys["hostile"])
            self.addCleanup(publisher.peer.close)
            for name, alert in (("identifier", cap(long)), ("sender", cap("a", sender=long))):
                receipt = publisher.publish(alert, pb.FORMAT_CAP, county="047")
                self.assertLess(receipt.ByteSize(), 1000)
                self.assertEqual((receipt.verdict, receipt.code, receipt.field),
                                 (pb.VERDICT_REJECTED, pb.CODE_INVALID_SCHEMA, f"alert/{name}"), receipt.reason)
            longest = cap(uuid.uuid4().hex.ljust(256, "x"), sender="s".ljust(256, "x"))
            for verdict in (pb.VERDICT_STORED, pb.VERDICT_DUPLICATE):
                receipt = publisher.publish(longest, pb.FORMAT_CAP, county="001")
                self.assertEqual((receipt.verdict, len(receipt.external_id)), (verdict, 256), receipt.reason)

    def flood(self, name, frames, count):
        """All of it out as fast as it goes; answers are not read."""
        peer = self.raw(name)
        session = self.say_hello(peer).session
        for n in range(count):
            header, body = frames(n, session)
            peer.send(header, MORE)
            peer.send(body)
        return peer

    def test_floods_of_hello_unknown_kinds_and_wrong_sessions(self):
        def frames(n, session):
            kind, message = [(1, pb.Hello(client="x" * (n % 64))), (999, pb.Ping(session=session)), (3, pb.Ping(session=n)),
                             (16, pb.Publish(session=n, request=n)), (35, pb.Ack(session=n + 1)), (2, pb.Ping())][n % 6]
            return FRAME.pack(b"JK", 1, 0, kind, 0), message.SerializeToString()
        for name, _, _ in self.each(growth_mib=GROWTH_MIB + 64):  # cases was once seen to take 96 MiB
            self.flood(name, frames, 12000)

    def test_floods_of_large_messages(self):
        body = pb.Publish(request=1, format=pb.FORMAT_PROTOBUF, payload=bytes(MIB)).SerializeToString()
        for name, _, _ in self.each(growth_mib=GROWTH_MIB + 64):
            self.flood(name, lambda n, session: (FRAME.pack(b"JK", 1, 0, 16, 0), body), 150)

    def test_filling_up_pinging_and_resetting(self):
        """F20: at worst a restart; here there is none."""
        for name, _, _ in self.each():
            for _ in range(4):
                peer = self.flood(name, lambda n, session: (FRAME.pack(b"JK", 1, 0, 3, 0), pb.Ping(session=session).SerializeToString()),
                                  4000)
                peer.send(b"\x04PING\x00\x0acontext", COMMAND)
                peer.raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                peer.close()

    def test_foreign_routing_ids(self):
        """F19: an id is no identity; a squatter gets nothing of another's, also after a restart of the service."""
        for name in SERVICES:
            with self.subTest(name):
                service = stack.services[name]
                victim = self.raw_of(name, "honest", b"room-1")
                number = self.say_hello(victim).session
                thief = self.raw(name, identity=b"room-1")
                thief.send(FRAME.pack(b"JK", 1, 0, 3, 0), MORE)
                thief.send(pb.Ping(session=number).SerializeToString())
                self.assert_pong(victim, number)
                thief.raw.settimeout(0.3)
                with self.assertRaises((TimeoutError, ConnectionError)):
                    thief.receive()
                # Of a routing id that is too long nothing is taken; an empty one is like none.
                long = self.raw(name, identity=b"x" * 255)
                long.send(FRAME.pack(b"JK", 1, 0, 1, 0), MORE)
                long.send(pb.Hello(client="raw").SerializeToString())
                long.raw.settimeout(0.3)
                with self.assertRaises((TimeoutError, ConnectionError)):
                    long.receive()
                self.assertGreater(self.say_hello(self.raw(name, identity=b"")).session, 0)
                service.kill()
                service.start()
                # Quicker than its owner, under the owner's id and with the owner's number.
                thief = self.raw(name, identity=b"room-1")
                thief.send(FRAME.pack(b"JK", 1, 0, 3, 0), MORE)
                thief.send(pb.Ping(session=number).SerializeToString())
                self.assertEqual(FRAME.unpack(thief.receive()[1])[3], pb.KIND_BAD_SESSION)
                peer = stack.peer(name, key_for(name, "honest"))
                self.addCleanup(peer.close)
                self.assertIsNotNone(peer.hello())

    def raw_of(self, name, who, identity):
        peer = RawCurve(stack.ports[name], read_key(key_for(name, who)), read_key(f"{stack.server_key}.pub"), identity=identity)
        self.addCleanup(peer.close)
        return peer

    def assert_pong(self, raw, number):
        raw.send(FRAME.pack(b"JK", 1, 0, 3, 0), MORE)
        raw.send(pb.Ping(session=number).SerializeToString())
        self.assertEqual(FRAME.unpack(raw.receive()[1])[3], pb.KIND_PONG)
        self.assertEqual(pb.Pong.FromString(raw.receive()[1]).session, number)

    def test_a_forged_user_id_changes_nothing(self):
        """Properties of the handshake never override what ZAP said."""
        for name in SERVICES:
            with self.subTest(name):
                forged = read_key(key_for(name, "honest"))["curve-public"].hex().encode()
                peer = self.raw(name, properties=[(b"User-Id", forged)])
                self.assertEqual(self.say_hello(peer).agency, "BAD" if name == "intake" else "DESKS")

    def test_roles_do_not_reach_into_each_other(self):
        """A desk publishes nothing, a publisher subscribes to no county, and whoever is refused stays out."""
        desk, publisher = keys["hostile desk"], keys["hostile"]
        peer = stack.peer("intake", desk)
        self.addCleanup(peer.close)
        peer.send("HELLO", pb.Hello(client="desk"))
        self.assertEqual(peer.expect("REFUSED").code, pb.CODE_NOT_PERMITTED)
        peer.send("PUBLISH", pb.Publish(session=1, request=5, format=pb.FORMAT_PROTOBUF, payload=report().SerializeToString()))
        self.assertEqual(peer.receive()[0], "BAD_SESSION")
        peer = stack.peer("dispatch", publisher)
        self.addCleanup(peer.close)
        peer.hello()
        peer.send("SUBSCRIBE", pb.Subscribe(request=7, counties=["047"], start_at=pb.START_AT_BEGINNING))
        got = peer.receive(3)
        if got and got[0] == "SUBSCRIBED":  # its own events alone may come
            while (got := peer.receive(1)) is not None:
                self.assertNotEqual(got[0], "DELIVER", "a publisher is no desk")
        peer.send("CASE_LIST", pb.CaseList(request=8))
        self.assertEqual(peer.expect("REFUSED").field, "kind")
        peer.send("PUBLISH", pb.Publish(request=9))
        self.assertEqual(peer.expect("REFUSED").field, "kind")


class LimitsTest(HostileCase):
    """What the process itself runs out of."""

    def test_descriptors_are_used_up_and_released(self):
        """F21: an alarm, the sessions that are open go on, and it ends when descriptors are free again."""
        for name, service, port in self.each():
            pid = service.process.pid
            before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            holders = []
            try:
                resource.prlimit(pid, resource.RLIMIT_NOFILE, (descriptors(pid) + 8, before[1]))
                for _ in range(30):
                    holders.append(connect(port, greeting()))
                wait_until(lambda: "connections_not_accepted" in service.log(), 10, "an alarm in the log")
            finally:
                resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
            for raw in holders:
                raw.close()
            peer = stack.peer(name, key_for(name, "hostile"))
            self.addCleanup(peer.close)
            self.assertIsNotNone(peer.hello(timeout=15), "nobody gets in any more")
            self.assertGreater(service.metric("jukwaa_port_accept_failures_total"), 0)
            wait_until(lambda: service.metric("jukwaa_port_exhausted") == 0, 5, "the alarm ends")

    def test_a_draining_service_lets_nobody_unknown_in(self):
        """F17: the door is shut until the very end. The drain is held up by a report whose batch waits for a lock."""
        service = stack.services["intake"]
        with contextlib.closing(stack.cluster.connect(stack.database)) as lock, lock.cursor() as cursor:
            lock.autocommit = False
            cursor.execute("LOCK TABLE feed.head IN ACCESS EXCLUSIVE MODE")
            publisher = Publisher(stack, keys["honest"])
            self.addCleanup(publisher.peer.close)
            publisher.send(report())
            wait_until(lambda: stack.sql("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"), 5, "the batch waits")
            before = service.metric("jukwaa_port_handshakes_total", "refused")
            service.process.send_signal(signal.SIGTERM)
            wait_until(lambda: service.http("/readyz")[1].startswith("STOPPING"), 5, "it drains")
            stranger = stack.peer("intake", stack.new_key(f"late-{uuid.uuid4().hex[:6]}"))
            self.addCleanup(stranger.close)
            stranger.socket.setsockopt(zmq.SNDTIMEO, 0)
            with contextlib.suppress(zmq.Again):
                stranger.send("HELLO", pb.Hello(client="late"))
            wait_until(lambda: service.metric("jukwaa_port_handshakes_total", "refused") > before, 3, "it is refused while draining")
            self.assertIsNone(stranger.receive(0.2))
            late = stack.peer("intake", keys["hostile"])
            self.addCleanup(late.close)
            late.send("HELLO", pb.Hello(client="late"))
            self.assertEqual(late.expect("REFUSED", "BYE").code, pb.CODE_STOPPING)
        service.process.wait(15)
        service.start()


class FairnessTest(HostileCase):
    def test_a_flooding_key_keeps_another_waiting_for_no_more_than_its_turn(self):
        """Counted in places in the feed, not in time: sessions of one key share that key's turn."""
        flooder = [Publisher(stack, keys["hostile"]) for _ in range(8)]
        quiet = Publisher(stack, keys["honest"])
        for publisher in [*flooder, quiet]:
            self.addCleanup(publisher.peer.close)
        service, county = stack.services["intake"], "031"
        with contextlib.closing(stack.cluster.connect(stack.database)) as lock, lock.cursor() as cursor:
            lock.autocommit = False
            cursor.execute("LOCK TABLE feed.head IN ACCESS EXCLUSIVE MODE")
            flooder[0].send(report(county=county))
            wait_until(lambda: stack.sql("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"), 5, "a batch waits")
            for n in range(480):
                flooder[n % 8].send(report(county=county))
            wait_until(lambda: service.metric("jukwaa_intake_queue_reports") >= 480, 10, "the flood waits")
            names = [uuid.uuid4().hex for _ in range(10)]
            for name in names:
                quiet.send(report(name, county=county))
            wait_until(lambda: service.metric("jukwaa_intake_queue_reports") >= 490, 10, "so does the quiet one")
        for _ in names:
            self.assertEqual(quiet.peer.expect("RECEIPT", timeout=20).verdict, pb.VERDICT_STORED)
        for n, publisher in enumerate(flooder):
            for _ in range(60 + (n == 0)):
                self.assertEqual(publisher.peer.expect("RECEIPT", timeout=20).verdict, pb.VERDICT_STORED)
        places = stack.sql("""SELECT max(e.seq) FROM feed.event e JOIN intake.report r USING (event_id)
                              WHERE e.stream = %s AND r.external_id = ANY(%s)""", county, names)
        self.assertLessEqual(places[0][0], 1 + 32, "behind the flood, not beside it")


if __name__ == "__main__":
    unittest.main(verbosity=2)
