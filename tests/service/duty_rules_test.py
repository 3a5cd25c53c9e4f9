"""The operator's rules: who has to answer for what, which desks are asked in which order, who is told when nobody acts."""
import json
import time
import unittest

from jukwaa_harness import Stack, wait_until

IN_FORCE_S = 1.0


def setUpModule():
    global stack
    stack = Stack(services=("dispatch",))
    for desk in ("NAIROBI", "KILIMANI", "WESTLANDS"):
        stack.add_desk(desk, agency="KPS", allow=())
    stack.add_desk("CC-047", agency="NCC", allow=())


def tearDownModule():
    stack.stop()


class DutyRulesTest(unittest.TestCase):
    def setUp(self):
        for table in ("duty_rule", "duty_desk", "escalation"):
            stack.sql(f"UPDATE registry.{table} SET revoked_at = now() WHERE revoked_at IS NULL")

    def duty(self, *args, status=0):
        """The JSON lines of `jukwaa admin duty …`, or what was said on standard error when it is to fail."""
        done = stack.admin("--json", "duty", *args, check=False)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stderr if status else [json.loads(line) for line in done.stdout.splitlines()]

    def rows(self):
        return [stack.sql(f"SELECT * FROM registry.{table} ORDER BY 1") for table in ("duty_rule", "duty_desk", "escalation")]

    def refused(self, words, *args, status=1):
        before = self.rows()
        self.assertIn(words, self.duty(*args, status=status))
        self.assertEqual(self.rows(), before, "a refusal changed something")

    def add_rule(self, discipline="POLICE", *options):
        return self.duty("rule", "add", "--discipline", discipline, *options)[0]

    def add_desk(self, desk, *options, discipline="POLICE", county="047"):
        return self.duty("desk", "add", "--county", county, "--discipline", discipline, "--desk", desk, *options)[0]

    def list_desks(self, *options):
        return [(row["desk"], row["rank"]) for row in self.duty("desk", "list", *options)]


class RefusalTest(DutyRulesTest):
    def test_words_and_numbers_that_are_none(self):
        rule = ("rule", "add", "--discipline", "POLICE")
        self.refused("needs --discipline", "rule", "add", status=2)
        self.refused("category 'CRIME'", *rule, "--category", "FIRE,CRIME", status=2)
        self.refused("names none", *rule, "--category", "", status=2)
        self.refused("the word 'UNKNOWN'", *rule, "--severity", "UNKNOWN", status=2)
        self.refused("the word 'UNKNOWN'", *rule, "--urgency", "UNKNOWN", status=2)
        for seconds in ("4", "86401", "-60", "1e3", "", "99999999999999999999"):
            self.refused("number of seconds, 5 to 86400", *rule, "--answer", seconds, status=2)
            self.refused("number of seconds", *rule, "--again", seconds, status=2)
        self.refused("rank, 0 to 9999", *rule, "--rank", "10000", status=2)
        self.refused("needs a value", *rule, "--county", status=2)
        self.refused("does not take '--desk'", *rule, "--desk", "NAIROBI", status=2)
        self.refused("is no id", "rule", "remove", "one", status=2)
        self.refused("do not know 'duty rule drop'", "rule", "drop", "1", status=2)
        self.refused("say what to do", status=2)
        self.refused("say what to do", "rule", status=2)

    def test_what_the_registry_does_not_have(self):
        self.refused("a discipline is 1 to 16 of", "rule", "add", "--discipline", "1POLICE")
        self.refused("a discipline is 1 to 16 of", "rule", "add", "--discipline", "P" * 17)
        self.refused("a discipline is 1 to 16 of", "rule", "add", "--discipline", "ÖFFENTLICH")
        self.refused("there is no such county", "rule", "add", "--discipline", "POLICE", "--county", "048")
        desk = ("desk", "add", "--discipline", "POLICE")
        self.refused("there is no such county", *desk, "--county", "048", "--desk", "NAIROBI")
        self.refused("there is no such desk", *desk, "--county", "047", "--desk", "NOBODY")
        told = ("escalation", "add", "--after", "300", "--desk", "CC-047")
        self.refused("a role is COUNTY_COMMISSIONER, REGIONAL or NATIONAL", *told, "--role", "KING")
        self.refused("there is no such county", *told, "--role", "REGIONAL", "--county", "999")
        self.refused("there is no such desk", "escalation", "add", "--after", "300", "--desk", "NOBODY", "--role", "REGIONAL")
        self.refused("needs --after", "escalation", "add", "--desk", "CC-047", "--role", "REGIONAL", status=2)
        for what in ("rule", "escalation"):
            self.refused(f"NOT_FOUND: there is no such {what}: 999999", what, "remove", "999999")
        self.refused("NOT_FOUND", "desk", "remove", "--county", "047", "--discipline", "POLICE", "--desk", "NAIROBI")
        self.refused("there is no such county", "show", "--county", "048")

    def test_a_revoked_desk_is_not_added(self):
        stack.admin("desk", "revoke", "WESTLANDS")
        self.addCleanup(stack.admin, "desk", "reinstate", "WESTLANDS")
        self.refused("or it is revoked", "desk", "add", "--county", "047", "--discipline", "POLICE", "--desk", "WESTLANDS")

    def test_the_database_refuses_what_the_command_would_not_let_through(self):
        for column, value in (("answer_s", 4), ("again_s", 86401), ("categories", 1), ("categories", 8192), ("severity_floor", 5),
                              ("rank", -1), ("discipline", "'police'")):
            columns = {"discipline": "'POLICE'", "categories": 64, "answer_s": 60, "again_s": 60, column: value}
            with self.assertRaisesRegex(Exception, f"duty_rule_{column}_check"):
                stack.sql(f"INSERT INTO registry.duty_rule ({','.join(columns)})"
                          f" VALUES ({','.join(map(str, columns.values()))})", role="jukwaa_admin")


class WrittenTest(DutyRulesTest):
    def test_a_rule_is_written_once_changed_and_removed_and_stays_as_history(self):
        match = ("--category", "transport,Security", "--severity", "severe", "--urgency", "EXPECTED", "--county", "047")
        added = self.add_rule("police", *match, "--answer", "60", "--again", "120")
        self.assertEqual(added["done"], "added")
        self.assertEqual(self.add_rule("POLICE", *match, "--answer", "60"), {"done": "unchanged", "rule_id": added["rule_id"]})
        self.assertEqual(self.add_rule("POLICE", *match, "--answer", "30", "--rank", "5"),
                         {"done": "changed", "rule_id": added["rule_id"]})
        # Without a rank it keeps the one it has.
        self.assertEqual(self.add_rule("POLICE", *match, "--answer", "30")["done"], "unchanged")
        everywhere = self.add_rule("POLICE", *match[:-2])
        self.assertNotEqual(everywhere["rule_id"], added["rule_id"])
        rows = self.duty("rule", "list")
        self.assertEqual([row["rule_id"] for row in rows], [added["rule_id"], everywhere["rule_id"]])
        self.assertEqual({k: v for k, v in rows[0].items() if k not in ("rule_id", "added_at")},
                         {"rank": 5, "discipline": "POLICE", "categories": "SECURITY,TRANSPORT", "severity": "SEVERE",
                          "urgency": "EXPECTED", "county": "047", "answer_s": 30, "again_s": 120, "removed_at": None})
        self.assertEqual(self.duty("rule", "remove", added["rule_id"]), [{"done": "removed", "rule_id": added["rule_id"]}])
        self.refused("NOT_FOUND", "rule", "remove", added["rule_id"])
        self.assertEqual(len(self.duty("rule", "list")), 1)
        removed = next(row for row in self.duty("rule", "list", "--all") if row["rule_id"] == added["rule_id"])
        self.assertIsNotNone(removed["removed_at"])
        again = self.add_rule("POLICE", *match)
        self.assertEqual((again["done"], again["rule_id"] > everywhere["rule_id"]), ("added", True))

    def test_a_rule_without_conditions_is_about_everything(self):
        self.add_rule("COORDINATION")
        row = self.duty("rule", "list")[0]
        self.assertEqual(len(row["categories"].split(",")), 12)
        self.assertEqual((row["severity"], row["urgency"], row["county"], row["rank"]), (None, None, None, 100))

    def test_desks_stand_behind_each_other_unless_a_rank_says_where(self):
        self.assertEqual(self.add_desk("NAIROBI"), {"done": "added", "rank": 1})
        self.assertEqual(self.add_desk("KILIMANI"), {"done": "added", "rank": 2})
        self.assertEqual(self.add_desk("WESTLANDS", "--rank", "0"), {"done": "added", "rank": 0})
        self.assertEqual(self.list_desks("--county", "047"), [("WESTLANDS", 0), ("NAIROBI", 1), ("KILIMANI", 2)])
        self.assertEqual(self.add_desk("NAIROBI"), {"done": "unchanged", "rank": 1})
        self.assertEqual(self.add_desk("NAIROBI", "--rank", "9"), {"done": "changed", "rank": 9})
        self.add_desk("NAIROBI", discipline="FIRE")
        self.add_desk("NAIROBI", county="001")
        self.assertEqual(self.list_desks("--county", "001"), [("NAIROBI", 1)])
        self.duty("desk", "remove", "--county", "047", "--discipline", "POLICE", "--desk", "NAIROBI")
        self.assertEqual(self.list_desks("--county", "047", "--discipline", "POLICE"), [("WESTLANDS", 0), ("KILIMANI", 2)])

    def test_escalations(self):
        told = ("escalation", "add", "--role", "county_commissioner", "--severity", "SEVERE", "--after", "300", "--desk", "CC-047")
        added = self.duty(*told)[0]
        self.assertEqual(self.duty(*told), [{"done": "unchanged", "escalation_id": added["escalation_id"]}])
        self.assertEqual(self.duty(*told, "--again", "600")[0]["done"], "changed")
        row = self.duty("escalation", "list")[0]
        self.assertEqual((row["role"], row["severity"], row["county"], row["after_s"], row["again_s"], row["desk"]),
                         ("COUNTY_COMMISSIONER", "SEVERE", None, 300, 600, "CC-047"))
        self.duty("escalation", "remove", added["escalation_id"])
        self.assertEqual(self.duty("escalation", "list"), [])

    def test_every_change_is_in_force_within_a_second(self):
        def in_force():
            version, start = stack.sql("SELECT version FROM registry.version")[0][0], time.monotonic()
            wait_until(lambda: stack.services["dispatch"].metric("jukwaa_dispatch_registry_version") >= version, IN_FORCE_S)
            return version, time.monotonic() - start

        before = in_force()[0]
        rule = self.add_rule("FIRE")["rule_id"]
        changes = [lambda: self.add_desk("NAIROBI", discipline="FIRE"),
                   lambda: self.duty("escalation", "add", "--role", "NATIONAL", "--after", "5", "--desk", "CC-047"),
                   lambda: stack.admin("desk", "revoke", "NAIROBI"), lambda: stack.admin("desk", "reinstate", "NAIROBI"),
                   lambda: self.duty("rule", "remove", rule)]
        for change in changes:
            change()
            after = in_force()[0]
            self.assertGreater(after, before)
            before = after


class ShowTest(DutyRulesTest):
    def sentences(self, county="047"):
        return stack.admin("duty", "show", "--county", county).stdout

    def test_it_says_who_is_asked_for_what_in_order(self):
        rule = self.add_rule("POLICE", "--category", "TRANSPORT,SECURITY", "--severity", "SEVERE", "--urgency", "EXPECTED",
                             "--answer", "45", "--again", "90")["rule_id"]
        self.add_rule("AMBULANCE", "--severity", "EXTREME", "--county", "047")
        self.add_rule("FIRE", "--county", "001")
        for desk in ("KILIMANI", "NAIROBI", "WESTLANDS"):
            self.add_desk(desk)
        self.add_desk("NAIROBI", discipline="RESCUE")
        # Of the counties around, but nobody twice; 001 is not one of them.
        self.add_desk("CC-047", county="022")
        self.add_desk("NAIROBI", county="022")
        self.add_desk("CC-047", county="001")
        self.add_desk("CC-047", county="022", discipline="COAST")
        self.duty("escalation", "add", "--role", "NATIONAL", "--severity", "MODERATE", "--after", "300", "--desk", "CC-047")
        stack.admin("desk", "revoke", "WESTLANDS")
        self.addCleanup(stack.admin, "desk", "reinstate", "WESTLANDS")
        said = self.sentences()
        self.assertIn(f"""POLICE, by rule {rule}, for
  SECURITY or TRANSPORT, SEVERE or worse, EXPECTED or sooner:
  1. KILIMANI of KPS, has 45 s to answer; only what KPS reports
  2. NAIROBI of KPS, has 45 s to answer; only what KPS reports
  -  WESTLANDS of KPS is revoked, and passed over
  3. CC-047 of NCC, for 022, has 45 s to answer; only what NCC reports
  then the publisher is told that nobody has it, and again every 90 s
AMBULANCE, by rule """, said)
        self.assertIn(", for\n  any category, EXTREME:\n", said)
        self.assertIn("nobody can be asked: the publisher is told at once, and every 120 s", said)
        self.assertIn("RESCUE: desks are named, but no rule asks for them here:\n  1. NAIROBI of KPS\n", said)
        self.assertIn("after 300 s, and every 120 s: NATIONAL at CC-047 of NCC, MODERATE or worse", said)
        self.assertNotIn("FIRE", said)
        self.assertLessEqual(max(map(len, said.splitlines())), 80)
        lines = self.duty("show", "--county", "047")
        self.assertEqual([line.get("discipline", line.get("role")) for line in lines], ["POLICE", "AMBULANCE", "NATIONAL"])
        self.assertEqual(lines[0]["desks"], [{"desk": desk, "agency": "KPS", "county": "047", "revoked": desk == "WESTLANDS",
                                              "acts_for_others": False} for desk in ("KILIMANI", "NAIROBI", "WESTLANDS")] +
                         [{"desk": "CC-047", "agency": "NCC", "county": "022", "revoked": False, "acts_for_others": False}])
        self.assertNotIn("COAST", said)

    def test_it_knows_who_may_act_for_others(self):
        self.add_rule("POLICE", "--category", "FIRE")
        self.add_desk("NAIROBI")
        last = "  1. NAIROBI of KPS, has 60 s to answer"
        for options, acts in ((("--county", "001"), False), (("--category", "HEALTH"), False),
                              (("--county", "047", "--category", "FIRE", "--until", "2020-01-01T00:00:00Z"), False),
                              (("--county", "047", "--category", "FIRE"), True)):
            stack.admin("allow", "add", "--desk", "NAIROBI", *options)
            self.assertIn(last + ("\n" if acts else "; only what KPS reports\n"), self.sentences(), options)
            self.assertIs(self.duty("show", "--county", "047")[0]["desks"][0]["acts_for_others"], acts)
        for row in stack.sql("SELECT allow_id FROM registry.allow"):
            stack.admin("allow", "revoke", str(row[0]))

    def test_a_county_without_rules(self):
        self.assertIn("No rule counts here: nobody has to answer for anything.", self.sentences("001"))
        self.add_rule("FIRE", "--county", "001")
        self.assertIn("While nobody has accepted, no role is told.", self.sentences("001"))


if __name__ == "__main__":
    unittest.main()
