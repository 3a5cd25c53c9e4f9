"""What each database role may do: everything that PostgreSQL grants on our schemas, written down here and compared, and the important
refusals tried for real, logged in as each role. A migration that grants something new turns this red until it is written down."""
import contextlib
import unittest
import uuid

import psycopg2
from jukwaa_harness import Cluster, chain_next, protos

SCHEMAS = ("meta", "registry", "feed", "evidence", "intake", "dispatch", "cases", "notify")
ROLES = ("intake", "dispatch", "cases", "notify", "admin")
SERVICES = ROLES[:4]

# S select, I insert, U update, D delete; u: update of some columns, see COLUMNS. In the order of ROLES.
TABLES = """
meta.migration         S     S     S     S     S
meta.realm             S     S     S     S     S
meta.retention         -     -     -     -     S
meta.removal           -     -     -     -     S
meta.hold              -     -     -     -     S
meta.held              -     -     -     -     S
registry.version       S     S     S     S     S
registry.county        S     S     S     S     S
registry.neighbour     S     S     S     S     S
registry.constituency  S     S     S     S     S
registry.county_alias  S     S     S     S     S
registry.agency        S     S     S     S     SIu
registry.desk          S     S     S     S     SIu
registry.key           S     S     S     S     SIu
registry.allow         S     S     S     S     SIu
registry.pact          S     S     S     S     SI
registry.pact_version  S     S     S     S     SI
registry.act           S     S     S     S     SI
registry.duty_rule     S     S     S     S     SIu
registry.duty_desk     S     S     S     S     SIu
registry.escalation    S     S     S     S     SIu
feed.epoch             -     -     -     -     S
feed.head              -     S     S     S     S
feed.event             S     S     S     S     S
feed.removed           -     S     -     -     S
feed.removal           -     -     -     -     -
feed.held              -     -     -     -     S
feed.hold_position     -     -     -     -     -
evidence.head          -     SI    -     -     S
intake.secret          S     -     -     -     -
intake.dedup           SI    -     -     -     -
intake.report          SI    -     -     -     -
intake.protected       SI    -     -     -     -
intake.incident        SIU   -     -     -     S
intake.awaited         SID   -     -     -     -
intake.sweep           -     -     -     -     -
intake.erasure         -     -     -     -     S
dispatch.secret        -     S     -     -     -
dispatch.cursor        -     SIUD  -     -     S
dispatch.disclosure    -     SIu   -     -     S
dispatch.follow        -     SIU   -     -     S
dispatch.open_incident -     SIUD  -     -     S
dispatch.duty          -     SIU   -     -     S
dispatch.duty_since    -     S     -     -     S
dispatch.duty_offer    -     SIU   -     -     S
dispatch.duty_holding  -     SIU   -     -     S
dispatch.duty_telling  -     SIU   -     -     S
dispatch.duty_entry    -     SI    -     -     S
dispatch.duty_command  -     SI    -     -     -
dispatch.opened        -     SI    -     -     S
dispatch.unit          -     SIU   -     -     S
dispatch.assignment    -     SIU   -     -     S
dispatch.aid           -     SIU   -     -     S
dispatch.unit_command  -     SID   -     -     S
cases.cursor           -     -     SIU   -     S
cases.case             -     -     SIU   -     S
cases.entry            -     -     SI    -     S
cases.access           -     -     I     -     S
cases.task             -     -     SIU   -     S
cases.number           -     -     SIU   -     S
cases.link             -     -     SI    -     S
cases.target           -     -     S     -     SIDu
notify.cursor          -     -     -     SIU   S
notify.rule            -     -     -     S     SIu
notify.message         -     -     -     SIU   Su
notify.attempt         -     -     -     SIu   S
"""
COLUMNS = {
    ("admin", "registry.agency"): "name strict refuse_expired revoked_at agreements_only require_signature",
    ("admin", "registry.desk"): "agency_id name revoked_at",
    ("admin", "registry.key"): "sign_key role realm agency_id desk_id cap_senders rate_limit note revoked_at may_sign valid_from"
                               " expires_at",
    ("admin", "registry.allow"): "valid_until revoked_at",
    ("admin", "registry.duty_rule"): "rank answer_s again_s revoked_at",
    ("admin", "registry.duty_desk"): "rank revoked_at",
    ("admin", "registry.escalation"): "after_s again_s revoked_at",
    ("admin", "notify.rule"): "desk_id county category minimum_severity include_test url secret_file revoked_at",
    ("admin", "notify.message"): "state attempts next_attempt_at last_error",
    ("dispatch", "dispatch.disclosure"): "acked_seq sent_seq closed_at record terms noted_at",
    ("notify", "notify.attempt"): "http_status error uncertain",
    ("admin", "cases.target"): "triage_s resolve_s",
}
# Who may call it. Functions that are not here nobody may call: they serve those that are.
FUNCTIONS = {
    "feed.append": "intake dispatch cases",
    "feed.current_epoch": "intake dispatch admin",
    "feed.confirm_epoch": "admin",
    "feed.remove": "dispatch",
    "evidence.remove": "dispatch",
    "dispatch.remove": "dispatch",
    "dispatch.move": "dispatch",
    "dispatch.expect": "dispatch",
    "dispatch.refuse_changed": "dispatch",
    "dispatch.forget_closed": "dispatch",
    "dispatch.sent_under": "dispatch admin",
    "dispatch.disclose_protected": "dispatch",
    "dispatch.erased_since": "dispatch",
    "dispatch.forget_opened": "dispatch",
    "intake.require_rows": "intake",
    "intake.remove_reports": "intake",
    "intake.remove_keys": "intake",
    "intake.remove_protected": "intake",
    "intake.erase": "admin",
    "cases.move": "cases",
    "cases.expect": "cases",
    "cases.refuse_changed": "cases",
    "cases.remove_access": "cases",
    "notify.move": "notify",
    "notify.remove": "notify",
    "meta.set_retention": "admin",
    "meta.confirm_clock": "admin",
    "meta.add_hold": "admin",
    "meta.release_hold": "admin",
    "registry.rotate_key": "admin",
}
# Not marked SECURITY DEFINER although it is called by those below: they run with the caller's rights, or inside one that is.
APPEND = ("SELECT * FROM feed.append('{047}', '{00000000-0000-7000-8000-000000000001}', '{1}',"
          " '{00000000-0000-7000-8000-000000000002}', '{1}', '{2}', '{9}', ARRAY[sha256('')], ARRAY['x'::bytea])")
FEED_ROW = ("('047', 1, 1, gen_random_uuid(), 1, now(), gen_random_uuid(), 1, 1, 1, sha256(''), sha256(''), 'x')")
# What each role tries and may not.
FORBIDDEN = {
    "every role": (
        f"INSERT INTO feed.event VALUES {FEED_ROW}",
        "UPDATE feed.event SET body = ''", "DELETE FROM feed.event", "TRUNCATE feed.event", "TRUNCATE feed.event, feed.removed",
        "UPDATE feed.head SET last_seq = 0", "DELETE FROM feed.head", "UPDATE evidence.head SET root = sha256('')",
        "DELETE FROM evidence.head", "TRUNCATE evidence.head", "UPDATE registry.version SET version = 1",
        "INSERT INTO feed.epoch (system_id, timeline) VALUES (1, 1)", "UPDATE meta.realm SET realm = 'EXERCISE'",
        "UPDATE registry.act SET act = 'ACCEPT'", "DELETE FROM registry.act", "DELETE FROM registry.key", "TRUNCATE registry.allow",
        "UPDATE meta.migration SET number = 0", "UPDATE meta.retention SET event = '1 day'", "UPDATE registry.pact_version SET version = 9",
        "UPDATE registry.key SET curve_key = sha256('')", "UPDATE registry.key SET replaces = NULL",
        "CREATE TABLE registry.mine (x int)", "CREATE TABLE feed.mine (x int)", "CREATE TABLE public.mine (x int)",
        "CREATE SCHEMA mine", "CREATE TEMPORARY TABLE text (x int)", "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql RETURN 1",
        "SET ROLE jukwaa_owner", "SET SESSION AUTHORIZATION jukwaa_owner", "SET session_replication_role = replica",
        "ALTER TABLE feed.event DISABLE TRIGGER ALL", "ALTER TABLE registry.key DISABLE TRIGGER bump", "DROP TABLE registry.act",
        "ALTER FUNCTION feed.append SECURITY INVOKER", "ALTER ROLE jukwaa_owner LOGIN",
        "COPY feed.event TO PROGRAM 'cat'", "COPY feed.event TO '/tmp/feed'", "SELECT pg_read_file('PG_VERSION')",
        "SELECT rolpassword FROM pg_authid", "SELECT feed.obstacle('{}', '{}', '{}', now())", "SELECT registry.bump()",
        "SELECT feed.delete_removed(100)", "SELECT meta.note_removal('event', 1, '')",
    ),
    "intake": ("SELECT * FROM dispatch.secret", "SELECT * FROM dispatch.disclosure", 'SELECT * FROM cases."case"',
               "SELECT * FROM evidence.head", "DELETE FROM intake.report", "UPDATE intake.report SET bytes = ''",
               "DELETE FROM intake.dedup", "DELETE FROM intake.protected", "SELECT * FROM notify.message",
               "INSERT INTO evidence.head (signed_at) VALUES (now())", "SELECT feed.remove(1)", "UPDATE intake.secret SET content_key = ''"),
    "dispatch": ("SELECT * FROM intake.protected", "SELECT * FROM intake.report", "SELECT * FROM intake.secret",
                 "SELECT * FROM intake.incident", 'SELECT * FROM cases."case"', "DELETE FROM dispatch.disclosure",
                 "UPDATE dispatch.disclosure SET groups = 1536", "UPDATE dispatch.disclosure SET to_seq = 9", "TRUNCATE dispatch.disclosure", "UPDATE dispatch.secret SET seal_key = ''", "SELECT intake.remove_reports(1)",
                 "SELECT * FROM notify.message", "UPDATE registry.allow SET revoked_at = NULL"),
    "cases": ("SELECT * FROM intake.report", "SELECT * FROM intake.protected", "SELECT * FROM intake.incident",
              "SELECT * FROM dispatch.secret", "SELECT * FROM evidence.head", 'DELETE FROM cases."case"', "UPDATE cases.entry SET at = now()",
              "DELETE FROM cases.entry", "SELECT * FROM notify.message", "SELECT * FROM cases.access",
              "UPDATE cases.access SET purpose = 'AUDIT'", "DELETE FROM cases.access", "UPDATE cases.entry SET detail = NULL", "DELETE FROM cases.entry", "DELETE FROM cases.link",
              "DELETE FROM cases.task", "INSERT INTO cases.target (category, severity, triage_s) VALUES (0, 0, 1)"),
    "notify": (APPEND, "SELECT * FROM intake.report", "SELECT * FROM intake.protected", "SELECT * FROM dispatch.disclosure",
               "DELETE FROM notify.attempt", "UPDATE notify.attempt SET at = now()", "INSERT INTO notify.rule (name) VALUES ('mine')",
               "UPDATE notify.rule SET url = 'http://mine'", 'SELECT * FROM cases."case"', "SELECT * FROM evidence.head"),
    "admin": (APPEND, "SELECT * FROM intake.report", "SELECT * FROM intake.protected", "SELECT * FROM intake.secret",
              "SELECT * FROM dispatch.secret", "SELECT * FROM intake.dedup", "UPDATE dispatch.disclosure SET sent_seq = 0",
              "INSERT INTO evidence.head (signed_at) VALUES (now())", "UPDATE registry.pact SET code = 'X'",
              "UPDATE registry.allow SET desk_id = 1", "UPDATE notify.message SET county = '001'", "DELETE FROM registry.allow",
              "UPDATE registry.desk SET code = 'OTHER'", "SELECT feed.remove(1)"),
}


class RightsTest(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster()
        cls.database = cls.cluster.make_database()
        cls.boss = cls.cluster.connect(cls.database)
        cls.rows("CREATE ROLE passer_by LOGIN PASSWORD 'x'")

    @classmethod
    def tearDownClass(cls):
        cls.boss.close()

    @classmethod
    def rows(cls, statement, *args):
        with cls.boss.cursor() as cursor:
            cursor.execute(statement, args)
            return cursor.fetchall() if cursor.description else []

    @contextlib.contextmanager
    def login(self, role):
        connection = self.cluster.connect(self.database, f"jukwaa_{role}")
        connection.autocommit = False
        try:
            with connection.cursor() as cursor:
                yield cursor
        finally:
            connection.rollback()
            connection.close()

    # ---- what is granted ----

    def granted(self, role, table):
        letters = "".join(letter for letter, name in (("S", "SELECT"), ("I", "INSERT"), ("U", "UPDATE"), ("D", "DELETE"),
                                                      ("T", "TRUNCATE"), ("R", "REFERENCES"), ("G", "TRIGGER"))
                          if self.rows("SELECT has_table_privilege(%s, %s, %s)", role, table, name)[0][0])
        if "U" not in letters and self.rows("SELECT has_any_column_privilege(%s, %s, 'UPDATE')", role, table)[0][0]:
            letters += "u"
        for letter, name in (("s", "SELECT"), ("i", "INSERT")):
            if letter.upper() not in letters and self.rows("SELECT has_any_column_privilege(%s, %s, %s)", role, table, name)[0][0]:
                letters += letter
        return letters or "-"

    def tables(self):
        return [name for name, in self.rows("SELECT quote_ident(nspname) || '.' || quote_ident(relname) FROM pg_class c JOIN pg_namespace n"
                                            " ON n.oid = relnamespace WHERE nspname = ANY (%s) AND relkind IN ('r','p','v','m','f')",
                                            list(SCHEMAS))]

    def test_tables(self):
        expected = {}
        for line in TABLES.strip().splitlines():
            name, *rights = line.split()
            for role, letters in zip(ROLES, rights, strict=True):
                expected[role, name] = letters
        found = {(role, name.replace('"', "")): self.granted(f"jukwaa_{role}", name) for role in ROLES for name in self.tables()}
        self.assertEqual({k: v for k, v in found.items() if expected.get(k) != v},
                         {k: v for k, v in expected.items() if found.get(k) != v})

    def test_columns(self):
        found = {}
        for role in ROLES:
            for name in self.tables():
                if "u" in self.granted(f"jukwaa_{role}", name):
                    found[role, name] = {column for column, in self.rows(
                        "SELECT attname::text FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
                        " AND has_column_privilege(%s, attrelid, attnum, 'UPDATE')", name, f"jukwaa_{role}")}
        self.assertEqual(found, {key: set(columns.split()) for key, columns in COLUMNS.items()})

    def functions(self, more="true"):
        return self.rows(f"SELECT p.oid, nspname || '.' || proname FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace"
                         f" WHERE nspname = ANY (%s) AND {more}", list(SCHEMAS))

    def test_functions(self):
        found = {}
        for oid, name in self.functions():
            who = [role for role in ROLES if self.rows("SELECT has_function_privilege(%s, %s::oid, 'EXECUTE')", f"jukwaa_{role}", oid)[0][0]]
            if who:
                found[name] = " ".join(who)
        self.assertEqual(found, FUNCTIONS)

    def test_functions_that_lend_rights_name_where_they_look(self):
        """Without pg_temp at the end it comes first, and a temporary table lends its name to a type."""
        loose = self.functions("prosecdef AND NOT 'search_path=pg_catalog, pg_temp' = ANY (coalesce(proconfig, '{}'))")
        self.assertEqual([name for _, name in loose], [])
        self.assertEqual([name for _, name in self.functions("proowner <> 'jukwaa_owner'::regrole")], [])

    def test_sequences_are_nobodys(self):
        found = self.rows("SELECT relname, r FROM pg_class, unnest(%s) r WHERE relkind = 'S' AND relnamespace::regnamespace::text = ANY (%s)"
                          " AND has_sequence_privilege('jukwaa_' || r, pg_class.oid, 'UPDATE')", list(ROLES), list(SCHEMAS))
        self.assertEqual(found, [])

    def test_the_public_has_nothing(self):
        public = self.rows("SELECT nspname FROM pg_namespace WHERE nspname = ANY (%s) AND has_schema_privilege('passer_by', oid, 'USAGE')",
                           list(SCHEMAS))
        public += [name for _, name in self.functions("has_function_privilege('passer_by', p.oid, 'EXECUTE')")]
        public += [name for name in self.tables() if self.granted("passer_by", name) != "-"]
        public += self.rows("SELECT p FROM unnest('{CONNECT,TEMPORARY,CREATE}'::text[]) p WHERE has_database_privilege('passer_by',"
                            " current_database(), p)")
        self.assertEqual(public, [])
        with self.assertRaisesRegex(psycopg2.OperationalError, "permission denied for database"):
            psycopg2.connect(host=str(self.cluster.folder), dbname=self.database, user="passer_by", password="x")

    def test_roles_are_plain(self):
        """No superuser, no membership, no way to the owner, who cannot log in."""
        odd = self.rows("SELECT rolname FROM pg_roles WHERE rolname LIKE 'jukwaa%%' AND (rolsuper OR rolcreaterole OR rolcreatedb OR"
                        " rolreplication OR rolbypassrls OR rolcanlogin = (rolname = 'jukwaa_owner'))")
        odd += self.rows("SELECT roleid::regrole, member::regrole FROM pg_auth_members WHERE roleid::regrole::text LIKE 'jukwaa%%' OR"
                         " member::regrole::text LIKE 'jukwaa%%'")
        odd += self.rows("SELECT nspname, r FROM pg_namespace, unnest(%s) r WHERE has_schema_privilege('jukwaa_' || r, oid, 'CREATE')"
                         " AND nspname !~ '^pg_(toast_)?temp'", list(ROLES))
        self.assertEqual(odd, [])

    # ---- what is tried ----

    def test_what_they_may_not(self):
        for role in ROLES:
            for statement in FORBIDDEN["every role"] + FORBIDDEN[role]:
                with self.subTest(role=role, statement=statement), self.login(role) as cursor:
                    with self.assertRaises(psycopg2.errors.InsufficientPrivilege):
                        cursor.execute(statement)

    def test_what_they_may(self):
        """The same tries go through where they are meant to: the refusals above are no typing errors."""
        allowed = {"intake": (APPEND, "SELECT * FROM intake.report", "SELECT * FROM intake.protected"),
                   "dispatch": (APPEND, "SELECT * FROM evidence.head", "SELECT * FROM dispatch.secret"),
                   "cases": (APPEND, 'SELECT * FROM cases."case"', "SELECT * FROM feed.event"),
                   "notify": ("SELECT * FROM notify.message", "SELECT * FROM feed.event"),
                   "admin": ("UPDATE registry.key SET revoked_at = now()", "SELECT * FROM dispatch.disclosure")}
        for role, statements in allowed.items():
            for statement in statements:
                with self.subTest(role=role, statement=statement), self.login(role) as cursor:
                    cursor.execute(statement)

    def test_every_forbidden_statement_is_one(self):
        """With all rights none of them fails for another reason than what it does."""
        for statement in {s for group in FORBIDDEN.values() for s in group}:
            connection = self.cluster.connect(self.database)
            connection.autocommit = False
            with contextlib.closing(connection), self.subTest(statement), connection.cursor() as cursor:
                try:
                    cursor.execute(statement)
                except psycopg2.Error as error:
                    # A constraint, a trigger that is no function to call: it was let in, and then refused. But no typing error.
                    self.assertNotIn(error.pgcode, ("42501", "42601", "42P01", "42703", "3F000", "42704"), error)

    # ---- names that are not what they seem ----

    def test_shadowed_names_change_nothing(self):
        """Should a role ever be given a place to create things in: its functions, operators, tables and types are not those that
        feed.append uses."""
        self.addCleanup(self.rows, f"REVOKE TEMPORARY ON DATABASE {self.database} FROM jukwaa_dispatch; DROP SCHEMA lair CASCADE")
        self.rows("CREATE SCHEMA lair; GRANT ALL ON SCHEMA lair TO jukwaa_dispatch;"
                  f"GRANT TEMPORARY ON DATABASE {self.database} TO jukwaa_dispatch")
        pb = protos()
        with self.login("dispatch") as cursor:
            cursor.execute("""
                SET search_path = lair, pg_temp, pg_catalog;
                CREATE FUNCTION lair.sha256(bytea) RETURNS bytea LANGUAGE sql AS 'SELECT ''\\x00''::pg_catalog.bytea';
                CREATE FUNCTION lair.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS 'SELECT ''epoch''::timestamptz';
                CREATE FUNCTION lair.int8send(bigint) RETURNS bytea LANGUAGE sql AS 'SELECT ''\\x00''::pg_catalog.bytea';
                CREATE FUNCTION lair.length(bytea) RETURNS integer LANGUAGE sql AS 'SELECT 0';
                CREATE TEMPORARY TABLE bytea (x int);
                CREATE TEMPORARY TABLE uuid (x int);
                CREATE TEMPORARY TABLE text (x int);
                CREATE TEMPORARY TABLE head (stream pg_catalog.text, last_seq bigint);
                CREATE TEMPORARY TABLE event (x int)""")
            event_id, incident_id = uuid.uuid4(), uuid.uuid4()
            cursor.execute("SELECT seq, chain, extract(epoch FROM recorded_at) * 1000000, epoch FROM feed.append('{046}',"
                           " ARRAY[%s]::pg_catalog.uuid[], '{1}', ARRAY[%s]::pg_catalog.uuid[], '{1}', '{2}', '{9}',"
                           " ARRAY['\\xaa'::pg_catalog.bytea], ARRAY['\\xbb'::pg_catalog.bytea])", (str(event_id), str(incident_id)))
            seq, chain, at, epoch = cursor.fetchone()
            self.assertEqual(seq, 1)
            self.assertEqual(bytes(chain), chain_next(b"", pb.Deliver(
                stream="046", seq=1, epoch=epoch, recorded_at_us=int(at), event_id=event_id.bytes, kind=1, incident_id=incident_id.bytes,
                revision=1, tlp=2, category=9, commitment=b"\xaa")))
            cursor.execute("SELECT count(*) FROM feed.event WHERE stream = '046'")
            self.assertEqual(cursor.fetchone()[0], 1)
            for call in ("feed.remove(10)", "evidence.remove(10)", "dispatch.remove(10)"):
                cursor.execute(f"SELECT * FROM {call}")


if __name__ == "__main__":
    unittest.main()
