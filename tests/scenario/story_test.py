"""The full story of one crash, with the command line alone: two agencies report it; the duplicate is suggested and merged; police and
ambulance are asked, one desk declines, others accept; units go; a referral; resolved. The publisher's mailbox tells it back, and
every desk has seen only what its agreement gives."""
import csv
import datetime
import json
import time
import unittest

from agreements import Party, agree
from jukwaa_harness import Stack, need_data, read_key, scratch, wait_until

EAT = datetime.timezone(datetime.timedelta(hours=3))
RESPONDERS = {"NPS": ["NAIROBI-POLICE"], "EPLUS": ["EPLUS-1"], "STJOHN": ["STJOHN-1"], "GVRC": ["GVRC-1"]}


def real_crash():
    """The first deadly one of the data that lies in Nairobi."""
    with open(need_data("incidents", "kenya_ma3route_crashes_2012_2023.csv"), newline="", encoding="utf-8") as f:
        for row in csv.DictReader(f):
            lat, lon = float(row["latitude"]), float(row["longitude"])
            if row["contains_fatality_words"] == "1" and -1.30 < lat < -1.25 and 36.80 < lon < 36.86:
                at = datetime.datetime.strptime(row["crash_datetime"], "%d/%m/%Y %H:%M").replace(tzinfo=EAT)
                return row["crash_id"], at, lat, lon
    raise AssertionError("no such crash in the data")


def report(name, at, lat, lon, headline, **identity):
    path = scratch() / f"{name}.json"
    path.write_text(json.dumps({
        "identity": {"external_id": name, "status": "ACTUAL", "msg_type": "ALERT", **identity},
        "classification": {"categories": ["TRANSPORT"], "event": "Crash", "urgency": "IMMEDIATE", "severity": "SEVERE", "certainty": "OBSERVED"},
        "times": {"onset_us": at.isoformat()}, "place": {"point": {"lat": lat, "lon": lon}},
        "narrative": {"texts": [{"language": "en", "headline": headline}]},
        "handling": {"tlp": "AMBER", "scope": "PUBLIC"}}), encoding="utf-8")
    return path


class StoryTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        boundaries = need_data("geo", "kenya_counties_osm.geojson")
        cls.crash = real_crash()
        cls.stack = stack = Stack(boundaries=boundaries)
        cls.keys = {agency: stack.add_publisher(agency) for agency in ("KRCS", "NPS")}
        parties = {agency: Party(stack, agency) for agency in ("EPLUS", "STJOHN", "GVRC", "NTSA", "STRANGER")}
        for agency in ("KRCS", "NPS"):
            parties[agency] = cls.party_of(agency)
        for agency, desks in {**RESPONDERS, "NTSA": ["NTSA-1"], "STRANGER": ["STRANGER-1"]}.items():
            for desk in desks:
                cls.keys[desk] = stack.add_desk(desk, agency=agency, allow=())
        for provider in ("KRCS", "NPS"):
            for recipient in {*RESPONDERS} - {provider}:
                agree(stack, f"{provider}-{recipient}", parties[provider], parties[recipient], "FULL@1")
            agree(stack, f"{provider}-NTSA", parties[provider], parties["NTSA"], "COARSE_PLACE@1", actions=["VIEW"])
        for discipline, desks in {"POLICE": ["NAIROBI-POLICE"], "AMBULANCE": ["EPLUS-1", "STJOHN-1"]}.items():
            stack.admin("duty", "rule", "add", "--discipline", discipline, "--category", "TRANSPORT", "--severity", "SEVERE", "--answer", "600")
            for desk in desks:
                stack.admin("duty", "desk", "add", "--county", "047", "--discipline", discipline, "--desk", desk)
        for service in ("intake", "dispatch", "cases"):
            for key in cls.keys.values():
                if service != "intake" or "pub-" in str(key):
                    stack.wait_known(key, service)

    @classmethod
    def tearDownClass(cls):
        cls.stack.stop()

    @classmethod
    def party_of(cls, agency):
        key = read_key(cls.keys[agency])
        cls.stack.sql("UPDATE registry.key SET may_sign = true WHERE sign_key = %s", key["sign-public"])
        agency_id, = cls.stack.sql("SELECT agency_id FROM registry.agency WHERE code = %s", agency)[0]
        return Party(cls.stack, agency, (agency_id, key["sign-public"], key["sign-secret"]))

    def run_as(self, who, *args, status=0):
        lines, got = self.stack.cli_json(self.keys[who], *args)
        self.assertEqual(got, status, f"{who}: jukwaa {' '.join(map(str, args))}: {lines}")
        return lines

    def offer(self, desk, incident, discipline):
        """The offer of this duty to this desk, once it is there."""
        return wait_until(lambda: next((o for o in self.run_as(desk, "offer", "list")
                                        if o["incident_id"] == incident and o["discipline"] == discipline), None), 10, f"offer to {desk}")

    def state(self, who, case):
        return self.run_as(who, "case", "show", case)[0]["case"]

    def move(self, who, case, verb, *args):
        """Decided on the case as it stands now."""
        return self.run_as(who, "case", verb, case, "--version", self.state(who, case)["version"], *args)[0]

    def test_story(self):
        crash_id, at, lat, lon = self.crash
        first = report(f"krcs-{crash_id}", at, lat, lon, "Matatu and lorry, people trapped")
        second = report(f"nps-{crash_id}", at + datetime.timedelta(minutes=4), lat + 0.0005, lon - 0.0004, "Fatal crash, road blocked",
                        ob_number="OB 31/17")
        incident = self.run_as("KRCS", "publish", first)[0]["incident_id"]

        # Police and ambulance are asked: one takes it, one has no car, the next takes it.
        police = self.offer("NAIROBI-POLICE", incident, "POLICE")
        self.run_as("NAIROBI-POLICE", "opened", incident)
        self.run_as("NAIROBI-POLICE", "offer", "accept", police["duty_id"])
        ambulance = self.offer("EPLUS-1", incident, "AMBULANCE")
        self.run_as("EPLUS-1", "offer", "decline", ambulance["duty_id"], "--reason", "no car left")
        self.assertEqual(self.offer("STJOHN-1", incident, "AMBULANCE")["duty_id"], ambulance["duty_id"])
        self.run_as("STJOHN-1", "offer", "accept", ambulance["duty_id"])
        self.run_as("EPLUS-1", "offer", "accept", ambulance["duty_id"], status=1)

        # The police report it too: suggested as the same, and merged by a person.
        twin = self.run_as("NPS", "publish", second)[0]["incident_id"]
        self.assertNotEqual(twin, incident)
        wait_until(lambda: self.stack.cli_json(self.keys["NAIROBI-POLICE"], "case", "show", twin)[1] == 0, 10, "its case")
        similar = self.run_as("NAIROBI-POLICE", "case", "similar", twin)
        self.assertIn(incident, json.dumps(similar))
        twin_duty = self.offer("NAIROBI-POLICE", twin, "POLICE")
        self.move("NAIROBI-POLICE", twin, "merge", "--into", incident, "--reason", "the same crash")
        self.assertEqual(self.state("NAIROBI-POLICE", twin)["state"], "MERGED")
        wait_until(lambda: twin_duty["duty_id"] not in [o["duty_id"] for o in self.run_as("NAIROBI-POLICE", "offer", "list")], 10,
                   "its duties are withdrawn")

        # Work: a case officer, a unit from each side of town, the nearest first.
        self.move("NAIROBI-POLICE", incident, "triage")
        self.move("NAIROBI-POLICE", incident, "assign")
        self.move("NAIROBI-POLICE", incident, "start")
        for unit, shift in (("SJ-NEAR", 0.01), ("SJ-FAR", 0.2)):
            self.run_as("STJOHN-1", "unit", "add", unit, "--discipline", "AMBULANCE", "--at", f"{lat + shift},{lon}", "--desk", "STJOHN-1")
        nearest = self.run_as("STJOHN-1", "unit", "recommend", incident, "--discipline", "AMBULANCE")
        self.assertLess(json.dumps(nearest).index("SJ-NEAR"), json.dumps(nearest).index("SJ-FAR"))
        self.run_as("STJOHN-1", "unit", "assign", "SJ-NEAR", incident)
        for step in ("en-route", "on-scene", "transporting", "cleared"):
            self.run_as("STJOHN-1", "unit", "advance", "SJ-NEAR", step)
        self.run_as("STJOHN-1", "offer", "complete", ambulance["duty_id"], "--disposition", "resolved")

        # Those who lost somebody are referred; the service takes it, and resolves the case.
        self.move("NAIROBI-POLICE", incident, "refer", "--agency", "GVRC", "--service", "COUNSELLING", "--reason", "two families")
        self.move("GVRC-1", incident, "accept-referral")
        self.move("GVRC-1", incident, "start")
        self.move("GVRC-1", incident, "resolve", "--disposition", "resolved")
        self.assertEqual(self.state("NAIROBI-POLICE", incident)["state"], "RESOLVED")

        self.check_mailbox(incident)
        self.check_timeline(incident)
        self.check_what_was_seen(incident, twin)

    def check_mailbox(self, incident):
        wanted = {"OPENED", "ACCEPTED", "DISPATCHED", "ON_SCENE", "RESOLVED"}

        def told():
            mails, _ = self.stack.cli_json(self.keys["KRCS"], "watch", "--mailbox", "--from", "beginning", "--timeout", "2")
            about = [m for m in mails if m.get("incident_id") == incident]
            steps = [m["acted"]["step"] if m["kind"] == "ACTED" else m["kind"] for m in about]
            return steps if wanted <= {*steps} else None

        steps = wait_until(told, 20, "the mailbox tells it back")
        order = [steps.index(step) for step in ("ACCEPTED", "DISPATCHED", "ON_SCENE", "RESOLVED")]
        self.assertEqual(order, sorted(order), steps)

    def check_timeline(self, incident):
        """All of it stands in the case's history, once the feed has been followed."""
        def whole():
            shown = self.run_as("NAIROBI-POLICE", "case", "show", incident)[0]
            text = json.dumps(shown["timeline"])
            return shown if all(word in text for word in ("ACCEPTED", "DECLINED", "SJ-NEAR", "ON_SCENE")) else None

        wait_until(whole, 10, "the timeline")
        reached = self.stack.sql('SELECT accepted_at, dispatched_at, on_scene_at, resolved_at FROM cases."case" WHERE case_id = %s', incident)[0]
        self.assertEqual(list(reached), sorted(reached))

    def watch(self, desk):
        return self.stack.cli_json(self.keys[desk], "watch", "--all", "--from", "beginning", "--timeout", "3")[0]

    def check_what_was_seen(self, incident, twin):
        deadline = time.monotonic() + 20
        while True:
            whole = self.watch("GVRC-1")
            if any(e.get("work", {}).get("case_step", {}).get("to") == "RESOLVED" for e in whole) or time.monotonic() > deadline:
                break
        self.assertTrue({"INCIDENT", "CASE_STATE", "DUTY", "UNIT"} <= {e["kind"] for e in whole}, {e["kind"] for e in whole})
        self.assertTrue(all(e["copy_verified"] and not e.get("chain_broken") for e in whole))
        self.assertEqual({e["incident_id"] for e in whole}, {incident, twin})
        # Coarse: no position, no words, nothing of the work but that there was some.
        coarse = self.watch("NTSA-1")
        self.assertEqual({e["event_id"] for e in coarse}, {e["event_id"] for e in whole})
        text = json.dumps(coarse)
        for secret in ("trapped", "blocked", "OB 31/17", "SJ-NEAR", "no car left", "two families", "STJOHN-1"):
            self.assertNotIn(secret, text)
        self.assertFalse(any("work" in e or "point" in json.dumps(e["incident"].get("place", {})) for e in coarse))
        # No agreement: nothing, in the feed, among offers, and of the case.
        self.assertEqual(self.watch("STRANGER-1"), [])
        self.assertEqual(self.run_as("STRANGER-1", "offer", "list", "--all"), [])
        self.run_as("STRANGER-1", "case", "show", incident, status=1)
        self.assertEqual(self.run_as("STRANGER-1", "case", "list"), [])


if __name__ == "__main__":
    unittest.main()
