"""The data set's CAP alerts through the command line: 54 valid files are 48 identities; each bad folder has its code."""
import collections
import unittest

from jukwaa_harness import Stack, need_data

FOLDERS = {"legacy-namespace": "OLD_NAMESPACE", "wrong-namespace": "WRONG_NAMESPACE", "not-an-alert": "NOT_AN_ALERT",
           "not-well-formed": "NOT_WELL_FORMED", "schema-invalid": "INVALID_SCHEMA"}


class CapFolderTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cap = need_data("cap")
        cls.stack = Stack(services=("intake", "dispatch", "cases"))
        cls.publisher = cls.stack.add_publisher("RELAY")
        cls.stack.wait_known(cls.publisher)

    def publish(self, folder, *options):
        return self.stack.cli_json(self.publisher, "publish", "--format", "cap", "--county", "047", *options,
                                   *sorted((self.cap / folder).glob("*.xml")))

    def test_1_valid(self):
        first, status = self.publish("valid")
        self.assertEqual(status, 1)
        self.assertEqual(collections.Counter(r["verdict"] for r in first), {"STORED": 48, "DUPLICATE": 4, "CONFLICT": 2})
        stored = {r["external_id"]: r for r in first if r["verdict"] == "STORED"}
        self.assertEqual(len(stored), 48)
        again, status = self.publish("valid")
        self.assertEqual(status, 1)
        self.assertEqual(collections.Counter(r["verdict"] for r in again), {"DUPLICATE": 52, "CONFLICT": 2})
        for receipt in again:
            if receipt["verdict"] == "DUPLICATE":
                original = stored[receipt["external_id"]]
                for field in ("incident_id", "event_id", "positions", "warnings"):
                    self.assertEqual(receipt[field], original[field], (receipt["file"], field))
        self.assertEqual(self.stack.sql("SELECT count(*), max(seq) FROM feed.event"), [(48, 48)])

    def test_2_bad_folders(self):
        for folder, code in FOLDERS.items():
            receipts, status = self.publish(f"invalid/{folder}")
            self.assertEqual(status, 1)
            self.assertGreater(len(receipts), 0)
            for receipt in receipts:
                text = (self.cap / "invalid" / folder / receipt["file"].rsplit("/", 1)[-1]).read_bytes()
                expected = ("NOT_WELL_FORMED", "doctype") if b"<!DOCTYPE" in text else (code, None)
                self.assertEqual((receipt["verdict"], receipt["code"]), ("REJECTED", expected[0]), receipt)
                if expected[1]:
                    self.assertEqual(receipt["field"], expected[1])

    def test_3_signature_invalid_are_duplicates_until_signatures_are_verified(self):
        receipts, status = self.publish("invalid/signature-invalid")
        self.assertEqual((status, collections.Counter(r["verdict"] for r in receipts)), (0, {"DUPLICATE": 11}))

    def test_4_semantic_faults_are_refused_when_strict_and_warned_of_otherwise(self):
        strict, status = self.publish("invalid/semantic-invalid", "--strict")
        self.assertEqual((status, {(r["verdict"], r["code"]) for r in strict}), (1, {("REJECTED", "RULE_VIOLATION")}))
        lenient, status = self.publish("invalid/semantic-invalid")
        self.assertEqual((status, {r["verdict"] for r in lenient}), (0, {"STORED"}))
        warned = {r["file"].rsplit("/", 1)[-1]: {w["code"] for w in r["warnings"]} for r in lenient}
        self.assertIn("BAD_SHAPE", warned["kde-gdacs-cap_1470644.xml"])
        self.assertIn("BAD_SHAPE", warned["kde-il-488abaaf-cad5-4d2b-93b2-703016878453.xml"])
        self.assertIn("EXPIRES_NOT_AFTER_SENT", warned["oasiscap-google-PAAQ-4-mg5a94.xml"])

    def test_5_check_stores_nothing(self):
        before = self.stack.sql("SELECT count(*) FROM intake.report")
        receipts, status = self.publish("valid", "--check")
        self.assertEqual({r["verdict"] for r in receipts}, {"DUPLICATE", "CONFLICT"})
        self.assertEqual(self.stack.sql("SELECT count(*) FROM intake.report"), before)


if __name__ == "__main__":
    unittest.main()
