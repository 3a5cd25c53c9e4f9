"""Duties: the real dispatch on a real database. Incidents are written into the feed by hand, desks are clients made from the .proto
files; times come by moving the rows that hold them, not by waiting."""
import contextlib
import os
import random
import threading
import time
import unittest
import uuid

import feed_events as feed
from feed_events import Event, append
from jukwaa_harness import Service, Stack, free_port, protos, wait_until

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
    """A desk's client: its session, and the offers that were pushed to it."""

    def __init__(self, test, name, endpoint=None):
        self.name, self.offers = name, []
        self.peer = stack.peer("dispatch", keys[name])
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


if __name__ == "__main__":
    unittest.main()
