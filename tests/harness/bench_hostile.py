"""Figures of hostile peers, for tests/bench: what a stranger costs before it is known (hostile), and what one publisher's flood
costs another (fairness). Own file so that bench.py stays a table of contents."""
import json
import os
import resource
import statistics
import subprocess
import time

import zmq
from hostile_peers import closed_within, connect, cpu_s, dealer, descriptors, greeting, rss_kib
from jukwaa_harness import BIN, Stack, read_key, wait_until


def start_bench(stack, key, *args):
    return subprocess.Popen([BIN / "jukwaa", "--json", "bench", "publish", *map(str, args)], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, env={**os.environ, **stack.env(key)})


def finish_bench(process, what):
    out, err = process.communicate(timeout=300)
    if process.returncode:
        raise SystemExit(f"bench {what}: {out}{err}")
    return json.loads(out.splitlines()[0])


# ---- fairness ----

# At 50 reports a second a publisher has 1,000 in twenty seconds: of fewer the p99 is chance.
MODEST = ("--clients", 1, "--window", 4, "--rate", 50, "--reports", 1000)
FLOOD = ("--clients", 8, "--window", 256, "--reports", 3000000)


def receipts(service):
    return service.metric("jukwaa_intake_reports_total", "STORED")


def modest_alone(stack, key):
    return finish_bench(start_bench(stack, key, *MODEST), "modest publisher")


def modest_beside(stack, key, flooder):
    flood = start_bench(stack, flooder, *FLOOD)
    time.sleep(1.0)
    intake = stack.services["intake"]
    before, began = receipts(intake), time.monotonic()
    try:
        got = modest_alone(stack, key)
        if flood.poll() is not None:
            raise SystemExit(f"the flood ended: {flood.communicate()}")
        rate = (receipts(intake) - before) / (time.monotonic() - began) - got["per_second"]
    finally:
        flood.kill()
        flood.communicate()
    return got, rate


def use_log_once(stack):
    """A new database makes each segment of its write-ahead log (16 MiB) within the commit that comes to it: 17 to 86 ms, for whoever
    waits then. One that has been in use writes over old ones. This makes as many as three floods fill."""
    for _ in range(64):
        stack.sql("SELECT pg_logical_emit_message(false, 'bench', 'x')")
        stack.sql("SELECT pg_switch_wal()")
    stack.sql("CHECKPOINT")  # those that are behind are kept for use again: min_wal_size of them


def bench_fairness(cluster, options):
    """One publisher at 50/s: alone, beside a flooding key, beside a flooding key with a rate limit."""
    stack = Stack(services=(), cluster=cluster)
    use_log_once(stack)
    stack.stop()
    for limit in (None, 500):
        alone, beside, p50s, rates = [], [], [], []
        for _ in range(options.rounds):
            stack = Stack(services=("intake",), cluster=cluster)
            modest = stack.add_publisher("MODEST")
            flooder = stack.add_publisher("FLOOD", *(("--rate-limit", limit) if limit else ()))
            stack.wait_known(flooder)
            modest_alone(stack, modest)  # warm: plans, pages
            stack.sql("CHECKPOINT")      # what the flood before has left to write
            alone.append(modest_alone(stack, modest)["p99_ms"])
            got, rate = modest_beside(stack, modest, flooder)
            beside.append(got["p99_ms"])
            p50s.append(got["p50_ms"])
            rates.append(rate)
            stack.stop()
        ratio = statistics.median(beside) / statistics.median(alone)
        print(f"fairness, a publisher at 50/s beside a key that floods through 8 sessions x window 256"
              f"{f', limited to {limit}/s' if limit else ''} ({statistics.median(rates):.0f}/s stored of it): p50 {statistics.median(p50s):.1f} ms, p99 "
              f"{statistics.median(beside):.1f} ms; alone p99 {statistics.median(alone):.1f} ms; ratio {ratio:.2f}", flush=True)


# ---- what a stranger costs ----

STRANGERS, HALF_OPEN = 2000, 1000


def cost(service, what, count, work):
    """CPU of the service for each of `count`, while work() has them happen."""
    before = cpu_s(service.process.pid)
    work()
    each = (cpu_s(service.process.pid) - before) / count
    print(f"hostile, {what}: {each * 1e6:.0f} us CPU each; {1 / each:.0f} a second take one processor", flush=True)


def shake_hands(stack, service, key, verdict, count, at_once=500):
    """`count` handshakes with this key, each on a socket of its own."""
    mine, theirs = read_key(key), read_key(f"{stack.server_key}.pub")
    seen = service.metric("jukwaa_intake_handshakes_total", verdict)
    with zmq.Context() as context:
        context.set(zmq.MAX_SOCKETS, 4096)
        for first in range(0, count, at_once):
            socks = [dealer(context, stack.endpoints["intake"], theirs["curve-public"], mine["curve-public"], mine["curve-secret"])
                     for _ in range(at_once)]
            seen += at_once
            until = time.monotonic() + 30
            while service.metric("jukwaa_intake_handshakes_total", verdict) < seen:
                if time.monotonic() > until:
                    raise SystemExit(f"no {seen} handshakes")
                time.sleep(0.4)  # asking costs the service too
            for sock in socks:
                sock.close()


def send_garbage(port, bytes_sent, count):
    for _ in range(count):
        with connect(port, bytes_sent) as raw:
            if not closed_within(raw, 10):
                raise SystemExit("garbage was not refused")


def half_open(service, port, bytes_sent, what):
    before, known = rss_kib(service.process.pid), descriptors(service.process.pid)
    socks = [connect(port, bytes_sent) for _ in range(HALF_OPEN)]
    wait_until(lambda: descriptors(service.process.pid) >= known + HALF_OPEN, 10, "all are accepted")
    time.sleep(0.5)
    used = rss_kib(service.process.pid) - before
    print(f"hostile, {HALF_OPEN} {what}: {used / HALF_OPEN:.1f} KiB memory each while they last (3 s)", flush=True)
    wait_until(lambda: descriptors(service.process.pid) <= known, 10, "all are closed by the service")
    for sock in socks:
        sock.close()


def bench_hostile(cluster, options):
    """What peers cost that are not known (yet): handshakes, garbage, half-open connections."""
    del options
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(20000, hard), hard))
    stack = Stack(services=("intake",), cluster=cluster)
    known, stranger = stack.add_publisher("KNOWN"), stack.new_key("stranger")
    stack.wait_known(known)
    service, port = stack.services["intake"], stack.ports["intake"]
    cost(service, "handshake of an unknown key, refused", STRANGERS, lambda: shake_hands(stack, service, stranger, "refused", STRANGERS))
    cost(service, "handshake of a known key", STRANGERS, lambda: shake_hands(stack, service, known, "allowed", STRANGERS))
    cost(service, "connection with 64 bytes of garbage", STRANGERS, lambda: send_garbage(port, b"GET / HTTP/1.1\r\n".ljust(64, b"x"), STRANGERS))
    cost(service, "connection of a client without CURVE", STRANGERS, lambda: send_garbage(port, greeting(b"NULL"), STRANGERS))
    half_open(service, port, b"", "silent connections")
    half_open(service, port, greeting(), "connections that say CURVE and then nothing")
    stack.stop()
