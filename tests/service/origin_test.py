"""Origin signatures: a publisher signs its report; intake verifies it, or wants it; every copy that shows who it is from carries it; receivers
check it, and can guess nothing from it."""
import hashlib
import json
import struct
import unittest
import uuid

from agreements import Party, agree
from evidence_outside import signature_holds
from jukwaa_harness import ROOT, Stack, protos, read_key, wait_until

pb = protos()
SAMPLES = ROOT / "deploy" / "samples"


def origin_text(agency, number, digest):
    return b"jk-origin-1" + struct.pack(">I", len(agency)) + agency.encode() + struct.pack(">q", number) + digest


class OriginTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = Stack(services=("intake", "dispatch"))
        cls.key = cls.stack.add_publisher("POLICE")
        cls.desk = cls.stack.add_desk("OPEN")
        cls.strict = cls.stack.add_publisher("STRICT")
        cls.stack.admin("agency", "set", "STRICT", "--require-signature", "yes")
        cls.stack.wait_known(cls.key)
        cls.stack.wait_known(cls.strict)
        cls.stack.wait_known(cls.desk, "dispatch")
        cls.sign_key = read_key(f"{cls.key}.pub")["sign-public"]

    @classmethod
    def tearDownClass(cls):
        for service in cls.stack.services.values():
            assert service.stop() in (0, None), service.log()

    def report(self):
        report = json.loads((SAMPLES / "crash-nakuru.json").read_text())
        report["identity"]["external_id"] = uuid.uuid4().hex
        return json.dumps(report)

    def publish(self, *args, key=None, text=None):
        path = self.stack.run / f"{uuid.uuid4().hex}.json"
        path.write_text(text or self.report())
        return self.stack.cli_json(key or self.key, "publish", *args, path)[0][0]

    def watched(self, event_id):
        lines, _ = self.stack.cli_json(self.desk, "watch", "--all", "--from", "beginning", "--timeout", "2")
        return next(line for line in lines if line["event_id"] == event_id)

    def stored(self, event_id):
        return self.stack.sql("SELECT bytes, format, origin_salt, origin_key, origin_signature FROM intake.report WHERE event_id = %s",
                              event_id)[0]

    def test_signed_carried_and_checked_by_another_program(self):
        for args in (("--sign", SAMPLES / "fire-nairobi-1.cap.xml"), ("--sign", SAMPLES / "drought-north.cap.xml")):
            receipt = self.stack.cli_json(self.key, "publish", *args)[0][0]
            self.assertEqual(receipt["verdict"], "STORED", receipt)
        receipts = [receipt, self.publish("--sign")]
        for receipt in receipts:
            line = self.watched(receipt["event_id"])
            self.assertEqual((line["origin"], line["copy_verified"]), ("verified", True), line)
            origin = line["incident"]["identity"]["origin"]
            self.assertEqual(bytes.fromhex(origin["sign_key"]), self.sign_key)
            payload, number, salt, key, signature = self.stored(receipt["event_id"])
            digest = hashlib.sha256(bytes(salt) + bytes(payload)).digest()
            self.assertEqual((digest.hex(), number, bytes(key), bytes(signature).hex()),
                             (origin["digest"], origin["format"], self.sign_key, origin["signature"]))
            self.assertTrue(signature_holds(self.sign_key, bytes(signature), origin_text("POLICE", number, digest)))
            self.assertNotIn(bytes(salt).hex(), json.dumps(line))

    def test_a_redacting_profile_leaves_it(self):
        """Who a report is from is shown by every profile: so is that it signed, and nothing of what it signed."""
        owner = Party(self.stack, "POLICE")
        desks = {profile: f"{profile[:-2]}-DESK" for profile in ("COARSE_PLACE@1", "STATISTICS_ONLY@1")}
        for profile, desk in desks.items():
            agree(self.stack, f"AS-{profile[:-2]}", owner, Party(self.stack, f"{profile[:-2]}-AGENCY"), profile)
            desks[profile] = self.stack.add_desk(desk, agency=f"{profile[:-2]}-AGENCY", allow=())
            self.stack.wait_known(desks[profile], "dispatch")
        report = json.loads(self.report())
        report["place"] = {"codes": [{"scheme": "COUNTY", "code": "009"}]}
        external_id = report["identity"]["external_id"]
        receipt = self.publish("--sign", text=json.dumps(report))
        self.publish(text=json.dumps({**report, "identity": {**report["identity"], "external_id": "plain"}}))
        _, number, salt, _, signature = self.stored(receipt["event_id"])
        for profile, desk in desks.items():
            with self.subTest(profile):
                (line, plain), _ = self.stack.cli_json(desk, "watch", "--county", "009", "--from", "beginning", "--count", 2, "--timeout", 10)
                self.assertEqual((line["profile"], line["origin"], line["copy_verified"]), (profile, "verified", True), line)
                self.assertEqual((plain["profile"], plain["origin"], plain["copy_verified"]), (profile, "none", True), plain)
                self.assertLessEqual({"registration", "narrative", "words"}, set(line["incident"]["withheld"]))
                identity = line["incident"]["identity"]
                self.assertEqual((identity["agency"], identity["origin"]["signature"]), ("POLICE", bytes(signature).hex()))
                self.assertTrue(signature_holds(self.sign_key, bytes(signature),
                                                origin_text("POLICE", number, bytes.fromhex(identity["origin"]["digest"]))))
                for hidden in (external_id, bytes(salt).hex(), report["identity"]["ob_number"]):
                    self.assertNotIn(hidden, json.dumps(line))

    def test_not_signed(self):
        receipt = self.publish()
        self.assertEqual(self.watched(receipt["event_id"])["origin"], "none")
        self.assertEqual(self.stored(receipt["event_id"])[2:], (None, None, None))

    def test_policy(self):
        refused = self.publish(key=self.strict)
        self.assertEqual((refused["verdict"], refused["code"], refused["field"]), ("REJECTED", "BAD_SIGNATURE", "origin_signature"))
        self.assertEqual(self.publish("--sign", key=self.strict)["verdict"], "STORED")
        self.stack.admin("agency", "set", "STRICT", "--require-signature", "no")
        wait_until(lambda: self.publish(key=self.strict)["verdict"] == "STORED", 5, "the policy is over")
        self.stack.admin("agency", "set", "STRICT", "--require-signature", "yes")
        wait_until(lambda: self.publish(key=self.strict)["verdict"] == "REJECTED", 5, "the policy holds")

    def peer_publish(self, payload, salt, signature):
        peer = self.stack.peer("intake", self.key)
        try:
            peer.hello()
            peer.send("PUBLISH", pb.Publish(request=1, format=pb.FORMAT_JSON, payload=payload, origin_salt=salt, origin_signature=signature))
            receipt = peer.expect("RECEIPT")
        finally:
            peer.close()
        return pb.Verdict.Name(receipt.verdict)[8:], receipt.field

    def test_bent_signatures_are_refused(self):
        """Another report's, another salt's, another format's, another agency's, of another size; half of it; one in the payload itself."""
        receipt = self.publish("--sign")
        payload, _, salt, _, signature = (bytes(v) if isinstance(v, memoryview) else v for v in self.stored(receipt["event_id"]))
        other = self.report().encode()
        wrong = ("REJECTED", "origin_signature")
        for args in ((other, salt, signature), (payload, b"x" * 16, signature), (payload, salt, b"x" * 64), (payload, salt[:15], signature),
                     (payload, salt, signature[:63]), (payload, salt, b""), (payload, b"", signature)):
            self.assertEqual(self.peer_publish(*args), wrong)
        self.assertEqual(self.peer_publish(payload, salt, signature)[0], "DUPLICATE")
        cap = (SAMPLES / "flood-garissa.cap.xml").read_bytes()
        self.assertEqual(self.peer_publish(cap, salt, signature), wrong)
        strict = self.publish("--sign", key=self.strict)
        _, _, salt, _, signature = self.stored(strict["event_id"])
        self.assertEqual(self.peer_publish(other, bytes(salt), bytes(signature)), wrong)
        forged = json.loads(self.report())
        forged["identity"]["origin"] = {"format": 3, "digest": "00" * 32, "sign_key": self.sign_key.hex(), "signature": "00" * 64}
        refused = self.publish(text=json.dumps(forged))
        self.assertEqual((refused["code"], refused["field"]), ("INVALID_SCHEMA", "identity.origin"))

    def test_a_bent_origin_in_a_copy_is_told(self):
        """Somebody who owns the exchange puts other bytes into what is stored: the commitment tells, and the signature too."""
        receipt = self.publish("--sign")
        stream, seq = receipt["positions"][0]["county"], receipt["positions"][0]["seq"]
        body = bytes(self.stack.sql("SELECT body FROM feed.event WHERE stream = %s AND seq = %s", stream, seq)[0][0])
        signature = bytes(self.stored(receipt["event_id"])[4])
        self.assertEqual(body.count(signature), 1)
        self.stack.services["dispatch"].stop()
        self.stack.sql("UPDATE feed.event SET body = %s WHERE stream = %s AND seq = %s", body.replace(signature, bytes(64)), stream, seq)
        self.stack.services["dispatch"].start()
        line = self.watched(receipt["event_id"])
        self.assertEqual((line["origin"], line["copy_verified"]), ("bad", False))


if __name__ == "__main__":
    unittest.main()
