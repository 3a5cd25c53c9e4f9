"""The life of a case: commands of desks, who may give them, what they leave in the history, the feed and the owner's mailbox."""
import hashlib
import json
import os
import pathlib
import time
import unittest
import uuid

import feed_events as feed
from agreements import Party, agree
from feed_events import Event, append
from groups import seal
from jukwaa_harness import Stack, commitment, protos, wait_until


def setUpModule():
    global stack, desk, second, owner_desk, publisher, far, blind
    stack = Stack(services=("cases",))
    publisher = stack.add_publisher("KPS")
    owner_desk = stack.add_desk("KPS-HQ", agency="KPS", allow=())
    desk = stack.add_desk("NAIROBI", agency="DESKS")
    second = stack.add_desk("EMS-1", agency="EMS")
    far = stack.add_desk("MOMBASA", agency="COAST", allow=(("--county", "001"),))
    blind = stack.add_desk("NOBODY", agency="NONE", allow=())
    for key in (publisher, owner_desk, desk, second, far, blind):
        stack.wait_known(key, "cases")


def tearDownModule():
    stack.stop()


def wait_applied(timeout=10):
    """Until cases has applied all there is."""
    wait_until(lambda: stack.sql(
        "SELECT count(*) = 0 FROM feed.head h LEFT JOIN cases.cursor c USING (stream)"
        " WHERE h.stream ~ '^[0-9]' AND h.last_seq <> coalesce(c.seq, 0)")[0][0], timeout, "cases has applied the feed")


def put(*args, **fields):
    event = Event(*args, **fields)
    append(stack, event)
    wait_applied()
    return event


def words(code):
    return protos().Code.Name(code)[5:]


class LifeTest(unittest.TestCase):
    def setUp(self):
        self.pb = protos()
        self.peers = {}
        if stack.services["cases"].process.poll() is not None:
            stack.services["cases"].start()
        self.addCleanup(lambda: [peer.close() for peer in self.peers.values()])

    def peer(self, key):
        if key not in self.peers:
            self.peers[key] = stack.peer("cases", key)
            self.assertIsNotNone(self.peers[key].hello(), stack.services["cases"].log()[-2000:])
        return self.peers[key]

    def command(self, key, case, version=0, command_id=None, **action):
        """The answer to one command; action: triage={}, note={"text": …}."""
        (name, fields), = action.items()
        message = self.pb.CaseCommand(request=7, command_id=command_id or os.urandom(16), case_id=uuid.UUID(str(case)).bytes, version=version)
        getattr(message, name).SetInParent()
        for field, value in fields.items():
            setattr(getattr(message, name), field, value)
        peer = self.peer(key)
        peer.send("CASE_COMMAND", message)
        return peer.expect("COMMAND_DONE", "REFUSED", timeout=10)

    def done(self, *args, **fields):
        answer = self.command(*args, **fields)
        self.assertEqual(answer.DESCRIPTOR.name, "CommandDone", answer)
        return answer

    def refused(self, code, *args, **fields):
        answer = self.command(*args, **fields)
        self.assertEqual(answer.DESCRIPTOR.name, "Refused", answer)
        self.assertEqual(words(answer.code), code, answer)
        return answer

    def version(self, case):
        return stack.sql('SELECT version FROM cases."case" WHERE case_id = %s', str(case))[0][0]

    def moved(self, key, case, **action):
        """Does one that moves, at the case's version; its state after it."""
        return self.done(key, case, self.version(case), **action).state

    def show(self, key, case):
        peer = self.peer(key)
        while True:
            peer.send("CASE_SHOW", self.pb.CaseShow(request=8, case_id=uuid.UUID(str(case)).bytes, purpose=1))
            answer = peer.expect("CASE_SHOWN", "REFUSED")
            if "has just changed" not in getattr(answer, "reason", ""):
                return answer

    def bring(self, case, *actions):
        for action in actions:
            self.moved(desk, case, **{action: {}})


class FirstTest(LifeTest):
    def test_a_case_from_new_to_closed(self):
        event = put(counties=("047", "001"))
        case = event.incident
        before = self.version(case)
        answer = self.done(desk, case, before, triage={"reason": "looked at"})
        self.assertEqual((answer.state, answer.version, answer.thing_id, answer.repeated),
                         ("TRIAGED", before + 1, case.bytes, False))
        rows = stack.sql("SELECT stream, event_id::text, revision, commitment, body FROM feed.event WHERE incident_id = %s AND kind = 9"
                         " ORDER BY stream", str(case))
        self.assertEqual([r[0] for r in rows], ["001", "047"])
        self.assertEqual(rows[0][1], rows[1][1])
        body = self.pb.EventBody.FromString(bytes(rows[0][4]))
        self.assertEqual(commitment(body.groups), bytes(rows[0][3]))
        step = self.pb.Work.FromString(body.groups[13].content)
        self.assertEqual((step.agency, step.desk, step.case_step.action, step.case_step.version), ("DESKS", "NAIROBI", "TRIAGE", before + 1))
        self.assertEqual([self.moved(desk, case, **a) for a in (
            {"assign": {"desk": "EMS-1"}}, {"start": {}}, {"hold": {"reason": "waiting for a boat"}}, {"resume": {}},
            {"resolve": {"disposition": 1}}, {"close": {}}, {"reopen": {"reason": "again"}})],
            ["ASSIGNED", "IN_PROGRESS", "ON_HOLD", "IN_PROGRESS", "RESOLVED", "CLOSED", "REOPENED"])
        mails = [self.pb.Acted.FromString(bytes(row[0])) for row in stack.sql(
            "SELECT body FROM feed.event WHERE stream = '@KPS' AND incident_id = %s AND kind = 20 ORDER BY seq", str(case))]
        self.assertEqual([(m.step, m.agency, m.desk) for m in mails],
                         [(s, "DESKS", "NAIROBI") for s in ("ASSIGNED", "IN_PROGRESS", "RESOLVED", "CLOSED")])
        wait_applied()
        # Its own events change nothing.
        self.assertEqual(self.version(case), before + 8)


class RefusalTest(LifeTest):
    """What is not done. Nothing may change: each test ends with the case as it was."""

    def setUp(self):
        super().setUp()
        self.event = put()
        self.case = self.event.incident
        self.before = self.stored()
        self.addCleanup(lambda: self.assertEqual(self.stored(), self.before))

    def stored(self):
        return (stack.sql('SELECT * FROM cases."case" WHERE case_id = %s', str(self.case)),
                stack.sql("SELECT count(*) FROM cases.entry WHERE case_id = %s", str(self.case)),
                stack.sql("SELECT count(*) FROM feed.event WHERE incident_id = %s", str(self.case)),
                stack.sql("SELECT count(*) FROM cases.task WHERE case_id = %s", str(self.case)))

    def test_bad_commands(self):
        for code, field, action in (
                ("RULE_VIOLATION", "reason", {"hold": {}}),
                ("RULE_VIOLATION", "reason", {"reopen": {}}),
                ("RULE_VIOLATION", "reason", {"decline_referral": {}}),
                ("OVERSIZE", "reason", {"triage": {"reason": "x" * 201}}),
                ("RULE_VIOLATION", "agency", {"assign": {"agency": "kps"}}),
                ("RULE_VIOLATION", "agency", {"assign": {"agency": "X" * 33}}),
                ("RULE_VIOLATION", "agency", {"refer": {}}),
                ("RULE_VIOLATION", "service", {"refer": {"service": "a b"}}),
                ("RULE_VIOLATION", "disposition", {"resolve": {}}),
                ("RULE_VIOLATION", "into_id", {"merge": {"into_id": b"short"}}),
                ("RULE_VIOLATION", "into_id", {"merge": {"into_id": bytes(16)}}),
                ("RULE_VIOLATION", "relation", {"link": {"other_id": os.urandom(16)}}),
                ("RULE_VIOLATION", "number", {"number": {}}),
                ("OVERSIZE", "number", {"number": {"number": "9" * 65}}),
                ("OVERSIZE", "ob_number", {"number": {"ob_number": "9" * 65}}),
                ("RULE_VIOLATION", "text", {"note": {}}),
                ("OVERSIZE", "text", {"note": {"text": "x" * 4097}}),
                ("RULE_VIOLATION", "title", {"task_add": {}}),
                ("OVERSIZE", "title", {"task_add": {"title": "x" * 201}}),
                ("RULE_VIOLATION", "due_us", {"task_add": {"title": "t", "due_us": -1}}),
                ("RULE_VIOLATION", "due_us", {"task_add": {"title": "t", "due_us": 2 ** 62}}),
                ("RULE_VIOLATION", "task_id", {"task_done": {}}),
                ("RULE_VIOLATION", "digest", {"evidence": {"digest": b"1"}}),
                ("RULE_VIOLATION", "location", {"evidence": {"digest": bytes(32), "location": "nowhere", "media_type": "a/b"}}),
                ("RULE_VIOLATION", "location", {"evidence": {"digest": bytes(32), "location": "s3://a b", "media_type": "a/b"}}),
                ("OVERSIZE", "location", {"evidence": {"digest": bytes(32), "location": "s3:" + "x" * 510, "media_type": "a/b"}}),
                ("RULE_VIOLATION", "media_type", {"evidence": {"digest": bytes(32), "location": "s3://x", "media_type": "jpeg"}})):
            with self.subTest(action):
                self.assertEqual(self.refused(code, desk, self.case, 1, **action).field, field)

    def test_language_tags(self):
        for tag in ("e", "en_KE", "en-", "-en", "en--KE", "123", "en-123456789", "swahiliiii", "en KE", "x", "é", "a" * 36):
            with self.subTest(tag):
                self.assertEqual(self.refused("RULE_VIOLATION", desk, self.case, note={"text": "t", "language": tag}).field, "language")

    def test_what_is_no_command(self):
        peer = self.peer(desk)
        good = self.pb.CaseCommand(request=1, command_id=os.urandom(16), case_id=self.case.bytes, version=1)
        for change, code in (({}, "RULE_VIOLATION"), ({"command_id": b"", "triage": True}, "RULE_VIOLATION"),
                             ({"command_id": bytes(16), "triage": True}, "RULE_VIOLATION"), ({"case_id": b"1", "triage": True}, "RULE_VIOLATION"),
                             ({"version": 2 ** 32 - 1, "triage": True}, "RULE_VIOLATION")):
            message = self.pb.CaseCommand()
            message.CopyFrom(good)
            for field, value in change.items():
                message.triage.SetInParent() if field == "triage" else setattr(message, field, value)
            with self.subTest(change):
                peer.send("CASE_COMMAND", message)
                self.assertEqual(words(peer.expect("REFUSED").code), code)
        # A megabyte of text, and text that is none: refused by size and by shape.
        good.note.text = "x" * 1_000_000
        peer.send("CASE_COMMAND", good)
        self.assertEqual(words(peer.expect("REFUSED").code), "OVERSIZE")
        good.note.text = "~~~~"
        peer.send_raw(b"JK\1\0\0\x60\0\0", good.SerializeToString().replace(b"~~~~", b"\xff\xfe\xfd\xfc"))
        self.assertIn(words(peer.expect("REFUSED").code), ("INVALID_SCHEMA", "BAD_SESSION"))

    def test_the_version(self):
        version = self.version(self.case)
        for stale in (version - 1, version + 1, 0):
            self.refused("STALE_VERSION", desk, self.case, stale, triage={})
        self.refused("STALE_VERSION", desk, self.case, version + 1, note={"text": "t"})

    def test_what_the_state_does_not_know(self):
        version = self.version(self.case)
        for action in ({"start": {}}, {"assign": {}}, {"resolve": {"disposition": 1}}, {"close": {}}, {"resume": {}}, {"hold": {"reason": "r"}},
                       {"reopen": {"reason": "r"}}, {"refer": {"service": "LEGAL_AID"}}, {"accept_referral": {}},
                       {"decline_referral": {"reason": "r"}}, {"task_done": {"task_id": os.urandom(16)}},
                       {"merge": {"into_id": self.case.bytes}}, {"link": {"other_id": self.case.bytes, "relation": 1}}):
            with self.subTest(action):
                self.refused("WRONG_STATE", desk, self.case, version, **action)

    def test_who_may_not_see_it_does_not_learn_of_it(self):
        other = put(counties=("001",))
        version = self.version(self.case)
        for key in (far, blind):
            for action in ({"triage": {}}, {"note": {"text": "t"}}, {"number": {"number": "1"}},
                           {"link": {"other_id": other.incident.bytes, "relation": 1}}):
                there = self.refused("NOT_FOUND", key, self.case, version, **action)
                absent = self.refused("NOT_FOUND", key, feed.new_id(), version, **action)
                self.assertEqual(there.SerializeToString(), absent.SerializeToString())
        # The other case of a merge or link is asked about in the same way.
        hidden = self.refused("NOT_FOUND", far, other.incident, 1, merge={"into_id": self.case.bytes})
        absent = self.refused("NOT_FOUND", far, other.incident, 1, merge={"into_id": feed.new_id().bytes})
        self.assertEqual(hidden.SerializeToString(), absent.SerializeToString())

    def test_a_publisher_gives_no_commands(self):
        self.refused("NOT_PERMITTED", publisher, self.case, self.version(self.case), triage={})


class WhoTest(LifeTest):
    def test_the_owners_own_desk_always_may(self):
        case = put().incident
        self.assertEqual(self.moved(owner_desk, case, triage={}), "TRIAGED")

    def test_an_agreement_gives_what_it_says(self):
        """VIEW alone: not there. CASE: seen, not acted on. CASE and RESPOND: acted on. RESPOND alone: not there."""
        owner = Party(stack, "OWN")
        own = stack.new_key("own")
        stack.admin("key", "add", "--file", f"{own}.pub", "--role", "publisher", "--agency", "OWN", "--any-sender")
        desks = {}
        for actions in (("VIEW",), ("VIEW", "CASE"), ("VIEW", "CASE", "RESPOND"), ("RESPOND",)):
            name = "M" + "".join(a[0] for a in actions)
            party = Party(stack, name)
            desks[actions] = stack.add_desk(f"{name}-1", agency=name, allow=())
            agree(stack, f"OWN-{name}", owner, party, "FULL@1", actions=list(actions))
        for key in desks.values():
            stack.wait_known(key, "cases")
        case = put(agency="OWN").incident
        wait_until(lambda: self.show(desks["VIEW", "CASE"], case).DESCRIPTOR.name == "CaseShown", what="agreements in force")
        version = self.version(case)
        self.refused("NOT_FOUND", desks["VIEW",], case, version, triage={})
        self.refused("NOT_FOUND", desks["RESPOND",], case, version, triage={})
        self.refused("NOT_PERMITTED", desks["VIEW", "CASE"], case, version, triage={})
        self.assertEqual(self.moved(desks["VIEW", "CASE", "RESPOND"], case, triage={}), "TRIAGED")
        # Nor can it be given to somebody who may not act.
        for whom in ({"desk": "MVC-1"}, {"agency": "MV"}, {"desk": "NO-SUCH"}, {"agency": "NO-SUCH"}, {"agency": "OWN", "desk": "MVCR-1"}):
            self.refused("RULE_VIOLATION", desks["VIEW", "CASE", "RESPOND"], case, self.version(case), assign=whom)
        self.assertEqual(self.moved(desks["VIEW", "CASE", "RESPOND"], case, assign={"desk": "MVCR-1"}), "ASSIGNED")

    def test_a_task_force_acts_as_its_agreement_says(self):
        """Two task forces of one lead: one may act, the other may look. Who their members are is not the owner's to know."""
        def signer(agency):
            path = stack.new_key(f"sign-{agency}")
            stack.admin("agency", "add", agency, "--name", agency)
            stack.admin("key", "add", "--file", f"{path}.pub", "--role", "publisher", "--agency", agency, "--may-sign")
            return path

        def sign(what, code, proposer, accepters, **document):
            path = stack.run / f"{code}.json"
            path.write_text(json.dumps({"version": 1, "counties": ["*"], "purpose": "tests", "legal_basis": "none",
                                        "start": "2020-01-01T00:00:00Z", "end": "2099-01-01T00:00:00Z", **document}))
            stack.admin(what, "propose", path, "--key", proposer)
            for accepter in accepters:
                stack.admin(what, "accept", code, "--key", accepter)

        owner, lead, members = signer("FORCED"), signer("LEADER"), {}
        for name, actions in (("ACTS", ["VIEW", "CASE", "RESPOND"]), ("LOOKS", ["VIEW", "CASE"])):
            member = signer(f"M-{name}")
            members[name] = stack.add_desk(f"M-{name}-1", agency=f"M-{name}", allow=())
            sign("taskforce", f"TF-{name}", lead, [member], task_force=f"TF-{name}", lead="LEADER", members=["LEADER", f"M-{name}"])
            sign("agreement", f"WITH-{name}", owner, [lead], agreement=f"WITH-{name}", kind="MUTUAL_CONSENT", provider="FORCED",
                 recipient=f"taskforce:TF-{name}", all_categories=True, tlp_ceiling="AMBER", profile="FULL@1", actions=actions)
        owner_desk = stack.add_desk("FORCED-1", agency="FORCED", allow=())
        for key in (*members.values(), owner_desk):
            stack.wait_known(key, "cases")
        case = put(agency="FORCED").incident
        wait_until(lambda: all(self.show(key, case).DESCRIPTOR.name == "CaseShown" for key in members.values()), what="task forces in force")
        self.refused("NOT_PERMITTED", members["LOOKS"], case, self.version(case), triage={})
        self.refused("NOT_PERMITTED", members["LOOKS"], case, note={"text": "t"})
        self.bring_as(members["ACTS"], case, "triage", "assign")
        self.done(members["ACTS"], case, note={"text": "from the task force"})
        seen = {name: self.show(key, case) for name, key in (*members.items(), ("OWNER", owner_desk))}
        for name, shown in seen.items():
            lines = [(e.action, e.text, e.by_desk) for e in shown.timeline if e.kind >= 16]
            by = "M-ACTS-1" if name == "ACTS" else ""
            self.assertEqual(lines, [("TRIAGE", "", by), ("ASSIGN", "", by), ("NOTE", "from the task force", by)], name)
        self.done(members["ACTS"], case, task_add={"title": "ask the neighbours"})
        for name, key in (("OWNER", owner_desk), ("ACTS", members["ACTS"])):
            shown = self.show(key, case)
            named = ("M-ACTS", "M-ACTS-1") if name == "ACTS" else ("", "")
            self.assertEqual((shown.summary.assigned_agency, shown.summary.assigned_desk), named)
            self.assertEqual([(t.agency, t.desk) for t in shown.tasks], [named])
            self.assertEqual(b"M-ACTS" in shown.SerializeToString().replace(shown.summary.allowed_by.encode(), b""), name == "ACTS")
        for body, in stack.sql("SELECT body FROM feed.event WHERE incident_id = %s AND kind IN (9, 20)", str(case)):
            self.assertNotIn(b"M-ACTS", bytes(body))
        acted = [self.pb.Acted.FromString(bytes(row[0])) for row in stack.sql(
            "SELECT body FROM feed.event WHERE stream = '@FORCED' AND incident_id = %s AND kind = 20", str(case))]
        self.assertEqual([(m.step, m.agency, m.desk) for m in acted], [("ASSIGNED", "", "")])

    def bring_as(self, key, case, *actions):
        for action in actions:
            self.moved(key, case, **{action: {}})

    def full_and_less(self, owner, full, less):
        """A case of the owner's, and two desks that see it: one whole, one without what was written down."""
        owner, full, less = (Party(stack, agency) for agency in (owner, full, less))
        desks = [stack.add_desk(f"{p.agency}-1", agency=p.agency, allow=()) for p in (full, less)]
        agree(stack, f"{owner.agency}-{full.agency}", owner, full, "FULL@1")
        agree(stack, f"{owner.agency}-{less.agency}", owner, less, "NO_NARRATIVE@1")
        for key in desks:
            stack.wait_known(key, "cases")
        case = put(agency=owner.agency).incident
        wait_until(lambda: all(self.show(key, case).DESCRIPTOR.name == "CaseShown" for key in desks), what="agreements in force")
        return case, desks

    def test_what_was_written_down_is_shown_where_narrative_is(self):
        case, desks = self.full_and_less("NARR", "FULLY", "COARSE")
        own = stack.new_key("narr")
        stack.admin("key", "add", "--file", f"{own}.pub", "--role", "publisher", "--agency", "NARR", "--any-sender")
        self.moved(desks[0], case, triage={"reason": "a secret reason"})
        for action in ({"note": {"text": "a secret note"}}, {"task_add": {"title": "a secret title"}}, {"number": {"number": "N/1"}},
                       {"evidence": {"digest": bytes(32), "location": "s3://secret", "media_type": "image/png"}}):
            self.done(desks[1], case, **action)
        shown, less = self.show(desks[0], case), self.show(desks[1], case)
        kinds = lambda answer: [self.pb.CaseEntryKind.Name(e.kind)[16:] for e in answer.timeline]
        self.assertEqual(kinds(shown), ["OPENED", "MOVED", "NOTE", "TASK", "NUMBERED", "EVIDENCE"])
        self.assertEqual(kinds(less), ["OPENED", "MOVED"])
        self.assertEqual((shown.timeline[1].reason, shown.timeline[1].by_desk, shown.timeline[2].text), ("a secret reason", "FULLY-1", "a secret note"))
        self.assertEqual((len(shown.tasks), len(shown.numbers), len(less.tasks), len(less.numbers)), (1, 1, 0, 0))
        self.assertNotIn(b"secret", less.SerializeToString())
        self.assertNotIn(b"FULLY", less.SerializeToString())
        self.assertEqual((less.summary.triaged_at_us, less.summary.assigned_agency), (0, ""))

    def test_long_notes_hide_nothing_but_each_other(self):
        """What one answer has no room for is left out of the oldest notes; each line stays, for those too who see no notes."""
        case, desks = self.full_and_less("LONGS", "LFULL", "LLESS")
        self.moved(desks[0], case, triage={"reason": "first of all"})
        for i in range(260):
            self.done(desks[0], case, note={"text": f"{i:03} " + "x" * 4092})

        def check(*later):
            shown, bare = self.show(desks[0], case), self.show(desks[1], case)
            kinds = lambda answer: [self.pb.CaseEntryKind.Name(e.kind)[16:] for e in answer.timeline]
            self.assertEqual(kinds(shown), ["OPENED", "MOVED", *["NOTE"] * 260, *later])
            self.assertEqual(kinds(bare), ["OPENED", "MOVED", *later])
            self.assertEqual((shown.timeline[1].action, shown.timeline[1].reason), ("TRIAGE", "first of all"))
            notes = shown.timeline[2:262]
            self.assertEqual((notes[0].action, notes[0].text, notes[0].by_desk), ("", "", "LFULL-1"))
            self.assertEqual((notes[-1].action, notes[-1].text[:4], len(notes[-1].text)), ("NOTE", "259 ", 4096))
            texts = [bool(e.text) for e in notes]
            self.assertEqual(texts, sorted(texts))  # the oldest go without
            return shown, sum(texts)

        self.assertGreater(check()[1], 240)
        # The report itself takes half of an answer: more notes go without, and still no line.
        event = Event(feed.UPDATE, incident=case, revision=2, agency="LONGS")
        body = self.pb.EventBody.FromString(event.body)
        narrative = self.pb.Narrative.FromString(body.groups[4].content)
        narrative.texts[0].description = "y" * 1_100_000
        body.groups[4].content = narrative.SerializeToString()
        event.body, event.commitment = body.SerializeToString(), commitment(body.groups)
        append(stack, event)
        wait_applied()
        shown, texts = check("REVISED")
        self.assertGreater(len(shown.incident.groups[4].content), 1_100_000)
        self.assertGreater(texts, 100)


class OvertakenTest(LifeTest):
    def test_a_county_that_was_left_is_told_nothing_more_however_far_it_was_followed(self):
        event = put(counties=("047", "001"))
        newer = Event(feed.UPDATE, ("001",), event.incident, revision=2, moved_away=("047",))
        append(stack, copies=[("001", feed.UPDATE, newer)])  # this stream has been read, the other one not yet
        wait_applied()
        self.moved(desk, event.incident, triage={})
        append(stack, copies=[("047", feed.MOVED_AWAY, newer)])
        wait_applied()
        self.moved(desk, event.incident, assign={})
        self.assertEqual(stack.sql("SELECT stream, kind FROM feed.event WHERE incident_id = %s AND kind < 16 ORDER BY stream, seq",
                                   str(event.incident)),
                         [("001", 1), ("001", 2), ("001", 9), ("001", 9), ("047", 1), ("047", 5)])

    def test_a_step_waits_for_the_newest_report(self):
        """A newer one has been stored, and cases has not read it yet: nothing is appended behind it with the older one's body."""
        event = put(counties=("047", "001"))
        case, ident = event.incident, os.urandom(16)
        newer = feed.report_ahead(stack, event)
        version = self.version(case)
        self.assertIn("newer report", self.refused("UNAVAILABLE", desk, case, version, command_id=ident, triage={}).reason)
        self.assertEqual(self.version(case), version)
        append(stack, newer)
        wait_applied()
        self.done(desk, case, self.version(case), command_id=os.urandom(16), triage={})
        self.assertEqual(feed.revisions(stack, event), [(1, 1), (2, 2), (9, 2)] * 2)


class OnceTest(LifeTest):
    def test_the_same_command_again(self):
        case = put().incident
        ident, version = os.urandom(16), self.version(case)
        first = self.done(desk, case, version, command_id=ident, triage={})
        again = self.done(desk, case, version, command_id=ident, triage={})
        self.assertEqual((again.repeated, again.version, again.state, again.thing_id), (True, first.version, first.state, first.thing_id))
        for key, other in ((desk, {"triage": {"reason": "other"}}), (desk, {"note": {"text": "t"}}), (second, {"triage": {}})):
            self.assertEqual(self.refused("RULE_VIOLATION", key, case, version, command_id=ident, **other).field, "command_id")
        self.assertEqual(self.version(case), version + 1)
        # Even when the case has gone on since, and after a restart.
        self.moved(desk, case, assign={})
        stack.services["cases"].kill()
        stack.services["cases"].start()
        self.peers.pop(desk).close()
        again = self.done(desk, case, version, command_id=ident, triage={})
        self.assertEqual((again.repeated, again.state), (True, "TRIAGED"))

    def test_what_was_refused_may_be_sent_again_under_its_id(self):
        case = put().incident
        ident = os.urandom(16)
        self.refused("WRONG_STATE", desk, case, self.version(case), command_id=ident, start={})
        self.bring(case, "triage", "assign")
        version = self.version(case)
        self.done(desk, case, version, command_id=ident, start={})

    def test_twice_in_one_batch(self):
        case = put().incident
        message = self.pb.CaseCommand(command_id=os.urandom(16), case_id=case.bytes, version=self.version(case))
        message.triage.SetInParent()
        peers = [stack.peer("cases", desk) for _ in range(8)]
        for peer in peers:
            peer.hello()
        for number, peer in enumerate(peers):
            message.request, message.session = number + 1, peer.session
            peer.send("CASE_COMMAND", message)
        answers = [peer.expect("COMMAND_DONE") for peer in peers]
        self.assertEqual(sorted(a.repeated for a in answers), [False] + [True] * 7)
        self.assertEqual(len({(a.version, a.state) for a in answers}), 1)
        [peer.close() for peer in peers]

    def test_eight_at_once_one_is_done(self):
        """Double accept: of several that were made for the same version one is done, the others hear that it is stale."""
        case = put().incident
        self.bring(case, "triage")
        self.moved(desk, case, refer={"agency": "EMS"})
        version = self.version(case)
        peers = [stack.peer("cases", second) for _ in range(8)]
        for peer in peers:
            peer.hello()
            message = self.pb.CaseCommand(request=1, command_id=os.urandom(16), case_id=case.bytes, version=version, session=peer.session)
            message.accept_referral.SetInParent()
            peer.send("CASE_COMMAND", message)
        answers = [peer.expect("COMMAND_DONE", "REFUSED") for peer in peers]
        self.assertEqual(sum(a.DESCRIPTOR.name == "CommandDone" for a in answers), 1)
        self.assertEqual({words(a.code) for a in answers if a.DESCRIPTOR.name == "Refused"}, {"STALE_VERSION"})
        self.refused("WRONG_STATE", second, case, self.version(case), accept_referral={})
        [peer.close() for peer in peers]


class WorkTest(LifeTest):
    def test_tasks_block_until_they_end(self):
        case = put().incident
        self.bring(case, "triage", "assign", "start")
        blocking = self.done(desk, case, task_add={"title": "take statements", "blocking": True, "due_us": 1}).thing_id
        harmless = self.done(desk, case, task_add={"title": "file it", "agency": "EMS"}).thing_id
        self.assertIn("blocks", self.refused("WRONG_STATE", desk, case, self.version(case), resolve={"disposition": 1}).reason)
        shown = self.show(desk, case)
        self.assertEqual(shown.summary.blocking_tasks, 1)
        self.assertEqual([(t.task_id, t.title, t.agency, t.desk, t.blocking, t.state, t.late) for t in shown.tasks],
                         [(blocking, "take statements", "DESKS", "NAIROBI", True, 1, True), (harmless, "file it", "EMS", "", False, 1, False)])
        other = put().incident
        self.refused("WRONG_STATE", desk, other, task_done={"task_id": blocking})
        self.done(desk, case, task_done={"task_id": blocking})
        self.refused("WRONG_STATE", desk, case, task_done={"task_id": blocking})
        self.refused("WRONG_STATE", desk, case, task_cancel={"task_id": blocking})
        self.done(desk, case, task_cancel={"task_id": harmless, "reason": "no need"})
        self.assertEqual(self.moved(desk, case, resolve={"disposition": 1}), "RESOLVED")
        self.assertEqual([t.state for t in self.show(desk, case).tasks], [2, 3])

    def test_a_case_that_nobody_has_cannot_be_resolved(self):
        case = put().incident
        self.bring(case, "triage")
        self.moved(desk, case, refer={"service": "COUNSELLING"})
        self.refused("WRONG_STATE", desk, case, self.version(case), resolve={"disposition": 1})
        self.assertEqual(self.moved(desk, case, resume={}), "TRIAGED")
        self.refused("WRONG_STATE", desk, case, self.version(case), resolve={"disposition": 1})

    def test_a_referral_is_accepted_or_declined_by_who_was_asked(self):
        case = put().incident
        self.bring(case, "triage", "assign", "start")
        self.moved(desk, case, refer={"agency": "EMS", "service": "GBV_RECOVERY_CENTRE", "reason": "needs care"})
        summary = self.show(desk, case).summary
        self.assertEqual((summary.referred_agency, summary.referred_service, summary.assigned_desk), ("EMS", "GBV_RECOVERY_CENTRE", "NAIROBI"))
        self.refused("WRONG_STATE", desk, case, self.version(case), accept_referral={})
        self.assertEqual(self.moved(second, case, decline_referral={"reason": "full"}), "IN_PROGRESS")
        self.moved(desk, case, refer={"agency": "EMS"})
        self.assertEqual(self.moved(second, case, accept_referral={}), "ASSIGNED")
        summary = self.show(desk, case).summary
        self.assertEqual((summary.referred_agency, summary.assigned_agency, summary.assigned_desk), ("", "EMS", "EMS-1"))
        self.moved(desk, case, refer={"service": "LEGAL_AID"})
        self.refused("WRONG_STATE", second, case, self.version(case), accept_referral={})
        self.assertEqual(self.moved(desk, case, resolve={"disposition": 4}), "RESOLVED")
        self.assertEqual(self.show(desk, case).summary.disposition, "REFERRED")

    def test_numbers_are_the_agencys_own_and_given_once(self):
        one, two = put().incident, put().incident
        self.assertEqual(self.done(desk, one, number={"number": "CR/1/26", "ob_number": "OB 7"}).number, "CR/1/26")
        self.assertEqual(self.refused("TAKEN", desk, two, number={"number": "CR/1/26"}).field, "number")
        self.done(second, two, number={"number": "CR/1/26"})  # another agency's
        self.assertEqual(self.done(desk, one, number={"number": "9" * 64}).number, "9" * 64)
        self.done(desk, one, number={"number": "CR/2/26"})
        self.done(desk, two, number={"number": "CR/1/26"})
        self.done(desk, two, number={"ob_number": "OB 8"})
        self.done(desk, one, number={"number": "CR/1/26"})
        self.assertEqual([(n.agency, n.number, n.ob_number) for n in self.show(desk, one).numbers], [("DESKS", "CR/1/26", "")])
        self.assertEqual([(n.agency, n.number, n.ob_number) for n in self.show(desk, two).numbers],
                         [("DESKS", "", "OB 8"), ("EMS", "CR/1/26", "")])

    def test_the_publishers_ob_number_comes_from_its_report(self):
        event, message = Event(), self.pb.Incident()
        message.identity.agency, message.identity.status, message.identity.msg_type, message.identity.revision = "KPS", 1, 1, 1
        message.identity.ob_number = "OB 3/5/26"
        message.classification.categories.append(9)
        message.classification.severity = 2
        message.place.counties.append("047")
        message.handling.tlp, message.handling.scope = 2, 1
        event.body, event.commitment = seal(message, False)
        append(stack, event)
        wait_applied()
        self.done(desk, event.incident, number={"number": "D/1"})
        self.assertEqual([(n.agency, n.number, n.ob_number) for n in self.show(desk, event.incident).numbers],
                         [("KPS", "", "OB 3/5/26"), ("DESKS", "D/1", "")])

    def test_links_go_both_ways(self):
        one, two, hidden = put(counties=("001",)).incident, put(counties=("001",)).incident, put(counties=("047",)).incident
        self.done(desk, one, link={"other_id": two.bytes, "relation": 3, "reason": "the bridge fell"})
        self.done(desk, one, link={"other_id": hidden.bytes, "relation": 2})
        self.refused("WRONG_STATE", desk, one, link={"other_id": two.bytes, "relation": 3})
        self.refused("WRONG_STATE", desk, two, link={"other_id": one.bytes, "relation": 4})
        self.assertEqual([(l.other_id, l.relation) for l in self.show(desk, one).links], [(two.bytes, 3), (hidden.bytes, 2)])
        self.assertEqual([(l.other_id, l.relation) for l in self.show(desk, two).links], [(one.bytes, 4)])
        # Who may not see the other one does not learn of it.
        seen = self.show(far, one)
        self.assertEqual([l.other_id for l in seen.links], [two.bytes])
        self.assertNotIn(hidden.bytes, seen.SerializeToString())
        self.assertEqual([(e.thing_id, e.relation, e.reason) for e in self.show(far, two).timeline if e.kind == 18],
                         [(one.bytes, 4, "the bridge fell")])

    def test_a_note_and_evidence_are_lines(self):
        case = put().incident
        note = self.done(desk, case, note={"text": "Dereva amepelekwa hospitali ya Kenyatta. 🚑", "language": "sw-KE"})
        digest = hashlib.sha256(b"a photograph").digest()
        proof = self.done(second, case, evidence={"digest": digest, "location": "https://store.example/p/1", "media_type": "image/jpeg"})
        lines = {e.event_id: e for e in self.show(desk, case).timeline}
        self.assertEqual((lines[note.thing_id].text, lines[note.thing_id].language, lines[note.thing_id].by_agency),
                         ("Dereva amepelekwa hospitali ya Kenyatta. 🚑", "sw-KE", "DESKS"))
        self.assertEqual((lines[proof.thing_id].digest, lines[proof.thing_id].location, lines[proof.thing_id].by_desk),
                         (digest, "https://store.example/p/1", "EMS-1"))
        self.assertEqual(stack.sql("SELECT count(*) FROM feed.event WHERE incident_id = %s AND kind = 9", str(case)), [(0,)])

    def test_many_long_notes_do_not_hide_the_case(self):
        case = put().incident
        for i in range(300):
            self.done(desk, case, note={"text": f"{i:03} " + "x" * 4092})
        shown = self.show(desk, case)
        self.assertEqual(shown.DESCRIPTOR.name, "CaseShown", shown)
        self.assertEqual(shown.timeline[-1].text[:4], "299 ")
        self.assertGreater(len(shown.timeline), 200)


class MergeTest(LifeTest):
    def test_one_goes_on_and_tells_of_both(self):
        one, two = put(counties=("001", "047")).incident, put().incident
        self.done(desk, one, note={"text": "seen from the bridge"})
        self.bring(one, "triage")
        before = self.version(two)
        self.refused("STALE_VERSION", desk, one, self.version(one), merge={"into_id": two.bytes, "into_version": before + 1})
        self.assertEqual(self.moved(desk, one, merge={"into_id": two.bytes, "into_version": before}), "MERGED")
        self.assertEqual(self.version(two), before + 1)
        events = stack.sql("SELECT stream, body FROM feed.event WHERE incident_id = %s AND kind = 9 ORDER BY stream, seq", str(one))
        self.assertEqual([row[0] for row in events], ["001", "001", "047", "047"])
        step = self.pb.Work.FromString(self.pb.EventBody.FromString(bytes(events[1][1])).groups[13].content).case_step
        self.assertEqual((step.to, step.merged_into_id), (self.pb.CASE_STATE_MERGED, two.bytes))
        shown = self.show(desk, two)
        self.assertEqual(list(shown.took_in_ids), [one.bytes])
        self.assertEqual([e.text for e in shown.timeline if e.case_id == one.bytes and e.kind == 19], ["seen from the bridge"])
        self.assertEqual([e.thing_id for e in shown.timeline if e.kind == 22], [one.bytes])
        self.assertEqual(self.show(desk, one).summary.merged_into_id, two.bytes)
        # What may be said of the other case, to whom: 001 alone sees the one that is over.
        seen = self.show(far, one)
        self.assertEqual(seen.summary.merged_into_id, b"")
        self.assertNotIn(two.bytes, seen.SerializeToString())
        self.assertIn(str(two), self.refused("WRONG_STATE", desk, one, note={"text": "t"}).reason)
        self.assertNotIn(str(two), self.refused("WRONG_STATE", far, one, note={"text": "t"}).reason)
        self.assertEqual(stack.sql("SELECT case_ids[2]::text FROM cases.access WHERE case_ids[1] = %s ORDER BY access_id DESC LIMIT 1", str(two)),
                         [(str(one),)])

    def test_loops_and_chains(self):
        a, b, c = (put().incident for _ in range(3))
        self.refused("WRONG_STATE", desk, a, self.version(a), merge={"into_id": a.bytes})
        self.moved(desk, a, merge={"into_id": b.bytes})
        for one, other in ((a, b), (b, a), (c, a), (b, c)):
            self.refused("WRONG_STATE", desk, one, self.version(one), merge={"into_id": other.bytes})
        self.moved(desk, c, merge={"into_id": b.bytes})
        self.bring(b, "triage", "assign", "start")
        self.moved(desk, b, resolve={"disposition": 1})
        self.moved(desk, b, close={})
        d = put().incident
        self.refused("WRONG_STATE", desk, d, self.version(d), merge={"into_id": b.bytes})
        for action in ({"note": {"text": "t"}}, {"task_add": {"title": "t"}}, {"number": {"number": "x"}}):
            self.refused("WRONG_STATE", desk, b, **action)

    def test_both_ways_at_once_one_is_done(self):
        for _ in range(10):
            one, two = put().incident, put().incident
            peers = [stack.peer("cases", desk) for _ in range(2)]
            for peer, (a, b) in zip(peers, ((one, two), (two, one))):
                peer.hello()
                message = self.pb.CaseCommand(request=1, command_id=os.urandom(16), case_id=a.bytes, version=1, session=peer.session)
                message.merge.into_id = b.bytes
                peer.send("CASE_COMMAND", message)
            answers = [peer.expect("COMMAND_DONE", "REFUSED") for peer in peers]
            self.assertEqual(sorted(a.DESCRIPTOR.name for a in answers), ["CommandDone", "Refused"])
            [peer.close() for peer in peers]


class FeedTest(LifeTest):
    def make_work(self, kind, incident, counties=("047",), **step):
        """An event of the WORK kinds, as dispatch appends it."""
        event = Event(kind, counties, incident)
        work = self.pb.Work(at_us=step.pop("at_us", 1_000_000), agency="EMS", desk="EMS-1")
        (name, fields), = step.items()
        getattr(work, name).CopyFrom(fields)
        body = self.pb.EventBody.FromString(event.body)
        salt = os.urandom(16)
        body.groups.add(tag=14, salt=salt, content=work.SerializeToString())
        event.body, event.commitment = body.SerializeToString(), commitment(body.groups)
        return event

    def work(self, *args, **fields):
        append(stack, self.make_work(*args, **fields))

    def test_duty_units_and_aid_are_lines(self):
        case = put(counties=("047", "001")).incident
        pb = self.pb
        self.work(10, case, duty_step=pb.DutyStep(duty_id=os.urandom(16), county="047", discipline="POLICE", action=pb.DUTY_ACTION_ACCEPTED, desk="NAIROBI"),
                  at_us=2_000_000)
        self.work(10, case, duty_step=pb.DutyStep(action=pb.DUTY_ACTION_ACCEPTED, discipline="AMBULANCE"), at_us=1_000_000, counties=("001",))
        self.work(11, case, unit_step=pb.UnitStep(unit="KE-7", to=pb.UNIT_STATE_DISPATCHED), at_us=3_000_000)
        self.work(11, case, unit_step=pb.UnitStep(unit="KE-7", to=pb.UNIT_STATE_ON_SCENE), at_us=4_000_000)
        self.work(12, case, aid_step=pb.AidStep(capability="RESCUE_BOAT", count=2, to=pb.AID_STATE_REQUESTED))
        wait_applied()
        shown = self.show(desk, case)
        lines = [(e.kind - 22, e.action, e.discipline or e.unit or e.capability, e.by_desk) for e in shown.timeline if e.kind > 22]
        self.assertEqual(sorted(lines), [(1, "ACCEPTED", "AMBULANCE", "EMS-1"), (1, "ACCEPTED", "POLICE", "EMS-1"),
                                         (2, "DISPATCHED", "KE-7", "EMS-1"), (2, "ON_SCENE", "KE-7", "EMS-1"),
                                         (3, "REQUESTED", "RESCUE_BOAT", "EMS-1")])
        self.assertEqual((shown.summary.accepted_at_us, shown.summary.dispatched_at_us, shown.summary.on_scene_at_us),
                         (1_000_000, 3_000_000, 4_000_000))
        self.assertEqual(shown.summary.revision, 1)

    def test_what_was_reached_in_the_batch_that_opens_the_case_stands(self):
        """The report and all that was done about it are read in one go."""
        pb, report = self.pb, Event()
        append(stack, report,
               self.make_work(10, report.incident, duty_step=pb.DutyStep(action=pb.DUTY_ACTION_ACCEPTED, discipline="POLICE"), at_us=2_000_000),
               self.make_work(11, report.incident, unit_step=pb.UnitStep(unit="KE-7", to=pb.UNIT_STATE_DISPATCHED), at_us=3_000_000),
               self.make_work(11, report.incident, unit_step=pb.UnitStep(unit="KE-7", to=pb.UNIT_STATE_ON_SCENE), at_us=4_000_000))
        wait_applied()
        summary = self.show(desk, report.incident).summary
        self.assertEqual((summary.accepted_at_us, summary.dispatched_at_us, summary.on_scene_at_us), (2_000_000, 3_000_000, 4_000_000))

    def test_what_says_it_is_work_and_is_none_is_passed_over(self):
        case = put().incident
        before = self.version(case), stack.services["cases"].metric("jukwaa_cases_unreadable_events_total")
        append(stack, Event(10, incident=case))  # thirteen groups
        self.work(10, case, unit_step=self.pb.UnitStep(unit="KE-7"))  # of another kind
        wait_applied()
        self.assertEqual(self.version(case), before[0])
        wait_until(lambda: stack.services["cases"].metric("jukwaa_cases_unreadable_events_total") == before[1] + 2)

    def test_a_revision_comes_between(self):
        """The report goes on while desks work: the events of both carry the newest of it."""
        case = put().incident
        self.bring(case, "triage")
        put(feed.UPDATE, ("047", "001"), case, revision=2, headline="Three vehicles")
        self.assertEqual(self.moved(desk, case, assign={}), "ASSIGNED")
        rows = stack.sql("SELECT stream, revision FROM feed.event WHERE incident_id = %s AND kind = 9 ORDER BY stream, seq", str(case))
        self.assertEqual(rows, [("001", 2), ("047", 1), ("047", 2)])
        self.assertEqual(self.show(desk, case).summary.state, self.pb.CASE_STATE_ASSIGNED)

    def test_without_its_report_it_goes_on_silently(self):
        """The events were removed by age: a case can still be ended."""
        case = put().incident
        stack.sql("DELETE FROM feed.event WHERE incident_id = %s", str(case))
        self.assertEqual(self.moved(desk, case, triage={}), "TRIAGED")
        self.assertEqual(stack.sql("SELECT count(*) FROM feed.event WHERE incident_id = %s", str(case)), [(0,)])


class TargetTest(LifeTest):
    def test_targets_are_set_kept_and_missed(self):
        stack.admin("target", "add", "--triage", "1d", "--resolve", "10d")
        stack.admin("target", "add", "--category", "FIRE", "--triage", "5m")
        stack.admin("target", "add", "--category", "FIRE", "--severity", "EXTREME", "--triage", "2m", "--resolve", "1h")
        self.addCleanup(lambda: stack.sql("DELETE FROM cases.target"))
        fire = self.pb.Category.Value("CATEGORY_FIRE")
        due = lambda s: tuple(round((t - s.opened_at_us) / 1e6) if t else 0 for t in (s.triage_due_us, s.resolve_due_us))
        extreme = put(category=fire, severity=1).incident
        self.assertEqual(due(self.show(desk, extreme).summary), (120, 3600))
        self.assertEqual(due(self.show(desk, put(category=fire, severity=3).incident).summary), (300, 0))
        other = put(severity=3).incident
        self.assertEqual(due(self.show(desk, other).summary), (86400, 864000))
        put(feed.UPDATE, incident=extreme, revision=2, category=fire, severity=2)
        self.assertEqual(due(self.show(desk, extreme).summary), (300, 0))
        stack.sql("DELETE FROM cases.target")
        put(feed.ACK, incident=other)
        self.assertEqual(due(self.show(desk, other).summary), (86400, 864000))  # kept
        self.assertFalse(self.show(desk, other).summary.triage_late)
        stack.sql('UPDATE cases."case" SET target_triage_at = now() - interval \'1 s\' WHERE case_id = %s', str(other))
        self.assertTrue(self.show(desk, other).summary.triage_late)
        wait_until(lambda: stack.services["cases"].metric("jukwaa_cases_late", "triage") == 1, 20, "the figure of late cases")
        self.moved(desk, other, triage={})
        self.assertTrue(self.show(desk, other).summary.triage_late)

    def test_the_operators_words(self):
        self.assertEqual(stack.admin("target", "add", check=False).returncode, 1)
        self.assertEqual(stack.admin("target", "add", "--triage", "soon", check=False).returncode, 2)
        stack.admin("target", "add", "--category", "FIRE", "--triage", "5m")
        out = stack.admin("target", "list").stdout
        self.assertIn("00:05:00", out)
        number = stack.sql("SELECT target_id FROM cases.target")[0][0]
        stack.admin("target", "remove", str(number))
        self.assertEqual(stack.admin("target", "remove", str(number), check=False).returncode, 1)


class KillTest(LifeTest):
    def test_kill_9_among_commands(self):
        """Each command is sent until it is answered; each is done once."""
        service = stack.services["cases"]
        cases = [put().incident for _ in range(20)]

        def kill():
            service.process.kill()
            service.process.wait()

        for round_ in range(6):
            idents = [os.urandom(16) for _ in cases]
            answered, kills = set(), {"when all are sent", "when some are answered"}
            deadline = time.monotonic() + 30
            while len(answered) < len(cases) and time.monotonic() < deadline:
                if service.process.poll() is not None:
                    service.start()
                peer = stack.peer("cases", desk)
                if peer.hello(timeout=2):
                    for number in set(range(len(cases))) - answered:
                        message = self.pb.CaseCommand(request=number + 1, command_id=idents[number], case_id=cases[number].bytes)
                        message.note.text = f"round {round_}"
                        peer.send("CASE_COMMAND", message)
                    if "when all are sent" in kills:
                        kills.remove("when all are sent")
                        kill()
                    while len(answered) < len(cases) and (got := peer.receive(1.0)):
                        self.assertEqual(got[0], "COMMAND_DONE", got)
                        answered.add(got[1].request - 1)
                        if len(answered) == 7 and "when some are answered" in kills:
                            kills.remove("when some are answered")
                            kill()
                            break
                peer.close()
            self.assertEqual(len(answered), len(cases))
        for case in cases:
            self.assertEqual(stack.sql("SELECT count(*), count(DISTINCT command_id) FROM cases.entry WHERE case_id = %s AND kind = 19", str(case)),
                             [(6, 6)])
            self.assertEqual(stack.sql('SELECT entries, version FROM cases."case" WHERE case_id = %s', str(case)), [(7, 7)])

    def test_the_database_goes_away(self):
        case = put().incident
        ident, version = os.urandom(16), self.version(case)
        stack.cluster.stop("fast")
        try:
            wait_until(lambda: stack.services["cases"].http("/readyz")[0] == 503, what="not ready")
            self.refused("UNAVAILABLE", desk, case, version, command_id=ident, triage={})
        finally:
            stack.cluster.start()
        wait_until(lambda: self.command(desk, case, version, command_id=ident, triage={}).DESCRIPTOR.name == "CommandDone", 20, "an answer")


class LineTest(LifeTest):
    """jukwaa case …"""

    def cli(self, *args, key=None, check=True):
        done = stack.cli(key or desk, "case", *args, check=check)
        return done

    def test_a_case_by_the_command_line(self):
        event = put()
        case = str(event.incident)
        for args in (("triage",), ("assign", "--desk", "ems-1"), ("start",), ("hold", "--reason", "rain"), ("resume",)):
            out = self.cli(args[0], case, "--version", str(self.version(case)), *args[1:]).stdout
            self.assertIn(f"version {self.version(case)}", out)
        task = self.cli("task", "add", case, "call the hospital", "--due", "2030-01-01T00:00:00Z", "--blocking").stdout.strip().split(", ")[-1]
        self.assertEqual(self.cli("resolve", case, "--version", str(self.version(case)), "--disposition", "resolved", check=False).returncode, 1)
        self.cli("task", "done", case, task)
        self.cli("note", case, "done at noon", "--language", "en")
        self.cli("number", case, "--number", f"LINE/{case[:8]}", "--ob", "OB 1")
        self.cli("evidence", case, "--digest", "00" * 32, "--location", "s3://x/y", "--media-type", "image/png")
        other = put().incident
        self.cli("link", case, "--to", str(other), "--relation", "same_place")
        out = self.cli("show", case).stdout
        for text in ("IN_PROGRESS", "with EMS/EMS-1", "call the hospital", "done at noon", "SAME_PLACE", f"LINE/{case[:8]}", "ASSIGNED -> IN_PROGRESS",
                     "because: rain", "image/png"):
            self.assertIn(text, out)
        self.assertEqual(self.cli("resolve", case, "--version", "1", "--disposition", "resolved", check=False).returncode, 1)
        self.cli("resolve", case, "--version", str(self.version(case)), "--disposition", "resolved")
        self.cli("merge", str(other), "--version", str(self.version(other)), "--into", case)
        ident = str(uuid.uuid4())
        version = str(self.version(case))
        self.cli("close", case, "--version", version, "--command-id", ident)
        self.assertIn("before", self.cli("close", case, "--version", version, "--command-id", ident).stdout)
        lines, status = stack.cli_json(desk, "case", "reopen", case, "--version", str(self.version(case)), "--reason", "not over")
        self.assertEqual((lines[0]["state"], status), ("REOPENED", 0))

    def test_wrong_words(self):
        case = str(put().incident)
        for args in (("triage",), ("triage", case), ("hold", case, "--version", "1"), ("task", case), ("task", "mend", case, "x"), ("note", case),
                     ("triage", case, "--version", "x"), ("states", "x"), ("triage", case, "more", "--version", "1"), ("nothing", case)):
            with self.subTest(args):
                self.assertEqual(self.cli(*args, check=False).returncode, 2)
        self.assertEqual(self.cli("triage", case, "--version", "1", key=publisher, check=False).returncode, 4)

    def test_the_picture_is_printed_from_the_table(self):
        lines, status = stack.cli_json(desk, "case", "states")
        self.assertEqual(status, 0)
        rows = {(r.get("from"), r["event"], r.get("guard", "")): r for r in lines}
        self.assertEqual(len(rows), len(lines))
        self.assertEqual(rows["NEW", "TRIAGE", ""]["to"], "TRIAGED")
        self.assertIn("no open task", rows["IN_PROGRESS", "RESOLVE", "somebody has it, no open task blocks it"]["guard"])
        dot = self.cli("states", "--dot").stdout
        self.assertIn("NEW -> TRIAGED", dot)
        self.assertTrue(dot.startswith("digraph"))
        text = self.cli("states").stdout
        self.assertIn("every state but CLOSED and MERGED", text)
        self.assertLessEqual(max(map(len, text.splitlines())), 80)
        # The picture in the README is this table.
        readme = (pathlib.Path(__file__).parents[2] / "services" / "cases" / "README.md").read_text()
        ways = {}
        for row in lines:
            ways.setdefault(row.get("from", "every state but CLOSED and MERGED"), {}).setdefault(row.get("to", ""), []).append(row["event"])
        for state, targets in ways.items():
            parts = [" ".join(dict.fromkeys(events)) + (f" → {to}" if to else " (stays)") for to, events in targets.items()]
            self.assertIn(f"| {state} | {'; '.join(parts)} |", readme)


if __name__ == "__main__":
    unittest.main()
