"""Faults of what is said: contention, poison, repetition, order, hints, positions, keys and agreements."""
import contextlib
import statistics
import threading
import time

import zmq

from clients import Report
from jukwaa_harness import Cluster, Peer, wait_until
from suite import fault
from world import LONG, Load


@fault("F8", "two intakes, contended keys and counties, deadlocks")
def contend(run):
    """The same reports from two publishers of one agency, through two intakes, in opposite order, over eight counties; a third
    session locks the heads in falling order (deadlocks), and a trigger raises serialization errors at random."""
    with run.world(intakes=2, cluster=Cluster(["deadlock_timeout = 20ms"])) as world:
        world.sql("CREATE SEQUENCE public.unlucky")
        world.sql("""CREATE FUNCTION public.fail_sometimes() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF random() < 0.05 THEN PERFORM nextval('public.unlucky'); RAISE EXCEPTION 'unlucky' USING ERRCODE = '40001'; END IF;
            RETURN NULL; END $$""")
        world.sql("GRANT USAGE ON SCHEMA public TO PUBLIC; GRANT ALL ON SEQUENCE public.unlucky TO PUBLIC")
        world.sql("CREATE TRIGGER unlucky AFTER UPDATE ON feed.head FOR EACH STATEMENT EXECUTE FUNCTION public.fail_sometimes()")
        reports = world.reports(run.count(4000, 1000), "k", updates=0)
        load = Load([world.publisher("KPS", reports, "intake"), world.publisher("KPS", reports[::-1], "intake2")])
        load.wait_receipts(load.total // 10)
        lockers, stop = [], threading.Event()
        lockers.append(threading.Thread(target=lock_heads, args=(world, stop), daemon=True))
        lockers[0].start()
        world.moment(load)
        outstanding = load.outstanding()
        load.wait()
        stop.set()
        lockers[0].join()
        deadlocks = world.sql("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")[0][0]
        errors = world.sql("SELECT last_value, is_called FROM public.unlucky")[0]
        run.expect(errors[1], "serialization errors were raised")
        run.expect(deadlocks > 0 or run.small, "there was a deadlock")
        for _ in range(int(deadlocks) + int(errors[0])):
            world.broke(outstanding)
        run.remark(f"{deadlocks} deadlocks, {errors[0]} serialization errors")
        run.judge(world)


def lock_heads(world, stop):
    """Locks the heads of the counties one by one from the highest, again and again: the wrong way round."""
    with contextlib.closing(world.cluster.connect(world.stack.database)) as connection, connection.cursor() as cursor:
        connection.autocommit = False
        while not stop.is_set():
            try:
                for county in range(8, 0, -1):
                    cursor.execute("SELECT 1 FROM feed.head WHERE stream = %s FOR UPDATE", (f"{county:03d}",))
                connection.rollback()
                stop.wait(0.01)
            except Exception:  # the deadlock may end this side instead
                connection.rollback()


@fault("F9", "a poison row at each position of a batch of 256", quick=True)
def poison_rows(run):
    """The database refuses one row. Intake is held by a lock until 256 reports are queued, so they are one batch; the poison stands
    at another position each time. Only it is refused; its neighbours are stored once."""
    size = run.count(256, 64)
    positions = list(range(size)) if LONG else sorted({0, size - 1, *run.random.sample(range(size), run.count(38, 6))})
    with run.world(services=("intake", "dispatch", "cases")) as world:
        world.sql("ALTER TABLE intake.report ADD CHECK (external_id NOT LIKE 'poison%%')")
        poisoned = world.publisher("KPS", [])
        opener = world.publisher("KRCS", [])
        peers = [Peer(p.endpoint, p.key, p.server_key) for p in (poisoned, opener)]
        for peer in peers:
            run.expect(peer.hello(window=256) is not None, "a session")
        for position in positions:
            one_batch(run, world, position, size, (poisoned, opener), peers)
        for peer in peers:
            peer.close()
        stored = world.sql("SELECT count(*) FROM intake.report WHERE external_id LIKE 'poison%%'")[0][0]
        run.expect(stored == 0, "no poison is stored")
        run.judge(world, verdicts=("STORED", "DUPLICATE", "REJECTED"))
        refused = [r.report.external_id for r in poisoned.receipts if r.verdict == "REJECTED"]
        run.findings.lost += [f"{name} was refused" for name in refused if not name.startswith("poison")]
        run.expect(len(refused) == len(positions), f"{len(refused)} refused of {len(positions)} poisoned")


def one_batch(run, world, position, size, publishers, peers):
    poisoned, opener = publishers
    first = len(poisoned.reports)
    for i in range(size):
        name = f"poison-{position}" if i == position else f"p{position}-{i}"
        poisoned.reports.append(Report(name, 1, (f"{1 + i % 8:03d}",)))
    opener.reports.append(Report(f"opener-{position}", 1, ("001",)))
    with contextlib.closing(world.cluster.connect(world.stack.database)) as connection, connection.cursor() as cursor:
        connection.autocommit = False
        cursor.execute("LOCK TABLE intake.dedup IN ACCESS EXCLUSIVE MODE")
        opener.send(peers[1], len(opener.reports) - 1)
        wait_until(lambda: world.sql("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'intake.dedup'::regclass"
                                     ) == [(1,)], 5, "intake waits")
        for number in range(first, first + size):
            poisoned.send(peers[0], number)
        peers[0].send("PING", poisoned.pb.Ping())
        peers[0].expect("PONG")  # so intake has read and queued all before it
        world.broke(len(poisoned.asked) - len(poisoned.final))
        connection.rollback()
    for publisher, peer in zip(publishers, peers):
        while len(publisher.final) < len(publisher.reports):
            publisher.take(peer.expect("RECEIPT", timeout=10))
            while publisher.held:
                publisher.send(peer, publisher.held.pop()[1])


@fault("F10", "one key 1000 times from two intakes; other contents")
def repeat_key(run):
    """1,000 copies of one report from each of two intakes at once: one STORED, the rest DUPLICATE. Then two contents fight for
    each of many keys: the first stands, copies of it are DUPLICATE, the others CONFLICT."""
    copies = run.count(1000, 300)
    with run.world(intakes=2) as world:
        same = [Report("same", 1, ("001",), note="this one")] * copies
        load = Load([world.publisher("KPS", same, name, window=256) for name in world.intakes])
        world.broke(race(load))
        load.wait()
        given = [r.verdict for p in load.publishers for r in p.final.values()]
        run.expect(given.count("STORED") == 1 and given.count("DUPLICATE") == 2 * copies - 1, f"verdicts of copies: {set(given)}")

        keys = [f"torn-{i}" for i in range(copies // 10)]
        sides = [[Report(k, 1, ("002",), note=f"content {(side + i) % 2}") for i in range(10) for k in keys] for side in (0, 1)]
        load = Load([world.publisher("KRCS", reports, name, window=256) for reports, name in zip(sides, world.intakes)])
        world.broke(race(load))
        load.wait()
        answers = [r for p in load.publishers for r in p.final.values()]
        for key in keys:
            mine = [r for r in answers if r.report.external_id == key]
            stored = [r.report.note for r in mine if r.verdict == "STORED"]
            run.expect(len(stored) == 1, f"{len(stored)} of the copies of {key} are STORED")
            for receipt in mine:
                same = receipt.report.note == stored[0]
                run.expect(receipt.verdict in ("STORED", "DUPLICATE") if same else receipt.verdict == "CONFLICT",
                           f"{receipt.verdict} for {key}, {'same' if same else 'other'} content")
        run.judge(world, verdicts=("STORED", "DUPLICATE", "CONFLICT"))


def race(load):
    """Both publishers have reports under way; how many."""
    return wait_until(lambda: min(p.outstanding() for p in load.publishers) and load.outstanding(), 10, "both are at it")


@fault("F11", "revisions 3, 1, 2 in that order")
def late_revisions(run):
    """Each incident's third revision comes first, then the first, then the second, in one window and in two intakes: the third
    stays current, the others are HISTORY and lower nothing."""
    count = run.count(600, 150)
    with run.world(intakes=2) as world:
        for name, gap in (("one window", False), ("one after another", True)):
            keys = [f"{name[:5]}-{i}" for i in range(count)]
            order = [[Report(k, r, (f"{1 + i % 8:03d}",), note=f"{k} {r}") for i, k in enumerate(keys)] for r in (3, 1, 2)]
            loads = order if gap else [[r for trio in zip(*order) for r in trio]]
            for i, reports in enumerate(loads):
                load = Load([world.publisher("KPS", reports, world.intakes[i % 2])])
                world.moment(load)
                world.broke(load.outstanding())
                load.wait()
        current = world.sql("""SELECT count(*) FROM intake.incident i JOIN intake.report r ON r.event_id = i.current_event_id
                                WHERE i.current_revision = 3 AND r.revision = 3""")[0][0]
        run.expect(current == 2 * count, f"revision 3 is current in {current} of {2 * count} incidents")
        run.judge(world)
        shown = world.sql('SELECT count(*) FROM cases."case" WHERE revision = 3')[0][0]
        run.expect(shown == 2 * count, f"revision 3 is the case's in {shown} of {2 * count}")


# ---- F12

class BadHints:
    """Stands between who sends hints and who hears them; what it does with each, `fate` decides: how often it is passed on."""

    def __init__(self, source, path, fate):
        self.context, self.halt, self.heard, self.passed = zmq.Context.instance(), False, 0, 0
        self.sub, self.pub = self.context.socket(zmq.SUB), self.context.socket(zmq.PUB)
        self.sub.setsockopt(zmq.SUBSCRIBE, b"")
        self.sub.connect(f"ipc://{source}")
        self.pub.bind(f"ipc://{path}")
        self.fate = fate
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        held = []
        while not self.halt:
            if self.sub.poll(20):
                held.append(self.sub.recv())
                self.heard += 1
            for hint in held[::-1] if len(held) > 2 or not self.sub.poll(0) else []:
                for _ in range(self.fate()):
                    self.pub.send(hint)
                    self.passed += 1
                held = []

    def close(self):
        self.halt = True
        self.thread.join()
        self.sub.close(0)
        self.pub.close(0)


@fault("F12", "hints dropped, all or half; reordered; doubled")
def lose_hints(run):
    """The internal bus loses every hint, then half of them, then turns them round and doubles them. Delivery within the poll
    period (250 ms; allowed here: 1.5 s at the 99th percentile, this machine is shared) is what reading by position guarantees."""
    fates = (("all dropped", lambda: 0), ("half dropped", lambda: run.random.randrange(2)), ("turned and doubled", lambda: 2))
    path = {}
    settings = {name: {"JUKWAA_HINT_SOCKETS": path.setdefault("hints", hint_path())} for name in ("dispatch", "cases", "notify")}
    with run.world(service_settings=settings) as world:
        for name, fate in fates:
            bad = BadHints(world.stack.run / "intake.hint", path["hints"], fate)
            try:
                load = world.load(run.count(1200, 300), rate=run.count(100, 100))
                world.moment(load, 0.2, 0.5)
                world.broke(wait_until(load.outstanding, 2, "a report under way"))
                load.wait()
                world.settle()
                run.expect(bad.heard > 0, "hints were sent")
                late = p99(world, load)
                run.remark(f"{name}: p99 {late * 1000:.0f} ms")
                run.expect(late < 1.5, f"{name}: {late:.2f} s from receipt to desk")
            finally:
                bad.close()
        run.judge(world)


def hint_path():
    from jukwaa_harness import scratch
    return str(scratch() / f"hints-{time.monotonic_ns() % 10**9}")


def p99(world, load):
    """99th percentile of the time from receipt to the desk that sees all."""
    receipts = {r.event_id: r.at for p in load.publishers for r in p.final.values()}
    found = sorted(d.at - receipts[d.event_id] for d in world.desks[0].deliveries if d.event_id in receipts)
    return statistics.quantiles(found, n=100)[98]
