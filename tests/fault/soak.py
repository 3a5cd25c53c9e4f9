"""Mixes faults at random on one exchange under a load that never ends, and prints the table of run."""
import argparse
import collections
import contextlib
import random
import signal
import sys
import time

from checker import Findings
from faults_database import hit_one
from faults_process import DISPATCH_POINTS, INTAKE_POINTS
from jukwaa_harness import Cluster, wait_until
from proxy import Commits
from suite import TABLE, header
from world import NothingOutstanding, World, seed_of

ROUND_REPORTS = 6000  # then the exchange is judged and made anew: the checker holds all of it in memory


class Soak:
    """One exchange and what may befall it. Each method breaks one thing, mends it, and returns nothing; `broke` counts."""

    def __init__(self, world, random_):
        self.world, self.random = world, random_
        self.gates = world.proxies

    def F2(self, load):
        """kill -9 intake at a named point"""
        self.crash("intake", INTAKE_POINTS, load)

    def F3(self, load):
        """answers to a commit lost between PostgreSQL and intake"""
        tap = self.gates["intake"].tap
        before, tap.count = tap.swallowed, 1
        wait_until(lambda: tap.swallowed > before or load.is_done(), 20, "a commit whose answer is lost")
        self.world.broke(load.outstanding() if tap.swallowed > before else 0)

    def F4(self, load):
        """PostgreSQL stopped immediately"""
        self.world.cluster.stop("immediate")
        outstanding = load.outstanding()
        self.world.cluster.start()
        self.world.broke(outstanding)

    def F6(self, load):
        """a statement cancelled or a session terminated"""
        with contextlib.closing(self.world.cluster.connect(self.world.stack.database)) as connection:
            number = self.random.randrange(3)
            name = wait_until(lambda: hit_one(connection, number) or load.is_done(), 20, "a service at work")
        self.world.broke(load.outstanding() if name is not True else 0)

    def F13(self, load):
        """a service stopped for two seconds with SIGSTOP"""
        process = self.world.stack.services[self.random.choice(self.world.running)].process
        process.send_signal(signal.SIGSTOP)
        try:
            self.world.broke(load.outstanding())
            end = time.monotonic() + 2
            wait_until(lambda: time.monotonic() > end, 5, "two seconds")
        finally:
            process.send_signal(signal.SIGCONT)

    def F14(self, load):
        """kill -9 dispatch at a named point"""
        self.crash("dispatch", DISPATCH_POINTS[:4], load)

    def F30(self, load):
        """a service restarted with SIGTERM"""
        name = self.random.choice(self.world.running)
        outstanding = load.outstanding()
        if self.world.stack.services[name].stop() != 0:
            raise AssertionError(f"{name} did not leave orderly")
        self.world.restart(name)
        self.world.broke(outstanding)

    def L1(self, load):
        """client links cut"""
        gate = self.gates[self.random.choice(("to intake", "to dispatch"))]
        outstanding = load.outstanding()
        self.world.broke(outstanding if gate.cut() else 0)

    def K(self, load):
        """kill -9 of cases or notify"""
        name = self.random.choice(("cases", "notify"))
        self.world.stack.services[name].kill()
        outstanding = load.outstanding() or self.world.behind(name)
        self.world.restart(name)
        self.world.broke(outstanding)

    def crash(self, name, points, load):
        """Killed at a named point, if the load still leads there; killed all the same, if not."""
        world, (point, most) = self.world, self.random.choice(points)
        service = world.stack.services[name]
        world.plan_crash(name, f"{point}:{self.random.randrange(1, most + 1)}")
        try:
            if not load.is_done():
                world.crash(name, load, timeout=10)
        finally:
            if service.process.poll() is None:
                service.kill()
            world.restart(name)


KINDS = ("F2", "F3", "F4", "F6", "F13", "F14", "F30", "L1", "K")


class Tally:
    def __init__(self):
        self.injected, self.idle, self.findings, self.rounds, self.reports = collections.Counter(), collections.Counter(), Findings(), 0, 0
        self.troubles = []


def soak_round(seed, end, tally):
    """One exchange from its making to its judgement."""
    chance = random.Random(seed)
    world = World(chance.randrange(1 << 31), cluster=Cluster(), proxied=("intake",), desks=False)
    with world:
        world.proxies["intake"].tap = Commits("intake_append")
        world.put_before_service("intake")
        world.put_before_service("dispatch")
        world.add_desks()
        world.add_rule()
        world.wait_known(())
        soak = Soak(world, chance)
        load = world.load(ROUND_REPORTS, rate=60)
        load.wait_receipts(ROUND_REPORTS // 20)
        while not load.is_done() and load.receipts() < ROUND_REPORTS * 0.9 and time.monotonic() < end:
            kind = chance.choice(KINDS)
            injected = world.injected
            try:
                getattr(soak, kind)(load)
            except NothingOutstanding:
                tally.idle[kind] += 1
            tally.injected[kind] += world.injected - injected
            at = load.receipts() + chance.randrange(20, 150)
            load.wait_receipts(at)
        if time.monotonic() >= end:
            for publisher in load.publishers:
                publisher.reports = publisher.reports[:publisher.next]
        load.wait(120)
        found = world.check()
        for what in ("lost", "repeated", "holes", "foreign"):
            getattr(tally.findings, what).extend(getattr(found, what))
        tally.rounds += 1
        tally.reports += len(world.sql("SELECT 1 FROM intake.report"))
        if found:
            tally.troubles.append(f"round with seed {seed}:\n{found.text()}\n" + "\n".join(world.notes))


def main():
    parser = argparse.ArgumentParser(prog="tests/fault/soak", description="Mixes faults at random under load.")
    parser.add_argument("minutes", type=float)
    parser.add_argument("--seed", help="of an earlier run")
    options = parser.parse_args()
    seed, tally = seed_of(options.seed), Tally()
    print(f"JUKWAA_FAULT_SEED={seed}", flush=True)
    began = time.monotonic()
    end = began + options.minutes * 60
    while time.monotonic() < end:
        round_seed = seed + tally.rounds
        try:
            soak_round(round_seed, end, tally)
        except Exception as e:
            tally.troubles.append(f"round with seed {round_seed}: {type(e).__name__}: {e}")
            tally.rounds += 1
        print(f"{(time.monotonic() - began) / 60:.1f} min: {tally.rounds} rounds, {tally.reports} reports stored, "
              f"{sum(tally.injected.values())} faults, {tally.findings.counts()} lost, repeated, holes, foreign", flush=True)
    print(header())
    for kind in KINDS:
        print(TABLE.format(kind, getattr(Soak, kind).__doc__, tally.injected[kind], "", "", "", "", "",
                           f"and {tally.idle[kind]} times with nothing under way" if tally.idle[kind] else ""))
    good = not tally.findings and not tally.troubles and sum(tally.injected.values()) > 0
    print(TABLE.format("all", f"{tally.rounds} rounds, {tally.reports} reports", sum(tally.injected.values()), *tally.findings.counts(),
                       f"{time.monotonic() - began:.0f}", "held" if good else "FAILED"))
    print("\n".join(tally.troubles))
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
