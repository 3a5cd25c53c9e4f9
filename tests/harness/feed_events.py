"""Events written into the feed by hand, for services that only read it: bodies and commitments built from the .proto files, appended
with feed.append, so that tests of cases and notify need no intake."""
import hashlib
import secrets
import time
import uuid

from psycopg2 import Binary, InterfaceError, OperationalError
from groups import add_work, seal
from jukwaa_harness import protos

INCIDENT, UPDATE, CANCEL, HISTORY, MOVED_AWAY, ACK, ERROR = range(1, 8)
CASE_STATE, DUTY, UNIT, AID = range(9, 13)
DELIVERED, LAGGING, OPENED, ACTED, UNANSWERED = 16, 17, 19, 20, 21


def new_id():
    """A UUID of version 7."""
    return uuid.UUID(int=int(time.time() * 1000) << 80 | 7 << 76 | secrets.randbits(12) << 64 | 2 << 62 | secrets.randbits(62))


class Event:
    """One report of one incident; `copies` gives it in each of its streams."""

    def __init__(self, kind=INCIDENT, counties=("047",), incident=None, revision=1, agency="KPS", category=9, severity=2, status=1,
                 tlp=2, scope=1, headline="Two vehicles collided", expires_us=None, event_id=None, moved_away=(), old=False,
                 named=(), point=None):
        pb = protos()
        self.kind, self.counties, self.moved_away = kind, counties, moved_away
        self.incident, self.event_id = incident or new_id(), event_id or new_id()
        self.revision, self.tlp, self.category, self.agency = revision, tlp, category, agency
        self.severity, self.status, self.headline = severity, status, headline
        message = pb.Incident()
        message.identity.agency = agency
        message.identity.external_id = str(self.incident)
        message.identity.revision = revision
        message.identity.status = status
        message.identity.msg_type = {UPDATE: 2, CANCEL: 3, ACK: 4, ERROR: 5}.get(kind, 1)
        message.classification.categories.append(category)
        message.classification.severity = severity
        message.times.sent_us = int(time.time() * 1e6)
        if expires_us is not None:
            message.times.expires_us = expires_us
        message.place.counties.extend(sorted(counties))
        if point:
            message.place.point.lat, message.place.point.lon = point
        message.narrative.texts.add().headline = headline
        message.handling.tlp = tlp
        message.handling.scope = scope
        message.handling.addresses.extend(named)
        message.reporter.name = "Wanjiku"
        self.body, self.commitment = seal(message, old)

    def copies(self):
        for county in self.counties:
            yield county, self.kind
        for county in self.moved_away:
            yield county, MOVED_AWAY


class WorkEvent:
    """What was done about an incident: the body of its newest event with WORK, under an event id of its own."""

    def __init__(self, of, kind, work, counties=None):
        self.kind, self.counties, self.event_id = kind, counties or of.counties, new_id()
        self.incident, self.revision, self.tlp, self.category = of.incident, of.revision, of.tlp, of.category
        self.body, self.commitment = add_work(of.body, work)

    def copies(self):
        for county in self.counties:
            yield county, self.kind


class Mail:
    """A message for an agency's mailbox about an incident of its."""

    def __init__(self, agency, kind, message, incident):
        self.kind, self.stream, self.event_id, self.incident = kind, f"@{agency}", new_id(), incident
        self.revision, self.tlp, self.category = 0, 3, 12
        self.body = message.SerializeToString()
        self.commitment = hashlib.sha256(self.body).digest()

    def copies(self):
        yield self.stream, self.kind


def know_ahead(event):
    """Statement and arguments that make a report known to intake, of which nobody has read the event yet."""
    return ("INSERT INTO intake.incident (incident_id, agency_id, current_revision, current_event_id, counties, category, categories, severity)"
            " VALUES (%s, 1, %s, %s, %s, 9, 512, 2) ON CONFLICT (incident_id) DO UPDATE SET current_revision = excluded.current_revision",
            (str(event.incident), event.revision, str(event.event_id), list(event.counties)))


def report_ahead(stack, event):
    """A newer report of the incident, known ahead; its event is to be appended."""
    newer = Event(UPDATE, event.counties, event.incident, event.revision + 1, event.agency, headline="It has been put right")
    statement, arguments = know_ahead(newer)
    stack.sql(statement, *arguments)
    return newer


def revisions(stack, event):
    """(kind, revision) of all events of the incident, stream by stream."""
    return stack.sql("SELECT kind, revision FROM feed.event WHERE incident_id = %s AND kind < 16 ORDER BY stream, seq", str(event.incident))


def appending(*events, copies=None):
    """Statement and arguments that append each event to its streams; copies: (county, kind, event) in this order instead."""
    rows = copies or [(county, kind, event) for event in events for county, kind in event.copies()]
    columns = zip(*[(county, str(e.event_id), kind, str(e.incident), e.revision, e.tlp, e.category, Binary(e.commitment),
                     Binary(e.body)) for county, kind, e in rows])
    return ("SELECT count(*) FROM feed.append(%s::text[], %s::uuid[], %s::int2[], %s::uuid[], %s::int8[], %s::int2[], %s::int2[],"
            " %s::bytea[], %s::bytea[])", list(map(list, columns)))


def append(stack, *events, copies=None):
    """Appends them, all in one transaction."""
    statement = appending(*events, copies=copies)
    if not hasattr(stack, "feed_connection") or stack.feed_connection.closed:
        stack.feed_connection = stack.cluster.connect(stack.database)
    try:
        with stack.feed_connection.cursor() as cursor:
            cursor.execute(*statement)
    except (InterfaceError, OperationalError):  # the database was restarted: once more, on a new connection
        stack.feed_connection = stack.cluster.connect(stack.database)
        with stack.feed_connection.cursor() as cursor:
            cursor.execute(*statement)
