"""Hostile content (F24): what a publisher with a good key may put into messages, through the whole chain: nothing crashes, text that
is none is refused, and what this build does not know reaches nobody. And the services' HTTP ports."""
import base64
import contextlib
import json
import secrets
import socket
import time
import unittest
import uuid

from hostile_peers import closed_within, connect, rss_kib
from intake_test import Publisher, cap, report, square, write_boundaries
from jukwaa_harness import FRAME, Stack, protos, wait_until
from notify_test import Receiver

pb = protos()
MARKER = b"MARKER-7c1f-that-nobody-may-see"
COUNTY = "047"
# One bad and one cut text: bytes that are no UTF-8, a NUL in the middle, half a surrogate, a form that is too long.
BAD_TEXTS = [b"a\xff\xfe", b"a\0b", b"\xed\xa0\x80", b"\xc0\xaf"]


def setUpModule():
    global stack, publisher_key, honest_key, desk_key, receiver
    receiver = Receiver()
    quiet = {"ASAN_OPTIONS": "abort_on_error=1:detect_leaks=1:quarantine_size_mb=8"}
    grid = write_boundaries("grid.json", [square(f"{n + 1:03}", n // 7 - 4, 34 + n % 7) for n in range(47)])
    stack = Stack(settings={name: quiet for name in ("intake", "dispatch", "cases", "notify")}, boundaries=grid)
    publisher_key = stack.add_publisher("PUB")
    honest_key = stack.add_publisher("HONEST")
    desk_key = stack.add_desk("ROOM")
    secret = stack.run / "hook.whsec"
    secret.write_text("whsec_" + base64.b64encode(secrets.token_bytes(32)).decode() + "\n")
    secret.chmod(0o600)
    stack.admin("notify", "rule", "add", "all", "--desk", "ROOM", "--url", f"http://127.0.0.1:{receiver.port}/hook", "--secret-file", secret)
    stack.wait_known(publisher_key)
    stack.wait_known(desk_key, "dispatch")
    stack.wait_known(desk_key, "cases")


def varint(number):
    out = b""
    while number > 0x7f:
        out += bytes([number & 0x7f | 0x80])
        number >>= 7
    return out + bytes([number])


def field(number, content):
    """A length-delimited field."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def text_fields(descriptor, path=()):
    """The paths of all string fields below a message type, as tuples of field descriptors."""
    for one in descriptor.fields:
        if one.message_type:
            yield from text_fields(one.message_type, (*path, one))
        elif one.cpp_type == one.CPPTYPE_STRING and one.type == one.TYPE_STRING:
            yield (*path, one)


def wrapped(path, content):
    """The bytes of a message in which the field at the path has this content."""
    for one in reversed(path):
        content = field(one.number, content)
    return content


def with_unknown(message, marker=MARKER):
    """The message's bytes with the marker as unknown fields of every wire form at each level."""
    extra = field(1999, marker) + varint(1998 << 3 | 0) + varint(77) + varint(1997 << 3 | 1) + marker[:8] + varint(1996 << 3 | 5) + marker[:4]
    out = b""
    for descriptor, value in message.ListFields():
        if descriptor.message_type:
            for one in value if descriptor.label == descriptor.LABEL_REPEATED else [value]:
                out += field(descriptor.number, with_unknown(one, marker))
        else:
            alone = type(message)()
            if descriptor.label == descriptor.LABEL_REPEATED:
                getattr(alone, descriptor.name).extend(value)
            else:
                setattr(alone, descriptor.name, value)
            out += alone.SerializeToString()
    return out + extra


def full_report():
    """A report with something in every group."""
    incident = report(county=COUNTY)
    incident.place.text.append("near the bridge")
    incident.times.sent_us = int(time.time() * 1e6)
    incident.resources.resources.add(description="a map", mime_type="image/png")
    incident.references.references.add(external_id="another")
    incident.reporter.name = "Amina"
    incident.persons.persons.add(name="Juma")
    return incident


class ContentTest(unittest.TestCase):
    def setUp(self):
        self.publisher = Publisher(stack, publisher_key)
        self.addCleanup(self.publisher.peer.close)

    def tearDown(self):
        for name, service in stack.services.items():
            self.assertIsNone(service.process.poll(), f"{name} has ended:\n{service.log()[-3000:]}")

    def still_served(self):
        self.assertEqual(self.publisher.publish(report()).verdict, pb.VERDICT_STORED)

    def test_bodies_that_cost_more_than_they_weigh(self):
        """Deep nesting, very many small fields, singular messages repeated: refused before they are unpacked."""
        nested = b""
        for _ in range(16000):
            nested = field(1 if len(nested) % 2 else 1999, nested)
            if len(nested) > 64 * 1024:
                break
        identity = field(1, report().identity.SerializeToString())
        bodies = {
            "deep": nested, "deep group": b"\x0b" * 65536, "two-byte fields": b"\x08\x01" * 32768,
            "two-byte unknown fields": varint(15 << 3) + b"\x01" + (b"\x78\x01" * 32768), "singular repeated": identity * 3000,
            "empty singular repeated": b"\x0a\x00" * 32768, "empty repeated": field(5, b"\x0a\x00" * 32768),
        }
        before = rss_kib(stack.services["intake"].process.pid)
        for name, body in bodies.items():
            with self.subTest(name):
                began = time.monotonic()
                self.assertEqual(self.publisher.publish(body).verdict, pb.VERDICT_REJECTED, name)
                self.assertLess(time.monotonic() - began, 5)
                for kind in ("PUBLISH", "HELLO", "PING"):
                    self.publisher.peer.send_raw(FRAME.pack(b"JK", 1, 0, pb.Kind.Value(f"KIND_{kind}"), 0), body)
                    got = self.publisher.peer.receive(10)
                    self.assertIn(got[0], ("REFUSED", "BAD_SESSION", "WELCOME", "PONG"), name)
                    if got[0] == "WELCOME":
                        self.publisher.peer.session = got[1].session
        self.assertLess(rss_kib(stack.services["intake"].process.pid) - before, 100 * 1024)
        self.publisher.peer.hello()
        self.still_served()

    def test_text_that_is_none_in_every_field_of_a_report(self):
        paths = list(text_fields(pb.Incident.DESCRIPTOR))
        self.assertGreater(len(paths), 40)
        good = report()
        for path in paths:
            for bad in BAD_TEXTS:
                # The rest of the report is good, so that nothing but the text is refused; groups that hold it are left out.
                rest = pb.Incident()
                rest.CopyFrom(good)
                rest.ClearField(path[0].name)
                receipt = self.publisher.publish(rest.SerializeToString() + wrapped(path, bad))
                name = ".".join(one.name for one in path)
                self.assertEqual(receipt.verdict, pb.VERDICT_REJECTED, (name, bad))
                self.assertIn(path[-1].name, receipt.field, (name, bad))
        self.still_served()

    def test_text_that_is_none_in_every_message(self):
        for service, key, kinds in (("intake", publisher_key, ["HELLO", "PUBLISH"]), ("dispatch", desk_key, ["HELLO", "SUBSCRIBE"]),
                                    ("cases", desk_key, ["HELLO", "CASE_LIST", "CASE_SHOW"])):
            peer = stack.peer(service, key)
            self.addCleanup(peer.close)
            peer.hello()
            for kind in kinds:
                message = getattr(pb, "".join(part.capitalize() for part in kind.split("_")))
                for path in text_fields(message.DESCRIPTOR):
                    for bad in BAD_TEXTS:
                        peer.send_raw(FRAME.pack(b"JK", 1, 0, pb.Kind.Value(f"KIND_{kind}"), 0), wrapped(path, bad))
                        self.assertEqual(peer.receive(10)[0], "REFUSED", (service, kind, path[-1].name, bad))
            peer.send("PING", pb.Ping())
            self.assertEqual(peer.receive(10)[0], "PONG")

    def test_what_is_not_known_reaches_nobody(self):
        """F24: unknown fields pass no desk, no case, no webhook, no log, and are not even in the feed."""
        desk = stack.peer("dispatch", desk_key)
        self.addCleanup(desk.close)
        desk.hello()
        desk.send("SUBSCRIBE", pb.Subscribe(request=1, counties=[COUNTY], start_at=pb.START_AT_NOW))
        desk.expect("SUBSCRIBED")
        payload = with_unknown(full_report())
        self.assertGreater(payload.count(MARKER), 10)
        self.publisher.request += 1
        publish = pb.Publish(session=self.publisher.peer.session, request=self.publisher.request, format=pb.FORMAT_PROTOBUF,
                             payload=payload).SerializeToString() + field(1999, MARKER)
        self.publisher.peer.send_raw(FRAME.pack(b"JK", 1, 0, pb.KIND_PUBLISH, 0), publish)
        receipt = self.publisher.peer.expect("RECEIPT", timeout=15)
        self.assertEqual(receipt.verdict, pb.VERDICT_STORED, receipt)
        event_id = str(uuid.UUID(bytes=receipt.event_id))
        kept, = stack.sql("SELECT position(%s::bytea IN bytes) FROM intake.report WHERE event_id = %s", MARKER, event_id)[0]
        self.assertGreater(kept, 0, "the report is kept as it was received, so the marker did arrive")
        delivery = desk.expect("DELIVER", timeout=15)
        self.assertEqual(delivery.event_id, receipt.event_id)
        self.assertNotIn(MARKER[:8], delivery.SerializeToString())
        body, = stack.sql("SELECT body FROM feed.event WHERE event_id = %s", event_id)[0]
        self.assertNotIn(MARKER[:8], bytes(body))
        for table in ("intake.protected", "cases.case", "cases.entry", "notify.message"):
            name = table.split(".")
            if stack.sql("SELECT 1 FROM information_schema.tables WHERE table_schema = %s AND table_name = %s", *name):
                rows = stack.sql(f"SELECT count(*) FROM {name[0]}.\"{name[1]}\" t WHERE t::text LIKE %s OR t::text LIKE %s",
                                 f"%{MARKER[:8].decode()}%", f"%{MARKER[:8].hex()}%")
                self.assertEqual(rows, [(0,)], table)
        cases = stack.peer("cases", desk_key)
        self.addCleanup(cases.close)
        cases.hello()

        def shown():
            cases.send("CASE_SHOW", pb.CaseShow(request=1, case_id=receipt.incident_id, purpose=pb.CASE_PURPOSE_AUDIT))
            got = cases.receive(10)
            return got[1] if got[0] == "CASE_SHOWN" else None
        self.assertNotIn(MARKER[:8], wait_until(shown, 10, "the case is open").SerializeToString())
        wait_until(lambda: any(str(uuid.UUID(bytes=receipt.incident_id)).encode() in body for _, body, _ in receiver.got("/hook")), 15,
                   "the webhook is told")
        for headers, told, _ in receiver.got("/hook"):
            self.assertNotIn(MARKER[:8], told + json.dumps(headers).encode())
        for service in stack.services.values():
            self.assertNotIn(MARKER[:8].decode(), service.log())
            self.assertNotIn(MARKER[:8].decode(), service.http("/metrics")[1])

    def test_the_log_repeats_nothing_of_a_refused_report(self):
        for payload, form in ((MARKER * 3, pb.FORMAT_PROTOBUF), (b'{"' + MARKER + b'": 1}', pb.FORMAT_JSON),
                              (b"<" + MARKER + b"/>", pb.FORMAT_CAP), (report(county=MARKER.decode()[:20]).SerializeToString(), 1)):
            self.assertEqual(self.publisher.publish(payload, form).verdict, pb.VERDICT_REJECTED)
        self.assertNotIn(MARKER[:8].decode(), stack.services["intake"].log())


class ShapesTest(unittest.TestCase):
    """Shapes that take long to look at: what is beyond a report's work is passed over, and nobody waits for it."""

    def setUp(self):
        self.hostile, self.honest = Publisher(stack, publisher_key), Publisher(stack, honest_key)
        for publisher in (self.hostile, self.honest):
            self.addCleanup(publisher.peer.close)

    def publish(self, *args, **fields):
        """The hostile report's receipt; another publisher is answered meanwhile."""
        self.hostile.send(*args, **fields)
        began = time.monotonic()
        self.assertEqual(self.honest.publish(report()).verdict, pb.VERDICT_STORED)
        self.assertLess(time.monotonic() - began, 5, "the honest one had to wait")
        return self.hostile.peer.expect("RECEIPT", timeout=15)

    def assert_passed_over(self, receipt, verdict=pb.VERDICT_VALID):
        self.assertEqual((receipt.verdict, [w.code for w in receipt.warnings]), (verdict, [pb.CODE_BAD_SHAPE]), receipt.reason)

    def zigzag(self, points):
        """(lat, lon): north and south, then east and west: points squared / 4 crossings."""
        half = points // 2
        ring = [(4 if n % 2 else -5, 33 + 8 * n / half) for n in range(half)]
        ring += [(3.9 - 8.8 * n / half, 32 if n % 2 else 42) for n in range(half)]
        return [*ring, ring[0]]

    def circles(self, lat, lon, radius_km, county, count=25000):
        message = report(county=county)
        for n in range(count):
            message.place.circles.add(centre=pb.Point(lat=lat, lon=lon), radius_km=radius_km + n * 1e-5)
        return message

    def test_rings_that_cross_themselves_everywhere(self):
        words = " ".join(f"{lat:.5f},{lon:.5f}" for lat, lon in self.zigzag(16000))
        alert = cap(uuid.uuid4().hex, area=f"<polygon>{words}</polygon>")
        self.assert_passed_over(self.publish(alert, pb.FORMAT_CAP, county=COUNTY), pb.VERDICT_STORED)
        strict = self.publish(cap(uuid.uuid4().hex, area=f"<polygon>{words}</polygon>"), pb.FORMAT_CAP, county=COUNTY, strict=True)
        self.assertEqual((strict.verdict, strict.code, strict.field), (pb.VERDICT_REJECTED, pb.CODE_RULE_VIOLATION, "place"))
        message = report(county=COUNTY)
        message.place.polygons.add().points.extend(pb.Point(lat=lat, lon=lon) for lat, lon in self.zigzag(40000))
        self.assert_passed_over(self.publish(message, check=True))

    def test_very_many_circles(self):
        receipt = self.publish(self.circles(-0.5, 37.5, 1500, county=None, count=20000), check=True)  # over all counties
        self.assertEqual((receipt.verdict, len(receipt.warnings)), (pb.VERDICT_VALID, 0), receipt.reason)
        # Beside the county's corner at 2.5 north, 38.5 east: within its box, and not in it.
        self.assert_passed_over(self.publish(self.circles(2.58, 38.58, 11, county=COUNTY), check=True))


class HttpTest(unittest.TestCase):
    """The small HTTP port: whoever supervises a service gets an answer also beside those who never finish theirs."""

    def test_stalled_clients_and_garbage(self):
        for name, service in stack.services.items():
            with self.subTest(name), contextlib.ExitStack() as open_socks:
                before = rss_kib(service.process.pid)
                pieces = [b"", b"GET ", b"GET /metrics HTTP/1.1\r\nHost: x\r\n", b"POST /metrics HTTP/1.1\r\nContent-Length: 99999999\r\n\r\nx",
                          b"\x16\x03\x01\x02\x00" + bytes(100), b"GET /" + b"a" * 20000]
                for n in range(48):
                    with contextlib.suppress(ConnectionError):
                        open_socks.enter_context(connect(service.http_port, pieces[n % len(pieces)]))
                began = time.monotonic()
                self.assertEqual(service.http("/healthz")[0], 200)
                self.assertEqual(service.http("/metrics")[0], 200)
                self.assertLess(time.monotonic() - began, 4, "they had to wait for the stalled ones")
                self.assertLess(rss_kib(service.process.pid) - before, 32 * 1024)

    def test_a_crowd_ends_by_itself(self):
        service = stack.services["dispatch"]
        with contextlib.ExitStack() as open_socks:
            socks = []
            for _ in range(200):
                with contextlib.suppress(OSError):
                    socks.append(open_socks.enter_context(connect(service.http_port, b"GET /he", timeout=1)))
            self.assertTrue(closed_within(socks[0], 15), "a stalled request is ended")
        wait_until(lambda: service.http("/healthz")[0] == 200, 20, "it answers again")

    def test_a_reader_that_takes_nothing(self):
        service = stack.services["cases"]
        with connect(service.http_port) as raw:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            for _ in range(50):
                with contextlib.suppress(OSError):
                    raw.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertEqual(service.http("/healthz")[0], 200)

    def test_only_what_it_serves(self):
        for path, status in (("/", 404), ("/metrics/../../etc/passwd", 404), ("/%2e%2e/", 404), ("/metrics?x=%00", 200), ("//metrics", 404)):
            self.assertEqual(stack.services["intake"].http(path)[0], status, path)


if __name__ == "__main__":
    unittest.main(verbosity=2)
