"""A client from the .proto files alone (python3-zmq, python3-protobuf): publishes, subscribes, verifies, resumes. It shares no
code with libjukwaa; deploy/examples/*.py are run as they stand."""
import os
import subprocess
import time
import unittest

from groups import merge
from jukwaa_harness import ROOT, Stack, chain_next, commitment, protos


class PythonClientTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.pb = protos()
        cls.stack = Stack(services=("intake", "dispatch"))
        cls.publisher = cls.stack.add_publisher("INTEROP")
        cls.desk = cls.stack.add_desk("NBO")
        cls.stack.wait_known(cls.publisher)
        cls.stack.wait_known(cls.desk, "dispatch")

    def incident(self, number, county="047"):
        pb = self.pb
        return pb.Incident(identity=pb.Identity(external_id=f"i{number}", status=pb.STATUS_ACTUAL),
                           classification=pb.Classification(categories=[pb.CATEGORY_FIRE], severity=pb.SEVERITY_SEVERE),
                           place=pb.Place(codes=[pb.PlaceCode(scheme=pb.PLACE_SCHEME_COUNTY, code=county)]),
                           narrative=pb.Narrative(texts=[pb.Text(language="sw", headline="Moto sokoni")]),
                           handling=pb.Handling(tlp=pb.TLP_GREEN, scope=pb.SCOPE_PUBLIC),
                           reporter=pb.Reporter(name="must never arrive"))

    def test_publish_subscribe_verify_resume(self):
        pb = self.pb
        desk = self.stack.peer("dispatch", self.desk)
        welcome = desk.hello()
        self.assertEqual((welcome.role, welcome.desk, welcome.service), (pb.ROLE_DESK, "NBO", "dispatch"))
        desk.send("SUBSCRIBE", pb.Subscribe(request=7, counties=["047"], start_at=pb.START_AT_NOW))
        subscribed = desk.expect("SUBSCRIBED")
        self.assertEqual(subscribed.request, 7)

        publisher = self.stack.peer("intake", self.publisher)
        self.assertIsNotNone(publisher.hello())
        for number in range(10):
            publisher.send("PUBLISH", pb.Publish(request=number + 1, format=pb.FORMAT_PROTOBUF,
                                                 payload=self.incident(number).SerializeToString()))
        receipts = {r.request: r for r in (publisher.expect("RECEIPT") for _ in range(10))}
        self.assertEqual({r.verdict for r in receipts.values()}, {pb.VERDICT_STORED})

        previous, sealed = None, None
        for number in range(1, 11):
            deliver = desk.expect("DELIVER")
            self.assertEqual(deliver.delivery_no, number)
            self.assertEqual(commitment(deliver.event.groups), deliver.commitment)
            if previous is not None:
                self.assertEqual(chain_next(previous, deliver), deliver.chain)
            previous = deliver.chain
            groups = {g.tag: g for g in deliver.event.groups}
            self.assertEqual(groups[pb.GROUP_TAG_REPORTER].content, b"")
            self.assertNotIn(b"must never arrive", deliver.SerializeToString())
            identity = pb.Identity.FromString(groups[pb.GROUP_TAG_IDENTITY].content)
            self.assertEqual(identity.agency, "INTEROP")
            # Each group alone, and all that is shown put together again.
            self.assertEqual(pb.Place.FromString(groups[pb.GROUP_TAG_PLACE].content), pb.Place(counties=["047"]))
            shown, said = merge(deliver.event.groups), self.incident(number - 1)
            self.assertEqual(shown.identity.external_id, said.identity.external_id)
            self.assertEqual((shown.place.codes, shown.narrative), (said.place.codes, said.narrative))
            if number == 6:
                sealed = deliver.position
        desk.send("ACK", pb.Ack(delivery_no=10))
        desk.close()

        again = self.stack.peer("dispatch", self.desk)
        again.hello()
        again.send("SUBSCRIBE", pb.Subscribe(request=8, counties=["047"], start_at=pb.START_AT_TOKEN, positions=[sealed]))
        again.expect("SUBSCRIBED")
        rest = [again.expect("DELIVER").seq for _ in range(4)]
        self.assertEqual(rest, [receipts[i].positions[0].seq for i in (7, 8, 9, 10)])
        again.close()
        publisher.close()

    def test_liveness(self):
        peer = self.stack.peer("intake", self.publisher)
        peer.hello()
        peer.send("PING", self.pb.Ping())
        self.assertEqual(peer.expect("PONG").session, peer.session)
        peer.send("PING", self.pb.Ping(session=12345))
        self.assertEqual(peer.expect("BAD_SESSION").session, 12345)
        peer.close()

    def test_examples_run_as_they_stand(self):
        examples = ROOT / "deploy" / "examples"
        watch = subprocess.Popen(["/usr/bin/python3", examples / "subscribe.py", "--count", "1"], stdout=subprocess.PIPE, text=True,
                                 env={**os.environ, **self.stack.env(self.desk), "PYTHONUNBUFFERED": "1"})
        time.sleep(2)
        done = subprocess.run(["/usr/bin/python3", examples / "publish.py"], capture_output=True, text=True, timeout=30,
                              env={**os.environ, **self.stack.env(self.publisher)})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("STORED", done.stdout)
        out, _ = watch.communicate(timeout=30)
        self.assertEqual(watch.returncode, 0, out)
        self.assertIn("047", out)


if __name__ == "__main__":
    unittest.main()
