"""A member that means harm: it has a good key, speaks the protocol well, and asks for what is not its own. It is refused (or gets
what anybody would), the refusal stands in the log with its key's fingerprint, nothing is disclosed, nothing of others is changed,
and what it may not see answers byte for byte like what is not there, in the same time."""
import hashlib
import pathlib
import statistics
import time
import unittest
import uuid

import feed_events as feed
from feed_events import Event
from hostile_test import GROWTH_MIB
from intake_test import Publisher, report
from jukwaa_harness import Stack, protos, read_key, wait_until

pb = protos()
COUNTY, OTHER_COUNTY = "047", "031"
SECRET = "only for the eyes of KRCS"


def setUpModule():
    global stack, kps, krcs, mallory, mallory_publisher, victim
    stack = Stack(services=("intake", "dispatch", "cases"))
    kps, krcs = stack.add_publisher("KPS"), stack.add_publisher("KRCS")
    victim = stack.add_desk("VICTIM", agency="KRCS")
    # May have what KPS publishes in one county, nothing of KRCS.
    mallory = stack.add_desk("MALLORY", agency="HOSTILE", allow=(("--agency", "KPS", "--county", COUNTY),))
    mallory_publisher = stack.add_publisher("HOSTILE-TOO")  # another agency: what it publishes is not the desk's own
    for key in (kps, krcs, mallory_publisher):
        stack.wait_known(key)
    for name in ("dispatch", "cases"):
        stack.wait_known(mallory, name)
    with_secret = report("secret-1", county=COUNTY)
    with_secret.narrative.texts[0].headline = SECRET
    global secret
    publisher = Publisher(stack, krcs)
    secret = publisher.publish(with_secret)
    publisher.peer.close()
    assert secret.verdict == pb.VERDICT_STORED, secret
    wait_until(lambda: stack.sql('SELECT 1 FROM cases."case" WHERE case_id = %s', str(uuid.UUID(bytes=secret.incident_id))), 10, "the case")


def fingerprint(key):
    return hashlib.sha256(read_key(f"{key}.pub")["curve-public"]).hexdigest()[:16]


def without_request(message):
    copy = type(message)()
    copy.CopyFrom(message)
    copy.request = 0
    if "session" in copy.DESCRIPTOR.fields_by_name:
        copy.session = 0
    return copy.SerializeToString()


class MemberTest(unittest.TestCase):
    def setUp(self):
        self.requests, self.heard = 0, b""
        self.log_from = {name: len(stack.services[name].log()) for name in ("intake", "dispatch", "cases")}

    def tearDown(self):
        """Whatever was tried: nobody fell, and nothing of the secret was told."""
        for name in ("intake", "dispatch", "cases"):
            self.assertIsNone(stack.services[name].process.poll(), stack.services[name].log()[-3000:])
            self.assertNotIn(SECRET, stack.services[name].log())
        self.assertNotIn(SECRET.encode(), self.heard)
        self.assertNotIn(b"secret-1", self.heard)
        self.assertNotIn(secret.commitment, self.heard)

    def peer(self, service, key=None):
        peer = stack.peer(service, key or mallory)
        self.addCleanup(peer.close)
        self.assertIsNotNone(peer.hello())
        return peer

    def publisher(self, key):
        publisher = Publisher(stack, key)
        self.addCleanup(publisher.peer.close)
        return publisher

    def ask(self, peer, kind, message, *answers):
        self.requests += 1
        message.request = self.requests
        peer.send(kind, message)
        while True:
            got = peer.expect(*answers, "REFUSED", "DELIVER", timeout=10)
            self.heard += got.SerializeToString()
            if not isinstance(got, pb.Deliver):
                # What cannot be read is answered without the number that stands in it.
                self.assertIn(got.request, (self.requests, 0) if isinstance(got, pb.Refused) else (self.requests,))
                return got

    def subscribe(self, peer=None, start=pb.START_AT_BEGINNING, **fields):
        return self.ask(peer or self.peer("dispatch"), "SUBSCRIBE", pb.Subscribe(start_at=start, **fields), "SUBSCRIBED")

    def refused(self, answer, code):
        self.assertIsInstance(answer, pb.Refused)
        self.assertEqual(pb.Code.Name(answer.code), f"CODE_{code}", answer.reason)
        return answer

    def logged(self, service, again, *parts, key=None):
        """A warning since the test began that names the key. again: does it once more, for a key has a line a second for each code."""
        parts = ("level=warn", f"key={fingerprint(key or mallory)}", *parts)

        def is_told():
            lines = stack.services[service].log()[self.log_from[service]:].splitlines()
            return any(all(part in line for part in parts) for line in lines) or again()
        wait_until(lambda: is_told() is True, 5, f"{service}: {parts}")

    def quiet(self, peer, seconds=0.5, streams=()):
        """Nothing but beats, or deliveries of these streams."""
        end = time.monotonic() + seconds
        while (got := peer.receive(end - time.monotonic())) is not None:
            self.heard += got[1].SerializeToString()
            self.assertTrue(got[0] in ("BEAT", "PONG") or got[0] == "DELIVER" and got[1].stream in streams, got)

    def assert_same_time(self, one, other, times=40):
        """Both take alike: by turns, so that the machine's moods hit both; the medians differ by less than half. What makes one of
        them slower does so each time: a busy machine is asked again."""
        for _ in range(3):
            samples = ([], [])
            for _ in range(times):
                for ask, into in zip((one, other), samples):
                    began = time.perf_counter()
                    ask()
                    into.append(time.perf_counter() - began)
            a, b = (statistics.median(s) for s in samples)
            print(f"    {self.id().rsplit('.', 1)[1]}: {a * 1000:.2f} ms and {b * 1000:.2f} ms", flush=True)
            if max(a, b) / min(a, b) < 1.5:
                return
        self.fail("the one took longer than the other each time")


class PositionTest(MemberTest):
    def test_every_bent_bit_of_a_position(self):
        peer = self.peer("dispatch")
        seal = self.subscribe(peer, counties=[COUNTY]).positions[0].seal
        words = set()
        for bit in range(8 * len(seal)):
            bent = bytearray(seal)
            bent[bit // 8] ^= 1 << bit % 8
            answer = self.subscribe(peer, pb.START_AT_TOKEN, counties=[COUNTY],
                                    positions=[pb.SealedPosition(stream=COUNTY, seal=bytes(bent))])
            words.add(without_request(self.refused(answer, "NOT_PERMITTED")))
        self.assertEqual(len(words), 1, "which bit it was is told")
        bent = [pb.SealedPosition(stream=COUNTY, seal=bytes(32))]
        self.logged("dispatch", lambda: self.subscribe(peer, pb.START_AT_TOKEN, counties=[COUNTY], positions=bent), "event=refused",
                    "code=NOT_PERMITTED", "field=positions")
        good = self.subscribe(peer, pb.START_AT_TOKEN, counties=[COUNTY], positions=[pb.SealedPosition(stream=COUNTY, seal=seal)])
        self.assertIsInstance(good, pb.Subscribed)

    def test_anothers_position_is_like_one_that_nobody_made(self):
        theirs = self.subscribe(self.peer("dispatch", victim), counties=[COUNTY]).positions[0].seal
        self.heard = b""  # so far the victim's own
        peer = self.peer("dispatch")
        mine = self.subscribe(peer, counties=[COUNTY]).positions[0].seal
        other = self.subscribe(peer, counties=[OTHER_COUNTY]).positions[0].seal
        filtered = self.subscribe(peer, counties=[COUNTY], categories=[pb.CATEGORY_FIRE]).positions[0].seal
        answers = set()
        for seal in (theirs, bytes(32), other, filtered, mine[:16] + theirs[16:], mine[:16] + other[16:], mine[:16] + filtered[16:]):
            answer = self.subscribe(peer, pb.START_AT_TOKEN, counties=[COUNTY], positions=[pb.SealedPosition(stream=COUNTY, seal=seal)])
            answers.add(without_request(self.refused(answer, "NOT_PERMITTED")))
        self.assertEqual(len(answers), 1)

    def test_anothers_cursor_is_like_one_that_is_not_there(self):
        theirs = self.peer("dispatch", victim)
        self.subscribe(theirs, pb.START_AT_CURSOR, counties=[COUNTY], cursor="night-shift")
        for _ in range(3):
            self.publisher(krcs).publish(report(county=COUNTY))
        last = None
        for _ in range(3):
            last = theirs.expect("DELIVER", timeout=10)
        theirs.send("ACK", pb.Ack(delivery_no=last.delivery_no))
        kept = lambda: stack.sql("SELECT seq FROM dispatch.cursor c JOIN registry.desk d ON c.holder = 'D' || d.desk_id"
                                 " WHERE d.code = 'VICTIM' AND c.name = 'night-shift'")
        wait_until(lambda: kept() == [(last.seq,)], 5, "the victim's cursor is saved")
        answers = []
        for name in ("night-shift", "never-heard-of"):
            answers.append(without_request(self.subscribe(self.peer("dispatch"), pb.START_AT_CURSOR, counties=[COUNTY], cursor=name)))
        self.assertEqual(answers[0], answers[1])
        self.assertEqual(kept(), [(last.seq,)])
        theirs.send("PING", pb.Ping())
        while (got := theirs.receive(5)) and got[0] != "PONG":
            self.assertIn(got[0], ("DELIVER", "BEAT"), "the victim's session goes on")
        self.assertIsNotNone(got)

    def test_mailboxes_of_others(self):
        """There is no way to name one; and one that exists is refused in the words for one that does not."""
        peer = self.peer("dispatch")
        answers = {}
        for name in ("@KRCS", "@KRCZ", "@krcs", "@", "D1", "A1"):
            answers[name] = self.refused(self.subscribe(peer, counties=[name]), "UNKNOWN_COUNTY")
        told = {name: without_request(answer).replace(name.encode(), b"?") for name, answer in answers.items()}
        self.assertEqual(told["@KRCS"], told["@KRCZ"])
        self.logged("dispatch", lambda: self.subscribe(peer, counties=["@KRCS"]), "event=refused", "code=UNKNOWN_COUNTY")
        for name in ("@KRCS", "@KRCZ"):
            seal = [pb.SealedPosition(stream=name, seal=bytes(32))]
            self.assertIsInstance(self.subscribe(peer, pb.START_AT_TOKEN, counties=[COUNTY], positions=seal), pb.Refused)
        box = self.peer("dispatch", mallory_publisher)
        self.assertEqual([p.stream for p in self.subscribe(box, mailbox=True).positions], ["@HOSTILE-TOO"])
        self.quiet(box, streams=("@HOSTILE-TOO",))  # its own receipts

    def test_sessions_of_others(self):
        theirs = self.peer("dispatch", victim)
        answers = []
        for number in (theirs.session, theirs.session ^ 1):
            peer = self.peer("dispatch")
            for kind, message in (("PING", pb.Ping(session=number)), ("ACK", pb.Ack(session=number, delivery_no=1)),
                                  ("SUBSCRIBE", pb.Subscribe(session=number, request=1, counties=[COUNTY], start_at=1))):
                peer.send(kind, message)
                bad = peer.expect("BAD_SESSION")
                self.assertEqual(bad.session, number)
                bad.session = 0
                answers.append(bad.SerializeToString())
        self.assertEqual(len(set(answers)), 1)
        self.logged("dispatch", lambda: peer.send("PING", pb.Ping(session=theirs.session)), "event=foreign_session")
        theirs.send("PING", pb.Ping())
        theirs.expect("PONG")


class ProbeTest(MemberTest):
    def test_filters_that_probe(self):
        """Whatever the filter: of an incident that the desk may not have there is no copy, and no position that tells of it."""
        for fields in ({}, {"categories": [pb.CATEGORY_FIRE]}, {"minimum_severity": 1}, {"minimum_severity": 4}, {"include_test": True},
                       {"categories": list(range(1, 13)), "include_test": True}):
            with self.subTest(fields):
                peer = self.peer("dispatch")
                self.assertIsInstance(self.subscribe(peer, counties=[COUNTY], **fields), pb.Subscribed)
                self.quiet(peer)
        for fields, code in (({"categories": [99]}, "INVALID_SCHEMA"), ({"minimum_severity": 99}, "INVALID_SCHEMA")):
            answer = self.subscribe(counties=[COUNTY], **fields)
            self.refused(answer, code)

    def test_ids_of_cases_and_events(self):
        peer = self.peer("cases")
        show = lambda case_id: self.ask(peer, "CASE_SHOW", pb.CaseShow(case_id=case_id, purpose=pb.CASE_PURPOSE_AUDIT), "CASE_SHOWN")
        ids = {"an incident of others": secret.incident_id, "its event": secret.event_id, "nothing": feed.new_id().bytes,
               "zeros": bytes(16), "ones": b"\xff" * 16, "the id of before": (int.from_bytes(secret.incident_id, "big") - 1).to_bytes(16, "big")}
        answers = {what: without_request(self.refused(show(case_id), "NOT_FOUND")) for what, case_id in ids.items()}
        self.assertEqual(len(set(answers.values())), 1, answers)
        self.logged("cases", lambda: show(secret.incident_id), "event=refused", "code=NOT_FOUND", "field=case_id")
        self.assert_same_time(lambda: show(secret.incident_id), lambda: show(feed.new_id().bytes))
        listed = self.ask(peer, "CASE_LIST", pb.CaseList(counties=[COUNTY], limit=500, purpose=pb.CASE_PURPOSE_AUDIT), "CASE_LISTED")
        self.assertNotIn(secret.incident_id, [case.case_id for case in listed.cases])

    def test_anothers_report_is_like_one_that_is_not_there(self):
        """A publisher repeats, revises and cancels what another has published: to intake these are reports of its own."""
        publisher = self.publisher(mallory_publisher)
        for number, (external_id, revision) in enumerate((("secret-1", 1), ("secret-1", 2), ("never-seen", 1), ("never-seen", 2))):
            receipt = publisher.publish(report(external_id, revision))
            self.assertEqual((receipt.verdict, receipt.code), (pb.VERDICT_STORED, pb.CODE_UNSPECIFIED), number)
            self.assertNotEqual(receipt.incident_id, secret.incident_id)
        mine, theirs = (stack.sql("SELECT count(DISTINCT incident_id) FROM intake.report WHERE external_id = 'secret-1' AND agency_id ="
                                  " (SELECT agency_id FROM registry.agency WHERE code = %s)", code)[0][0] for code in ("HOSTILE-TOO", "KRCS"))
        self.assertEqual((mine, theirs), (1, 1))
        self.assertEqual(stack.sql("SELECT current_revision FROM intake.incident WHERE incident_id = %s",
                                   str(uuid.UUID(bytes=secret.incident_id))), [(1,)])
        for agency in ("KRCS", "NOBODY"):
            refused = publisher.publish(report(agency=agency))
            self.assertEqual((refused.verdict, pb.Code.Name(refused.code)), (pb.VERDICT_REJECTED, "CODE_SENDER_MISMATCH"))
        self.logged("intake", lambda: publisher.publish(report(agency="KRCS")), "event=report_refused", "code=SENDER_MISMATCH",
                    key=mallory_publisher)


class LabelTest(MemberTest):
    LABELS = (("handling", "tlp"), ("handling", "scope"), ("identity", "status"), ("identity", "msg_type"), ("classification", "severity"),
              ("classification", "urgency"), ("classification", "certainty"))

    def test_labels_that_do_not_exist(self):
        publisher = self.publisher(mallory_publisher)
        for group, name in self.LABELS:
            for number in (6, 99, 2**31 - 1, -1):
                incident = report()
                message = getattr(incident, group)
                try:
                    setattr(message, name, number)
                except ValueError:
                    continue
                if number == 6 and number in getattr(message.DESCRIPTOR.fields_by_name[name].enum_type, "values_by_number"):
                    continue
                receipt = publisher.publish(incident)
                self.assertEqual(receipt.verdict, pb.VERDICT_REJECTED, (group, name, number))
                self.assertIn(name, receipt.field)
        for number in (0, 13, 99):
            incident = report()
            incident.classification.categories[:] = [number]
            self.assertEqual(publisher.publish(incident).verdict, pb.VERDICT_REJECTED, number)
        for text in ('"handling":{"tlp":"PURPLE"}', '"handling":{"tlp":99}', '"handling":{"tlp":"5 "}', '"handling":{"scope":"ALL"}',
                     '"classification":{"categories":["EVERYTHING"]}', '"handling":{"tlp":null,"scope":["PUBLIC"]}'):
            body = '{"identity":{"external_id":"x","status":"ACTUAL"},"place":{"codes":[{"scheme":"COUNTY","code":"047"}]},' + text + "}"
            receipt = publisher.publish(body.encode(), pb.FORMAT_JSON)
            self.assertEqual(receipt.verdict, pb.VERDICT_REJECTED, text)
        self.logged("intake", lambda: publisher.publish(b"{", pb.FORMAT_JSON), "event=report_refused", key=mallory_publisher)

    def test_labels_that_should_never_have_got_in(self):
        """Were one to stand in the feed all the same, whoever put it there: nobody but its owner gets it."""
        county = "029"
        stack.admin("allow", "add", "--desk", "MALLORY", "--county", county, "--tlp-ceiling", "AMBER_STRICT")
        stack.wait_known(mallory, "dispatch")
        events = [Event(counties=(county,), tlp=99), Event(counties=(county,), tlp=0), Event(counties=(county,), scope=99),
                  Event(counties=(county,), scope=0), Event(counties=(county,), category=15), Event(counties=(county,), agency="NOBODY"),
                  Event(counties=(county,), status=99), Event(counties=(county,), tlp=2)]
        feed.append(stack, *events)
        peer, cases = self.peer("dispatch"), self.peer("cases")
        self.subscribe(peer, counties=[county])
        self.assertEqual(peer.expect("DELIVER").event_id, events[-1].event_id.bytes)
        self.quiet(peer)
        wait_until(lambda: stack.sql('SELECT 1 FROM cases."case" WHERE case_id = %s', str(events[-1].incident)), 10, "the last case")
        for number, event in enumerate(events[:-2]):  # a case of no known status is one still
            with self.subTest(number):
                self.refused(self.ask(cases, "CASE_SHOW", pb.CaseShow(case_id=event.incident.bytes, purpose=pb.CASE_PURPOSE_AUDIT), "CASE_SHOWN"), "NOT_FOUND")


class ClockTest(MemberTest):
    def test_a_senders_clock_moves_nothing_of_others(self):
        """Times in a report are what its sender says; what orders and ends things is the exchange's clock."""
        publisher = self.publisher(mallory_publisher)
        began = time.time()
        for sent_us in (1, int(began * 1e6) + 10 * 365 * 86400 * 10**6, 253402300799 * 10**6, -62135596800 * 10**6, 2**63 - 1, -2**63):
            incident = report()
            incident.times.sent_us = sent_us
            receipt = publisher.publish(incident)
            self.assertIn(receipt.verdict, (pb.VERDICT_STORED, pb.VERDICT_REJECTED), sent_us)
            if receipt.verdict == pb.VERDICT_REJECTED:
                self.assertEqual(receipt.field, "times.sent_us")
        rows = stack.sql("SELECT min(extract(epoch FROM recorded_at)), max(extract(epoch FROM recorded_at)) FROM feed.event"
                         " WHERE recorded_at > to_timestamp(%s)", began - 1)[0]
        self.assertGreater(float(rows[0]), began - 2)
        self.assertLess(float(rows[1]), time.time() + 1)
        self.assertEqual(self.publisher(krcs).publish(report()).verdict, pb.VERDICT_STORED)


class OrphanTest(MemberTest):
    ORPHANS, TIMES = 500, 256

    def update(self, external_id, *refers_to):
        incident = report(external_id, county="033", msg_type=pb.MSG_TYPE_UPDATE)
        for name in refers_to:
            incident.references.references.add(external_id=name)
        return incident

    def store(self, publisher, reports):
        """All of them in flight at once."""
        for each in reports:
            publisher.send(each)
        receipts = [publisher.peer.expect("RECEIPT", timeout=20) for _ in reports]
        self.assertEqual({receipt.verdict for receipt in receipts}, {pb.VERDICT_STORED})
        return receipts

    def peak_mib(self):
        """The most memory that intake has had so far."""
        status = pathlib.Path(f"/proc/{stack.services['intake'].process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) / 1024

    def waiting(self):
        return stack.sql("SELECT count(*) FROM intake.awaited")[0][0]

    def test_incidents_that_all_wait_for_one_report(self):
        """Hundreds of incidents that come to refer to a report which never comes, then reports that name it as often as they can:
        what is loaded for these does not grow with the incidents, and others are answered as ever."""
        publisher, honest = self.publisher(mallory_publisher), self.publisher(krcs)
        tag = uuid.uuid4().hex[:8]
        opened = self.store(publisher, [self.update(f"{tag}-orphan-{n}", f"{tag}-{n}") for n in range(self.ORPHANS)])
        self.store(publisher, [self.update(f"{tag}-{n}", f"{tag}-never") for n in reversed(range(self.ORPHANS))])
        oldest = min(receipt.incident_id for receipt in opened)
        self.assertEqual(self.waiting(), 1)
        # As many as an intake from before has left.
        stack.sql("INSERT INTO intake.awaited SELECT a.key, i.incident_id FROM intake.awaited a, intake.incident i WHERE i.orphan"
                  " ON CONFLICT DO NOTHING")
        self.assertEqual(self.waiting(), self.ORPHANS)
        before_mib, slowest_s = self.peak_mib(), 0
        sent = [publisher.send(self.update(f"{tag}-names-{n}", *[f"{tag}-never"] * self.TIMES)) for n in range(16)]
        for _ in range(10):
            began = time.monotonic()
            self.assertEqual(honest.publish(report(county="033")).verdict, pb.VERDICT_STORED)
            slowest_s = max(slowest_s, time.monotonic() - began)
        for _ in sent:
            receipt = publisher.peer.expect("RECEIPT", timeout=20)
            self.assertEqual((receipt.verdict, receipt.incident_id), (pb.VERDICT_STORED, oldest))
        growth_mib = self.peak_mib() - before_mib
        print(f"    honest at most {slowest_s * 1000:.0f} ms; memory +{growth_mib:.1f} MiB", flush=True)
        self.assertLess(slowest_s, 5)
        self.assertLess(growth_mib, GROWTH_MIB)
        # It comes after all: to the oldest, and nobody waits any more.
        self.assertEqual(self.store(publisher, [report(f"{tag}-never", county="033")])[0].incident_id, oldest)
        self.assertEqual(self.waiting(), 0)


if __name__ == "__main__":
    unittest.main()
