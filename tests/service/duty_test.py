"""Duties: the real dispatch on a real database. Incidents are written into the feed by hand, desks are clients made from the .proto
files; times come by moving the rows that hold them, not by waiting."""
import json
import os
import random
import time
import unittest
import uuid

import feed_events as feed
from feed_events import UPDATE, Event, append
from jukwaa_harness import Peer, Service, Stack, free_port, protos, wait_until
from open_incident_test import CLOSED, ERASED, MERGED, REOPENED, work_event

pb = protos()
NAMES = ("NAIROBI", "KILIMANI", "KIAMBU")  # asked in this order; the last is a neighbour's (022)
WORDS = {1: "OPENED", 2: "OFFERED", 3: "ACCEPTED", 4: "DECLINED", 5: "TIMED_OUT", 6: "SKIPPED", 7: "UNANSWERED", 8: "HANDED_OVER",
         9: "COMPLETED", 10: "WITHDRAWN", 11: "ESCALATED"}
STATES = {0: "NONE", 1: "WAITING", 2: "OFFERED", 3: "HELD", 4: "UNANSWERED", 5: "COMPLETED", 6: "WITHDRAWN"}
LONG_S = 3600


def setUpModule():
    global stack, keys, desks
    stack = Stack(services=("dispatch",))
    stack.add_publisher("KPS")
    keys = {name: stack.add_desk(name, agency="NPS") for name in (*NAMES, "RELIEF", "COMMISSIONER")}
    keys["BLIND"] = stack.add_desk("BLIND", agency="NPS", allow=())
    rule("POLICE")
    for rank, name in enumerate(("BLIND", *NAMES)):
        duty_desk(name, "022" if name == "KIAMBU" else "047", rank=rank)
    desks = dict(stack.sql("SELECT code, desk_id FROM registry.desk"))
    for key in keys.values():
        stack.wait_known(key, "dispatch")


def tearDownModule():
    stack.stop()


def rule(discipline, answer_s=LONG_S, again_s=LONG_S, **options):
    stack.admin("duty", "rule", "add", "--discipline", discipline, "--category", options.pop("category", "TRANSPORT"), "--answer", str(answer_s),
                "--again", str(again_s), *[x for k, v in options.items() for x in (f"--{k}", str(v))])


def duty_desk(name, county="047", discipline="POLICE", rank=100):
    stack.admin("duty", "desk", "add", "--county", county, "--discipline", discipline, "--desk", name, "--rank", str(rank))


class Desk:
    """A desk's client: its session, and the offers that were pushed to it. endpoint: of another dispatch."""

    def __init__(self, test, name, endpoint=None):
        self.name, self.offers = name, []
        self.peer = Peer(endpoint or stack.endpoints["dispatch"], keys[name], f"{stack.server_key}.pub")
        test.addCleanup(self.peer.close)
        wait_until(self.peer.hello, what="session")

    def expect(self, *kinds, timeout=8):
        """The next message of these kinds; pushes are kept."""
        end = time.monotonic() + timeout
        while True:
            message = self.peer.expect(*kinds, "OFFERED", timeout=max(0.01, end - time.monotonic()))
            if message.DESCRIPTOR.name != "Offered" or "OFFERED" in kinds:
                return message
            self.offers.append(message)

    def offered(self, duty_id, timeout=8):
        """The push about this duty."""
        end = time.monotonic() + timeout
        while True:
            for offer in self.offers:
                if offer.duty_id == duty_id.bytes:
                    self.offers.remove(offer)
                    return offer
            self.offers.append(self.expect("OFFERED", timeout=end - time.monotonic()))

    def send(self, duty_id, action, command_id=None, version=0, **fields):
        message = pb.OfferCommand(request=random.getrandbits(40), command_id=command_id or os.urandom(16), version=version)
        if duty_id:
            message.duty_id = duty_id.bytes
        getattr(message, action).SetInParent()
        for name, value in fields.items():
            setattr(getattr(message, action), name, value)
        self.peer.send("OFFER_COMMAND", message)
        return message.request

    def do(self, *args, **kwargs):
        """CommandDone or Refused."""
        request = self.send(*args, **kwargs)
        answer = self.expect("COMMAND_DONE", "REFUSED")
        assert answer.request == request, answer
        return answer

    def list(self, what="OPEN", **fields):
        self.peer.send("OFFER_LIST", pb.OfferList(request=7, filter=pb.OfferFilter.Value(f"OFFER_FILTER_{what}"), **fields))
        return self.expect("OFFER_LISTED", "REFUSED")


class DutyTest(unittest.TestCase):
    def open(self, **fields):
        """An incident with its duty; (event, duty_id)."""
        event = Event(**fields)
        append(stack, event)
        return event, self.duty_of(event)

    def duty_of(self, event, discipline="POLICE", county="047"):
        return uuid.UUID(wait_until(lambda: stack.sql(
            "SELECT duty_id::text FROM dispatch.duty WHERE incident_id = %s AND discipline = %s AND county = %s AND state > 0",
            str(event.incident), discipline, county), what="duty")[0][0])

    def row(self, duty_id):
        names = ("state", "holder", "asked", "version", "times")
        values = stack.sql(f"SELECT {', '.join(names)} FROM dispatch.duty WHERE duty_id = %s", str(duty_id))[0]
        row = dict(zip(names, values))
        return {**row, "state": STATES[row["state"]]}

    def wait(self, duty_id, state, **fields):
        """Until the duty stands there; desks by name."""
        fields = {k: desks.get(v, v) for k, v in fields.items()}
        def check():
            row = self.row(duty_id)
            return row["state"] == state and all(row[k] == v for k, v in fields.items()) and row
        return wait_until(check, what=f"{state} {fields}; it is {self.row(duty_id)}")

    def history(self, duty_id):
        """[(action, desk)] from the table."""
        codes = {v: k for k, v in desks.items()}
        return [(WORDS.get(action, ""), codes.get(desk, "")) for action, desk in stack.sql(
            "SELECT action, desk_id FROM dispatch.duty_entry WHERE duty_id = %s ORDER BY entry_no", str(duty_id))]

    def time_passes(self, duty_id, *columns):
        """The times of the duty have come. The version moves, as with every change."""
        sets = ", ".join(f"{c} = clock_timestamp()" for c in columns or ("due_at",))
        stack.sql(f"UPDATE dispatch.duty SET version = version + 1, {sets} WHERE duty_id = %s", str(duty_id))

    def mails(self, event, kind):
        """Mails to KPS about the incident, unpacked."""
        message = {19: pb.Opened, 20: pb.Acted, 21: pb.Unanswered}[kind]
        return [message.FromString(bytes(body)) for body, in stack.sql(
            "SELECT body FROM feed.event WHERE stream = '@KPS' AND incident_id = %s AND kind = %s ORDER BY seq", str(event.incident), kind)]

    def steps(self, event, county="047"):
        """The duty's steps as events of the county's stream: [(action, desk)]."""
        works = []
        for body, in stack.sql("SELECT body FROM feed.event WHERE stream = %s AND incident_id = %s AND kind = 10 ORDER BY seq", county,
                               str(event.incident)):
            group = pb.EventBody.FromString(bytes(body)).groups[-1]
            self.assertEqual(group.tag, 14)
            works.append(pb.Work.FromString(group.content).duty_step)
        return [(WORDS[w.action], w.desk) for w in works]

    def refused(self, answer, code, field=None):
        self.assertEqual(answer.DESCRIPTOR.name, "Refused", answer)
        self.assertEqual(pb.Code.Name(answer.code), f"CODE_{code}", answer)
        if field is not None:
            self.assertEqual(answer.field, field)

    def done(self, answer, state, repeated=False):
        self.assertEqual(answer.DESCRIPTOR.name, "CommandDone", answer)
        self.assertEqual((answer.state, answer.repeated), (state, repeated), answer)
        return answer


class WholeWayTest(DutyTest):
    def test_from_desk_to_desk_to_the_neighbour_and_back_to_the_publisher(self):
        first, second, third = (Desk(self, name) for name in NAMES)
        event, duty = self.open(severity=2)
        offer = first.offered(duty)
        self.assertEqual((offer.county, offer.discipline, offer.agency, offer.severity, list(offer.categories), offer.incident_id),
                         ("047", "POLICE", "KPS", 2, [9], event.incident.bytes))
        self.assertEqual(pb.OfferStanding.Name(offer.standing), "OFFER_STANDING_ASKED")
        self.done(first.do(duty, "decline", reason="all cars are out"), "WAITING")
        second.offered(duty)
        self.time_passes(duty)
        third.offered(duty)
        self.assertEqual(self.mails(event, 21), [])
        self.time_passes(duty)
        self.wait(duty, "UNANSWERED", times=1)
        mail, = self.mails(event, 21)
        self.assertEqual((mail.county, mail.discipline, mail.desks_asked, mail.times), ("047", "POLICE", 3, 1))
        self.time_passes(duty, "say_at")
        first.offered(duty)  # all are asked again
        self.assertEqual([m.times for m in self.mails(event, 21)], [1, 2])
        self.done(third.do(duty, "accept"), "HELD")  # too late, but nobody has it
        self.wait(duty, "HELD", holder="KIAMBU", asked=None)
        history = [
            ("OPENED", ""), ("SKIPPED", "BLIND"), ("OFFERED", "NAIROBI"), ("DECLINED", "NAIROBI"), ("OFFERED", "KILIMANI"),
            ("TIMED_OUT", "KILIMANI"), ("OFFERED", "KIAMBU"), ("TIMED_OUT", "KIAMBU"), ("UNANSWERED", ""), ("UNANSWERED", ""),
            ("SKIPPED", "BLIND"), ("OFFERED", "NAIROBI"), ("ACCEPTED", "KIAMBU")]
        self.assertEqual(self.history(duty), history)
        self.assertEqual(self.steps(event), history[:10] + history[11:])  # who is passed over again is not said again
        acted, = self.mails(event, 20)
        self.assertEqual((acted.step, acted.desk, acted.agency, acted.discipline), ("ACCEPTED", "KIAMBU", "NPS", "POLICE"))
        self.done(third.do(duty, "complete", disposition=1), "COMPLETED")
        self.assertEqual([m.step for m in self.mails(event, 20)], ["ACCEPTED", "COMPLETED"])


class RefusalTest(DutyTest):
    def setUp(self):
        self.first, self.second = Desk(self, "NAIROBI"), Desk(self, "KILIMANI")
        self.event, self.duty = self.open()
        self.first.offered(self.duty)
        self.before = self.row(self.duty)
        self.addCleanup(lambda: self.assertEqual(self.row(self.duty), self.before, "a refusal changed something"))

    def test_what_is_not_there_and_what_is_not_for_you_are_one(self):
        other = Desk(self, "RELIEF")
        answers = [other.do(self.duty, "accept"), other.do(uuid.uuid4(), "accept"), self.second.do(self.duty, "accept"),
                   self.second.do(self.duty, "decline", reason="no"), other.do(self.duty, "acknowledge"),
                   Desk(self, "BLIND").do(self.duty, "accept")]
        for answer in answers:
            self.refused(answer, "NOT_FOUND", "duty_id")
            answer.request = 0
        self.assertEqual(len({a.SerializeToString() for a in answers}), 1)

    def test_what_is_missing_or_no_such_thing(self):
        desk = self.first
        self.refused(desk.do(None, "accept"), "RULE_VIOLATION", "duty_id")
        self.refused(desk.do(self.duty, "decline"), "RULE_VIOLATION", "reason")
        self.refused(desk.do(self.duty, "decline", reason="x" * 201), "OVERSIZE", "reason")
        self.refused(desk.do(self.duty, "decline", reason="x" * 100000), "OVERSIZE")
        self.refused(desk.do(self.duty, "hand_over", desk="KIAMBU"), "WRONG_STATE")
        self.refused(desk.do(self.duty, "hand_over"), "RULE_VIOLATION", "desk")
        self.refused(desk.do(self.duty, "complete"), "RULE_VIOLATION", "disposition")
        self.refused(desk.do(self.duty, "complete", disposition=1), "WRONG_STATE")
        self.refused(desk.do(self.duty, "hand_over_all", desk="KIAMBU"), "RULE_VIOLATION", "duty_id")
        self.refused(desk.do(None, "hand_over_all", desk="NOBODY"), "NOT_FOUND", "desk")
        self.refused(desk.do(None, "hand_over_all", desk="NAIROBI"), "RULE_VIOLATION", "desk")
        self.refused(desk.do(self.duty, "decline", reason="no", version=self.before["version"] + 1), "STALE_VERSION", "version")
        self.refused(desk.do(self.duty, "decline", reason="no", version=2 ** 32 - 1), "RULE_VIOLATION", "version")
        self.refused(desk.do(self.duty, "accept", command_id=bytes(16)), "RULE_VIOLATION", "command_id")
        self.refused(desk.do(self.duty, "accept", command_id=b"short"), "RULE_VIOLATION", "command_id")
        desk.peer.send("OFFER_COMMAND", pb.OfferCommand(request=1, command_id=os.urandom(16), duty_id=self.duty.bytes))
        self.refused(desk.expect("REFUSED"), "RULE_VIOLATION", "action")
        desk.peer.send("OFFER_COMMAND", pb.OfferCommand(request=1, command_id=os.urandom(16), duty_id=self.duty.bytes[:15],
                                                        accept=pb.OfferAccept()))
        self.refused(desk.expect("REFUSED"), "RULE_VIOLATION", "duty_id")

    def test_lists_that_are_none(self):
        self.refused(self.first.list(limit=201), "RULE_VIOLATION", "limit")
        for after in (b"x", b"\xff" * 24, bytes(25), b"\x80" + bytes(23)):
            self.refused(self.first.list(after=after), "RULE_VIOLATION", "after")

    def test_publishers_have_no_duties(self):
        key = stack.add_publisher("OTHER")
        stack.wait_known(key, "dispatch")
        peer = stack.peer("dispatch", key)
        self.addCleanup(peer.close)
        peer.hello()
        for kind, message in (("OFFER_COMMAND", pb.OfferCommand(request=1, command_id=os.urandom(16), duty_id=self.duty.bytes,
                                                                accept=pb.OfferAccept())), ("OFFER_LIST", pb.OfferList(request=1))):
            peer.send(kind, message)
            self.refused(peer.expect("REFUSED"), "NOT_PERMITTED")


class CommandTest(DutyTest):
    def setUp(self):
        self.first, self.second, self.third = (Desk(self, name) for name in NAMES)
        self.event, self.duty = self.open()
        self.first.offered(self.duty)

    def test_the_same_command_again_is_one(self):
        command_id = os.urandom(16)
        done = self.done(self.first.do(self.duty, "accept", command_id), "HELD")
        again = self.done(self.first.do(self.duty, "accept", command_id), "HELD", repeated=True)
        self.assertEqual((again.thing_id, again.version), (done.thing_id, done.version))
        self.refused(self.first.do(self.duty, "complete", command_id, disposition=1), "RULE_VIOLATION", "command_id")
        self.refused(self.second.do(self.duty, "accept", command_id), "RULE_VIOLATION", "command_id")
        self.done(self.first.do(self.duty, "accept"), "HELD", repeated=True)
        self.assertEqual([m.step for m in self.mails(self.event, 20)], ["ACCEPTED"])
        self.assertEqual(self.row(self.duty)["version"], done.version)

    def test_who_is_too_late_may_still_have_it_while_nobody_has(self):
        self.time_passes(self.duty)
        self.second.offered(self.duty)
        self.refused(self.first.do(self.duty, "decline", reason="no"), "WRONG_STATE")
        self.done(self.first.do(self.duty, "accept"), "HELD")
        self.wait(self.duty, "HELD", holder="NAIROBI", asked=None)
        self.refused(self.second.do(self.duty, "accept"), "TAKEN")
        self.refused(self.second.do(self.duty, "decline", reason="no"), "WRONG_STATE")

    def test_who_declined_may_think_again(self):
        self.done(self.first.do(self.duty, "decline", reason="no"), "WAITING")
        self.second.offered(self.duty)
        self.done(self.first.do(self.duty, "accept"), "HELD")

    def test_a_hand_over_leaves_no_moment_without_a_holder(self):
        self.done(self.first.do(self.duty, "accept"), "HELD")
        self.refused(self.first.do(self.duty, "hand_over", desk="BLIND"), "NOT_PERMITTED", "desk")
        self.refused(self.first.do(self.duty, "hand_over", desk="NAIROBI"), "RULE_VIOLATION", "desk")
        self.done(self.first.do(self.duty, "hand_over", desk="RELIEF", reason="end of shift"), "HELD")
        relief = Desk(self, "RELIEF")
        offer = relief.offered(self.duty)
        self.assertEqual((offer.reason, offer.holder), ("end of shift", "NAIROBI"))
        self.wait(self.duty, "HELD", holder="NAIROBI", asked="RELIEF")
        self.done(relief.do(self.duty, "decline", reason="full"), "HELD")
        self.wait(self.duty, "HELD", holder="NAIROBI", asked=None)
        self.done(self.first.do(self.duty, "hand_over", desk="KILIMANI"), "HELD")
        self.time_passes(self.duty)
        self.wait(self.duty, "HELD", holder="NAIROBI", asked=None)
        self.done(self.first.do(self.duty, "hand_over", desk="KILIMANI"), "HELD")
        self.done(self.first.do(self.duty, "hand_over", desk="RELIEF"), "HELD")  # another one is asked instead
        self.refused(self.second.do(self.duty, "accept"), "TAKEN")
        self.done(relief.do(self.duty, "accept"), "HELD")
        self.wait(self.duty, "HELD", holder="RELIEF", asked=None)
        self.refused(self.first.do(self.duty, "accept"), "TAKEN")
        self.refused(self.first.do(self.duty, "complete", disposition=1), "NOT_PERMITTED")
        self.done(relief.do(self.duty, "complete", disposition=2, reason="nothing there"), "COMPLETED")
        self.refused(relief.do(self.duty, "accept"), "WRONG_STATE")
        self.assertEqual([m.step for m in self.mails(self.event, 20)], ["ACCEPTED", "HANDED_OVER", "COMPLETED"])
        self.assertEqual(stack.sql("SELECT desk_id, since <= until, until = lead(since, 1, until) OVER (ORDER BY holding_no)"
                                   " FROM dispatch.duty_holding WHERE duty_id = %s ORDER BY holding_no", str(self.duty)),
                         [(desks["NAIROBI"], True, True), (desks["RELIEF"], True, True)])

    def test_the_end_of_a_shift_hands_over_everything(self):
        more = [self.open()[1] for _ in range(3)]
        mine = [self.duty, *more[:2]]
        for duty in mine:
            self.first.do(duty, "accept") if duty == self.duty else (self.first.offered(duty), self.first.do(duty, "accept"))
        relief = Desk(self, "RELIEF")
        command_id = os.urandom(16)
        held = stack.sql("SELECT count(*) FROM dispatch.duty WHERE holder = %s", desks["NAIROBI"])[0][0]
        done = self.first.do(None, "hand_over_all", command_id, desk="RELIEF", reason="good night")
        self.assertEqual((done.DESCRIPTOR.name, done.number), ("CommandDone", str(held)))
        for duty in mine:
            self.assertEqual(relief.offered(duty).reason, "good night")
            self.wait(duty, "HELD", holder="NAIROBI", asked="RELIEF")
            self.done(relief.do(duty, "accept"), "HELD")
        again = self.first.do(None, "hand_over_all", command_id, desk="RELIEF", reason="good night")
        self.assertEqual((again.number, again.repeated), (str(held), True))
        self.assertEqual(self.row(more[2])["state"], "OFFERED")
        # To a desk that may not have them: they stay.
        relief.do(None, "hand_over_all", desk="BLIND")
        wait_until(lambda: ("SKIPPED", "BLIND") == self.history(self.duty)[-1])
        self.wait(self.duty, "HELD", holder="RELIEF", asked=None)

    def test_of_two_who_accept_at_once_one_has_it(self):
        """Both in one message after the other without waiting, in each order, and from two processes of dispatch."""
        port, http = free_port(), free_port()
        other = Service("dispatch", {**stack.services["dispatch"].env, "JUKWAA_LISTEN": f"tcp://127.0.0.1:{port}",
                                     "JUKWAA_HTTP_LISTEN": f"127.0.0.1:{http}"}, http).start()
        self.addCleanup(other.kill)
        far = Desk(self, "KILIMANI", f"tcp://127.0.0.1:{port}")
        wins = {"NAIROBI": 0, "KILIMANI": 0}
        for turn in range(60):
            _, duty = self.open()
            wait_until(lambda: self.row(duty)["asked"] == desks["NAIROBI"])
            self.time_passes(duty)
            wait_until(lambda: self.row(duty)["asked"] == desks["KILIMANI"])
            pair = [self.first, far if turn % 2 else self.second]
            random.shuffle(pair)
            requests = [desk.send(duty, "accept") for desk in pair]
            answers = [desk.expect("COMMAND_DONE", "REFUSED") for desk in pair]
            self.assertEqual([a.request for a in answers], requests)
            done = [desk.name for desk, a in zip(pair, answers) if a.DESCRIPTOR.name == "CommandDone"]
            self.assertEqual(len(done), 1, answers)
            for answer in answers:
                if answer.DESCRIPTOR.name == "Refused":
                    self.refused(answer, "TAKEN")
            wins[done[0]] += 1
            self.wait(duty, "HELD", holder=done[0])
            self.assertEqual(stack.sql("SELECT count(*) FROM dispatch.duty_holding WHERE duty_id = %s", str(duty))[0][0], 1)
        self.assertGreater(min(wins.values()), 0, wins)

    def test_the_same_command_at_two_of_them_at_once_is_done_once(self):
        """As after a lost link: one process has not heard of it when the other is about to commit it."""
        port, http = free_port(), free_port()
        other = Service("dispatch", {**stack.services["dispatch"].env, "JUKWAA_LISTEN": f"tcp://127.0.0.1:{port}",
                                     "JUKWAA_HTTP_LISTEN": f"127.0.0.1:{http}"}, http).start()
        self.addCleanup(other.kill)
        pair = [self.first, Desk(self, "NAIROBI", f"tcp://127.0.0.1:{port}")]
        for _ in range(60):
            command_id = os.urandom(16)
            for desk in pair:
                desk.send(None, "hand_over_all", command_id, desk="RELIEF")
            answers = [desk.expect("COMMAND_DONE", "REFUSED") for desk in pair]
            self.assertEqual([a.DESCRIPTOR.name for a in answers], ["CommandDone"] * 2, answers)
            self.assertEqual(sorted(a.repeated for a in answers), [False, True])


class IncidentTest(DutyTest):
    def test_what_needs_nobody(self):
        events = [Event(status=status) for status in (2, 3, 4)] + [Event(category=1)]
        append(stack, *events)
        _, duty = self.open()
        self.assertEqual(stack.sql("SELECT count(*) FROM dispatch.duty WHERE incident_id = ANY (%s::uuid[])",
                                   [str(e.incident) for e in events])[0][0], 0)
        self.assertEqual(self.row(duty)["state"], "OFFERED")

    def test_what_came_while_no_dispatch_ran_is_offered_and_what_is_older_than_duties_is_not(self):
        """The second as after an upgrade, when dispatch follows all that there is."""
        stack.services["dispatch"].kill()
        missed, ancient, new = Event(), Event(), Event()
        append(stack, missed, ancient, new)
        since = stack.sql("SELECT at FROM dispatch.duty_since")[0][0]
        self.addCleanup(stack.sql, "UPDATE dispatch.duty_since SET at = %s", since)
        stack.sql("UPDATE dispatch.duty_since SET at = now() - interval '3 days'")
        stack.sql("ALTER TABLE feed.event DISABLE TRIGGER USER")
        for event, days in ((missed, 2), (ancient, 4)):
            stack.sql("UPDATE feed.event SET recorded_at = now() - make_interval(days => %s) WHERE event_id = %s", days, str(event.event_id))
        stack.sql("ALTER TABLE feed.event ENABLE TRIGGER USER")
        stack.services["dispatch"].start()
        for event in (missed, new):
            self.wait(self.duty_of(event), "OFFERED")
        self.assertEqual(stack.sql("SELECT count(*) FROM dispatch.duty WHERE incident_id = %s", str(ancient.incident)), [(0,)])
        self.assertEqual(stack.sql("SELECT count(*) FROM dispatch.open_incident WHERE incident_id = %s", str(ancient.incident)), [(1,)])

    def test_what_gets_worse_needs_more_and_what_gets_better_no_less(self):
        rule("AMBULANCE", severity="SEVERE")
        self.addCleanup(stack.sql, "UPDATE registry.duty_rule SET revoked_at = now() WHERE discipline = 'AMBULANCE'")
        version = stack.sql("SELECT version FROM registry.version")[0][0]
        wait_until(lambda: stack.services["dispatch"].metric("jukwaa_dispatch_registry_version") >= version)
        event, duty = self.open(severity=3)
        append(stack, Event(feed.UPDATE, incident=event.incident, revision=2, severity=1))
        ambulance = self.duty_of(event, "AMBULANCE")
        self.wait(ambulance, "UNANSWERED", times=1)  # there is no desk for it
        append(stack, Event(feed.UPDATE, incident=event.incident, revision=3, severity=4))
        end, = self.open(severity=4)[1:]
        self.assertEqual((self.row(duty)["state"], self.row(ambulance)["state"]), ("OFFERED", "UNANSWERED"))
        self.assertEqual(stack.sql("SELECT count(*) FROM dispatch.duty d JOIN dispatch.duty e USING (incident_id) WHERE e.duty_id = %s",
                                   str(end))[0][0], 1)

    def test_cancelled_it_is_over_for_everybody_and_back_it_begins_anew(self):
        first = Desk(self, "NAIROBI")
        for state in ("OFFERED", "HELD", "UNANSWERED"):
            with self.subTest(state):
                event, duty = self.open()
                first.offered(duty)
                if state == "HELD":
                    self.done(first.do(duty, "accept"), "HELD")
                    self.done(first.do(duty, "hand_over", desk="KILIMANI"), "HELD")
                while state == "UNANSWERED" and self.row(duty)["state"] != state:
                    self.time_passes(duty)
                append(stack, Event(feed.CANCEL, incident=event.incident, revision=2))
                self.wait(duty, "WITHDRAWN", holder=None, asked=None)
                self.refused(first.do(duty, "accept"), "WRONG_STATE")
                self.assertEqual(self.history(duty)[-1][0], "WITHDRAWN")
                self.assertEqual(stack.sql("SELECT count(*) FROM dispatch.duty_offer WHERE duty_id = %s AND ended_at IS NULL", str(duty)),
                                 [(0,)])
                append(stack, Event(feed.UPDATE, incident=event.incident, revision=3))
                first.offered(duty)
                self.wait(duty, "OFFERED", asked="NAIROBI", times=0)

    def test_it_ends_where_the_incident_has_left(self):
        event, here = self.open(counties=("047", "022"))
        there = self.duty_of(event, county="022")
        append(stack, Event(feed.UPDATE, ("022",), event.incident, revision=2, moved_away=("047",)))
        self.wait(here, "WITHDRAWN")
        self.assertEqual(self.row(there)["state"], "OFFERED")
        self.assertIn(("WITHDRAWN", ""), self.steps(event, "022"))
        self.assertNotIn(("WITHDRAWN", ""), self.steps(event, "047"))

    def test_after_an_erasure_nothing_is_said_where_the_incident_has_left(self):
        """The ERASED event goes to every county that ever had it; what is done about it afterwards does not."""
        event = Event(counties=("001",))
        append(stack, event)
        left = self.duty_of(event, county="001")
        moved = Event(feed.UPDATE, ("022", "047"), event.incident, revision=2, moved_away=("001",))
        append(stack, moved)
        self.wait(left, "WITHDRAWN")
        first, duty = Desk(self, "NAIROBI"), self.duty_of(event)
        first.offered(duty)
        for report in (event, moved):
            stack.sql("INSERT INTO intake.dedup (key, revision, content, incident_id, event_id, first) VALUES (%s, %s, %s, %s, %s, true)",
                      os.urandom(16), report.revision, os.urandom(16), str(event.incident), str(report.event_id))
        stack.admin("erase", str(event.incident), "--groups", "reporter", "--reason", "asked", "--by", "DPO")
        wait_until(lambda: stack.sql("SELECT count(*) FROM dispatch.open_incident o JOIN feed.event e ON e.stream = o.stream"
                                     " AND e.seq = o.body_seq WHERE o.incident_id = %s AND e.kind = %s", str(event.incident),
                                     ERASED)[0][0] == 3, what="dispatch knows of the erasure in all counties")
        self.done(first.do(duty, "accept"), "HELD")
        for county in ("022", "047"):
            self.assertIn(("ACCEPTED", "NAIROBI"), self.steps(event, county))
        kinds = [kind for kind, in stack.sql("SELECT kind FROM feed.event WHERE stream = '001' AND incident_id = %s ORDER BY seq",
                                             str(event.incident))]
        self.assertEqual(kinds[kinds.index(feed.MOVED_AWAY):], [feed.MOVED_AWAY, ERASED])

    def test_it_ends_with_the_case_and_comes_back_with_it(self):
        first = Desk(self, "NAIROBI")
        for state in (CLOSED, MERGED):
            event, duty = self.open()
            append(stack, work_event(event, to=state))
            self.wait(duty, "WITHDRAWN")
            append(stack, work_event(event, to=REOPENED))
            self.wait(duty, "OFFERED", asked="NAIROBI")
        self.done(first.do(duty, "accept"), "HELD")
        self.done(first.do(duty, "complete", disposition=1), "COMPLETED")
        append(stack, work_event(event, to=CLOSED), work_event(event, to=REOPENED))
        _, other = self.open()
        self.assertEqual(self.row(duty)["state"], "COMPLETED")

    def test_a_body_that_nothing_can_be_added_to(self):
        """Of version 0.1.0: everything goes its way, without events."""
        event, duty = self.open(old=True)
        first = Desk(self, "NAIROBI")
        first.offered(duty)
        self.done(first.do(duty, "accept"), "HELD")
        self.assertEqual(self.steps(event), [])
        self.assertEqual([m.step for m in self.mails(event, 20)], ["ACCEPTED"])
        self.assertGreater(stack.services["dispatch"].metric("jukwaa_dispatch_duty_unsaid_total"), 0)


class TellingTest(DutyTest):
    def test_roles_are_told_until_somebody_reads_it_or_acts(self):
        stack.admin("duty", "escalation", "add", "--role", "COUNTY_COMMISSIONER", "--severity", "SEVERE", "--after", "60", "--again", "600",
                    "--desk", "COMMISSIONER")
        self.addCleanup(stack.sql, "UPDATE registry.escalation SET revoked_at = now()")
        version = stack.sql("SELECT version FROM registry.version")[0][0]
        wait_until(lambda: stack.services["dispatch"].metric("jukwaa_dispatch_registry_version") >= version)
        role, first = Desk(self, "COMMISSIONER"), Desk(self, "NAIROBI")
        mild, mild_duty = self.open(severity=3)
        event, duty = self.open(severity=2)
        self.refused(role.do(duty, "acknowledge"), "NOT_FOUND")
        for times in (1, 2):
            stack.sql("UPDATE dispatch.duty SET opened_at = opened_at - interval '1 hour' WHERE duty_id = ANY (%s::uuid[])",
                      [str(duty), str(mild_duty)])
            stack.sql("UPDATE dispatch.duty_telling SET told_at = told_at - interval '11 minutes' WHERE duty_id = %s", str(duty))
            self.time_passes(duty, "escalate_at")
            self.time_passes(mild_duty, "escalate_at")
            offer = role.offered(duty)
            self.assertEqual((pb.OfferStanding.Name(offer.standing), offer.role, offer.times),
                             ("OFFER_STANDING_TOLD", "COUNTY_COMMISSIONER", times))
        self.assertEqual(self.history(duty).count(("ESCALATED", "COMMISSIONER")), 2)
        self.assertEqual(self.history(mild_duty), [("OPENED", ""), ("SKIPPED", "BLIND"), ("OFFERED", "NAIROBI")])
        self.refused(role.do(duty, "accept"), "WRONG_STATE")
        self.assertIn(duty.bytes, [o.duty_id for o in role.list().offers])
        self.done(role.do(duty, "acknowledge"), "OFFERED")
        self.assertEqual([o.duty_id for o in role.list().offers if o.duty_id == duty.bytes], [])
        stack.sql("UPDATE dispatch.duty SET opened_at = opened_at - interval '2 days' WHERE duty_id = %s", str(duty))
        stack.sql("UPDATE dispatch.duty_telling SET told_at = told_at - interval '1 day' WHERE duty_id = %s", str(duty))
        self.time_passes(duty, "escalate_at")
        wait_until(lambda: stack.sql("SELECT escalate_at IS NULL FROM dispatch.duty WHERE duty_id = %s", str(duty))[0][0])
        self.assertEqual(self.history(duty).count(("ESCALATED", "COMMISSIONER")), 2)
        self.done(first.do(duty, "accept"), "HELD")

    def test_while_a_round_is_under_way_the_publisher_is_told_in_its_time(self):
        event, duty = self.open()
        while self.row(duty)["state"] != "UNANSWERED":
            self.time_passes(duty)
        self.time_passes(duty, "say_at")
        self.wait(duty, "OFFERED", times=2)
        self.time_passes(duty, "say_at")
        self.wait(duty, "OFFERED", times=3)
        self.assertEqual([(m.times, m.desks_asked) for m in self.mails(event, 21)], [(1, 3), (2, 3), (3, 3)])
        Desk(self, "KIAMBU").do(duty, "accept")
        stack.sql("UPDATE dispatch.duty SET version = version + 1, due_at = now() WHERE duty_id = %s", str(duty))
        wait_until(lambda: stack.sql("SELECT next_at IS NULL FROM dispatch.duty WHERE duty_id = %s", str(duty))[0][0])
        self.assertEqual(len(self.mails(event, 21)), 3)


class ListTest(DutyTest):
    def test_what_a_desk_is_asked_has_and_had(self):
        first, second = Desk(self, "NAIROBI"), Desk(self, "KILIMANI")
        duties = [self.open()[1] for _ in range(5)]
        for duty in duties:
            first.offered(duty)
        self.done(first.do(duties[0], "accept"), "HELD")
        self.done(first.do(duties[1], "accept"), "HELD")
        self.done(first.do(duties[1], "complete", disposition=1), "COMPLETED")
        self.done(first.do(duties[2], "decline", reason="no"), "WAITING")
        second.offered(duties[2])
        def standings(desk, what):
            mine, page = {}, b""
            while True:
                listed = desk.list(what, limit=2, after=page)
                for offer in listed.offers:
                    self.assertNotIn(offer.duty_id, mine)
                    mine[offer.duty_id] = pb.OfferStanding.Name(offer.standing)[len("OFFER_STANDING_"):]
                page = listed.page
                if not page:
                    return [mine.get(duty.bytes) for duty in duties]
        self.assertEqual(standings(first, "OPEN"), [None, None, None, "ASKED", "ASKED"])
        self.assertEqual(standings(first, "HELD"), ["HOLDER", None, None, None, None])
        self.assertEqual(standings(first, "ALL"), ["HOLDER", "FORMER_HOLDER", "PAST", "ASKED", "ASKED"])
        self.assertEqual(standings(second, "ALL"), [None, None, "ASKED", None, None])
        self.assertEqual(standings(Desk(self, "BLIND"), "ALL"), [None] * 5, "who was passed over was not asked")

    def test_every_session_of_the_desk_hears_of_it_and_each_new_one(self):
        one, two = Desk(self, "NAIROBI"), Desk(self, "NAIROBI")
        _, duty = self.open()
        one.offered(duty)
        two.offered(duty)
        three = Desk(self, "NAIROBI")
        three.offered(duty)
        self.done(three.do(duty, "accept"), "HELD")
        _, other = self.open()
        four = Desk(self, "NAIROBI")
        four.offered(other)
        self.assertEqual([o for o in four.offers if o.duty_id == duty.bytes], [])

    def test_what_may_not_be_seen_any_more_is_not_shown(self):
        key = stack.add_desk("PASSING", agency="NPS")
        keys["PASSING"] = key
        duty_desk("PASSING", "001")
        stack.wait_known(key, "dispatch")
        event = Event(counties=("001",))
        append(stack, event)
        duty = self.duty_of(event, county="001")
        desk = Desk(self, "PASSING")
        self.assertEqual(desk.offered(duty).incident_id, event.incident.bytes)
        stack.sql("UPDATE registry.allow SET revoked_at = now() WHERE desk_id = (SELECT desk_id FROM registry.desk WHERE code = 'PASSING')")
        version = stack.sql("SELECT version FROM registry.version")[0][0]
        wait_until(lambda: stack.services["dispatch"].metric("jukwaa_dispatch_registry_version") >= version)
        offer, = desk.list().offers
        self.assertEqual((offer.duty_id, offer.incident_id, offer.event_id, offer.agency, offer.severity, list(offer.categories), offer.allowed_by),
                         (duty.bytes, b"", b"", "", 0, [], ""))
        self.refused(desk.do(duty, "accept"), "NOT_FOUND")
        self.done(desk.do(duty, "decline", reason="not ours any more"), "WAITING")


class HiddenTest(DutyTest):
    def test_a_member_of_a_task_force_that_the_owner_is_not_in_has_no_name(self):
        """Neither in the events that the owner reads, nor in its mails, nor in what other desks see of it."""
        def write(name, content):
            path = stack.run / name
            path.write_text(json.dumps(content))
            return path
        signers = {}
        for agency in ("KPS", "KWS", "NCC"):
            stack.admin("agency", "add", agency, "--name", agency)
            signers[agency] = stack.new_key(f"signs-{agency}")
            stack.admin("key", "add", "--file", f"{signers[agency]}.pub", "--role", "publisher", "--agency", agency, "--may-sign")
        keys["RANGERS"] = stack.add_desk("RANGERS", agency="KWS", allow=())
        force = write("force.json", {"task_force": "HIDDEN", "version": 1, "lead": "KWS", "members": ["KWS", "NCC"], "counties": ["030"],
                                     "purpose": "p", "legal_basis": "l", "start": "2020-01-01T00:00:00Z", "end": "2099-01-01T00:00:00Z"})
        pact = write("pact.json", {"agreement": "KPS-FORCE", "version": 1, "kind": "MUTUAL_CONSENT", "provider": "KPS",
                                   "recipient": "taskforce:HIDDEN", "counties": ["030"], "all_categories": True, "tlp_ceiling": "AMBER",
                                   "profile": "FULL@1", "actions": ["VIEW", "RESPOND"], "purpose": "p", "legal_basis": "l",
                                   "start": "2020-01-01T00:00:00Z"})
        stack.admin("taskforce", "propose", force, "--key", signers["KWS"])
        stack.admin("taskforce", "accept", "HIDDEN", "--key", signers["NCC"])
        stack.admin("agreement", "propose", pact, "--key", signers["KPS"])
        stack.admin("agreement", "accept", "KPS-FORCE", "--key", signers["KWS"])
        duty_desk("RANGERS", "030")
        duty_desk("RELIEF", "030", rank=200)
        desks.update(stack.sql("SELECT code, desk_id FROM registry.desk"))
        stack.wait_known(keys["RANGERS"], "dispatch")
        event = Event(counties=("030",))
        append(stack, event)
        duty = self.duty_of(event, county="030")
        rangers, relief = Desk(self, "RANGERS"), Desk(self, "RELIEF")
        rangers.offered(duty)
        self.done(rangers.do(duty, "accept"), "HELD")
        self.assertEqual(self.history(duty), [("OPENED", ""), ("OFFERED", "RANGERS"), ("ACCEPTED", "RANGERS")])
        self.assertEqual(self.steps(event, "030"), [("OPENED", ""), ("OFFERED", ""), ("ACCEPTED", "")])
        self.done(rangers.do(duty, "hand_over", desk="RELIEF"), "HELD")
        self.assertEqual(relief.offered(duty).holder, "")
        self.done(relief.do(duty, "accept"), "HELD")
        self.assertEqual([(m.step, m.desk, m.agency) for m in self.mails(event, 20)],
                         [("ACCEPTED", "", ""), ("HANDED_OVER", "RELIEF", "NPS")])
        for body, in stack.sql("SELECT body FROM feed.event WHERE incident_id = %s", str(event.incident)):
            self.assertNotIn(b"RANGERS", bytes(body))


class LostTest(DutyTest):
    def test_a_holder_that_is_revoked_has_it_no_longer(self):
        keys["LEAVING"] = stack.add_desk("LEAVING", agency="NPS")
        desks["LEAVING"] = stack.sql("SELECT desk_id FROM registry.desk WHERE code = 'LEAVING'")[0][0]
        duty_desk("LEAVING", "003")
        duty_desk("KILIMANI", "003", rank=200)
        stack.wait_known(keys["LEAVING"], "dispatch")
        event = Event(counties=("003",))
        append(stack, event)
        duty = self.duty_of(event, county="003")
        desk, next_desk = Desk(self, "LEAVING"), Desk(self, "KILIMANI")
        desk.offered(duty)
        self.done(desk.do(duty, "accept"), "HELD")
        stack.sql("UPDATE registry.desk SET revoked_at = now() WHERE code = 'LEAVING'")
        next_desk.offered(duty, timeout=15)
        self.wait(duty, "OFFERED", holder=None, asked="KILIMANI")
        self.assertEqual([a for a, _ in self.history(duty)], ["OPENED", "OFFERED", "ACCEPTED", "OPENED", "SKIPPED", "OFFERED"])
        self.assertEqual(self.steps(event, "003")[3], ("OPENED", ""))

    def hold(self, name, county, count):
        """A desk of this name that has this many duties in a county where KILIMANI is asked after it: (desk, their ids)."""
        keys[name] = stack.add_desk(name, agency="NPS")
        desks[name] = stack.sql("SELECT desk_id FROM registry.desk WHERE code = %s", name)[0][0]
        duty_desk(name, county)
        duty_desk("KILIMANI", county, rank=200)
        stack.wait_known(keys[name], "dispatch")
        desk, events = Desk(self, name), [Event(counties=(county,)) for _ in range(count)]
        append(stack, *events)
        duties = [self.duty_of(event, county=county) for event in events]
        for duty in duties:
            desk.offered(duty)
            self.done(desk.do(duty, "accept"), "HELD")
        return desk, duties

    def test_a_hand_over_that_is_open_ends_with_the_shift_and_the_duty_goes_on(self):
        """While one desk is asked, all is handed over to another one that may not have it: nobody is asked, and anybody can be again."""
        desk, (duty,) = self.hold("TIRED", "039", 1)
        relief = Desk(self, "RELIEF")
        self.done(desk.do(duty, "hand_over", desk="RELIEF"), "HELD")
        relief.offered(duty)
        self.assertEqual(desk.do(None, "hand_over_all", desk="BLIND").number, "1")
        wait_until(lambda: ("SKIPPED", "BLIND") in self.history(duty), what="BLIND is passed over")
        self.wait(duty, "HELD", holder="TIRED", asked=None)
        self.assertEqual(stack.sql("SELECT count(*) FROM dispatch.duty_offer o JOIN dispatch.duty d USING (duty_id)"
                                   " WHERE o.ended_at IS NULL AND d.asked IS NULL"), [(0,)])
        self.assertEqual(self.history(duty), [("OPENED", ""), ("OFFERED", "TIRED"), ("ACCEPTED", "TIRED"), ("OFFERED", "RELIEF"),
                                              ("TIMED_OUT", "RELIEF"), ("SKIPPED", "BLIND")])
        self.refused(relief.do(duty, "accept"), "TAKEN")
        self.done(desk.do(duty, "hand_over", desk="RELIEF"), "HELD")
        relief.offered(duty)
        stack.sql("UPDATE registry.desk SET revoked_at = now() WHERE code = 'TIRED'")
        Desk(self, "KILIMANI").offered(duty, timeout=15)
        self.wait(duty, "OFFERED", holder=None, asked="KILIMANI")

    def test_one_that_the_database_refuses_holds_up_no_other(self):
        """Two are lost in one moment, and one cannot be stored: the other one begins anew, and it does too as soon as it can."""
        _, (stuck, free) = self.hold("FALLING", "026", 2)
        self.addCleanup(stack.sql, "DROP FUNCTION IF EXISTS public.refuse CASCADE")
        stack.sql("CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS"
                  " $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = 'check_violation'; END $$")
        stack.sql("CREATE TRIGGER refuse BEFORE UPDATE ON dispatch.duty FOR EACH ROW WHEN (NEW.duty_id = %s)"
                  " EXECUTE FUNCTION public.refuse()", str(stuck))
        stack.sql("UPDATE registry.desk SET revoked_at = now() WHERE code = 'FALLING'")
        wait_until(lambda: self.row(free)["state"] == "OFFERED", 20, "the other one is offered")
        self.assertEqual(self.row(stuck)["state"], "HELD")
        stack.sql("DROP FUNCTION public.refuse CASCADE")
        wait_until(lambda: self.row(stuck)["state"] == "OFFERED", 20, "it is offered too")

    def test_a_holder_whose_right_has_ended_has_it_no_longer(self):
        def revoke(_):
            row, = stack.sql("SELECT allow_id FROM registry.allow JOIN registry.desk USING (desk_id) WHERE code = 'DOUBTED'")[0]
            stack.admin("allow", "revoke", row)
        self.loses_it("DOUBTED", "043", revoke)

    def test_a_holder_that_a_revision_is_not_meant_for_has_it_no_longer(self):
        self.loses_it("LIMITED", "008", lambda event: append(stack, Event(UPDATE, counties=("008",), incident=event.incident, revision=2, tlp=4)))

    def loses_it(self, name, county, change):
        """Nobody else is on the list."""
        keys[name] = stack.add_desk(name, agency="NPS", allow=(("--county", county, "--tlp-ceiling", "GREEN"),))
        desks[name] = stack.sql("SELECT desk_id FROM registry.desk WHERE code = %s", name)[0][0]
        duty_desk(name, county)
        stack.wait_known(keys[name], "dispatch")
        event, desk = Event(counties=(county,)), Desk(self, name)
        append(stack, event)
        duty = self.duty_of(event, county=county)
        desk.offered(duty)
        self.done(desk.do(duty, "accept"), "HELD")
        change(event)
        wait_until(lambda: self.row(duty)["state"] == "UNANSWERED", 20, "nobody has it")
        self.assertEqual(self.history(duty)[:6], [("OPENED", ""), ("OFFERED", name), ("ACCEPTED", name), ("OPENED", ""), ("SKIPPED", name),
                                                 ("UNANSWERED", "")])


class OvertakenTest(DutyTest):
    """A newer report has been stored, and dispatch has not read it yet: nothing is appended behind it with the older one's body."""

    def test_what_is_due_waits_for_the_newest_report_and_holds_up_nothing(self):
        first = Desk(self, "NAIROBI")
        late, duty = self.open(severity=1)  # before the other one, were it not for the newer report
        first.offered(duty)
        before = feed.revisions(stack, late)
        newer = feed.report_ahead(stack, late)
        self.time_passes(duty)
        _, other = self.open(severity=3)
        first.offered(other)
        self.assertEqual((self.row(duty)["state"], feed.revisions(stack, late)), ("OFFERED", before))
        append(stack, newer)
        self.wait(duty, "OFFERED", asked="KILIMANI")
        self.assertEqual(feed.revisions(stack, late), [*before, (2, 2), (10, 2), (10, 2)])

    def test_an_answer_waits_for_the_newest_report(self):
        first = Desk(self, "NAIROBI")
        event, duty = self.open()
        first.offered(duty)
        before, ident = feed.revisions(stack, event), os.urandom(16)
        newer = feed.report_ahead(stack, event)
        self.refused(first.do(duty, "accept", command_id=ident), "UNAVAILABLE")
        self.assertEqual((self.row(duty)["state"], feed.revisions(stack, event)), ("OFFERED", before))
        append(stack, newer)
        answer = wait_until(lambda: (got := first.do(duty, "accept", command_id=ident)).DESCRIPTOR.name == "CommandDone" and got, 10, "taken")
        self.done(answer, "HELD")
        self.assertEqual(feed.revisions(stack, event), [*before, (2, 2), (10, 2)])


class FaultTest(DutyTest):
    def test_killed_in_the_middle_and_with_two_of_it(self):
        """Each duty is opened once, offered to one desk at a time, and has one holder, however often dispatch dies."""
        port, http = free_port(), free_port()
        other = Service("dispatch", {**stack.services["dispatch"].env, "JUKWAA_LISTEN": f"tcp://127.0.0.1:{port}",
                                     "JUKWAA_HTTP_LISTEN": f"127.0.0.1:{http}"}, http).start()
        self.addCleanup(other.kill)
        events = []
        for turn in range(12):
            for _ in range(10):
                events.append(Event())
                append(stack, events[-1])
            victim = (stack.services["dispatch"], other)[turn % 2]
            victim.kill()
            victim.start()
        duties = [self.duty_of(event) for event in events]
        for duty in duties:
            self.wait(duty, "OFFERED")
        for duty in duties:
            self.assertEqual(self.history(duty), [("OPENED", ""), ("SKIPPED", "BLIND"), ("OFFERED", "NAIROBI")])
        self.assertEqual([self.steps(event) for event in events], [[("OPENED", ""), ("SKIPPED", "BLIND"), ("OFFERED", "NAIROBI")]] * len(events))

    def test_the_database_goes_away_and_comes_back(self):
        first = Desk(self, "NAIROBI")
        _, duty = self.open()
        first.offered(duty)
        stack.cluster.stop()
        answer = first.do(duty, "accept")
        stack.cluster.start()
        stack.feed_connection.close()
        self.refused(answer, "UNAVAILABLE")
        stack.services["dispatch"].wait_ready()
        again = Desk(self, "NAIROBI")
        again.offered(duty)
        # Not every connection is back at the same moment: "later" is repeated, as any client does.
        answer = wait_until(lambda: (got := again.do(duty, "accept")).DESCRIPTOR.name == "CommandDone" and got, 15, "taken")
        self.done(answer, "HELD")


if __name__ == "__main__":
    unittest.main()
