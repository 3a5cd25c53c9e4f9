"""Migrations and the operator's commands of `jukwaa`, against a throw-away PostgreSQL: what is refused, with which exit status
and in which words; that scripts may run twice; that roles get no more than they should."""
import contextlib
import json
import shutil
import stat
import subprocess
import threading
import unittest

import psycopg2

from jukwaa_harness import ROOT, Cluster, run_cli, scratch

SQL = ROOT / "deploy" / "sql"
OK, REFUSED, USAGE, UNREACHABLE, NOT_PERMITTED = range(5)


cluster = Cluster()


class Database(unittest.TestCase):
    """A database of its own for each class; `self.admin` and `self.sql` work on it."""
    migrated = True

    @classmethod
    def setUpClass(cls):
        cls.name = cls.__name__.lower()
        with contextlib.closing(cluster.connect()) as c, c.cursor() as cursor:
            cursor.execute(f'CREATE DATABASE "{cls.name}"')
        if cls.migrated:
            cls.run_as(None, "migrate", "--sql", SQL, "--passwords", cluster.passfile)

    @classmethod
    def run_as(cls, role, *args, status=OK, as_json=False):
        words = ["--json"] if as_json else []
        done = run_cli("admin", *args, *words, env={"JUKWAA_DATABASE": cluster.conninfo(cls.name, role)}, check=False)
        if done.returncode != status:
            raise AssertionError(f"{args} ended with {done.returncode}, not {status}\n{done.stdout}{done.stderr}")
        return done

    def admin(self, *args, **kwargs):
        return self.run_as("jukwaa_admin", *args, **kwargs).stdout.strip()

    def refused(self, *args, status=REFUSED, role="jukwaa_admin"):
        return self.run_as(role, *args, status=status).stderr

    def rows(self, *args):
        return [json.loads(line) for line in self.admin(*args, as_json=True).splitlines()]

    def sql(self, statement, *args, role=None):
        with contextlib.closing(cluster.connect(self.name, role)) as c, c.cursor() as cursor:
            cursor.execute(statement, args)
            return cursor.fetchall() if cursor.description else None


class Migrating(Database):
    """In a folder of its own, so that files can be changed."""
    migrated = False

    def setUp(self):
        self.folder = scratch() / f"sql-{self._testMethodName}"
        self.folder.mkdir()
        self.name = self._testMethodName.lower()
        type(self).name = self.name
        with contextlib.closing(cluster.connect()) as c, c.cursor() as cursor:
            cursor.execute(f'CREATE DATABASE "{self.name}"')
        self.write("001_a.sql", "CREATE TABLE meta.realm (single boolean PRIMARY KEY DEFAULT true, realm text NOT NULL);")

    def write(self, name, text):
        (self.folder / name).write_text(text)

    def migrate(self, *args, status=OK):
        done = self.run_as(None, "migrate", "--sql", self.folder, *args, status=status)
        return done.stdout + done.stderr

    def applied(self):
        return [row[0] for row in self.sql("SELECT name FROM meta.migration ORDER BY number")]

    def test_applies_in_order_and_once(self):
        self.write("002_b.sql", "CREATE TABLE b (x int);")
        self.assertEqual(self.migrate(), "applied 001_a.sql\napplied 002_b.sql\n")
        self.assertIn("nothing to do", self.migrate())
        self.write("003_c.sql", "INSERT INTO b VALUES (1);")
        self.assertEqual(self.migrate(), "applied 003_c.sql\n")
        self.migrate()
        self.assertEqual(self.sql("SELECT count(*) FROM b"), [(1,)])
        sums = self.sql("SELECT encode(checksum, 'hex') FROM meta.migration ORDER BY number")
        expected = subprocess.run(["sha256sum", *sorted(self.folder.iterdir())], capture_output=True, text=True, check=True)
        self.assertEqual([s[0] for s in sums], [line.split()[0] for line in expected.stdout.splitlines()])

    def test_a_changed_file_stops_before_anything_changes(self):
        self.migrate()
        self.write("001_a.sql", "SELECT 1;")
        self.write("002_b.sql", "CREATE TABLE b (x int);")
        self.assertIn("001_a.sql was applied to this database with another content", self.migrate(status=REFUSED))
        self.assertEqual(self.applied(), ["001_a.sql"])

    def test_a_gap_between_the_files_stops(self):
        self.write("003_c.sql", "SELECT 1;")
        self.assertIn("003_c.sql: expected number 002", self.migrate(status=USAGE))

    def test_two_files_of_one_number_stop(self):
        self.write("001_b.sql", "SELECT 1;")
        self.assertIn("001_b.sql: expected number 002", self.migrate(status=USAGE))

    def test_a_gap_in_the_database_stops_before_anything_changes(self):
        for name in ("002_b.sql", "003_c.sql"):
            self.write(name, "SELECT 1;")
        self.migrate()
        self.sql("DELETE FROM meta.migration WHERE number = 2")
        self.assertIn("003_c.sql is applied but 002_b.sql before it is not", self.migrate(status=REFUSED))
        self.assertEqual(self.applied(), ["001_a.sql", "003_c.sql"])

    def test_a_newer_database_is_left_alone(self):
        self.write("002_b.sql", "SELECT 1;")
        self.migrate()
        (self.folder / "002_b.sql").unlink()
        self.assertIn("this release does not have it", self.migrate(status=REFUSED))

    def test_a_file_that_fails_leaves_nothing_of_itself(self):
        self.write("002_b.sql", "CREATE TABLE b (x int);\nSELECT 1/0;")
        self.assertIn("002_b.sql: division by zero", self.migrate(status=REFUSED))
        self.assertEqual(self.applied(), ["001_a.sql"])
        self.assertEqual(self.sql("SELECT to_regclass('b')"), [(None,)])
        self.write("002_b.sql", "CREATE TABLE b (x int);")
        self.migrate()

    def test_the_realm_is_written_once(self):
        self.migrate("--realm", "exercise")
        self.write("002_b.sql", "SELECT 1;")
        self.assertIn("serves the realm EXERCISE, not LIVE", self.migrate("--realm", "live", status=REFUSED))
        self.assertEqual(self.applied(), ["001_a.sql"])
        self.migrate("--realm", "exercise")
        self.migrate("--realm", "EXERCISE")
        self.migrate("--realm", "mock", status=USAGE)

    def test_two_at_once_wait_for_each_other(self):
        self.write("002_b.sql", "CREATE TABLE b (x int); SELECT pg_sleep(0.3);")
        outputs = []
        threads = [threading.Thread(target=lambda: outputs.append(self.migrate())) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(outputs), 3)
        self.assertEqual(sum("applied 002_b.sql" in output for output in outputs), 1)

    def test_an_empty_folder_and_wrong_options(self):
        empty = scratch() / "empty"
        empty.mkdir()
        self.run_as(None, "migrate", "--sql", empty, status=USAGE)
        self.run_as(None, "migrate", "--sql", empty / "none", status=USAGE)
        self.migrate("--nonsense", status=USAGE)
        self.migrate("--wait", "soon", status=USAGE)
        self.migrate("--realm", status=USAGE)

    def test_no_server_is_said_clearly(self):
        env = {"JUKWAA_DATABASE": f"host={scratch()}/nobody dbname=x"}
        done = run_cli("admin", "migrate", "--sql", self.folder, env=env, check=False)
        self.assertEqual(done.returncode, UNREACHABLE)
        self.assertIn("JUKWAA_DATABASE", done.stderr)
        done = run_cli("admin", "migrate", "--sql", self.folder, env={"JUKWAA_DATABASE": ""}, check=False)
        self.assertEqual(done.returncode, USAGE)

    def test_makes_the_database_and_waits_for_the_server(self):
        env = {"JUKWAA_DATABASE": cluster.conninfo("""'odd "name'""")}
        cluster.stop()
        starter = threading.Timer(0.5, cluster.start)
        starter.start()
        args = ("admin", "migrate", "--sql", self.folder, "--create-database", "--wait", "30")
        self.assertIn("applied 001_a.sql", run_cli(*args, env=env).stdout)
        starter.join()
        self.assertIn("nothing to do", run_cli(*args, env=env).stdout)


class Passwords(Database):
    migrated = False

    def test_verifiers_only_and_pgpass_rules(self):
        passfile = scratch() / "pgpass-own"
        passfile.write_text("# jukwaa: a comment with : colons : in : it : all\n"
                            "*:*:*:somebody:secret\n"
                            "*:*:*:jukwaa_admin:a\\:b\\\\c'd\"e;--\n"
                            "host\\:x:5432:db:jukwaa_intake:two words:and colon\r\n")
        passfile.chmod(0o640)
        self.assertIn("open to group", self.refused("migrate", "--sql", SQL, "--passwords", passfile, role=None, status=USAGE))
        passfile.chmod(0o600)
        self.sql("ALTER SYSTEM SET log_statement = 'all'")
        self.sql("SELECT pg_reload_conf()")
        self.run_as(None, "migrate", "--sql", SQL, "--passwords", passfile)
        for role, password in (("jukwaa_admin", "a:b\\c'd\"e;--"), ("jukwaa_intake", "two words:and colon")):
            with contextlib.closing(psycopg2.connect(host=str(cluster.folder), dbname=self.name, user=role, password=password)):
                pass
        with self.assertRaises(psycopg2.OperationalError):
            psycopg2.connect(host=str(cluster.folder), dbname=self.name, user="jukwaa_admin", password="a")
        verifier = self.sql("SELECT rolpassword FROM pg_authid WHERE rolname = 'jukwaa_admin'")[0][0]
        self.assertTrue(verifier.startswith("SCRAM-SHA-256$"))
        self.assertEqual(self.sql("SELECT rolcanlogin FROM pg_authid WHERE rolname = 'jukwaa_owner'"), [(False,)])
        log = (cluster.folder / "log").read_text()
        self.assertIn("ALTER ROLE", log)
        self.assertNotIn("two words", log)
        self.sql("ALTER SYSTEM RESET log_statement")
        self.sql("SELECT pg_reload_conf()")
        # The other tests log in with the cluster's own.
        self.run_as(None, "migrate", "--sql", SQL, "--passwords", cluster.passfile)

    def test_a_file_without_roles_is_said(self):
        passfile = scratch() / "pgpass-none"
        passfile.write_text("*:*:*:somebody:secret\n")
        passfile.chmod(0o600)
        self.assertIn("no line", self.refused("migrate", "--sql", SQL, "--passwords", passfile, role=None, status=USAGE))


class Registry(Database):
    def key(self, name):
        path = scratch() / f"{name}.key"
        if not path.exists():
            run_cli("key", "new", "--out", path)
        return f"{path}.pub"

    def test_agencies(self):
        add = ("agency", "add", "KPS", "--name", "Kenya Police Service")
        self.assertEqual(self.admin(*add), "agency KPS: added")
        self.assertEqual(self.admin(*add), "agency KPS: unchanged")
        self.assertEqual(self.admin(*add, "--strict"), "agency KPS: changed")
        self.assertEqual(json.loads(self.admin(*add, "--strict", as_json=True)), {"done": "unchanged"})
        self.admin("agency", "revoke", "KPS")
        self.assertIn("jukwaa admin agency reinstate KPS", self.refused(*add))
        self.assertTrue(self.rows("agency", "list")[0]["strict"], "a refused add changes nothing")
        self.admin("agency", "reinstate", "KPS")
        self.assertEqual(self.admin(*add), "agency KPS: changed")
        row = next(row for row in self.rows("agency", "list") if row["code"] == "KPS")
        self.assertEqual((row["name"], row["strict"], row["revoked_at"]), ("Kenya Police Service", False, None))
        self.assertRegex(row["added_at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")

    def test_wrong_values_are_refused_in_words(self):
        self.admin("agency", "add", "WV", "--name", "x")
        self.assertIn("a code is", self.refused("agency", "add", "kps", "--name", "x"))
        self.refused("agency", "add", "KPS", status=USAGE)
        self.refused("agency", "add", "--name", "x", status=USAGE)
        self.refused("agency", "add", "A", "B", "--name", "x", status=USAGE)
        self.refused("agency", "destroy", "A", status=USAGE)
        self.refused("nonsense", status=USAGE)
        self.assertIn("no such agency", self.refused("desk", "add", "D1", "--agency", "NOBODY", "--name", "x"))
        self.assertIn("no such agency", self.refused("agency", "revoke", "NOBODY"))
        key = ("key", "add", "--file", self.key("wv"))
        self.assertIn("a role is", self.refused(*key, "--role", "king", "--agency", "WV"))
        self.assertIn("a realm is", self.refused(*key, "--role", "operator", "--agency", "WV", "--realm", "mock"))
        self.assertIn("needs --desk", self.refused(*key, "--role", "desk", "--agency", "WV"))
        self.assertIn("no such agency", self.refused(*key, "--role", "publisher", "--agency", "NOBODY"))
        self.refused(*key, "--role", "publisher", "--agency", "WV", "--rate-limit", "fast", status=USAGE)
        self.refused("key", "add", "--file", "/nonexistent", "--role", "publisher", "--agency", "WV", status=USAGE)

    def test_a_mistyped_code_never_means_any(self):
        self.admin("agency", "add", "MT", "--name", "x")
        self.admin("desk", "add", "MT-DESK", "--agency", "MT", "--name", "x")
        before = self.rows("allow", "list")
        self.assertIn("no such agency", self.refused("allow", "add", "--desk", "MT-DESK", "--agency", "MX"))
        self.assertIn("no such desk", self.refused("allow", "add", "--desk", "MX-DESK"))
        self.assertIn("no such county", self.refused("allow", "add", "--desk", "MT-DESK", "--county", "048"))
        self.assertIn("RED", self.refused("allow", "add", "--desk", "MT-DESK", "--tlp-ceiling", "RED"))
        self.refused("allow", "add", "--desk", "MT-DESK", "--category", "SMOKE", status=USAGE)
        self.refused("allow", "add", "--desk", "MT-DESK", "--until", "tomorrow", status=USAGE)
        self.assertEqual(self.rows("allow", "list"), before)

    def test_desks_and_keys(self):
        for agency in ("DA", "DB"):
            self.admin("agency", "add", agency, "--name", agency)
        self.assertEqual(self.admin("desk", "add", "D-A", "--agency", "DA", "--name", "Dawati"), "desk D-A: added")
        self.assertEqual(self.admin("desk", "add", "D-A", "--agency", "DA", "--name", "Dawati"), "desk D-A: unchanged")
        key = ("key", "add", "--file", self.key("desk"), "--role", "desk")
        self.assertIn("no such desk", self.refused(*key, "--agency", "DB", "--desk", "D-A"))
        self.assertEqual(self.admin(*key, "--agency", "DA", "--desk", "D-A"), "key: added")
        self.assertEqual(self.admin(*key, "--agency", "DA", "--desk", "D-A"), "key: unchanged")
        self.assertIn("other roles have none", self.refused("key", "add", "--file", self.key("op"), "--role", "operator",
                                                            "--agency", "DA", "--desk", "D-A"))
        sender = ("key", "add", "--file", self.key("pub"), "--role", "publisher", "--agency", "DA", "--rate-limit", "50",
                  "--note", "it's \"quoted\" \\ and {braced}")
        self.admin(*sender, "--cap-sender", "a@example.ke", "--cap-sender", 'odd "one", {x}\\')
        self.assertEqual(self.sql("SELECT cap_senders, rate_limit, note, realm FROM registry.key WHERE role = 'PUBLISHER'"),
                         [(["a@example.ke", 'odd "one", {x}\\'], 50, "it's \"quoted\" \\ and {braced}", "LIVE")])
        self.assertEqual(self.admin(*sender, "--any-sender"), "key: changed")
        hexes = {row["role"]: row["curve_public"] for row in self.rows("key", "list")}
        self.admin("key", "revoke", self.key("pub"))
        self.assertIn("reinstate", self.refused(*sender, "--any-sender"))
        self.admin("key", "reinstate", hexes["PUBLISHER"])
        self.assertEqual(self.admin(*sender, "--any-sender"), "key: unchanged")
        self.assertIn("no such key", self.refused("key", "revoke", "00" * 32))
        shown = run_cli("--json", "key", "show", self.key("pub"))
        self.assertEqual(json.loads(shown.stdout)["curve_public"], hexes["PUBLISHER"])

    def test_allow_rows(self):
        self.admin("agency", "add", "AL", "--name", "x")
        self.admin("desk", "add", "AL-DESK", "--agency", "AL", "--name", "x")
        add = ("allow", "add", "--desk", "AL-DESK", "--county", "047", "--category", "fire", "--until",
               "2030-01-01T03:00:00+03:00")
        row = json.loads(self.admin(*add, as_json=True))
        self.assertEqual(row["done"], "added")
        self.assertEqual(self.admin(*add), "allow: unchanged")
        listed = self.rows("allow", "list", "--desk", "AL-DESK")
        self.assertEqual(len(listed), 1)
        self.assertEqual({name: listed[0][name] for name in ("desk", "agency", "county", "category", "tlp_ceiling",
                                                             "valid_until", "revoked_at")},
                         {"desk": "AL-DESK", "agency": None, "county": "047", "category": "FIRE", "tlp_ceiling": "AMBER",
                          "valid_until": "2030-01-01T00:00:00Z", "revoked_at": None})
        self.admin("allow", "revoke", row["allow_id"])
        self.assertNotEqual(self.admin(*add), "allow: unchanged")
        self.assertIn("no such row", self.refused("allow", "revoke", 999999))

    def test_every_change_moves_the_version(self):
        version = "SELECT version FROM registry.version"
        before = self.sql(version)[0][0]
        self.admin("agency", "add", "VER", "--name", "x")
        added = self.sql(version)[0][0]
        self.admin("agency", "revoke", "VER")
        self.assertLess(before, added)
        self.assertLess(added, self.sql(version)[0][0])

    def test_other_roles_may_not(self):
        self.assertIn("permission denied", self.refused("agency", "add", "X", "--name", "x", role="jukwaa_intake",
                                                        status=NOT_PERMITTED))
        self.refused("migrate", "--sql", SQL, role="jukwaa_admin", status=NOT_PERMITTED)

    def test_an_unmigrated_database_is_said(self):
        done = run_cli("admin", "agency", "list", env={"JUKWAA_DATABASE": cluster.conninfo("postgres")}, check=False)
        self.assertEqual(done.returncode, REFUSED)
        self.assertIn("jukwaa admin migrate", done.stderr)

    def test_help_is_there_for_every_object(self):
        for words in ((), ("migrate",), ("agency",), ("key",), ("allow",), ("notify",), ("notify", "rule"), ("epoch",)):
            out = self.admin(*words, "--help")
            self.assertIn("jukwaa admin", out)
            if words:
                self.assertIn(words[-1] + " ", out)
        self.refused("nonsense", "--help", status=USAGE)


class Notify(Database):
    def setUp(self):
        self.admin("agency", "add", "NT", "--name", "x")
        self.admin("desk", "add", "NT-DESK", "--agency", "NT", "--name", "x")
        self.secret = scratch() / "hook.whsec"
        self.add = ("notify", "rule", "add", "night", "--desk", "NT-DESK", "--county", "047", "--min-severity", "severe",
                    "--url", "https://example.ke/hook", "--secret-file", self.secret)

    def test_1_rules_and_their_secret(self):
        self.assertEqual(self.admin(*self.add), "rule night: added")
        self.assertEqual(stat.S_IMODE(self.secret.stat().st_mode), 0o600)
        self.assertRegex(self.secret.read_text(), r"^whsec_[A-Za-z0-9+/]{32}\n$")
        before = self.secret.read_text()
        self.assertEqual(self.admin(*self.add), "rule night: unchanged")
        self.assertEqual(self.secret.read_text(), before)
        row = self.rows("notify", "rule", "list")[0]
        self.assertEqual((row["name"], row["county"], row["category"], row["minimum_severity"]), ("night", "047", None, "SEVERE"))
        self.admin("notify", "rule", "revoke", "night")
        self.assertIn("notify rule reinstate night", self.refused(*self.add))
        self.admin("notify", "rule", "reinstate", "night")
        self.assertEqual(self.admin(*self.add), "rule night: unchanged")

    def test_2_wrong_rules(self):
        other = ("notify", "rule", "add", "day", "--desk", "NT-DESK", "--url", "https://example.ke/hook", "--secret-file")
        plain = scratch() / "plain.txt"
        plain.write_text("hello there")
        plain.chmod(0o600)
        self.assertIn("no whsec_", self.refused(*other, plain, status=USAGE))
        open_file = scratch() / "open.whsec"
        shutil.copy(self.secret, open_file)
        open_file.chmod(0o644)
        self.assertIn("chmod 600", self.refused(*other, open_file, status=USAGE))
        self.assertIn("whole path", self.refused(*other, "hook.whsec", status=USAGE))
        self.assertIn("http", self.refused("notify", "rule", "add", "day", "--desk", "NT-DESK", "--url", "ftp://x",
                                           "--secret-file", self.secret))
        self.assertIn("severity", self.refused(*self.add, "--min-severity", "unknown"))
        self.assertIn("no such desk", self.refused("notify", "rule", "add", "day", "--desk", "NOBODY", "--url", "https://x",
                                                   "--secret-file", self.secret))

    def test_3_dead_letters(self):
        rule = self.sql("SELECT rule_id FROM notify.rule WHERE name = 'night'")[0][0]
        for n in range(3):
            self.sql("INSERT INTO notify.message (message_id, rule_id, event_id, incident_id, county, category, severity, state, "
                     "attempts, last_error) VALUES (gen_random_uuid(), %s, gen_random_uuid(), gen_random_uuid(), '047', 6, 2, "
                     "'DEAD', 8, %s)", rule, f"HTTP 500 {n}")
        dead = self.rows("notify", "dead", "list")
        self.assertEqual(len(dead), 3)
        self.assertEqual((dead[0]["rule"], dead[0]["last_error"], dead[0]["attempts"]), ("night", "HTTP 500 0", 8))
        self.refused("notify", "dead", "requeue", status=USAGE)
        self.assertEqual(len(self.rows("notify", "dead", "list")), 3, "without ID or --all nothing moves")
        self.assertIn("no such message", self.refused("notify", "dead", "requeue", "00000000-0000-0000-0000-000000000000"))
        self.assertIn("no such message", self.refused("notify", "dead", "requeue", "nonsense"))
        self.admin("notify", "dead", "requeue", dead[1]["message_id"].upper())
        self.assertEqual([row["message_id"] for row in self.rows("notify", "dead", "list")],
                         [dead[0]["message_id"], dead[2]["message_id"]])
        self.assertEqual(json.loads(self.admin("notify", "dead", "requeue", "--all", as_json=True)),
                         {"done": "requeued", "messages": 2})
        self.assertEqual(self.rows("notify", "dead", "list"), [])
        self.assertEqual(self.sql("SELECT DISTINCT state, attempts FROM notify.message"), [("PENDING", 0)])


class Epoch(Database):
    def test_show_and_confirm(self):
        first = self.rows("epoch", "show")
        self.assertEqual([(row["epoch"], row["current"]) for row in first], [(1, True)])
        self.assertEqual(json.loads(self.admin("epoch", "confirm", as_json=True)), {"done": "confirmed", "epoch": 1})
        self.assertEqual(self.rows("epoch", "show"), first)
        # As on another server: this one's identity is not among the known.
        self.sql("UPDATE feed.epoch SET timeline = timeline + 1000")
        self.assertEqual([row["current"] for row in self.rows("epoch", "show")], [None])
        self.assertGreater(json.loads(self.admin("epoch", "confirm", as_json=True))["epoch"], 1)
        self.assertEqual([row["current"] for row in self.rows("epoch", "show")], [False, True])
        self.refused("epoch", "confirm", role="jukwaa_intake", status=NOT_PERMITTED)


if __name__ == "__main__":
    unittest.main()
