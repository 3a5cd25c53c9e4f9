"""Figures about many desks: `desks` (one that has stopped beside 99 fast ones) and `storm` (all come back at once with a backlog).
See tests/bench. The events are appended by SQL, so that what is measured is dispatch and the database behind it."""
import contextlib
import hashlib
import json
import os
import pathlib
import subprocess
import threading
import time
import uuid

import zmq
import zmq.utils.z85
from groups import seal
from jukwaa_harness import BIN, Stack, protos, read_key, run_cli, wait_until



def make_body(agency="BENCH"):
    """A body as intake seals it, of a report of some 300 bytes; and its commitment."""
    pb = protos()
    text = pb.Text(language="en", headline="Two vehicles, one lane closed", description=(
        "A lorry and a saloon car have collided at the junction; one person is hurt. Traffic is led past on the shoulder. "
        "A tow truck has been asked for and the traffic police are on the way."))
    return seal(pb.Incident(
        identity=pb.Identity(agency=agency, external_id=uuid.uuid4().hex, revision=1, status=1, msg_type=1),
        classification=pb.Classification(categories=[9], event="Road crash", urgency=1, severity=3, certainty=1),
        times=pb.Times(sent_us=int(time.time() * 1e6)), place=pb.Place(counties=["047"]), narrative=pb.Narrative(texts=[text]),
        handling=pb.Handling(tlp=2, scope=1)))


def append(stack, streams, count, chunk=500):
    """`count` events in all, dealt to the streams in turn, `chunk` a transaction."""
    body, commit = make_body()
    statement = """SELECT count(*) FROM feed.append(
        (SELECT array_agg((%s::text[])[1 + i %% %s] ORDER BY i) FROM generate_series(0, %s) i),
        (SELECT array_agg(gen_random_uuid()) FROM generate_series(0, %s)), array_fill(1::int2, ARRAY[%s]),
        (SELECT array_agg(gen_random_uuid()) FROM generate_series(0, %s)), array_fill(1::int8, ARRAY[%s]),
        array_fill(2::int2, ARRAY[%s]), array_fill(9::int2, ARRAY[%s]), array_fill(%s::bytea, ARRAY[%s]),
        array_fill(%s::bytea, ARRAY[%s]))"""
    with contextlib.closing(stack.cluster.connect(stack.database)) as c, c.cursor() as cursor:
        for done in range(0, count, chunk):
            n = min(chunk, count - done)
            cursor.execute(statement, (streams, len(streams), n - 1, n - 1, n, n - 1, n, n, n, commit, n, body, n))


def add_desks(stack, count, desks=None):
    """`count` keys in a folder, each of a desk of its own (or of `desks` desks in all), which may see everything."""
    folder = pathlib.Path(stack.run / "desks")
    folder.mkdir()
    sign = pathlib.Path(stack.new_key("sign")).read_text().splitlines()
    sign_lines = "\n".join(line for line in sign if line.startswith("sign-"))
    sign_key = read_key(stack.run / "sign.key")["sign-public"]
    rows = []
    for i in range(count):
        public, secret = (zmq.utils.z85.decode(k) for k in zmq.curve_keypair())
        path = folder / f"{i:05}.key"
        path.write_text(f"curve-public = {public.hex()}\ncurve-secret = {secret.hex()}\n{sign_lines}\n")
        path.chmod(0o600)
        rows.append(public)
    desks = desks or count
    stack.admin("agency", "add", "DESKS", "--name", "DESKS")
    stack.sql("INSERT INTO registry.desk (code, agency_id, name) SELECT 'D' || i, agency_id, 'D' || i FROM registry.agency,"
              " generate_series(0, %s) i WHERE code = 'DESKS'", desks - 1)
    stack.sql("INSERT INTO registry.allow (desk_id) SELECT desk_id FROM registry.desk")
    stack.sql("INSERT INTO registry.key (curve_key, sign_key, role, realm, agency_id, desk_id)"
              " SELECT k, %s, 'DESK', 'LIVE', d.agency_id, d.desk_id FROM unnest(%s::bytea[]) WITH ORDINALITY u (k, i)"
              " JOIN registry.desk d ON d.code = 'D' || ((i - 1) %% %s)", sign_key, rows, desks)
    return folder


def spread_cursors(stack, name):
    """A durable cursor for each desk and stream, desk by desk further along it."""
    filter_hash = hashlib.sha256(b"jk-filter-1" + bytes(4)).digest()[:16]
    stack.sql("""INSERT INTO dispatch.cursor (holder, name, stream, seq, chain8, filter)
        SELECT 'D' || d.desk_id, %s, s.stream, s.seq, coalesce(substr(e.chain, 1, 8), decode(repeat('00', 8), 'hex')), %s
        FROM (SELECT desk_id, row_number() OVER (ORDER BY desk_id) - 1 AS i, count(*) OVER () AS n FROM registry.desk) d
        CROSS JOIN LATERAL (SELECT c.county AS stream, coalesce((h.last_seq - 1) * d.i / d.n, 0) AS seq
                            FROM registry.county c LEFT JOIN feed.head h ON h.stream = c.county) s
        LEFT JOIN feed.event e ON e.stream = s.stream AND e.seq = s.seq""", name, filter_hash)


def proc_cpu_s(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_kib(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmHWM:"))


def backends(stack):
    return [row[0] for row in stack.sql("SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'jukwaa-dispatch%%'")]


class Watch:
    """What dispatch and its backends use between two looks."""

    def __init__(self, stack):
        self.stack, self.service = stack, stack.services["dispatch"]
        self.pids = backends(stack)
        stack.sql("SELECT pg_stat_statements_reset()")
        self.dispatch_s = proc_cpu_s(self.service.process.pid)
        self.database_s = sum(map(proc_cpu_s, self.pids))
        self.counters = self.read()

    def read(self):
        metric = self.service.metric
        return {"misses": metric("jukwaa_dispatch_cache_total", "miss"), "read": metric("jukwaa_dispatch_events_read_total"),
                "ranges": metric("jukwaa_dispatch_disclosures_total")}

    def end(self):
        now = self.read()
        kinds = self.stack.sql("""SELECT CASE WHEN query LIKE '%%bytes_before%%' THEN 'blocks'
            WHEN query LIKE '%%INTO dispatch.disclosure%%' THEN 'reserve' WHEN query LIKE '%%INTO dispatch.cursor%%' THEN 'cursors'
            WHEN query LIKE 'UPDATE dispatch.disclosure%%' THEN 'close' WHEN query LIKE '%%feed.append%%' THEN 'append'
            WHEN query LIKE '%%WITH ORDINALITY AS q%%' THEN 'find' ELSE 'other' END,
            sum(calls)::bigint, sum(rows)::bigint, round(sum(total_exec_time)::numeric / 1000, 2)
            FROM pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid WHERE rolname = 'jukwaa_dispatch' GROUP BY 1 ORDER BY 1""")
        return {"dispatch_cpu_s": round(proc_cpu_s(self.service.process.pid) - self.dispatch_s, 1),
                "backend_cpu_s": round(sum(map(proc_cpu_s, self.pids)) - self.database_s, 1),
                "peak_mib": round(peak_kib(self.service.process.pid) / 1024, 1),
                "queries": {k: {"calls": int(c), "rows": int(n), "s": float(s)} for k, c, n, s in kinds},
                **{k: int(now[k] - v) for k, v in self.counters.items()}}


def storm_command(stack, folder, *args):
    return [BIN / "jukwaa", "--json", "bench", "storm", "--keys", str(folder), *map(str, args)]


def make(cluster, desks, one_desk=False):
    stack = Stack(services=(), cluster=cluster)
    stack.sql("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    stack.add_publisher("BENCH")
    return stack, add_desks(stack, desks, 16 if one_desk else None)


def storm(cluster, options, title, streams, batch=32768, spread=False, cursor=False):
    stack, folder = make(cluster, options.desks)
    append(stack, streams, options.backlog)
    stack.sql("VACUUM ANALYZE feed.event")
    extra = []
    if spread or cursor:
        extra = ["--cursor", "storm"]
    if spread:
        spread_cursors(stack, "storm")
    stack.services["dispatch"].start()
    watch = Watch(stack)
    command = storm_command(stack, folder, "--desks", options.desks, "--total", options.backlog, "--batch-bytes", batch, "--timeout", 60,
                            *extra)
    done = subprocess.run(command, capture_output=True, text=True,
                          env={**os.environ, **stack.env(stack.server_key)}, timeout=3600)
    if not done.stdout:
        raise SystemExit(f"storm: {done.stderr}\n{stack.services['dispatch'].log()}")
    got, used = json.loads(done.stdout.splitlines()[-1]), watch.end()
    print(f"storm, {title}: {options.desks} desks, {options.backlog} events in {len(streams)} streams each: "
          f"{got['done']} done in {got['seconds']:.1f} s (subscribed {got['subscribed_s']:.1f} s, desk p50 {got['p50_s']:.1f} s), "
          f"{got['deliveries']} deliveries, {got['per_second'] / 1000:.0f} thousand/s, {got['holes']} holes, "
          f"{got['repeats']} repeats, {got['refused']} refused, {got['sessions_lost']} lost", flush=True)
    print(f"  dispatch {used['dispatch_cpu_s']} s CPU, peak {used['peak_mib']} MiB; backends {used['backend_cpu_s']} s CPU; "
          f"{used['read']} events read ({used['read'] / options.backlog:.1f} times the backlog), {used['ranges']} ranges", flush=True)
    queries = (f"{k} {v['calls']} ({v['rows']} rows, {v['s']} s)" for k, v in used["queries"].items())
    print(f"  queries: {', '.join(queries)}", flush=True)
    stack.stop()
    return got, used


COUNTIES = [f"{n:03}" for n in range(1, 48)]


def bench_storm(cluster, options):
    for title, streams, how in (("one county", ["047"], {}), ("all counties", COUNTIES, {}),
                                ("all counties, durable cursors", COUNTIES, {"cursor": True}),
                                ("one county, desks at different places", ["047"], {"spread": True}),
                                ("one county, without batches", ["047"], {"batch": 0})):
        if not options.only or options.only in title:
            storm(cluster, options, title, streams, **how)


def live(stack, folder, options, stopped):
    """p99 of the fast desks while events come at a rate; `stopped` of the desks never acknowledge."""
    driver = subprocess.Popen(storm_command(stack, folder, "--desks", 100, "--live", options.seconds, "--stopped", stopped),
                              stdout=subprocess.PIPE, text=True, env={**os.environ, **stack.env(stack.server_key)})
    end = threading.Event()

    def feed():
        period, due = 0.02, time.monotonic()
        hints = zmq.Context.instance().socket(zmq.PUB)  # as intake does after each batch
        hints.bind(f"ipc://{stack.run}/intake.hint")
        with contextlib.closing(stack.cluster.connect(stack.database)) as c, c.cursor() as cursor:
            cursor.execute("SET synchronous_commit = off")  # a stall of the disk is none of dispatch's
            body, commit = make_body()
            n = max(1, int(options.rate * period))
            while not end.is_set():
                cursor.execute("SELECT count(*) FROM feed.append(%s::text[], %s::uuid[], %s::int2[], %s::uuid[], %s::int8[],"
                               " %s::int2[], %s::int2[], %s::bytea[], %s::bytea[])",
                               ([COUNTIES[i % 47] for i in range(n)], [str(uuid.uuid4()) for _ in range(n)], [1] * n,
                                [str(uuid.uuid4()) for _ in range(n)], [1] * n, [2] * n, [9] * n, [commit] * n, [body] * n))
                hints.send(b"h")
                due += period
                time.sleep(max(0, due - time.monotonic()))
        hints.close(linger=0)
    service = stack.services["dispatch"]
    wait_until(lambda: service.metric("jukwaa_dispatch_sessions") >= 100, 30, "desks connected")
    thread = threading.Thread(target=feed)
    thread.start()
    out = driver.communicate()[0]
    end.set()
    thread.join()
    return json.loads(out.splitlines()[-1])


def bench_desks(cluster, options):
    stack, folder = make(cluster, 100)
    stack.services["dispatch"].start()
    rounds = {0: [], 1: []}
    live(stack, folder, options, 0)  # warm
    for i in range(options.rounds):
        for stopped in ((0, 1) if i % 2 == 0 else (1, 0)):
            got = live(stack, folder, options, stopped)
            rounds[stopped].append(got)
            peak = peak_kib(stack.services["dispatch"].process.pid) / 1024
            print(f"  round {i + 1}, {stopped} of 100 stopped: {got['deliveries']} deliveries, p50 {got['p50_ms']:.2f} ms, "
                  f"p99 {got['p99_ms']:.2f} ms, dispatch peak {peak:.1f} MiB", flush=True)
    p99 = {k: sorted(g["p99_ms"] for g in v)[len(v) // 2] for k, v in rounds.items()}
    p50 = {k: sorted(g["p50_ms"] for g in v)[len(v) // 2] for k, v in rounds.items()}
    print(f"desks: p99 of the fast ones {p99[0]:.2f} ms, with one stopped {p99[1]:.2f} ms: {p99[1] / p99[0]:.2f} times; "
          f"p50 {p50[0]:.2f} and {p50[1]:.2f} ms "
          f"({options.rate} events/s to 100 desks, {options.seconds} s, median of {options.rounds})", flush=True)
    stack.stop()
