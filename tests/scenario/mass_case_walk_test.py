"""A random walk through the life of cases: desks send commands, right and wrong, stale and repeated, and a model written down here,
without a look at the table in C, says every answer before it comes. cases is killed in the middle; what was under way is sent again."""
import os
import random
import sys
import time
import unittest
import uuid

import zmq
from agreements import Party, agree
from feed_events import Event, append
from jukwaa_harness import Stack, protos, wait_until

COMMANDS = int(os.environ.get("JUKWAA_TEST_COMMANDS", "200000" if os.environ.get("JUKWAA_TEST_LONG") else "20000"))
WALKERS, CASES_EACH, AT_HAND = 48, max(20, COMMANDS // 2000), 6
OPEN = ("NEW", "TRIAGED", "ASSIGNED", "IN_PROGRESS", "ON_HOLD", "REFERRED", "REOPENED")
WORKING = OPEN + ("RESOLVED",)
DISPOSITIONS = {1: "RESOLVED", 2: "UNFOUNDED", 4: "REFERRED"}
REVERSE = {1: 1, 2: 2, 3: 4, 4: 3, 5: 6, 6: 5}
# key: (desk, agency, what it may: in which counties)
DESKS = {"own": ("OWN-1", "OWN"), "all": ("ALL-1", "ALLA"), "ems": ("EMS-1", "EMS"), "far": ("FAR-1", "FARA"), "see": ("SEE-1", "SEEA"),
         "blind": ("BLIND-1", "BLIND")}


def may_see(key, case):
    return key in ("own", "all", "ems", "see") or (key == "far" and "001" in case.counties)


def may_act(key, case):
    return key != "see" and may_see(key, case)


class Case:
    """What the model knows of one case."""

    def __init__(self, incident, counties, version):
        self.id, self.counties, self.version = incident.bytes, counties, version
        self.state, self.assigned, self.referred, self.blocking, self.took_in, self.into = "NEW", None, None, 0, 0, None
        self.entries, self.moves, self.tried = 1, 0, 0
        self.tasks = {}  # id: [open, blocking]
        self.links = set()
        self.numbers = {}  # agency: number
        self.told, self.first_assigned, self.first_started = [], False, False


class Refused(Exception):
    """The model says no."""


class Model:
    """One walker's world: the cases it has to do with, and what it has sent."""

    def __init__(self, cases):
        self.cases = {case.id: case for case in cases}
        self.done = {}  # command_id: (key, content, answer)

    def answer(self, key, command):
        """What must come: ("done", state, version, repeated) or ("refused", code)."""
        content = command.SerializeToString()
        if command.command_id in self.done:
            sender, before, answer = self.done[command.command_id]
            if (sender, before) != (key, content):
                return "refused", "RULE_VIOLATION"
            return (*answer[:3], True)
        try:
            answer = self.decide(key, command)
        except Refused as no:
            return "refused", str(no)
        self.done[command.command_id] = key, content, answer
        return answer

    def decide(self, key, command):
        action = command.WhichOneof("action")
        fields = getattr(command, action)
        self.check_form(action, fields)
        case = self.cases.get(command.case_id)
        self.check_right(key, case)
        other = None
        if action in ("merge", "link"):
            other = self.cases.get(fields.into_id if action == "merge" else fields.other_id)
            self.check_right(key, other)
        if case.state == "MERGED":
            raise Refused("WRONG_STATE")
        moves = action not in ("number", "link", "note", "task_add", "task_done", "task_cancel", "evidence")
        if command.version != case.version and (command.version or moves):
            raise Refused("STALE_VERSION")
        if action == "merge" and fields.into_version not in (0, other.version):
            raise Refused("STALE_VERSION")
        to = getattr(self, "do_" + action)(DESKS[key][1], case, fields, other)
        if to:
            case.state, case.moves = to, case.moves + 1
        for changed in {id(c): c for c in (case, other) if c}.values():
            changed.version += 1
            changed.entries += 1
        return "done", case.state, case.version, False

    def check_form(self, action, fields):
        if action in ("hold", "reopen", "decline_referral") and not fields.reason:
            raise Refused("RULE_VIOLATION")
        if action == "resolve" and not fields.disposition:
            raise Refused("RULE_VIOLATION")
        if action == "note" and not fields.text or action == "task_add" and (not fields.title or fields.due_us < 0):
            raise Refused("RULE_VIOLATION")
        if action == "number" and not fields.number:
            raise Refused("RULE_VIOLATION")

    def check_right(self, key, case):
        if case is None or not may_see(key, case):
            raise Refused("NOT_FOUND")
        if not may_act(key, case):
            raise Refused("NOT_PERMITTED")

    def check_named(self, case, agency):
        keys = [key for key, (_, a) in DESKS.items() if a == agency]
        if not any(may_act(key, case) for key in keys):
            raise Refused("RULE_VIOLATION")

    @staticmethod
    def want(held):
        if not held:
            raise Refused("WRONG_STATE")

    # ---- commands, each: who, the case, what it says, the other case; the new state, or None where it stays ----

    def do_triage(self, agency, case, fields, other):
        self.want(case.state in ("NEW", "REOPENED"))
        return "TRIAGED"

    def do_assign(self, agency, case, fields, other):
        self.want(case.state in ("TRIAGED", "REOPENED", "ASSIGNED", "IN_PROGRESS", "ON_HOLD"))
        named = fields.agency or {d: a for d, a in DESKS.values()}.get(fields.desk, "?" if fields.desk else "")
        if named:
            self.check_named(case, named)
        self.take(case, named or agency)
        return "ASSIGNED"

    def take(self, case, agency):
        case.assigned, case.referred = agency, None
        if not case.first_assigned:
            case.told.append("ASSIGNED")
        case.first_assigned = True

    def do_start(self, agency, case, fields, other):
        self.want(case.state == "ASSIGNED")
        if not case.first_started:
            case.told.append("IN_PROGRESS")
        case.first_started = True
        return "IN_PROGRESS"

    def do_hold(self, agency, case, fields, other):
        self.want(case.state == "IN_PROGRESS")
        return "ON_HOLD"

    def do_resume(self, agency, case, fields, other):
        self.want(case.state in ("ON_HOLD", "REFERRED"))
        case.referred = None
        return "IN_PROGRESS" if case.assigned else "TRIAGED"

    def do_refer(self, agency, case, fields, other):
        self.want(case.state in ("TRIAGED", "ASSIGNED", "IN_PROGRESS", "ON_HOLD"))
        if fields.agency:
            self.check_named(case, fields.agency)
        case.referred = fields.agency or None
        return "REFERRED"

    def do_accept_referral(self, agency, case, fields, other):
        self.want(case.state == "REFERRED" and case.referred == agency)
        self.take(case, agency)
        return "ASSIGNED"

    def do_decline_referral(self, agency, case, fields, other):
        self.want(case.state == "REFERRED" and case.referred == agency)
        return self.do_resume(agency, case, fields, other)

    def do_resolve(self, agency, case, fields, other):
        self.want(case.blocking == 0)
        self.want(case.state in ("ASSIGNED", "IN_PROGRESS") or case.state == "REFERRED" and fields.disposition == 4)
        case.referred = None
        case.told.append("RESOLVED")
        return "RESOLVED"

    def do_close(self, agency, case, fields, other):
        self.want(case.state == "RESOLVED" and case.blocking == 0)
        case.told.append("CLOSED")
        return "CLOSED"

    def do_reopen(self, agency, case, fields, other):
        self.want(case.state in ("RESOLVED", "CLOSED"))
        case.assigned = None
        return "REOPENED"

    def do_merge(self, agency, case, fields, other):
        self.want(case.state in OPEN and other is not case and other.state not in ("MERGED", "CLOSED") and case.took_in == 0)
        case.into, other.took_in = other.id, other.took_in + 1
        return "MERGED"

    def do_number(self, agency, case, fields, other):
        self.want(case.state in WORKING)
        if any(c is not case and c.numbers.get(agency) == fields.number for c in self.cases.values()):
            raise Refused("TAKEN")
        case.numbers[agency] = fields.number

    def do_link(self, agency, case, fields, other):
        self.want(case.state in WORKING and other is not case and other.state not in ("MERGED", "CLOSED"))
        self.want((other.id, fields.relation) not in case.links)
        case.links.add((other.id, fields.relation))
        other.links.add((case.id, REVERSE[fields.relation]))

    def do_note(self, agency, case, fields, other):
        self.want(case.state in WORKING)

    do_evidence = do_note

    def do_task_add(self, agency, case, fields, other):
        self.want(case.state in WORKING)
        if fields.agency:
            self.check_named(case, fields.agency)
        case.blocking += fields.blocking

    def do_task_done(self, agency, case, fields, other):
        self.want(case.state in WORKING)
        task = case.tasks.get(fields.task_id)
        self.want(task and task[0])
        task[0] = False
        case.blocking -= task[1]

    do_task_cancel = do_task_done


class Walker:
    """Sends one command at a time, and knows what must come back."""
    NEXT = {"NEW": "triage", "TRIAGED": "assign refer", "ASSIGNED": "start resolve refer assign", "IN_PROGRESS": "hold resolve refer resolve",
            "ON_HOLD": "resume resume assign", "REFERRED": "accept_referral decline_referral resume accept_referral resolve",
            "RESOLVED": "close reopen", "CLOSED": "reopen", "REOPENED": "triage assign", "MERGED": "note"}
    SIDE = "number link note task_add task_done task_cancel evidence".split()
    ALL = sorted({a for words in NEXT.values() for a in words.split()}) + SIDE + ["merge"]

    def __init__(self, number, pb, cases, chance):
        self.number, self.pb, self.chance = number, pb, chance
        self.model = Model(cases)
        self.waiting = list(cases[AT_HAND:])
        self.hand = list(cases[:AT_HAND])
        self.sent = []
        self.key = self.command = self.expected = None

    def next(self):
        """(key, command) to be sent; the expected answer is kept."""
        chance = self.chance
        if self.sent and chance.random() < 0.06:
            self.key, self.command = chance.choice(self.sent[-30:])
            if chance.random() < 0.25:  # the same id, other content or another sender
                changed = self.pb.CaseCommand()
                changed.CopyFrom(self.command)
                changed.version += 1
                self.command = changed
                self.key = chance.choice(list(DESKS))
        else:
            self.key, self.command = self.make()
            self.sent.append((self.key, self.command))
        self.expected = self.model.answer(self.key, self.command)
        return self.key, self.command

    def make(self):
        chance = self.chance
        case = chance.choice(self.hand)
        case.tried += case.state == "MERGED"
        if case.tried > 4 and self.waiting:
            self.hand[self.hand.index(case)] = self.waiting.pop()
        lucky = chance.random() < 0.75
        action = chance.choice(self.NEXT[case.state].split()) if lucky else chance.choice(self.ALL)
        command = self.pb.CaseCommand(command_id=chance.randbytes(16), case_id=case.id, version=case.version)
        if chance.random() < 0.08:
            command.version = chance.choice([0, case.version - 1, case.version + 1, 2 ** 31 - 2])
        if chance.random() < 0.01:
            command.case_id = chance.randbytes(16)
        getattr(command, action).SetInParent()
        getattr(self, "fill_" + action, self.fill_move)(getattr(command, action), case)
        key = chance.choice(["own", "all", "ems"]) if chance.random() < 0.9 else chance.choice(list(DESKS))
        if action in ("accept_referral", "decline_referral") and case.referred and chance.random() < 0.7:
            key = next(k for k, (_, a) in DESKS.items() if a == case.referred)
        return key, command

    def fill_move(self, fields, case):
        if self.chance.random() < 0.9:
            fields.reason = "a reason"

    def fill_assign(self, fields, case):
        pick = self.chance.random()
        if pick < 0.4:
            fields.desk = self.chance.choice([d for d, _ in DESKS.values()] + ["NOWHERE"])
        elif pick < 0.7:
            fields.agency = self.chance.choice([a for _, a in DESKS.values()] + ["NOBODY"])

    def fill_refer(self, fields, case):
        if self.chance.random() < 0.75:
            fields.agency = self.chance.choice(["OWN", "ALLA", "EMS", "EMS", "FARA", "SEEA"])
        else:
            fields.service = "COUNSELLING"

    def fill_resolve(self, fields, case):
        fields.disposition = self.chance.choice([0, 1, 1, 2, 4, 4])

    def fill_merge(self, fields, case):
        other = self.chance.choice(self.hand)
        fields.into_id = other.id if self.chance.random() < 0.95 else self.chance.randbytes(16)
        if self.chance.random() < 0.3:
            fields.into_version = other.version + self.chance.choice([0, 0, 1])

    def fill_link(self, fields, case):
        fields.other_id = self.chance.choice(self.hand).id
        fields.relation = self.chance.randint(1, 6)

    def fill_number(self, fields, case):
        if self.chance.random() < 0.95:
            fields.number = f"{self.number}/{self.chance.randint(1, 12)}"

    def fill_note(self, fields, case):
        fields.text, fields.language = self.chance.choice(["", "seen", "imeonekana", "seen"]), "sw"

    def fill_task_add(self, fields, case):
        fields.title, fields.blocking = "do it", self.chance.random() < 0.3
        fields.due_us = self.chance.choice([0, 10 ** 15, -1])
        if self.chance.random() < 0.3:
            fields.agency = self.chance.choice(["EMS", "FARA", "SEEA"])

    def fill_task_done(self, fields, case):
        ids = [i for c in self.hand for i in c.tasks] + [self.chance.randbytes(16)]
        own = list(case.tasks)
        fields.task_id = self.chance.choice(own if own and self.chance.random() < 0.8 else ids)

    fill_task_cancel = fill_task_done

    def fill_evidence(self, fields, case):
        fields.digest, fields.location, fields.media_type = bytes(32), "s3://x/y", "image/png"

    def check(self, test, answer, sent_again):
        """Compares; a command that was sent again after a kill may have been done by its first sending."""
        if answer.DESCRIPTOR.name == "CommandDone":
            got = "done", answer.state, answer.version, answer.repeated
            if sent_again and self.expected[0] == "done":
                got = (*got[:3], self.expected[3])
            if self.command.WhichOneof("action") == "task_add" and self.expected[0] == "done":
                case = self.model.cases[self.command.case_id]
                case.tasks.setdefault(answer.thing_id, [True, self.command.task_add.blocking])
        else:
            got = "refused", self.pb.Code.Name(answer.code)[5:]
        if got != self.expected:
            test.fail(f"walker {self.number}: {self.key} sends {self.command}expected {self.expected}, got {got}: {answer}")


class WalkTest(unittest.TestCase):
    def setUp(self):
        self.seed = int(os.environ.get("JUKWAA_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)
        print(f"JUKWAA_TEST_SEED={self.seed}")
        self.chance = random.Random(self.seed)
        self.pb = protos()
        self.stack = Stack(services=("cases",))
        self.addCleanup(self.stack.stop)
        self.keys = self.make_desks()
        self.peers = {}
        self.addCleanup(lambda: [peer.close() for peer in self.peers.values()])

    def make_desks(self):
        stack = self.stack
        owner, see = Party(stack, "OWN"), Party(stack, "SEEA")
        keys = {}
        for key, (desk, agency) in DESKS.items():
            allow = ((),) if key in ("all", "ems") else (("--county", "001"),) if key == "far" else ()
            keys[key] = stack.add_desk(desk, agency=agency, allow=allow)
        agree(stack, "OWN-SEE", owner, see, "FULL@1", actions=["VIEW", "CASE"])
        stack.wait_known(keys["blind"], "cases", 20)
        return keys

    def make_walkers(self):
        walkers = []
        for number in range(WALKERS):
            cases, copies = [], []
            for _ in range(CASES_EACH):
                counties = self.chance.choice([("001",), ("047",), ("001", "047"), ("001", "023", "047")])
                event = Event(counties=counties, agency="OWN")
                copies += [(county, kind, event) for county, kind in event.copies()]
                cases.append(Case(event.incident, counties, 0))
            append(self.stack, copies=copies)
            walkers.append(Walker(number, self.pb, cases, self.chance))
        self.wait_applied()
        versions = dict(self.stack.sql('SELECT case_id::text, version FROM cases."case"'))
        for walker in walkers:
            for case in walker.model.cases.values():
                case.version = case.opened = versions[str(uuid.UUID(bytes=case.id))]
        return walkers

    def wait_applied(self):
        wait_until(lambda: self.stack.sql(
            "SELECT count(*) = 0 FROM feed.head h LEFT JOIN cases.cursor c USING (stream)"
            " WHERE h.stream ~ '^[0-9]' AND h.last_seq <> coalesce(c.seq, 0)")[0][0], 120, "cases has applied the feed")

    def connect(self):
        for peer in self.peers.values():
            peer.close()
        self.peers = {key: self.stack.peer("cases", path) for key, path in self.keys.items()}
        for peer in self.peers.values():
            self.assertIsNotNone(peer.hello(timeout=10))

    def send(self, walker):
        message = self.pb.CaseCommand()
        message.CopyFrom(walker.command)
        message.request = walker.number + 1
        self.peers[walker.key].send("CASE_COMMAND", message)

    def walk(self, walkers, count, counts):
        """Until so many commands have been answered as foretold."""
        poller = zmq.Poller()
        for peer in self.peers.values():
            poller.register(peer.socket, zmq.POLLIN)
        by_socket = {peer.socket: peer for peer in self.peers.values()}
        done, under_way = 0, 0
        for walker in walkers:
            if walker.command is None:
                walker.next()
            self.send(walker)
            under_way += 1
        while under_way:
            ready = poller.poll(10000)
            self.assertTrue(ready, "no answer within 10 s")
            for socket, _ in ready:
                while (got := by_socket[socket].receive(0)):
                    if got[0] == "PONG":
                        continue
                    walker = walkers[got[1].request - 1]
                    walker.check(self, got[1], walker.again)
                    counts[walker.expected[1] if walker.expected[0] == "refused" else "again" if walker.expected[3] else "done"] += 1
                    walker.command, walker.again = None, False
                    done, under_way = done + 1, under_way - 1
                    if done + under_way < count:
                        walker.next()
                        self.send(walker)
                        under_way += 1

    def check_stored(self, walkers):
        self.wait_applied()
        rows = {row[0]: row[1:] for row in self.stack.sql(
            'SELECT c.case_id::text, c.state, c.version, c.entries, c.blocking, c.took_in, c.merged_into::text,'
            ' (SELECT count(*) FROM cases.entry e WHERE e.case_id = c.case_id), (SELECT max(entry_no) FROM cases.entry e WHERE e.case_id ='
            ' c.case_id) FROM cases."case" c')}
        events = dict(self.stack.sql("SELECT incident_id::text, count(*) FROM feed.event WHERE kind = 9 GROUP BY 1"))
        mails = {}
        for incident, body in self.stack.sql("SELECT incident_id::text, body FROM feed.event WHERE stream = '@OWN' AND kind = 20 ORDER BY seq"):
            mails.setdefault(incident, []).append(self.pb.Acted.FromString(bytes(body)).step)
        for walker in walkers:
            for case in walker.model.cases.values():
                name = str(uuid.UUID(bytes=case.id))
                state = self.pb.CaseState.Value(f"CASE_STATE_{case.state}")
                self.assertEqual(rows[name], (state, case.version, case.entries, case.blocking, case.took_in,
                                              str(uuid.UUID(bytes=case.into)) if case.into else None, case.entries, case.entries))
                self.assertEqual(events.get(name, 0), case.moves * len(case.counties))
                self.assertEqual(mails.get(name, []), case.told)
        self.assertEqual(self.stack.services["cases"].metric("jukwaa_cases_unreadable_events_total"), 0)

    def test_every_answer_is_foretold(self):
        walkers = self.make_walkers()
        counts = dict.fromkeys(["done", "again", "NOT_FOUND", "NOT_PERMITTED", "STALE_VERSION", "WRONG_STATE", "RULE_VIOLATION", "TAKEN"], 0)
        for walker in walkers:
            walker.again = False
        self.connect()
        start = time.monotonic()
        self.walk(walkers, COMMANDS // 2, counts)
        spent = time.monotonic() - start
        # Killed with a command of each walker under way; sent again, under the same id.
        for walker in walkers:
            walker.next()
            self.send(walker)
            walker.again = True
        self.stack.services["cases"].kill()
        self.stack.services["cases"].start()
        self.connect()
        start = time.monotonic()
        self.walk(walkers, COMMANDS - COMMANDS // 2, counts)
        spent += time.monotonic() - start
        print(f"{sum(counts.values())} commands, {sum(counts.values()) / spent:.0f} a second: {counts}", file=sys.stderr)
        self.assertGreaterEqual(sum(counts.values()), COMMANDS)
        for what, count in counts.items():
            self.assertGreater(count, 0, what)
        self.assertGreater(counts["done"], COMMANDS // 4)
        self.check_stored(walkers)


if __name__ == "__main__":
    unittest.main()
