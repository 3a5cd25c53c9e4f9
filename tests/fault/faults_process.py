"""Faults of processes: killed, stopped, started twice, rolled."""
import json
import os
import signal
import sqlite3
import subprocess
import time

from clients import Receipt
from jukwaa_harness import BIN, wait_until
from suite import fault
from world import LONG

INTAKE_POINTS = (
    ("intake_after_read", 40),                  # a report is in memory, nothing of it anywhere else
    ("db_before_sync/intake_append", 1),        # all statements handed over, no Sync
    ("db_after_sync/intake_append", 1),         # the commit is under way, its answer unknown
    ("intake_before_receipt", 100),             # committed; some of the batch have their receipt, some have not
)
OUTBOX_POINTS = ("outbox_before_fsync", "outbox_after_fsync", "publisher_after_send", "publisher_after_receipt")
DISPATCH_POINTS = (
    ("dispatch_after_send", 100),               # a copy is on its way, nothing acknowledged
    ("dispatch_after_ack", 10),                 # acknowledged, the cursor not written
    ("db_before_sync/dispatch_cursor_save", 1),
    ("db_after_sync/dispatch_cursor_save", 1),
    ("db_after_sync/dispatch_reserve", 1),      # the disclosure may be written down, nothing of it is sent
)


def crash_at_each(run, service, points, reports, rate=None):
    """One exchange; the service dies at each of the points in turn, under load (rate: reports a second of each publisher)."""
    with run.world() as world:
        for point, most in points:
            world.plan_crash(service, f"{point}:{run.random.randrange(1, most + 1)}")
            load = world.load(reports, "c", rate=rate)
            world.moment(load)
            # A new registry version ends what was reserved: dispatch writes disclosures anew.
            bump = (lambda: world.stack.admin("agency", "add", "NEWCOMER", "--name", "x")) if "reserve" in point else None
            world.crash(service, load, bump)
            world.restart(service)
            load.wait()
        run.judge(world)


# ---- F1

class OutboxPublisher:
    """`jukwaa publish --outbox` as one publisher: its notes, for the checker."""

    def __init__(self, world, agency, reports):
        self.world, self.agency, self.reports, self.receipts, self.final = world, agency, reports, [], {}
        self.numbers = {(r.external_id, r.revision): i for i, r in enumerate(reports)}
        self.outbox = world.stack.run / f"outbox-{len(world.publishers)}-{world.injected}.db"
        self.file = self.outbox.with_suffix(".jsonl")
        self.file.write_bytes(b"".join(r.payload() + b"\n" for r in reports))
        world.publishers.setdefault(agency, []).append(self)
        self.halt = False

    def run(self, *files, env=None, limit_kib=None):
        """One run; its exit status. What it printed is noted. limit_kib: no file of it may grow beyond that."""
        limit = ["prlimit", f"--fsize={limit_kib * 1024}", "env", "--ignore-signal=XFSZ"] if limit_kib else []
        process = subprocess.run([*limit, BIN / "jukwaa", "--json", "publish", "--outbox", self.outbox, "--format", "json", *files],
                                 env={**os.environ, **self.world.stack.env(self.world.agencies[self.agency]), **(env or {})},
                                 capture_output=True, text=True, timeout=60)
        for line in process.stdout.splitlines():
            try:
                self.note(json.loads(line))
            except json.JSONDecodeError:
                pass  # it died while it wrote this line
        return process

    def note(self, said):
        number = self.numbers[said["external_id"], int(said["revision"])]
        receipt = Receipt(number, self.reports[number], said["verdict"], said.get("code", ""), said["event_id"].replace("-", ""),
                          said["incident_id"].replace("-", ""),
                          tuple((p["county"], int(p["seq"]), p["chain"]) for p in said["positions"]), time.monotonic())
        self.receipts.append(receipt)
        self.final.setdefault(number, receipt)

    def waiting(self):
        """External ids that the outbox holds."""
        if not self.outbox.exists():
            return []
        with sqlite3.connect(f"file:{self.outbox}?mode=ro", uri=True) as db:
            return [json.loads(row[0])["identity"]["external_id"] for row in db.execute("SELECT payload FROM waiting")]


@fault("F1", "kill -9 publisher at four points of its outbox")
def kill_publisher(run):
    """Kills `jukwaa publish --outbox` before the outbox is on disk, after that, after sending, and between a receipt and its mark;
    then empties the outbox with nothing else at hand, then publishes the whole file again."""
    count = run.count(600, 200)
    with run.world(services=("intake", "dispatch", "cases")) as world:
        for i, point in enumerate(OUTBOX_POINTS):
            publisher = OutboxPublisher(world, "KPS", world.reports(count, f"o{i}-", updates=0))
            at = run.random.randrange(count // 5, count * 4 // 5)
            process = publisher.run(publisher.file, env={"JUKWAA_CRASH_POINT": f"{point}:{at}"})
            run.expect(process.returncode == -signal.SIGKILL and "crash_point name=" in process.stderr,
                       f"publisher ended with {process.returncode}, not at {point}: {process.stderr[-500:]}")
            world.broke(count - len(publisher.final))
            left = publisher.waiting()
            run.expect(left or point == "outbox_before_fsync", f"{point}: the outbox holds nothing")
            process = publisher.run()
            run.expect(process.returncode == 0, f"emptying the outbox: {process.stderr[-500:]}")
            stored = {row[0] for row in world.sql("SELECT external_id FROM intake.report")}
            run.findings.lost += [f"{one} was in the outbox and is not stored" for one in left if one not in stored]
            run.expect(publisher.waiting() == [], "the outbox is empty at the end")
            process = publisher.run(publisher.file)
            run.expect(process.returncode == 0 and len(publisher.final) == count, f"the whole file again: {process.stderr[-500:]}")
        run.judge(world)


@fault("F2", "kill -9 intake at four points of a batch", quick=True)
def kill_intake(run):
    """Kills intake after reading a report, after the statements and before Sync, after Sync and before the reply, and between two
    receipts of one batch; restarts it; publishers repeat what has no answer."""
    crash_at_each(run, "intake", INTAKE_POINTS, run.count(3000, 1000))


# ---- F13

@fault("F13", "SIGSTOP dispatch, intake and a desk, then SIGCONT")
def stop_processes(run):
    """Freezes dispatch, intake, and a desk's program (jukwaa watch) for longer than a session lives without a sign (15 s), under
    load; 60 s each with JUKWAA_TEST_LONG. Nothing may be lost, end or grow without bound."""
    seconds = 60 if LONG else run.count(18, 2)
    with run.world() as world:
        watch = start_watch(world)
        for victim in ("dispatch", "intake", "a desk"):
            load = world.load(run.count(3000, 1000), "f")
            world.moment(load)
            process = watch if victim == "a desk" else world.stack.services[victim].process
            process.send_signal(signal.SIGSTOP)
            world.broke(load.outstanding())
            before = len(world.desks[0].deliveries)
            end = time.monotonic() + seconds
            wait_until(lambda: time.monotonic() > end, seconds + 5, "the freeze is over")
            if victim == "a desk":
                run.expect(len(world.desks[0].deliveries) > before, "the other desks go on while one is frozen")
            process.send_signal(signal.SIGCONT)
            load.wait()
        run.judge(world)
        judge_watch(run, world, watch)
        for name in world.running:
            service = world.stack.services[name]
            run.expect(service.process.poll() is None, f"{name} is still the same process")
            run.expect(service.pss_kib() < 200 * 1024, f"{name} takes {service.pss_kib()} KiB")


def start_watch(world):
    """`jukwaa watch` as a desk of its own with the rights of ALL."""
    key = world.stack.add_desk("WATCH")
    world.stack.wait_known(key, "dispatch")
    with open(world.stack.run / "watch.out", "w") as out, open(world.stack.run / "watch.err", "w") as err:
        return subprocess.Popen([BIN / "jukwaa", "--json", "watch", "--all", "--from", "beginning", "--resume",
                                 world.stack.run / "watch.resume"], env={**os.environ, **world.stack.env(key)}, stdout=out, stderr=err)


def judge_watch(run, world, process):
    """The frozen program has everything its desk is entitled to, in order, each once."""
    path = world.stack.run / "watch.out"
    wanted = set(world.checker().wanted_by(world.desks[0]))

    def shown():
        lines = path.read_text().splitlines(keepends=True)[:-1]
        return [(e["stream"], e["seq"]) for e in map(json.loads, lines) if "seq" in e and e["kind"] != "RECALLED"]
    try:
        wait_until(lambda: len(set(shown())) >= len(wanted) - 1, 30, "jukwaa watch shows everything")
    except AssertionError:
        pass
    process.terminate()
    process.wait()
    events = [e for e in map(json.loads, path.read_text().splitlines()) if "seq" in e]
    # A newer revision that it may not have takes the earlier copy back: ids alone, and only where it had one in this stream.
    had = {}
    for e in events:
        if e["kind"] == "RECALLED" and had.get((e["stream"], e["incident_id"]), e["seq"]) >= e["seq"]:
            run.findings.foreign.append(f"jukwaa watch was told of an incident it had nothing of: {e['stream']}/{e['seq']}")
        had.setdefault((e["stream"], e["incident_id"]), e["seq"])
    places = [(e["stream"], e["seq"]) for e in events if e["kind"] != "RECALLED"]
    run.findings.lost += [f"jukwaa watch never showed {p}" for p in wanted - set(places)]
    run.findings.foreign += [f"jukwaa watch showed {p}" for p in set(places) - wanted]
    run.findings.repeated += [f"jukwaa watch showed {len(places) - len(set(places))} events twice"] if len(places) > len(set(places)) else []


# ---- F14

@fault("F14", "kill -9 dispatch between send, ack and cursor; two of them", quick=True)
def kill_dispatch(run):
    """Kills dispatch after a copy is sent, after an acknowledgement, and around the writing of cursors and disclosures; then lets
    two dispatches serve one desk under one cursor."""
    crash_at_each(run, "dispatch", DISPATCH_POINTS[:2] if run.small else DISPATCH_POINTS, run.count(2000, 800), rate=run.count(250, 200))
    if not run.small:
        two_dispatches(run)


def two_dispatches(run):
    """Between them they give the desk everything it is entitled to; the cursor, which both write, never goes back."""
    with run.world() as world:
        world.add_service("dispatch", "dispatch2").start()
        one = next(d for d in world.desks if d.cursor)
        one.forgets_s = one.ended_at = 1e9  # the other session's position counts: what this desk acknowledged may come again
        twin = type(one)("ONE at the other", world.stack.endpoints["dispatch2"], one.key, one.server_key, one.counties, one.cursor)
        twin.forgets_s = twin.ended_at = 1e9
        twin.seen = one.seen  # one desk with two screens: under a shared cursor either of them having an event is enough
        world.desks.append(twin)
        twin.start()
        wait_until(lambda: twin.sessions, 10, "the twin has a session")
        load, highest = world.load(3000, rate=250), {}
        for i, _ in enumerate(world.moments(load, 20)):
            for stream, seq in world.sql("SELECT stream, seq FROM dispatch.cursor WHERE name = %s", one.cursor):
                run.expect(seq >= highest.get(stream, 0), f"the cursor of {stream} went back from {highest.get(stream)} to {seq}")
                highest[stream] = seq
            if i == 10:
                wait_until(load.outstanding, 5, "a report under way")
                world.stack.services["dispatch2"].kill()
                world.broke(load.outstanding() or world.undelivered())
                world.stack.services["dispatch2"].start(ready=False)
        load.wait()
        run.judge(world)


# ---- F30, F32

@fault("F30", "rolling restart of every service under load")
def roll(run):
    """SIGTERM and start again for each service in turn, with reports and deliveries under way; each must leave orderly."""
    with run.world() as world:
        load = world.load(run.count(6000, 2000))
        for name, _ in zip(world.running, world.moments(load, len(world.running))):
            outstanding = load.outstanding()
            status = world.stack.services[name].stop()
            run.expect(status == 0, f"{name} ended with {status} at SIGTERM")
            world.broke(outstanding)
            world.restart(name, ready=False)
        load.wait()
        run.judge(world)


@fault("F32", "a follower paused while another takes over")
def two_followers(run):
    """Two cases and two notify processes on one database. One of each is frozen in the middle of the feed while the other goes on,
    then wakes with an old position: the position is the fencing number, and the database refuses it."""
    with run.world() as world:
        world.add_rule()
        for kind in ("cases", "notify"):
            world.add_service(kind, f"{kind}2")
        load = world.load(run.count(4000, 1500))
        moments = world.moments(load, 2)
        next(moments)
        frozen = [world.stack.services[kind].process for kind in ("cases", "notify")]
        for process in frozen:
            process.send_signal(signal.SIGSTOP)
        world.broke(load.outstanding())
        for kind in ("cases", "notify"):
            world.stack.services[f"{kind}2"].start()
        next(moments)
        for kind in ("cases", "notify"):
            wait_until(lambda k=kind: world.sql(f"SELECT sum(seq) FROM {k}.cursor") > [(load.total // 2,)] or world.behind(k) == 0,
                       30, f"the second {kind} goes on")
        for process in frozen:
            process.send_signal(signal.SIGCONT)
        load.wait()
        run.judge(world)
