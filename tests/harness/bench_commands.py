"""Figures of commands on cases: many at once on distinct cases in 47 counties, each moved through its life; and one at a time, beside
a bare commit of the same database."""
import os
import statistics
import time

import zmq
from feed_events_bench import fill_cases
from jukwaa_harness import Stack, protos, wait_until

SESSIONS, WINDOW = 8, 32
LIFE = (("triage", {}), ("assign", {}), ("start", {}), ("hold", {"reason": "rain"}), ("resume", {}), ("resolve", {"disposition": 1}),
        ("close", {}))


def make(cluster, cases):
    stack = Stack(services=("cases",), cluster=cluster)
    desk = stack.add_desk("BENCH-DESK", agency="KPS")
    stack.wait_known(desk, "cases")
    ids = fill_cases(stack, cases)
    wait_until(lambda: stack.sql('SELECT count(*) FROM cases."case"')[0][0] == cases, 60, "cases")
    stack.sql("ANALYZE")
    return stack, desk, ids


def command(pb, case, version, action):
    message = pb.CaseCommand(command_id=os.urandom(16), case_id=case, version=version)
    part = getattr(message, action[0])
    part.SetInParent()
    for name, value in action[1].items():
        setattr(part, name, value)
    return message


def many_at_once(stack, desk, ids):
    """All cases through their life, each one step after the other; commands a second, and seconds of CPU of cases a thousand."""
    pb = protos()
    peers = [stack.peer("cases", desk) for _ in range(SESSIONS)]
    poller = zmq.Poller()
    for peer in peers:
        peer.hello()
        poller.register(peer.socket, zmq.POLLIN)
    waiting = list(range(len(ids)))
    step = [0] * len(ids)
    by_socket = {peer.socket: peer for peer in peers}

    def send(peer):
        if not waiting:
            return False
        number = waiting.pop()
        message = command(pb, ids[number], step[number] + 1, LIFE[step[number]])
        message.request = number + 1
        peer.send("CASE_COMMAND", message)
        return True

    start, under_way, done = time.monotonic(), sum(send(peer) for peer in peers for _ in range(WINDOW)), 0
    while under_way:
        for socket, _ in poller.poll(5000):
            while (got := by_socket[socket].receive(0)):
                assert got[0] == "COMMAND_DONE", got
                number = got[1].request - 1
                step[number], under_way, done = step[number] + 1, under_way - 1, done + 1
                if step[number] < len(LIFE):
                    waiting.insert(0, number)
                under_way += send(by_socket[socket])
    spent = time.monotonic() - start
    for peer in peers:
        peer.close()
    return done / spent


def one_at_a_time(stack, desk, ids, count=600):
    """Milliseconds: p50 of a lone command (the client's time in it), and of a bare commit through the same kind of connection."""
    pb, peer = protos(), stack.peer("cases", desk)
    peer.hello()
    spent, bare = [], []
    connection = stack.cluster.connect(stack.database)
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS public.bare (x bigint)")
        for i in range(count):
            number = i // 2
            message = command(pb, ids[number], 1, LIFE[0]) if i % 2 == 0 else \
                command(pb, ids[count // 2 + number], 0, ("note", {"text": "seen"}))
            begin = time.perf_counter()
            peer.send("CASE_COMMAND", message)
            got = peer.expect("COMMAND_DONE", "REFUSED")
            spent.append(time.perf_counter() - begin)
            assert got.DESCRIPTOR.name == "CommandDone", got
            begin = time.perf_counter()
            cursor.execute("INSERT INTO public.bare VALUES (1)")
            bare.append(time.perf_counter() - begin)
    connection.close()
    peer.close()
    return statistics.median(spent[0::2]) * 1e3, statistics.median(spent[1::2]) * 1e3, statistics.median(bare) * 1e3


def bench_commands(cluster, options):
    rates, moves, notes, bares = [], [], [], []
    for _ in range(options.rounds):
        stack, desk, ids = make(cluster, 2000)
        move, note, bare = one_at_a_time(stack, desk, ids[1400:])
        rates.append(many_at_once(stack, desk, ids[:1400]))
        moves.append(move)
        notes.append(note)
        bares.append(bare)
        stack.stop()
    print(f"commands on cases, {SESSIONS} sessions x {WINDOW}: {statistics.median(rates):.0f}/s (rounds: "
          f"{', '.join(f'{r:.0f}' for r in rates)}); alone: p50 {statistics.median(moves):.2f} ms with its event, "
          f"{statistics.median(notes):.2f} ms a note; bare commit {statistics.median(bares):.2f} ms", flush=True)
