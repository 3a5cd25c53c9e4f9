"""Recall: a desk that had a copy and may no longer see the incident is told so, with ids alone; one that never had is told
nothing; and what the records say of it all (jukwaa disclosures, jukwaa explain --at)."""
import contextlib
import datetime
import json
import time
import unittest
import uuid

import feed_events
from agreements import Party, agree
from feed_events import CANCEL, INCIDENT, MOVED_AWAY, UPDATE, Event
from jukwaa_harness import Stack, protos, run_cli, wait_until
from protected_incident import Revision, store

pb = protos()
MARKER = "marker-of-the-headline"


class Desk:
    """A subscriber of one county that acknowledges only when told to."""

    def __init__(self, stack, key, county, start=pb.START_AT_BEGINNING, recalled=True, **fields):
        self.peer = stack.peer("dispatch", key)
        wait_until(lambda: self.peer.hello(timeout=1), 10, "welcome")
        self.peer.send("SUBSCRIBE", pb.Subscribe(request=1, counties=[county], start_at=start, recalled=recalled, **fields))
        self.peer.expect("SUBSCRIBED")

    def take(self, n=1, ack=True):
        got = [self.peer.expect("DELIVER", timeout=8) for _ in range(n)]
        if ack:
            self.ack(got[-1].delivery_no)
        return got

    def ack(self, number):
        self.peer.send("ACK", pb.Ack(delivery_no=number))

    def quiet(self, seconds=0.7):
        end = time.monotonic() + seconds
        while (got := self.peer.receive(end - time.monotonic())) is not None:
            assert got[0] in ("BEAT", "PONG"), got


class RecallTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = Stack(services=("dispatch",))
        cls.kps = cls.stack.add_publisher("KPS")
        cls.owner = Party(cls.stack, "KPS")
        cls.counties = [f"{n:03}" for n in range(1, 48)]
        cls.number = 0

    @classmethod
    def tearDownClass(cls):
        service = cls.stack.services["dispatch"]
        assert service.stop() == 0, service.log()

    def setUp(self):
        RecallTest.number += 1
        self.county = self.counties.pop()
        self.desks = []

    def tearDown(self):
        for desk in self.desks:
            desk.peer.close()

    def add_desk(self, name, allow=((),)):
        code = f"{name}{self.number}"
        return code, self.stack.add_desk(code, allow=allow)

    def add_party_desk(self, name):
        """A desk of an agency of its own, and what that agency agreed with the owner; nothing else gives it anything."""
        agency = f"{name}-AGENCY{self.number}"
        agree(self.stack, f"KPS-{name}{self.number}", self.owner, Party(self.stack, agency), "FULL@1", retention_days=30)
        code = f"{name}{self.number}"
        return code, self.stack.add_desk(code, agency=agency, allow=())

    def suspend(self, code):
        """By the owner; in force in dispatch."""
        self.owner.act(f"KPS-{code}", "SUSPEND")
        self.in_force()

    def desk(self, key, **fields):
        self.stack.wait_known(key, "dispatch")
        self.desks.append(Desk(self.stack, key, self.county, **fields))
        return self.desks[-1]

    def revoke_allow(self, code):
        """The desk may see nothing any more, in force in dispatch."""
        for row, in self.stack.sql("SELECT allow_id FROM registry.allow JOIN registry.desk USING (desk_id) WHERE code = %s", code):
            self.stack.admin("allow", "revoke", row)
        self.in_force()

    def in_force(self):
        version = self.stack.sql("SELECT version FROM registry.version")[0][0]
        wait_until(lambda: self.stack.services["dispatch"].metric("jukwaa_dispatch_registry_version") >= version, 5, "in force")

    def event(self, kind=INCIDENT, of=None, **fields):
        event = Event(kind, (self.county,), incident=of.incident if of else None, revision=of.revision + 1 if of else 1,
                      headline=MARKER, **fields)
        feed_events.append(self.stack, event)
        return event

    def disclosures(self, event):
        done = run_cli("--json", "disclosures", event.incident, env=self.stack.admin_env, check=False)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        return {t: [x for x in lines if x["type"] == t] for t in ("event", "copy", "confirmation")}, done.returncode

    def noted(self, event):
        """What was sent of it is written down."""
        wait_until(lambda: (copies := self.disclosures(event)[0]["copy"]) and not any(c["possibly"] for c in copies), 8, "noted")

    def confirmation(self, event, code):
        found = [c for c in self.disclosures(event)[0]["confirmation"] if c["desk"] == code]
        return found[0] if found else None

    def check_recalled(self, message, event, reason):
        self.assertEqual(message.kind, pb.EVENT_KIND_RECALLED)
        self.assertEqual(message.WhichOneof("body"), "recalled")
        self.assertEqual(message.recalled.reason, reason)
        self.assertEqual(message.incident_id, event.incident.bytes)
        self.assertEqual(message.event_id, event.event_id.bytes)
        self.assertEqual(message.allowed_by, "recall")
        known = {"session", "delivery_no", "position", "stream", "seq", "epoch", "event_id", "kind", "incident_id", "allowed_by",
                 "recalled"}
        self.assertEqual({field.name for field, _ in message.ListFields()} - known, set(), message)
        self.assertNotIn(MARKER.encode(), message.SerializeToString())

    # ---- who is told ----

    def test_what_may_not_be_kept_any_more_is_not_replayed(self):
        parties = [self.owner, Party(self.stack, "KEEPER")]
        agree(self.stack, "KPS-KEEPER", *parties, "FULL@1", counties=[self.county], retention_days=7)
        keys = [self.stack.add_desk(f"{p.agency}-1", agency=p.agency, allow=()) for p in parties]
        # Before anybody has asked dispatch for this county.
        gone, kept = self.event(), self.event()
        for event, age in (gone, "7 days 1 minute"), (kept, "6 days 23 hours"):
            self.stack.sql("UPDATE feed.event SET recorded_at = now() - %s::interval WHERE event_id = %s", age, str(event.event_id))
        owner, recipient = [self.desk(key) for key in keys]
        self.assertEqual([m.event_id for m in owner.take(2)], [gone.event_id.bytes, kept.event_id.bytes])
        self.assertEqual([m.event_id for m in recipient.take()], [kept.event_id.bytes])
        recipient.quiet()

    def test_cancel_after_the_rule_is_revoked(self):
        had_code, had = self.add_desk("HAD")
        _, never = self.add_desk("NEVER", allow=())
        _, covered = self.add_desk("COVERED", allow=(("--category", "FIRE"),))
        first = self.desk(had)
        others = [self.desk(never), self.desk(covered)]
        self.event(category=6)
        event = self.event(category=9)
        self.event(category=6)
        self.assertEqual([m.kind for m in first.take(3)], [INCIDENT] * 3)
        # Its range covers all three numbers, and two of them were sent.
        self.assertEqual([m.seq for m in others[1].take(2)], [1, 3])
        self.revoke_allow(had_code)
        self.revoke_allow(f"COVERED{self.number}")
        cancel = self.event(CANCEL, event, category=9)
        recall, = first.take(ack=False)
        self.check_recalled(recall, cancel, "CANCELLED")
        self.assertEqual(recall.seq, 4)
        for other in others:
            other.quiet()
        wait_until(lambda: (self.confirmation(event, had_code) or {}).get("answer") == "SENT", 8, "written down")
        self.assertEqual(self.disclosures(event)[1], 1)
        first.ack(recall.delivery_no)
        wait_until(lambda: self.confirmation(event, had_code)["answer"] == "CONFIRMED", 8, "confirmed")
        self.noted(event)
        listed, status = self.disclosures(event)
        self.assertEqual(status, 0)
        self.assertEqual({c["desk"] for c in listed["copy"]}, {had_code})
        self.assertEqual([(c["seq"], c["under"].split()[0], c["acknowledged"]) for c in listed["copy"]],
                         [(2, "allow", True), (4, "recalled", True)])
        self.assertTrue(listed["confirmation"][0]["recalled"])

    def test_cancel_after_the_agreement_is_suspended(self):
        code, key = self.add_party_desk("AGREED")
        desk = self.desk(key)
        event = self.event()
        copy, = desk.take()
        self.assertEqual((copy.allowed_by, copy.retention_days), (f"agreement:KPS-{code}@1", 30))
        self.suspend(code)
        self.event()
        cancel = self.event(CANCEL, event)
        self.check_recalled(desk.take()[0], cancel, "CANCELLED")

    def test_erased_after_the_agreement_is_suspended(self):
        """Who had a copy is told to erase it: as an event by who may still see the incident, with ids alone by who may not."""
        code, key = self.add_party_desk("ENDED")
        never_code, never_key = self.add_desk("STRANGER", allow=())
        _, entitled_key = self.add_desk("STAYS")
        desk, never, entitled = self.desk(key), self.desk(never_key), self.desk(entitled_key)
        event = Revision(agency="KPS", counties=(self.county,), headline=MARKER)
        store(self.stack, event)
        for each in (desk, entitled):
            self.assertEqual([m.kind for m in each.take()], [INCIDENT])
        self.suspend(code)
        self.stack.admin("erase", str(event.incident), "--all-text", "--reason", "request 15", "--by", "DPO")
        (stream, seq, event_id), = self.stack.sql("SELECT stream, seq, event_id FROM feed.event WHERE incident_id = %s AND kind = %s",
                                                  str(event.incident), pb.EVENT_KIND_ERASED)
        told, = entitled.take()
        self.assertEqual((told.kind, told.WhichOneof("body"), told.stream, told.seq), (pb.EVENT_KIND_ERASED, "event", stream, seq))
        self.assertIn(pb.GROUP_TAG_NARRATIVE, told.event.erased.groups)
        recalled, = desk.take()
        event.event_id = uuid.UUID(str(event_id))
        self.check_recalled(recalled, event, "ERASED")
        self.assertEqual((recalled.stream, recalled.seq), (stream, seq))
        never.quiet()
        for each in (desk, entitled):
            each.quiet(0.1)
        self.assertIsNone(self.confirmation(event, never_code))

    def test_every_change_is_recalled_and_history_is_not(self):
        code, key = self.add_desk("CHANGES")
        desk = self.desk(key)
        event = self.event()
        desk.take()
        self.revoke_allow(code)
        changes = [self.event(kind, event) for kind in (UPDATE, feed_events.HISTORY, feed_events.ACK, MOVED_AWAY, CANCEL)]
        got = desk.take(3)
        for message, change, reason in zip(got, [changes[0], changes[3], changes[4]], ["OUTDATED", "OUTDATED", "CANCELLED"]):
            self.check_recalled(message, change, reason)
        desk.quiet()
        # Another incident, of which it has nothing, and the same incident in a stream of which it has nothing.
        self.event(CANCEL, self.event())
        desk.quiet()

    def test_what_is_done_about_it_recalls_nothing(self):
        code, key = self.add_desk("WORKED")
        desk = self.desk(key, start=pb.START_AT_NOW, work=True)
        event = self.event()
        desk.take()
        done = feed_events.WorkEvent(event, feed_events.DUTY, pb.Work(at_us=1, duty_step=pb.DutyStep(duty_id=bytes(16))))
        feed_events.append(self.stack, done)
        self.assertEqual([m.kind for m in desk.take()], [feed_events.DUTY])
        self.revoke_allow(code)
        for kind in (feed_events.CASE_STATE, feed_events.DUTY, feed_events.UNIT, feed_events.AID):
            feed_events.append(self.stack, feed_events.WorkEvent(event, kind, pb.Work(at_us=2)))
        desk.quiet()
        cancel = self.event(CANCEL, event)
        self.check_recalled(desk.take()[0], cancel, "CANCELLED")

    def test_a_recall_is_no_copy(self):
        """What was recalled before was not content: a desk that got nothing but a recall of another's is not told again."""
        code, key = self.add_desk("TWICE")
        desk = self.desk(key)
        event = self.event()
        desk.take()
        self.revoke_allow(code)
        update = self.event(UPDATE, event)
        self.check_recalled(desk.take()[0], update, "OUTDATED")
        wait_until(lambda: (self.confirmation(event, code) or {}).get("answer") == "CONFIRMED", 8, "written down")
        # Forget the copy itself: only the recall is left in the record.
        self.desks.pop().peer.close()
        self.stack.services["dispatch"].stop()
        self.stack.sql("UPDATE dispatch.disclosure SET record = set_byte(record, 0, 0) WHERE stream = %s AND from_seq = 1 AND"
                       " octet_length(record) > 0", self.county)
        self.stack.services["dispatch"].start()
        again = self.desk(key)
        self.event(CANCEL, event)
        again.quiet()

    def test_another_session_after_a_restart(self):
        code, key = self.add_desk("RESTART")
        desk = self.desk(key)
        event = self.event()
        desk.take()
        self.noted(event)
        self.stack.services["dispatch"].kill()
        self.stack.services["dispatch"].start()
        self.revoke_allow(code)
        cancel = self.event(CANCEL, event)
        again = self.desk(key)
        self.check_recalled(again.take()[0], cancel, "CANCELLED")
        desk.peer.close()

    def test_session_that_ended_just_now(self):
        """What is not written yet is found too: by another session of the desk."""
        code, key = self.add_desk("JUSTNOW")
        waiting = self.desk(key, start=pb.START_AT_NOW, categories=[6])
        desk = self.desk(key)
        event = self.event()
        desk.take()
        self.revoke_allow(code)
        cancel = self.event(CANCEL, event)
        for each in (waiting, desk):
            self.check_recalled(each.take()[0], cancel, "CANCELLED")

    def looked_up(self):
        """How often the events of an incident were looked for, as far as the statistics have it: dispatch does so for recall alone."""
        return self.stack.sql("SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'event_by_incident'")[0][0]

    def check_unwritten(self, name, ends):
        """While nothing can be written, what is in memory alone says that the desk had a copy."""
        code, key = self.add_desk(name)
        waiting, desk = self.desk(key, start=pb.START_AT_NOW, categories=[6]), self.desk(key)
        self.event()
        desk.take()  # now the numbers that follow are reserved
        with contextlib.closing(self.stack.cluster.connect(self.stack.database)) as c, c.cursor() as cursor:
            cursor.execute("BEGIN; LOCK TABLE dispatch.disclosure IN EXCLUSIVE MODE")  # to be read, not written
            event = self.event()
            self.assertEqual(desk.take()[0].seq, 2)
            if ends:
                self.assertIsNotNone(desk.peer.hello())  # gives up the session that it had
            self.revoke_allow(code)
            before = self.looked_up()
            cancel = self.event(CANCEL, event)
            wait_until(lambda: self.looked_up() > before, 8, "the question whether it had a copy")
            cursor.execute("SELECT count(*) FROM dispatch.disclosure WHERE stream = %s AND (sent_seq >= 2 OR closed_at IS NOT NULL)",
                           (self.county,))
            self.assertEqual(cursor.fetchall(), [(0,)])
            cursor.execute("COMMIT")
        for each in (waiting, *([] if ends else [desk])):
            self.check_recalled(each.take()[0], cancel, "CANCELLED")

    def test_what_no_row_says_yet(self):
        self.check_unwritten("GOES-ON", False)

    def test_what_no_row_says_yet_of_a_session_that_ended(self):
        self.check_unwritten("ENDED", True)

    def test_open_row_without_record(self):
        """Left by a crash: possibly disclosed for those who ask, and no word to the desk, which may never have had it."""
        code, key = self.add_desk("CRASHED")
        desk = self.desk(key)
        event = self.event()
        desk.take()
        self.stack.services["dispatch"].kill()
        self.stack.sql("UPDATE dispatch.disclosure SET record = NULL, terms = NULL, noted_at = NULL, sent_seq = NULL,"
                       " acked_seq = NULL, closed_at = NULL WHERE stream = %s", self.county)
        self.stack.services["dispatch"].start()
        self.revoke_allow(code)
        self.event(CANCEL, event)
        again = self.desk(key)
        again.quiet()
        listed, status = self.disclosures(event)
        self.assertEqual(status, 1)
        self.assertTrue(all(c["possibly"] and not c["under"] and not c["acknowledged"] for c in listed["copy"]), listed)
        self.assertEqual([(c["answer"], c["possibly"]) for c in listed["confirmation"]], [("POSSIBLY_SENT", True)])

    def test_client_that_does_not_know_recalls(self):
        code, key = self.add_desk("OLD")
        desk = self.desk(key, recalled=False)
        event = self.event()
        desk.take()
        self.revoke_allow(code)
        self.event(CANCEL, event)
        desk.quiet()
        self.event(agency="KPS")
        wait_until(lambda: (self.confirmation(event, code) or {}).get("answer") == "NOT_SENT", 8, "listed")

    def test_revoked_key_gets_nothing_and_is_listed(self):
        code, key = self.add_desk("REVOKED")
        desk = self.desk(key)
        event = self.event()
        desk.take()
        self.stack.admin("key", "revoke", f"{key}.pub")
        self.in_force()
        self.event(CANCEL, event)
        wait_until(lambda: (got := desk.peer.receive(0.2)) and got[0] == "BYE", 8, "the session ends")
        wait_until(lambda: (self.confirmation(event, code) or {}).get("answer") == "NOT_SENT", 8, "listed")
        found = self.confirmation(event, code)
        self.assertEqual((found["answer"], found["key_revoked"], found["possibly"]), ("NOT_SENT", True, False))

    def test_entitled_desks_get_the_change_itself(self):
        code, key = self.add_desk("ENTITLED")
        desk = self.desk(key)
        event = self.event()
        self.event(CANCEL, event)
        self.assertEqual([m.kind for m in desk.take(2)], [INCIDENT, CANCEL])
        wait_until(lambda: (self.confirmation(event, code) or {}).get("answer") == "CONFIRMED", 8, "confirmed")
        self.assertFalse(self.confirmation(event, code)["recalled"])

    def test_many_denied_changes_wait_for_few_look_ups(self):
        """A desk with nothing to be recalled passes over thousands of them, and gets what it may see behind them."""
        _, key = self.add_desk("MANY", allow=(("--category", "FIRE"),))
        firsts = [Event(INCIDENT, (self.county,), category=9) for _ in range(500)]
        for kind in (INCIDENT, UPDATE, UPDATE, UPDATE):
            feed_events.append(self.stack, *[Event(kind, (self.county,), incident=f.incident, category=9) for f in firsts])
        self.event(category=6)
        desk = self.desk(key)
        self.assertEqual([m.seq for m in desk.take()], [2001])

    # ---- what is said of it ----

    def test_the_library_shows_it(self):
        code, key = self.add_desk("LIBRARY")
        desk = self.desk(key)
        event = self.event()
        desk.take()
        self.revoke_allow(code)
        self.event(CANCEL, event)
        lines, status = self.stack.cli_json(key, "watch", "--county", self.county, "--from", "beginning", "--count", 1,
                                            "--timeout", 10)
        self.assertEqual(status, 0)
        self.assertEqual((lines[0]["kind"], lines[0]["recalled"], lines[0]["incident_id"]),
                         ("RECALLED", {"reason": "CANCELLED"}, str(event.incident)))
        self.assertNotIn("incident", lines[0])
        text = self.stack.cli(key, "watch", "--county", self.county, "--from", "beginning", "--count", 1, "--timeout", 10).stdout
        self.assertIn("RECALLED CANCELLED", text)
        self.assertIn(str(event.incident), text)

    def test_explain_at(self):
        def explain(*args, incident=None):
            return run_cli("--json", "explain", incident or event.incident, "--desk", code, *args, env=self.stack.admin_env,
                           check=False)

        def now():
            return self.stack.sql("SELECT clock_timestamp()")[0][0].astimezone(datetime.timezone.utc).isoformat()

        code, key = self.add_desk("EXPLAINED")
        before = now()
        desk = self.desk(key)
        event = self.event()
        desk.take()
        self.noted(event)
        during = now()
        self.revoke_allow(code)
        self.event(CANCEL, event)
        desk.take()
        said = [json.loads(line) for line in explain("--at", during).stdout.splitlines()]
        self.assertEqual([(s["seq"], s["under"].split()[0], s["possibly"]) for s in said if s["under"] != "recalled"],
                         [(1, "allow", False)])
        # Nothing by then, and an incident that does not exist: one and the same answer.
        none, foreign = explain("--at", before), explain("--at", before, incident=feed_events.new_id())
        self.assertEqual((none.returncode, none.stdout), (1, ""))
        self.assertEqual((none.returncode, none.stdout, none.stderr), (foreign.returncode, foreign.stdout, foreign.stderr))
        self.assertEqual(explain("--at", "yesterday").returncode, 2)

    def test_disclosures_of_nothing(self):
        done = run_cli("disclosures", feed_events.new_id(), env=self.stack.admin_env, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("no event of this incident", done.stderr)
        self.assertEqual(run_cli("disclosures", "x", env=self.stack.admin_env, check=False).returncode, 2)
        event = self.event()
        done = run_cli("disclosures", event.incident, env=self.stack.admin_env)
        self.assertIn("no desk has a copy", done.stdout)


if __name__ == "__main__":
    unittest.main()
