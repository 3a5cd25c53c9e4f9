"""Figures: see tests/bench. Each round starts fresh services on a fresh database of one cluster."""
import argparse
import json
import os
import re
import statistics
import subprocess
import time

from agreements import AGREEMENTS, COUNTIES, DESKS_EACH, PARTIES, add_agreements, add_parties, add_signer, fill
from bench_cases import bench_cases
from bench_commands import bench_commands
from bench_desks import bench_desks, bench_storm
from bench_hostile import bench_fairness, bench_hostile
from jukwaa_harness import BIN, Cluster, Stack, wait_until


def machine():
    with open("/proc/cpuinfo") as f:
        model = next(line.split(":", 1)[1].strip() for line in f if line.startswith("model name"))
    with open("/proc/meminfo") as f:
        memory = int(f.readline().split()[1]) // 1024 // 1024
    return f"{os.cpu_count()} cores {model}, {memory} GiB, kernel {os.uname().release}"


def jukwaa_bench(stack, publisher, *args, desk=None):
    extra = ["--desk-key", str(desk)] if desk else []
    done = subprocess.run([BIN / "jukwaa", "--json", "bench", *map(str, args), *extra], capture_output=True, text=True,
                          env={**os.environ, **stack.env(publisher)}, timeout=900)
    if done.returncode:
        raise SystemExit(f"bench {args}: {done.stdout}{done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def rss_kib(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS:"))


def memory_line(stack, when):
    parts, pss, rss = [], 0, 0
    for name, service in stack.services.items():
        if service.process and service.process.poll() is None:
            one = service.pss_kib()
            pss, rss = pss + one, rss + rss_kib(service.process.pid)
            parts.append(f"{name} {one / 1024:.1f}")
    print(f"memory {when}: {pss / 1024:.1f} MiB Pss ({', '.join(parts)}); {rss / 1024:.1f} MiB RSS", flush=True)
    return pss


def lag(stack, service):
    """County events that the service (cases, notify) has not taken yet."""
    return stack.sql(f"""SELECT coalesce(sum(h.last_seq - coalesce(c.seq, 0)), 0) FROM feed.head h
                         LEFT JOIN {service}.cursor c USING (stream) WHERE h.stream !~ '^@'""")[0][0]


def make(cluster, services):
    stack = Stack(services=services, cluster=cluster)
    publisher = stack.add_publisher("BENCH")
    desk = stack.add_desk("BENCH-DESK")
    time.sleep(1.2)  # a registry change is in force within 1 s
    return stack, publisher, desk


ALL = ("intake", "dispatch", "cases", "notify")


def bench_publish(cluster, options):
    for title, services in (("intake alone", ("intake",)), ("all services", ALL)):
        rates, p50s, p99s, lags = [], [], [], []
        for _ in range(options.rounds):
            stack, publisher, _ = make(cluster, services)
            got = jukwaa_bench(stack, publisher, "publish", "--reports", options.reports)[0]
            rates.append(got["per_second"])
            p50s.append(got["p50_ms"])
            p99s.append(got["p99_ms"])
            if services == ALL:
                began = time.monotonic()
                behind = lag(stack, "cases")
                while lag(stack, "cases") or lag(stack, "notify"):
                    time.sleep(0.02)
                lags.append(time.monotonic() - began)
                print(f"  round: {got['per_second']}/s, cases {behind} events behind at the end, {lags[-1]:.2f} s to catch up", flush=True)
                memory_line(stack, "loaded")
            stack.stop()
        tail = f"; feed lag at the end {statistics.median(lags):.2f} s" if lags else ""
        print(f"publish, {title}: {statistics.median(rates):.0f}/s receipted, p50 {statistics.median(p50s):.1f} ms, "
              f"p99 {statistics.median(p99s):.1f} ms (8 clients x window 64, median of {options.rounds}){tail}", flush=True)


def bench_deliver(cluster, options):
    if options.agreements:
        bench_agreements(cluster, options)
        return
    rates, p50s, p99s, lags = [], [], [], []
    for _ in range(options.rounds):
        stack, publisher, desk = make(cluster, ALL)
        sent, got = jukwaa_bench(stack, publisher, "deliver", "--reports", options.reports, desk=desk)
        rates.append(got["per_second"])
        p50s.append(got["p50_ms"])
        p99s.append(got["p99_ms"])
        lags.append(got["lag_at_end_s"])
        memory_line(stack, "loaded")
        stack.stop()
    print(f"deliver, as fast as it goes: {statistics.median(rates):.0f}/s at the desk, p50 {statistics.median(p50s):.1f} ms, "
          f"p99 {statistics.median(p99s):.1f} ms, lag at the end {statistics.median(lags):.2f} s", flush=True)
    stack, publisher, desk = make(cluster, ALL)
    sent, got = jukwaa_bench(stack, publisher, "deliver", "--reports", 4000, "--rate", 400, "--clients", 1, desk=desk)
    print(f"deliver, at 400/s: publish to desk p50 {got['p50_ms']:.2f} ms, p99 {got['p99_ms']:.2f} ms", flush=True)
    stack.stop()


def bench_decide(cluster, options):
    stack = Stack(services=(), cluster=cluster)
    stack.parties = add_parties(stack, PARTIES, DESKS_EACH)
    count = fill(stack, AGREEMENTS + 2 * PARTIES)
    stack.services["dispatch"].env["JUKWAA_LOG_LEVEL"] = "debug"
    dispatch = stack.services["dispatch"].start()
    for _ in range(10):
        before = dispatch.log().count("registry_loaded")
        stack.sql("UPDATE registry.agency SET name = name WHERE code = 'A0'")
        wait_until(lambda: dispatch.log().count("registry_loaded") > before, 20, "the registry loaded again")
    loads = [dict(re.findall(r'"?(\w+)"?[=:]"?(\w+)', line)) for line in dispatch.log().splitlines() if "registry_loaded" in line]
    done = subprocess.run([BIN / "jukwaa", "--json", "bench", "decide"], capture_output=True, text=True, env={**os.environ, **stack.admin_env})
    if done.returncode:
        raise SystemExit(done.stderr)
    got = json.loads(done.stdout.splitlines()[-1])
    print(f"decide, {count} agreements, {got['desks']} desks, {got['terms']} terms ({got['closed']} closed): {got['mean_ns']} ns a decision, "
          f"{got['worst_desk_ns']} ns at the slowest desk, {got['allowed'] / got['decisions']:.1%} allowed; registry: first load "
          f"{loads[0]['load_ms']} ms, again {statistics.median(int(load['load_ms']) for load in loads[1:]):.0f} ms, "
          f"{int(loads[-1]['bytes']) / 1024 / 1024:.1f} MiB", flush=True)
    stack.stop()


def deliver_under(cluster, options, others):
    """Events a second at a desk that gets everything under one agreement, with so many others beside it."""
    stack = Stack(services=(), cluster=cluster)
    publisher = stack.add_publisher("BENCH")
    desk = stack.add_desk("BENCH-DESK", allow=())
    owner, recipient = add_signer(stack, "BENCH"), add_signer(stack, "DESKS")
    add_agreements(stack, [(owner, recipient, {"tlp_ceiling": "AMBER"})])
    if others:
        stack.parties = add_parties(stack, PARTIES, DESKS_EACH)
        # A third of them are the desk's own: of other owners, and of this one for less.
        own = [(party, recipient, {"counties": COUNTIES[i % 40:i % 40 + 7], "profile": "COARSE_PLACE@1", "tlp_ceiling": "AMBER"})
               for i, party in enumerate(5 * stack.parties + 80 * [owner])]
        add_agreements(stack, own)
        fill(stack, others - 1 - len(own))
    for name in ALL:
        stack.services[name].start()
    got = jukwaa_bench(stack, publisher, "deliver", "--reports", options.reports, desk=desk)[1]
    stack.stop()
    return got["per_second"]


def bench_agreements(cluster, options):
    ratios, rates = [], ([], [])
    for number in range(options.rounds):
        pair = [0, 0]
        for which in (0, 1) if number % 2 == 0 else (1, 0):
            pair[which] = deliver_under(cluster, options, AGREEMENTS * which)
            rates[which].append(pair[which])
        ratios.append(pair[1] / pair[0])
        print(f"  round: {pair[0]}/s with one agreement, {pair[1]}/s with {AGREEMENTS}: {ratios[-1]:.2f}", flush=True)
    print(f"deliver, {AGREEMENTS} agreements against one that allows all: {statistics.median(ratios):.2f} "
          f"({statistics.median(rates[1]):.0f}/s and {statistics.median(rates[0]):.0f}/s, medians of {options.rounds} pairs)", flush=True)


def bench_latency(cluster, options):
    for title, services in (("intake alone", ("intake",)), ("all services", ALL)):
        p50s, p99s, rates = [], [], []
        for _ in range(options.rounds):
            stack, publisher, _ = make(cluster, services)
            got = jukwaa_bench(stack, publisher, "latency", "--reports", 2000)[0]
            p50s.append(got["p50_ms"])
            p99s.append(got["p99_ms"])
            rates.append(got["per_second"])
            stack.stop()
        print(f"latency, one client, one report at a time, {title}: p50 {statistics.median(p50s):.2f} ms, "
              f"p99 {statistics.median(p99s):.2f} ms, {statistics.median(rates):.0f}/s", flush=True)


def bench_memory(cluster, options):
    stack, publisher, desk = make(cluster, ALL)
    time.sleep(30)
    memory_line(stack, "after 30 s idle")
    jukwaa_bench(stack, publisher, "deliver", "--reports", options.reports, desk=desk)
    memory_line(stack, "loaded")
    stack.stop()


BENCHES = {"publish": bench_publish, "deliver": bench_deliver, "decide": bench_decide, "latency": bench_latency, "memory": bench_memory,
           "fairness": bench_fairness, "hostile": bench_hostile, "desks": bench_desks, "cases": bench_cases,
           "commands": bench_commands, "storm": bench_storm}
# What these need of a database of their own; the others share one.
SETTINGS = {"fairness": ["min_wal_size = 1GB"], "storm": ["shared_preload_libraries = 'pg_stat_statements'"]}


def main():
    parser = argparse.ArgumentParser(prog="tests/bench")
    parser.add_argument("what", nargs="?", default="all", choices=[*BENCHES, "all"])
    parser.add_argument("--reports", type=int, default=150000)
    parser.add_argument("--agreements", action="store_true", help="deliver: 1,000 agreements against one, in pairs")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--desks", type=int, default=1000, help="storm: sessions")
    parser.add_argument("--backlog", type=int, default=10000, help="storm: events each has to catch up")
    parser.add_argument("--only", default="", help="storm: the cases whose title has this")
    parser.add_argument("--rate", type=int, default=400, help="desks: events a second")
    parser.add_argument("--seconds", type=int, default=10, help="desks: of a round")
    parser.add_argument("--cases", type=int, default=1_000_000, help="cases: how many there are")
    options = parser.parse_args()
    print(f"machine: {machine()}", flush=True)
    shared = None
    for name, bench in BENCHES.items():
        if options.what not in (name, "all"):
            continue
        if name not in SETTINGS and not shared:
            shared = Cluster(["max_wal_size = 2GB"])
        bench(Cluster(["max_wal_size = 2GB", *SETTINGS[name]]) if name in SETTINGS else shared, options)


if __name__ == "__main__":
    main()
