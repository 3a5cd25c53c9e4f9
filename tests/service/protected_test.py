"""Protected groups on the wire: dispatch gives them to those who may have them, under a range that says so, and to nobody else;
what was erased is not served again, from memory or from the database."""
import contextlib
import json
import threading
import unittest
import uuid

import psycopg2
import psycopg2.extras
from agreements import Party, agree
from dispatch_test import Desk
from feed_proof import check_feed
from jukwaa_harness import ROOT, Stack, chain_next, commitment, protos, run_cli, wait_until
from protected_incident import MARKERS, PERSONS, REPORTER, Revision, body_of, new_id, store
from snapshot_test import Viewer

pb = protos()
psycopg2.extras.register_uuid()
BOTH = 1 << REPORTER | 1 << PERSONS


class Reader(Desk):
    """Keeps every byte of the groups it was given; checks each copy against its commitment, and the chain."""

    def check(self, m):
        self.delivered += 1
        assert m.delivery_no == self.delivered
        assert m.event.stored_apart == 0, "a copy says what is apart"
        assert commitment(m.event.groups) == m.commitment, "the copy does not add up to its commitment"
        if m.seq == self.last.get(m.stream, 0) + 1 and (m.seq == 1 or m.stream in self.chains):
            assert chain_next(self.chains.get(m.stream, b""), m) == m.chain
        self.last[m.stream], self.chains[m.stream] = m.seq, m.chain
        self.positions[m.stream] = m.position.seal
        return m


def shown(m):
    """Tags of protected groups that the copy shows."""
    return [g.tag for g in m.event.groups if g.tag in (REPORTER, PERSONS) and not g.digest]


class ProtectedTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = Stack(services=("dispatch",))
        cls.police = cls.stack.add_publisher("POLICE")
        cls.own_key = cls.stack.add_desk("OWN", agency="POLICE", allow=())
        cls.other_key = cls.stack.add_desk("OTHER")
        # Persons, and not the reporter, under an agreement; another agency has one that gives neither.
        owner, rescue, press = (Party(cls.stack, agency) for agency in ("POLICE", "RESCUE", "PRESS"))
        agree(cls.stack, "POLICE-RESCUE", owner, rescue, "FULL@1", persons=True)
        agree(cls.stack, "POLICE-PRESS", owner, press, "FULL@1")
        cls.rescue_key = cls.stack.add_desk("RESCUE-DESK", agency="RESCUE", allow=())
        cls.press_key = cls.stack.add_desk("PRESS-DESK", agency="PRESS", allow=())
        for key in (cls.own_key, cls.other_key, cls.rescue_key, cls.press_key):
            cls.stack.wait_known(key, "dispatch")
        cls.dispatch = cls.stack.services["dispatch"]
        cls.counties = [f"{n:03}" for n in range(1, 40)]

    @classmethod
    def tearDownClass(cls):
        assert cls.dispatch.stop() == 0, cls.dispatch.log()
        for marker in MARKERS.values():
            assert marker not in cls.dispatch.log(), "protected data in the log"

    def setUp(self):
        self.county = self.counties.pop()
        self.readers = []

    def tearDown(self):
        for reader in self.readers:
            reader.close()
        self.assertIsNone(self.dispatch.process.poll(), self.dispatch.log())

    def reader(self, key, *counties, **fields):
        reader = Reader(self.stack, key)
        self.readers.append(reader)
        reader.subscribe(list(counties or [self.county]), **fields)
        return reader

    def revision(self, *args, **fields):
        return Revision(*args, counties=fields.pop("counties", (self.county,)), **fields)

    def erase(self, incident, *args):
        self.stack.admin("erase", str(incident), *(args or ("--groups", "reporter,persons")), "--reason", "request 14", "--by", "DPO")

    def ranges(self, desk_key):
        return self.stack.sql("SELECT from_seq, to_seq, groups FROM dispatch.disclosure d JOIN registry.key k USING (key_id)"
                              " WHERE stream = %s AND note = '' AND curve_key = %s ORDER BY disclosure_id", self.county,
                              psycopg2.Binary(read_public(desk_key)))

    def followed(self):
        wait_until(lambda: self.stack.sql("SELECT bool_and(h.last_seq = coalesce(f.seq, 0)) FROM feed.head h LEFT JOIN dispatch.follow f"
                                          " USING (stream) WHERE h.stream !~ '^@'")[0][0], 15, "followed")

    def viewer(self, key):
        viewer = Viewer(self.stack, key)
        self.readers.append(viewer)
        return viewer

    def test_a_snapshot_has_them_for_those_who_may(self):
        revisions = [self.revision(), self.revision(reporter=False), self.revision(reporter=False, persons=False)]
        store(self.stack, *revisions)
        self.followed()
        protected = {r.event_id.bytes: r.protected for r in revisions}
        for key, tags in ((self.own_key, {REPORTER, PERSONS}), (self.rescue_key, {PERSONS}), (self.press_key, set()), (self.other_key, set())):
            items, _ = self.viewer(key).snapshot([self.county])
            self.assertEqual(len(items), 3)
            for m in items:
                self.assertEqual({g.tag: (g.salt, g.content) for g in m.event.groups if g.tag in shown(m)},
                                 {tag: pair for tag, pair in protected[m.event_id].items() if tag in tags})

    def test_what_is_erased_during_a_snapshot_is_not_told(self):
        revisions = [self.revision() for _ in range(8)]
        store(self.stack, *revisions)
        self.followed()
        viewer = self.viewer(self.own_key)
        viewer.subscribe([self.county], pb.START_AT_SNAPSHOT, window=1, work=True)
        first = viewer.take_item(viewer.peer.expect("DELIVER"))
        before = self.dispatch.metric("jukwaa_dispatch_erasures_total")
        for revision in revisions:
            if revision.event_id.bytes != first.event_id:
                self.erase(revision.incident, "--groups", "narrative,reporter,persons")
        wait_until(lambda: self.dispatch.metric("jukwaa_dispatch_erasures_total") == before + 7, 5, "in force")
        viewer.ack()
        items, _ = viewer.take_snapshot(items=[first])
        self.assertEqual(len(items), 8)
        for m in items[1:]:
            self.assertEqual(shown(m), [])
            self.assertNotIn(b"marker", m.SerializeToString())

    def test_the_owners_desk_gets_them_and_no_other(self):
        revisions = [self.revision(), self.revision(reporter=False), self.revision(reporter=False, persons=False), self.revision(persons=False)]
        store(self.stack, *revisions)
        own, other = self.reader(self.own_key), self.reader(self.other_key)
        got = own.take(4)
        self.assertEqual([shown(m) for m in got], [[REPORTER, PERSONS], [PERSONS], [], [REPORTER]])
        for m, revision in zip(got, revisions):
            self.assertEqual({g.tag: (g.salt, g.content) for g in m.event.groups if g.tag in shown(m)}, revision.protected)
        for m in other.take(4):
            self.assertEqual(shown(m), [])
            self.assertNotIn(MARKERS["persons"].encode(), m.SerializeToString())
            self.assertIn(MARKERS["narrative"].encode(), m.SerializeToString())
        self.assertEqual({g for _, _, g in self.ranges(self.own_key)} - {0}, {BOTH})
        self.assertEqual({g for _, _, g in self.ranges(self.other_key)}, {0})
        # Live, too; and the log and metrics name nobody.
        store(self.stack, self.revision())
        self.assertEqual(shown(own.take(1)[0]), [REPORTER, PERSONS])
        self.assertEqual(shown(other.take(1)[0]), [])
        self.assertNotIn("marker", self.dispatch.http("/metrics")[1])

    def test_an_agreement_gives_persons(self):
        store(self.stack, *[self.revision() for _ in range(3)])
        rescue, press = self.reader(self.rescue_key), self.reader(self.press_key)
        for m in rescue.take(3):
            self.assertEqual((shown(m), m.allowed_by), ([PERSONS], "agreement:POLICE-RESCUE@1"))
            self.assertNotIn(MARKERS["reporter"].encode(), m.SerializeToString())
        for m in press.take(3):
            self.assertEqual((shown(m), m.allowed_by), ([], "agreement:POLICE-PRESS@1"))
        self.assertEqual({g for _, _, g in self.ranges(self.rescue_key)}, {1 << PERSONS})
        self.assertEqual({g for _, _, g in self.ranges(self.press_key)}, {0})

    def test_a_range_that_gives_more_shows_no_more(self):
        """The desk may have all of its own agency's, and of the police only persons: both lie in one range."""
        store(self.stack, self.revision(agency="RESCUE"), self.revision(), self.revision(persons=False))
        self.followed()
        shows = [[REPORTER, PERSONS], [PERSONS], []]
        got = self.reader(self.rescue_key).take(3)
        self.assertEqual([shown(m) for m in got], shows)
        self.assertEqual({g for _, _, g in self.ranges(self.rescue_key)} - {0}, {BOTH})
        items, _ = self.viewer(self.rescue_key).snapshot([self.county])
        self.assertEqual({m.event_id: shown(m) for m in items}, {m.event_id: tags for m, tags in zip(got, shows)})
        for m in got[1:] + [m for m in items if m.event_id != got[0].event_id]:
            self.assertNotIn(MARKERS["reporter"].encode(), m.SerializeToString())

    def test_a_range_without_them_is_replaced(self):
        """The first range is asked for by an event that has none; a later one has."""
        store(self.stack, *[self.revision(reporter=False, persons=False) for _ in range(5)], self.revision())
        own = self.reader(self.own_key)
        self.assertEqual([shown(m) for m in own.take(6)], [[]] * 5 + [[REPORTER, PERSONS]])
        ranges = self.ranges(self.own_key)
        self.assertEqual([g for _, _, g in ranges], [0, BOTH])
        self.assertEqual(ranges[1][0], 6)

    def test_what_is_not_there_any_more_goes_out_as_a_digest(self):
        gone, bent = self.revision(), self.revision()
        store(self.stack, gone, bent, self.revision())
        self.stack.sql("DELETE FROM intake.protected WHERE event_id = %s", gone.event_id)
        self.stack.sql("UPDATE intake.protected SET persons = reporter WHERE event_id = %s", bent.event_id)
        self.assertEqual([shown(m) for m in self.reader(self.own_key).take(3)], [[], [REPORTER], [REPORTER, PERSONS]])

    def test_many_and_big_ones(self):
        """Replay of 300, and some whose persons are a megabyte each: asked for ahead, a bounded amount at a time."""
        store(self.stack, *[self.revision() for _ in range(300)])
        big = [self.revision() for _ in range(12)]
        for revision in big:
            grow(revision, 1 << 20)
        for revision in big:
            store(self.stack, revision)
        readers = [self.reader(self.own_key, batch_max_bytes=0) for _ in range(3)]
        for reader in readers:
            copies = reader.take(300) + [m for _ in big for m in reader.take(1)]
            self.assertEqual({tuple(shown(m)) for m in copies}, {(REPORTER, PERSONS)})
            self.assertGreater(min(len(m.SerializeToString()) for m in copies[300:]), 1 << 20)
        wait_until(lambda: self.dispatch.metric("jukwaa_dispatch_protected_bytes") == 0, 3, "nothing is kept for longer than a second")

    def test_nobody_else_is_held_up(self):
        """While the table of protected groups is locked, the owner's desk waits where it must, and only there."""
        other_county = self.counties.pop()
        own, other = self.reader(self.own_key, self.county, other_county), self.reader(self.other_key)
        blocked = self.revision(persons=False)
        salt, content = blocked.protected.pop(REPORTER)
        self.stack.sql("INSERT INTO intake.protected (event_id, reporter, reporter_salt) VALUES (%s, %s, %s)", blocked.event_id, content, salt)
        with contextlib.closing(self.stack.cluster.connect(self.stack.database)) as c, c.cursor() as cur:
            cur.execute("BEGIN; LOCK TABLE intake.protected IN ACCESS EXCLUSIVE MODE")
            bare = [self.revision(reporter=False, persons=False, counties=(other_county,)) for _ in range(40)]
            store(self.stack, blocked, *bare)
            self.assertEqual(len(other.take(1)), 1)
            self.assertEqual({m.stream for m in own.take(40)}, {other_county})
            self.assertEqual(own.quiet(0.3), [])
            cur.execute("COMMIT")
        self.assertEqual(shown(own.take(1)[0]), [REPORTER])

    def test_the_mailbox_has_none(self):
        store(self.stack, self.revision())
        self.reader(self.own_key).take(1)
        mailbox = Desk(self.stack, self.police)
        self.readers.append(mailbox)
        mailbox.subscribe(mailbox=True)
        message = mailbox.peer.expect("DELIVER", timeout=10)
        self.assertEqual(message.WhichOneof("body"), "delivered")
        self.assertNotIn(MARKERS["persons"].encode(), message.SerializeToString())

    def test_erasure_reaches_desks_and_replay(self):
        revision = self.revision()
        update = self.revision(revision.incident, kind=2, revision=2)
        store(self.stack, revision, update)
        own, other = self.reader(self.own_key), self.reader(self.other_key)
        before = own.take(2)
        self.assertEqual([shown(m) for m in before], [[REPORTER, PERSONS]] * 2)
        other.take(2)
        self.erase(revision.incident, "--all-text")
        for reader in (own, other):
            told = reader.take(1)[0]
            self.assertEqual((told.kind, told.revision, told.incident_id), (pb.EVENT_KIND_ERASED, 2, revision.incident.bytes))
            self.assertIn(pb.GROUP_TAG_NARRATIVE, told.event.erased.groups)
            self.assertEqual(told.event.erased.reason, pb.ERASURE_REASON_REQUEST)
        # Replay: the same chain, nothing of the content; from whichever memory.
        again = self.reader(self.own_key)
        replayed = again.take(3)
        self.assertEqual([m.chain for m in replayed[:2]], [m.chain for m in before])
        for m in replayed:
            self.assertEqual(shown(m), [])
            for marker in MARKERS.values():
                self.assertNotIn(marker.encode(), m.SerializeToString())
        check_feed(self.stack)
        body_of(self.stack, revision.event_id, self.county)

    def test_memory_forgets_although_nobody_reads_the_stream(self):
        """The block is in the cache; nobody is there to read the ERASED event when the next one replays."""
        revision = self.revision()
        store(self.stack, revision)
        reader = self.reader(self.other_key)
        reader.take(1)
        reader.close()
        erasures = self.dispatch.metric("jukwaa_dispatch_erasures_total")
        self.erase(revision.incident, "--all-text")
        wait_until(lambda: self.dispatch.metric("jukwaa_dispatch_erasures_total") > erasures, 1, "noticed within a second")
        got = self.reader(self.other_key).take(2)
        self.assertNotIn(MARKERS["narrative"].encode(), b"".join(m.SerializeToString() for m in got))

    def test_memory_forgets_at_the_first_erasure_of_all(self):
        """Nothing had been erased in this database when dispatch began to look."""
        self.assertEqual(self.dispatch.stop(), 0)
        self.stack.sql("DELETE FROM intake.erasure")
        self.dispatch.start()
        self.test_memory_forgets_although_nobody_reads_the_stream()

    def test_erasure_while_desks_replay(self):
        """Erased in the middle of many: a second after the command's end nothing of it leaves any more."""
        revisions = [self.revision() for _ in range(40)]
        store(self.stack, *revisions)
        warm = self.reader(self.own_key)
        warm.take(40)
        done = threading.Event()
        late = []

        def replay():
            while not done.is_set():
                over = erased.is_set()
                reader = Reader(self.stack, self.own_key)
                reader.subscribe([self.county])
                copies = reader.take(40)
                reader.close()
                if over:
                    late.append(b"".join(m.SerializeToString() for m in copies))

        erased = threading.Event()
        thread = threading.Thread(target=replay)
        thread.start()
        try:
            for revision in revisions[:10]:
                self.erase(revision.incident, "--all-text")
            threading.Event().wait(1.0)  # the bound that is promised
            erased.set()
            wait_until(lambda: len(late) >= 2, 20, "replays")
        finally:
            done.set()
            thread.join()
        for copies in late:
            self.assertEqual(copies.count(MARKERS["persons"].encode()), 30)
            self.assertEqual(copies.count(MARKERS["narrative"].encode()), 30)

    def test_a_client_sees_it(self):
        revision = self.revision()
        store(self.stack, revision)
        self.erase(revision.incident, "--groups", "reporter,narrative")
        got, status = self.stack.cli_json(self.own_key, "watch", "--county", self.county, "--from", "beginning", "--count", "2", "--timeout", "10")
        self.assertEqual(status, 0, got)
        self.assertEqual([e["kind"] for e in got], ["INCIDENT", "ERASED"])
        self.assertEqual([e["copy_verified"] for e in got], [True, True])
        self.assertEqual(got[0]["incident"]["persons"]["persons"][0]["name"], MARKERS["persons"])
        self.assertIn("reporter", got[0]["incident"]["withheld"])
        self.assertEqual(got[1]["erased"], {"groups": ["NARRATIVE", "REPORTER"], "reason": "REQUEST"})
        text = self.stack.cli(self.own_key, "watch", "--county", self.county, "--from", "beginning", "--count", "2", "--timeout", "10").stdout
        self.assertRegex(text, r"ERASED +erased: NARRATIVE REPORTER")


class WholeChainTest(unittest.TestCase):
    """From the publisher to the desk: intake takes the report apart, dispatch puts together what each may have."""

    @classmethod
    def setUpClass(cls):
        cls.stack = Stack(services=("intake", "dispatch"))
        cls.police = cls.stack.add_publisher("POLICE")
        owner, rescue, press = (Party(cls.stack, agency) for agency in ("POLICE", "RESCUE", "PRESS"))
        agree(cls.stack, "POLICE-RESCUE", owner, rescue, "FULL@1", persons=True)
        agree(cls.stack, "POLICE-PRESS", owner, press, "FULL@1")
        cls.keys = {code: cls.stack.add_desk(code, agency=agency, allow=())
                    for code, agency in (("OWN", "POLICE"), ("RESCUE-DESK", "RESCUE"), ("PRESS-DESK", "PRESS"))}
        cls.stack.wait_known(cls.police)
        for key in cls.keys.values():
            cls.stack.wait_known(key, "dispatch")

    @classmethod
    def tearDownClass(cls):
        for service in (cls.stack.services[name] for name in ("intake", "dispatch")):
            assert service.stop() == 0, service.log()
            for marker in MARKERS.values():
                assert marker not in service.log(), f"protected data in the log of {service.name}"

    def report(self, county, **groups):
        """A report of a crash, as JSON; groups: reporter, persons."""
        report = json.loads((ROOT / "deploy" / "samples" / "crash-nakuru.json").read_text())
        report["identity"]["external_id"] = uuid.uuid4().hex
        report["place"] = {"codes": [{"scheme": "COUNTY", "code": county}]}
        report["narrative"]["texts"][0]["headline"] = MARKERS["narrative"]
        return {**report, **groups}

    def publish(self, report):
        path = self.stack.run / f"{uuid.uuid4().hex}.json"
        path.write_text(json.dumps(report))
        return self.stack.cli_json(self.police, "publish", path)[0][0]

    def stored(self, report):
        receipt = self.publish(report)
        self.assertEqual(receipt["verdict"], "STORED", receipt)
        return receipt

    def watch(self, code, county, count):
        lines, status = self.stack.cli_json(self.keys[code], "watch", "--county", county, "--from", "beginning", "--count", count,
                                            "--timeout", "10", "--ack")
        self.assertEqual((status, len(lines)), (0, count), lines)
        return lines

    def test_each_desk_gets_what_it_may(self):
        reporter = {"name": MARKERS["reporter"], "phone": "+254700000001"}
        persons = {"persons": [{"name": MARKERS["persons"], "role": "victim"}]}
        reports = [{"reporter": reporter, "persons": persons}, {"persons": persons}, {}]
        receipts = [self.stored(self.report("011", **groups)) for groups in reports]
        under = {"OWN": ("owner", ("reporter", "persons")), "RESCUE-DESK": ("agreement:POLICE-RESCUE@1", ("persons",)),
                 "PRESS-DESK": ("agreement:POLICE-PRESS@1", ())}
        for code, (allowed_by, may) in under.items():
            for line, groups in zip(self.watch(code, "011", 3), reports):
                with self.subTest(code, groups=list(groups)):
                    self.assertEqual((line["allowed_by"], line["copy_verified"]), (allowed_by, True), line)
                    self.assertEqual({g: line["incident"].get(g) for g in ("reporter", "persons")},
                                     {g: groups.get(g) if g in may else None for g in ("reporter", "persons")})
                    # A group that is empty and one that it may not see look the same.
                    self.assertEqual({"reporter", "persons"} & set(line["incident"].get("withheld", ())),
                                     {g for g in ("reporter", "persons") if g not in may or g not in groups})
                    self.assertEqual(line["incident"]["narrative"]["texts"][0]["headline"], MARKERS["narrative"])
        # Who had what, by the records: for the first report, and for the one that has neither.
        def copies(incident):
            done = run_cli("--json", "disclosures", incident, env=self.stack.admin_env, check=False)
            rows = [json.loads(line) for line in done.stdout.splitlines()]
            found = {r["desk"]: r["under"] for r in rows if r["type"] == "copy" and not r["possibly"]}
            return len(found) == 3 and found

        full = wait_until(lambda: copies(receipts[0]["incident_id"]), 8, "written down")
        self.assertEqual(full, {"OWN": "owner +reporter +persons", "RESCUE-DESK": "agreement POLICE-RESCUE 1 FULL@1 +persons",
                                "PRESS-DESK": "agreement POLICE-PRESS 1 FULL@1"})

    def test_erased_reports_are_still_known(self):
        """What was erased whole is a DUPLICATE when it comes again, and a CONFLICT when it comes with other content."""
        report = self.report("012", reporter={"name": MARKERS["reporter"]}, persons={"persons": [{"name": MARKERS["persons"]}]})
        first = self.stored(report)
        self.stack.admin("erase", first["incident_id"], "--all", "--reason", "request 16", "--by", "DPO")
        again = self.publish(report)
        self.assertEqual((again["verdict"], again["incident_id"], again["event_id"]), ("DUPLICATE", first["incident_id"], first["event_id"]))
        changed = {**report, "reporter": {"name": "somebody else"}}
        self.assertEqual(self.publish(changed)["verdict"], "CONFLICT")
        # Neither of them brings anything back.
        self.assertEqual(self.stack.sql("SELECT count(*) FROM intake.protected WHERE event_id = %s", first["event_id"]), [(0,)])
        lines = self.watch("OWN", "012", 2)
        self.assertEqual([(line["kind"], line["copy_verified"]) for line in lines], [("INCIDENT", True), ("ERASED", True)])
        for marker in MARKERS.values():
            self.assertNotIn(marker, json.dumps(lines))
        check_feed(self.stack)


def read_public(path):
    from jukwaa_harness import read_key
    return read_key(f"{path}.pub")["curve-public"]


def grow(revision, size):
    """The same report with persons of this size."""
    bigger = Revision(revision.incident, counties=revision.counties, headline="big", event_id=new_id())
    body = pb.EventBody.FromString(bigger.body)
    salt, _ = bigger.protected[PERSONS]
    content = pb.Persons(persons=[pb.Person(name="x" * size)]).SerializeToString()
    import hashlib
    body.groups[PERSONS - 1].digest = hashlib.sha256(salt + content).digest()
    bigger.protected[PERSONS] = (salt, content)
    revision.__dict__.update(bigger.__dict__, body=body.SerializeToString(), commitment=commitment(body.groups))


if __name__ == "__main__":
    unittest.main()
