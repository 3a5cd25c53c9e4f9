"""jukwaa publish --dry-run: who would see a report, as what, and why; nothing is stored; members of a task force that the publisher is
not in are counted and not named."""
import json
import time
import unittest

from agreements import Party, agree
from intake_test import Publisher, report
from jukwaa_harness import Stack, protos, scratch, wait_until

pb = protos()
REPORT = {"identity": {"external_id": "dry-1", "revision": 1, "status": "ACTUAL"}, "classification": {"categories": ["FIRE"],
          "severity": "SEVERE"}, "handling": {"tlp": "GREEN", "scope": "PUBLIC"}, "narrative": {"texts": [{"headline": "Fire"}]}}


def write(name, content):
    path = scratch() / name
    path.write_text(json.dumps(content))
    return path


class DryRunTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = Stack(services=("intake",))
        cls.publisher = cls.stack.add_publisher("KPS")
        cls.stack.add_desk("OPEN", agency="FREE")
        cls.stack.add_desk("ELSEWHERE", agency="FREE", allow=(("--county", "001"),))
        cls.stack.add_desk("OWN", agency="KPS", allow=())
        cls.stack.add_desk("RED-CROSS", agency="KRCS", allow=())
        cls.parties = {code: Party(cls.stack, code) for code in ("KPS", "KRCS", "KWS", "NMS")}
        agree(cls.stack, "KPS-KRCS", cls.parties["KPS"], cls.parties["KRCS"], "COARSE_PLACE@1")
        cls.task_force()
        cls.stack.wait_known(cls.publisher)

    @classmethod
    def sign_key(cls, agency):
        path = cls.stack.new_key(f"signs-{agency}")
        cls.stack.admin("key", "add", "--file", f"{path}.pub", "--role", "publisher", "--agency", agency, "--may-sign")
        return path

    @classmethod
    def task_force(cls):
        """Of KWS and NMS, with two desks; KPS gives it incidents and is not in it."""
        keys = {agency: cls.sign_key(agency) for agency in ("KPS", "KWS", "NMS")}
        for desk, agency in (("RANGERS", "KWS"), ("METRO", "NMS")):
            cls.stack.add_desk(desk, agency=agency, allow=())
        force = write("force.json", {"task_force": "HIDDEN", "version": 1, "lead": "KWS", "members": ["KWS", "NMS"], "counties": ["047"],
                                     "purpose": "p", "legal_basis": "l", "start": "2020-01-01T00:00:00Z", "end": "2099-01-01T00:00:00Z"})
        cls.stack.admin("taskforce", "propose", force, "--key", keys["KWS"])
        cls.stack.admin("taskforce", "accept", "HIDDEN", "--key", keys["NMS"])
        pact = write("to-force.json", {"agreement": "KPS-FORCE", "version": 1, "kind": "MUTUAL_CONSENT", "provider": "KPS",
                                       "recipient": "taskforce:HIDDEN", "counties": ["*"], "all_categories": True, "tlp_ceiling": "AMBER",
                                       "profile": "NO_PERSONS@1", "actions": ["VIEW"], "purpose": "p", "legal_basis": "l",
                                       "start": "2020-01-01T00:00:00Z"})
        cls.stack.admin("agreement", "propose", pact, "--key", keys["KPS"])
        cls.stack.admin("agreement", "accept", "KPS-FORCE", "--key", keys["KWS"])

    def dry_run(self, report, *options):
        lines, status = self.stack.cli_json(self.publisher, "publish", "--dry-run", "--county", "047", *options, write("r.json", report))
        return lines[0], status

    def test_who_would_see_it(self):
        expected = {
            "OPEN": ("FREE", "ALLOW_REDACTED", "", "FULL@1", 0),
            "OWN": ("KPS", "ALLOW", "", "", 0),
            "RED-CROSS": ("KRCS", "ALLOW_REDACTED", "KPS-KRCS", "COARSE_PLACE@1", 0),
            "": ("", "ALLOW_REDACTED", "KPS-FORCE", "NO_PERSONS@1", 2),
        }

        def audience():
            receipt, status = self.dry_run(REPORT)
            self.assertEqual((status, receipt["verdict"]), (0, "VALID"), receipt)
            return receipt["audience"] if len(receipt["audience"]) >= len(expected) else None
        found = wait_until(audience, 10, "agreements in force")
        self.assertEqual({a["desk"]: (a["agency"], a["effect"], a["agreement"], a["profile"], a["hidden_desks"]) for a in found}, expected)
        self.assertEqual({a["county"] for a in found}, {"047"})
        self.assertTrue(all(a["reason"] for a in found))
        text = json.dumps(found)
        for hidden in ("RANGERS", "METRO", "KWS", "NMS", "HIDDEN"):
            self.assertNotIn(hidden, text)
        # Nothing is stored, and --check says nothing of it.
        self.assertEqual(self.stack.sql("SELECT count(*) FROM feed.event"), [(0,)])
        lines, status = self.stack.cli_json(self.publisher, "publish", "--check", "--county", "047", write("r.json", REPORT))
        self.assertEqual((status, lines[0]["verdict"], "audience" in lines[0]), (0, "VALID", False))

    def test_as_a_table(self):
        wait_until(lambda: len(self.dry_run(REPORT)[0]["audience"]) >= 4, 10, "agreements in force")
        done = self.stack.cli(self.publisher, "publish", "--dry-run", "--county", "047", write("r.json", REPORT))
        self.assertIn("RED-CROSS (KRCS)", done.stdout)
        self.assertIn("KPS-KRCS@1", done.stdout)
        self.assertIn("2 of a task force", done.stdout)

    def test_what_labels_do(self):
        """RED and not named: the owner's own alone. PRIVATE to one desk: it and the owner's."""
        red = {**REPORT, "handling": {"tlp": "RED", "scope": "PUBLIC"}}
        self.assertEqual([a["desk"] for a in self.dry_run(red)[0]["audience"]], ["OWN"])
        named = {**REPORT, "handling": {"tlp": "GREEN", "scope": "PRIVATE", "addresses": ["OPEN"]}}
        self.assertEqual(sorted(a["desk"] for a in self.dry_run(named)[0]["audience"]), ["OPEN", "OWN"])

    def test_names_beyond_those_that_a_label_takes_let_nobody_in(self):
        """A label names the first 256 of at most 32 bytes, in a dry run as in the stored event."""
        def seen(names):
            private = {**REPORT, "handling": {"tlp": "GREEN", "scope": "PRIVATE", "addresses": names}}
            return sorted(a["desk"] for a in self.dry_run(private)[0]["audience"])
        self.assertEqual(seen(["X"] * 255 + ["OPEN"]), ["OPEN", "OWN"])
        self.assertEqual(seen(["X"] * 256 + ["OPEN"]), ["OWN"])
        self.assertEqual(seen(["X" * 33] * 256 + ["OPEN"]), ["OPEN", "OWN"])
        self.assertEqual(seen(["X" * 32] * 256 + ["OPEN"]), ["OWN"])

    def test_very_many_names(self):
        """In many counties. What a report of this size costs anyway is in the time too, and the sanitizers' part of it."""
        publisher = Publisher(self.stack, self.publisher)
        self.addCleanup(publisher.peer.close)
        message = report(county=None)
        message.place.codes.extend(pb.PlaceCode(scheme=pb.PLACE_SCHEME_COUNTY, code=f"{n:03}") for n in range(1, 41))
        message.handling.scope = pb.SCOPE_PRIVATE
        message.handling.addresses.extend(["X"] * 250000)
        began = time.monotonic()
        receipt = publisher.publish(message, dry_run=True)
        self.assertLess(time.monotonic() - began, 4)
        self.assertEqual((receipt.verdict, {a.desk for a in receipt.audience}), (pb.VERDICT_VALID, {"OWN"}), receipt.reason)
        self.assertEqual(len(receipt.audience), 40)

    def test_what_is_refused_has_no_audience(self):
        receipt, status = self.dry_run({**REPORT, "identity": {**REPORT["identity"], "status": "EXERCISE"}})
        self.assertEqual((status, receipt["verdict"], receipt["audience"]), (1, "REJECTED", []))


if __name__ == "__main__":
    unittest.main()
