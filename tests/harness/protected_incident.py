"""An incident written into the database as intake does it, protected groups included: for tests of what becomes of them."""
import hashlib
import os
import secrets
import time
import uuid

from psycopg2 import Binary
from jukwaa_harness import commitment, protos

pb = protos()
TAGS = sorted(v for v in pb.GroupTag.values() if v and v != pb.GROUP_TAG_WORK)
REPORTER, PERSONS = pb.GROUP_TAG_REPORTER, pb.GROUP_TAG_PERSONS
MARKERS = {"reporter": "Wanjiku-marker", "persons": "Otieno-marker", "narrative": "narrative-marker"}


def new_id():
    """A UUID of version 7."""
    return uuid.UUID(int=int(time.time() * 1000) << 80 | 7 << 76 | secrets.randbits(12) << 64 | 2 << 62 | secrets.randbits(62))


class Revision:
    """One report: body, commitment, and its protected groups as (salt, content) by tag; {} where it has neither."""

    def __init__(self, incident=None, agency="POLICE", kind=1, revision=1, counties=("047",), reporter=True, persons=True, tlp=2,
                 headline=MARKERS["narrative"], event_id=None):
        self.incident, self.event_id = incident or new_id(), event_id or new_id()
        self.kind, self.revision, self.counties, self.tlp = kind, revision, counties, tlp
        groups = {1: pb.Identity(agency=agency, status=1, msg_type=1), 2: pb.Classification(categories=[9], severity=2),
                  3: pb.Times(sent_us=int(time.time() * 1e6)), 4: pb.Place(counties=sorted(counties)),
                  5: pb.Narrative(texts=[pb.Text(headline=headline)]), 8: pb.Handling(tlp=tlp, scope=1)}
        if reporter:
            groups[REPORTER] = pb.Reporter(name=MARKERS["reporter"])
        if persons:
            groups[PERSONS] = pb.Persons(persons=[pb.Person(name=MARKERS["persons"])])
        body, self.protected = pb.EventBody(), {}
        for tag in TAGS:
            salt, content = os.urandom(16), groups[tag].SerializeToString() if tag in groups else b""
            if tag in (REPORTER, PERSONS):
                body.groups.add(tag=tag, digest=hashlib.sha256(salt + content).digest())
                if content:
                    self.protected[tag] = (salt, content)
                    body.stored_apart |= 1 << tag
            else:
                body.groups.add(tag=tag, salt=salt, content=content)
        self.body, self.commitment = body.SerializeToString(), commitment(body.groups)

    def bytes_received(self):
        return b"as received: " + b" ".join(content for _, content in self.protected.values()) + self.body


def store(stack, *revisions):
    """Everything intake writes for these, in one transaction; {(event_id, stream): seq}."""
    with stack.cluster.connect(stack.database) as c:
        c.autocommit = False
        with c.cursor() as cur:
            for r in revisions:
                key = os.urandom(16)
                cur.execute("INSERT INTO intake.dedup (key, revision, content, incident_id, event_id, first, warnings)"
                            " VALUES (%s, %s, %s, %s, %s, true, %s)", (Binary(key), r.revision, Binary(key), str(r.incident),
                                                                       str(r.event_id), Binary(b"w")))
                cur.execute("INSERT INTO intake.report (event_id, incident_id, agency_id, key_id, format, external_id, revision, bytes)"
                            " VALUES (%s, %s, 1, 1, 1, 'OB/12', %s, %s)", (str(r.event_id), str(r.incident), r.revision,
                                                                          Binary(r.bytes_received())))
                if r.protected:
                    row = [Binary(b) if b is not None else None for tag in (REPORTER, PERSONS)
                           for b in reversed(r.protected.get(tag, (None, None)))]
                    cur.execute("INSERT INTO intake.protected (event_id, reporter, reporter_salt, persons, persons_salt)"
                                " VALUES (%s, %s, %s, %s, %s)", (str(r.event_id), *row))
            rows = [(county, r) for r in revisions for county in r.counties]
            n = [list(col) for col in zip(*[(county, str(r.event_id), r.kind, str(r.incident), r.revision, r.tlp, 9,
                                             Binary(r.commitment), Binary(r.body)) for county, r in rows])]
            cur.execute("SELECT ord, seq FROM feed.append(%s::text[], %s::uuid[], %s::int2[], %s::uuid[], %s::int8[], %s::int2[],"
                        " %s::int2[], %s::bytea[], %s::bytea[])", n)
            return {(rows[o - 1][1].event_id, rows[o - 1][0]): seq for o, seq in cur.fetchall()}


def body_of(stack, event_id, stream="047"):
    """The stored body, after a check that its groups still add up to the commitment in its row."""
    body, commit = stack.sql("SELECT body, commitment FROM feed.event WHERE event_id = %s AND stream = %s", uuid.UUID(str(event_id)),
                             stream)[0]
    parsed = pb.EventBody.FromString(bytes(body))
    assert commitment(parsed.groups) == bytes(commit), "the body no longer adds up to its commitment"
    return parsed


def dump(stack, *schemas):
    """Every row of every table of these schemas, as one text: what is not in it is not kept."""
    out = []
    for schema, table in stack.sql("SELECT schemaname, tablename FROM pg_tables WHERE schemaname = ANY (%s)", list(schemas)):
        for (row,) in stack.sql(f'SELECT t::text FROM {schema}."{table}" t'):
            out.append(f"{schema}.{table}: {row}")
    return "\n".join(out)
