"""A person at a desk opens an incident: its owner learns it, once for each desk; who may not see the incident learns nothing."""
import contextlib
import hashlib
import json
import secrets
import time
import unittest
import uuid

from agreements import Party
from dispatch_test import Desk
from feed_events import Event, append
from jukwaa_harness import Service, Stack, free_port, protos, scratch, wait_until

pb = protos()
OPENED, UPDATE, HISTORY, MOVED_AWAY = 19, 2, 4, 5


def setUpModule():
    global stack, nairobi, mombasa, own, rangers, publisher
    stack = Stack(services=("dispatch",), settings={"dispatch": {"JUKWAA_LAG_AFTER_S": "1"}})
    publisher = stack.add_publisher("KPS")
    nairobi = stack.add_desk("NAIROBI", agency="NMS", allow=(("--county", "047"),))
    mombasa = stack.add_desk("MOMBASA", agency="COAST", allow=(("--county", "001"),))
    own = stack.add_desk("OWN", agency="KPS", allow=())
    rangers = stack.add_desk("RANGERS", agency="KWS", allow=())
    give_to_task_force()
    for key in (publisher, nairobi, mombasa, own, rangers):
        stack.wait_known(key, "dispatch")


def tearDownModule():
    assert stack.services["dispatch"].stop() == 0, stack.services["dispatch"].log()[-3000:]


def write(name, content):
    path = scratch() / name
    path.write_text(json.dumps(content))
    return path


def give_to_task_force():
    """KPS gives what happens in 030 to a task force that it is not in: KWS alone."""
    keys = {}
    for agency in ("KPS", "KWS"):
        keys[agency] = stack.new_key(f"signs-{agency}")
        stack.admin("key", "add", "--file", f"{keys[agency]}.pub", "--role", "publisher", "--agency", agency, "--may-sign")
    Party(stack, "NCC")
    force = write("force.json", {"task_force": "HIDDEN", "version": 1, "lead": "KWS", "members": ["KWS", "NCC"], "counties": ["030"],
                                 "purpose": "p", "legal_basis": "l", "start": "2020-01-01T00:00:00Z", "end": "2099-01-01T00:00:00Z"})
    pact = write("to-force.json", {"agreement": "KPS-FORCE", "version": 1, "kind": "MUTUAL_CONSENT", "provider": "KPS",
                                   "recipient": "taskforce:HIDDEN", "counties": ["030"], "all_categories": True, "tlp_ceiling": "AMBER",
                                   "profile": "NO_PERSONS@1", "actions": ["VIEW"], "purpose": "p", "legal_basis": "l",
                                   "start": "2020-01-01T00:00:00Z"})
    ncc = stack.new_key("signs-NCC")
    stack.admin("key", "add", "--file", f"{ncc}.pub", "--role", "publisher", "--agency", "NCC", "--may-sign")
    stack.admin("taskforce", "propose", force, "--key", keys["KWS"])
    stack.admin("taskforce", "accept", "HIDDEN", "--key", ncc)
    stack.admin("agreement", "propose", pact, "--key", keys["KPS"])
    stack.admin("agreement", "accept", "KPS-FORCE", "--key", keys["KWS"])


def mails(incident):
    """OPENED in @KPS about the incident: (desk, agency) each, checked."""
    rows = stack.sql("SELECT body, commitment, revision, tlp, category FROM feed.event WHERE stream = '@KPS' AND kind = %s AND"
                     " incident_id = %s ORDER BY seq", OPENED, str(incident))
    found = []
    for body, commitment, revision, tlp, category in rows:
        assert hashlib.sha256(bytes(body)).digest() == bytes(commitment)
        mail = pb.Opened.FromString(bytes(body))
        assert abs(mail.at_us / 1e6 - stack.sql("SELECT extract(epoch FROM now())::float8")[0][0]) < 60
        found.append((mail.desk, mail.agency))
    return found


def opened(incident):
    return [desk for desk, in stack.sql("SELECT d.code FROM dispatch.opened JOIN registry.desk d USING (desk_id) WHERE incident_id = %s"
                                        " ORDER BY 1", str(incident))]


class OpenedTest(unittest.TestCase):
    def peer(self, key, endpoint=None):
        peer = stack.peer("dispatch", key)
        if endpoint:
            peer.close()
            peer = type(peer)(endpoint, key, f"{stack.server_key}.pub")
        self.addCleanup(peer.close)
        self.assertIsNotNone(peer.hello())
        return peer

    def desk(self, key):
        desk = Desk(stack, key)
        self.addCleanup(desk.close)
        return desk

    def ask(self, peer, incident, command_id=None, request=7):
        peer.send("INCIDENT_MARK", pb.IncidentMark(request=request, command_id=command_id or secrets.token_bytes(16),
                                                  incident_id=incident.bytes if isinstance(incident, uuid.UUID) else incident))
        return peer.expect("COMMAND_DONE", "REFUSED")

    def refused(self, peer, incident, code, field, command_id=None):
        before = stack.sql("SELECT count(*) FROM dispatch.opened"), stack.sql("SELECT count(*) FROM feed.event")
        answer = self.ask(peer, incident, command_id)
        self.assertEqual((pb.Code.Name(answer.code), answer.field), (code, field), answer)
        self.assertEqual((stack.sql("SELECT count(*) FROM dispatch.opened"), stack.sql("SELECT count(*) FROM feed.event")), before)
        return answer

    def done(self, peer, incident, command_id=None, repeated=False):
        answer = self.ask(peer, incident, command_id)
        self.assertEqual((answer.DESCRIPTOR.name, answer.repeated if hasattr(answer, "repeated") else None), ("CommandDone", repeated),
                         answer)
        self.assertEqual((answer.thing_id, answer.state), (incident.bytes, "OPENED"))

    def incident(self, *counties, **fields):
        event = Event(counties=counties or ("047",), **fields)
        append(stack, event)
        return event


class RefusalTest(OpenedTest):
    def test_what_is_not_there_and_what_may_not_be_seen_are_the_same(self):
        peer, elsewhere = self.peer(mombasa), self.incident("047")
        hidden = self.refused(peer, elsewhere.incident, "CODE_NOT_FOUND", "incident_id")
        absent = self.refused(peer, uuid.uuid4(), "CODE_NOT_FOUND", "incident_id")
        self.assertEqual(hidden.SerializeToString(), absent.SerializeToString())
        # Neither does a label above what the desk's row reaches, nor one that has risen since.
        self.refused(peer, self.incident("001", tlp=4).incident, "CODE_NOT_FOUND", "incident_id")
        risen = self.incident("001")
        append(stack, Event(UPDATE, ("001",), risen.incident, revision=2, tlp=4))
        self.refused(peer, risen.incident, "CODE_NOT_FOUND", "incident_id")

    def test_only_desks(self):
        event = self.incident()
        self.refused(self.peer(publisher), event.incident, "CODE_NOT_PERMITTED", "")

    def test_ids(self):
        peer, event = self.peer(nairobi), self.incident()
        self.refused(peer, event.incident.bytes[:15], "CODE_RULE_VIOLATION", "incident_id")
        self.refused(peer, bytes(16), "CODE_RULE_VIOLATION", "incident_id")
        self.refused(peer, b"", "CODE_RULE_VIOLATION", "incident_id")
        self.refused(peer, b"\xff" * 60000, "CODE_RULE_VIOLATION", "incident_id")
        self.refused(peer, b"\xff" * 1000000, "CODE_OVERSIZE", "")
        self.refused(peer, event.incident, "CODE_RULE_VIOLATION", "command_id", b"x")
        self.refused(peer, event.incident, "CODE_RULE_VIOLATION", "command_id", bytes(16))

    def test_a_command_id_says_one_thing(self):
        peer, first, second, command_id = self.peer(nairobi), self.incident(), self.incident(), secrets.token_bytes(16)
        self.done(peer, first.incident, command_id)
        self.refused(peer, second.incident, "CODE_RULE_VIOLATION", "command_id", command_id)
        self.refused(self.peer(own), first.incident, "CODE_RULE_VIOLATION", "command_id", command_id)
        self.assertEqual(opened(first.incident), ["NAIROBI"])


class WrittenTest(OpenedTest):
    def test_once_for_each_desk(self):
        event, peer, command_id = self.incident("047", "001"), self.peer(nairobi), secrets.token_bytes(16)
        self.done(peer, event.incident, command_id)
        self.done(peer, event.incident, command_id, repeated=True)
        self.done(peer, event.incident, repeated=True)
        self.done(self.peer(nairobi), event.incident, repeated=True)
        self.assertEqual(mails(event.incident), [("NAIROBI", "NMS")])
        # A newer revision is the same incident.
        append(stack, Event(UPDATE, ("047", "001"), event.incident, revision=2))
        self.done(peer, event.incident, repeated=True)
        self.done(self.peer(mombasa), event.incident)
        self.assertEqual(mails(event.incident), [("NAIROBI", "NMS"), ("MOMBASA", "COAST")])
        self.assertEqual(opened(event.incident), ["MOMBASA", "NAIROBI"])

    def test_many_at_once_in_two_processes(self):
        second = free_port()
        other = Service("dispatch", {**stack.services["dispatch"].env, "JUKWAA_LISTEN": f"tcp://127.0.0.1:{second}",
                                     "JUKWAA_HTTP_LISTEN": f"127.0.0.1:{(http := free_port())}"}, http).start()
        self.addCleanup(other.stop)
        events = [self.incident() for _ in range(10)]
        peers = [self.peer(nairobi), self.peer(nairobi), self.peer(nairobi, f"tcp://127.0.0.1:{second}"),
                 self.peer(nairobi, f"tcp://127.0.0.1:{second}")]
        for request, event in enumerate(events):
            for peer in peers:
                peer.send("INCIDENT_MARK", pb.IncidentMark(request=request + 1, command_id=secrets.token_bytes(16),
                                                          incident_id=event.incident.bytes))
        answers = [(request, peer.expect("COMMAND_DONE", timeout=10)) for request in range(len(events)) for peer in peers]
        self.assertEqual(sum(not answer.repeated for _, answer in answers), len(events))
        for event in events:
            self.assertEqual(mails(event.incident), [("NAIROBI", "NMS")])

    def test_the_owners_own_desk_tells_nobody(self):
        event = self.incident("030")
        self.done(self.peer(own), event.incident)
        self.assertEqual((opened(event.incident), mails(event.incident)), (["OWN"], []))

    def test_a_member_of_a_hidden_task_force_has_no_name(self):
        event = self.incident("030")
        peer = self.peer(rangers)
        wait_until(lambda: self.ask(peer, event.incident).DESCRIPTOR.name == "CommandDone", 5, "the agreement is in force")
        self.assertEqual((opened(event.incident), mails(event.incident)), (["RANGERS"], [("", "")]))

    def test_a_member_of_a_hidden_task_force_is_not_told_of_by_its_receipts(self):
        """Neither what it has nor what it has not taken names it to the owner; a desk that is not hidden is named."""
        event, peer = self.incident("030"), self.peer(rangers)
        wait_until(lambda: self.ask(peer, event.incident).DESCRIPTOR.name == "CommandDone", 5, "the agreement is in force")
        last, = stack.sql("SELECT last_seq FROM feed.head WHERE stream = '030'")[0]
        wait_until(lambda: stack.sql("SELECT seq FROM dispatch.follow WHERE stream = '030'") == [(last,)], 10, "open incidents are known")
        for start, until in ((pb.START_AT_BEGINNING, lambda m: m.seq == last), (pb.START_AT_SNAPSHOT, lambda m: m.DESCRIPTOR.name == "SnapshotEnd")):
            desk = self.desk(rangers)
            desk.subscribe(["030"], start=start)
            message = desk.peer.expect("DELIVER", timeout=10)
            while not until(message):
                message = desk.peer.expect("DELIVER", "SNAPSHOT_END")
            desk.peer.send("ACK", pb.Ack(delivery_no=message.delivery_no))
        self.desk(rangers).subscribe(["030"])  # takes nothing
        self.incident("047")
        seen = self.desk(nairobi)
        seen.subscribe(["047"])
        seen.take(1)
        told = lambda: [bytes(body) for body, in stack.sql("SELECT body FROM feed.event WHERE stream = '@KPS' AND kind IN (%s, %s)",  # noqa: E731
                                                            pb.EVENT_KIND_DELIVERED, pb.EVENT_KIND_LAGGING)]
        wait_until(lambda: any(b"NAIROBI" in body for body in told()), 10, "the owner is told of the other desk")
        time.sleep(2.5)  # longer than lag-after-s
        self.assertFalse([body for body in told() if b"RANGERS" in body])

    def test_an_incident_that_moved_away_and_older_news(self):
        event = self.incident("047")
        append(stack, Event(HISTORY, ("047",), event.incident, revision=0, tlp=5),
               Event(UPDATE, ("001",), event.incident, revision=2, moved_away=("047",)))
        self.done(self.peer(nairobi), event.incident)
        self.done(self.peer(mombasa), event.incident)

    def test_killed_at_any_moment(self):
        """Whatever was on its way is sent again under its id; each is done once in the end."""
        dispatch, repeated = stack.services["dispatch"], 0
        for pause in (0, 0.002, 0.005, 0.01, 0.02, 0.3):
            marks = {secrets.token_bytes(16): self.incident() for _ in range(8)}
            peer = self.peer(nairobi)
            with contextlib.closing(stack.cluster.connect(stack.database)) as holder, holder.cursor() as cursor:
                if pause == 0:  # before COMMIT for sure: the row waits for this lock, and its transaction goes with its backend
                    holder.autocommit = False
                    cursor.execute("LOCK TABLE dispatch.opened IN SHARE MODE")
                for command_id, event in marks.items():
                    peer.send("INCIDENT_MARK", pb.IncidentMark(request=1, command_id=command_id, incident_id=event.incident.bytes))
                time.sleep(pause)
                dispatch.kill()
                stack.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'jukwaa-dispatch-opened'"
                          " AND wait_event_type = 'Lock'")
            dispatch.start()
            peer = self.peer(nairobi)
            for command_id, event in marks.items():
                answer = self.ask(peer, event.incident, command_id)
                self.assertEqual(answer.DESCRIPTOR.name, "CommandDone", answer)
                repeated += answer.repeated
                self.assertEqual((opened(event.incident), mails(event.incident)), (["NAIROBI"], [("NAIROBI", "NMS")]))
        self.assertTrue(0 < repeated < 48, f"{repeated} of 48 were done before the kill: some should be, and not all")

    def test_a_database_that_goes_away(self):
        event, peer, command_id = self.incident(), self.peer(nairobi), secrets.token_bytes(16)
        stack.cluster.stop()
        try:
            answer = self.ask(peer, event.incident, command_id)
            self.assertEqual(pb.Code.Name(answer.code), "CODE_UNAVAILABLE")
        finally:
            stack.cluster.start()
            stack.feed_connection.close()
        wait_until(lambda: self.ask(peer, event.incident, command_id).DESCRIPTOR.name == "CommandDone", 15, "done in the end")
        self.done(peer, event.incident, command_id, repeated=True)
        self.assertEqual(mails(event.incident), [("NAIROBI", "NMS")])

    def test_kept_as_long_as_disclosures(self):
        event, held = self.incident(), self.incident()
        for one in (event, held):
            self.done(self.peer(nairobi), one.incident)
        stack.sql("INSERT INTO meta.hold (incident_id, reason, by) VALUES (%s, 'court', 'test')", str(held.incident))
        self.assertEqual(stack.sql("SELECT dispatch.forget_opened(1000)", role="jukwaa_dispatch"), [(0,)])
        stack.sql("UPDATE dispatch.opened SET opened_at = now() - interval '40 years' WHERE incident_id = ANY (%s::uuid[])",
                  [str(event.incident), str(held.incident)])
        self.assertEqual(stack.sql("SELECT dispatch.forget_opened(1000)", role="jukwaa_dispatch"), [(1,)])
        self.assertEqual((opened(event.incident), opened(held.incident)), ([], ["NAIROBI"]))


class MailboxTest(OpenedTest):
    def test_the_owner_reads_it_and_nothing_comes_back_of_that(self):
        event, kept = self.incident(), scratch() / f"mailbox-{secrets.token_hex(4)}"
        self.assertEqual(stack.cli_json(publisher, "watch", "--mailbox", "--resume", kept, "--timeout", "1")[1], 0)
        self.done(self.peer(nairobi), event.incident)
        lines, status = stack.cli_json(publisher, "watch", "--mailbox", "--resume", kept, "--count", "1", "--timeout", "10")
        self.assertEqual((status, lines[0]["kind"], lines[0]["incident_id"]), (0, "OPENED", str(event.incident)), lines)
        self.assertEqual((lines[0]["opened"]["desk"], lines[0]["opened"]["agency"]), ("NAIROBI", "NMS"))
        self.assertTrue(lines[0]["copy_verified"], lines)
        # The publisher acknowledged a mail: that is no news to anybody. A mark of a mailbox's incident by its owner neither.
        before = stack.sql("SELECT count(*) FROM feed.event")
        lines, status = stack.cli_json(publisher, "watch", "--mailbox", "--resume", kept, "--timeout", "2")
        self.assertEqual((lines, stack.sql("SELECT count(*) FROM feed.event")), ([], before))


class CommandLineTest(OpenedTest):
    def opened(self, key, *args):
        done = stack.cli(key, "opened", *args, check=False)
        return done.returncode, done.stdout, done.stderr

    def test_what_is_refused(self):
        event, absent = self.incident("030"), str(uuid.uuid4())
        for key, args, status, words in (
                (nairobi, (), 2, "say which incident"), (nairobi, ("047",), 2, "'047' is no id of an incident"),
                (nairobi, (absent, "--count", "1"), 2, "not an option"), (nairobi, (absent, "--timeout", "0"), 2, "1 to 86400"),
                (nairobi, (absent,), 1, "NOT_FOUND: there is no such incident for this key"),
                (nairobi, (str(event.incident),), 1, "NOT_FOUND: there is no such incident for this key"),
                (publisher, (str(event.incident),), 4, "NOT_PERMITTED")):
            found = self.opened(key, *args)
            self.assertEqual((found[0], found[1]), (status, ""), args)
            self.assertIn(words, found[2])
        self.assertEqual(opened(event.incident), [])

    def test_several_at_once(self):
        first, second = self.incident(), self.incident()
        self.assertEqual(self.opened(nairobi, str(first.incident)), (0, f"{first.incident}: opened; its owner is told\n", ""))
        self.assertEqual(self.opened(nairobi, str(first.incident), str(second.incident)),
                         (0, f"{first.incident}: opened before; its owner knows\n{second.incident}: opened; its owner is told\n", ""))
        lines, status = stack.cli_json(nairobi, "opened", str(second.incident))
        self.assertEqual((status, lines[0]["thing_id"], lines[0]["state"], lines[0]["repeated"]), (0, str(second.incident), "OPENED", True))
        self.assertEqual(mails(first.incident) + mails(second.incident), [("NAIROBI", "NMS")] * 2)


if __name__ == "__main__":
    unittest.main()
