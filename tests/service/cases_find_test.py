"""Finding cases: lists, exports, figures and similar cases against a second formulation of who may see what, over the rows themselves.
Several agencies, several agreements; the cases are written by SQL, the answers come from the real program."""
import collections
import contextlib
import csv
import io
import json
import math
import random
import subprocess
import time
import unittest
import uuid

import feed_events as feed
from agreements import Party, agree
from feed_events import Event, append
from jukwaa_harness import BIN, Stack, protos, wait_until

CATEGORIES = "GEO MET SAFETY SECURITY RESCUE FIRE HEALTH ENV TRANSPORT INFRA CBRNE OTHER".split()
COUNTIES = ("001", "016", "022", "047")
OPEN = {1, 2, 3, 4, 5, 6, 9}
# Groups that are withheld beside what names people, by profile: only those that lists tell something of.
IDENTITY, CLASSIFICATION, TIMES, PLACE, NARRATIVE, HANDLING, REGISTRATION, POSITION, WORK = 1, 2, 3, 4, 5, 8, 11, 12, 14
SHOWN = {"FULL@1": {IDENTITY, CLASSIFICATION, TIMES, PLACE, NARRATIVE, HANDLING, REGISTRATION, POSITION, WORK},
         "NO_NARRATIVE@1": {IDENTITY, CLASSIFICATION, TIMES, PLACE, HANDLING, REGISTRATION, POSITION},
         "COARSE_PLACE@1": {IDENTITY, CLASSIFICATION, TIMES, PLACE, HANDLING},
         "STATISTICS_ONLY@1": {IDENTITY, CLASSIFICATION, PLACE, HANDLING}}
# (provider, recipient) -> what is agreed.
AGREED = {
    ("KPS", "KRCS"): dict(profile="FULL@1", counties=["001", "047"], tlp=3),
    ("NTSA", "KRCS"): dict(profile="NO_NARRATIVE@1", counties=["*"], tlp=2, floor=2),
    ("KPS", "KWS"): dict(profile="COARSE_PLACE@1", counties=["*"], tlp=3, days=7),
    ("NTSA", "KWS"): dict(profile="STATISTICS_ONLY@1", counties=["016", "022"], tlp=5, categories=["FIRE", "TRANSPORT"]),
}
# More than one agreement for one pair: the one that withholds least counts.
MORE = [("KPS", "KWS", dict(profile="FULL@1", counties=["022"], tlp=1, categories=["HEALTH"], days=400))]
TLPS = ["", "CLEAR", "GREEN", "AMBER", "AMBER_STRICT", "RED"]
SEVERITIES = ["", "EXTREME", "SEVERE", "MODERATE", "MINOR"]
COLUMNS = ("case_id agency counties category categories severity status scope tlp named state opened_at event_at lat lon constituency"
           " occurred_at accepted_at dispatched_at on_scene_at resolved_at target_triage_at triaged_at target_resolve_at").split()
STEPS = ("opened_at", "accepted_at", "dispatched_at", "on_scene_at", "resolved_at")
Row = collections.namedtuple("Row", COLUMNS)
CHANCE = random.Random(22)
peers = {}


def setUpModule():
    global stack, keys, names, start
    stack = Stack(services=("cases",))
    parties = {code: Party(stack, code) for code in ("KPS", "NTSA", "KRCS", "KWS")}
    keys = {code: stack.add_publisher(code) for code in ("KPS", "NTSA")}
    names = {"KRCS": "KRCS-DESK", "KWS": "KWS-DESK", "KPS-DESK": "KPS-DESK", "NONE": "NONE-DESK"}
    keys["KRCS"] = stack.add_desk("KRCS-DESK", agency="KRCS", allow=())
    keys["KWS"] = stack.add_desk("KWS-DESK", agency="KWS", allow=())
    keys["KPS-DESK"] = stack.add_desk("KPS-DESK", agency="KPS", allow=())
    keys["NONE"] = stack.add_desk("NONE-DESK", agency="NONE", allow=())
    for number, (provider, recipient, terms) in enumerate([(*pair, terms) for pair, terms in AGREED.items()] + MORE):
        fields = {"counties": terms["counties"], "tlp_ceiling": TLPS[terms["tlp"]]}
        if "floor" in terms:
            fields["severity_floor"] = SEVERITIES[terms["floor"]]
        if "days" in terms:
            fields["retention_days"] = terms["days"]
        if "categories" in terms:
            fields["categories"] = terms["categories"]
        agree(stack, f"{provider}-{recipient}-{number}", parties[provider], parties[recipient], terms["profile"], **fields)
    for key in keys.values():
        stack.wait_known(key, "cases")
    start = time.time()
    fill(700)
    wait_until(lambda: ask("KRCS", "CaseList", limit=500).cases, 10, "the agreements")


def tearDownModule():
    for peer in peers.values():
        peer.close()
    stack.stop()


def fill(count):
    """Cases with labels of all kinds; ages on both sides of what may be kept."""
    rows = []
    for i in range(count):
        age = CHANCE.choice([600, 7200, 80000, 300000, 6.9 * 86400, 7.1 * 86400, 30 * 86400, 399 * 86400, 401 * 86400])
        opened = start - age - CHANCE.random() * 60
        event = opened + CHANCE.choice([0, 0, 100])
        categories = CHANCE.sample(range(1, 13), CHANCE.choice([1, 1, 2])) if i % 3 else [9]
        steps, at = [], opened
        for _ in range(4):
            at += CHANCE.expovariate(1 / 600)
            steps.append(at if CHANCE.random() < 0.8 and at < start else None)
        located = CHANCE.random() < 0.8
        rows.append((str(feed.new_id()), CHANCE.choice(["KPS", "NTSA"]), sorted(CHANCE.sample(COUNTIES, CHANCE.choice([1, 1, 1, 2]))),
                     categories[0], sum(1 << c for c in categories), CHANCE.randint(1, 5), CHANCE.choice([1, 1, 1, 1, 2, 3, 4]),
                     CHANCE.choice([1, 1, 1, 1, 2, 3]), CHANCE.choice([1, 2, 2, 3, 3, 4, 5]),
                     CHANCE.sample(["KRCS", "KRCS-DESK", "KWS-DESK", "OTHER"], CHANCE.choice([0, 1, 2])), CHANCE.randint(1, 10), opened, event,
                     -1.28 + CHANCE.random() * 0.05 if located else None, 36.82 + CHANCE.random() * 0.05 if located else None,
                     CHANCE.choice(["290", "274", None]), opened - 60, *steps, opened + 1800 if i % 3 else None,
                     opened + CHANCE.choice([600, 3600]) if i % 2 else None, opened + CHANCE.choice([3000, 10**8]) if i % 5 else None))
    for row in rows:
        stack.sql(
            'INSERT INTO cases."case" (case_id, incident_id, agency, counties, category, categories, severity, status, scope, tlp, named,'
            " state, opened_at, event_at, lat, lon, constituency, occurred_at, accepted_at, dispatched_at, on_scene_at, resolved_at,"
            " target_triage_at, triaged_at, target_resolve_at, revision, event_id, updated_at) VALUES (%s, NULL, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, to_timestamp(%s), to_timestamp(%s),"
            " %s, %s, %s, to_timestamp(%s), to_timestamp(%s), to_timestamp(%s), to_timestamp(%s), to_timestamp(%s), to_timestamp(%s),"
            " to_timestamp(%s), to_timestamp(%s), 1, gen_random_uuid(), now())", *row)
    for row in rows[::4]:
        stack.sql("INSERT INTO cases.number (case_id, agency, number, ob_number, at) VALUES (%s, %s, %s, %s, now())", row[0], row[1],
                  f"N-{row[0]}", f"OB {CHANCE.randint(1, 9)}/2026")


def rows():
    read = ", ".join(f"extract(epoch FROM {c})::float8" if c.endswith("_at") else f"{c}::text" if c == "case_id" else c for c in COLUMNS)
    return [Row(*row) for row in stack.sql(f'SELECT {read} FROM cases."case"')]


def terms_of(owner, recipient):
    return [t for pair, t in AGREED.items() if pair == (owner, recipient)] + [t for p, r, t in MORE if (p, r) == (owner, recipient)]


def shown_of(who, row, now=None):
    """The groups that the asker may see of the case; None: it does not exist for it. A second formulation of authz.h."""
    agency = who.removesuffix("-DESK")
    if row.agency == agency:
        return SHOWN["FULL@1"]
    if who not in names:
        return None
    desk, now = names[who], now or time.time()
    if row.tlp == 5 and desk not in row.named:
        return None
    if row.scope != 1 and desk not in row.named and agency not in row.named:
        return None
    best = None
    for term in terms_of(row.agency, agency):
        if term["counties"] != ["*"] and not set(term["counties"]) & set(row.counties):
            continue
        if "categories" in term and not any(row.categories >> CATEGORIES.index(c) + 1 & 1 for c in term["categories"]):
            continue
        if "floor" in term and not 1 <= row.severity <= term["floor"]:
            continue
        if row.tlp > term["tlp"] or ("days" in term and now - row.event_at >= term["days"] * 86400):
            continue
        shown = SHOWN[term["profile"]]
        best = shown if best is None or len(shown) > len(best) else best
    return best


def visible(who):
    return {row.case_id: (row, shown_of(who, row)) for row in rows() if shown_of(who, row) is not None}


def peer_of(who):
    if who not in peers:
        peers[who] = stack.peer("cases", keys[who])
        assert peers[who].hello() is not None
    return peers[who]


def ask(who, name, refused=False, **fields):
    """One question to the service, with the list's fields inside where it is an export; asked again while the service says later."""
    pb = protos()
    kinds = {"CaseList": ("CASE_LIST", "CASE_LISTED"), "CaseExport": ("CASE_EXPORT", "CASE_EXPORTED"),
             "CaseFigures": ("CASE_FIGURES", "CASE_FIGURES_TOLD"), "CaseSimilar": ("CASE_SIMILAR", "CASE_SIMILAR_FOUND")}
    fields.setdefault("purpose", pb.CASE_PURPOSE_STATISTICS)
    message = pb.CaseExport(list=pb.CaseList(**fields)) if name == "CaseExport" else getattr(pb, name)(**fields)
    while True:
        message.request, message.session = random.getrandbits(40), 0
        try:
            peer = peer_of(who)
            peer.send(kinds[name][0], message)
            answer = peer.expect(kinds[name][1], "REFUSED")
        except AssertionError:  # the service has been started again
            peers.pop(who).close()
            continue
        assert answer.request == message.request
        if answer.DESCRIPTOR.name != "Refused" or refused or pb.Code.Name(answer.code) != "CODE_UNAVAILABLE":
            return answer
        time.sleep(0.05)  # it says that it is being counted


def breached(row):
    return row.state != 10 and any(due and (done or time.time()) > due for due, done in (
        (row.target_triage_at, row.triaged_at), (row.target_resolve_at, row.resolved_at)))


def pages(who, name, **fields):
    """All cases of all pages."""
    found, after = [], b""
    while True:
        answer = ask(who, name, after=after, **fields)
        found += answer.cases
        after = answer.page
        if not after:
            return found


def ids(cases):
    return [str(uuid.UUID(bytes=case.case_id)) for case in cases]


class FindTest(unittest.TestCase):
    def setUp(self):
        self.pb = protos()

    def refused_as(self, answer, code, field):
        self.assertEqual((answer.DESCRIPTOR.name, getattr(answer, "field", None)), ("Refused", field), answer)
        self.assertEqual(self.pb.Code.Name(answer.code), f"CODE_{code}")


class ListTest(FindTest):
    def test_each_asker_finds_what_it_may_see_and_nothing_else(self):
        counts = {}
        for who in keys:
            expected = visible(who)
            counts[who] = len(expected)
            for name in ("CaseList", "CaseExport"):
                found = pages(who, name, include_test=True, limit=100)
                self.assertEqual(sorted(ids(found)), sorted(expected), (who, name))
        self.assertEqual(counts["NONE"], 0)
        self.assertTrue(all(50 < counts[who] < 650 for who in keys if who != "NONE"), counts)

    def test_filters(self):
        chance = random.Random(5)
        for who in ("KRCS", "KWS", "KPS-DESK"):
            known = visible(who)
            for _ in range(25):
                fields, tests = {}, [lambda r: r.status not in (3, 4)]
                if chance.random() < 0.4:
                    wanted = chance.sample(COUNTIES, 2)
                    fields["counties"] = wanted
                    tests.append(lambda r, w=wanted: set(w) & set(r.counties))
                if chance.random() < 0.3:
                    fields["constituency"] = "290"
                    tests.append(lambda r: r.constituency == "290")
                if chance.random() < 0.4:
                    category = chance.randint(1, 12)
                    fields["category"] = category
                    tests.append(lambda r, c=category: r.categories >> c & 1)
                if chance.random() < 0.3:
                    fields["states"] = chance.sample(range(1, 11), 4)
                    tests.append(lambda r, s=tuple(fields["states"]): r.state in s)
                elif chance.random() < 0.3:
                    fields["open"] = True
                    tests.append(lambda r: r.state in OPEN)
                if chance.random() < 0.3:
                    fields["agency"] = chance.choice(["KPS", "NTSA", "NOBODY"])
                    tests.append(lambda r, a=fields["agency"]: r.agency == a)
                if chance.random() < 0.4:
                    begin = start - chance.choice([400, 30, 7, 1]) * 86400
                    fields["from_us"] = int(begin * 1e6)
                    tests.append(lambda r, b=begin: r.opened_at >= b)
                if chance.random() < 0.4:
                    end = start - chance.choice([31, 8, 1]) * 86400
                    fields["to_us"] = int(end * 1e6)
                    tests.append(lambda r, e=end: r.opened_at < e)
                if chance.random() < 0.2:
                    fields["breached"] = True
                    tests.append(lambda r: breached(r) and WORK in shown_of(who, r))  # noqa: B023
                if chance.random() < 0.4:
                    floor = chance.randint(1, 4)
                    fields["severity_floor"] = floor
                    tests.append(lambda r, f=floor: 1 <= r.severity <= f)
                expected = sorted(i for i, (row, _) in known.items() if all(test(row) for test in tests))
                with self.subTest(who=who, **fields):
                    found = pages(who, "CaseList", limit=chance.choice([7, 500]), **fields)
                    self.assertEqual(sorted(ids(found)), expected)
                    self.assertEqual([c.opened_at_us for c in found], sorted((c.opened_at_us for c in found), reverse=True))

    def test_by_number(self):
        numbers = stack.sql("SELECT case_id::text, number, ob_number FROM cases.number")
        seen = 0
        for who in ("KPS", "NTSA", "KRCS", "KWS", "NONE"):
            known = visible(who)
            for wanted in ["OB 3/2026", "OB 7/2026", numbers[0][1], "N-0", "' OR true --"]:
                expected = sorted(i for i, number, ob in numbers if wanted in (number, ob) and i in known
                                  and {WORK, REGISTRATION} <= known[i][1])
                found = pages(who, "CaseList", number=wanted, include_test=True, limit=3)
                self.assertEqual(sorted(ids(found)), expected, (who, wanted))
                seen += len(expected)
        self.assertGreater(seen, 20)
        self.refused_as(ask("KRCS", "CaseList", refused=True, number="1" * 65), "OVERSIZE", "number")

    def test_what_is_withheld_is_not_told(self):
        seen = collections.Counter()
        for who in keys:
            known = visible(who)
            for case in pages(who, "CaseExport", include_test=True):
                row, shown = known[str(uuid.UUID(bytes=case.case_id))]
                where = (case.WhichOneof("position_present") is not None, case.WhichOneof("occurred_present") is not None,
                         case.WhichOneof("accepted_present") is not None)
                self.assertEqual(where, (row.lat is not None and POSITION in shown, TIMES in shown,
                                         row.accepted_at is not None and WORK in shown), (who, row))
                if where[0]:
                    self.assertEqual((case.position.lat, case.position.lon), (row.lat, row.lon))
                self.assertEqual(case.constituency, row.constituency or "")
                seen[where] += 1
        self.assertGreaterEqual(len(seen), 5, seen)

    def test_bad_questions_are_refused(self):
        for fields, code, field in (({"constituency": "Mathare"}, "RULE_VIOLATION", "constituency"),
                                    ({"agency": "kps' OR 1=1"}, "RULE_VIOLATION", "agency"), ({"agency": "A" * 400}, "RULE_VIOLATION", "agency"),
                                    ({"from_us": -1}, "RULE_VIOLATION", "from_us"), ({"to_us": 1 << 62}, "RULE_VIOLATION", "to_us"),
                                    ({"severity_floor": 5}, "RULE_VIOLATION", "severity_floor"),
                                    ({"states": [8], "open": True}, "RULE_VIOLATION", "open"),
                                    ({"counties": ["KE-30"]}, "UNKNOWN_COUNTY", "counties"), ({"after": b"12"}, "INVALID_SCHEMA", "after"),
                                    ({"purpose": 0}, "RULE_VIOLATION", "purpose"), ({"limit": 2001}, "RULE_VIOLATION", "limit")):
            for name in ("CaseList", "CaseExport"):
                self.refused_as(ask("KRCS", name, refused=True, **fields), code, field)
        self.refused_as(ask("KRCS", "CaseFigures", refused=True, purpose=0), "RULE_VIOLATION", "purpose")
        self.refused_as(ask("KRCS", "CaseFigures", refused=True, counties=["48"]), "UNKNOWN_COUNTY", "counties")
        self.refused_as(ask("KRCS", "CaseSimilar", refused=True, case_id=b"short"), "INVALID_SCHEMA", "case_id")
        self.refused_as(ask("KRCS", "CaseSimilar", refused=True, case_id=bytes(16), limit=51), "RULE_VIOLATION", "limit")

    def test_every_reading_is_recorded(self):
        pb, before = self.pb, stack.sql("SELECT coalesce(max(access_id), 0) FROM cases.access")[0][0]
        exported = ask("KRCS", "CaseExport", limit=3, states=[1], agency="KPS", purpose=pb.CASE_PURPOSE_AUDIT, purpose_note="yearly")
        ask("KRCS", "CaseFigures", counties=["047"], purpose=pb.CASE_PURPOSE_STATISTICS)
        wanted = uuid.UUID(bytes=exported.cases[0].case_id)
        similar = ask("KRCS", "CaseSimilar", case_id=wanted.bytes)
        found = stack.sql("SELECT asked, purpose, note, query, granted, case_ids::text[] FROM cases.access WHERE access_id > %s"
                          " ORDER BY access_id", before)
        self.assertEqual([row[:5] for row in found], [
            ("EXPORT", "AUDIT", "yearly", "state=NEW agency=KPS limit=3", True),
            ("FIGURES", "STATISTICS", "", "counties=047", True), ("SIMILAR", "STATISTICS", "", "", True)])
        self.assertEqual(found[0][5], ids(exported.cases))
        self.assertEqual(found[2][5], [str(wanted), *ids([s.summary for s in similar.similar])])


def figures_of(who, counties=(), agency="", begin=0, end=math.inf):
    """The same by hand: {(county, agency): (count, spans, open)}; key None: all. Spans are of the cases whose WORK is shown."""
    now, groups = time.time(), collections.defaultdict(list)
    known = visible(who)
    for row, _ in known.values():
        if row.status in (3, 4) or (agency and row.agency != agency) or not begin <= row.opened_at < end:
            continue
        places = [c for c in row.counties if not counties or c in counties]
        if not places:
            continue
        groups[None].append(row)
        for county in places:
            groups[county, row.agency].append(row)
    result = {}
    for key, members in groups.items():
        spans = []
        for before, after in zip(STEPS, STEPS[1:]):
            values = sorted(getattr(r, after) - getattr(r, before) for r in members
                            if getattr(r, after) and getattr(r, before) and WORK in known[r.case_id][1])
            rank = lambda p: int(values[math.ceil(len(values) * p) - 1] * 100 + 1e-4) * 10  # noqa: E731, B023
            spans.append((len(values), rank(0.5), rank(0.9)) if values else (0, 0, 0))
        ages = [now - r.opened_at for r in members if r.state in OPEN]
        opened = [sum(low <= age < high for age in ages) for low, high in
                  ((0, 3600), (3600, 86400), (86400, 7 * 86400), (7 * 86400, math.inf))]
        result[key] = (len(members), spans, opened)
    return result


def told(answer):
    def one(figure):
        return (figure.count, [(s.count, s.p50_ms, s.p90_ms) for s in (figure.accepted, figure.dispatched, figure.on_scene,
                                                                          figure.resolved)],
                [figure.open_hour, figure.open_day, figure.open_week, figure.open_older])
    result = {(f.county, f.agency): one(f) for f in answer.figures}
    if answer.all.count:
        result[None] = one(answer.all)
    return result


class FiguresTest(FindTest):
    def same(self, answer, expected):
        got = told(answer)
        self.assertEqual(set(got), set(expected))
        for key, (count, spans, opened) in expected.items():
            self.assertEqual((got[key][0], got[key][2]), (count, opened), key)
            for mine, theirs in zip(spans, got[key][1]):
                self.assertEqual(mine[0], theirs[0], key)
                for a, b in zip(mine[1:], theirs[1:]):  # to 10 ms; what PostgreSQL gives as floating point may round either way
                    self.assertLessEqual(abs(a - b), 10, key)

    def test_they_are_over_what_the_asker_may_see(self):
        for who in keys:
            for fields in ({}, {"counties": ["047"]}, {"counties": ["001", "022"], "agency": "KPS"}, {"agency": "NTSA"}):
                with self.subTest(who=who, **fields):
                    self.same(ask(who, "CaseFigures", **fields), figures_of(who, fields.get("counties", ()), fields.get("agency", "")))
        self.assertEqual(told(ask("NONE", "CaseFigures")), {})

    def test_a_time(self):
        begin, end = start - 20 * 86400, start - 86400
        for who in ("KRCS", "KWS", "KPS"):
            self.same(ask(who, "CaseFigures", from_us=int(begin * 1e6), to_us=int(end * 1e6)), figures_of(who, begin=begin, end=end))

    def test_what_was_done_about_one_case_is_not_told_where_it_is_withheld(self):
        """A question that one case alone answers is a question about that case."""
        asked = 0
        for who in ("KRCS", "KWS"):
            row = next(row for row, shown in visible(who).values()
                       if WORK not in shown and row.accepted_at and row.dispatched_at and row.status == 1)
            opened_us = round(row.opened_at * 1e6)
            fields = {"counties": row.counties[:1], "agency": row.agency, "from_us": opened_us, "to_us": opened_us + 1}
            for asker, tells in ((who, False), (row.agency, True)):
                figure = ask(asker, "CaseFigures", **fields).all
                self.assertEqual(figure.count, 1, asker)
                for span, begin, end in ((figure.accepted, row.opened_at, row.accepted_at),
                                         (figure.dispatched, row.accepted_at, row.dispatched_at)):
                    self.assertEqual((span.count, span.p50_ms > 0, span.p90_ms > 0), (1, True, True) if tells else (0, False, False), asker)
                    if tells:
                        self.assertLessEqual(abs(span.p50_ms - (end - begin) * 1000), 11)
                    asked += 1
                if not tells:
                    self.assertEqual((figure.on_scene.count, figure.resolved.count, figure.resolved.p90_ms), (0, 0, 0))
        self.assertEqual(asked, 8)

    def test_they_follow_each_change_at_once(self):
        chance = random.Random(3)
        ask("KPS", "CaseFigures")
        for step in range(12):
            row = chance.choice(rows())
            stack.sql('UPDATE cases."case" SET state = %s, severity = %s, counties = %s, resolved_at = now(), version = version + 1'
                      " WHERE case_id = %s", chance.randint(1, 10), chance.randint(1, 5), [chance.choice(COUNTIES)], row.case_id)
            if step % 4 == 0:
                fill(3)
            for who in ("KPS", "KRCS"):
                self.same(ask(who, "CaseFigures"), figures_of(who))

    def test_a_change_that_is_committed_late_is_not_missed(self):
        """A transaction that began before others, and ended after they were read."""
        ask("KPS", "CaseFigures")
        first, second = [r for r in rows() if r.agency == "KPS" and r.status == 1][:2]
        late = stack.cluster.connect(stack.database)
        late.autocommit = False
        with late.cursor() as cursor:
            cursor.execute('UPDATE cases."case" SET counties = %s WHERE case_id = %s', (["030"], first.case_id))
            stack.sql('UPDATE cases."case" SET counties = %s WHERE case_id = %s', ["031"], second.case_id)
            self.same(ask("KPS", "CaseFigures"), figures_of("KPS"))
            late.commit()
        late.close()
        self.same(ask("KPS", "CaseFigures"), figures_of("KPS"))
        self.assertIn(("030", "KPS"), told(ask("KPS", "CaseFigures")))

    def test_the_follower_s_cases_count_too(self):
        ask("KPS", "CaseFigures")
        event = Event(counties=("044",), agency="KPS")
        append(stack, event)
        wait_until(lambda: ("044", "KPS") in told(ask("KPS", "CaseFigures")), what="the new case")
        self.assertEqual(told(ask("KPS", "CaseFigures"))["044", "KPS"][2], [1, 0, 0, 0])

    def test_the_database_goes_away_and_comes_back(self):
        ask("KPS", "CaseFigures")
        stack.cluster.stop("fast")
        try:
            wait_until(lambda: stack.services["cases"].http("/readyz")[0] == 503, what="not ready")
            self.refused_as(ask("KPS", "CaseFigures", refused=True), "UNAVAILABLE", "")
        finally:
            stack.cluster.start()
        stack.services["cases"].wait_ready()
        self.same(ask("KPS", "CaseFigures"), figures_of("KPS"))

    def test_a_database_that_was_set_back_is_read_anew(self):
        """As after a restored dump or a promoted standby: a row that was changed under a number that has been read past already."""
        ask("KPS", "CaseFigures")
        row = next(r for r in rows() if r.agency == "KPS" and r.status == 1)
        with contextlib.closing(stack.cluster.connect(stack.database)) as connection, connection.cursor() as cursor:
            cursor.execute("SET session_replication_role = replica")  # no trigger notes the change
            cursor.execute('UPDATE cases."case" SET counties = %s, changed = \'3\' WHERE case_id = %s', (["029"], row.case_id))
        stack.cluster.stop("fast")
        stack.cluster.start()
        stack.services["cases"].wait_ready()
        answer = ask("KPS", "CaseFigures")
        self.assertIn(("029", "KPS"), told(answer))
        self.same(answer, figures_of("KPS"))


class SimilarTest(FindTest):
    def put(self, *pairs):
        events = [Event(**fields) for fields in pairs]
        append(stack, *events)
        wait_until(lambda: stack.sql('SELECT count(*) FROM cases."case" WHERE case_id = ANY (%s::uuid[])',
                                     [str(e.incident) for e in events])[0][0] == len(events), what="they are opened")
        return events

    def place(self, event, lat, lon, minutes=0):
        """Where it was, as the feed would have said."""
        stack.sql('UPDATE cases."case" SET lat = %s, lon = %s, occurred_at = opened_at + %s * interval \'1 minute\' WHERE case_id = %s', lat,
                  lon, minutes, str(event.incident))

    def similar(self, who, event, **fields):
        answer = ask(who, "CaseSimilar", case_id=uuid.UUID(str(getattr(event, "incident", event))).bytes, **fields)
        self.assertEqual(answer.DESCRIPTOR.name, "CaseSimilarFound", answer)
        return answer.similar

    def test_a_second_report_comes_first_and_nothing_is_merged(self):
        first, second, far, late = self.put({"counties": ("044",)}, {"counties": ("044",), "agency": "NTSA", "severity": 1},
                                            {"counties": ("044",)}, {"counties": ("044",)})
        self.place(first, -1.0721, 34.4710)
        self.place(second, -1.0729, 34.4702, 6)
        self.place(far, -1.0900, 34.4710, 5)
        self.place(late, -1.0721, 34.4710, 400)
        found = self.similar("KPS-DESK", first)
        self.assertEqual(ids([s.summary for s in found])[:1], [str(far.incident)])  # NTSA's is not for KPS
        self.assertNotIn(str(second.incident), ids([s.summary for s in found]))
        self.assertNotIn(str(late.incident), ids([s.summary for s in found]))
        self.assertLess(found[0].score, 50)
        self.assertEqual(stack.sql('SELECT count(*) FROM cases."case" WHERE state = 10 AND case_id = ANY (%s::uuid[])',
                                   [str(e.incident) for e in (first, second, far, late)]), [(0,)])

    def test_score_and_reasons(self):
        first, second = self.put({"counties": ("047",), "tlp": 2}, {"counties": ("047",), "agency": "NTSA", "severity": 1})
        self.place(first, -2.0721, 36.4710)
        self.place(second, -2.0729, 36.4702, 6)
        found = self.similar("KRCS", first)
        self.assertEqual(ids([s.summary for s in found])[0], str(second.incident))
        self.assertGreaterEqual(found[0].score, 80)
        self.assertAlmostEqual(found[0].distance_m, 125, delta=10)
        self.assertGreater(found[0].later_ms, 300000)
        self.assertIn("m apart", found[0].reasons[0])
        # To whom positions are withheld they do not exist, and time and county alone say little.
        for similar in self.similar("KWS", first):
            self.assertFalse(similar.HasField("distance_m"))
            self.assertLessEqual(similar.score, 40)
            self.assertIsNone(similar.summary.WhichOneof("position_present"))

    def test_what_may_not_be_seen_is_in_no_answer(self):
        all_rows = [r for r in rows() if r.lat is not None]
        for who in keys:
            known = visible(who)
            for row in random.Random(8).sample(all_rows, 40):
                answer = ask(who, "CaseSimilar", case_id=uuid.UUID(row.case_id).bytes, limit=50)
                if row.case_id not in known:
                    self.refused_as(answer, "NOT_FOUND", "case_id")
                    continue
                for similar in answer.similar:
                    case = str(uuid.UUID(bytes=similar.summary.case_id))
                    self.assertIn(case, known)
                    self.assertNotEqual(case, row.case_id)
                    both = POSITION in known[case][1] and POSITION in known[row.case_id][1]
                    self.assertEqual(similar.HasField("distance_m"), both and known[case][0].lat is not None)

    def test_unknown_and_invisible_are_the_same_answer(self):
        hidden = next(r for r in rows() if shown_of("KRCS", r) is None)
        answers = [ask("KRCS", "CaseSimilar", case_id=uuid.UUID(str(i)).bytes) for i in (hidden.case_id, feed.new_id())]
        for answer in answers:
            self.refused_as(answer, "NOT_FOUND", "case_id")
            answer.request = 0
        self.assertEqual(answers[0], answers[1])


class CommandTest(FindTest):
    def run_cli(self, who, *args):
        return stack.cli(keys[who], "case", *args, check=False)

    def test_export_as_csv_and_geojson(self):
        expected = {i: pair for i, pair in visible("KRCS").items() if pair[0].status not in (3, 4)}
        done = self.run_cli("KRCS", "export", "--purpose", "statistics")
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = list(csv.DictReader(io.StringIO(done.stdout, newline="")))
        self.assertEqual(sorted(line["case_id"] for line in lines), sorted(expected))
        for line in lines:
            row, shown = expected[line["case_id"]]
            self.assertEqual(line["counties"].split(), row.counties)
            self.assertEqual(line["lat"] != "", row.lat is not None and POSITION in shown)
        done = self.run_cli("KRCS", "export", "--purpose", "statistics", "--format", "geojson", "--county", "047")
        features = json.loads(done.stdout)
        self.assertEqual(features["type"], "FeatureCollection")
        self.assertEqual({f["id"] for f in features["features"]}, {i for i, (row, _) in expected.items() if "047" in row.counties})
        for feature in features["features"]:
            row, shown = expected[feature["id"]]
            point = feature["geometry"] and feature["geometry"]["coordinates"]
            self.assertEqual(point, [round(row.lon, 7), round(row.lat, 7)][::1] if row.lat is not None and POSITION in shown else None)

    def test_a_headline_that_is_a_formula_is_text_in_a_spreadsheet(self):
        event = Event(counties=("047",), headline='=HYPERLINK("http://example.org";"x"), "quoted"\nand more')
        append(stack, event)
        wait_until(lambda: stack.sql('SELECT count(*) FROM cases."case" WHERE case_id = %s', str(event.incident)) == [(1,)], what="opened")
        done = self.run_cli("KPS", "export", "--purpose", "audit", "--headlines", "--from", "2026-01-01", "--limit", "50")
        line = next(x for x in csv.DictReader(io.StringIO(done.stdout, newline="")) if x["case_id"] == str(event.incident))
        self.assertEqual(line["headline"], "'" + event.headline)

    def test_an_export_that_is_cut_says_so(self):
        service = stack.services["cases"]
        done = subprocess.Popen([BIN / "jukwaa", "case", "export", "--purpose", "audit", "--limit", "1000000", "--timeout", "2"],
                                env={**stack.env(keys["KPS"]), "PATH": "/usr/bin"}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        service.kill()
        out, err = done.communicate(timeout=30)
        service.start()
        if done.returncode == 0:  # it was faster: then it is whole
            self.assertEqual(len(list(csv.DictReader(io.StringIO(out, newline="")))),
                             len([1 for row, _ in visible("KPS").values() if row.status not in (3, 4)]))
        else:
            self.assertIn("the export is not complete", err)
        full = subprocess.run(f"'{BIN / 'jukwaa'}' case export --purpose audit > /dev/full", shell=True, capture_output=True, text=True,
                              env={**stack.env(keys["KPS"]), "PATH": "/usr/bin"}, check=False)
        self.assertEqual(full.returncode, 1, full.stderr)
        self.assertIn("the export is not complete", full.stderr)

    def test_figures_and_similar_fit_a_terminal(self):
        for args in (("figures", "--purpose", "statistics"), ("similar", next(iter(visible("KPS"))), "--purpose", "response")):
            done = subprocess.run([BIN / "jukwaa", "case", *args], env={**stack.env(keys["KPS"]), "COLUMNS": "80"}, capture_output=True,
                                  text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual([line for line in done.stdout.splitlines() if len(line) > 80], [])
        lines, status = stack.cli_json(keys["KPS"], "case", "figures", "--purpose", "statistics")
        self.assertEqual(status, 0)
        self.assertEqual(lines[-1]["count"], told(ask("KPS", "CaseFigures"))[None][0])

    def test_options_that_are_wrong(self):
        for args in (("export", "--format", "xml"), ("export", "--county", "KE-30"), ("list", "--state", "DONE"), ("list", "--category", "9"),
                     ("figures", "--open"), ("similar",), ("list", "--constituency", "Mathare"), ("export", "--purpose", "curiosity")):
            self.assertEqual(self.run_cli("KRCS", *args).returncode, 2, args)


if __name__ == "__main__":
    unittest.main()
