"""Old and new messages side by side: a client of a later release with present services, and present clients (Python, libjukwaa through
`jukwaa`) with an exchange of a later release. Later fields are passed over, and those of publishers never reach a desk."""
import json
import time
import unittest
import uuid

from jukwaa_harness import Peer, Stack, chain_next, commitment, protos, run_cli
from next_version import MARK, NextExchange, NextPeer, add_fields, is_marked, next_protos

pb = protos()
ONSET_US = int(time.time() * 1e6)


def setUpModule():
    global stack, publisher, desk
    stack = Stack()
    publisher, desk = stack.add_publisher("KRCS"), stack.add_desk("NBO")
    stack.wait_known(publisher)
    stack.wait_known(desk, "dispatch")
    stack.wait_known(desk, "cases")


def tearDownModule():
    stack.stop()


def incident(of, external_id, county="047"):
    """A report with something in every part, in the messages of `of`."""
    report = of.Incident()
    report.identity.external_id, report.identity.status = external_id, of.STATUS_ACTUAL
    report.classification.categories.append(of.CATEGORY_FIRE)
    report.classification.severity = of.SEVERITY_SEVERE
    report.times.onset_us = ONSET_US
    report.place.codes.add(scheme=of.PLACE_SCHEME_COUNTY, code=county)
    report.narrative.texts.add(language="en", headline="Fire at the market")
    report.handling.scope, report.handling.tlp = of.SCOPE_PUBLIC, of.TLP_GREEN
    report.reporter.name = "must never arrive"
    return report


class LaterClientTest(unittest.TestCase):
    """A client of the later release; the services are the present ones."""

    def peer(self, service, key):
        peer = NextPeer(stack.endpoints[service], key, f"{stack.server_key}.pub")
        self.addCleanup(peer.close)
        self.assertIsNotNone(peer.hello())
        return peer

    def publish(self, peer, external_id, request=1, with_added=True):
        report = incident(peer.pb, external_id)
        if with_added:
            self.assertGreater(add_fields(report), 8)
        payload = report.SerializeToString()
        self.assertEqual(is_marked(payload), with_added)
        peer.send("PUBLISH", peer.pb.Publish(request=request, format=peer.pb.FORMAT_PROTOBUF, payload=payload))
        return peer.expect("RECEIPT")

    def test_publisher(self):
        peer = self.peer("intake", publisher)
        receipt = self.publish(peer, "later-1")
        self.assertEqual((receipt.verdict, receipt.external_id), (pb.VERDICT_STORED, "later-1"), receipt)
        self.assertEqual(self.publish(peer, "later-1", 2).verdict, pb.VERDICT_DUPLICATE)
        self.assertFalse(any(map(is_marked, peer.raw)))
        # What the later release added is no part of what the present one compares.
        self.assertEqual(self.publish(peer, "later-1", 3, with_added=False).verdict, pb.VERDICT_DUPLICATE)
        rows = stack.sql("SELECT body FROM feed.event WHERE event_id = %s", str(uuid.UUID(bytes=receipt.event_id)))
        self.assertEqual([is_marked(bytes(body)) for body, in rows], [False], "in the feed")
        self.assertEqual(stack.sql("SELECT count(*) FROM intake.report WHERE external_id = 'later-1' AND position(%s::bytea IN bytes) > 0",
                                   MARK.encode()), [(1,)], "kept as it was received")

    def test_desk(self):
        receipt = self.publish(self.peer("intake", publisher), "later-2")
        peer = self.peer("dispatch", desk)
        peer.send("SUBSCRIBE", peer.pb.Subscribe(request=1, counties=["047"], start_at=peer.pb.START_AT_BEGINNING))
        peer.expect("SUBSCRIBED")
        while True:
            copy = peer.expect("DELIVER")
            peer.send("ACK", peer.pb.Ack(delivery_no=copy.delivery_no))
            if copy.event_id == receipt.event_id:
                break
        peer.send("PING", peer.pb.Ping())
        while peer.receive(timeout=1.5):
            pass
        self.assertFalse(any(map(is_marked, peer.raw)), "a publisher's later fields reached a desk")
        self.assertGreater(len(peer.raw), 4)

    def test_case_asker(self):
        receipt = self.publish(self.peer("intake", publisher), "later-3")
        peer = self.peer("cases", desk)
        shown = None
        end = time.monotonic() + 10
        while shown is None and time.monotonic() < end:
            peer.send("CASE_SHOW", peer.pb.CaseShow(request=1, case_id=receipt.incident_id, purpose=1))
            kind, message = peer.receive()
            shown = message if kind == "CASE_SHOWN" else None
        self.assertIsNotNone(shown, "no case within 10 s")
        peer.send("CASE_LIST", peer.pb.CaseList(request=2, purpose=1))
        self.assertGreaterEqual(len(peer.expect("CASE_LISTED").cases), 1)
        self.assertFalse(any(map(is_marked, peer.raw)))


class LaterExchangeTest(unittest.TestCase):
    """Present clients; what they get has fields they do not know, in every message and in the messages within."""

    def exchange(self, service, key):
        exchange = NextExchange(stack, service, key)
        self.addCleanup(exchange.close)
        return exchange

    def check(self, exchange, up, down):
        self.assertEqual(exchange.leaked, [], "the service gave back what it does not know")
        self.assertLessEqual(set(up), exchange.up)
        self.assertLessEqual(set(down), exchange.down)

    def cli(self, exchange, service, key, *args):
        env = {**stack.env(key), f"JUKWAA_{service.upper()}": exchange.endpoint}
        done = run_cli("--json", *args, env=env, check=False, timeout=30)
        self.assertEqual(done.returncode, 0, done)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def report_file(self, external_id):
        path = stack.run / f"{external_id}.json"
        path.write_text(json.dumps({
            "identity": {"external_id": external_id, "status": "ACTUAL"}, "classification": {"categories": ["FIRE"]},
            "place": {"codes": [{"scheme": "COUNTY", "code": "022"}]}, "handling": {"tlp": "GREEN", "scope": "PUBLIC"},
            "narrative": {"texts": [{"language": "en", "headline": "Fire at the market"}]}}))
        return path

    def test_libjukwaa(self):
        intake = self.exchange("intake", publisher)
        (receipt,) = self.cli(intake, "intake", publisher, "publish", self.report_file("old-1"))
        self.assertEqual((receipt["verdict"], receipt["external_id"], len(receipt["positions"])), ("STORED", "old-1", 1))
        (again,) = self.cli(intake, "intake", publisher, "publish", self.report_file("old-1"))
        self.assertEqual((again["verdict"], again["event_id"]), ("DUPLICATE", receipt["event_id"]))
        self.check(intake, ["HELLO", "PUBLISH"], ["WELCOME", "RECEIPT"])

        dispatch = self.exchange("dispatch", desk)
        (event,) = self.cli(dispatch, "dispatch", desk, "watch", "--county", "022", "--from", "beginning", "--count", "1", "--ack",
                            "--timeout", "15")
        self.assertEqual((event["event_id"], event["headline"]), (receipt["event_id"], "Fire at the market"))
        self.assertTrue(event["copy_verified"] and event["chain_verified"])
        self.assertNotIn(MARK, json.dumps(event))
        self.check(dispatch, ["HELLO", "SUBSCRIBE", "ACK"], ["WELCOME", "SUBSCRIBED", "DELIVER"])

        cases = self.exchange("cases", desk)
        rows = self.cli(cases, "cases", desk, "case", "list", "--county", "022")
        self.assertIn(receipt["incident_id"], json.dumps(rows))
        self.cli(cases, "cases", desk, "case", "show", receipt["incident_id"])
        self.check(cases, ["CASE_LIST", "CASE_SHOW"], ["CASE_LISTED", "CASE_SHOWN"])

    def test_python(self):
        exchange = self.exchange("intake", publisher)
        peer = Peer(exchange.endpoint, publisher, f"{stack.server_key}.pub")
        self.addCleanup(peer.close)
        welcome = peer.hello()
        self.assertEqual((welcome.agency, welcome.service), ("KRCS", "intake"))
        peer.send("PUBLISH", pb.Publish(request=5, format=pb.FORMAT_PROTOBUF,
                                        payload=incident(pb, "old-2", "030").SerializeToString()))
        receipt = peer.expect("RECEIPT")
        self.assertEqual((receipt.verdict, receipt.request, receipt.positions[0].stream), (pb.VERDICT_STORED, 5, "030"))
        peer.send("PUBLISH", pb.Publish(request=6, format=pb.FORMAT_PROTOBUF, payload=pb.Incident().SerializeToString()))
        self.assertEqual(peer.expect("RECEIPT").verdict, pb.VERDICT_REJECTED)
        self.check(exchange, ["HELLO", "PUBLISH"], ["WELCOME", "RECEIPT"])

        exchange = self.exchange("dispatch", desk)
        peer = Peer(exchange.endpoint, desk, f"{stack.server_key}.pub")
        self.addCleanup(peer.close)
        self.assertIsNotNone(peer.hello())
        peer.send("SUBSCRIBE", pb.Subscribe(request=1, counties=["030"], start_at=pb.START_AT_BEGINNING))
        peer.expect("SUBSCRIBED")
        copy = peer.expect("DELIVER")
        self.assertEqual((copy.event_id, copy.seq), (receipt.event_id, 1))
        self.assertEqual(commitment(copy.event.groups), copy.commitment)
        self.assertEqual(chain_next(b"", copy), receipt.positions[0].chain)
        peer.send("ACK", pb.Ack(delivery_no=copy.delivery_no))
        beat = peer.expect("BEAT", timeout=15)
        self.assertEqual(beat.delivery_no, 1)
        self.check(exchange, ["SUBSCRIBE", "ACK"], ["SUBSCRIBED", "DELIVER", "BEAT"])

    def test_the_added_fields_are_there(self):
        """Guards these tests: the later release's own reading finds them, and the present one's keeps them apart."""
        later = next_protos()
        receipt = later.Receipt(request=1, external_id="x")
        receipt.positions.add(stream="047", seq=3)
        self.assertEqual(add_fields(receipt), 2)
        self.assertTrue(is_marked(receipt.SerializeToString()))
        present = pb.Receipt.FromString(receipt.SerializeToString())
        self.assertEqual((present.external_id, present.positions[0].seq), ("x", 3))
        self.assertNotIn("added_text", str(present).split("{")[0])


if __name__ == "__main__":
    unittest.main()
