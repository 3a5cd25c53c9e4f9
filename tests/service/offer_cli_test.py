"""jukwaa offer and jukwaa opened against a dispatch that misbehaves on purpose: what is sent, what is repeated, what is shown. The
same against the real one: offer_test.py."""
import json
import time
import unittest
import uuid

import cli_test
from jukwaa_harness import protos, run_cli, scratch

DUTY, COMMAND = uuid.UUID(int=0x01980b2e7f5e7c618a1e3f0f4b1d2c3a), uuid.UUID(int=7 << 76 | 5)


class OfferCliTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.pb = protos()
        for name in ("server", "client"):
            if not (scratch() / f"offer-{name}.key").exists():
                run_cli("key", "new", "--out", scratch() / f"offer-{name}.key")
        cls.server, cls.client = scratch() / "offer-server.key", scratch() / "offer-client.key"

    def setUp(self):
        self.rule = lambda kind, message: None
        self.fake = cli_test.Fake(self.server, lambda kind, message: self.rule(kind, message))
        self.addCleanup(self.fake.close)

    def run_fake(self, *args, said=("--json",)):
        return run_cli(*said, *args, "--key", self.client, "--server-key", f"{self.server}.pub", "--endpoint", self.fake.endpoint,
                       check=False, env={"JUKWAA_REALM": "", "COLUMNS": "80"}, timeout=60)

    def answer(self, kind, reply):
        """Each of the kind is answered by reply(message)."""
        self.rule = lambda heard, message: [reply(message)] if heard == kind else None

    def done(self, message, **fields):
        return "COMMAND_DONE", self.pb.CommandDone(session=message.session, request=message.request, thing_id=DUTY.bytes, version=3,
                                                   **{"state": "HELD", **fields})

    def offered(self, number=1, version=1, **fields):
        now = int(time.time() * 1e6)
        return self.pb.Offered(**{"duty_id": uuid.UUID(int=number << 64 | 1).bytes, "version": version, "state": 2, "standing": 1,
                                  "county": "047", "discipline": "POLICE", "since_us": now, "at_us": now, "due_us": now + 42500000,
                                  "incident_id": uuid.UUID(int=9 << 64 | number).bytes, "severity": 2, "urgency": 1, "categories": [9],
                                  "agency": "KPS", "allowed_by": "owner", **fields})

    def listed(self, message, *offers, **fields):
        return "OFFER_LISTED", self.pb.OfferListed(session=message.session, request=message.request, offers=offers, **fields)


class UsageTest(OfferCliTest):
    def test_wrong_use(self):
        duty = str(DUTY)
        for args, words in (
                ((), "say what to do"), (("take", duty), "'take' is not one of its commands"), (("accept",), "wants DUTY"),
                (("accept", "047"), "duty_id"), (("accept", duty, duty), "does not take"),
                (("decline", duty), "wants --reason"), (("decline", duty, "--reason", ""), "wants --reason"),
                (("accept", duty, "--reason", "x"), "does not take '--reason'"),
                (("hand-over", duty), "wants --desk"), (("hand-over-all", duty, "--desk", "D"), f"does not take '{duty}'"),
                (("complete", duty), "wants --disposition"), (("complete", duty, "--disposition"), "wants a value"),
                (("accept", duty, "--version", "0"), "--version is the number"), (("accept", duty, "--command-id", "x"), "command_id"),
                (("accept", duty, "--timeout", "x"), "--timeout is 1 to"), (("list", duty), "does not take"),
                (("watch", duty), "does not take"), (("watch", "--count", "0"), "--count is 1 to"), (("watch", "--count"), "wants a value"),
                (("list", "--limit", "0"), "--limit is 1 to"), (("list", "--mine"), "does not take")):
            done = self.run_fake("offer", *args)
            self.assertEqual((done.returncode, done.stdout), (2, ""), (args, done))
            self.assertIn(words, done.stderr, args)
        self.assertEqual(self.fake.heard, [])

    def test_a_disposition_that_is_none(self):
        done = self.run_fake("offer", "complete", str(DUTY), "--disposition", "forgotten")
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("disposition", done.stderr)
        self.assertEqual(self.fake.of("OFFER_COMMAND"), [])


class AnswerTest(OfferCliTest):
    def test_what_is_sent(self):
        self.answer("OFFER_COMMAND", self.done)
        duty, reason = str(DUTY), 'He said "no", \\ and Ünder'
        for args, action, fields in (
                (("accept", duty), "accept", {}), (("decline", duty, "--reason", reason), "decline", {"reason": reason}),
                (("hand-over", duty, "--desk", "KILIMANI"), "hand_over", {"desk": "KILIMANI"}),
                (("complete", duty, "--disposition", "no-resources", "--reason", "none left"), "complete",
                 {"disposition": self.pb.DISPOSITION_NO_RESOURCES, "reason": "none left"}),
                (("hand-over-all", "--desk", "KILIMANI", "--reason", "end"), "hand_over_all", {"desk": "KILIMANI", "reason": "end"}),
                (("acknowledge", duty), "acknowledge", {})):
            done = self.run_fake("offer", *args, "--version", "4", "--command-id", str(COMMAND))
            self.assertEqual((done.returncode, done.stderr), (0, ""), args)
            self.assertEqual(json.loads(done.stdout)["thing_id"], duty)
            sent = self.fake.of("OFFER_COMMAND")[-1]
            self.assertEqual((sent.command_id, sent.version, sent.WhichOneof("action")), (COMMAND.bytes, 4, action))
            self.assertEqual(sent.duty_id, b"" if action == "hand_over_all" else DUTY.bytes)
            self.assertEqual({f.name: v for f, v in getattr(sent, action).ListFields()}, fields)

    def test_silence_and_later_are_repeated_under_the_same_id(self):
        answers = [[], "later", "done"]

        def reply(kind, message):
            if kind != "OFFER_COMMAND":
                return None
            answer = answers.pop(0)
            return [self.done(message)] if answer == "done" else answer and [("REFUSED", self.pb.Refused(
                request=message.request, code="CODE_UNAVAILABLE", reason="later"))]
        self.rule = reply
        self.assertEqual(self.run_fake("offer", "accept", str(DUTY)).returncode, 0)
        sent = self.fake.of("OFFER_COMMAND")
        self.assertEqual((len(sent), len({m.command_id for m in sent}), len(sent[0].command_id)), (3, 1, 16))

    def test_what_people_read(self):
        self.answer("OFFER_COMMAND", self.done)
        done = self.run_fake("offer", "accept", str(DUTY), said=())
        self.assertEqual((done.stdout, done.stderr), (f"{DUTY} HELD (version 3)\n", ""))
        self.answer("OFFER_COMMAND", lambda m: self.done(m, repeated=True))
        self.assertEqual(self.run_fake("offer", "accept", str(DUTY), said=()).stdout, f"{DUTY} HELD (version 3), done before\n")
        self.answer("OFFER_COMMAND", lambda m: self.done(m, state="", number="3"))
        done = self.run_fake("offer", "hand-over-all", "--desk", "D", said=())
        self.assertEqual(done.stdout, "3 to be offered; this desk has each until the other accepts it\n")

    def test_refusals(self):
        for code, status, words in (("TAKEN", 1, "TAKEN: another desk"), ("NOT_FOUND", 1, "NOT_FOUND"),
                                    ("STALE_VERSION", 1, "STALE_VERSION"), ("NOT_PERMITTED", 4, "NOT_PERMITTED")):
            self.answer("OFFER_COMMAND", lambda m: ("REFUSED", self.pb.Refused(request=m.request, code=f"CODE_{code}",
                                                                               reason="another desk")))
            done = self.run_fake("offer", "accept", str(DUTY))
            self.assertEqual((done.returncode, done.stdout), (status, ""), code)
            self.assertIn(words, done.stderr)


class ListTest(OfferCliTest):
    def test_pages(self):
        def reply(message):
            first = int(message.after or b"0")
            return self.listed(message, *(self.offered(n) for n in range(first, first + message.limit)), page=b"%d" % (first + message.limit))
        self.answer("OFFER_LIST", reply)
        done = self.run_fake("offer", "list", "--all", "--limit", "250")
        ids = [json.loads(line)["duty_id"] for line in done.stdout.splitlines()]
        self.assertEqual((done.returncode, len(ids), len(set(ids))), (0, 250, 250))
        asked = self.fake.of("OFFER_LIST")
        self.assertEqual([(m.limit, m.after, m.filter) for m in asked], [(200, b"", self.pb.OFFER_FILTER_ALL),
                                                                        (50, b"200", self.pb.OFFER_FILTER_ALL)])
        self.run_fake("offer", "list", "--held", "--limit", "1")
        self.assertEqual(self.fake.of("OFFER_LIST")[-1].filter, self.pb.OFFER_FILTER_HELD)
        self.run_fake("offer", "list", "--limit", "1")
        self.assertEqual(self.fake.of("OFFER_LIST")[-1].filter, self.pb.OFFER_FILTER_OPEN)

    def test_what_people_read(self):
        offers = [self.offered(1), self.offered(2, standing=2, state=3, holder="NAIROBI", discipline="D" * 16, reason="end \x1b[31mof shift"),
                  self.offered(3, standing=5, state=4, role="COUNTY_COMMISSIONER", times=3, incident_id=b""),
                  self.offered(4, since_us=-(1 << 62), due_us=-5, severity=0, categories=[])]
        self.answer("OFFER_LIST", lambda m: self.listed(m, *offers))
        done = self.run_fake("offer", "list", said=())
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for words in ("POLICE 047 you are asked: 4", " s left", "incident 00000000-0000-0009-0000-000000000001 SEVERE TRANSPORT IMMEDIATE",
                      "you have it", "; NAIROBI has it", "reason: end ?[31mof shift", "nobody has it: you are told",
                      "; as COUNTY_COMMISSIONER, 3.", "the incident is not shown", "UNANSWERED since "):
            self.assertIn(words, done.stdout)
        self.assertLessEqual(max(map(len, done.stdout.splitlines())), 80)
        self.answer("OFFER_LIST", self.listed)
        done = self.run_fake("offer", "list", said=())
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", "None.\n"))


class WatchTest(OfferCliTest):
    def watch(self, *args, rule=None, **kwargs):
        if rule:
            self.rule = rule
        done = self.run_fake("offer", "watch", *args, **kwargs)
        return done, [(o["duty_id"][15:18], o["version"]) for o in map(json.loads, done.stdout.splitlines())]

    def test_each_once_and_again_when_it_has_changed(self):
        def rule(kind, m):
            if kind != "OFFER_LIST":
                return None
            pushed = [self.offered(1, 1), self.offered(3, 1), self.offered(1, 2), self.offered(1, 1), self.offered(3, 1),
                      self.offered(3, 1, standing=5, times=1), self.offered(3, 1, standing=5, times=2), self.offered(4, 1)]
            for offer in pushed:
                offer.session = m.session
            return [self.listed(m, self.offered(1, 1), self.offered(2, 7)), *(("OFFERED", offer) for offer in pushed)]
        done, seen = self.watch("--count", "7", "--timeout", "10", rule=rule)
        self.assertEqual((done.returncode, seen), (0, [("001", 1), ("002", 7), ("003", 1), ("001", 2), ("003", 1), ("003", 1), ("004", 1)]),
                         done.stderr)

    def test_a_lost_link_is_taken_up_and_what_was_shown_is_not_shown_again(self):
        rounds = []

        def rule(kind, m):
            if kind == "OFFER_LIST":
                rounds.append(m)
                return [self.listed(m, self.offered(1)), ("BAD_SESSION", self.pb.BadSession(session=m.session))] if len(rounds) == 1 else \
                    [self.listed(m, self.offered(1), self.offered(2))]
            return None
        done, seen = self.watch("--count", "2", "--timeout", "20", rule=rule)
        self.assertEqual((done.returncode, seen), (0, [("001", 1), ("002", 1)]), done.stderr)
        self.assertNotEqual(rounds[0].session, rounds[-1].session)

    def test_pages_are_followed_and_what_is_over_is_forgotten(self):
        rounds = []

        def rule(kind, m):
            if kind != "OFFER_LIST":
                return None
            rounds.append(m.after)
            if len(rounds) == 1:
                return [self.listed(m, self.offered(1), page=b"second")]
            if len(rounds) == 2:
                return [self.listed(m, self.offered(2)), ("BAD_SESSION", self.pb.BadSession(session=m.session))]
            if len(rounds) == 3:
                return [self.listed(m, self.offered(2)), ("BAD_SESSION", self.pb.BadSession(session=m.session))]
            return [self.listed(m, self.offered(1), self.offered(2))]
        done, seen = self.watch("--count", "3", "--timeout", "20", rule=rule)
        self.assertEqual((done.returncode, seen), (0, [("001", 1), ("002", 1), ("001", 1)]), done.stderr)
        self.assertEqual(rounds[:2], [b"", b"second"])

    def test_the_time_is_over(self):
        self.answer("OFFER_LIST", self.listed)
        done, seen = self.watch("--count", "1", "--timeout", "1")
        self.assertEqual((done.returncode, seen), (1, []))
        done, seen = self.watch("--timeout", "1")
        self.assertEqual((done.returncode, seen, done.stderr), (0, [], ""))

    def test_what_ends_it(self):
        self.answer("OFFER_LIST", lambda m: ("REFUSED", self.pb.Refused(request=m.request, code="CODE_NOT_PERMITTED", reason="only desks")))
        done, _ = self.watch("--timeout", "10")
        self.assertEqual(done.returncode, 4)
        self.assertIn("only desks", done.stderr)
        self.answer("OFFER_LIST", lambda m: ("BYE", self.pb.Bye(session=m.session, code="CODE_REVOKED", reason="revoked")))
        done, _ = self.watch("--timeout", "10")
        self.assertEqual(done.returncode, 4)

    def test_not_now_is_asked_again(self):
        refused = []

        def rule(kind, m):
            if kind != "OFFER_LIST":
                return None
            refused.append(m)
            return [self.listed(m, self.offered(1))] if len(refused) > 1 else \
                [("REFUSED", self.pb.Refused(request=m.request, code="CODE_UNAVAILABLE", reason="the database is away"))]
        done, seen = self.watch("--count", "1", "--timeout", "10", rule=rule)
        self.assertEqual((done.returncode, seen), (0, [("001", 1)]), done.stderr)

    def test_nobody_there(self):
        endpoint, self.fake.endpoint = self.fake.endpoint, "tcp://127.0.0.1:1"
        done, _ = self.watch("--timeout", "3")
        self.fake.endpoint = endpoint
        self.assertEqual(done.stderr.count("cannot reach"), 1, done.stderr)


if __name__ == "__main__":
    unittest.main()
