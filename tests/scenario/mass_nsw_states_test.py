"""1,708 real fires are answered for: each is offered, accepted and reached by a unit, and its case follows the status that its updates
give, one after the other. What the feed tells of it and the figures of the exchange agree with what is computed here."""
import collections
import csv
import datetime
import math
import os
import unittest
import uuid

from jukwaa_harness import ROOT, Stack, need_data, protos, wait_until

pb = protos()
IN_FLIGHT, UNITS = 48, 60
# What an update's status means for the case.
WORK = {"Out of control": "IN_PROGRESS", "Being controlled": "IN_PROGRESS", "Under control": "RESOLVED"}
# How a case gets from one to the other.
STEPS = {("NEW", "IN_PROGRESS"): ("triage", "assign", "start"), ("NEW", "RESOLVED"): ("triage", "assign", "start", "resolve"),
         ("IN_PROGRESS", "RESOLVED"): ("resolve",), ("RESOLVED", "IN_PROGRESS"): ("reopen", "assign", "start")}
AFTER = {"triage": "TRIAGED", "assign": "ASSIGNED", "start": "IN_PROGRESS", "resolve": "RESOLVED", "reopen": "REOPENED"}


def plan(statuses):
    """The commands that follow these updates, in their order."""
    state, commands = "NEW", []
    for status in statuses:
        if WORK[status] != state:
            commands += STEPS[state, WORK[status]]
            state = WORK[status]
    return commands


def case_command(incident, verb, version):
    command = pb.CaseCommand(command_id=os.urandom(16), case_id=incident, version=version)
    getattr(command, verb).SetInParent()
    if verb == "resolve":
        command.resolve.disposition = pb.DISPOSITION_RESOLVED
    if verb == "reopen":
        command.reopen.reason = "out of control again"
    return command


def follow(incident, commands, version):
    """One case's commands, each decided on the version that the one before left."""
    for verb in commands:
        done = yield "CASE_COMMAND", case_command(incident, verb, version)
        version = done.version


def accept(duty):
    command = pb.OfferCommand(command_id=os.urandom(16), duty_id=duty)
    command.accept.SetInParent()
    yield "OFFER_COMMAND", command


def unit_command(code, action, **fields):
    command = pb.UnitCommand(command_id=os.urandom(16), code=code)
    getattr(command, action).SetInParent()
    for name, value in fields.items():
        setattr(getattr(command, action), name, value)
    return "UNIT_COMMAND", command


def serve(code, incidents):
    """One unit goes to one fire after the other."""
    command = pb.UnitCommand(command_id=os.urandom(16), code=code)
    command.add.record.discipline = "FIRE"
    command.add.record.base_point.lat, command.add.record.base_point.lon = -33.8, 151.2
    yield "UNIT_COMMAND", command
    for incident in incidents:
        yield unit_command(code, "assign", incident_id=incident)
        for state in (pb.UNIT_STATE_ON_SCENE, pb.UNIT_STATE_CLEARED, pb.UNIT_STATE_AVAILABLE):
            yield unit_command(code, "advance", to=state)


class NswStatesTest(unittest.TestCase):
    def setUp(self):
        self.updates = need_data("incidents", "nsw_rfs_incident_updates_2019_2020.csv")
        self.stack = stack = Stack(services=("intake", "cases", "dispatch"))
        self.publisher = stack.add_publisher("NSW-RFS")
        self.desk = stack.add_desk("NSW-DESK", agency="NSW-RFS", allow=())
        stack.admin("duty", "rule", "add", "--discipline", "FIRE", "--category", "FIRE", "--answer", "86400")
        stack.admin("duty", "desk", "add", "--county", "047", "--discipline", "FIRE", "--desk", "NSW-DESK")
        for service in ("intake", "dispatch", "cases"):
            stack.wait_known(self.desk if service != "intake" else self.publisher, service)
        self.addCleanup(stack.stop)

    def pump(self, service, scripts):
        """Runs the scripts, many at a time; each gets the answer to what it has sent."""
        peer = self.stack.peer(service, self.desk)
        self.addCleanup(peer.close)
        self.assertIsNotNone(wait_until(lambda: peer.hello(window=64), 10, "session"))
        waiting, scripts, number = {}, iter(scripts), 0

        def go_on(script, answer=None):
            nonlocal number
            try:
                kind, message = script.send(answer)
            except StopIteration:
                return
            number += 1
            message.request = number
            waiting[number] = script
            peer.send(kind, message)

        while True:
            while len(waiting) < IN_FLIGHT and (script := next(scripts, None)) is not None:
                go_on(script)
            if not waiting:
                return number
            kind, message = peer.receive(20) or ("nothing", None)
            if kind in ("OFFERED", "PONG", "BEAT"):
                continue
            self.assertEqual(kind, "COMMAND_DONE", message)
            go_on(waiting.pop(message.request), message)

    def open_offers(self):
        peer = self.stack.peer("dispatch", self.desk)
        self.addCleanup(peer.close)
        wait_until(peer.hello, 10, "session")
        duties, page = [], b""
        while True:
            peer.send("OFFER_LIST", pb.OfferList(request=1, filter=pb.OFFER_FILTER_OPEN, limit=200, after=page))
            while (got := peer.receive(10))[0] in ("OFFERED", "PONG", "BEAT"):
                pass
            self.assertEqual(got[0], "OFFER_LISTED", got[1])
            duties += [offer.duty_id for offer in got[1].offers]
            page = got[1].page
            if not page:
                return duties

    def test_states_follow_updates(self):
        with open(self.updates, newline="", encoding="utf-8") as f:
            rows = sorted(csv.DictReader(f), key=lambda row: row["first_seen_utc_commit"])
        statuses = collections.defaultdict(list)
        for row in rows:
            statuses[row["guid"]].append(row["status"])
        receipts, status = self.stack.cli_json(self.publisher, "publish", "--format", "csv", "--map", ROOT / "deploy" / "maps" / "nsw-rfs.map",
                                               "--county", "047", self.updates)
        self.assertEqual((status, len(receipts)), (0, 3521))
        incident_of = {r["external_id"]: r["incident_id"] for r in receipts}
        plans = {incident_of[guid]: plan(of) for guid, of in statuses.items()}
        self.assertEqual(len(plans), 1708)
        wait_until(lambda: self.stack.sql("SELECT count(*) FROM dispatch.duty WHERE state = 2") == [(1708,)], 60, "all are offered")
        wait_until(lambda: self.stack.sql("SELECT count(*) FROM feed.event e JOIN cases.cursor c USING (stream) WHERE e.seq > c.seq")
                   == [(0,)], 60, "cases have read them")
        before = dict(self.stack.sql('SELECT case_id::text, version FROM cases."case"'))
        self.assertEqual({*before}, {*plans})

        self.assertEqual(self.pump("dispatch", map(accept, self.open_offers())), 1708)
        ids = [uuid.UUID(i).bytes for i in plans]
        self.pump("dispatch", (serve(f"RFS-{i}", ids[i::UNITS]) for i in range(UNITS)))

        self.pump("cases", (follow(uuid.UUID(i).bytes, commands, before[i]) for i, commands in plans.items()))
        wait_until(lambda: self.stack.sql('SELECT count(*) FROM cases."case" WHERE on_scene_at IS NULL') == [(0,)], 30, "all were reached")
        self.check_feed(plans)
        self.check_figures(plans)

    def check_feed(self, plans):
        """A desk that reads the feed from the beginning sees the states, in order, as the updates gave them."""
        events, _ = self.stack.cli_json(self.desk, "watch", "--county", "047", "--from", "beginning", "--timeout", "6")
        seen, self.steps = collections.defaultdict(list), collections.defaultdict(dict)
        for event in events:
            work = event.get("work", {})
            if event["kind"] == "CASE_STATE":
                seen[event["incident_id"]].append(work["case_step"]["to"])
            self.note(event, work)
        self.assertEqual({i: seen[i] for i in plans}, {i: [AFTER[c] for c in commands] for i, commands in plans.items()})

    def note(self, event, work):
        """When each incident first reached what (the newest resolution counts)."""
        steps = self.steps[event["incident_id"]]
        if event["kind"] in ("INCIDENT", "UPDATE", "HISTORY"):
            steps.setdefault("opened", event["recorded_at"])
        elif work.get("duty_step", {}).get("action") == "ACCEPTED":
            steps.setdefault("accepted", work["at_us"])
        elif work.get("unit_step", {}).get("to") in ("DISPATCHED", "ON_SCENE"):
            steps.setdefault(work["unit_step"]["to"].lower(), work["at_us"])
        elif event["kind"] == "CASE_STATE":
            if work["case_step"]["to"] == "RESOLVED":
                steps["resolved"] = work["at_us"]
            elif work["case_step"]["to"] == "REOPENED":
                steps.pop("resolved", None)

    def check_figures(self, plans):
        """Spans are told in steps of 10 ms."""
        wait_until(lambda: self.figures()["resolved"].get("count", 0) == sum("resolved" in s for s in self.steps.values()), 20, "figures")
        told = self.figures()
        self.assertEqual(told["count"], len(plans))
        order = ("opened", "accepted", "dispatched", "on_scene", "resolved")
        for first, then in zip(order, order[1:]):
            spans = sorted(between(s[first], s[then]) for s in self.steps.values() if first in s and then in s)
            self.assertGreater(len(spans), 600)
            self.assertEqual(told[then]["count"], len(spans), then)
            for name, share in (("p50_ms", 0.5), ("p90_ms", 0.9)):
                want = spans[math.ceil(share * len(spans)) - 1]
                self.assertAlmostEqual(told[then].get(name, 0), want, delta=10.01, msg=f"{first} -> {then} {name}")
        open_now = sum(commands[-1] != "resolve" for commands in plans.values())
        self.assertEqual(sum(told.get(f"open_{age}", 0) for age in ("hour", "day", "week", "older")), open_now)

    def figures(self):
        lines, status = self.stack.cli_json(self.desk, "case", "figures", "--county", "047")
        self.assertEqual(status, 0, lines)
        return lines[0]


def between(first, then):
    a, b = (datetime.datetime.fromisoformat(t.replace("Z", "+00:00")) for t in (first, then))
    return (b - a) / datetime.timedelta(milliseconds=1)


if __name__ == "__main__":
    unittest.main()
