"""Intake: the real program on a real PostgreSQL, real CURVE, a client written from the .proto files."""
import collections
import json
import os
import struct
import time
import unittest
import uuid

import zmq
from jukwaa_harness import FRAME, Peer, Stack, need_data, protos, scratch, wait_until

pb = protos()
US = 1_000_000
NOW_US = int(time.time() * US)


def square(code, lat, lon):
    """A county of half a degree with its south-west corner here."""
    ring = [[lon, lat], [lon + .5, lat], [lon + .5, lat + .5], [lon, lat + .5], [lon, lat]]
    return {"type": "Feature", "properties": {"county_code": code}, "geometry": {"type": "Polygon", "coordinates": [ring]}}


def write_boundaries(name, features):
    path = scratch() / name
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def report(external_id=None, revision=1, county="047", **identity):
    """A good report; tests spoil or extend it."""
    incident = pb.Incident()
    incident.identity.external_id = external_id or uuid.uuid4().hex
    incident.identity.revision = revision
    incident.identity.status = pb.STATUS_ACTUAL
    for name, value in identity.items():
        setattr(incident.identity, name, value)
    incident.classification.categories.append(pb.CATEGORY_FIRE)
    incident.handling.scope = pb.SCOPE_PUBLIC
    incident.handling.tlp = pb.TLP_GREEN
    if county:
        incident.place.codes.add(scheme=pb.PLACE_SCHEME_COUNTY, code=county)
    incident.narrative.texts.add(headline="Fire at the market")
    return incident


def cap(identifier, sent="2026-03-01T08:00:00+03:00", msg_type="Alert", references=None, sender="ops@krcs.example", area="",
        status="Actual", info=True, expires=None):
    """A CAP 1.2 alert; area is raw XML within area."""
    body = ""
    if info:
        expiry = f"<expires>{expires}</expires>" if expires else ""
        body = ("<info><category>Fire</category><event>Fire</event><urgency>Immediate</urgency><severity>Severe</severity>"
                f"<certainty>Observed</certainty>{expiry}<headline>Fire</headline>"
                f"<area><areaDesc>somewhere</areaDesc>{area}</area></info>")
    refers = f"<references>{references}</references>" if references else ""
    return (f'<?xml version="1.0" encoding="UTF-8"?><alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">'
            f"<identifier>{identifier}</identifier><sender>{sender}</sender><sent>{sent}</sent><status>{status}</status>"
            f"<msgType>{msg_type}</msgType><scope>Public</scope>{refers}{body}</alert>").encode()


def everywhere(external_id, revision=1, description=""):
    """A report for all 47 counties."""
    incident = report(external_id, revision, county=None)
    for county in range(1, 48):
        incident.place.codes.add(scheme=pb.PLACE_SCHEME_COUNTY, code=f"{county:03}")
    incident.narrative.texts[0].description = description
    return incident


class Publisher:
    """A session that publishes and waits for its receipts."""

    def __init__(self, stack, key):
        self.peer = stack.peer("intake", key)
        self.welcome = self.peer.hello()
        assert self.welcome, "no welcome"
        self.request = 0

    def send(self, payload, format=pb.FORMAT_PROTOBUF, **fields):
        if isinstance(payload, pb.Incident):
            payload = payload.SerializeToString()
        self.request += 1
        self.peer.send("PUBLISH", pb.Publish(request=self.request, format=format, payload=payload, **fields))
        return self.request

    def publish(self, payload, *args, **fields):
        request = self.send(payload, *args, **fields)
        receipt = self.peer.expect("RECEIPT", timeout=15)
        assert receipt.request == request, (receipt, request)
        return receipt


class IntakeCase(unittest.TestCase):
    """Assertions on receipts."""

    def assert_verdict(self, receipt, verdict, code="UNSPECIFIED", field=None):
        got = (pb.Verdict.Name(receipt.verdict)[8:], pb.Code.Name(receipt.code)[5:])
        self.assertEqual(got, (verdict, code), receipt)
        if field is not None:
            self.assertEqual(receipt.field, field)
        if verdict == "REJECTED":
            self.assertTrue(receipt.reason)
            self.assertFalse(receipt.event_id)
        return receipt

    def warnings(self, receipt):
        return sorted(pb.Code.Name(w.code)[5:] for w in receipt.warnings)

    def kinds(self, receipt):
        """Which event each stream has under this receipt's event_id."""
        rows = self.stack.sql("SELECT stream, kind FROM feed.event WHERE event_id = %s", str(uuid.UUID(bytes=receipt.event_id)))
        return {stream: pb.EventKind.Name(kind)[11:] for stream, kind in rows}

    def incident(self, receipt):
        """current_revision, counties, orphan, cancelled."""
        return self.stack.sql("SELECT current_revision, counties, orphan, cancelled FROM intake.incident WHERE incident_id = %s",
                              str(uuid.UUID(bytes=receipt.incident_id)))[0]

    def groups(self, receipt):
        body = self.stack.sql("SELECT body FROM feed.event WHERE event_id = %s", str(uuid.UUID(bytes=receipt.event_id)))[0][0]
        return {g.tag: g for g in pb.EventBody.FromString(bytes(body)).groups}


class ReportsTest(IntakeCase):
    """One stack for everything that leaves the service as it was."""

    @classmethod
    def setUpClass(cls):
        cls.boundaries = write_boundaries("three.json", [square("047", -1.5, 36.5), square("022", -1, 36.5), square("016", -1.5, 37)])
        cls.stack = Stack(services=("intake",), boundaries=cls.boundaries)
        cls.key = cls.stack.add_publisher("KRCS")
        cls.stack.wait_known(cls.key)

    def setUp(self):
        self.p = Publisher(self.stack, self.key)
        self.addCleanup(self.p.peer.close)

    def test_welcome(self):
        w = self.p.welcome
        self.assertEqual((w.agency, w.service, w.realm, w.role), ("KRCS", "intake", pb.REALM_LIVE, pb.ROLE_PUBLISHER))
        self.assertGreater(w.epoch, 0)

    def test_stored_means_committed(self):
        r = self.assert_verdict(self.p.publish(report()), "STORED")
        row = self.stack.sql("SELECT stream, seq, chain, epoch, commitment, tlp, category FROM feed.event WHERE event_id = %s",
                             str(uuid.UUID(bytes=r.event_id)))
        self.assertEqual(len(row), 1)
        stream, seq, chain, epoch, commitment, tlp, category = row[0]
        self.assertEqual([(p.stream, p.seq, p.chain) for p in r.positions], [(stream, seq, bytes(chain))])
        self.assertEqual((r.epoch, r.commitment, tlp, category), (epoch, bytes(commitment), pb.TLP_GREEN, pb.CATEGORY_FIRE))

    def test_duplicate_gets_the_first_answer(self):
        message = report(county=None)
        message.place.polygons.add().points.extend(
            [pb.Point(lat=a, lon=b) for a, b in ((-1.2, 36.6), (-1.2, 36.8), (-.8, 36.8), (-.8, 36.6), (-1.2, 36.6))])
        message.times.expires_us = NOW_US - 1
        first = self.assert_verdict(self.p.publish(message), "STORED")
        self.assertEqual([p.stream for p in first.positions], ["022", "047"])
        self.assertEqual(self.warnings(first), ["ALREADY_EXPIRED"])
        other = Publisher(self.stack, self.key)
        self.addCleanup(other.peer.close)
        for publisher in (self.p, other):
            again = self.assert_verdict(publisher.publish(message), "DUPLICATE")
            for field in ("external_id", "revision", "incident_id", "event_id", "positions", "epoch", "warnings", "commitment"):
                self.assertEqual(getattr(again, field), getattr(first, field), field)

    def test_conflict_leaves_the_first_standing(self):
        message = report()
        first = self.p.publish(message)
        message.narrative.texts[0].headline = "Something else"
        second = self.assert_verdict(self.p.publish(message), "CONFLICT")
        self.assertEqual(second.event_id, first.event_id)
        self.assertEqual(self.stack.sql("SELECT count(*) FROM intake.report WHERE external_id = %s",
                                        message.identity.external_id)[0][0], 1)

    def test_within_one_batch(self):
        """All sent before any receipt is read: they share batches."""
        message, other = report("batch-1"), report("batch-1")
        other.narrative.texts[0].headline = "Other"
        later = report("batch-1", revision=2)
        requests = {}
        for _ in range(3):
            for name, m in (("first", message), ("conflict", other), ("later", later)):
                requests[self.p.send(m)] = name
        got = collections.defaultdict(list)
        receipts = {}
        for _ in requests:
            r = self.p.peer.expect("RECEIPT")
            got[requests[r.request]].append(pb.Verdict.Name(r.verdict)[8:])
            receipts.setdefault(requests[r.request], []).append(r)
        self.assertEqual(got["first"], ["STORED", "DUPLICATE", "DUPLICATE"])
        self.assertEqual(got["later"], ["STORED", "DUPLICATE", "DUPLICATE"])
        self.assertEqual(got["conflict"], ["CONFLICT"] * 3)
        for name in ("first", "later"):
            self.assertEqual(len({(r.event_id, r.positions[0].seq, r.positions[0].chain) for r in receipts[name]}), 1)

    def test_many_copies_at_once(self):
        """More than the service keeps spare memory for: the answer must outlive the report it answers."""
        message = report().SerializeToString()
        for _ in range(600):
            self.p.send(message)
        receipts = [self.p.peer.expect("RECEIPT", timeout=20) for _ in range(600)]
        self.assertEqual(collections.Counter(pb.Verdict.Name(r.verdict)[8:] for r in receipts), {"STORED": 1, "DUPLICATE": 599})
        self.assertEqual(len({(r.event_id, r.commitment, r.positions[0].seq, r.positions[0].chain) for r in receipts}), 1)

    def test_late_revision_is_history(self):
        ident = uuid.uuid4().hex
        three, one, two = (self.p.publish(report(ident, revision=n)) for n in (3, 1, 2))
        self.assertEqual({three.incident_id, one.incident_id, two.incident_id}, {three.incident_id})
        self.assertEqual([self.kinds(r)["047"] for r in (three, one, two)], ["INCIDENT", "HISTORY", "HISTORY"])
        self.assertEqual([self.warnings(r) for r in (three, one, two)], [[], ["LATE_REVISION"], ["LATE_REVISION"]])
        self.assertEqual(self.incident(three)[0], 3)

    def test_moved_counties(self):
        ident = uuid.uuid4().hex
        first = self.p.publish(report(ident, county="047"))
        moved = self.p.publish(report(ident, revision=2, county="022"))
        self.assertEqual(self.kinds(moved), {"047": "MOVED_AWAY", "022": "UPDATE"})
        self.assertEqual([p.stream for p in moved.positions], ["022", "047"])
        after = self.p.publish(report(ident, revision=3, county=None))
        self.assertEqual(self.kinds(after), {"022": "UPDATE"})
        self.assertEqual(self.incident(first)[:2], (3, ["022"]))

    def test_cap_update_and_cancel_join(self):
        a = uuid.uuid4().hex
        sent = "2026-03-01T08:00:00+03:00"
        alert = self.p.publish(cap(a, sent), pb.FORMAT_CAP, county="047")
        self.assert_verdict(alert, "STORED")
        update = self.p.publish(cap(a + "-2", "2026-03-01T09:00:00+03:00", "Update", f"ops@krcs.example,{a},{sent}"),
                                pb.FORMAT_CAP)
        self.assert_verdict(update, "STORED")
        self.assertEqual(update.incident_id, alert.incident_id)
        self.assertEqual(self.kinds(update), {"047": "UPDATE"})
        cancel = self.p.publish(cap(a + "-3", "2026-03-01T10:00:00+03:00", "Cancel", f"ops@krcs.example,{a},{sent}", info=False),
                                pb.FORMAT_CAP)
        self.assertEqual(self.kinds(cancel), {"047": "CANCEL"})
        self.assertTrue(self.incident(alert)[3])
        classification = pb.Classification.FromString(self.groups(cancel)[pb.GROUP_TAG_CLASSIFICATION].content)
        self.assertEqual((list(classification.categories), classification.severity), ([pb.CATEGORY_FIRE], pb.SEVERITY_SEVERE))
        ack = self.p.publish(cap(a + "-4", "2026-03-01T11:00:00+03:00", "Ack", f"ops@krcs.example,{a},{sent}", info=False),
                             pb.FORMAT_CAP)
        self.assertEqual(self.kinds(ack), {"047": "ACK"})

    def test_orphan_is_linked(self):
        a, sent = uuid.uuid4().hex, "2026-03-01T08:00:00+03:00"
        update = self.p.publish(cap(a + "-2", "2026-03-01T09:00:00+03:00", "Update", f"ops@krcs.example,{a},{sent}"),
                                pb.FORMAT_CAP, county="047")
        self.assertEqual(self.warnings(update), ["ORPHAN"])
        self.assertEqual(self.kinds(update), {"047": "INCIDENT"})
        self.assertTrue(self.incident(update)[2])
        references = pb.References.FromString(self.groups(update)[pb.GROUP_TAG_REFERENCES].content)
        self.assertTrue(references.orphan)
        alert = self.p.publish(cap(a, sent), pb.FORMAT_CAP, county="047")
        self.assertEqual(alert.incident_id, update.incident_id)
        self.assertEqual(self.kinds(alert), {"047": "HISTORY"})
        self.assertFalse(self.incident(update)[2])
        self.assertEqual(self.stack.sql("SELECT count(*) FROM intake.awaited WHERE incident_id = %s",
                                        str(uuid.UUID(bytes=update.incident_id)))[0][0], 0)

    def test_another_agency_cannot_amend(self):
        other_key = self.stack.add_publisher("NPS")
        self.stack.wait_known(other_key)
        other = Publisher(self.stack, other_key)
        self.addCleanup(other.peer.close)
        a, sent = uuid.uuid4().hex, "2026-03-01T08:00:00+03:00"
        alert = self.p.publish(cap(a, sent), pb.FORMAT_CAP, county="047")
        cancel = other.publish(cap(a + "-2", "2026-03-01T09:00:00+03:00", "Cancel", f"ops@krcs.example,{a},{sent}"),
                               pb.FORMAT_CAP, county="047")
        self.assertEqual(self.warnings(cancel), ["ORPHAN"])
        self.assertNotEqual(cancel.incident_id, alert.incident_id)
        self.assertFalse(self.incident(alert)[3])
        same = other.publish(report("shared-id"))
        mine = self.p.publish(report("shared-id"))
        self.assertNotEqual(same.incident_id, mine.incident_id)

    def test_refusals(self):
        rows = [
            ("WRONG_REALM", "status", report(status=pb.STATUS_EXERCISE), {}),
            ("RULE_VIOLATION", "status", report(status=pb.STATUS_DRAFT), {}),
            ("INVALID_SCHEMA", "identity.status", report(status=0), {}),
            ("SENDER_MISMATCH", "identity.agency", report(agency="NPS"), {}),
            ("UNKNOWN_COUNTY", "county", report(), {"county": "048"}),
            ("UNKNOWN_COUNTY", "county", report(), {"county": "47"}),
            ("UNKNOWN_COUNTY", "place.codes", report(county="099"), {}),
            ("UNKNOWN_COUNTY", "place.codes", report(county="KE-30"), {}),
            ("UNROUTABLE", "place", report(county=None), {}),
            ("NOT_WELL_FORMED", None, b"\x0a\xff", {}),
            ("NOT_WELL_FORMED", None, b"\x0a\x05abc", {}),
            ("INVALID_SCHEMA", "identity", b"", {}),
            ("INVALID_SCHEMA", "format", report(), {"format": 0}),
            ("NOT_WELL_FORMED", None, b"{", {"format": pb.FORMAT_JSON}),
            ("INVALID_SCHEMA", None, b'{"identity":{"status":"ACTUALLY"}}', {"format": pb.FORMAT_JSON}),
            ("NOT_WELL_FORMED", "doctype", b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
             {"format": pb.FORMAT_CAP}),
            ("WRONG_REALM", "status", cap("x", status="Exercise"), {"format": pb.FORMAT_CAP, "county": "047"}),
            ("RULE_VIOLATION", "status", cap("x", status="Draft"), {"format": pb.FORMAT_CAP, "county": "047"}),
        ]
        before = self.stack.sql("SELECT count(*) FROM intake.dedup")[0][0]
        for code, field, payload, fields in rows:
            with self.subTest(code=code, field=field):
                self.assert_verdict(self.p.publish(payload, **fields), "REJECTED", code, field)
        self.assertEqual(self.stack.sql("SELECT count(*) FROM intake.dedup")[0][0], before)
        service = self.stack.services["intake"]
        self.assertGreater(service.metric("jukwaa_intake_refusals_total", 'code="UNKNOWN_COUNTY"'), 3)
        self.assertIn("report_refused", service.log())
        self.assertNotIn("Fire at the market", service.log())

    def test_a_key_speaks_for_its_cap_senders_only(self):
        key = self.stack.add_publisher("KMD", senders=("--cap-sender", "ops@krcs.example"))
        self.stack.wait_known(key)
        p = Publisher(self.stack, key)
        self.addCleanup(p.peer.close)
        self.assert_verdict(p.publish(cap("m1"), pb.FORMAT_CAP, county="047"), "STORED")
        self.assert_verdict(p.publish(cap("m2", sender="nws@example"), pb.FORMAT_CAP, county="047"), "REJECTED",
                            "SENDER_MISMATCH", "sender")

    def test_place_order(self):
        point = report(county=None)
        point.place.point.lat, point.place.point.lon = -1.2, 36.7
        self.assertEqual(list(self.kinds(self.p.publish(point))), ["047"])
        both = report(county="022")
        both.place.point.lat, both.place.point.lon = -1.2, 36.7
        r = self.p.publish(both)
        self.assertEqual(list(self.kinds(r)), ["022"])
        self.assertEqual(self.warnings(r), ["PLACE_OUTSIDE_COUNTY"])
        named = self.p.publish(report(county="022"), county="016")
        self.assertEqual(list(self.kinds(named)), ["016"])
        sea = report(county=None)
        sea.place.point.lat, sea.place.point.lon = -4.5, 41
        self.assert_verdict(self.p.publish(sea), "REJECTED", "UNROUTABLE")
        sea.place.codes.add(scheme=pb.PLACE_SCHEME_NAME, code="Murang’a")
        self.assertEqual(list(self.kinds(self.p.publish(sea))), ["021"])
        for scheme, code, county in ((pb.PLACE_SCHEME_ISO_3166_2, "KE-30", "047"), (pb.PLACE_SCHEME_CONSTITUENCY, "290", "047"),
                                     (pb.PLACE_SCHEME_COUNTY, "030", "030"), (pb.PLACE_SCHEME_ISO_3166_2, "KE-01", "030")):
            m = report(county=None)
            m.place.codes.add(scheme=scheme, code=code)
            r = self.p.publish(m)
            self.assertEqual(list(self.kinds(r)), [county])
            place = pb.Place.FromString(self.groups(r)[pb.GROUP_TAG_PLACE].content)
            self.assertEqual(list(place.counties), [county])

    def test_json(self):
        text = {"identity": {"external_id": uuid.uuid4().hex, "revision": 5, "status": "ACTUAL"},
                "classification": {"categories": ["HEALTH"], "severity": "SEVERE"},
                "place": {"codes": [{"scheme": "COUNTY", "code": "047"}]}, "handling": {"scope": "PUBLIC", "tlp": "AMBER"},
                "narrative": {"texts": [{"headline": "Mlipuko wa kipindupindu"}]},
                "reporter": {"name": "Njeri Secretname", "phone": "+254700000001"}}
        r = self.assert_verdict(self.p.publish(json.dumps(text).encode(), pb.FORMAT_JSON), "STORED")
        self.assertEqual(r.revision, 5)
        spaced = json.dumps(dict(reversed(text.items())), indent=4).encode()
        self.assert_verdict(self.p.publish(spaced, pb.FORMAT_JSON), "DUPLICATE")
        groups = self.groups(r)
        self.assertEqual(groups[pb.GROUP_TAG_REPORTER].content, b"")
        self.assertEqual(len(groups[pb.GROUP_TAG_REPORTER].digest), 32)
        body = b"".join(g.SerializeToString() for g in groups.values())
        self.assertNotIn(b"Secretname", body)
        kept, salt = self.stack.sql("SELECT reporter, reporter_salt FROM intake.protected WHERE event_id = %s",
                                    str(uuid.UUID(bytes=r.event_id)))[0]
        self.assertIn(b"Secretname", bytes(kept))
        self.assertEqual(len(bytes(salt)), 16)
        self.assertNotIn("Secretname", self.stack.services["intake"].log())

    def test_check_stores_nothing(self):
        m = report()
        before = self.stack.sql("SELECT count(*) FROM feed.event")[0][0]
        self.assert_verdict(self.p.publish(m, check=True), "VALID")
        self.assert_verdict(self.p.publish(m, check=True), "VALID")
        self.assertEqual(self.stack.sql("SELECT count(*) FROM feed.event")[0][0], before)
        self.assert_verdict(self.p.publish(m), "STORED")
        self.assert_verdict(self.p.publish(m, check=True), "DUPLICATE")
        m.narrative.texts[0].headline = "x"
        self.assert_verdict(self.p.publish(m, check=True), "CONFLICT")
        self.assert_verdict(self.p.publish(report(county=None), check=True), "REJECTED", "UNROUTABLE")

    def test_strict_refuses_what_is_warned_of(self):
        m = report()
        m.place.polygons.add().points.extend([pb.Point(lat=95, lon=1)] * 4)
        self.assert_verdict(self.p.publish(m, strict=True), "REJECTED", "RULE_VIOLATION", "place.polygons[0]")
        r = self.assert_verdict(self.p.publish(m), "STORED")
        self.assertEqual(self.warnings(r), ["BAD_SHAPE"])
        key = self.stack.add_publisher("STRICT")
        self.stack.sql("UPDATE registry.agency SET strict = true, refuse_expired = true WHERE code = 'STRICT'")
        self.stack.wait_known(key)
        p = Publisher(self.stack, key)
        self.addCleanup(p.peer.close)
        wait_until(lambda: p.publish(m, check=True).verdict == pb.VERDICT_REJECTED, 2, "the policy is in force")
        self.assert_verdict(p.publish(m), "REJECTED", "RULE_VIOLATION")
        old = report()
        old.times.expires_us = NOW_US - US
        self.assert_verdict(p.publish(old), "REJECTED", "EXPIRED", "expires")
        soon = report()
        soon.times.expires_us = int((time.time() + 1.0) * US)
        self.assert_verdict(p.publish(soon), "STORED")
        wait_until(lambda: time.time() * US > soon.times.expires_us, 3, "expiry")
        self.assert_verdict(p.publish(soon), "DUPLICATE")

    def test_cap_folder(self):
        folder = need_data("cap", "valid")
        key = self.stack.add_publisher("RELAY")
        self.stack.wait_known(key)
        p = Publisher(self.stack, key)
        self.addCleanup(p.peer.close)
        expected = [{"STORED": 48, "DUPLICATE": 4, "CONFLICT": 2}, {"DUPLICATE": 52, "CONFLICT": 2}]
        firsts = {}
        for counts in expected:
            got = collections.Counter()
            for path in sorted(folder.glob("*.xml")):
                r = p.publish(path.read_bytes(), pb.FORMAT_CAP, county="047")
                got[pb.Verdict.Name(r.verdict)[8:]] += 1
                if r.verdict == pb.VERDICT_DUPLICATE and path.name in firsts:
                    self.assertEqual((r.event_id, r.positions), firsts[path.name])
                firsts.setdefault(path.name, (r.event_id, r.positions))
            self.assertEqual(dict(got), counts)

    def test_the_largest_report_is_answered(self):
        m = report()
        m.narrative.texts[0].description = "x" * (2 * 1024 * 1024 - 1024)
        self.assert_verdict(self.p.publish(m), "STORED")

    def test_what_an_event_takes_in_all_its_streams_is_bounded(self):
        """Its body is stored once for each: a report may have 2 MiB, and an event 32 MiB in all. Others are answered meanwhile."""
        key = self.stack.add_publisher("BESIDE")
        self.stack.wait_known(key)
        beside = Publisher(self.stack, key)
        self.addCleanup(beside.peer.close)
        ident, large, medium = uuid.uuid4().hex, "x" * (1900 * 1024), "x" * (400 * 1024)
        for report_of_all, *expected in ((everywhere(uuid.uuid4().hex, description=large), "REJECTED", "OVERSIZE", "payload"),
                                         (everywhere(ident, description=medium), "STORED")):
            self.p.send(report_of_all)
            self.assert_verdict(beside.publish(report()), "STORED")
            receipt = self.assert_verdict(self.p.peer.expect("RECEIPT", timeout=15), *expected)
        self.assertEqual(len(receipt.positions), 47)
        # One that says nothing of the place goes where its incident is.
        update = report(ident, revision=2, county=None)
        update.narrative.texts[0].description = large
        for check in (True, False):
            self.assert_verdict(self.p.publish(update, check=check), "REJECTED", "OVERSIZE", "payload")
        self.assert_verdict(self.p.publish(report(ident, revision=2, county=None)), "STORED")

    def test_events_that_are_too_large_together_are_stored_apart(self):
        """Two of them wait while one is stored. How large their events are shows when they are decided: no place is named."""
        ident = uuid.uuid4().hex
        first = self.assert_verdict(self.p.publish(everywhere(ident)), "STORED")
        for revision in (2, 3, 4):
            update = report(ident, revision, county=None)
            update.narrative.texts[0].description = "x" * (400 * 1024)
            self.p.send(update)
        for revision in (2, 3, 4):
            receipt = self.assert_verdict(self.p.peer.expect("RECEIPT", timeout=20), "STORED")
            self.assertEqual((receipt.revision, receipt.incident_id, len(receipt.positions)), (revision, first.incident_id, 47))
        self.assertEqual(self.stack.sql("SELECT count(DISTINCT xmin::text) FROM intake.report WHERE external_id = %s AND revision > 1",
                                        ident), [(3,)])

    def test_too_much_at_once_is_busy_and_the_rest_is_stored(self):
        m = report()
        m.narrative.texts[0].description = "x" * (1024 * 1024)
        requests = set()
        for n in range(12):
            m.identity.external_id = f"big-{n}-{uuid.uuid4().hex}"
            requests.add(self.p.send(m))
        got = collections.Counter()
        for _ in requests:
            got[pb.Verdict.Name(self.p.peer.expect("RECEIPT", timeout=20).verdict)[8:]] += 1
        self.assertEqual(sum(got.values()), 12)
        self.assertLessEqual(set(got), {"STORED", "BUSY"})
        self.assertGreaterEqual(got["STORED"], 3)
        self.assertEqual(self.stack.services["intake"].http("/readyz")[0], 200)

    def test_bad_frames_change_nothing(self):
        service = self.stack.services["intake"]
        before = service.metric("jukwaa_intake_dropped_total")
        body = pb.Publish(session=self.p.peer.session, request=1).SerializeToString()
        bad = [(b"",), (b"JK",), (b"x" * 8, b""), (FRAME.pack(b"JK", 1, 1, 16, 0), body), (FRAME.pack(b"JK", 1, 0, 16, 9), body),
               (FRAME.pack(b"JK", 1, 0, 16, 0),), (FRAME.pack(b"JK", 1, 0, 16, 0), body, body), (b"\0" * 100000, b"\xff" * 100000),
               (FRAME.pack(b"JK", 1, 0, 999, 0), body), tuple([b"z"] * 50)]
        for frames in bad:
            self.p.peer.send_raw(*frames)
        wait_until(lambda: service.metric("jukwaa_intake_dropped_total") >= before + len(bad) - 1, 5, "dropped frames are counted")
        while self.p.peer.receive(timeout=0.3):
            pass
        self.assert_verdict(self.p.publish(report()), "STORED")

    def test_other_protocol_version_and_other_session(self):
        self.p.peer.send_raw(FRAME.pack(b"JK", 2, 0, 16, 0), b"")
        got = self.p.peer.receive()
        self.assertEqual((got[0], pb.Code.Name(got[1].code)), ("REFUSED", "CODE_UNSUPPORTED_VERSION"))
        self.p.peer.send("PUBLISH", pb.Publish(session=12345, request=9, format=1, payload=b""))
        self.assertEqual(self.p.peer.receive()[0], "BAD_SESSION")

    def test_unknown_key_is_refused(self):
        service = self.stack.services["intake"]
        before = service.metric("jukwaa_intake_handshakes_total", "refused")
        stranger = self.stack.peer("intake", self.stack.new_key(f"stranger-{uuid.uuid4().hex[:6]}"))
        self.addCleanup(stranger.close)
        self.assertIsNone(stranger.hello(timeout=1))
        plain = Peer(self.stack.endpoints["intake"], None, None, curve=False)
        self.addCleanup(plain.close)
        self.assertIsNone(plain.hello(timeout=1))
        wait_until(lambda: service.metric("jukwaa_intake_handshakes_total", "refused") > before, 5, "refusal is counted")

    def test_revoked_key_is_cut_off(self):
        key = self.stack.add_publisher("GONE")
        self.stack.wait_known(key)
        p = Publisher(self.stack, key)
        self.addCleanup(p.peer.close)
        self.assert_verdict(p.publish(report()), "STORED")
        self.stack.sql("UPDATE registry.agency SET revoked_at = now() WHERE code = 'GONE'")
        time_of_revocation = time.monotonic()
        late = report()

        def refused():
            p.send(late)
            got = p.peer.receive(timeout=0.2)
            return got is None or got[0] != "RECEIPT"
        wait_until(refused, 3, "revoked key gets no receipt")
        self.assertLess(time.monotonic() - time_of_revocation, 1.5)


class FaultsTest(IntakeCase):
    """What breaks the service or its database: a stack of its own for each test."""

    def setUp(self):
        self.stack = Stack(services=("intake",))
        self.key = self.stack.add_publisher("KRCS")
        self.stack.wait_known(self.key)
        self.service = self.stack.services["intake"]
        self.p = Publisher(self.stack, self.key)
        self.addCleanup(lambda: self.p.peer.close())
        self.addCleanup(self.stack.stop)

    def test_kill_and_restart_loses_nothing_receipted(self):
        receipted = {}
        pending = {}
        for n in range(400):
            m = report(f"kill-{n}")
            pending[self.p.send(m)] = m
            if n == 200:
                while len(receipted) < 50:
                    r = self.p.peer.expect("RECEIPT")
                    receipted[pending.pop(r.request).identity.external_id] = r
                self.service.kill()
                break
        while (got := self.p.peer.receive(timeout=0.5)) is not None:
            if got[0] == "RECEIPT":
                receipted[pending.pop(got[1].request).identity.external_id] = got[1]
        self.service.start()
        self.p.peer.close()
        self.p = Publisher(self.stack, self.key)
        for n in range(400):
            ident = f"kill-{n}"
            r = self.p.publish(report(ident))
            self.assertIn(pb.Verdict.Name(r.verdict), ("VERDICT_STORED", "VERDICT_DUPLICATE"))
            if ident in receipted:
                self.assertEqual(r.verdict, pb.VERDICT_DUPLICATE)
                self.assertEqual((r.event_id, r.positions), (receipted[ident].event_id, receipted[ident].positions))
        self.assertGreaterEqual(len(receipted), 50)
        self.assertEqual(self.stack.sql("SELECT count(*), max(seq), count(DISTINCT event_id) FROM feed.event"), [(400, 400, 400)])

    def test_poison_row_is_found_and_refused_alone(self):
        self.stack.sql("ALTER TABLE intake.report ADD CHECK (external_id NOT LIKE 'poison%%')")
        names = [f"row-{n}" for n in range(60)]
        names[17] = "poison-1"
        names[43] = "poison-2"
        requests = {self.p.send(report(name)): name for name in names}
        got = {}
        for _ in names:
            r = self.p.peer.expect("RECEIPT", timeout=15)
            got[requests[r.request]] = r
        for name, r in got.items():
            if name.startswith("poison"):
                self.assert_verdict(r, "REJECTED", "INVALID_SCHEMA")
            else:
                self.assert_verdict(r, "STORED")
        self.assertEqual(self.stack.sql("SELECT count(*), max(seq) FROM feed.event"), [(58, 58)])

    def test_without_database_busy_and_back(self):
        self.assert_verdict(self.p.publish(report()), "STORED")
        self.stack.cluster.stop()
        first = time.monotonic()
        self.assert_verdict(self.p.publish(report("away")), "BUSY")
        self.assertLess(time.monotonic() - first, 5)
        wait_until(lambda: self.service.http("/readyz")[0] == 503, 5, "not ready")
        at = time.monotonic()
        self.assert_verdict(self.p.publish(report("away")), "BUSY")
        self.assertLess(time.monotonic() - at, 0.5)
        self.stack.cluster.start()
        self.service.wait_ready()
        self.assert_verdict(self.p.publish(report("away")), "STORED")

    def test_starts_without_database_and_waits_for_it(self):
        self.service.stop()
        self.stack.cluster.stop()
        self.service.start(ready=False)
        wait_until(lambda: self.service.http("/readyz")[0] == 503, 10, "alive, not ready")
        early = self.stack.peer("intake", self.key)
        self.addCleanup(early.close)
        self.assertIsNone(early.hello(timeout=1))
        self.stack.cluster.start()
        self.service.wait_ready()
        self.p.peer.close()
        self.p = Publisher(self.stack, self.key)
        self.assert_verdict(self.p.publish(report()), "STORED")

    def test_unconfirmed_epoch_is_busy_not_lost(self):
        self.stack.sql("UPDATE feed.epoch SET timeline = 99")
        r = self.p.publish(report("epoch"))
        self.assert_verdict(r, "BUSY")
        wait_until(lambda: self.service.http("/readyz")[0] == 503, 5, "not ready")
        self.stack.sql("UPDATE feed.epoch SET timeline = 1")
        self.assert_verdict(self.p.publish(report("epoch")), "STORED")
        self.service.wait_ready()

    def test_two_intakes_share_one_truth(self):
        """Rivals publish the same revisions to two services at once: one incident a key, each event once."""
        from jukwaa_harness import Service, free_port
        ports = free_port(), free_port()
        env = {**self.service.env, "JUKWAA_LISTEN": f"tcp://127.0.0.1:{ports[0]}", "JUKWAA_HTTP_LISTEN": f"127.0.0.1:{ports[1]}",
               "JUKWAA_HINT_SOCKET": str(self.stack.run / "second.hint")}
        second = Service("intake", env, ports[1]).start()
        self.addCleanup(second.kill)
        rival = Peer(f"tcp://127.0.0.1:{ports[0]}", self.key, f"{self.stack.server_key}.pub")
        self.addCleanup(rival.close)
        self.assertIsNotNone(rival.hello())
        ours, theirs = {}, {}
        for n in range(200):
            for revision in (1, 2):
                m = report(f"rival-{n}", revision=revision)
                ours[self.p.send(m)] = (n, revision)
                theirs[1000 + n * 2 + revision] = (n, revision)
                rival.send("PUBLISH", pb.Publish(request=1000 + n * 2 + revision, format=1, payload=m.SerializeToString()))
        answers = collections.defaultdict(list)
        busy = 0
        for peer, names in ((self.p.peer, ours), (rival, theirs)):
            for _ in names:
                r = peer.expect("RECEIPT", timeout=30)
                busy += r.verdict == pb.VERDICT_BUSY
                if r.verdict != pb.VERDICT_BUSY:
                    answers[names[r.request]].append(r)
        for name, pair in answers.items():
            self.assertLessEqual({r.verdict for r in pair}, {pb.VERDICT_STORED, pb.VERDICT_DUPLICATE}, name)
            self.assertEqual(len({r.event_id for r in pair}), 1, name)
        if not busy:
            self.assertEqual(self.stack.sql("SELECT count(*), count(DISTINCT incident_id), max(seq) FROM feed.event"),
                             [(400, 200, 400)])
        self.assertEqual(self.stack.sql("SELECT count(*) FROM intake.incident WHERE current_revision <> 2"), [(0,)])

    def test_orderly_stop_answers_what_is_in_flight(self):
        requests = {self.p.send(report()) for _ in range(100)}
        self.p.peer.expect("RECEIPT")
        self.service.process.terminate()
        answered = 1
        while (got := self.p.peer.receive(timeout=1)) is not None:
            answered += got[0] == "RECEIPT"
        self.assertEqual(self.service.process.wait(10), 0)
        stored = self.stack.sql("SELECT count(*) FROM feed.event")[0][0]
        self.assertGreaterEqual(stored, answered - 1)
        self.assertLessEqual(answered, len(requests))

    def test_wrong_realm_does_not_start(self):
        self.service.stop()
        self.service.env["JUKWAA_REALM"] = "EXERCISE"
        self.service.start(ready=False)
        self.assertNotEqual(self.service.process.wait(20), 0)
        self.assertIn("realm", self.service.log().lower())


class StartTest(unittest.TestCase):
    """Settings that stop the start, each with a sentence that says what is wrong."""

    def start_with(self, stack, **env):
        service = stack.services["intake"]
        service.env = {**service.env, **env}
        service.start(ready=False)
        self.assertNotEqual(service.process.wait(20), 0)
        return service.log()

    def test_faulty_files(self):
        stack = Stack(services=())
        twice = write_boundaries("twice.json", [square("047", -1.5, 36.5), square("047", -1, 36.5)])
        foreign = write_boundaries("foreign.json", [square("099", -1.5, 36.5)])
        self.assertIn("047", self.start_with(stack, JUKWAA_COUNTY_BOUNDARIES=str(twice)))
        self.assertIn("099", self.start_with(stack, JUKWAA_COUNTY_BOUNDARIES=str(foreign)))
        missing = str(scratch() / "nowhere.json")
        self.assertIn("nowhere.json", self.start_with(stack, JUKWAA_COUNTY_BOUNDARIES=missing))
        self.assertIn("field=key-file", self.start_with(stack, JUKWAA_COUNTY_BOUNDARIES="", JUKWAA_KEY_FILE=missing))


if __name__ == "__main__":
    unittest.main(verbosity=2)
