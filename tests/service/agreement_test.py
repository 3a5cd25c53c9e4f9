"""Agreements and task forces from the command line, against a real database: refusals and hostile acts first, then how agencies
agree, at one desk or by files that travel, and what export and import give back."""
import contextlib
import ctypes
import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

from jukwaa_harness import BIN, ROOT, Cluster, read_key, run_cli, scratch, wait_until

SAMPLES = ROOT / "deploy" / "samples" / "agreements"
SODIUM = ctypes.CDLL("libsodium.so.23")
DOCUMENT = {"agreement": "X", "version": 1, "kind": "MUTUAL_CONSENT", "provider": "KPS", "recipient": "KRCS", "counties": ["047"],
            "categories": ["FIRE"], "tlp_ceiling": "AMBER", "profile": "COARSE_PLACE@1", "actions": ["VIEW"], "purpose": "p",
            "legal_basis": "l", "start": "2026-01-01T00:00:00Z"}
FORCE = {"task_force": "NORTH", "version": 1, "lead": "KPS", "members": ["KPS", "KWS", "NMS"], "counties": ["030"], "purpose": "p",
         "legal_basis": "l", "start": "2026-01-01T00:00:00Z", "end": "2099-01-01T00:00:00Z"}


def sign(key, statement):
    """The Ed25519 signature of a key file over a text: what somebody with the key and another program can make."""
    signature = ctypes.create_string_buffer(64)
    text = statement.encode()
    SODIUM.crypto_sign_detached(signature, None, text, ctypes.c_ulonglong(len(text)), read_key(key)["sign-secret"])
    return signature.raw


class World(unittest.TestCase):
    """A database with six agencies, each with a key that may sign."""
    number, cluster = 0, None

    @classmethod
    def setUpClass(cls):
        World.cluster = World.cluster or Cluster()
        cls.database = cls.cluster.make_database(cls.__name__.lower())
        cls.env = {"JUKWAA_DATABASE": cls.cluster.conninfo(cls.database, "jukwaa_admin")}
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="a", dir=scratch()))
        cls.keys = {}
        for code in ("KPS", "KRCS", "KWS", "NMS", "EVIL", "OPS"):
            cls.admin("agency", "add", code, "--name", code)
            cls.keys[code] = cls.new_key(code, "--may-sign", "--role", "operator" if code == "OPS" else "publisher")

    @classmethod
    def new_key(cls, agency, *options):
        path = cls.folder / f"{agency}-{len(list(cls.folder.iterdir()))}.key"
        run_cli("key", "new", "--out", path)
        if options:
            cls.admin("key", "add", "--file", f"{path}.pub", "--agency", agency, *options)
        return path

    @classmethod
    def admin(cls, *args, **kwargs):
        return run_cli("admin", *args, env=cls.env, **kwargs)

    def act(self, verb, what, agency, *options, object="agreement", check=True):
        key = self.keys.get(agency, agency)
        return self.admin(object, verb, what, "--key", key, *options, check=check)

    def refused(self, code, said, *args, status=None, **kwargs):
        """It ends with a refusal that has this code and these words; nothing is written."""
        before = self.rows()
        done = self.act(*args, check=False, **kwargs) if args[0] in ("propose", "accept", "suspend", "resume", "withdraw", "leave",
                                                                     "submit") else self.admin(*args, check=False)
        self.assertEqual(done.returncode, status or (4 if code in ("NOT_PERMITTED", "REVOKED") else 1), done.stderr + done.stdout)
        self.assertIn(code, done.stderr)
        self.assertIn(said, done.stderr)
        self.assertEqual(self.rows(), before)
        return done

    def sql(self, statement, *args):
        with contextlib.closing(self.cluster.connect(self.database)) as c, c.cursor() as cur:
            cur.execute(statement, args)
            return cur.fetchall() if cur.description else []

    def rows(self):
        return self.sql("SELECT (SELECT count(*) FROM registry.pact), (SELECT count(*) FROM registry.pact_version), "
                        "(SELECT count(*) FROM registry.act)")

    def file(self, document, name=None):
        World.number += 1
        path = self.folder / (name or f"d{World.number}.json")
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        return path

    def code(self):
        """A code that nothing has yet."""
        World.number += 1
        return f"{type(self).__name__.upper()}-{World.number}"

    def agreement(self, code, **fields):
        return self.file({**DOCUMENT, "agreement": code, **fields})

    def list(self, *options, object="agreement"):
        done = self.admin("--json", object, "list", *options)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def state(self, code, object="agreement", version=None):
        return {(row["code"], row["version"]): row["state"] for row in self.list("--all", object=object) if "code" in row}[
            code, version or 1]

    def begin(self, **fields):
        """An agreement that is in force."""
        code = self.code()
        self.act("propose", self.agreement(code, **fields), "KPS")
        self.act("accept", code, "KRCS")
        self.assertEqual(self.state(code), "IN_FORCE")
        return code

    def last(self, code, *options, object="agreement"):
        path = self.folder / f"last-{code}-{World.number}-{len(list(self.folder.iterdir()))}.json"
        self.admin(object, "export", code, "--last", "--out", path, *options)
        return path

    def signed(self, what, act, agency, *options, key=None):
        """Signed at an agency: no database, no service."""
        path = self.folder / f"act-{len(list(self.folder.iterdir()))}.json"
        run_cli("agreement", "sign", what, "--act", act, "--agency", agency, "--key", key or self.keys[agency], "--out", path,
                *options, env={"JUKWAA_DATABASE": ""})
        return path

    def bent(self, path, key=None, file=None, **lines):
        """A copy of a signed act with other lines in its statement and other fields in the file; key: signed anew by that key."""
        act = json.loads(path.read_text())
        for name, value in lines.items():
            act["statement"], count = re.subn(f"(?m)^{name}: .*$", f"{name}: {value}", act["statement"])
            self.assertEqual(count, 1)
        act.update(file or {})
        if key:
            act["signature"] = sign(key, act["statement"]).hex()
            act["sign_key"] = read_key(key)["sign-public"].hex()
        return self.file(act)


class DocumentsTest(World):
    def test_what_is_refused_and_where(self):
        for fields, code, field in (
                ({"agreement": "x y"}, "RULE_VIOLATION", "agreement"), ({"version": 0}, "RULE_VIOLATION", "version"),
                ({"also": 1}, "INVALID_SCHEMA", "also"), ({"provider": "KRCS"}, "RULE_VIOLATION", "recipient"),
                ({"counties": ["48"]}, "UNKNOWN_COUNTY", "counties"), ({"counties": ["048"]}, "UNKNOWN_COUNTY", "counties"),
                ({"profile": "ALL@1"}, "RULE_VIOLATION", "profile"), ({"reporter": True}, "RULE_VIOLATION", "reporter"),
                ({"tlp_ceiling": "BLACK"}, "INVALID_SCHEMA", "tlp_ceiling"), ({"actions": ["CASE"]}, "RULE_VIOLATION", "actions"),
                ({"purpose": " "}, "RULE_VIOLATION", "purpose"), ({"purpose": "a\u001b[31mb"}, "RULE_VIOLATION", "purpose"),
                ({"purpose": "x" * 1001}, "OVERSIZE", "purpose"), ({"purpose": "x" * 70000}, "OVERSIZE", "65536"),
                ({"purpose": "x" * 1048576}, "OVERSIZE", "megabyte"), ({"end": "2025-01-01T00:00:00Z"}, "RULE_VIOLATION", "end")):
            done = self.admin("agreement", "propose", self.agreement("D", **fields), "--dry-run", check=False)
            self.assertIn(done.returncode, (1, 2), fields.keys())
            self.assertIn(code, done.stderr)
            self.assertIn(field, done.stderr)
            self.refused(code, field, "propose", self.agreement("D", **fields), "KPS", status=done.returncode)
        for text in ("", "[", "{}", "null", "[1]", "\"agreement\""):
            self.assertNotEqual(self.admin("agreement", "propose", self.file(text), "--dry-run", check=False).returncode, 0, text)

    def test_a_dry_run_says_what_it_means_and_writes_nothing(self):
        before = self.rows()
        done = self.admin("agreement", "propose", SAMPLES / "kps-krcs.json", "--dry-run")
        for words in ("KPS", "KRCS", "030, 032, 047", "FIRE", "MODERATE or worse", "TLP:AMBER", "reporter withheld", "30 days",
                      "may not be passed on", "2025-12-31T21:00:00Z", "First aid"):
            self.assertIn(words, done.stdout)
        canonical = done.stdout.splitlines()[-1]
        self.assertEqual(list(json.loads(canonical))[:3], ["agreement", "version", "kind"])
        self.assertEqual(self.admin("agreement", "propose", "-", "--dry-run", input=canonical).stdout.splitlines()[-1], canonical)
        self.assertEqual(self.rows(), before)
        done = self.admin("agreement", "propose", self.agreement("E", counties=[]), "--dry-run")
        self.assertIn("nobody", done.stderr)

    def test_every_sample_can_be_proposed(self):
        for path in sorted(SAMPLES.glob("*.json")):
            object = "taskforce" if "task_force" in json.loads(path.read_text()) else "agreement"
            self.admin(object, "propose", path, "--dry-run")
            run_cli("agreement", "show", path)


class HostileTest(World):
    def test_keys_that_may_not_sign(self):
        code = self.code()
        path = self.agreement(code)
        stranger, mute = self.new_key("KPS"), self.new_key("KPS", "--role", "publisher")
        revoked = self.new_key("KPS", "--role", "publisher", "--may-sign")
        self.admin("key", "revoke", f"{revoked}.pub")
        self.refused("NOT_PERMITTED", "not registered", "propose", path, stranger)
        done = self.refused("NOT_PERMITTED", "may not sign", "propose", path, mute)
        self.assertIn(read_key(mute)["sign-public"].hex()[:16], done.stderr)
        self.refused("REVOKED", "revoked", "propose", path, revoked)
        over = self.new_key("KPS", "--role", "publisher", "--may-sign")
        self.sql("UPDATE registry.key SET expires_at = now() - interval '1 minute' WHERE sign_key = %s", read_key(over)["sign-public"])
        self.refused("NOT_PERMITTED", "expired", "propose", path, over)
        self.refused("NOT_PERMITTED", "not for this party", "propose", path, "EVIL")
        self.refused("NOT_PERMITTED", "not for this party", "propose", path, "OPS")
        self.act("propose", path, "KPS")
        self.refused("NOT_PERMITTED", "EVIL may not do ACCEPT", "accept", code, "EVIL")
        self.refused("NOT_PERMITTED", "not one of KRCS", "accept", code, "EVIL", "--agency", "KRCS")
        self.refused("RULE_VIOLATION", "ACCEPT by KPS does not fit", "accept", code, "KPS")

    def test_signed_by_another_agencys_key(self):
        code = self.code()
        self.act("propose", self.agreement(code), "KPS")
        last = self.last(code)
        self.refused("NOT_PERMITTED", "not one of KRCS", "submit", self.signed(last, "accept", "KRCS", key=self.keys["EVIL"]), "EVIL")
        self.refused("NOT_PERMITTED", "not for this party", "submit", self.signed(last, "accept", "EVIL"), "EVIL")
        self.refused("NOT_PERMITTED", "not one of NOBODY", "submit", self.signed(last, "accept", "NOBODY", key=self.keys["EVIL"]), "EVIL")

    def test_forged_and_bent(self):
        code = self.code()
        self.act("propose", self.agreement(code), "KPS")
        act = self.signed(self.last(code), "accept", "KRCS")
        whole = json.loads(act.read_text())
        self.refused("BAD_SIGNATURE", "signature", "submit", self.bent(act, file={"signature": bytes(64).hex()}), "KRCS")
        self.refused("BAD_SIGNATURE", "signature", "submit", self.bent(act, file={"sign_key": read_key(self.keys["KPS"])["sign-public"].hex()}), "KRCS")
        self.refused("BAD_SIGNATURE", "signature", "submit", self.bent(act, act="RESUME"), "KRCS")
        self.refused("NOT_WELL_FORMED", "statement", "submit", self.bent(act, file={"statement": whole["statement"] + "more: x\n"}), "KRCS")
        self.refused("INVALID_SCHEMA", "more", "submit", self.file({**whole, "more": 1}), "KRCS")
        # Signed by the right key, about something else.
        krcs = self.keys["KRCS"]
        self.refused("RULE_VIOLATION", "document", "submit", self.bent(act, krcs, document="ab" * 32), "KRCS")
        self.refused("RULE_VIOLATION", "previous", "submit", self.bent(act, krcs, previous="ab" * 32), "KRCS")
        self.refused("RULE_VIOLATION", "act_no", "submit", self.bent(act, krcs, act_no="7"), "KRCS")
        self.refused("NOT_FOUND", "version", "submit", self.bent(act, krcs, version="2"), "KRCS")
        self.refused("NOT_WELL_FORMED", "statement", "submit", self.bent(act, krcs, version="02"), "KRCS")
        self.refused("RULE_VIOLATION", "act_no", "submit", self.bent(act, krcs, pact="AGREEMENT NONE"), "KRCS")
        self.act("submit", act, "KRCS")
        self.assertEqual(self.state(code), "IN_FORCE")

    def test_a_wrong_clock(self):
        code = self.code()
        self.act("propose", self.agreement(code), "KPS")
        act = self.signed(self.last(code), "accept", "KRCS")

        def at(interval):
            return self.bent(act, self.keys["KRCS"], at=self.sql(
                "SELECT to_char((now() + %s::interval) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')", interval)[0][0])
        self.refused("RULE_VIOLATION", "a wrong clock", "submit", at("10 minutes"), "KRCS")
        self.refused("RULE_VIOLATION", "a wrong clock", "submit", at("-10 minutes"), "KRCS")  # before the proposal
        self.refused("EXPIRED", "7 days", "submit", at("-8 days"), "KRCS")
        self.act("submit", at("-4 minutes"), "KRCS")

    def test_replays(self):
        code = self.code()
        self.act("propose", self.agreement(code), "KPS")
        accepted = self.signed(self.last(code), "accept", "KRCS")
        self.act("submit", accepted, "KRCS")
        self.refused("RULE_VIOLATION", "a replay", "submit", accepted, "KRCS")
        # KRCS agreed to version 1; KPS tries to have that count for version 2, and after a suspension.
        self.act("propose", self.agreement(code, version=2, profile="FULL@1"), "KPS")
        self.refused("RULE_VIOLATION", "a replay", "submit", accepted, "KPS")
        self.refused("BAD_SIGNATURE", "signature", "submit", self.bent(accepted, version="2", act_no="4"), "KPS")
        self.act("suspend", code, "KRCS")
        resumed = self.signed(self.last(code, "--version", "1"), "resume", "KRCS")
        self.act("submit", resumed, "KRCS")
        self.act("suspend", code, "KRCS")
        self.refused("RULE_VIOLATION", "a replay", "submit", resumed, "KPS")
        self.assertEqual(self.state(code), "SUSPENDED")
        # An acceptance that was never submitted does not serve after the proposal was taken back.
        other = self.code()
        self.act("propose", self.agreement(other), "KPS")
        kept = self.signed(self.last(other), "accept", "KRCS")
        self.act("withdraw", other, "KPS")
        self.refused("RULE_VIOLATION", "act_no", "submit", kept, "KRCS")

    def test_nobody_widens_alone(self):
        code = self.begin()
        wide = {"profile": "FULL@1", "persons": True, "counties": ["*"]}
        self.refused("RULE_VIOLATION", "another document", "propose", self.agreement(code, **wide), "KRCS")
        self.refused("RULE_VIOLATION", "the next version is 2", "propose", self.agreement(code, version=3, **wide), "KRCS")
        self.refused("RULE_VIOLATION", "parties", "propose", self.agreement(code, version=2, recipient="EVIL"), "KPS")
        self.refused("RULE_VIOLATION", "parties", "propose", self.agreement(code, version=2, provider="EVIL"), "EVIL")
        self.refused("RULE_VIOLATION", "parties", "propose", self.agreement(code, version=2, kind="STATUTORY"), "OPS")
        self.act("propose", self.agreement(code, version=2, **wide), "KRCS")
        self.refused("RULE_VIOLATION", "KRCS", "accept", code, "KRCS")
        self.assertEqual((self.state(code, version=1), self.state(code, version=2)), ("IN_FORCE", "PROPOSED"))
        self.assertEqual(json.loads(self.admin("--json", "agreement", "show", code).stdout)["document"]["profile"], "COARSE_PLACE@1")
        # What waited and was replaced cannot be accepted any more.
        self.act("propose", self.agreement(code, version=3), "KPS")
        self.refused("RULE_VIOLATION", "stale", "accept", code, "KPS", "--version", "2")

    def test_the_other_side_cannot_resume_or_withdraw_a_proposal(self):
        code = self.begin()
        self.act("suspend", code, "KRCS")
        self.refused("RULE_VIOLATION", "RESUME by KPS", "resume", code, "KPS")
        self.act("resume", code, "KRCS")
        self.act("propose", self.agreement(code, version=2), "KPS")
        self.refused("RULE_VIOLATION", "WITHDRAW by KRCS", "withdraw", code, "KRCS", "--version", "2")
        self.refused("RULE_VIOLATION", "--version", "withdraw", code, "KPS")
        self.act("withdraw", code, "KRCS", "--version", "1")
        self.assertEqual((self.state(code), self.state(code, version=2)), ("ENDED", "WITHDRAWN"))
        self.refused("RULE_VIOLATION", "ended for good", "propose", self.agreement(code, version=3), "KPS")

    def test_what_is_changed_in_the_database_closes(self):
        for what in ("UPDATE registry.pact_version SET document = replace(document, '\"047\"', '\"046\"') WHERE pact_id = %s",
                     "UPDATE registry.act SET statement = replace(statement, 'KRCS', 'KRCR') WHERE pact_id = %s AND act_no = 2",
                     "UPDATE registry.act SET signature = set_byte(signature, 5, get_byte(signature, 5) # 1) WHERE pact_id = %s AND act_no = 1",
                     "UPDATE registry.act SET act = 'PROPOSE' WHERE pact_id = %s AND act_no = 2",
                     "DELETE FROM registry.act WHERE pact_id = %s AND act_no = 1",
                     "UPDATE registry.act SET act_no = 5 WHERE pact_id = %s AND act_no = 2"):
            code = self.begin()
            self.sql(what, self.sql("SELECT pact_id FROM registry.pact WHERE code = %s", code)[0][0])
            row = next(row for row in self.list() if row["code"] == code)
            self.assertEqual(row["state"], "CLOSED", what)
            self.assertTrue(row["why"])
            self.assertIn("CLOSED", next(line for line in self.admin("agreement", "list").stdout.splitlines() if code in line))
            self.refused("RULE_VIOLATION", "closed", "suspend", code, "KPS", "--version", "1")

    def test_two_acts_at_once(self):
        code = self.begin()
        before = self.sql("SELECT count(*) FROM registry.act")[0][0]
        with contextlib.closing(self.cluster.connect(self.database)) as holder, holder.cursor() as held:
            holder.autocommit = False
            held.execute("UPDATE registry.version SET version = version + 1")  # both acts stop behind this row
            both = [subprocess.Popen([BIN / "jukwaa", "admin", "agreement", "suspend", code, "--key", self.keys[agency]],
                                     env={**self.env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                    for agency in ("KPS", "KRCS")]
            wait_until(lambda: self.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
                                        "AND query LIKE 'INSERT INTO registry.act%%'")[0][0] == 2, what="both wait")
            holder.commit()
            said = [process.communicate(timeout=30) for process in both]
        self.assertEqual(sorted(process.returncode for process in both), [0, 1], said)
        self.assertIn("another act came first", said[0][1] + said[1][1])
        self.assertEqual(self.sql("SELECT count(*) FROM registry.act")[0][0], before + 1)
        self.assertEqual(self.state(code), "SUSPENDED")

    def test_a_key_revoked_after_signing(self):
        key = self.new_key("KRCS", "--role", "publisher", "--may-sign")
        code = self.code()
        self.act("propose", self.agreement(code), "KPS")
        act = self.signed(self.last(code), "accept", "KRCS", key=key)
        self.act("submit", act, "KRCS")
        waits = self.code()
        self.act("propose", self.agreement(waits), "KPS")
        late = self.signed(self.last(waits), "accept", "KRCS", key=key)
        self.admin("key", "revoke", f"{key}.pub")
        self.assertEqual(self.state(code), "IN_FORCE", "what was signed before stays signed")
        self.refused("REVOKED", "revoked", "submit", late, "KRCS")
        # A row written past the command line, signed after the revocation.
        self.sql("UPDATE registry.key SET revoked_at = now() - interval '1 hour' WHERE sign_key = %s", read_key(key)["sign-public"])
        self.assertEqual(self.state(code), "CLOSED")


class AgreeTest(World):
    def run_readme(self, commands, folder, database):
        """Runs the commands as they stand in a folder with the two agencies' keys; what the agreement was after each."""
        env = {"JUKWAA_DATABASE": self.cluster.conninfo(database, "jukwaa_admin")}
        states = []
        for code in ("KPS", "KRCS"):
            run_cli("admin", "agency", "add", code, "--name", code, env=env)
        for command in commands:
            done = subprocess.run(["/bin/sh", "-ec", command], cwd=folder, capture_output=True, text=True,
                                  env={**os.environ, **env, "PATH": f"{BIN}:/usr/bin:/bin"})
            self.assertEqual(done.returncode, 0, f"{command}\n{done.stderr}")
            listed = run_cli("--json", "admin", "agreement", "list", env=env).stdout.splitlines()
            states += [json.loads(line)["state"] for line in listed]
        return [state for i, state in enumerate(states) if i == 0 or state != states[i - 1]]

    def test_by_the_words_of_the_readme(self):
        section = re.search(r"\n## Agreements\n(.*?)\n## ", (ROOT / "README.md").read_text(), re.S)[1]
        blocks = [[line.split(" #")[0].strip() for line in block.splitlines()] for block in re.findall(r"(?m)(?:^    .*\n)+", section)]
        self.assertEqual([len(block) for block in blocks], [10, 3])
        folder = self.folder / "readme"
        folder.mkdir()
        for name in ("police.key", "redcross.key"):
            run_cli("key", "new", "--out", folder / name)
        (folder / "kps-krcs.json").write_text((SAMPLES / "kps-krcs.json").read_text())
        first, second = self.cluster.make_database("first"), self.cluster.make_database("second")
        self.assertEqual(self.run_readme(blocks[0], folder, first), ["PROPOSED", "IN_FORCE", "SUSPENDED", "IN_FORCE"])
        self.assertEqual(self.run_readme(blocks[0][:2] + blocks[1], folder, second), ["IN_FORCE"])

    def test_by_files_that_travel(self):
        code = self.code()
        document = self.agreement(code)
        proposed = self.signed(document, "propose", "KPS")
        said = run_cli("agreement", "show", proposed).stdout
        self.assertIn("act: PROPOSE", said)
        self.assertIn("COARSE_PLACE@1", said)
        # The other side signs on top of what it was given, before the operator has seen either.
        accepted = self.signed(proposed, "accept", "KRCS")
        self.refused("RULE_VIOLATION", "act_no", "submit", accepted, "KRCS")
        self.admin("agreement", "submit", proposed, accepted)
        self.assertEqual(self.state(code), "IN_FORCE")
        changed = self.agreement(code, version=2, retention_days=7)
        self.act("submit", self.signed(changed, "propose", "KRCS", "--after", self.last(code)), "KRCS")
        self.act("submit", self.signed(self.last(code), "accept", "KPS"), "KPS")
        self.assertEqual((self.state(code), self.state(code, version=2)), ("SUPERSEDED", "IN_FORCE"))
        shown = json.loads(self.admin("--json", "agreement", "show", code, "--history").stdout)
        self.assertEqual([(a["act"], a["version"], a["agency"]) for a in shown["acts"]],
                         [("PROPOSE", 1, "KPS"), ("ACCEPT", 1, "KRCS"), ("PROPOSE", 2, "KRCS"), ("ACCEPT", 2, "KPS")])
        self.assertEqual(sorted(shown["consented"]), ["KPS", "KRCS"])
        self.assertIn(read_key(self.keys["KPS"])["sign-public"].hex()[:16],
                      self.admin("agreement", "show", code, "--history").stdout)
        # Documents and acts that do not belong together.
        other = self.agreement(self.code())
        done = run_cli("agreement", "sign", other, "--after", self.last(code), "--act", "propose", "--agency", "KPS", "--key",
                       self.keys["KPS"], check=False)
        self.assertEqual(done.returncode, 1)
        bent = json.loads(proposed.read_text())
        bent["document"] = bent["document"].replace("COARSE_PLACE", "NO_PERSONS")
        done = run_cli("agreement", "sign", self.file(bent), "--act", "accept", "--agency", "KRCS", "--key", self.keys["KRCS"],
                       check=False)
        self.assertIn("is not the one that was signed", done.stderr)

    def test_by_law(self):
        law = json.loads((SAMPLES / "life-safety.json").read_text())
        code = self.code()
        path = self.file({**law, "agreement": code})
        self.refused("NOT_PERMITTED", "not for this party", "propose", path, "KPS")
        self.act("propose", path, "OPS")
        self.assertEqual(self.state(code), "IN_FORCE")
        self.refused("NOT_PERMITTED", "not for this party", "suspend", code, "KPS")
        self.act("suspend", code, "OPS")
        self.assertEqual(self.state(code), "SUSPENDED")
        self.act("resume", code, "OPS")
        self.assertTrue(next(row for row in self.list("--agency", "NMS") if row["code"] == code)["statutory"])

    def test_time_is_over(self):
        code = self.code()
        self.act("propose", self.agreement(code, end="2026-01-02T00:00:00Z"), "KPS")
        self.act("accept", code, "KRCS")
        self.assertEqual(self.state(code), "ENDED")

    def test_export_and_import(self):
        codes = [self.begin(purpose=f"p \"{i}\" {{[,:\\ ö", desks=["B", "A"]) for i in range(3)]
        one = self.admin("agreement", "export", codes[0]).stdout
        self.assertEqual(len(one.splitlines()), len(json.loads(one)) + 2, "one field a line")
        everything = self.admin("agreement", "export", "--all").stdout
        documents = {d["agreement"]: d for d in json.loads(everything)}
        self.assertLessEqual(set(codes), set(documents))
        path = self.file(everything)
        before = self.rows()
        said = self.act("import", path, "KPS").stdout
        self.assertEqual(self.rows(), before)
        self.assertEqual(said.count("unchanged"), len(documents))
        # Into another exchange: the same documents, to the byte.
        database = self.cluster.make_database("other")
        env = {"JUKWAA_DATABASE": self.cluster.conninfo(database, "jukwaa_admin")}
        for code in ("KPS", "KRCS", "OPS"):
            run_cli("admin", "agency", "add", code, "--name", code, env=env)
            run_cli("admin", "key", "add", "--file", f"{self.keys[code]}.pub", "--agency", code, "--may-sign", "--role",
                    "operator" if code == "OPS" else "publisher", env=env)
        mutual = [d for d in json.loads(everything) if d["agreement"] in codes]
        path = self.file(mutual)
        run_cli("admin", "agreement", "import", path, "--key", self.keys["KPS"], env=env)
        for code in codes:
            run_cli("admin", "agreement", "accept", code, "--key", self.keys["KRCS"], env=env)
        again = run_cli("admin", "agreement", "export", "--all", env=env).stdout
        self.assertEqual(json.loads(again), sorted(mutual, key=lambda d: d["agreement"]))
        for code in codes:
            self.assertEqual(run_cli("admin", "agreement", "export", code, env=env).stdout,
                             self.admin("agreement", "export", code).stdout)

    def test_allow_rows_are_seen_beside_agreements(self):
        self.admin("desk", "add", "D1", "--agency", "KPS", "--name", "D1")
        self.admin("allow", "add", "--desk", "D1", "--county", "047")
        rows = [row for row in self.list("--all") if row["state"] == "ALLOW"]
        self.assertEqual([(row["desk"], row["provider"], row["county"]) for row in rows], [("D1", "*", "047")])
        self.assertNotIn("ALLOW", [row["state"] for row in self.list()])
        self.assertIn("the operator's own grants", self.admin("agreement", "list", "--all").stdout)

    def test_switches_of_keys_and_agencies_are_not_lost_by_adding_again(self):
        self.admin("agency", "add", "KWS", "--name", "KWS", "--agreements-only")
        self.assertIn("unchanged", self.admin("agency", "add", "KWS", "--name", "KWS").stdout)
        self.assertEqual(self.sql("SELECT agreements_only FROM registry.agency WHERE code = 'KWS'"), [(True,)])
        self.admin("agency", "set", "KWS", "--agreements-only", "no")
        self.assertEqual(self.sql("SELECT agreements_only FROM registry.agency WHERE code = 'KWS'"), [(False,)])
        self.assertNotEqual(self.admin("agency", "set", "KWS", "--agreements-only", "perhaps", check=False).returncode, 0)
        self.assertIn("unchanged", self.admin("key", "add", "--file", f"{self.keys['KWS']}.pub", "--agency", "KWS", "--role",
                                              "publisher").stdout)
        keys = [json.loads(line) for line in self.admin("--json", "key", "list").stdout.splitlines()]
        self.assertTrue(next(k for k in keys if k["agency"] == "KWS")["may_sign"])

    def test_wrong_use(self):
        for args, said in ((("agreement",), "propose, accept"), (("agreement", "sell", "X"), "sell"), (("agreement", "accept"), "one CODE"), (("agreement", "accept", "X"), "--key"),
                           (("agreement", "accept", "X", "Y", "--key", self.keys["KPS"]), "one CODE"),
                           (("agreement", "accept", "X", "--version", "0"), "--version"), (("agreement", "list", "--bad"), "--bad"),
                           (("agreement", "propose", "--key"), "value"), (("taskforce", "show"), "one CODE")):
            done = self.admin(*args, check=False)
            self.assertEqual(done.returncode, 2, f"{args} {done.stderr}")
            self.assertIn(said, done.stderr)
        self.assertEqual(self.admin("agreement", "show", "NONE", check=False).returncode, 1)
        for args in (("sign",), ("sign", "x"), ("sign", "x", "--act", "sell"), ("lend", "x"), ("show",), ("sign", "x", "--act")):
            self.assertEqual(run_cli("agreement", *args, check=False).returncode, 2, args)


class TaskForceTest(World):
    def force(self, code, **fields):
        return self.file({**FORCE, "task_force": code, **fields})

    def start(self, *joined):
        code = self.code()
        self.act("propose", self.force(code), "KPS", object="taskforce")
        for agency in joined:
            self.act("accept", code, agency, object="taskforce")
        return code

    def consented(self, code, object="taskforce", *options):
        return sorted(json.loads(self.admin("--json", object, "show", code, *options).stdout)["consented"])

    def test_who_may_do_what(self):
        self.refused("NOT_PERMITTED", "not for this party", "propose", self.force("T"), "KWS", object="taskforce")
        code = self.start("KWS")
        self.refused("NOT_PERMITTED", "EVIL", "accept", code, "EVIL", object="taskforce")
        self.refused("RULE_VIOLATION", "KPS", "leave", code, "KPS", object="taskforce")
        self.refused("NOT_PERMITTED", "KWS", "withdraw", code, "KWS", object="taskforce")
        self.refused("RULE_VIOLATION", "NMS", "leave", code, "NMS", object="taskforce")
        self.assertEqual(self.consented(code), ["KPS", "KWS"])

    def test_who_leaves_is_out_and_needs_a_later_version(self):
        code = self.start("KWS", "NMS")
        self.act("leave", code, "KWS", object="taskforce")
        self.assertEqual(self.consented(code), ["KPS", "NMS"])
        self.refused("RULE_VIOLATION", "KWS", "accept", code, "KWS", object="taskforce")
        self.act("propose", self.force(code, version=2, end="2098-01-01T00:00:00Z"), "KPS", object="taskforce")
        self.act("accept", code, "KWS", object="taskforce")
        self.act("accept", code, "NMS", object="taskforce")
        self.assertEqual(self.consented(code), ["KPS", "KWS", "NMS"])

    def test_an_extension_needs_every_member(self):
        code = self.start("KWS", "NMS")
        self.act("propose", self.force(code, version=2, end="2099-06-01T00:00:00Z"), "KPS", object="taskforce")
        self.act("accept", code, "KWS", object="taskforce")
        self.assertEqual(self.state(code, "taskforce"), "IN_FORCE")
        self.assertEqual(self.state(code, "taskforce", 2), "PROPOSED")
        self.act("accept", code, "NMS", object="taskforce")
        self.assertEqual(self.state(code, "taskforce", 2), "IN_FORCE")
        self.assertEqual(self.state(code, "taskforce"), "SUPERSEDED")

    def test_agreements_with_a_task_force(self):
        code, force = self.code(), self.start("KWS")
        path = self.agreement(code, provider="KRCS", recipient=f"taskforce:{force}")
        self.refused("NOT_PERMITTED", "KWS", "propose", path, "KWS")
        self.act("propose", path, "KRCS")
        self.refused("NOT_PERMITTED", "KWS", "accept", code, "KWS")
        self.refused("NOT_PERMITTED", "EVIL", "accept", code, "EVIL")
        self.act("accept", code, "KPS")
        self.assertEqual(self.state(code), "IN_FORCE")
        self.assertIn(code, {row["code"] for row in self.list("--agency", "KWS")})
        # The task force ends: so does what is given to it.
        self.act("withdraw", force, "KPS", object="taskforce")
        self.assertEqual(self.state(force, "taskforce"), "ENDED")
        self.assertEqual(self.state(code), "PROPOSED", "nobody speaks for the task force any more")
        missing = self.code()
        path = self.agreement(missing, provider="KRCS", recipient="taskforce:NONE")
        self.act("propose", path, "KRCS")
        self.refused("NOT_PERMITTED", "KPS", "accept", missing, "KPS")

    def test_members_give_to_each_other(self):
        code, force = self.code(), self.start("KWS", "NMS")
        self.act("propose", self.agreement(code, provider=f"taskforce:{force}", recipient=f"taskforce:{force}"), "KPS")
        self.assertEqual(self.state(code), "PROPOSED")
        self.act("accept", code, "KWS")
        self.assertEqual(self.state(code), "IN_FORCE")
        self.assertEqual(self.consented(code, "agreement"), ["KPS", "KWS"])
        self.act("accept", code, "NMS")
        self.act("leave", code, "KWS")
        self.assertEqual(self.consented(code, "agreement"), ["KPS", "NMS"])

    def test_export(self):
        code = self.start()
        document = json.loads(self.admin("taskforce", "export", code).stdout)
        self.assertEqual(document["members"], ["KPS", "KWS", "NMS"])
        path = self.file(self.admin("taskforce", "export", "--all").stdout)
        self.assertIn(f"{code}: unchanged", self.act("import", path, "KPS", object="taskforce").stdout)


if __name__ == "__main__":
    unittest.main()
