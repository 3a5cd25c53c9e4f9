"""A desk's hand tools against the real dispatch: jukwaa offer list, watch, accept and the others, as the desk's people type them."""
import json
import os
import subprocess
import time
import unittest
import uuid

from feed_events import CANCEL, Event, append
from jukwaa_harness import BIN, Stack, protos, wait_until

pb = protos()
DESKS = ("NAIROBI", "KILIMANI", "WESTLANDS", "CC-047")


def setUpModule():
    global stack, keys, publisher
    stack = Stack(services=("dispatch",))
    publisher = stack.add_publisher("KPS")
    keys = {name: stack.add_desk(name, agency="NPS") for name in DESKS}
    stack.admin("duty", "rule", "add", "--discipline", "POLICE", "--category", "TRANSPORT", "--answer", "3600", "--again", "3600")
    for desk in DESKS[:2]:
        stack.admin("duty", "desk", "add", "--county", "047", "--discipline", "POLICE", "--desk", desk)
    stack.admin("duty", "escalation", "add", "--role", "COUNTY_COMMISSIONER", "--severity", "EXTREME", "--after", "5", "--again", "3600",
                "--desk", "CC-047")
    for key in (publisher, *keys.values()):
        stack.wait_known(key, "dispatch")


def tearDownModule():
    assert stack.services["dispatch"].stop() == 0, stack.services["dispatch"].log()[-3000:]


class OfferTest(unittest.TestCase):
    def offer(self, desk, *args):
        done = stack.cli(keys.get(desk, desk), "offer", *args, check=False)
        return done.returncode, done.stdout, done.stderr

    def good(self, desk, *args):
        """The answer's JSON."""
        done = stack.cli(keys[desk], "--json", "offer", *args, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""), (desk, args))
        return json.loads(done.stdout)

    def list(self, desk, *options):
        lines, status = stack.cli_json(keys[desk], "offer", "list", *options)
        self.assertEqual(status, 0)
        return lines

    def standing(self, desk, duty, *options):
        return next((o["standing"] for o in self.list(desk, *options) if o["duty_id"] == duty), None)

    def refused(self, desk, code, *args, status=1):
        found = self.offer(desk, *args)
        self.assertEqual((found[0], found[1]), (status, ""), (desk, args))
        self.assertIn(code, found[2])

    def open(self, desk="NAIROBI", **fields):
        """An incident; the id of its duty, which the desk is asked."""
        event = Event(**fields)
        append(stack, event)
        incident = str(event.incident)
        return event, wait_until(lambda: next((o["duty_id"] for o in self.list(desk) if o.get("incident_id") == incident), None), 10,
                                 "the offer")


class RefusalTest(OfferTest):
    def test_who_was_not_asked_and_who_comes_too_late(self):
        _, duty = self.open()
        nothing = str(uuid.uuid4())
        self.refused("WESTLANDS", "NOT_FOUND", "accept", duty)
        self.refused("NAIROBI", "NOT_FOUND", "accept", nothing)
        self.assertEqual(self.offer("WESTLANDS", "accept", duty), self.offer("NAIROBI", "accept", nothing))
        self.refused(publisher, "NOT_PERMITTED", "accept", duty, status=4)
        self.refused(publisher, "NOT_PERMITTED", "list", status=4)
        self.refused("NAIROBI", "WRONG_STATE", "complete", duty, "--disposition", "resolved")
        self.refused("NAIROBI", "STALE_VERSION", "decline", duty, "--reason", "x", "--version", "99")
        self.good("NAIROBI", "decline", duty, "--reason", "no car left")
        wait_until(lambda: self.standing("KILIMANI", duty) == "ASKED", 10, "the next desk is asked")
        self.good("KILIMANI", "accept", duty)
        self.refused("NAIROBI", "TAKEN", "accept", duty)
        self.refused("KILIMANI", "NOT_FOUND desk: ", "hand-over", duty, "--desk", "NOBODY")

    def test_the_same_again(self):
        _, duty = self.open()
        command = str(uuid.uuid4())
        self.assertFalse(self.good("NAIROBI", "accept", duty, "--command-id", command).get("repeated"))
        self.assertTrue(self.good("NAIROBI", "accept", duty, "--command-id", command)["repeated"])
        self.refused("NAIROBI", "RULE_VIOLATION", "complete", duty, "--disposition", "resolved", "--command-id", command)
        self.assertEqual(self.standing("NAIROBI", duty, "--held"), "HOLDER")


class AnswerTest(OfferTest):
    def test_a_shift(self):
        event, duty = self.open()
        status, said, _ = self.offer("NAIROBI", "list", "--limit", "200")
        block = said[said.index(duty):].splitlines()[:3]
        self.assertEqual(status, 0)
        self.assertRegex(block[0], f"^{duty} POLICE 047 you are asked: (1 h|59 min|60 min) left$")
        self.assertEqual(block[1], f"  incident {event.incident} SEVERE TRANSPORT UNSPECIFIED")
        self.assertRegex(block[2], r"^  OFFERED since 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        found = self.offer("NAIROBI", "accept", duty)
        version = next(o["version"] for o in self.list("NAIROBI", "--held", "--limit", "200") if o["duty_id"] == duty)
        self.assertEqual(found, (0, f"{duty} HELD (version {version})\n", ""))
        self.assertIsNone(self.standing("NAIROBI", duty))
        self.assertEqual(self.standing("NAIROBI", duty, "--held"), "HOLDER")
        self.good("NAIROBI", "hand-over", duty, "--desk", "WESTLANDS", "--reason", "nearer")
        self.assertEqual(self.standing("WESTLANDS", duty), "ASKED")
        self.assertIn("reason: nearer", self.offer("WESTLANDS", "list")[1])
        self.assertEqual(self.standing("NAIROBI", duty, "--held"), "HOLDER")
        self.good("WESTLANDS", "accept", duty)
        self.assertEqual((self.standing("NAIROBI", duty, "--held"), self.standing("NAIROBI", duty, "--all")), (None, "FORMER_HOLDER"))
        self.assertEqual(self.good("WESTLANDS", "complete", duty, "--disposition", "resolved", "--reason", "done")["state"], "COMPLETED")
        self.refused("WESTLANDS", "WRONG_STATE", "accept", duty)

    def test_the_end_of_a_shift(self):
        duties = {self.open()[1] for _ in range(3)}
        for duty in duties:
            self.good("NAIROBI", "accept", duty)
        status, said, _ = self.offer("NAIROBI", "hand-over-all", "--desk", "WESTLANDS", "--reason", "end of shift")
        self.assertEqual(status, 0)
        self.assertRegex(said, "^[0-9]+ to be offered")
        wait_until(lambda: duties <= {o["duty_id"] for o in self.list("WESTLANDS", "--limit", "200")}, 10, "all are offered")
        self.assertLessEqual(duties, {o["duty_id"] for o in self.list("NAIROBI", "--held", "--limit", "200")})

    def test_a_role_is_told_and_has_read_it(self):
        event, duty = self.open(severity=1)
        wait_until(lambda: self.standing("CC-047", duty) == "TOLD", 20, "the commissioner is told")
        self.assertIn("; as COUNTY_COMMISSIONER, 1.", self.offer("CC-047", "list")[1])
        self.good("CC-047", "acknowledge", duty)
        self.assertIsNone(self.standing("CC-047", duty))

    def test_what_is_over_is_not_open(self):
        event, duty = self.open()
        append(stack, Event(CANCEL, event.counties, event.incident, revision=2))
        wait_until(lambda: self.standing("NAIROBI", duty) is None, 10, "withdrawn")
        self.refused("NAIROBI", "WRONG_STATE", "accept", duty)
        self.assertEqual(next(o["state"] for o in self.list("NAIROBI", "--all") if o["duty_id"] == duty), "WITHDRAWN")


class WatchTest(OfferTest):
    def watch(self, desk, *options):
        env = {**os.environ, **stack.env(keys[desk])}
        process = subprocess.Popen([str(BIN / "jukwaa"), "--json", "offer", "watch", *options], env=env, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        return process

    def next_about(self, process, duty=None, incident=None):
        for line in process.stdout:
            offer = json.loads(line)
            if duty in (None, offer["duty_id"]) and incident in (None, offer.get("incident_id")):
                return offer
        self.fail(f"it ended: {process.stderr.read()}")

    def test_what_is_open_and_what_comes(self):
        _, open_duty = self.open()
        process = self.watch("NAIROBI")
        self.assertEqual(self.next_about(process, open_duty)["standing"], "ASKED")
        began = time.monotonic()
        event = Event()
        append(stack, event)
        offer = self.next_about(process, incident=str(event.incident))
        self.assertLess(time.monotonic() - began, 5, "pushed, not found by asking")
        self.assertEqual((offer["county"], offer["discipline"], offer["standing"], offer["state"]), ("047", "POLICE", "ASKED", "OFFERED"))
        print(f"\n  from the event to the line of `offer watch`: {time.monotonic() - began:.2f} s")

    def test_a_service_that_is_killed(self):
        process, dispatch = self.watch("NAIROBI"), stack.services["dispatch"]
        _, duty = self.open()
        self.next_about(process, duty)
        dispatch.kill()
        event = Event()
        append(stack, event)
        dispatch.start()
        self.assertEqual(self.next_about(process, incident=str(event.incident))["standing"], "ASKED")

    def test_revoked(self):
        key = stack.new_key("gone")
        stack.admin("key", "add", "--file", f"{key}.pub", "--role", "desk", "--agency", "NPS", "--desk", "WESTLANDS")
        stack.wait_known(key, "dispatch")
        keys["GONE"] = key
        process = self.watch("GONE")
        self.next_about(process) if self.list("WESTLANDS") else wait_until(
            lambda: stack.services["dispatch"].metric("jukwaa_dispatch_sessions") >= 1, 10, "a session")
        stack.admin("key", "revoke", f"{key}.pub")
        self.assertEqual(process.wait(15), 4)


if __name__ == "__main__":
    unittest.main()
