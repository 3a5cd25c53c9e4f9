"""dispatch follows the feed to know which incidents are open in each county: dispatch.open_incident, row by row."""
import os
import time
import unittest

import feed_events as feed
from feed_events import Event, append
from groups import seal
from jukwaa_harness import Stack, commitment, protos, wait_until

ERASED, CASE_STATE, DUTY = 8, 9, 10
NEW, TRIAGED, CLOSED, REOPENED, MERGED = 1, 2, 8, 9, 10


def setUpModule():
    global stack
    stack = Stack(services=("dispatch",))
    stack.add_publisher("KPS")


def tearDownModule():
    stack.stop()


def wait_followed(timeout=10):
    wait_until(lambda: stack.sql(
        "SELECT count(*) = 0 FROM feed.head h LEFT JOIN dispatch.follow c USING (stream)"
        " WHERE h.stream ~ '^[0-9]' AND h.last_seq <> coalesce(c.seq, 0)")[0][0], timeout, "dispatch has followed the feed")


def work_event(first, kind=CASE_STATE, to=None, **fields):
    """An event that says what was done about the incident of `first`: its groups, and WORK."""
    pb = protos()
    event = Event(kind, first.counties, first.incident, revision=first.revision, **fields)
    work = pb.Work(at_us=int(time.time() * 1e6))
    if to:
        work.case_step.to = to
    else:
        work.duty_step.action = 1
    body = pb.EventBody.FromString(first.body)
    body.groups.add(tag=14, salt=os.urandom(16), content=work.SerializeToString())
    event.body, event.commitment = body.SerializeToString(), commitment(body.groups)
    return event


def row(event, county="047"):
    """The incident's row there as a dict; None: there is none."""
    rows = stack.sql("SELECT to_jsonb(o) FROM dispatch.open_incident o WHERE incident_id = %s AND stream = %s", str(event.incident), county)
    return rows[0][0] if rows else None


class OpenIncidentTest(unittest.TestCase):
    def follow(self, *events):
        append(stack, *events)
        wait_followed()

    def test_the_newest_revision_is_what_is_known(self):
        first = Event(severity=3, category=9)
        newer = Event(feed.UPDATE, incident=first.incident, revision=2, severity=1, category=4, tlp=3, scope=2, named=("KRCS", "NPS-1"))
        self.follow(first, newer, Event(feed.HISTORY, incident=first.incident, revision=0, severity=4))
        known = row(first)
        self.assertEqual((known["revision"], known["severity"], known["categories"], known["category"], known["tlp"], known["scope"],
                          known["named"], known["agency"], known["status"], known["event_id"]),
                         (2, 1, 1 << 4, 4, 3, 2, "KRCS,NPS-1", "KPS", 1, str(newer.event_id)))
        self.assertEqual(known["seq"], known["body_seq"] + 1)
        self.assertIsNone(known["closed_at"])

    def test_where_and_how_urgent(self):
        first = Event()
        message = protos().Incident()
        message.identity.agency, message.identity.status = "KPS", 1
        message.classification.categories.append(9)
        message.classification.urgency = 2
        message.place.point.lat, message.place.point.lon = -1.2921, 36.8219
        first.body, first.commitment = seal(message)
        self.follow(first)
        self.assertEqual((row(first)["lat"], row(first)["lon"], row(first)["urgency"]), (-1.2921, 36.8219, 2))
        self.assertEqual(row(first)["severity"], 0)

    def test_each_county_has_its_own(self):
        first = Event(counties=("047", "022"))
        self.follow(first)
        moved = Event(feed.UPDATE, ("047", "016"), first.incident, revision=2, moved_away=("022",))
        self.follow(moved)
        self.assertIsNone(row(first)["closed_at"])
        self.assertIsNone(row(first, "016")["closed_at"])
        self.assertEqual((row(first, "022")["closed_why"], row(first, "022")["revision"]), (2, 1))
        self.follow(Event(feed.UPDATE, ("022",), first.incident, revision=3))
        self.assertIsNone(row(first, "022")["closed_at"])

    def test_what_is_cancelled_is_closed_until_its_publisher_takes_that_back(self):
        first = Event()
        self.follow(first, Event(feed.CANCEL, incident=first.incident, revision=2))
        self.assertEqual((row(first)["closed_why"], row(first)["revision"]), (1, 2))
        self.assertIsNotNone(row(first)["closed_at"])
        self.follow(Event(feed.UPDATE, incident=first.incident, revision=3))
        self.assertIsNone(row(first)["closed_at"])

    def test_its_case_closes_it_and_opens_it_again(self):
        first = Event()
        for state, closed in ((TRIAGED, False), (CLOSED, True), (REOPENED, False), (MERGED, True)):
            self.follow(first if state == TRIAGED else work_event(first, to=TRIAGED), work_event(first, to=state))
            self.assertEqual((row(first)["case_state"], row(first)["closed_at"] is not None), (state, closed))
        self.assertEqual(row(first)["body_seq"] < row(first)["seq"], True)
        self.follow(Event(feed.UPDATE, incident=first.incident, revision=2))
        self.assertIsNotNone(row(first)["closed_at"], "a report does not open a closed case")

    def test_other_work_moves_its_number_alone(self):
        first = Event()
        self.follow(first)
        before = row(first)
        self.follow(work_event(first, DUTY), Event(feed.ACK, incident=first.incident))
        after = row(first)
        self.assertEqual(after["seq"], before["seq"] + 2)
        self.assertEqual({k: v for k, v in after.items() if k not in ("seq", "updated_at")},
                         {k: v for k, v in before.items() if k not in ("seq", "updated_at")})

    def test_what_opens_nothing_opens_nothing(self):
        events = [Event(kind) for kind in (feed.ACK, feed.ERROR, feed.MOVED_AWAY, feed.HISTORY, ERASED)]
        self.follow(*events, work_event(Event(), to=CLOSED))
        self.assertEqual([row(e) for e in events], [None] * 5)

    def test_a_case_opened_again_brings_back_what_was_forgotten(self):
        first = Event(severity=1)
        self.follow(first, work_event(first, to=CLOSED))
        seq = row(first)["body_seq"]
        stack.sql("DELETE FROM dispatch.open_incident WHERE incident_id = %s", str(first.incident))
        self.follow(work_event(first, to=TRIAGED))
        self.assertIsNone(row(first))
        self.follow(work_event(first, to=REOPENED))
        known = row(first)
        self.assertEqual((known["body_seq"], known["severity"], known["case_state"], known["closed_at"]), (seq, 1, REOPENED, None))

    def test_an_erased_incident_names_nobody_any_more(self):
        first = Event(scope=2, named=("KRCS",))
        self.follow(first)
        self.assertEqual(row(first)["named"], "KRCS")
        self.follow(Event(ERASED, incident=first.incident, scope=2))
        self.assertEqual((row(first)["named"], row(first)["body_seq"]), ("", row(first)["seq"]))

    def test_a_body_that_is_none_is_passed_over(self):
        bad, good = Event(), Event()
        bad.body = b"\xff\xff\xff"
        self.follow(bad, good)
        self.assertEqual((row(bad), row(good) is None), (None, False))
        self.assertGreater(stack.services["dispatch"].metric("jukwaa_dispatch_unfollowed_total"), 0)

    def test_killed_at_any_time_it_has_followed_all_once(self):
        events = [Event(counties=("047", "001")) for _ in range(300)]
        for i, event in enumerate(events):
            append(stack, event)
            if i % 60 == 30:
                stack.services["dispatch"].kill()
                stack.services["dispatch"].start(ready=False)
        wait_followed(30)
        self.assertEqual(stack.sql("SELECT count(*) FROM dispatch.open_incident WHERE incident_id = ANY (%s::uuid[])",
                                   [str(e.incident) for e in events])[0][0], 600)

    def test_nothing_is_removed_that_dispatch_has_not_followed(self):
        stack.services["dispatch"].kill()
        event = Event()
        append(stack, event)
        seq, chain = stack.sql("SELECT seq, chain FROM feed.event WHERE event_id = %s", str(event.event_id))[0]
        obstacle = ("WITH c AS (INSERT INTO cases.cursor VALUES ('047', {0}) ON CONFLICT (stream) DO UPDATE SET seq = {0}),"
                    " n AS (INSERT INTO notify.cursor VALUES ('047', {0}) ON CONFLICT (stream) DO UPDATE SET seq = {0}) SELECT 1")
        stack.sql(obstacle.format(int(seq)))
        ask = "SELECT feed.obstacle('{047}', ARRAY[%s::int8], ARRAY[%s::bytea], 'infinity')"
        self.assertEqual(stack.sql(ask, seq, chain)[0][0], "dispatch")
        stack.services["dispatch"].start()
        wait_followed()
        self.assertEqual(stack.sql(ask, seq, chain)[0][0], "")


if __name__ == "__main__":
    unittest.main()
