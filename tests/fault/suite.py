"""The list of faults, how one run of them is counted, and the table."""
import argparse
import os
import random
import sys
import time
import traceback

from checker import Findings
from world import World, seed_of

FAULTS = {}  # "F2" -> Fault, in the order of the list
TABLE = "{:<5} {:<50} {:>8} {:>5} {:>8} {:>5} {:>7} {:>6}  {}"


class Fault:
    def __init__(self, name, title, body, quick):
        self.name, self.title, self.body, self.quick = name, title, body, quick


def fault(name, title, quick=False):
    """Registers a fault test. Its docstring says what is broken. quick: part of the selection that tests/run takes."""
    def register(body):
        FAULTS[name] = Fault(name, title, body, quick)
        return body
    return register


class Run:
    """One fault with one seed: its worlds, injections and findings. small: the quick form of the test."""

    def __init__(self, fault, seed, small=False):
        self.fault, self.seed, self.small = fault, seed, small
        self.random = random.Random(f"{seed}-{fault.name}")
        self.injected, self.findings, self.notes, self.remarks, self.error = 0, Findings(), [], [], None
        self.seconds = 0.0

    def world(self, **kwargs):
        return World(self.random.randrange(1 << 31), **kwargs)

    def count(self, many, few):
        return few if self.small else many

    def judge(self, world, settle_s=60, verdicts=("STORED", "DUPLICATE")):
        """Adds what the checker finds; a world without one injection shows nothing, and fails. verdicts: final answers that
        may have been given."""
        found = world.check(settle_s)
        given = {r.verdict for publishers in world.publishers.values() for p in publishers for r in p.final.values()}
        self.expect(given <= set(verdicts), f"verdicts {given}")
        for kind in ("lost", "repeated", "holes", "foreign"):
            getattr(self.findings, kind).extend(getattr(found, kind))
        if "to dispatch" not in world.proxies:  # a broken link may lose deliveries; the desk sees the gap and comes again
            self.findings.holes += [f"desk {d.desk_name} saw {d.gaps} gaps in delivery_no" for d in world.desks if d.gaps]
        self.notes += world.notes
        if world.injected == 0:
            raise AssertionError("the fault was never injected with work outstanding")
        self.injected += world.injected
        return found

    def remark(self, what):
        """Something the reader of the table should know."""
        self.remarks.append(what)

    def expect(self, condition, what):
        if not condition:
            raise AssertionError(what)

    def go(self):
        began = time.monotonic()
        try:
            self.fault.body(self)
            if self.injected == 0:
                raise AssertionError("the fault was never injected with work outstanding")
        except Exception as e:
            self.error = f"{type(e).__name__}: {e}"
            self.notes.append(traceback.format_exc())
        self.seconds = time.monotonic() - began
        return self

    def is_good(self):
        return self.error is None and not self.findings

    def row(self):
        words = "; ".join(["held" if self.is_good() else "FAILED", *self.remarks])
        return TABLE.format(self.fault.name, self.fault.title[:50], self.injected, *self.findings.counts(),
                            f"{self.seconds:.0f}", words)


def header():
    return TABLE.format("fault", "what is broken", "injected", "lost", "repeated", "holes", "foreign", "s", "")


def report(run):
    """The row, and what it rests on where it is not good."""
    print(run.row(), flush=True)
    if not run.is_good():
        print("\n".join(filter(None, [run.error, run.findings.text(), *run.notes])), flush=True)


def load_all():
    import faults_database  # noqa: F401
    import faults_process  # noqa: F401
    import faults_rights  # noqa: F401
    import faults_rules  # noqa: F401
    return dict(sorted(FAULTS.items(), key=lambda item: (item[0][0], int(item[0][1:]))))


def run_all(names, seed, small=False):
    """Runs the faults named, prints the table; True when all held."""
    faults = load_all()
    unknown = [n for n in names if n not in faults]
    if unknown:
        raise SystemExit(f"no such fault: {', '.join(unknown)} (there are {', '.join(faults)})")
    print(f"JUKWAA_FAULT_SEED={seed}", flush=True)
    print(header(), flush=True)
    runs = []
    for name in names or list(faults):
        runs.append(Run(faults[name], seed, small).go())
        report(runs[-1])
    bad = [r.fault.name for r in runs if not r.is_good()]
    injected = sum(r.injected for r in runs)
    sums = [sum(column) for column in zip(*(r.findings.counts() for r in runs))]
    print(TABLE.format("all", f"{len(runs)} faults", injected, *sums, f"{sum(r.seconds for r in runs):.0f}",
                       f"FAILED: {' '.join(bad)}" if bad else "held"), flush=True)
    return not bad


def main():
    parser = argparse.ArgumentParser(prog="tests/fault/run", description="Breaks the exchange on purpose and counts what it cost.")
    parser.add_argument("faults", nargs="*", metavar="FAULT", help="F2 F14 …; all without")
    parser.add_argument("--seed", help="repeat a run; printed by every run")
    parser.add_argument("--quick", action="store_true", help="the small form of each")
    parser.add_argument("--list", action="store_true", help="say what there is")
    options = parser.parse_args()
    if options.list:
        for one in load_all().values():
            print(f"{one.name:<4} {one.title}{'  (quick selection)' if one.quick else ''}")
        return
    good = run_all([f.upper() for f in options.faults], seed_of(options.seed), options.quick or bool(os.environ.get("JUKWAA_FAULT_QUICK")))
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    # `import suite` elsewhere must mean this very module.
    sys.modules["suite"] = sys.modules["__main__"]
    main()
