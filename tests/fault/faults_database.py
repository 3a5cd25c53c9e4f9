"""Faults between the services and PostgreSQL, and of PostgreSQL itself."""
import collections
import contextlib
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import tempfile
import threading

from jukwaa_harness import Cluster, scratch, wait_until
from proxy import DOWN, UP, Commits
from suite import fault

LOSING = ["synchronous_commit = off", "wal_buffers = 64MB"]


@fault("F3", "link intake-PostgreSQL cut after Sync: answers lost", quick=True)
def lose_commit_answers(run):
    """A proxy throws away PostgreSQL's answers to a commit and then cuts the connection: committed, and intake cannot know.
    No receipt may be built on it; the batch runs again and finds its own rows, with the same ids."""
    with run.world(proxied=("intake",)) as world:
        tap = world.proxies["intake"].tap = Commits("intake_append")
        load = world.load(run.count(6000, 1500))
        for _ in world.moments(load, run.count(10, 3)):
            swallowed, tap.count = tap.swallowed, 1
            wait_until(lambda n=swallowed: tap.swallowed > n or load.is_done(), 20, "a commit whose answer is lost")
            world.broke(load.outstanding() if tap.swallowed > swallowed else 0)
        load.wait()
        again = sum(r.verdict == "DUPLICATE" for p in load.publishers for r in p.final.values())
        run.expect(again > 0, "what was committed unseen is answered DUPLICATE")
        run.judge(world)


def stop_immediately(world, load):
    """PostgreSQL as after a power cut, and up again."""
    world.cluster.stop("immediate")
    world.broke(load.outstanding())
    world.cluster.start()


@fault("F4", "PostgreSQL stopped immediately under load")
def stop_postgresql(run):
    """`pg_ctl stop -m immediate` in the middle of the load, start again; services come back by themselves."""
    with run.world(cluster=Cluster()) as world:
        load = world.load(run.count(9000, 1500))
        for _ in world.moments(load, run.count(3, 1)):
            stop_immediately(world, load)
        load.wait()
        run.judge(world)


def lose_by_rule(run):
    """One crash of a PostgreSQL that does not wait for its disk; what the checker says of it. Only intake runs. The process that
    would write the log a moment later stands still, so that a crash at any moment loses something."""
    with run.world(services=("intake",), cluster=Cluster(LOSING)) as world:
        writer = world.sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'")[0][0]
        os.kill(writer, signal.SIGSTOP)
        load = world.load(3000)
        world.moment(load)
        load.halt()
        world.cluster.stop("immediate")
        world.cluster.start()
        return world.checker().check(cases=False)


@fault("F5", "F4 with synchronous_commit=off: must be seen as loss")
def guard_the_checker(run):
    """The same with synchronous_commit=off loses what was receipted, and the checker must say so: this guards the checker. The
    losses are expected, so the row shows none; the number found is in the note."""
    for attempt in range(5):
        found = lose_by_rule(run)
        if found.lost:
            run.injected += 1
            run.remark(f"the checker found {len(found.lost)} lost, as it must")
            return
    raise AssertionError("five crashes with synchronous_commit=off, and the checker saw no loss")


def hit_one(connection, number):
    """Ends the statement, or the session, of one service that has a statement under way. Its name; None: all were idle."""
    call = ("pg_terminate_backend", "pg_cancel_backend", "pg_cancel_backend")[number % 3]
    with connection.cursor() as cursor:
        cursor.execute(f"""SELECT application_name FROM (SELECT pid, application_name FROM pg_stat_activity WHERE state = 'active'
            AND datname = current_database() AND application_name LIKE 'jukwaa-%' ORDER BY random() LIMIT 1) b, LATERAL {call}(b.pid) done
            WHERE done""")
        row = cursor.fetchone()
        return row and row[0]


def waiting_for_standby(world):
    """Process ids of intake's connections that wait for a standby."""
    return [row[0] for row in world.sql("SELECT pid FROM pg_stat_activity WHERE datname = %s AND wait_event = 'SyncRep' "
                                        "AND application_name = 'jukwaa-intake'", world.stack.database)]


@fault("F6", "sessions terminated, statements and commits cancelled", quick=True)
def terminate_sessions(run):
    """pg_terminate_backend and pg_cancel_backend on the services' connections at random; then both while commits wait for a
    standby that never answers: a commit whose wait was ended is no success, and must not be receipted."""
    if not run.small:
        hit_at_random(run)
    cancel_waits(run)


def hit_at_random(run):
    with run.world(cluster=Cluster()) as world, contextlib.closing(world.cluster.connect(world.stack.database)) as connection:
        load, hit = world.load(9000), collections.Counter()
        for i, _ in enumerate(world.moments(load, 30)):
            name = wait_until(lambda n=i: hit_one(connection, n) or load.is_done(), 20, "a service at work in the database")
            if name is not True:
                hit[name] += 1
                world.broke(load.outstanding())
        load.wait()
        run.remark("hit " + ", ".join(f"{name.removeprefix('jukwaa-')} {n}" for name, n in hit.items()))
        run.judge(world)


def cancel_waits(run):
    """Commits wait for a standby that is not there; the wait is cancelled, or its session ended. Until the standby's part is
    really done nothing of it may be called stored."""
    with run.world(cluster=Cluster()) as world:
        set_standby(world, "nobody")
        load = world.load(600, "sync")
        wait_until(lambda: waiting_for_standby(world), 20, "intake waits for the standby")
        before = {id(r) for p in load.publishers for r in p.final.values()}  # receipted before the setting was in force
        for call in ("pg_cancel_backend", "pg_terminate_backend", "pg_cancel_backend"):
            pids = wait_until(lambda: waiting_for_standby(world), 20, "intake waits for the standby")
            ended = pids[0], world.sql("SELECT xact_start FROM pg_stat_activity WHERE pid = %s", pids[0])
            world.sql(f"SELECT {call}(%s)", pids[0])
            world.broke(load.outstanding())
            # Whatever intake makes of it, it tries again, and waits again (on another session, or in another transaction).
            wait_until(lambda e=ended: [p for p in waiting_for_standby(world) if (p, world.sql(
                "SELECT xact_start FROM pg_stat_activity WHERE pid = %s", p)) != e] or load.receipts() > len(before), 20, "intake tries again")
        early = [r for p in load.publishers for r in p.final.values() if id(r) not in before]
        run.findings.lost += [f"{r.verdict} for {r.report.external_id}, which no standby has" for r in early]
        set_standby(world, "")
        load.wait()
        run.judge(world)


def set_standby(world, name):
    world.sql(f"ALTER SYSTEM SET synchronous_standby_names = '{name}'")
    world.sql("SELECT pg_reload_conf()")


@contextlib.contextmanager
def small_disk(size):
    """A file system of so many MiB, for root; None where none can be had."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="disk", dir=scratch()))
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}m,mode=0777", "jukwaa-fault", folder], capture_output=True)
    try:
        yield folder if done.returncode == 0 else None
    finally:
        if done.returncode == 0:
            subprocess.run(["umount", "-l", folder], check=False)


@fault("F7", "disk full for WAL, and for the publisher's outbox")
def fill_disks(run):
    """The file system of pg_wal fills up under load (PostgreSQL stops itself then), is emptied, and PostgreSQL is started again as
    an init system would; a publisher's outbox that cannot grow says so and loses nothing."""
    with small_disk(96) as disk:
        if disk is None:
            run.remark("WAL left out: no right to mount a small file system")
        else:
            fill_wal(run, disk)
    fill_outbox(run)


def fill_wal(run, disk):
    cluster = Cluster(["max_wal_size = 64MB", "min_wal_size = 32MB"])
    cluster.stop("fast")
    wal = cluster.data / "pg_wal"
    shutil.copytree(wal, disk / "wal")
    shutil.rmtree(wal)
    wal.symlink_to(disk / "wal")
    if cluster.user:
        for path in [disk / "wal", *(disk / "wal").rglob("*")]:
            os.chown(path, cluster.user.pw_uid, cluster.user.pw_gid)
    cluster.start()
    try:
        with run.world(cluster=cluster) as world:
            load = world.load(12000)
            world.moment(load, 0.2, 0.3)
            ballast = disk / "ballast"
            with open(ballast, "wb") as f:
                with contextlib.suppress(OSError):
                    while True:
                        f.write(b"\0" * 65536)
            wait_until(lambda: sum(p.busy for p in load.publishers) > 0, 60, "publishers hear BUSY")
            world.broke(load.outstanding())
            ballast.unlink()
            cluster.stop("immediate")
            cluster.start()
            load.wait()
            run.judge(world)
    finally:
        cluster.stop()


def fill_outbox(run):
    """The process may write files of 300 KiB at most (RLIMIT_FSIZE): the outbox cannot grow any more."""
    from faults_process import OutboxPublisher
    with run.world(services=("intake", "dispatch", "cases")) as world:
        publisher = OutboxPublisher(world, "KPS", world.reports(3000, "full-", updates=0))
        world.stack.services["intake"].stop()  # nothing is taken away, so the outbox must grow
        process = publisher.run("--timeout", "3", publisher.file, limit_kib=300)
        run.expect(process.returncode not in (0, -11, -6), f"a full disk is told: {process.returncode}")
        run.expect("outbox" in process.stderr, f"the outbox is named: {process.stderr[-300:]}")
        left = publisher.waiting()
        world.broke(len(left))
        world.stack.services["intake"].start()
        run.expect(publisher.run().returncode == 0, "the outbox is emptied")
        stored = {row[0] for row in world.sql("SELECT external_id FROM intake.report")}
        run.findings.lost += [f"{one} was in the outbox and is not stored" for one in left if one not in stored]
        run.expect(publisher.run(publisher.file).returncode == 0, "the whole file again")
        run.judge(world)


@fault("F26", "a snapshot held open for long under load")
def hold_snapshot(run):
    """A transaction holds its snapshot (30 s; 30 minutes with JUKWAA_TEST_LONG) while the load goes on: dead rows of heads and
    cursors cannot be removed. The time from report to desk at the end is compared with that at the beginning."""
    seconds = 1800 if os.environ.get("JUKWAA_TEST_LONG") else run.count(30, 5)
    with run.world() as world:
        load = world.load(int(seconds * 240), rate=100)
        load.wait_receipts(load.total // 10)
        early = delays(world, load, load.total // 10)
        with contextlib.closing(world.cluster.connect(world.stack.database)) as holder, holder.cursor() as cursor:
            holder.autocommit = False
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("SELECT count(*) FROM feed.event")
            world.broke(wait_until(load.outstanding, 10, "a report under way while the snapshot is held"))
            load.wait(seconds * 4 + 60)
            late = delays(world, load, load.total // 10)
        run.remark(f"median from receipt to desk {early * 1000:.0f} ms before, {late * 1000:.0f} ms at the end")
        run.expect(late < early * 3 + 0.25, f"from receipt to desk {early:.3f} s before, {late:.3f} s with the snapshot held")
        run.judge(world)


def delays(world, load, count):
    """Median time between a receipt and its delivery, of the last `count` deliveries."""
    desk = world.desks[0]
    receipts = {r.event_id: r.at for p in load.publishers for r in p.final.values()}
    found = [d.at - receipts[d.event_id] for d in desk.deliveries[-count:] if d.event_id in receipts]
    return statistics.median(found)


@fault("L1", "client links delayed, cut, truncated, doubled, deaf")
def break_links(run):
    """A proxy before intake and one before dispatch hold back, cut, cut within a message, send bytes twice, or lose all bytes of
    one direction for longer than a client is patient. With CURVE a doubled or missing piece ends the connection; clients come
    again."""
    with run.world(desks=False) as world:
        gates = [world.put_before_service("intake"), world.put_before_service("dispatch")]
        world.add_desks()
        world.wait_known(())
        kinds = ("cut", "truncate", "twice", "delay", "deaf")[:run.count(5, 4)]
        for gate in gates:
            for kind in kinds:
                load = world.load(run.count(2000, 600), kind)
                world.moment(load)
                break_link(run, world, load, gate, kind)
                load.wait()
        run.judge(world)


def break_link(run, world, load, gate, kind):
    way = run.random.choice((UP, DOWN))
    outstanding = load.outstanding() or world.undelivered()
    if kind == "cut":
        run.expect(gate.cut() > 0, "there was a connection to cut")
    elif kind == "truncate":
        gate.truncate_after[way] = 0
        wait_until(lambda: gate.truncated and way not in gate.truncate_after or load.is_done(), 10, "a message was cut in two")
    elif kind == "twice":
        gate.twice.add(way)
        wait_until(lambda: way not in gate.twice or load.is_done(), 10, "bytes were sent twice")
    elif kind == "delay":
        gate.delay_s = 0.2
        load.wait_receipts(load.receipts() + 100)
        gate.delay_s = 0.0
    else:
        gate.deaf.add(way)
        thrown = gate.thrown_bytes
        until = threading.Event()
        threading.Timer(3.0, until.set).start()
        wait_until(until.is_set, 10, "three seconds of deafness")
        gate.cut()  # first: TCP never goes on after a hole
        gate.deaf.discard(way)
        run.expect(gate.thrown_bytes > thrown or kind != "deaf", "bytes were lost")
    world.broke(outstanding)
