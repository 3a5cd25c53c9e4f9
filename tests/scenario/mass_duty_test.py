"""Duties under a storm: incidents come all the time, desks accept, decline, hand over, complete, are late or say nothing at all, two
dispatches are killed and links cut at random moments (10 s of it; 600 s with JUKWAA_TEST_LONG=1). Then a checker of its own goes
through the tables, the feed and what the desks saw: one holder at each moment, every offer ended, the publisher told each time
that nobody has a duty and only then, every answer true."""
import collections
import os
import random
import sys
import threading
import time
import unittest
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "service"))
import feed_events as feed
import zmq
from feed_events import Event, append
from jukwaa_harness import Peer, Service, Stack, free_port, protos, wait_until

pb = protos()
SECONDS = 600 if os.environ.get("JUKWAA_TEST_LONG") else 10
RATE = 6 if SECONDS > 60 else 12  # incidents a second
ANSWER_S, AGAIN_S = 1, 3
SLACK_S = 45 if SECONDS > 60 else 12  # a saying may be late by as long as both dispatches are away, and the machine is busy
COUNTIES = ("047", "022", "032")
OFFERED, ACCEPTED, DECLINED, TIMED_OUT, SKIPPED, UNANSWERED, HANDED_OVER, COMPLETED, WITHDRAWN = 2, 3, 4, 5, 6, 7, 8, 9, 10


class Desk(threading.Thread):
    """A desk's people and their client. Commands are repeated until they are answered, over links that are cut and to whichever
    dispatch is there; `said` has each of them with its answer."""

    def __init__(self, name, key, server_key, endpoints, others, seed):
        super().__init__(daemon=True)
        self.name_, self.key, self.server_key, self.endpoints, self.others = name, key, server_key, endpoints, others
        self.random = random.Random(seed)
        self.peer, self.halt, self.calm = None, False, False
        self.plans, self.said, self.pushed, self.cuts, self.failure = {}, [], 0, 0, None

    def run(self):
        try:
            while not self.halt:
                self.turn()
        except Exception as error:
            self.failure = error
            raise
        finally:
            self.hang_up()

    def hang_up(self):
        if self.peer:
            self.peer.close()
            self.peer = None

    def connect(self):
        while not self.peer and not self.halt:
            self.peer = Peer(self.random.choice(self.endpoints), self.key, self.server_key)
            if self.peer.hello(timeout=1.0) is None:
                self.hang_up()

    def turn(self):
        self.connect()
        self.take(0.05)
        due = [duty for duty, plan in self.plans.items() if plan[0] <= time.monotonic()]
        for duty in due:
            _, action, fields = self.plans.pop(duty, (0, None, None))
            if action:
                self.command(duty, action, fields)
        if not self.calm and self.random.random() < 0.004:
            self.cuts += 1
            self.hang_up()

    def take(self, timeout):
        """One message; an answer is returned."""
        if not self.peer:
            return None
        try:
            got = self.peer.receive(timeout)
        except zmq.ZMQError:
            got = None
        if got is None:
            if self.random.random() < 0.02:
                self.peer.send("PING", pb.Ping())
            return None
        kind, message = got
        if kind in ("BAD_SESSION", "BYE"):
            self.hang_up()
        elif kind == "OFFERED":
            self.pushed += 1
            self.plan(message)
        return message if kind in ("COMMAND_DONE", "REFUSED") else None

    def plan(self, offer):
        """What the people do about it, and when."""
        duty, luck, now = uuid.UUID(bytes=offer.duty_id), self.random.random(), time.monotonic()
        if offer.standing != 1:
            return
        if self.calm or luck < 0.3:
            self.plans[duty] = (now + self.random.random() * 0.3, "accept", {})
        elif luck < 0.5:
            self.plans[duty] = (now + self.random.random() * 0.3, "decline", {"reason": "no car"})
        elif luck < 0.62:
            self.plans[duty] = (now + ANSWER_S + self.random.random() * 2, "accept", {})  # too late, perhaps

    def plan_held(self, duty):
        luck, now = self.random.random(), time.monotonic()
        if luck < 0.3:
            self.plans[duty] = (now + self.random.random() * 2, "complete", {"disposition": 1})
        elif luck < 0.6:
            self.plans[duty] = (now + self.random.random() * 2, "hand_over", {"desk": self.random.choice(self.others)})
        elif luck < 0.63:
            self.plans[None] = (now + self.random.random(), "hand_over_all", {"desk": self.random.choice(self.others)})

    def command(self, duty, action, fields):
        message = pb.OfferCommand(command_id=os.urandom(16), duty_id=duty.bytes if duty else b"")
        getattr(message, action).SetInParent()
        for name, value in fields.items():
            setattr(getattr(message, action), name, value)
        began, answer, end = time.time(), None, time.monotonic() + 60
        while answer is None and time.monotonic() < end:
            answer = self.try_once(message)
        assert answer is not None or self.halt, f"{self.name_}: no answer to {action} within 60 s"
        if answer is None:
            return
        done = answer.DESCRIPTOR.name == "CommandDone"
        self.said.append((began, time.time(), duty, action, message.command_id, "DONE" if done else pb.Code.Name(answer.code)[5:], done and answer.repeated))
        if done and action == "accept" and not self.calm:
            self.plan_held(duty)

    def try_once(self, message):
        self.connect()
        if not self.peer:
            return None
        message.session, message.request = self.peer.session, self.random.getrandbits(40)
        self.peer.send("OFFER_COMMAND", message)
        if not self.calm and self.random.random() < 0.05:  # cut before the answer
            self.cuts += 1
            self.hang_up()
            return None
        end = time.monotonic() + 2
        while self.peer and time.monotonic() < end:
            answer = self.take(0.2)
            if answer is not None and answer.request == message.request:
                return None if answer.DESCRIPTOR.name == "Refused" and answer.code == pb.CODE_UNAVAILABLE else answer
        self.hang_up()
        return None


class MassDutyTest(unittest.TestCase):
    def setUp(self):
        self.seed = int(os.environ.get("JUKWAA_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)
        print(f"JUKWAA_TEST_SEED={self.seed}", flush=True)
        self.random = random.Random(self.seed)
        self.stack = stack = Stack(services=("dispatch",))
        self.addCleanup(stack.stop)
        stack.add_publisher("KPS")
        for table in ("duty_rule", "escalation"):  # seconds that no operator may set
            for name, in stack.sql("SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'c'"
                                   " AND pg_get_constraintdef(oid) ~ '_s '", f"registry.{table}"):
                stack.sql(f"ALTER TABLE registry.{table} DROP CONSTRAINT {name}")
        names = [f"D{i}" for i in range(7)]
        keys = {name: stack.add_desk(name, agency="NPS") for name in names}
        stack.add_desk("BLIND", agency="NPS", allow=())
        stack.admin("duty", "rule", "add", "--discipline", "POLICE", "--category", "TRANSPORT", "--answer", "5", "--again", "5")
        stack.admin("duty", "rule", "add", "--discipline", "FIRE", "--category", "TRANSPORT", "--severity", "EXTREME", "--answer", "5", "--again", "5")
        stack.sql("UPDATE registry.duty_rule SET answer_s = %s, again_s = %s", ANSWER_S, AGAIN_S)
        self.lists = {"POLICE": {"047": ("D0", "BLIND", "D1"), "022": ("D2", "D3"), "032": ("D4", "D0")}, "FIRE": {"047": ("D5", "D6"), "032": ("D6",)}}
        for discipline, counties in self.lists.items():
            for county, desks in counties.items():
                for rank, desk in enumerate(desks):
                    stack.admin("duty", "desk", "add", "--county", county, "--discipline", discipline, "--desk", desk, "--rank", str(rank))
        for key in keys.values():
            stack.wait_known(key, "dispatch")
        port, http = free_port(), free_port()
        second = Service("dispatch", {**stack.services["dispatch"].env, "JUKWAA_LISTEN": f"tcp://127.0.0.1:{port}",
                                      "JUKWAA_HTTP_LISTEN": f"127.0.0.1:{http}"}, http).start()
        self.addCleanup(second.kill)
        self.services = [stack.services["dispatch"], second]
        endpoints = [stack.endpoints["dispatch"], f"tcp://127.0.0.1:{port}"]
        self.desks = [Desk(name, keys[name], f"{stack.server_key}.pub", endpoints, [n for n in names if n != name],
                           self.random.random()) for name in names]
        self.ids = dict(stack.sql("SELECT code, desk_id FROM registry.desk"))

    def rows(self, what):
        return self.stack.sql(what)

    def storm(self):
        """The events, and how often each dispatch was killed."""
        events, kills, began = [], 0, time.monotonic()
        cancelled, kill_at, sent = set(), began + self.random.uniform(1, 3), 0
        while time.monotonic() < began + SECONDS:
            time.sleep(max(0, began + sent / RATE - time.monotonic()))
            event = Event(counties=self.random.sample(COUNTIES, self.random.choice((1, 1, 2))), severity=self.random.choice((1, 2, 3)))
            append(self.stack, event)
            events.append(event)
            sent += 1
            if self.random.random() < 0.08:
                old = self.random.choice(events)
                if old.incident not in cancelled:
                    cancelled.add(old.incident)
                    append(self.stack, Event(feed.CANCEL, old.counties, old.incident, revision=2))
            if time.monotonic() >= kill_at:
                victim = self.services[kills % 2]
                victim.kill()
                victim.start(ready=False)
                kills += 1
                kill_at = time.monotonic() + self.random.uniform(1.5, 6)
        self.cancelled = {str(incident) for incident in cancelled}
        return events, kills

    def test_a_storm(self):
        for desk in self.desks:
            desk.start()
        events, kills = self.storm()
        for desk in self.desks:
            desk.calm = True
        for service in self.services:
            service.wait_ready(60)
        wait_until(lambda: self.rows("SELECT count(*) = 0 FROM dispatch.duty WHERE state IN (0, 1, 2, 4) OR asked IS NOT NULL")[0][0], 300,
                   "every duty has a holder, or is done")
        for desk in self.desks:
            desk.halt = True
        for desk in self.desks:
            desk.join(90)
            self.assertIsNone(desk.failure)
        self.said = [(desk.name_, *said) for desk in self.desks for said in desk.said]
        self.load()
        for check in (lambda: self.check_duties(events), self.check_history, self.check_offers, self.check_mails, self.check_events,
                      self.check_answers, lambda: self.report(events, kills)):
            with self.subTest(check=check):
                check()

    # ---- the checker: knows nothing of how dispatch does it

    def load(self):
        seconds = "extract(epoch FROM {})::float8"
        self.duties = {row[0]: row[1:] for row in self.rows(
            "SELECT duty_id::text, incident_id::text, county, discipline, state, holder, times, " + seconds.format("opened_at") + " FROM dispatch.duty")}
        self.entries = collections.defaultdict(list)
        for duty, number, at, action, by, desk, command, event in self.rows(
                "SELECT duty_id::text, entry_no, " + seconds.format("at") + ", action, by_desk, desk_id, command_id::text, event_id::text"
                " FROM dispatch.duty_entry ORDER BY duty_id, entry_no"):
            self.assertEqual(number, len(self.entries[duty]) + 1, "a line of the history is missing")
            self.entries[duty].append((at, action, by, desk, command, event))
        self.offers = collections.defaultdict(list)
        for duty, number, desk, by, at, due, ended, ending, round_ in self.rows(
                "SELECT duty_id::text, offer_no, desk_id, by_desk, " + ", ".join(seconds.format(c) for c in ("at", "due_at", "ended_at")) +
                ", ending, round FROM dispatch.duty_offer ORDER BY duty_id, offer_no"):
            self.assertEqual(number, len(self.offers[duty]) + 1)
            self.offers[duty].append((desk, by, at, due, ended, ending, round_))
        self.holdings = collections.defaultdict(list)
        for duty, desk, since, until in self.rows(
                "SELECT duty_id::text, desk_id, " + seconds.format("since") + ", " + seconds.format("until") + " FROM dispatch.duty_holding"
                " ORDER BY duty_id, holding_no"):
            self.holdings[duty].append((desk, since, until))

    def check_duties(self, events):
        """Each incident has the duties that the rules ask for, in each of its counties, once."""
        wanted = {(str(e.incident), county, discipline) for e in events for county in e.counties
                  for discipline in (("POLICE", "FIRE") if e.severity == 1 else ("POLICE",))}
        found = collections.Counter(duty[:3] for duty in self.duties.values())
        self.assertEqual(set(found) - wanted, set())
        # What is cancelled in the same breath needs nobody.
        self.assertEqual({missing for missing in wanted - set(found) if missing[0] not in self.cancelled}, set())
        self.assertEqual(max(found.values()), 1)

    def check_history(self):
        """Who holds, by the history alone, is who the holdings say, one at a time and without a hole at a hand-over."""
        for duty, lines in self.entries.items():
            holder, spans = None, []
            for at, action, by, desk, _, _ in lines:
                if action == ACCEPTED:
                    self.assertIsNone(holder, (duty, lines))
                    holder = desk
                    spans.append([desk, at, None])
                elif action == HANDED_OVER:
                    self.assertNotIn(holder, (None, desk), (duty, lines))
                    spans[-1][2] = at
                    holder = desk
                    spans.append([desk, at, None])
                elif action in (COMPLETED, WITHDRAWN):
                    if holder is not None:
                        spans[-1][2] = at
                    if action == COMPLETED:
                        self.assertEqual(by, holder)
                    holder = None
                elif action == UNANSWERED:
                    self.assertIsNone(holder, "told that nobody has it, while somebody did")
            self.assertEqual([tuple(s) for s in spans], self.holdings[duty])
            self.assertEqual(self.duties[duty][4], holder)
            for (_, _, until), (_, since, _) in zip(spans, spans[1:]):
                self.assertLessEqual(until, since)
            self.assertEqual([line[0] for line in lines], sorted(line[0] for line in lines))

    def check_offers(self):
        """One desk at a time, in the operator's order, each offer ended, none before its time."""
        for duty, offers in self.offers.items():
            order = self.order(duty)
            before, rounds = None, collections.defaultdict(list)
            for desk, by, at, due, ended, ending, round_ in offers:
                self.assertIsNotNone(ended, (duty, offers))
                if before is not None:
                    self.assertLessEqual(before, at, "two offers at one time")
                before = ended
                if ending == 3:
                    self.assertGreaterEqual(ended, due, "ended before its time")
                if by is None:
                    rounds[round_].append(desk)
                    self.assertEqual(ending == 4, desk == self.ids["BLIND"])
            for asked in rounds.values():
                self.assertEqual(asked, [self.ids[d] for d in order][:len(asked)])

    def order(self, duty):
        """Whom a round asks: the county's desks, then those of its neighbours, each once."""
        county, discipline = self.duties[duty][1:3]
        if not hasattr(self, "neighbours"):
            self.neighbours = collections.defaultdict(list)
            for a, b in self.rows("SELECT DISTINCT a, b FROM (SELECT county, neighbour FROM registry.neighbour UNION"
                                  " SELECT neighbour, county FROM registry.neighbour) x (a, b) ORDER BY 1, 2"):
                self.neighbours[a].append(b)
        return list(dict.fromkeys(d for c in (county, *self.neighbours[county]) for d in self.lists[discipline].get(c, ())))

    def check_mails(self):
        """The publisher is told when everybody has been asked, every AGAIN_S from then on, and not at all once somebody has it."""
        mails = collections.defaultdict(list)
        for incident, body in self.rows("SELECT incident_id::text, body FROM feed.event WHERE stream = '@KPS' AND kind = 21 ORDER BY seq"):
            mail = pb.Unanswered.FromString(bytes(body))
            mails[incident, mail.county, mail.discipline].append(mail.times)
        self.lateness, self.sayings = [], 0
        for duty, lines in self.entries.items():
            told = mails.pop(self.duties[duty][:3], [])
            said = [at for at, action, *_ in lines if action == UNANSWERED]
            self.sayings += len(said)
            self.assertEqual(told, list(range(1, len(said) + 1)), "each time once")
            for first, second in zip(said, said[1:]):
                self.assertGreaterEqual(second - first, AGAIN_S)
                self.lateness.append(second - first - AGAIN_S)
            end = next((at for at, action, *_ in lines if action in (ACCEPTED, WITHDRAWN)), None)
            if said:
                self.assertLess(max(end - said[-1], 0), AGAIN_S + SLACK_S, "it was due to be told again")
                asked = {desk for desk, by, at, *_ in self.offers[duty] if by is None and at <= said[0]}
                self.assertEqual(asked, {self.ids[d] for d in self.order(duty)}, "told before everybody was asked")
        self.assertEqual(mails, {})
        self.assertLess(max(self.lateness, default=0), SLACK_S)

    def check_events(self):
        """Each line of the history that has an event has it in each county of the incident, and no event is without its line."""
        lines = collections.Counter(line[5] for lines in self.entries.values() for line in lines if line[5])
        self.assertEqual(max(lines.values()), 1)
        counties = collections.defaultdict(set)
        for stream, event in self.rows("SELECT stream, event_id::text FROM feed.event WHERE kind = 10"):
            self.assertNotIn(stream, counties[event])
            counties[event].add(stream)
        self.assertEqual(set(counties), set(lines))
        where = {incident: set(streams) for incident, streams in self.rows(
            "SELECT incident_id::text, array_agg(stream) FROM dispatch.open_incident GROUP BY 1")}
        for duty, its in self.entries.items():
            for line in its:
                if line[5]:
                    self.assertEqual(counties[line[5]], where[self.duties[duty][0]])
                else:
                    self.assertIn(line[1], (0, SKIPPED))

    def check_answers(self):
        """What desks were answered is what happened: done once; TAKEN while another desk had it."""
        done = collections.Counter()
        by_command = {line[4]: (duty, line) for duty, lines in self.entries.items() for line in lines if line[4]}
        for desk, began, ended, duty, action, command_id, answer, repeated in self.said:
            command = str(uuid.UUID(bytes=command_id))
            done[action, answer] += 1
            if answer == "DONE" and action != "hand_over_all" and command in by_command:
                where, line = by_command.pop(command)
                self.assertEqual((where, line[2]), (str(duty), self.ids[desk]))
            elif answer == "DONE" and action == "accept":  # it had it already
                self.assertTrue(repeated and any(self.ids[desk] == d for d, _, _ in self.holdings[str(duty)]), (desk, duty))
            elif answer == "TAKEN":
                self.assertTrue(any(d != self.ids[desk] and since <= ended + 1 and (until is None or until >= began - 1)
                                    for d, since, until in self.holdings[str(duty)]), (desk, duty, self.holdings[str(duty)]))
            elif answer != "DONE":
                self.assertNotIn(command, by_command, "refused, and done all the same")
                self.assertIn(answer, ("WRONG_STATE", "NOT_PERMITTED", "TAKEN"), (desk, duty, action))
        self.assertEqual(by_command, {}, "done without an answer")
        self.done = done

    def report(self, events, kills):
        waits = sorted(next((o[2] for o in self.offers[duty]), 0) - self.duties[duty][6] for duty in self.duties if self.offers[duty])
        actions = collections.Counter(line[1] for lines in self.entries.values() for line in lines)
        print(f"{SECONDS} s: {len(events)} incidents, {len(self.duties)} duties, {sum(map(len, self.offers.values()))} offers,"
              f" {actions[ACCEPTED]} accepted, {actions[HANDED_OVER]} handed over, {actions[COMPLETED]} completed, {actions[WITHDRAWN]} withdrawn,"
              f" {actions[TIMED_OUT]} timed out, {self.sayings} sayings (late by {max(self.lateness, default=0):.1f} s at most), {kills} kills,"
              f" {sum(d.cuts for d in self.desks)} cuts, {len(self.said)} commands, {sum(d.pushed for d in self.desks)} pushes;"
              f" answers: {dict(sorted((' '.join(k), v) for k, v in self.done.items()))}", flush=True)
        self.assertGreater(kills, 0)
        for action in (ACCEPTED, DECLINED, TIMED_OUT, SKIPPED, UNANSWERED, COMPLETED, WITHDRAWN):
            self.assertGreater(actions[action], 0, action)


if __name__ == "__main__":
    unittest.main()
