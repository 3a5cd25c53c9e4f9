"""The independent checker: from what clients saw and what SQL returns, what was lost, repeated, missing in a row, or given to
the wrong desk. It knows nothing of how services work; it must not import anything of them."""
import collections
import dataclasses
import hashlib
import struct


@dataclasses.dataclass
class Findings:
    """Sentences by kind; all empty: the promise held."""
    lost: list = dataclasses.field(default_factory=list)
    repeated: list = dataclasses.field(default_factory=list)
    holes: list = dataclasses.field(default_factory=list)
    foreign: list = dataclasses.field(default_factory=list)

    def counts(self):
        return [len(self.lost), len(self.repeated), len(self.holes), len(self.foreign)]

    def __bool__(self):
        return any(self.counts())

    def text(self, each=3):
        lines = []
        for name in ("lost", "repeated", "holes", "foreign"):
            found = getattr(self, name)
            lines += [f"{name}: {one}" for one in found[:each]]
            if len(found) > each:
                lines.append(f"{name}: … {len(found) - each} more")
        return "\n".join(lines)


Event = collections.namedtuple("Event", "stream seq event_id kind incident_id revision tlp category epoch recorded_us commitment "
                               "chain head")
Stored = collections.namedtuple("Stored", "event_id incident_id agency external_id revision content")

EVENTS = """SELECT stream, seq, replace(event_id::text, '-', ''), kind, replace(incident_id::text, '-', ''), revision, tlp,
                   category, epoch, (extract(epoch FROM recorded_at) * 1000000)::bigint, commitment, chain,
                   (SELECT last_seq FROM feed.head h WHERE h.stream = e.stream)
              FROM feed.event e ORDER BY stream, seq"""
# Heads and events are read in one statement: mailboxes go on growing while the checker looks.
HEADS = """SELECT stream, last_seq FROM feed.head h WHERE last_seq > 0
             AND NOT EXISTS (SELECT FROM feed.event e WHERE e.stream = h.stream)"""
REPORTS = """SELECT replace(r.event_id::text, '-', ''), replace(r.incident_id::text, '-', ''), a.code, r.external_id, r.revision,
                    r.bytes FROM intake.report r JOIN registry.agency a USING (agency_id)"""


class Checker:
    """sql: a function that runs a statement as superuser. publishers: {agency: [Publisher, …]}."""

    def __init__(self, sql, publishers, desks, webhooks=None, rule=None):
        self.publishers, self.desks, self.webhooks, self.rule = publishers, desks, webhooks, rule
        self.events = [Event(*row) for row in sql(EVENTS)]
        self.bare_heads = sql(HEADS)
        self.reports = [Stored(*row[:5], bytes(row[5])) for row in sql(REPORTS)]
        self.cases = sql("""SELECT replace(c.incident_id::text, '-', ''), c.entries, count(e.event_id),
                                   count(DISTINCT e.entry_no) FROM cases."case" c LEFT JOIN cases.entry e USING (case_id)
                             GROUP BY c.case_id""")
        self.by_event = {r.event_id: r for r in self.reports}
        self.at = {(e.stream, e.seq): e for e in self.events}
        self.said = self.what_was_said()
        self.found = Findings()

    def what_was_said(self):
        """(agency, external id, revision, bytes) -> the report as its publisher meant it."""
        return {(agency, r.external_id, r.revision, r.payload()): r
                for agency, publishers in self.publishers.items() for p in publishers for r in p.reports}

    def meaning(self, event_id):
        """The report behind a stored event, or None for what no publisher of this run said."""
        stored = self.by_event.get(event_id)
        return stored and self.said.get((stored.agency, stored.external_id, stored.revision, stored.content))

    def check(self, cases=True):
        self.check_numbers()
        self.check_stored_once()
        for agency, publishers in self.publishers.items():
            self.check_receipts(agency, [r for p in publishers for r in p.receipts])
        for desk in self.desks:
            self.check_desk(desk)
        if cases:
            self.check_cases()
        if self.webhooks is not None:
            self.check_webhooks()
        return self.found

    # ---- what is stored

    def check_numbers(self):
        streams = collections.defaultdict(list)
        for event in self.events:
            streams[event.stream].append(event)
        for stream, events in streams.items():
            numbers = [e.seq for e in events]
            if numbers != list(range(1, len(numbers) + 1)):
                missing = set(range(1, max(numbers) + 1)) - set(numbers)
                twice = len(numbers) - len(set(numbers))
                self.found.holes.append(f"stream {stream}: {len(missing)} numbers missing, {twice} given twice, of {max(numbers)}")
            if events[-1].head != numbers[-1]:
                self.found.holes.append(f"stream {stream}: head says {events[-1].head}, the last event is {numbers[-1]}")
            previous = b""
            for event in events:
                if bytes(event.chain) != chain_of(previous, event):
                    self.found.holes.append(f"stream {stream}: the chain breaks at {event.seq}")
                    break
                previous = bytes(event.chain)
        self.found.holes += [f"stream {s}: head says {n}, there is no event" for s, n in self.bare_heads]

    def check_stored_once(self):
        keys = collections.Counter((r.agency, r.external_id, r.revision) for r in self.reports)
        self.found.repeated += [f"stored {n} times: {key}" for key, n in keys.items() if n > 1]
        places = collections.Counter((e.stream, e.event_id) for e in self.events if not e.stream.startswith("@"))
        self.found.repeated += [f"{n} times in its stream: {place}" for place, n in places.items() if n > 1]
        streams = collections.defaultdict(set)
        for event in self.events:
            streams[event.event_id].add(event.stream)
        for stored in self.reports:
            if not streams.get(stored.event_id):
                self.found.lost.append(f"report {stored.external_id}/{stored.revision} stands in no stream")
            said = self.said.get((stored.agency, stored.external_id, stored.revision, stored.content))
            if said is None:
                self.found.lost.append(f"report {stored.external_id}/{stored.revision}: stored bytes are not what was published")
            elif stored.revision == 1 and streams[stored.event_id] != set(said.counties):
                self.found.foreign.append(f"report {stored.external_id} of {said.counties} stands in {streams[stored.event_id]}")

    # ---- receipts

    def check_receipts(self, agency, receipts):
        answers = {}
        for receipt in receipts:
            if receipt.verdict not in ("STORED", "DUPLICATE"):
                continue
            said, name = receipt.report, f"{agency} {receipt.report.external_id}/{receipt.report.revision}"
            stored = self.by_event.get(receipt.event_id)
            if stored is None or stored[1:] != (receipt.incident_id, agency, said.external_id, said.revision, said.payload()):
                self.found.lost.append(f"receipt {receipt.verdict} of {name}: event {receipt.event_id} is not stored as published")
                continue
            for stream, seq, chain in receipt.positions:
                event = self.at.get((stream, seq))
                if event is None or event.event_id != receipt.event_id or bytes(event.chain).hex() != chain:
                    self.found.lost.append(f"receipt of {name}: position {stream}/{seq} holds something else")
            if not receipt.positions:
                self.found.lost.append(f"receipt of {name} names no position")
            first = answers.setdefault((said.external_id, said.revision), receipt)
            if (first.event_id, first.incident_id, sorted(first.positions)) != (
                    receipt.event_id, receipt.incident_id, sorted(receipt.positions)):
                self.found.repeated.append(f"two answers for {name}: {first.event_id} and {receipt.event_id}")
        stored_twice = collections.Counter((r.report.external_id, r.report.revision) for r in receipts if r.verdict == "STORED")
        self.found.repeated += [f"{n} receipts STORED for {agency} {key}" for key, n in stored_twice.items() if n > 1]

    # ---- desks

    def wanted_by(self, desk):
        """(stream, seq) of every stored event that the desk is entitled to."""
        for event in self.events:
            if event.stream.startswith("@"):
                continue
            said = self.meaning(event.event_id)
            if said is not None and desk.entitled(said, event.stream):
                yield event.stream, event.seq

    def check_desk(self, desk):
        missing = [place for place in self.wanted_by(desk) if place not in desk.seen]
        self.found.lost += [f"desk {desk.desk_name} never got {stream}/{seq}" for stream, seq in missing]
        numbers, last = collections.Counter(), {}
        for d in desk.deliveries:
            event, said = self.at.get((d.stream, d.seq)), self.meaning(d.event_id)
            if event is None or event.event_id != d.event_id or bytes(event.chain).hex() != d.chain:
                self.found.lost.append(f"desk {desk.desk_name} was given {d.stream}/{d.seq}, which is stored otherwise or not at all")
            elif said is None or not desk.entitled(said, d.stream):
                self.found.foreign.append(f"desk {desk.desk_name} was given {d.stream}/{d.seq}")
            if d.again:
                self.found.repeated.append(f"desk {desk.desk_name} was given {d.stream}/{d.seq} after acknowledging it")
            if last.get((d.session, d.stream), 0) >= d.seq:
                self.found.repeated.append(f"desk {desk.desk_name}: {d.stream}/{d.seq} came after {last[d.session, d.stream]}")
            last[d.session, d.stream] = d.seq
            numbers[d.session] += 1
            if d.number != numbers[d.session]:
                self.found.holes.append(f"desk {desk.desk_name}: delivery {d.number} is the {numbers[d.session]}th of its session")
                numbers[d.session] = d.number

    # ---- effects

    def check_cases(self):
        events = collections.defaultdict(set)
        for event in self.events:
            if not event.stream.startswith("@"):
                events[event.incident_id].add(event.event_id)
        have = collections.Counter(row[0] for row in self.cases)
        self.found.lost += [f"no case for incident {i}" for i in events if not have[i]]
        self.found.repeated += [f"{n} cases for incident {i}" for i, n in have.items() if n > 1]
        self.found.lost += [f"a case for incident {i}, which is not stored" for i in have if i not in events]
        for incident, entries, lines, numbers in self.cases:
            if not entries == lines == numbers == len(events[incident]):
                self.found.repeated.append(f"case {incident}: {entries} entries counted, {lines} lines, {len(events[incident])} events")

    def check_webhooks(self):
        """rule: (desk, category) of the only notification rule; one message for each incident and county."""
        desk, category = self.rule
        wanted = set()
        for event in self.events:
            said = None if event.stream.startswith("@") else self.meaning(event.event_id)
            if said and said.category == category and desk.entitled(said, event.stream) and event.kind in (1, 2):
                wanted.add((event.incident_id, event.stream))
        told = collections.defaultdict(set)
        for message_id, incident_id, county in self.webhooks:
            told[incident_id.replace("-", ""), county].add(message_id)
        self.found.lost += [f"nobody was told of {what}" for what in wanted - told.keys()]
        self.found.foreign += [f"told of {what}, which no rule names" for what in told.keys() - wanted]
        self.found.repeated += [f"{len(ids)} messages for {what}" for what, ids in told.items() if len(ids) > 1]


def chain_of(previous, event):
    """The chain as feed.proto describes it."""
    def number(value):
        return struct.pack(">q", value)
    fields = [b"jk1", previous, event.stream.encode(), number(event.seq), number(event.epoch), number(event.recorded_us),
              bytes.fromhex(event.event_id), number(event.kind), bytes.fromhex(event.incident_id), number(event.revision),
              number(event.tlp), number(event.category), bytes(event.commitment)]
    return hashlib.sha256(b"".join(struct.pack(">I", len(f)) + f for f in fields)).digest()
