"""What is withheld reaches nobody: a marker in every field of reports, one for each group, through the whole chain to desks under each
redacting profile. Every byte they get is kept (decrypted), with all logs, metrics and explanations, and searched."""
import base64
import json
import re
import secrets
import struct
import time
import types
import unittest
import uuid

from google.protobuf import json_format

import feed_events
import groups
from agreements import Party, agree
from dispatch_test import Desk
from hostile_content_test import field, with_unknown
from intake_test import Publisher
from jukwaa_harness import FRAME, Stack, need_data, protos, run_cli, wait_until
from notify_test import Receiver
from snapshot_test import Viewer

pb = protos()
COUNTY = "047"
FACTS = {"identity", "classification", "place", "handling"}
PROFILES = {
    "FULL@1": set(groups.NAMES) - {"reporter", "persons"},
    "NO_NARRATIVE@1": FACTS | {"times", "references", "registration", "position"},
    "NO_PERSONS@1": FACTS | {"times", "position"},
    "COARSE_PLACE@1": FACTS | {"times"},
    "STATISTICS_ONLY@1": FACTS,
}
REDACTING = [name for name in PROFILES if name != "FULL@1"]
# In the text of each group; "unknown" in fields that no version has.
TOKENS = {name: f"Mk{number:02}{secrets.token_hex(6)}" for number, name in
          enumerate(("narrative", "resources", "references", "reporter", "persons", "registration", "words", "unknown", "work"))}
# Numbers: places and times have no text.
LATITUDES, ONSET_US = (-1.2871239876, -1.2934561234, -1.3012349871), 1893456001234567
# CAP elements by the group that they end in.
ELEMENTS = {"headline": "narrative", "description": "narrative", "instruction": "narrative", "contact": "narrative",
            "audience": "narrative", "web": "narrative", "senderName": "words", "source": "words", "event": "words",
            "areaDesc": "words", "note": "words", "incidents": "words", "valueName": "words", "value": "words",
            "resourceDesc": "resources", "mimeType": "resources", "uri": "resources", "digest": "resources",
            "identifier": "registration", "sender": "registration"}


def forms(token):
    """The token as it may stand in bytes."""
    text = token.encode()
    out = {text, text.lower(), text.upper(), text[::-1], text.hex().encode(), text.hex().upper().encode(), token.encode("utf-16-le"),
           "".join(f"%{b:02X}" for b in text).encode(), "".join(f"%{b:02x}" for b in text).encode(),
           "".join(f"\\u{b:04x}" for b in text).encode()}
    for lead in range(3):
        whole = base64.b64encode(bytes(lead) + text).rstrip(b"=")
        out.add(whole[-(-lead * 8 // 6):-1])
    return out


def varint(number):
    out = b""
    while number > 0x7f:
        out, number = out + bytes([number & 0x7f | 0x80]), number >> 7
    return out + bytes([number])


def needles():
    """{group: what must not be found where the group is withheld}"""
    out = {name: forms(token) for name, token in TOKENS.items()}
    out["position"] = {form for number in LATITUDES for form in (struct.pack("<d", number), struct.pack(">d", number), str(number)[3:].encode())}
    out["times"] = {varint(ONSET_US), struct.pack("<q", ONSET_US), struct.pack(">q", ONSET_US), str(ONSET_US).encode(), b":01.234567"}
    return out


NEEDLES = needles()


def found(haystack, names):
    return {name for name in names if any(form in haystack for form in NEEDLES[name])}


class Recording:
    """A socket that keeps what it receives."""

    def __init__(self, inner, log):
        self.inner, self.log = inner, log

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def recv_multipart(self, *args, **kwargs):
        frames = self.inner.recv_multipart(*args, **kwargs)
        self.log.extend(frames)
        return frames


def fill(message, token):
    """Text in every string field, something in every other."""
    for one in message.DESCRIPTOR.fields:
        repeated = one.label == one.LABEL_REPEATED
        if one.message_type:
            child = getattr(message, one.name)
            fill(child.add() if repeated else child, token)
            continue
        text = token.encode() if one.type == one.TYPE_BYTES else token
        value = {one.CPPTYPE_STRING: text, one.CPPTYPE_ENUM: 1, one.CPPTYPE_DOUBLE: 1.5, one.CPPTYPE_BOOL: True}.get(one.cpp_type, 7)
        if repeated:
            getattr(message, one.name).append(value)
        else:
            setattr(message, one.name, value)


def full_report():
    """Something in every field, each group's text with its token. What the exchange looks up must be right: counties, constituency."""
    incident = pb.Incident()
    for name in ("narrative", "resources", "references", "reporter", "persons"):
        fill(getattr(incident, name), TOKENS[name])
    incident.references.incidents[:] = [TOKENS["words"]]
    for name, moved in groups.ELSEWHERE.items():
        message, filled = getattr(incident, name), type(getattr(incident, name))()
        fill(filled, TOKENS["words"])
        for one in moved[groups.WORDS]:
            part = groups._only(filled, {one})
            if name != "references":
                message.MergeFrom(part)
    incident.place.codes[0].scheme = pb.PLACE_SCHEME_NAME
    incident.place.codes.add(scheme=pb.PLACE_SCHEME_COUNTY, code=COUNTY)
    incident.place.codes.add(scheme=pb.PLACE_SCHEME_CONSTITUENCY, code="290")
    registration = TOKENS["registration"]
    incident.identity.sender = incident.identity.ob_number = registration
    incident.identity.external_id = f"{registration}-{uuid.uuid4().hex}"
    incident.identity.revision = 1
    incident.identity.status = pb.STATUS_ACTUAL
    incident.classification.categories.extend([pb.CATEGORY_FIRE, pb.CATEGORY_RESCUE])
    incident.classification.severity = pb.SEVERITY_SEVERE
    incident.classification.urgency = incident.classification.certainty = 1
    incident.classification.response_types.append(1)
    incident.times.sent_us = incident.times.effective_us = int(time.time() * 1e6)
    incident.times.onset_us, incident.times.expires_us = ONSET_US, ONSET_US + 3600 * 10**6
    point, ring, circle = (pb.Point(lat=lat, lon=36.8) for lat in LATITUDES)
    incident.place.point.CopyFrom(point)
    incident.place.accuracy_m = 30
    incident.place.polygons.add(points=[ring, pb.Point(lat=-1.29, lon=36.9), pb.Point(lat=-1.3, lon=36.9), ring])
    incident.place.circles.add(centre=circle, radius_km=1)
    incident.handling.scope, incident.handling.tlp = pb.SCOPE_PUBLIC, pb.TLP_GREEN
    return incident


def marked_alert(text):
    """A CAP alert with the token of its group in each element that holds text."""
    text = re.sub(r"<(\w+:)?Signature\b.*?</(\w+:)?Signature>", "", text, flags=re.S)
    for name, group in ELEMENTS.items():
        glue = " " if group in ("narrative", "words") and name != "web" else ""
        text = re.sub(rf"(<(?:\w+:)?{name}>)([^<]*?)\s*(</(?:\w+:)?{name}>)", rf"\g<1>\g<2>{glue}{TOKENS[group]}\g<3>", text)
    # Elements that the alert may lack, in the schema's order.
    prefix = re.search(r"<(\w+:)?scope>", text).group(1) or ""
    if f"<{prefix}note>" not in text and f"<{prefix}code>" not in text:
        text = re.sub(rf"((?:<{prefix}addresses>.*?</{prefix}addresses>|</{prefix}scope>)(?!\s*<{prefix}(?:restriction|addresses)))",
                      rf"\1<{prefix}code>{TOKENS['words']}</{prefix}code><{prefix}note>{TOKENS['words']}</{prefix}note>", text, count=1, flags=re.S)
    return re.sub(rf"(<{prefix}references>).*?(</{prefix}references>)",
                  rf"\1{TOKENS['references']},{TOKENS['references']}-1,2020-01-01T00:00:00-00:00\2", text, flags=re.S)


def sentinel():
    """Passes every filter, so that its coming means that all before it has come."""
    incident = pb.Incident()
    incident.identity.external_id, incident.identity.status = uuid.uuid4().hex, pb.STATUS_ACTUAL
    incident.classification.categories.extend(range(1, 13))
    incident.classification.severity = pb.SEVERITY_EXTREME
    incident.place.codes.add(scheme=pb.PLACE_SCHEME_COUNTY, code=COUNTY)
    incident.handling.scope, incident.handling.tlp = pb.SCOPE_PUBLIC, pb.TLP_GREEN
    return incident


class MarkerTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.receiver = Receiver()
        chatty = {name: {"JUKWAA_LOG_LEVEL": "debug"} for name in ("intake", "dispatch", "cases", "notify")}
        cls.stack = Stack(settings=chatty)
        cls.publisher_key = cls.stack.add_publisher("OWNER")
        owner = Party(cls.stack, "OWNER")
        secret = cls.stack.run / "hook.whsec"
        secret.write_text("whsec_" + base64.b64encode(secrets.token_bytes(32)).decode() + "\n")
        secret.chmod(0o600)
        cls.keys, cls.seen, cls.desk_codes = {}, {}, {}
        for profile in PROFILES:
            word = profile[:-2]
            agree(cls.stack, f"A-{word}", owner, Party(cls.stack, f"{word}-AGENCY"), profile)
            cls.desk_codes[profile] = f"{word}-DESK"
            cls.keys[profile] = cls.stack.add_desk(f"{word}-DESK", agency=f"{word}-AGENCY", allow=())
            cls.seen[profile] = []
            cls.stack.admin("notify", "rule", "add", word, "--desk", f"{word}-DESK", "--url",
                            f"http://127.0.0.1:{cls.receiver.port}/{profile}", "--secret-file", secret)
        cls.stack.wait_known(cls.publisher_key)
        for key in cls.keys.values():
            cls.stack.wait_known(key, "dispatch")
            cls.stack.wait_known(key, "cases")
        cls.live = {profile: cls.desk(profile) for profile in PROFILES}
        for desk in cls.live.values():
            desk.subscribe([COUNTY], pb.START_AT_NOW, work=True)
        cls.publish_all()
        cls.live_deliveries = {profile: cls.drain(desk) for profile, desk in cls.live.items()}

    @classmethod
    def desk(cls, profile, **hello):
        """A desk whose every received byte is kept."""
        desk = Desk(cls.stack, cls.keys[profile], hello=False)
        desk.peer.socket = Recording(desk.peer.socket, cls.seen[profile])
        desk.welcome = wait_until(lambda: desk.peer.hello(timeout=1, **hello), 10, "welcome")
        return desk

    @classmethod
    def publish_all(cls):
        publisher = Publisher(cls.stack, cls.publisher_key)
        cls.receipts = []

        def stored(payload, form=pb.FORMAT_PROTOBUF, **fields):
            receipt = publisher.publish(payload, form, **fields)
            if receipt.verdict == pb.VERDICT_STORED:
                cls.receipts.append(receipt)
            return receipt
        wrapped = pb.Publish(session=publisher.peer.session, request=900, format=pb.FORMAT_PROTOBUF,
                             payload=with_unknown(full_report(), TOKENS["unknown"].encode()))
        publisher.peer.send_raw(*cls.framed("PUBLISH", wrapped.SerializeToString() + field(1999, TOKENS["unknown"].encode())))
        receipt = publisher.peer.expect("RECEIPT", timeout=15)
        assert receipt.verdict == pb.VERDICT_STORED, receipt
        cls.receipts.append(receipt)
        receipt = stored(cls.as_json(full_report()), pb.FORMAT_JSON)
        assert receipt.verdict == pb.VERDICT_STORED, receipt
        refused = stored(cls.as_json(full_report())[:-1] + b',"' + TOKENS["unknown"].encode() + b'":1}', pb.FORMAT_JSON)
        assert refused.verdict == pb.VERDICT_REJECTED, refused
        # The exchange takes no place that it does not know: free text cannot come in as a constituency.
        bad = full_report()
        bad.place.constituency = TOKENS["words"]
        assert stored(bad).code == pb.CODE_UNKNOWN_COUNTY
        bad = full_report()
        fill(bad.identity.origin, TOKENS["words"])
        assert stored(bad).field == "identity.origin", "only intake may fill it"
        for path in sorted(need_data("cap").joinpath("valid").glob("*.xml")):
            stored(marked_alert(path.read_text("utf-8-sig")).encode(), pb.FORMAT_CAP, county=COUNTY)
        cls.alerts = len(cls.receipts) - 2
        cls.append_foreign()
        cls.append_work()
        receipt = stored(sentinel())
        assert receipt.verdict == pb.VERDICT_STORED, receipt
        cls.last = receipt.event_id, receipt.incident_id
        publisher.peer.close()

    @classmethod
    def append_foreign(cls):
        """A body of version 0.1.0, and one with unknown fields beside and inside its groups."""
        old = full_report()
        old.identity.agency = "OWNER"
        old.place.counties.append(COUNTY)
        unknown = field(1999, TOKENS["unknown"].encode())
        body, commit = groups.seal(old)
        first = body[2:2 + body[1]]
        assert body[0] == 0x0a and body[1] < 128
        odd = b"\x0a" + varint(len(first) + len(unknown)) + first + unknown + body[2 + body[1]:] + unknown
        cls.old_ids = []
        for packed, root in (groups.seal(old, old=True), (odd, commit)):
            event_id = uuid.uuid4()
            cls.old_ids.append(event_id.bytes)
            cls.stack.sql("SELECT * FROM feed.append(ARRAY[%s], ARRAY[%s]::uuid[], ARRAY[1]::int2[], ARRAY[%s]::uuid[], ARRAY[1]::int8[],"
                          " ARRAY[2]::int2[], ARRAY[6]::int2[], ARRAY[%s]::bytea[], ARRAY[%s]::bytea[])",
                          COUNTY, str(event_id), str(uuid.uuid4()), root, packed)

    @classmethod
    def append_work(cls):
        """What was done about the first report, and about the body of version 0.1.0 (which takes no WORK) nothing."""
        event_id = cls.receipts[0].event_id
        body, incident, revision, tlp, category = cls.stack.sql(
            "SELECT body, incident_id, revision, tlp, category FROM feed.event WHERE event_id = %s AND stream = %s", str(uuid.UUID(bytes=event_id)), COUNTY)[0]
        of = types.SimpleNamespace(body=bytes(body), incident=uuid.UUID(str(incident)), revision=revision, tlp=tlp, category=category, counties=(COUNTY,))
        cls.work_ids = []
        for kind, name in ((feed_events.CASE_STATE, "case_step"), (feed_events.DUTY, "duty_step"), (feed_events.UNIT, "unit_step"),
                           (feed_events.AID, "aid_step")):
            work = pb.Work(at_us=int(time.time() * 1e6), agency=TOKENS["work"], desk=TOKENS["work"])
            fill(getattr(work, name), TOKENS["work"])
            if name == "case_step":
                work.case_step.to = pb.CASE_STATE_TRIAGED
            done = feed_events.WorkEvent(of, kind, work)
            feed_events.append(cls.stack, done)
            cls.work_ids.append(done.event_id.bytes)

    @staticmethod
    def framed(kind, body):
        return FRAME.pack(b"JK", 1, 0, pb.Kind.Value(f"KIND_{kind}"), 0), body

    @staticmethod
    def as_json(incident):
        report = json_format.MessageToDict(incident, preserving_proto_field_name=True)
        for name in report["times"]:  # a number is one of microseconds; text would be RFC 3339
            report["times"][name] = int(report["times"][name])
        for reference in report["references"]["references"]:
            reference["sent_us"] = int(reference["sent_us"])
        return json.dumps(report).encode()

    @classmethod
    def drain(cls, desk):
        """Deliveries up to the last event."""
        out = []
        while not out or out[-1].event_id != cls.last[0]:
            out += desk.take(1)
        return out

    def assert_clean(self, profile, haystack, what):
        withheld = set(NEEDLES) - PROFILES[profile]
        self.assertEqual(found(haystack, withheld), set(), f"{what} of a desk under {profile}")

    # ---- what desks get ----

    def test_1_live_replay_cursor_token_and_batches(self):
        for profile in PROFILES:
            with self.subTest(profile):
                expected = [m.event_id for m in self.live_deliveries[profile]]
                self.assertEqual(expected, [m.event_id for m in self.live_deliveries["FULL@1"]], "all of them, none a secret")
                self.assertGreater(len(expected), 40)
                replay = self.desk(profile)
                replay.subscribe([COUNTY], work=True)
                self.assertEqual([m.event_id for m in self.drain(replay)], expected)
                self.assertEqual([e for e in expected if e in self.work_ids], self.work_ids, "what was done comes to all")
                half = self.desk(profile)
                half.subscribe([COUNTY], pb.START_AT_CURSOR, cursor="half", work=True)
                half.take(len(expected) // 2)
                again = self.desk(profile)
                again.subscribe([COUNTY], pb.START_AT_CURSOR, cursor="half", work=True)
                tokens = self.desk(profile)
                tokens.resume(half.positions, [COUNTY], work=True)
                for desk in (again, tokens):
                    rest = [m.event_id for m in self.drain(desk)]
                    self.assertEqual(rest, expected[-len(rest):])
                batches = self.desk(profile)
                batches.subscribe_raw([COUNTY], batch_max_bytes=32768, work=True)
                last = b""
                while last != self.last[0]:
                    kind, message = batches.peer.receive(10)
                    if kind in ("DELIVER", "DELIVER_BATCH"):
                        some = message.deliveries if kind == "DELIVER_BATCH" else [message]
                        last = some[-1].event_id
                        batches.peer.send("ACK", pb.Ack(delivery_no=some[-1].delivery_no))
                for desk in (replay, half, again, tokens, batches):
                    desk.close()
                self.assert_clean(profile, b"\0".join(self.seen[profile]), "the bytes")

    def test_2_a_copy_shows_its_profile_and_says_so(self):
        for profile, shown in PROFILES.items():
            for message in self.live_deliveries[profile]:
                names = {groups.NAMES[g.tag - 1] for g in message.event.groups if not g.digest}
                expected = shown if len(message.event.groups) == 13 or profile == "FULL@1" else shown & {"times"}
                if len(message.event.groups) == 14:
                    expected = shown
                self.assertEqual(names, expected & set(groups.NAMES[:len(message.event.groups)]), profile)
                self.assertEqual((message.profile, message.agreement), (profile, f"A-{profile[:-2]}"))

    def test_3_the_markers_are_there_to_be_found(self):
        """Each profile's desk does find the markers of what it is shown: the search would find the others too."""
        for profile, shown in PROFILES.items():
            haystack = b"\0".join(self.seen[profile])
            self.assertEqual(found(haystack, NEEDLES), shown & set(NEEDLES), profile)
        full = self.live_deliveries["FULL@1"]
        self.assertGreater(self.alerts, 30)
        with_words = sum(found(m.SerializeToString(), {"words"}) != set() for m in full)
        self.assertGreater(with_words, 40, "in the real alerts too")
        kept, = self.stack.sql("SELECT count(*) FROM intake.report WHERE position(%s::bytea IN bytes) > 0", TOKENS["unknown"].encode())[0]
        self.assertEqual(kept, 1, "the unknown fields did arrive")

    def test_2_snapshots_and_backfills(self):
        """What is open, first; and all that one agreement gives: the same copies, and of what was done as little."""
        wait_until(lambda: self.stack.sql("SELECT f.seq = h.last_seq FROM dispatch.follow f JOIN feed.head h USING (stream) WHERE stream = %s",
                                          COUNTY)[0][0], 10, "followed")
        for profile, shown in PROFILES.items():
            kept, told = [], {}
            for fields in ({}, {"batch_max_bytes": 32768}, {"include_closed": True, "include_test": True}):
                desk = Viewer(self.stack, self.keys[profile], hello=False)
                desk.peer.socket = Recording(desk.peer.socket, kept)
                desk.welcome = wait_until(lambda desk=desk: desk.peer.hello(timeout=1), 10, "welcome")
                items, end = desk.snapshot([COUNTY], **fields)
                desk.close()
                self.assertGreater(len(items), 5)
                for message in items:
                    names = {groups.NAMES[g.tag - 1] for g in message.event.groups if not g.digest}
                    self.assertLessEqual(names, shown)
                    self.assertEqual(message.case_state != 0, profile == "FULL@1", "only FULL says what the case has come to")
                told.update((m.incident_id, m) for m in items)
            self.assertIn(self.last[1], told)
            filler = Desk(self.stack, self.keys[profile], hello=False)
            filler.peer.socket = Recording(filler.peer.socket, kept)
            filler.welcome = wait_until(lambda: filler.peer.hello(timeout=1), 10, "welcome")
            filler.subscribe([COUNTY], only_agreement=f"A-{profile[:-2]}", work=True)
            self.assertEqual([m.event_id for m in self.drain(filler)], [m.event_id for m in self.live_deliveries[profile]])
            self.assertEqual(filler.peer.expect("SNAPSHOT_END").count, len(self.live_deliveries[profile]))
            filler.close()
            self.assert_clean(profile, b"\0".join(kept), "the snapshots and backfill")
            if profile == "FULL@1":
                self.assertEqual(found(b"\0".join(kept), NEEDLES), shown & set(NEEDLES))

    # ---- other ways ----

    def test_4_cases(self):
        for profile in PROFILES:
            kept = []
            cases = self.stack.peer("cases", self.keys[profile])
            cases.socket = Recording(cases.socket, kept)
            self.assertIsNotNone(cases.hello())

            def ask(kind, message):
                cases.send(kind, message)
                return cases.receive(10)
            wait_until(lambda: ask("CASE_SHOW", pb.CaseShow(request=1, case_id=self.last[1], purpose=1))[0] == "CASE_SHOWN", 20, "the last case")
            shown = 0
            for receipt in self.receipts:
                shown += ask("CASE_SHOW", pb.CaseShow(request=2, case_id=receipt.incident_id, purpose=1))[0] == "CASE_SHOWN"
            self.assertGreater(shown, 40)
            listed, after = 0, b""
            while True:
                kind, page = ask("CASE_LIST", pb.CaseList(request=3, counties=[COUNTY], include_test=True, limit=20, after=after, purpose=1))
                self.assertEqual(kind, "CASE_LISTED")
                listed, after = listed + len(page.cases), page.page
                if not after:
                    break
            self.assertGreater(listed, 40)
            cases.close()
            self.assert_clean(profile, b"\0".join(kept), "the cases")
            if profile == "FULL@1":
                self.assertEqual(found(b"\0".join(kept), NEEDLES) - {"work"}, PROFILES[profile] & set(NEEDLES) - {"work"})

    def test_5_webhooks(self):
        incident = str(uuid.UUID(bytes=self.last[1])).encode()
        for profile in PROFILES:
            wait_until(lambda: any(incident in body for _, body, _ in self.receiver.got(f"/{profile}")), 60, f"{profile} is told")
            told = self.receiver.got(f"/{profile}")
            # Of the real alerts most have expired, and nobody is told of those.
            self.assertGreater(len(told), 5)
            haystack = b"\0".join(repr(headers).encode() + body for headers, body, _ in told)
            self.assertEqual(found(haystack, NEEDLES), set(), "a webhook tells facts alone")

    def test_6_the_command_line(self):
        for profile in PROFILES:
            count = len(self.live_deliveries[profile])
            lines, status = self.stack.cli_json(self.keys[profile], "watch", "--county", COUNTY, "--from", "beginning", "--count", count,
                                                "--timeout", 30)
            self.assertEqual((status, len(lines)), (0, count))
            self.assertTrue(all(line["copy_verified"] and line["profile"] == profile for line in lines))
            human = self.stack.cli(self.keys[profile], "watch", "--county", COUNTY, "--from", "beginning", "--count", count, "--timeout", 30)
            incident = str(uuid.UUID(bytes=self.receipts[0].incident_id))
            case = self.stack.cli(self.keys[profile], "case", "show", incident, "--purpose", "RESPONSE")
            listed = self.stack.cli(self.keys[profile], "case", "list", "--purpose", "RESPONSE")
            haystack = repr(lines) + "".join(done.stdout + done.stderr for done in (human, case, listed))
            self.assert_clean(profile, haystack.encode(), "the command line")
            if profile == "FULL@1":
                self.assertGreaterEqual(found(haystack.encode(), NEEDLES), {"narrative", "words", "registration", "times"})

    def test_7_explanations(self):
        for profile in REDACTING:
            for options in ((), ("--json",)):
                for receipt in (self.receipts[0], self.receipts[5]):
                    done = run_cli(*options, "explain", str(uuid.UUID(bytes=receipt.incident_id)), "--desk", self.desk_codes[profile],
                                   env={**self.stack.admin_env, **self.stack.env(self.keys[profile])}, check=False)
                    self.assertEqual(done.returncode, 0, done.stderr)
                    self.assertEqual(found((done.stdout + done.stderr).encode(), NEEDLES), set())

    # ---- filters that probe ----

    def probes(self):
        yield from ({"categories": [number]} for number in range(1, 13))
        yield from ({"minimum_severity": number, "include_test": True} for number in range(1, 5))
        yield {"categories": [pb.CATEGORY_FIRE], "minimum_severity": 3}
        yield {"categories": [pb.CATEGORY_MET, pb.CATEGORY_GEO], "minimum_severity": 2, "include_test": True}

    def test_8_filters_look_at_what_is_shown(self):
        """What comes through a filter follows from what the same desk is shown of each event, and from nothing else."""
        for profile in REDACTING:
            everything = self.desk(profile)
            everything.subscribe([COUNTY], include_test=True)
            facts = []
            for message in self.drain(everything):
                shown = groups.merge(message.event.groups)
                categories = set(shown.classification.categories) or {message.category}
                facts.append((message.event_id, categories, shown.classification.severity, shown.identity.status))
            everything.close()
            for probe in self.probes():
                expected = [event_id for event_id, categories, severity, status in facts
                            if (not probe.get("categories") or categories & set(probe["categories"]))
                            and (not probe.get("minimum_severity") or 0 < severity <= probe["minimum_severity"])
                            and (probe.get("include_test") or status in (0, pb.STATUS_ACTUAL))]
                desk = self.desk(profile)
                desk.subscribe([COUNTY], **probe)
                self.assertEqual([m.event_id for m in self.drain(desk)], expected, (profile, probe))
                desk.close()
            self.assert_clean(profile, b"\0".join(self.seen[profile]), "the bytes")

    # ---- last, so that all of the above is in them ----

    def test_9_logs_and_metrics(self):
        for name, service in self.stack.services.items():
            self.assertIsNone(service.process.poll(), f"{name} has ended")
            self.assertGreater(len(service.log()), 100)
            for what in (service.log(), *(service.http(path)[1] for path in ("/metrics", "/readyz", "/healthz"))):
                for line in what.splitlines():
                    self.assertEqual(found(line.encode(), set(NEEDLES) - {"times"}), set(), (name, line))


if __name__ == "__main__":
    unittest.main(verbosity=2)
