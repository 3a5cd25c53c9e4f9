"""What was done about an incident is appended with the body of its newest report, or not at all: feed.append beside a report that is
just being committed."""
import contextlib
import unittest

import psycopg2
import psycopg2.extras
from feed_events import CASE_STATE, HISTORY, INCIDENT, UPDATE, Event, WorkEvent, append, appending, know_ahead, report_ahead
from jukwaa_harness import Stack, protos, wait_until


class NewestTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = Stack(services=())

    def triage(self, event):
        return WorkEvent(event, CASE_STATE, protos().Work(case_step=protos().CaseStep(action="TRIAGE")))

    def refused(self, event):
        with self.assertRaises(psycopg2.Error) as caught:
            append(self.stack, event)
        self.assertEqual(caught.exception.pgcode, "40J01", caught.exception)

    def kinds(self, event):
        return self.stack.sql("SELECT stream, kind, revision FROM feed.event WHERE incident_id = %s ORDER BY stream, seq", str(event.incident))

    def test_an_older_body_is_refused_whole(self):
        for counties in (("001",), ("001", "002", "003", "004"), ("001", "002", "003", "004", "005")):
            with self.subTest(counties=len(counties)):
                event, other = Event(counties=counties), Event(counties=counties)
                append(self.stack, event, other)
                append(self.stack, self.triage(event), self.triage(other))
                newer = report_ahead(self.stack, event)
                with self.assertRaises(psycopg2.Error):
                    append(self.stack, self.triage(other), self.triage(event))
                self.assertEqual(self.kinds(other), [row for c in counties for row in ((c, INCIDENT, 1), (c, CASE_STATE, 1))])
                self.refused(self.triage(event))
                append(self.stack, newer)
                append(self.stack, self.triage(newer))
                self.refused(self.triage(event))
                self.assertEqual(self.kinds(event), [row for c in counties for row in (
                    (c, INCIDENT, 1), (c, CASE_STATE, 1), (c, UPDATE, 2), (c, CASE_STATE, 2))])

    def test_reports_and_mails_are_not_asked(self):
        event = Event(counties=("006",))
        append(self.stack, event)
        report_ahead(self.stack, event)
        append(self.stack, Event(HISTORY, ("006",), event.incident, 0))
        self.assertEqual([kind for _, kind, _ in self.kinds(event)], [INCIDENT, HISTORY])

    def test_one_that_waits_for_the_report_is_refused_when_it_is_there(self):
        """The report holds the heads and is not committed: what was decided before it waits, and sees it."""
        for counties in (("007",), ("007", "008", "009", "010", "011")):
            with self.subTest(counties=len(counties)), contextlib.closing(self.stack.cluster.connect(self.stack.database)) as report, \
                    contextlib.closing(psycopg2.connect(report.dsn, async_=True)) as step:
                event = Event(counties=counties)
                append(self.stack, event)
                newer = Event(UPDATE, counties, event.incident, 2)
                psycopg2.extras.wait_select(step)
                with report.cursor() as cursor:
                    cursor.execute("BEGIN")
                    cursor.execute(*know_ahead(newer))
                    cursor.execute(*appending(newer))
                    waiting = step.cursor()  # held until its answer is there
                    waiting.execute(*appending(self.triage(event)))
                    wait_until(lambda: self.stack.sql("SELECT count(*) FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'",
                                                      step.info.backend_pid)[0][0], 5, "it waits")
                    cursor.execute("COMMIT")
                with self.assertRaises(psycopg2.Error) as caught:
                    psycopg2.extras.wait_select(step)
                self.assertEqual(caught.exception.pgcode, "40J01", caught.exception)


if __name__ == "__main__":
    unittest.main()
