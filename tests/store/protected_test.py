"""What the database itself guards of protected groups: who may read them, erasure that leaves chains whole, legal hold, age."""
import json
import unittest
import uuid

import psycopg2
import psycopg2.extras
from feed_proof import check_feed
from jukwaa_harness import Cluster, Stack, protos
from protected_incident import MARKERS, PERSONS, REPORTER, Revision, body_of, dump, new_id, store

pb = protos()
psycopg2.extras.register_uuid()
cluster = Cluster()
BOTH = 1 << REPORTER | 1 << PERSONS
SCHEMAS = ("intake", "feed", "cases", "notify", "dispatch", "meta", "evidence")


class ProtectedCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = Stack(services=(), cluster=cluster)

    def sql(self, *args, **kwargs):
        return self.stack.sql(*args, **kwargs)

    def refused(self, state, statement, *args, role=None):
        with self.assertRaises(psycopg2.Error) as caught:
            self.sql(statement, *args, role=role)
        self.assertEqual(caught.exception.pgcode, state, f"{statement}: {caught.exception}")
        return str(caught.exception)

    def erase(self, incident, groups, superseded=False):
        rows = self.sql("SELECT done, event_id, streams, events, reports, protected FROM intake.erase(%s, %s, %s, 'request 14', 'DPO')",
                        incident, groups, superseded, role="jukwaa_admin")
        return rows[0] if rows else None


class DisclosureTest(ProtectedCase):
    """dispatch.disclose_protected, refusals first."""

    def setUp(self):
        self.revision = Revision(counties=("047", "001"))
        self.seqs = store(self.stack, self.revision)
        self.seq = self.seqs[self.revision.event_id, "047"]

    def reserve(self, stream="047", first=None, last=None, groups=BOTH):
        return self.sql("INSERT INTO dispatch.disclosure (session, holder, key_id, stream, from_seq, to_seq, policy_version, filter, groups)"
                        " VALUES (1, 'D1', 1, %s, %s, %s, 1, '', %s) RETURNING disclosure_id", stream, first or self.seq,
                        last or self.seq, groups, role="jukwaa_dispatch")[0][0]

    def ask(self, disclosure, event_id=None, limit=1 << 20):
        rows = self.sql("SELECT refused, reporter, persons, reporter_salt, persons_salt FROM dispatch.disclose_protected(%s, %s, %s)",
                        [disclosure], [event_id or self.revision.event_id], limit, role="jukwaa_dispatch")
        self.assertEqual(len(rows), 1)
        return rows[0][0], tuple(None if v is None else bytes(v) for v in rows[0][1:])

    def test_refusals(self):
        nothing = (None,) * 4
        closed = self.reserve()
        self.sql("UPDATE dispatch.disclosure SET closed_at = now() WHERE disclosure_id = %s", closed, role="jukwaa_dispatch")
        foreign = Revision(counties=("022",))
        store(self.stack, foreign)
        for what, disclosure, event, why in (
                ("no such range", 1 << 40, None, "NOT_RESERVED"), ("closed range", closed, None, "CLOSED"),
                ("range without the groups", self.reserve(groups=0), None, "NOT_GIVEN"),
                ("range before it", self.reserve(first=self.seq + 1, last=self.seq + 9), None, "NOT_COVERED"),
                ("range of another stream", self.reserve(stream="022"), None, "NOT_COVERED"),
                ("an event of another stream", self.reserve(), foreign.event_id, "NOT_COVERED"),
                ("an event that does not exist", self.reserve(), uuid.uuid4(), "NOT_COVERED")):
            with self.subTest(what):
                self.assertEqual(self.ask(disclosure, event), (why, nothing))

    def test_a_range_must_be_committed_before(self):
        connection = self.stack.cluster.connect(self.stack.database, "jukwaa_dispatch")
        connection.autocommit = False
        for savepoint in ("", "SAVEPOINT s;"):
            with self.subTest(savepoint), connection.cursor() as cur:
                cur.execute(savepoint + "INSERT INTO dispatch.disclosure (session, holder, key_id, stream, from_seq, to_seq, policy_version,"
                            " filter, groups) VALUES (1, 'D1', 1, '047', %s, %s, 1, '', %s) RETURNING disclosure_id",
                            (self.seq, self.seq, BOTH))
                number = cur.fetchone()[0]
                cur.execute("SELECT refused, reporter, persons FROM dispatch.disclose_protected(%s, %s, 1000000)",
                            ([number], [self.revision.event_id]))
                self.assertEqual(cur.fetchall(), [("NOT_RESERVED", None, None)])
                connection.rollback()
        connection.close()

    def test_given_and_nothing_more(self):
        reporter, persons = self.revision.protected[REPORTER], self.revision.protected[PERSONS]
        self.assertEqual(self.ask(self.reserve()), ("", (reporter[1], persons[1], reporter[0], persons[0])))
        self.assertEqual(self.ask(self.reserve(groups=1 << PERSONS)), ("", (None, persons[1], None, persons[0])))
        self.assertEqual(self.ask(self.reserve(groups=1 << REPORTER)), ("", (reporter[1], None, reporter[0], None)))
        self.sql("DELETE FROM intake.protected WHERE event_id = %s", self.revision.event_id)
        self.assertEqual(self.ask(self.reserve()), ("", (None,) * 4))

    def test_no_reporter_at_all(self):
        for reporter, persons in ((False, True), (False, False)):
            revision = Revision(reporter=reporter, persons=persons)
            self.seq = store(self.stack, revision)[revision.event_id, "047"]
            got = self.ask(self.reserve(), revision.event_id)
            self.assertEqual(got, ("", (None, revision.protected[PERSONS][1], None, revision.protected[PERSONS][0]) if persons
                                   else (None,) * 4))

    def test_one_answer_is_bounded(self):
        more = [Revision() for _ in range(3)]
        seqs = store(self.stack, *more)
        last = max(seqs.values())
        number = self.reserve(last=last)
        rows = self.sql("SELECT refused, persons IS NULL FROM dispatch.disclose_protected(%s, %s, 40) ORDER BY ord", [number] * 3,
                        [r.event_id for r in more], role="jukwaa_dispatch")
        self.assertEqual(rows, [("", False), ("", False), ("LATER", True)])

    def test_roles(self):
        """No other way: not by SELECT, not by bending the record, not for another role."""
        call = "SELECT * FROM dispatch.disclose_protected('{1}', '{}', 1)"
        for role, statement in (
                ("dispatch", "SELECT * FROM intake.protected"), ("dispatch", "SELECT * FROM intake.report"),
                ("dispatch", "SELECT * FROM intake.erasure"),
                ("dispatch", "UPDATE dispatch.disclosure SET groups = 1536"), ("dispatch", "UPDATE dispatch.disclosure SET to_seq = 99"),
                ("dispatch", "UPDATE dispatch.disclosure SET from_seq = 1"), ("dispatch", "UPDATE dispatch.disclosure SET stream = '001'"),
                ("dispatch", "UPDATE dispatch.disclosure SET holder = 'D2'"), ("dispatch", "DELETE FROM dispatch.disclosure"),
                ("intake", call), ("cases", call), ("notify", call), ("admin", call),
                ("cases", "SELECT * FROM intake.protected"), ("notify", "SELECT * FROM intake.protected"),
                ("admin", "SELECT * FROM intake.protected"), ("admin", "SELECT * FROM intake.report"),
                ("intake", "UPDATE intake.protected SET persons = NULL"), ("intake", "DELETE FROM intake.protected"),
                ("intake", "UPDATE intake.report SET bytes = ''"), ("admin", "UPDATE feed.event SET body = ''"),
                ("dispatch", "SELECT * FROM intake.erase(gen_random_uuid(), 512, false, 'x', 'x')"),
                ("intake", "SELECT * FROM intake.erase(gen_random_uuid(), 512, false, 'x', 'x')"),
                ("admin", "SELECT * FROM intake.erase_reports('{}', 512, '')"), ("admin", "DELETE FROM intake.erasure"),
                ("admin", "INSERT INTO meta.hold (incident_id, reason, by) VALUES (gen_random_uuid(), 'x', 'x')"),
                ("admin", "UPDATE meta.hold SET released_at = now()"), ("intake", "SELECT * FROM meta.release_hold(1)"),
                ("dispatch", "SELECT * FROM meta.hold"), ("dispatch", "SELECT intake.remove_protected(1)"),
                ("intake", "SELECT * FROM dispatch.erased_since(0)")):
            with self.subTest(role=role, statement=statement):
                self.refused("42501", statement, role=f"jukwaa_{role}")


class ErasureTest(ProtectedCase):
    def test_refusals(self):
        revision = Revision()
        store(self.stack, revision)
        for groups in (0, 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 8, 1 << 9 | 1 << 1, 1 << 14):
            self.refused("22023", "SELECT * FROM intake.erase(%s, %s, false, 'x', 'x')", revision.incident, groups, role="jukwaa_admin")
        for reason, by in (("", "x"), ("x", ""), (None, "x"), ("x", None)):
            self.assertIn(psycopg2.errors.lookup("23514" if "" in (reason, by) else "23502").__name__,
                          [type(self.raised(revision.incident, reason, by)).__name__])
        self.assertIsNone(self.erase(new_id(), 1 << REPORTER))
        body_of(self.stack, revision.event_id)
        self.assertEqual(self.sql("SELECT count(*) FROM intake.erasure WHERE incident_id = %s", revision.incident), [(0,)])

    def raised(self, incident, reason, by):
        with self.assertRaises(psycopg2.Error) as caught:
            self.sql("SELECT * FROM intake.erase(%s, 512, false, %s, %s)", incident, reason, by, role="jukwaa_admin")
        return caught.exception

    def test_a_group_goes_with_its_salt_in_everything(self):
        first = Revision(counties=("047", "016"))
        second = Revision(first.incident, kind=2, revision=2, counties=("016", "022"))
        moved = Revision(first.incident, kind=5, revision=2, event_id=second.event_id, counties=("047",))
        moved.body, moved.commitment = second.body, second.commitment
        store(self.stack, first, second)
        store_moved(self.stack, moved)
        bystander = Revision(headline="bystander")
        store(self.stack, bystander)
        before = {row[0]: row[1:] for row in self.sql("SELECT stream || seq, commitment, chain FROM feed.event")}
        done, event_id, streams, events, reports, protected = self.erase(first.incident, BOTH | 1 << 5)
        self.assertEqual((done, streams, events, reports, protected), ("erased", ["016", "022", "047"], 5, 2, 2))
        # Nothing of it is anywhere; the bystander's is.
        text = dump(self.stack, *SCHEMAS)
        for revision in (first, second):
            for tag, (salt, content) in revision.protected.items():
                self.assertNotIn(salt.hex(), text, f"salt of group {tag}")
            original = pb.EventBody.FromString(revision.body)
            self.assertNotIn(original.groups[4].salt.hex(), text)
        self.assertEqual(text.count(MARKERS["narrative"].encode().hex()), 0)
        self.assertEqual(text.count(MARKERS["persons"].encode().hex()), 2)  # the bystander's row and report
        # What is left adds up, in all streams; the chain was not touched.
        check_feed(self.stack)
        after = {row[0]: row[1:] for row in self.sql("SELECT stream || seq, commitment, chain FROM feed.event")}
        self.assertEqual({k: after[k] for k in before}, before)
        for event, stream in ((first, "047"), (first, "016"), (second, "016"), (second, "022"), (moved, "047")):
            body = body_of(self.stack, event.event_id, stream)
            self.assertEqual([g.tag for g in body.groups if g.digest], [5, 9, 10])
            self.assertEqual(body.stored_apart, 0)
        # And the desks are told, with labels as the decision needs them.
        for stream in streams:
            kind, seq, last, revision = self.sql("SELECT e.kind, e.seq, h.last_seq, e.revision FROM feed.event e JOIN feed.head h USING (stream)"
                                                 " WHERE event_id = %s AND stream = %s", event_id, stream)[0]
            self.assertEqual((kind, revision), (pb.EVENT_KIND_ERASED, 2))
            told = body_of(self.stack, event_id, stream)
            self.assertEqual((list(told.erased.groups), told.erased.reason), ([5, 9, 10], pb.ERASURE_REASON_REQUEST))
            self.assertEqual(told.groups[0].content, pb.EventBody.FromString(second.body).groups[0].content)
        self.assertEqual(event_id.version, 7)
        record = self.sql("SELECT by, reason, groups, superseded, event_id FROM intake.erasure WHERE incident_id = %s", first.incident)
        self.assertEqual(record, [("DPO", "request 14", BOTH | 1 << 5, False, event_id)])
        self.assertEqual(self.sql("SELECT bytes, erased_at IS NULL, external_id FROM intake.report WHERE event_id = %s", first.event_id)[0][1:],
                         (False, "OB/12"))
        # A repetition is still known: what was erased does not come back by a spool.
        self.assertEqual(self.sql("SELECT count(*) FROM intake.dedup WHERE incident_id = %s", first.incident), [(2,)])
        # Once more: nothing is left to do, and the earlier ERASED is taken for one of the incident's events.
        self.assertEqual(self.erase(first.incident, BOTH | 1 << 5)[3:], (0, 0, 0))
        self.assertEqual(self.erase(first.incident, 1 << 6)[3], 5 + 3 + 3)
        check_feed(self.stack)

    def test_one_protected_group(self):
        revision = Revision()
        store(self.stack, revision)
        self.erase(revision.incident, 1 << REPORTER)
        self.assertEqual(self.sql("SELECT reporter, reporter_salt, persons IS NULL, persons_salt IS NULL FROM intake.protected"
                                  " WHERE event_id = %s", revision.event_id), [(None, None, False, False)])
        self.assertEqual(body_of(self.stack, revision.event_id).stored_apart, 1 << PERSONS)

    def test_everything_but_labels(self):
        revision = Revision()
        store(self.stack, revision)
        everything = sum(1 << tag for tag in (5, 6, 7, 9, 10, 11, 12, 13))
        self.erase(revision.incident, everything)
        shown = {g.tag for g in body_of(self.stack, revision.event_id).groups if not g.digest}
        self.assertEqual(shown, {1, 2, 3, 4, 8})
        self.assertEqual(self.sql("SELECT external_id FROM intake.report WHERE event_id = %s", revision.event_id), [("",)])

    def test_what_is_done_meanwhile_brings_nothing_back(self):
        """A step (kind 10) copies the body that it has read; erased in between, it goes in without; of a later revision whole."""
        for correction in (False, True):
            with self.subTest(correction=correction):
                self.bring_back(correction)

    def bring_back(self, correction):
        revision, event_id, later_id = Revision(), str(uuid.uuid4()), str(uuid.uuid4())
        store(self.stack, revision)
        if not correction:
            self.erase(revision.incident, 1 << 5)
        newer = Revision(incident=revision.incident, kind=2, revision=2)
        store(self.stack, newer)
        if correction:
            self.erase(revision.incident, 1 << 5, True)
        for what, as_event in ((revision, event_id), (newer, later_id)):
            self.sql("SELECT seq FROM feed.append(%s::text[], %s::uuid[], '{10}', %s::uuid[], %s::int8[], '{2}', '{9}', %s::bytea[], %s::bytea[])",
                     ["047"], [as_event], [str(revision.incident)], [what.revision], [psycopg2.Binary(what.commitment)],
                     [psycopg2.Binary(what.body)])
        self.assertTrue(body_of(self.stack, event_id).groups[4].digest)
        self.assertIn(b"marker", body_of(self.stack, later_id).groups[4].content.lower())
        self.assertTrue(body_of(self.stack, revision.event_id).groups[4].digest)

    def test_superseded(self):
        """Rectification: the publisher corrected it by a newer revision; what was wrong goes, the newest stays whole."""
        first = Revision(headline="wrong-marker")
        late = Revision(first.incident, kind=4, revision=1, headline="wrong-marker too")
        second = Revision(first.incident, kind=2, revision=3, headline="right")
        ack = Revision(first.incident, kind=6, revision=4, headline="an acknowledgement")
        store(self.stack, first, second, late, ack)
        done, event_id, _, events, reports, protected = self.erase(first.incident, BOTH | 1 << 5, True)
        self.assertEqual((events, reports, protected), (2, 2, 2))
        self.assertNotIn(b"wrong-marker".hex(), dump(self.stack, *SCHEMAS))
        for kept in (second, ack):
            self.assertEqual(body_of(self.stack, kept.event_id).SerializeToString(), kept.body)
        self.assertEqual(self.sql("SELECT count(*) FROM intake.protected WHERE event_id = ANY (%s)", [second.event_id, ack.event_id]), [(2,)])
        told = body_of(self.stack, event_id)
        self.assertEqual((told.erased.reason, told.stored_apart), (pb.ERASURE_REASON_RECTIFICATION, 0))
        self.assertEqual([g.content for g in told.groups if g.tag == 5], [pb.Narrative(texts=[pb.Text(headline="right")]).SerializeToString()])
        check_feed(self.stack)
        # Corrected once more: the ERASED event carried what is superseded now.
        third = Revision(first.incident, kind=2, revision=5, headline="quite right")
        store(self.stack, third)
        self.erase(first.incident, BOTH | 1 << 5, True)
        self.assertEqual([g.digest != b"" for g in body_of(self.stack, event_id).groups if g.tag == 5], [True])
        self.assertEqual(body_of(self.stack, third.event_id).SerializeToString(), third.body)

    def test_what_is_no_body_is_not_bent(self):
        for body in (b"\x0a\x05\x08\x01", b"\x08\x01", b"\x0a\x02\x08\x01\x0b", b"\x0a\x03\x28\x01\x01", b"\xff" * 12):
            with self.subTest(body.hex()), self.assertRaises(psycopg2.Error):
                self.sql("SELECT feed.erase_groups(%s, 32)", psycopg2.Binary(body))

    def test_commands(self):
        revision = Revision()
        store(self.stack, revision)
        admin, incident = self.stack.admin, str(revision.incident)
        for args in ((), (incident,), (incident, "--all"), (incident, "--all", "--reason", "x"), (incident, "--reason", "x", "--by", "y"),
                     (incident, "--groups", "identity", "--reason", "x", "--by", "y"), (incident, "--groups", "x", "--reason", "x", "--by", "y"),
                     (incident, "x", "--all", "--reason", "x", "--by", "y"), (incident, "--all", "--reason", "x", "--by")):
            self.assertEqual(admin("erase", *args, check=False).returncode, 2, args)
        self.assertEqual(admin("erase", str(new_id()), "--all", "--reason", "x", "--by", "y", check=False).returncode, 1)
        self.assertEqual(admin("erase", "x", "--all", "--reason", "x", "--by", "y", check=False).returncode, 1)
        body_of(self.stack, revision.event_id)
        done = json.loads(admin("--json", "erase", incident, "--groups", "reporter,persons", "--reason", "r 1", "--by", "DPO").stdout)
        self.assertEqual((done["done"], done["events"], done["reports"], done["protected"], done["streams"]), ("erased", 1, 1, 1, "047"))
        listed = json.loads(admin("--json", "erasure", "list", incident).stdout)
        self.assertEqual((listed["by"], listed["reason"], listed["groups"], listed["event_id"]),
                         ("DPO", "r 1", "reporter persons", done["event_id"]))
        self.assertIn("erased in 2 events", admin("erase", incident, "--all-text", "--reason", "r 2", "--by", "DPO").stdout)
        self.assertIn("jukwaa admin erase INCIDENT", admin("erase", "--help").stdout)


def store_moved(stack, moved):
    """MOVED_AWAY stands under its update's event_id, without a report of its own."""
    stack.sql("SELECT count(*) FROM feed.append(%s::text[], %s::uuid[], %s::int2[], %s::uuid[], %s::int8[], %s::int2[], %s::int2[],"
              " %s::bytea[], %s::bytea[])", list(moved.counties), [moved.event_id], [5], [moved.incident], [moved.revision], [2], [9],
              [psycopg2.Binary(moved.commitment)], [psycopg2.Binary(moved.body)])


class HoldTest(ProtectedCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.stack.sql("UPDATE meta.retention SET spool = '1 second', event = '1 day', report = '1 day', dedup = '1 day', protected = '1 hour',"
                      " disclosure = '1 day', head = NULL")

    def setUp(self):
        self.held, self.free = Revision(), Revision()
        self.seqs = store(self.stack, self.held, self.free)
        for revision in (self.held, self.free):
            self.make_old(revision)

    def make_old(self, revision):
        """As if intake had taken it three days ago."""
        old = uuid.UUID(int=(revision.event_id.int & ((1 << 80) - 1)) | (revision.event_id.int >> 80) - 3 * 86_400_000 << 80)
        for table in ("intake.report", "intake.protected", "intake.dedup", "feed.event"):
            self.sql(f"UPDATE {table} SET event_id = %s WHERE event_id = %s", old, revision.event_id)
        self.sql("UPDATE intake.report SET received_at = now() - interval '3 days' WHERE event_id = %s", old)
        self.sql("UPDATE intake.dedup SET received_at = now() - interval '3 days' WHERE event_id = %s", old)
        revision.event_id = old

    def hold(self, incident, until=None):
        rows = self.sql("SELECT done, hold_id, events, reports FROM meta.add_hold(%s, 'case 1143', NULL, %s)", incident, until,
                        role="jukwaa_admin")
        return rows[0] if rows else None

    def count(self, table, revision):
        return self.sql(f"SELECT count(*) FROM {table} WHERE event_id = %s", revision.event_id)[0][0]

    def kept(self, revision):
        return [self.count(t, revision) for t in ("intake.report", "intake.protected", "intake.dedup")]

    def remove(self):
        self.sql("UPDATE intake.sweep SET began_at = '-infinity', phase = 'REST'")
        for step in ("intake.remove_protected(100)", "intake.remove_reports(100)", "intake.remove_keys(100000)", "intake.remove_keys(100000)"):
            self.sql(f"SELECT * FROM {step}", role="jukwaa_intake")

    def test_a_held_incident_is_neither_removed_nor_erased(self):
        self.assertIsNone(self.hold(new_id()))
        done, number, events, reports = self.hold(self.held.incident)
        self.assertEqual((done, events, reports), ("held", 1, 1))
        text = self.refused("JK010", "SELECT * FROM intake.erase(%s, 512, false, 'x', 'x')", self.held.incident, role="jukwaa_admin")
        self.assertIn("HELD", text)
        self.remove()
        self.assertEqual((self.kept(self.held), self.kept(self.free)), ([1, 1, 1], [0, 0, 0]))
        self.assertNotEqual(self.sql("SELECT bytes FROM intake.report WHERE event_id = %s", self.held.event_id)[0][0].tobytes(), b"")
        self.sql("SELECT meta.release_hold(%s)", number, role="jukwaa_admin")
        self.remove()
        self.assertEqual(self.kept(self.held), [0, 0, 0])

    def test_a_hold_ends_by_itself(self):
        self.hold(self.held.incident, "2001-01-01")
        self.assertIsNotNone(self.erase(self.held.incident, 1 << REPORTER))
        self.hold(self.free.incident, "2999-01-01")
        self.refused("JK010", "SELECT * FROM intake.erase(%s, 512, false, 'x', 'x')", self.free.incident, role="jukwaa_admin")

    def test_two_holds_are_released_one_by_one(self):
        numbers = [self.hold(self.held.incident)[1] for _ in range(2)]
        for number in numbers:
            self.refused("JK010", "SELECT * FROM intake.erase(%s, 512, false, 'x', 'x')", self.held.incident, role="jukwaa_admin")
            self.sql("SELECT meta.release_hold(%s)", number, role="jukwaa_admin")
        self.assertIsNotNone(self.erase(self.held.incident, 1 << REPORTER))

    def test_removal_waits_for_a_hold_that_is_being_added(self):
        connection = self.stack.cluster.connect(self.stack.database, "jukwaa_admin")
        connection.autocommit = False
        with connection.cursor() as cur:
            cur.execute("SELECT * FROM meta.add_hold(%s, 'x', 'y', NULL)", (self.held.incident,))
            self.remove()
            self.assertEqual(self.kept(self.free), [1, 1, 1], "removal went on beside it")
        connection.commit()
        connection.close()
        self.remove()
        self.assertEqual((self.kept(self.held), self.kept(self.free)), ([1, 1, 1], [0, 0, 0]))

    def test_records_of_disclosure_are_held_too(self):
        self.hold(self.held.incident)
        numbers = {}
        for name, revision in (("held", self.held), ("free", self.free)):
            seq = next(s for (_, _), s in self.seqs.items() if self.sql("SELECT 1 FROM feed.event WHERE event_id = %s AND seq = %s",
                                                                       revision.event_id, s))
            numbers[name] = self.sql("INSERT INTO dispatch.disclosure (session, holder, key_id, stream, from_seq, to_seq, policy_version,"
                                     " filter, reserved_at) VALUES (1, 'D1', 1, '047', %s, %s, 1, '', now() - interval '3 days')"
                                     " RETURNING disclosure_id", seq, seq)[0][0]
        self.sql("SELECT * FROM dispatch.remove(100)", role="jukwaa_dispatch")
        self.assertEqual(self.sql("SELECT disclosure_id FROM dispatch.disclosure WHERE disclosure_id = ANY (%s)", list(numbers.values())),
                         [(numbers["held"],)])

    def test_protected_groups_go_before_their_reports(self):
        self.sql("UPDATE intake.report SET received_at = now() - interval '2 hours' WHERE event_id = ANY (%s)",
                 [self.held.event_id, self.free.event_id])
        young = Revision()
        store(self.stack, young)
        removed = self.sql("SELECT removed, more, held FROM intake.remove_protected(100)", role="jukwaa_intake")[0]
        self.assertEqual((removed[0] >= 2, removed[1:]), (True, (False, "")))
        self.remove()
        self.assertEqual((self.kept(self.free)[:2], self.kept(young)[:2]), ([1, 0], [1, 1]))
        self.assertEqual(self.sql("SELECT bytes = '', erased_at IS NOT NULL FROM intake.report WHERE event_id = %s", self.free.event_id),
                         [(True, True)])
        self.assertEqual(self.sql("SELECT removed > 0 FROM meta.removal WHERE kind = 'protected'"), [(True,)])

    def test_commands(self):
        admin, incident = self.stack.admin, str(self.held.incident)
        self.assertEqual(admin("hold", "add", incident, check=False).returncode, 2)
        self.assertEqual(admin("hold", "add", str(new_id()), "--reason", "x", check=False).returncode, 1)
        added = json.loads(admin("--json", "hold", "add", incident, "--reason", "Milimani 1143", "--by", "legal",
                                 "--until", "2999-12-31T00:00:00+03:00").stdout)
        self.assertEqual((added["done"], added["events"], added["reports"]), ("held", 1, 1))
        done = admin("erase", incident, "--all", "--reason", "x", "--by", "y", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("HELD", done.stderr)
        row = next(json.loads(line) for line in admin("--json", "hold", "list").stdout.splitlines() if incident in line)
        self.assertEqual((row["state"], row["by"], row["reason"], row["apart"]), ("STANDS", "legal", "Milimani 1143", 0))
        retention = {r["kind"]: r for r in map(json.loads, admin("--json", "retention", "list").stdout.splitlines())}
        self.assertIn("under legal hold", retention["protected"]["held"])
        self.assertIn("under legal hold", retention["event"]["held"])
        self.assertNotIn("hold", retention["spool"]["held"])
        self.assertEqual(admin("hold", "release", "999999", check=False).returncode, 1)
        self.assertIn("released", admin("hold", "release", str(row["hold_id"])).stdout)
        admin("retention", "set", "protected", "30")
        retention = {r["kind"]: r for r in map(json.loads, admin("--json", "retention", "list").stdout.splitlines())}
        self.assertEqual(retention["protected"]["days"], 30)
        self.sql("UPDATE meta.retention SET protected = '1 hour'")


if __name__ == "__main__":
    unittest.main()
