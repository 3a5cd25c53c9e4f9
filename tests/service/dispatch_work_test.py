"""Dispatch: what was done about incidents (CASE_STATE, DUTY, UNIT, AID with group WORK) and the mails about it reach those who know
them, as far as each desk's profile goes, and nobody else."""
import time
import unittest

import feed_events as feed
from agreements import Party, agree
from dispatch_test import Desk
from groups import WORK
from jukwaa_harness import Stack, protos, run_cli, wait_until

pb = protos()
KINDS = (feed.CASE_STATE, feed.DUTY, feed.UNIT, feed.AID)
REDACTED = ("NO_NARRATIVE@1", "NO_PERSONS@1", "COARSE_PLACE@1", "STATISTICS_ONLY@1")
SECRET = "KRCS-AMB-7"


def steps():
    """One step of each kind, as Work."""
    now = int(time.time() * 1e6)
    case = pb.CaseStep(case_id=bytes(16), to=2, version=2, action="TRIAGE", assignee=SECRET)
    setattr(case, "from", 1)
    unit = pb.UnitStep(assignment_id=bytes(16), unit=SECRET, to=4, discipline="AMBULANCE")
    setattr(unit, "from", 3)
    aid = pb.AidStep(aid_id=bytes(16), to=3, capability="AMBULANCE", count=2, giver=SECRET)
    duty = pb.DutyStep(duty_id=bytes(16), county="047", discipline="AMBULANCE", action=3, desk=SECRET, reason="near")
    by = {"at_us": now, "agency": "POLICE", "desk": "OWN"}
    return [pb.Work(case_step=case, **by), pb.Work(duty_step=duty, **by), pb.Work(unit_step=unit, **by), pb.Work(aid_step=aid, **by)]


class WorkTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = Stack(services=("dispatch",))
        cls.service = cls.stack.services["dispatch"]
        police = Party(cls.stack, "POLICE")
        other = Party(cls.stack, "OTHER")
        cls.police, cls.fire = cls.stack.add_publisher("POLICE"), cls.stack.add_publisher("FIRE")
        cls.keys = {"OPEN": cls.stack.add_desk("OPEN"), "OWN": cls.stack.add_desk("OWN", agency="POLICE", allow=()),
                    "NOBODY": cls.stack.add_desk("NOBODY", allow=())}
        for profile in REDACTED:
            name = profile[:-2].replace("_", "-")
            cls.keys[profile] = cls.stack.add_desk(name, agency="OTHER", allow=())
            agree(cls.stack, f"A-{name}", police, other, profile, desks=[name])
        cls.stack.wait_known(cls.keys["STATISTICS_ONLY@1"], "dispatch")
        cls.wait_in_force()
        cls.counties = [f"{n:03}" for n in range(1, 48)]

    @classmethod
    def wait_in_force(cls):
        version = cls.stack.sql("SELECT version FROM registry.version")[0][0]
        wait_until(lambda: cls.service.metric("jukwaa_dispatch_registry_version") >= version, 5, "registry in force")

    @classmethod
    def tearDownClass(cls):
        assert cls.service.stop() == 0, cls.service.log()

    def setUp(self):
        self.stream, self.desks = self.counties.pop(), []

    def tearDown(self):
        for desk in self.desks:
            desk.close()
        self.assertIsNone(self.service.process.poll(), self.service.log())

    def desk(self, key, **fields):
        desk = Desk(self.stack, self.keys.get(key, key))
        self.desks.append(desk)
        desk.subscribe([self.stream], **fields)
        return desk

    def incident(self, **fields):
        event = feed.Event(counties=(self.stream,), agency="POLICE", **fields)
        feed.append(self.stack, event)
        return event

    def work(self, of):
        done = [feed.WorkEvent(of, kind, work) for kind, work in zip(KINDS, steps())]
        feed.append(self.stack, *done)
        return done

    def test_who_does_not_know_them_gets_none(self):
        old, new = self.desk("OPEN"), self.desk("OPEN", work=True)
        before = self.service.metric("jukwaa_dispatch_passed_total", 'why="filtered"')
        self.work(self.incident())
        self.incident()
        self.assertEqual([m.kind for m in old.take(2)], [feed.INCIDENT] * 2)
        self.assertEqual(old.last[self.stream], 6)
        self.assertEqual([m.kind for m in new.take(6)], [feed.INCIDENT, *KINDS, feed.INCIDENT])
        self.assertEqual(self.service.metric("jukwaa_dispatch_passed_total", 'why="filtered"') - before, 4)
        self.assertEqual(new.last[self.stream], 6)

    def test_full_shows_what_was_done_and_no_other_profile_does(self):
        desks = {name: self.desk(name, work=True) for name in ("OPEN", "OWN", *REDACTED)}
        nobody = self.desk("NOBODY", work=True)
        done = self.work(self.incident())
        for name, desk in desks.items():
            got = desk.take(5)[1:]
            self.assertEqual([(m.kind, m.event_id) for m in got], [(w.kind, w.event_id.bytes) for w in done], name)
            for message, work in zip(got, steps()):
                group = message.event.groups[WORK - 1]
                if name in REDACTED:
                    self.assertEqual((group.content, group.salt, len(group.digest)), (b"", b"", 32), name)
                    self.assertNotIn(SECRET.encode(), message.SerializeToString())
                    self.assertEqual(message.profile, name)
                else:
                    told = pb.Work.FromString(group.content)
                    self.assertEqual(told.WhichOneof("step"), work.WhichOneof("step"))
                    self.assertIn(SECRET.encode(), group.content)
        nobody.quiet()

    def test_filters_work_on_them_as_on_the_incident(self):
        fire = self.desk("OPEN", work=True, categories=[6])
        severe = self.desk("OPEN", work=True, minimum_severity=2)
        minor, burning = self.incident(severity=4), self.incident(category=6)
        self.work(minor)
        self.work(burning)
        for desk in (fire, severe):
            self.assertEqual({m.incident_id for m in desk.take(5)}, {burning.incident.bytes})
            desk.quiet(0.3)

    def test_mails_are_told_to_who_knows_them(self):
        incident = feed.new_id()
        mails = [feed.Mail("POLICE", feed.OPENED, pb.Opened(desk="KRCS-NBO", agency="KRCS", at_us=1), incident),
                 feed.Mail("POLICE", feed.ACTED, pb.Acted(step="ON_SCENE", discipline="AMBULANCE", at_us=2), incident),
                 feed.Mail("POLICE", feed.UNANSWERED, pb.Unanswered(county="047", discipline="FIRE", since_us=3, desks_asked=4, times=1), incident)]
        box = Desk(self.stack, self.police)
        old = Desk(self.stack, self.police)
        theirs = Desk(self.stack, self.fire)
        self.desks += [box, old, theirs]
        box.subscribe(mailbox=True, start=pb.START_AT_NOW, work=True)
        old.subscribe(mailbox=True, start=pb.START_AT_NOW)
        theirs.subscribe(mailbox=True, start=pb.START_AT_NOW, work=True)
        feed.append(self.stack, *mails, feed.Mail("POLICE", feed.DELIVERED, pb.Delivered(desk="D", stream="047", up_to_seq=7), incident))
        got = box.take(4)
        self.assertEqual([(m.kind, m.WhichOneof("body")) for m in got],
                         [(feed.OPENED, "opened"), (feed.ACTED, "acted"), (feed.UNANSWERED, "unanswered"), (feed.DELIVERED, "delivered")])
        self.assertEqual((got[0].opened.desk, got[1].acted.step, got[2].unanswered.desks_asked), ("KRCS-NBO", "ON_SCENE", 4))
        self.assertEqual([m.incident_id for m in got[:3]], [incident.bytes] * 3)
        self.assertEqual([m.kind for m in old.take(1)], [feed.DELIVERED])
        theirs.quiet()

    def narrow(self, key, *options):
        """`jukwaa watch` from the beginning on a terminal of 80 columns."""
        return run_cli("watch", *options, "--from", "beginning", "--timeout", 15, env={**self.stack.env(key), "COLUMNS": "80"}, check=False)

    def test_watch_shows_them(self):
        done = self.work(self.incident())
        rows, status = self.stack.cli_json(self.keys["OPEN"], "watch", "--county", self.stream, "--from", "beginning", "--count", 5,
                                           "--timeout", 15)
        self.assertEqual(status, 0)
        self.assertEqual([r["kind"] for r in rows], ["INCIDENT", "CASE_STATE", "DUTY", "UNIT", "AID"])
        self.assertTrue(all(r["copy_verified"] for r in rows), rows)
        self.assertNotIn("work", rows[0])
        self.assertEqual(rows[1]["work"]["case_step"]["to"], "TRIAGED")
        self.assertEqual(rows[2]["work"]["duty_step"]["desk"], SECRET)
        self.assertEqual(rows[3]["work"]["unit_step"]["to"], "ON_SCENE")
        self.assertEqual(rows[4]["work"]["aid_step"]["count"], 2)
        self.assertEqual(rows[4]["event_id"], str(done[3].event_id))
        rows, _ = self.stack.cli_json(self.keys["COARSE_PLACE@1"], "watch", "--county", self.stream, "--from", "beginning",
                                      "--count", 5, "--timeout", 15)
        self.assertTrue(all(r["copy_verified"] for r in rows), rows)
        self.assertIn("work", rows[2]["incident"]["withheld"])
        self.assertNotIn(SECRET, str(rows))

    def test_watch_prints_lines_that_fit(self):
        self.work(self.incident())
        expected = ("INCIDENT +Two vehicles", f"CASE_STATE +TRIAGED {SECRET}", f"DUTY +AMBULANCE ACCEPTED {SECRET}",
                    f"UNIT +{SECRET} ON_SCENE", "AID +2 AMBULANCE COMMITTED")
        for key, parts in (("OPEN", expected), ("COARSE_PLACE@1", ("INCIDENT", *[".* +.what was done is not shown."] * 4))):
            done = self.narrow(self.keys[key], "--county", self.stream, "--count", 5)
            lines = done.stdout.splitlines()
            self.assertEqual(len(lines), 5, done.stdout)
            for line, part in zip(lines, parts):
                self.assertLessEqual(len(line), 80, line)
                self.assertRegex(line, part)

    def test_watch_prints_mails(self):
        incident = feed.new_id()
        feed.append(self.stack, feed.Mail("FIRE", feed.OPENED, pb.Opened(desk="KRCS-NBO", agency="KRCS", at_us=1), incident),
                    feed.Mail("FIRE", feed.ACTED, pb.Acted(step="ON_SCENE", discipline="AMBULANCE", at_us=2), incident),
                    feed.Mail("FIRE", feed.UNANSWERED, pb.Unanswered(county="047", discipline="AMBULANCE", desks_asked=4, times=1,
                                                                                  since_us=int((time.time() - 130) * 1e6)), incident))
        rows, _ = self.stack.cli_json(self.fire, "watch", "--mailbox", "--from", "beginning", "--count", 3, "--timeout", 15)
        self.assertEqual([(r["kind"], r["copy_verified"]) for r in rows], [("OPENED", True), ("ACTED", True), ("UNANSWERED", True)])
        self.assertEqual((rows[0]["opened"]["desk"], rows[1]["acted"]["step"], rows[2]["unanswered"]["times"]), ("KRCS-NBO", "ON_SCENE", 1))
        done = self.narrow(self.fire, "--mailbox", "--count", 3)
        for line, part in zip(done.stdout.splitlines(), ("OPENED +read at KRCS-NBO", "ACTED +AMBULANCE ON_SCENE by a desk",
                                                         "UNANSWERED AMBULANCE in 047: 4 asked, 2 min")):
            self.assertRegex(line, part)
            self.assertIn(str(incident)[-12:], line)
            self.assertLessEqual(len(line), 80, line)


if __name__ == "__main__":
    unittest.main()
