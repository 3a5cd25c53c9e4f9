"""cases: the real program on a real database. The feed is written by hand (feed_events), the answers are read by a client made from
the .proto files."""
import random
import time
import unittest
import uuid

import feed_events as feed
from agreements import Party, agree
from feed_events import Event, append
from jukwaa_harness import Service, Stack, commitment, free_port, protos, scratch, wait_until


def setUpModule():
    global stack, desk, other_desk, kps, ntsa, blind_desk, operator
    stack = Stack(services=("cases",))
    kps = stack.add_publisher("KPS")
    ntsa = stack.add_publisher("NTSA")
    desk = stack.add_desk("NAIROBI", agency="DESKS")
    other_desk = stack.add_desk("MOMBASA", agency="COAST", allow=(("--county", "001"),))
    blind_desk = stack.add_desk("NOBODY", agency="NONE", allow=())
    operator = stack.new_key("operator")
    stack.admin("key", "add", "--file", f"{operator}.pub", "--role", "operator", "--agency", "DESKS")
    for key in (kps, ntsa, desk, other_desk, blind_desk, operator):
        stack.wait_known(key, "cases")


def tearDownModule():
    stack.stop()


def case_rows(*incidents):
    return {row[0]: row for row in stack.sql(
        'SELECT case_id::text, revision, event_id::text, counties, version, entries, severity, state FROM cases."case"'
        " WHERE case_id = ANY (%s::uuid[])", [str(i) for i in incidents])}


def wait_applied(timeout=10):
    """Until cases has applied all there is."""
    wait_until(lambda: stack.sql(
        "SELECT count(*) = 0 FROM feed.head h LEFT JOIN cases.cursor c USING (stream)"
        " WHERE h.stream ~ '^[0-9]' AND h.last_seq <> coalesce(c.seq, 0)")[0][0], timeout, "cases has applied the feed")


class CasesTest(unittest.TestCase):
    def setUp(self):
        self.pb = protos()
        self.peers = []
        self.addCleanup(lambda: [peer.close() for peer in self.peers])

    def peer(self, key):
        peer = stack.peer("cases", key)
        self.peers.append(peer)
        self.assertIsNotNone(peer.hello(), stack.services["cases"].log()[-2000:])
        return peer

    def ask(self, peer, kind, message):
        """The answer; where the registry has changed while it was on its way, to the question asked again."""
        while True:
            message.request = random.getrandbits(40)
            peer.send(kind, message)
            answer = peer.expect({"CASE_LIST": "CASE_LISTED", "CASE_SHOW": "CASE_SHOWN"}[kind], "REFUSED")
            self.assertEqual(answer.request, message.request)
            if "has just changed" not in getattr(answer, "reason", ""):
                return answer

    def list(self, key, **fields):
        return self.ask(self.peer(key), "CASE_LIST", self.pb.CaseList(**{"purpose": self.pb.CASE_PURPOSE_RESPONSE, **fields}))

    def show(self, key, incident, **fields):
        return self.ask(self.peer(key), "CASE_SHOW", self.pb.CaseShow(
            case_id=uuid.UUID(str(incident)).bytes, **{"purpose": self.pb.CASE_PURPOSE_RESPONSE, **fields}))

    def listed(self, key, **fields):
        return {uuid.UUID(bytes=case.case_id) for case in self.list(key, limit=500, **fields).cases}

    def refused_as(self, answer, code):
        self.assertEqual(answer.DESCRIPTOR.name, "Refused", answer)
        self.assertEqual(self.pb.Code.Name(answer.code), f"CODE_{code}")


class FollowTest(CasesTest):
    def test_an_incident_in_two_counties_is_one_case_and_follows_its_revisions(self):
        first = Event(counties=("047", "022"), severity=3)
        append(stack, first)
        wait_applied()
        second = Event(feed.UPDATE, ("047", "016"), first.incident, revision=2, severity=1, moved_away=("022",))
        late = Event(feed.HISTORY, ("047", "016"), first.incident, revision=0, severity=4)
        ack = Event(feed.ACK, ("047",), first.incident, revision=7)
        append(stack, second)
        append(stack, late)
        append(stack, ack)
        wait_applied()
        shown = self.show(desk, first.incident)
        self.assertEqual(shown.summary.revision, 2)
        self.assertEqual(list(shown.summary.counties), ["016", "047"])
        self.assertEqual(shown.summary.severity, 1)
        self.assertEqual(shown.summary.agency, "KPS")
        self.assertEqual(shown.summary.headline, "Two vehicles collided")
        self.assertEqual(self.pb.CaseState.Name(shown.summary.state), "CASE_STATE_NEW")
        self.assertEqual([(self.pb.CaseEntryKind.Name(e.kind)[16:], e.revision, e.event_id) for e in shown.timeline],
                         [("OPENED", 1, first.event_id.bytes), ("REVISED", 2, second.event_id.bytes),
                          ("LATE_REPORT", 0, late.event_id.bytes), ("ACKNOWLEDGED", 7, ack.event_id.bytes)])

    def test_what_opens_nothing_opens_nothing(self):
        events = [Event(kind) for kind in (feed.ACK, feed.ERROR, feed.MOVED_AWAY)]
        append(stack, *events)
        wait_applied()
        self.assertEqual(case_rows(*[e.incident for e in events]), {})

    def test_a_cancellation_is_a_line_and_ends_nothing(self):
        first = Event()
        append(stack, first, Event(feed.CANCEL, incident=first.incident, revision=2))
        wait_applied()
        shown = self.show(desk, first.incident)
        self.assertEqual([self.pb.CaseEntryKind.Name(e.kind)[16:] for e in shown.timeline], ["OPENED", "CANCELLED_BY_PUBLISHER"])
        self.assertEqual(self.pb.CaseState.Name(shown.summary.state), "CASE_STATE_NEW")

    def test_an_update_read_before_its_incident(self):
        """001 is read before 047 when both wait; with cases stopped, both do."""
        stack.services["cases"].stop()
        first = Event(counties=("047",))
        second = Event(feed.UPDATE, ("001",), first.incident, revision=2, moved_away=("047",))
        append(stack, first)
        append(stack, second)
        stack.services["cases"].start()
        wait_applied()
        row = case_rows(first.incident)[str(first.incident)]
        self.assertEqual(row[1:4], (2, str(second.event_id), ["001"]))
        self.assertEqual(row[5], 2)

    def test_a_body_that_is_none_is_passed_over(self):
        bad, good = Event(), Event()
        bad.body = b"\xff\xff\xff"
        before = stack.services["cases"].metric("jukwaa_cases_unreadable_events_total")
        append(stack, bad, good)
        wait_applied()
        self.assertEqual(list(case_rows(bad.incident, good.incident)), [str(good.incident)])
        wait_until(lambda: stack.services["cases"].metric("jukwaa_cases_unreadable_events_total") == before + 1)

    def test_random_reports_against_a_second_formulation(self):
        chance = random.Random(4711)
        counties = ["001", "016", "022", "047"]
        incidents = {}
        for _ in range(400):
            if not incidents or chance.random() < 0.3:
                event = Event(counties=tuple(chance.sample(counties, chance.randint(1, 3))), severity=chance.randint(1, 5))
                incidents[event.incident] = {"counties": set(event.counties), "current": event, "reports": 1}
                append(stack, event)
                continue
            incident = chance.choice(list(incidents))
            known = incidents[incident]
            revision = known["current"].revision + chance.choice([-1, 1, 1])
            if revision < known["current"].revision:
                event = Event(feed.HISTORY, tuple(known["counties"]), incident, revision, severity=5)
            else:
                now = set(chance.sample(counties, chance.randint(1, 3)))
                event = Event(chance.choice([feed.UPDATE, feed.UPDATE, feed.CANCEL]), tuple(now), incident, revision,
                              severity=chance.randint(1, 5), moved_away=tuple(known["counties"] - now))
                known.update(counties=now, current=event)
            known["reports"] += 1
            append(stack, event)
        wait_applied(30)
        rows = case_rows(*incidents)
        self.assertEqual(len(rows), len(incidents))
        for incident, known in incidents.items():
            row = rows[str(incident)]
            self.assertEqual(row[1:4], (known["current"].revision, str(known["current"].event_id), sorted(known["counties"])))
            self.assertEqual(row[6], known["current"].severity)
            self.assertEqual(row[5], known["reports"])
        lines = dict(stack.sql("SELECT case_id::text, array_agg(entry_no ORDER BY entry_no) FROM cases.entry"
                               " WHERE case_id = ANY (%s::uuid[]) GROUP BY 1", [str(i) for i in incidents]))
        for incident, known in incidents.items():
            self.assertEqual(lines[str(incident)], list(range(1, known["reports"] + 1)))


class ExactlyOnceTest(CasesTest):
    def fill(self, count):
        """count incidents with one update each, both in two counties."""
        incidents = [feed.new_id() for _ in range(count)]
        template = Event(counties=("047", "001"))
        for start in range(0, count, 500):
            copies = []
            for kind, revision in ((feed.INCIDENT, 1), (feed.UPDATE, 2)):
                for incident in incidents[start:start + 500]:
                    event = Event.__new__(Event)
                    event.__dict__.update(template.__dict__, incident=incident, event_id=feed.new_id(), revision=revision)
                    copies += [("047", kind, event), ("001", kind, event)]
            append(stack, copies=copies)
        return incidents

    def check(self, incidents):
        wait_applied(30)
        count, versions, entries, revisions = stack.sql(
            'SELECT count(*), array_agg(DISTINCT version), sum(entries), array_agg(DISTINCT revision) FROM cases."case"'
            " WHERE case_id = ANY (%s::uuid[]) AND counties = '{001,047}'", [str(i) for i in incidents])[0]
        # Opened, one county more, revised: the second copy of the update changes nothing.
        self.assertEqual((count, versions, entries, revisions), (len(incidents), [3], 2 * len(incidents), [2]))
        lines = stack.sql("SELECT count(*) FROM cases.entry WHERE case_id = ANY (%s::uuid[])", [str(i) for i in incidents])
        self.assertEqual(lines[0][0], 2 * len(incidents))

    def test_kill_9_again_and_again(self):
        service = stack.services["cases"]
        chance = random.Random(9)
        service.kill()
        incidents = self.fill(4000)
        kills = 0
        for _ in range(12):
            service.start(ready=False)
            time.sleep(chance.uniform(0.05, 0.35))  # a moment of its life, not a wait for something
            service.kill()
            kills += 1
        service.start()
        self.check(incidents)
        self.assertEqual(kills, 12)

    def test_two_of_them_share_the_work(self):
        first = stack.services["cases"]
        port = free_port()
        second = Service("cases", {**first.env, "JUKWAA_HTTP_LISTEN": f"127.0.0.1:{port}",
                                   "JUKWAA_LISTEN": f"tcp://127.0.0.1:{free_port()}"}, port)
        first.stop()
        incidents = self.fill(4000)
        try:
            first.start(ready=False)
            second.start()
            first.wait_ready()
            self.check(incidents)
        finally:
            second.stop()

    def test_the_database_restarts(self):
        service = stack.services["cases"]
        peer = self.peer(desk)
        stack.cluster.stop("fast")
        try:
            wait_until(lambda: service.http("/readyz")[0] == 503, what="not ready")
            self.assertEqual(service.http("/healthz")[0], 200)
            self.refused_as(self.ask(peer, "CASE_LIST", self.pb.CaseList(purpose=1)), "UNAVAILABLE")
        finally:
            stack.cluster.start()
        incidents = self.fill(500)
        self.check(incidents)
        service.wait_ready()
        wait_until(lambda: self.ask(peer, "CASE_LIST", self.pb.CaseList(purpose=1)).DESCRIPTOR.name == "CaseListed", what="an answer")


class QueryTest(CasesTest):
    @classmethod
    def setUpClass(cls):
        cls.incidents = [Event(counties=("031",), headline=f"Number {i}") for i in range(7)]
        for event in cls.incidents:
            append(stack, event)
        wait_applied()

    def test_pages_go_from_the_newest_to_the_oldest_without_gap(self):
        seen, page = [], b""
        for _ in range(10):
            answer = self.list(desk, counties=["031"], limit=3, after=page)
            self.assertLessEqual(len(answer.cases), 3)
            seen += answer.cases
            page = answer.page
            if not page:
                break
        self.assertEqual(page, b"")
        self.assertEqual([case.headline for case in seen], [f"Number {i}" for i in reversed(range(7))])
        opened = [case.opened_at_us for case in seen]
        self.assertEqual(opened, sorted(opened, reverse=True))

    def test_filters(self):
        test, other = Event(status=4, counties=("029",)), Event(counties=("029", "030"))
        append(stack, test, other)
        wait_applied()
        self.assertEqual(self.listed(desk, counties=["029"]), {other.incident})
        self.assertEqual(self.listed(desk, counties=["029"], include_test=True), {test.incident, other.incident})
        self.assertEqual(self.listed(desk, counties=["029"], state=5), set())
        self.assertLessEqual({e.incident for e in self.incidents} | {other.incident}, self.listed(desk, counties=["030", "031"]))

    def test_the_incident_goes_out_with_what_proves_it(self):
        event = self.incidents[0]
        shown = self.show(desk, event.incident)
        self.assertEqual(commitment(shown.incident.groups), event.commitment)
        groups = {self.pb.GroupTag.Name(g.tag)[10:]: g for g in shown.incident.groups}
        narrative = self.pb.Narrative.FromString(groups["NARRATIVE"].content)
        self.assertEqual(narrative.texts[0].headline, "Number 0")
        for name in ("REPORTER", "PERSONS"):
            self.assertEqual((groups[name].content, groups[name].salt), (b"", b""))
            self.assertEqual(len(groups[name].digest), 32)

    def test_bad_questions_are_refused(self):
        self.refused_as(self.list(desk, counties=["KE-30"]), "UNKNOWN_COUNTY")
        self.refused_as(self.list(desk, counties=["048"]), "UNKNOWN_COUNTY")
        self.refused_as(self.list(desk, limit=501), "RULE_VIOLATION")
        self.refused_as(self.list(desk, after=b"123"), "INVALID_SCHEMA")
        self.refused_as(self.list(desk, after=b"\xff" * 24), "INVALID_SCHEMA")
        self.refused_as(self.list(desk, after=b"\x7f" + b"\xff" * 23), "INVALID_SCHEMA")
        self.refused_as(self.ask(self.peer(desk), "CASE_SHOW", self.pb.CaseShow(case_id=b"short", purpose=1)), "INVALID_SCHEMA")

    def test_who_may_not_see_a_case_does_not_learn_of_it(self):
        event = self.incidents[0]
        before = stack.services["cases"].metric("jukwaa_cases_denied_total")
        for key in (other_desk, blind_desk, operator, ntsa):
            answer, unknown = self.show(key, event.incident), self.show(key, feed.new_id())
            self.refused_as(answer, "NOT_FOUND")
            answer.request = unknown.request = 0
            self.assertEqual(answer, unknown)
            self.assertNotIn(event.incident, self.listed(key))
        self.assertGreater(stack.services["cases"].metric("jukwaa_cases_denied_total"), before)
        self.assertEqual(self.listed(blind_desk) | self.listed(operator), set())

    def test_an_agreement_for_one_county_of_several_is_enough(self):
        event, elsewhere = Event(counties=("001", "047")), Event(counties=("047",))
        append(stack, event, elsewhere)
        wait_applied()
        self.assertIn(event.incident, self.listed(other_desk))
        self.assertEqual(self.show(other_desk, event.incident).summary.revision, 1)
        self.assertNotIn(elsewhere.incident, self.listed(other_desk))
        gone = Event(feed.UPDATE, ("047",), event.incident, revision=2, moved_away=("001",))
        append(stack, gone)
        wait_applied()
        self.refused_as(self.show(other_desk, event.incident), "NOT_FOUND")

    def test_publishers_see_their_own_and_nobody_sees_red(self):
        mine = Event(agency="NTSA", tlp=5, counties=("030",))
        private = Event(agency="NTSA", scope=3, counties=("030",))
        append(stack, mine, private)
        wait_applied()
        for event in (mine, private):
            self.assertEqual(self.show(ntsa, event.incident).summary.agency, "NTSA")
            for key in (desk, kps, other_desk):
                self.refused_as(self.show(key, event.incident), "NOT_FOUND")
        self.assertEqual(self.listed(ntsa, counties=["030"]), {mine.incident, private.incident})

    def test_the_newest_revision_decides_who_may_see_it(self):
        event = Event(counties=("030",))
        append(stack, event)
        append(stack, Event(feed.UPDATE, ("030",), event.incident, revision=2, tlp=5))
        wait_applied()
        self.refused_as(self.show(desk, event.incident), "NOT_FOUND")

    def test_a_request_costs_no_more_for_being_about_rare_cases(self):
        """12,000 cases of another agency stand before the one wanted: the answer is a mark to go on from, not silence."""
        rare = Event(counties=("045",))
        append(stack, rare)
        wait_applied()
        stack.sql('INSERT INTO cases."case" (case_id, incident_id, agency, counties, category, categories, severity, status, scope, tlp,'
                  " revision, event_id, opened_at, updated_at) SELECT gen_random_uuid(), NULL, 'KPS', '{046}', 9, 512, 2, 1, 1, 2, 1,"
                  " gen_random_uuid(), now() + n * interval '1 ms', now() FROM generate_series(1, 12000) n")
        try:
            answer = self.list(desk, counties=["045"])
            self.assertEqual((len(answer.cases), len(answer.page)), (0, 24))
            answer = self.list(desk, counties=["045"], after=answer.page)
            self.assertEqual([uuid.UUID(bytes=case.case_id) for case in answer.cases], [rare.incident])
        finally:
            stack.sql("DELETE FROM cases.\"case\" WHERE counties = '{046}'")


class AgreementTest(CasesTest):
    """Under agreements alone: whom a case names, and for how long it is given."""
    @classmethod
    def setUpClass(cls):
        parties = {code: Party(stack, code) for code in ("KPS", "KRCS", "KWS")}
        cls.krcs = stack.add_desk("KRCS-047", agency="KRCS", allow=())
        cls.krcs_other = stack.add_desk("KRCS-001", agency="KRCS", allow=())
        cls.kws = stack.add_desk("KWS-1", agency="KWS", allow=())
        agree(stack, "KPS-KRCS", parties["KPS"], parties["KRCS"], "FULL@1")
        agree(stack, "KPS-KWS", parties["KPS"], parties["KWS"], "FULL@1", retention_days=7)
        cls.open = Event(counties=("024",))
        append(stack, cls.open)
        wait_applied()

    def setUp(self):
        super().setUp()
        self.desks = {"KRCS-047": self.krcs, "KRCS-001": self.krcs_other, "KWS-1": self.kws}
        for key in self.desks.values():
            stack.wait_known(key, "cases")
            wait_until(lambda: self.open.incident in self.listed(key), what="the agreement")

    def seen_by(self, event):
        """The desks that see the case, in a list as by its id; for the others it does not exist."""
        seen = set()
        for name, key in self.desks.items():
            answer, unknown = self.show(key, event.incident), self.show(key, feed.new_id())
            self.refused_as(unknown, "NOT_FOUND")
            if answer.DESCRIPTOR.name == "CaseShown":
                seen.add(name)
            else:
                answer.request = unknown.request = 0
                self.assertEqual(answer, unknown)
            self.assertEqual(event.incident in self.listed(key, counties=event.counties), name in seen)
        self.assertEqual(self.show(kps, event.incident).summary.agency, "KPS")
        return seen

    def put(self, *args, **fields):
        event = Event(*args, **{"counties": ("024",), **fields})
        append(stack, event)
        wait_applied()
        return event

    def named(self, event):
        return stack.sql('SELECT named FROM cases."case" WHERE case_id = %s', str(event.incident))[0][0]

    def test_those_whom_a_case_names_see_it_too(self):
        for label, seen in (({"scope": 3, "named": ["KRCS-047"]}, {"KRCS-047"}),
                            ({"scope": 2, "named": ["nobody@example.org", "KWS-1", "KRCS-047"]}, {"KRCS-047", "KWS-1"}),
                            ({"scope": 3, "named": ["KRCS"]}, {"KRCS-047", "KRCS-001"}),
                            ({"tlp": 5, "named": ["KRCS-001"]}, {"KRCS-001"}),
                            ({"tlp": 5, "named": ["KRCS"]}, set()),
                            ({"tlp": 5, "scope": 3, "named": ["KRCS", "KRCS-0", "KRCS-0471"]}, set()),
                            ({"scope": 3, "named": ["DESKS"]}, set()),
                            ({"scope": 3}, set())):
            with self.subTest(label):
                self.assertEqual(self.seen_by(self.put(**label)), seen)
        self.assertEqual(self.named(self.put(named=["KRCS-047"])), [])  # public: names decide nothing, and are not kept

    def test_names_follow_the_newest_revision_and_go_with_the_words(self):
        event = self.put(scope=3, named=["KRCS-047"])
        update = self.put(feed.UPDATE, incident=event.incident, revision=2, scope=3, named=["KRCS-001"])
        self.put(feed.HISTORY, incident=event.incident, revision=1, scope=3, named=["KWS-1"])
        self.assertEqual(self.seen_by(event), {"KRCS-001"})
        stack.admin("erase", str(event.incident), "--groups", "reporter", "--reason", "asked", "--by", "DPO")
        wait_applied()
        self.assertEqual(self.seen_by(event), {"KRCS-001"})
        stack.admin("erase", str(event.incident), "--groups", "words", "--reason", "asked", "--by", "DPO")
        wait_applied()
        self.assertEqual(self.named(event), [])
        self.assertEqual(self.seen_by(event), set())
        self.assertEqual(case_rows(event.incident)[str(event.incident)][1:3], (2, str(update.event_id)))

    def test_what_may_not_be_kept_any_more_is_not_shown_any_more(self):
        event = self.put()
        self.assertEqual(self.seen_by(event), set(self.desks))
        for days, seen in (("6 days 23 hours", set(self.desks)), ("7 days 1 minute", {"KRCS-047", "KRCS-001"})):
            stack.sql('UPDATE cases."case" SET event_at = now() - %s::interval WHERE case_id = %s', days, str(event.incident))
            self.assertEqual(self.seen_by(event), seen)
        self.put(feed.ACK, incident=event.incident)  # nothing new about the incident
        self.assertEqual(self.seen_by(event), {"KRCS-047", "KRCS-001"})
        stack.sql('UPDATE cases."case" SET event_at = NULL WHERE case_id = %s', str(event.incident))
        self.assertEqual(self.seen_by(event), {"KRCS-047", "KRCS-001"})
        self.put(feed.UPDATE, incident=event.incident, revision=2)
        self.assertEqual(self.seen_by(event), set(self.desks))


class ProcessTest(CasesTest):
    def test_metrics_and_readiness(self):
        service = stack.services["cases"]
        self.assertEqual(service.http("/readyz")[0], 200)
        before = service.metric("jukwaa_cases_opened_total"), service.metric("jukwaa_cases_queries_total", "list")
        append(stack, Event(), Event())
        wait_applied()
        self.list(desk)
        wait_until(lambda: service.metric("jukwaa_cases_opened_total") == before[0] + 2)
        self.assertEqual(service.metric("jukwaa_cases_queries_total", "list"), before[1] + 1)
        self.assertEqual(service.metric("jukwaa_cases_lag_events"), 0)

    def test_a_wrong_realm_stops_the_start(self):
        first = stack.services["cases"]
        port = free_port()
        wrong = Service("cases", {**first.env, "JUKWAA_HTTP_LISTEN": f"127.0.0.1:{port}", "JUKWAA_REALM": "EXERCISE",
                                  "JUKWAA_LISTEN": f"tcp://127.0.0.1:{free_port()}"}, port)
        wrong.start(ready=False)
        wait_until(lambda: wrong.process.poll() is not None, 10, "the end of the process")
        self.assertNotEqual(wrong.process.returncode, 0)
        self.assertIn("cannot_start", wrong.log())
        self.assertIn("realm", wrong.log())

    def test_it_ends_in_good_order(self):
        service = stack.services["cases"]
        self.assertEqual(service.stop(), 0)
        service.start()


if __name__ == "__main__":
    unittest.main()
