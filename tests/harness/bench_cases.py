"""Figures of finding cases: a million of them, made by SQL with the skew of a real year; questions of several askers, one at a time.
What is measured is what a client waits for, the record of the reading included."""
import contextlib
import os
import random
import statistics
import subprocess
import time
import uuid

from agreements import Party, agree
from feed_events import Event, append
from jukwaa_harness import BIN, Stack, protos

AGENCIES = 20
COUNT = 1_000_000
# Nairobi has three of ten; agencies work in a few categories; most positions are one of some thousand places; half of the cases of
# the last days are open, few of the older ones; a report in fifty concerns two counties.
FILL = """
INSERT INTO cases."case" (case_id, incident_id, agency, counties, category, categories, severity, status, scope, tlp, revision, event_id,
  opened_at, updated_at, event_at, lat, lon, constituency, occurred_at, state, accepted_at, dispatched_at, on_scene_at, resolved_at)
SELECT id, id, 'A' || agency, CASE WHEN two THEN ARRAY[county, lpad((county::int %% 47 + 1)::text, 3, '0')] ELSE ARRAY[county] END,
  category, 1 << category, severity, 1, 1, tlp, 1, event_id, at, at, at, lat, lon, constituency, at - interval '3 min',
  CASE WHEN open THEN 1 + n %% 5 ELSE 8 END, at + accept, CASE WHEN n %% 10 < 8 THEN at + accept + dispatch END,
  CASE WHEN n %% 10 < 7 THEN at + accept + dispatch + drive END, CASE WHEN NOT open THEN at + accept + dispatch + drive + work END
FROM (SELECT n, gen_random_uuid() AS id, (%(events)s::uuid[])[1 + n %% cardinality(%(events)s::uuid[])] AS event_id,
        now() - interval '365 days' * (n::float8 / %(count)s) AS at,
        (power(random(), 2) * %(agencies)s)::int %% %(agencies)s AS agency,
        CASE WHEN random() < 0.3 THEN '047' ELSE lpad((1 + floor(47 * power(random(), 2)))::int::text, 3, '0') END AS county,
        n %% 50 = 0 AS two, (ARRAY[9, 9, 9, 7, 7, 6, 5, 4, 4, 3, 10, 12])[1 + n %% 12] AS category,
        (ARRAY[1, 2, 2, 3, 3, 3, 4, 4, 5])[1 + (random() * 8)::int] AS severity, (ARRAY[2, 2, 2, 3, 1])[1 + n %% 5] AS tlp,
        random() < CASE WHEN n < %(count)s / 100 THEN 0.5 ELSE 0.01 END AS open,
        -1.45 + 0.0005 * (power(random(), 3) * 700)::int AS lat, 36.65 + 0.0005 * (power(random(), 3) * 900)::int AS lon,
        lpad((1 + (random() * 289)::int)::text, 3, '0') AS constituency,
        interval '1 s' * (-ln(random() + 1e-9) * 240) AS accept, interval '1 s' * (-ln(random() + 1e-9) * 120) AS dispatch,
        interval '1 s' * (-ln(random() + 1e-9) * 900) AS drive, interval '1 s' * (-ln(random() + 1e-9) * 5400) AS work
      FROM generate_series(0, %(count)s - 1) n) made
"""


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as f:
        user, system = f.read().rsplit(")", 1)[1].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


class Asker:
    def __init__(self, stack, key):
        self.process = stack.services["cases"].process.pid
        self.pb, self.peer = protos(), stack.peer("cases", key)
        assert self.peer.hello() is not None

    def ask(self, name, **fields):
        """The answer and the seconds it took; asked again while the service says later."""
        kinds = {"CaseList": ("CASE_LIST", "CASE_LISTED"), "CaseShow": ("CASE_SHOW", "CASE_SHOWN"),
                 "CaseFigures": ("CASE_FIGURES", "CASE_FIGURES_TOLD"), "CaseSimilar": ("CASE_SIMILAR", "CASE_SIMILAR_FOUND")}
        message = getattr(self.pb, name)(request=1, purpose=self.pb.CASE_PURPOSE_STATISTICS, **fields)
        while True:
            began = time.perf_counter()
            self.peer.send(kinds[name][0], message)
            answer = self.peer.expect(kinds[name][1], "REFUSED", timeout=30)
            took = time.perf_counter() - began
            if answer.DESCRIPTOR.name != "Refused":
                return answer, took
            if answer.code != self.pb.CODE_UNAVAILABLE:
                raise SystemExit(f"{name} {fields}: {answer}")
            time.sleep(0.1)


def make(cluster):
    stack = Stack(services=("cases",), cluster=cluster)
    for agency in range(1, AGENCIES, 2):
        stack.admin("agency", "add", f"A{agency}", "--name", f"A{agency}")
    stack.keys = {"all": stack.add_desk("ALL", agency="NATIONAL"),
                  "a county": stack.add_desk("ONE", agency="COUNTY", allow=(("--county", "023"),)),
                  "nobody": stack.add_desk("NOBODY", agency="NONE", allow=())}
    wide = Party(stack, "WIDE")
    stack.keys["agreements"] = stack.add_desk("WIDE-DESK", agency="WIDE", allow=())
    for agency in range(0, AGENCIES, 2):
        agree(stack, f"WITH-{agency}", Party(stack, f"A{agency}"), wide, "COARSE_PLACE@1" if agency % 4 else "FULL@1",
              retention_days=90 if agency % 6 else 0, tlp_ceiling="GREEN")
    return stack


def fill(stack, count):
    began = time.monotonic()
    events = [Event(agency="A0", headline=f"Two vehicles collided at junction {n}") for n in range(500)]
    append(stack, *events)
    with contextlib.closing(stack.cluster.connect(stack.database)) as connection:
        connection.cursor().execute(FILL, {"count": count, "agencies": AGENCIES, "events": [str(e.event_id) for e in events]})
    print(f"{count} cases in {time.monotonic() - began:.0f} s", flush=True)
    with contextlib.closing(stack.cluster.connect(stack.database)) as connection:
        connection.cursor().execute('VACUUM ANALYZE cases."case"')


def measure(title, asker, questions):
    asker.ask(*questions[0][:1], **questions[0][1])  # plans are made, pages are read
    took, counts, before = [], [], cpu_seconds(asker.process)
    for name, fields in questions:
        answer, seconds = asker.ask(name, **fields)
        took.append(seconds * 1000)
        counts.append(len(getattr(answer, "cases", getattr(answer, "similar", getattr(answer, "figures", ())))))
    took.sort()
    p95, busy = took[int(len(took) * 0.95)], (cpu_seconds(asker.process) - before) / len(took) * 1000
    print(f"{title}: p50 {statistics.median(took):.1f} ms, p95 {p95:.1f} ms, most {took[-1]:.1f} ms ({len(took)} questions,"
          f" {statistics.mean(counts):.0f} rows each; cases itself is busy for {busy:.1f} ms)", flush=True)
    return p95


def explain(stack):
    """The plans are what they are meant to be: by index, never all of the table."""
    bad = []
    for title, statement in (("list", 'SELECT * FROM cases."case" WHERE (opened_at, case_id) < (now(), gen_random_uuid()) ORDER BY opened_at'
                              " DESC, case_id DESC LIMIT 1000"),
                             ("similar", 'SELECT case_id FROM cases."case" k WHERE lat IS NOT NULL AND floor(k.lat * 50)::int = -65 AND'
                              " floor(k.lon * 50)::int = 1840 AND coalesce(k.occurred_at, k.opened_at) >= now() - interval '9 days'"
                              " ORDER BY floor(k.lat * 50)::int, floor(k.lon * 50)::int, coalesce(k.occurred_at, k.opened_at) LIMIT 250"),
                             ("figures", 'SELECT * FROM cases."case" c WHERE (c.changed, c.case_id) > (\'5\'::xid8, gen_random_uuid())'
                              " ORDER BY c.changed, c.case_id LIMIT 5000")):
        plan = "\n".join(row[0] for row in stack.sql("EXPLAIN (ANALYZE, BUFFERS) " + statement))
        took = plan.rsplit("Execution Time: ", 1)[1].split("\n")[0]
        print(f"plan of {title}: {took}, {'by index' if 'Seq Scan' not in plan else 'ALL OF THE TABLE'}", flush=True)
        if "Seq Scan" in plan:
            bad.append(plan)
    return bad


def export(stack, count):
    """All cases as CSV: how long it takes, and what the command needs of memory."""
    began = time.monotonic()
    with subprocess.Popen([BIN / "jukwaa", "case", "export", "--format", "csv", "--purpose", "audit"], stdout=subprocess.PIPE,
                          env={**os.environ, **stack.env(stack.keys["all"])}) as process:
        lines = sum(block.count(b"\n") for block in iter(lambda: process.stdout.read(1 << 20), b""))
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode or lines != count + 1:
        raise SystemExit(f"export: status {process.returncode}, {lines} lines")
    took = time.monotonic() - began
    print(f"export: {count} cases in {took:.0f} s, {count / took:.0f} a second, at most {used.ru_maxrss / 1024:.0f} MiB", flush=True)


def bench_cases(cluster, options):
    stack, chance = make(cluster), random.Random(22)
    fill(stack, options.cases)
    bad = explain(stack)
    for plan in bad:
        print(plan)
    service = stack.services["cases"]
    ask = lambda name: Asker(stack, stack.keys[name])  # noqa: E731: a session is ended when it says nothing for long
    counties = [f"{n:03}" for n in range(1, 48)]
    day = 86400 * 10**6
    now = int(time.time() * 1e6)
    lists = [("CaseList", fields) for _ in range(options.rounds * 10) for fields in (
        {}, {"open": True}, {"counties": [chance.choice(counties)]}, {"counties": ["047"], "open": True}, {"category": chance.choice([5, 9])},
        {"agency": f"A{chance.randrange(AGENCIES)}"}, {"constituency": f"{chance.randint(1, 290):03}"}, {"severity_floor": 1},
        {"to_us": now - chance.randint(1, 300) * day, "counties": [chance.choice(counties)]})]
    for name in stack.keys:
        measure(f"list, {name}", ask(name), lists)
    cases = [uuid.UUID(row[0]).bytes for row in stack.sql('SELECT case_id::text FROM cases."case" TABLESAMPLE SYSTEM (1) LIMIT 400')]
    measure("show, all", ask("all"), [("CaseShow", {"case_id": case}) for case in cases])
    measure("similar, all", ask("all"), [("CaseSimilar", {"case_id": case}) for case in cases[:200]])
    before = service.pss_kib()
    began = time.monotonic()
    ask("all").ask("CaseFigures")
    print(f"figures, the first question: {time.monotonic() - began:.1f} s; memory {before / 1024:.0f} -> {service.pss_kib() / 1024:.0f} MiB",
          flush=True)
    figures = [("CaseFigures", fields) for _ in range(options.rounds * 5) for fields in (
        {}, {"counties": [chance.choice(counties)]}, {"agency": f"A{chance.randrange(AGENCIES)}"}, {"from_us": now - 30 * day},
        {"from_us": now - 90 * day, "to_us": now - 60 * day})]
    for name in stack.keys:
        measure(f"figures, {name}", ask(name), figures)
    measure("figures, all, of everything", ask("all"), [("CaseFigures", {})] * 30)
    stack.sql('UPDATE cases."case" SET version = version + 1 WHERE case_id IN (SELECT case_id FROM cases."case" ORDER BY opened_at DESC'
              " LIMIT 4000)")
    measure("figures, after 4,000 changes", ask("all"), [("CaseFigures", {"counties": ["023"]})])
    export(stack, stack.sql('SELECT count(*) FROM cases."case"')[0][0])
    stack.stop()
    if bad:
        raise SystemExit("a plan reads all of the table")
