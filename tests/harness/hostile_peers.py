"""Peers that nobody wants: raw TCP with pieces of ZMTP, floods of strangers, and what a process has used up. For the hostile tests
and tests/bench hostile."""
import os
import socket
import struct
import time

import zmq

TICKS = os.sysconf("SC_CLK_TCK")
# ZMTP 3.1 (RFC 37): signature, version, mechanism, as-server, filler.
SIGNATURE = b"\xff" + bytes(8) + b"\x7f"


def greeting(mechanism=b"CURVE", version=(3, 1), as_server=0):
    return SIGNATURE + bytes(version) + mechanism.ljust(20, b"\0") + bytes([as_server]) + bytes(31)


# A command frame that announces 4 GiB: flags 6 (command, long), size in 8 bytes.
HUGE_COMMAND = struct.pack(">BQ", 6, 1 << 32)
# The same as a message frame.
HUGE_MESSAGE = struct.pack(">BQ", 2, 1 << 32)


def connect(port, send=b"", timeout=30.0):
    """A TCP connection to the port with these bytes sent."""
    raw = socket.create_connection(("127.0.0.1", port), timeout=timeout)
    if send:
        raw.sendall(send)
    return raw


def closed_within(raw, seconds):
    """True once the other side has closed; what it sends before is thrown away."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        raw.settimeout(max(0.01, end - time.monotonic()))
        try:
            if raw.recv(65536) == b"":
                return True
        except (ConnectionResetError, BrokenPipeError):
            return True
        except TimeoutError:
            return False
    return False


def push(raw, piece, total_bytes):
    """Sends the piece again and again until total_bytes are out or the other side has had enough; how much went out."""
    sent = 0
    try:
        while sent < total_bytes:
            raw.sendall(piece)
            sent += len(piece)
    except (ConnectionError, TimeoutError, OSError):
        pass
    return sent


def dealer(context, endpoint, server_public, public, secret, routing_id=None):
    """A bare CURVE DEALER, for peers that do not keep to the protocol above ZMTP."""
    sock = context.socket(zmq.DEALER)
    sock.linger = 0
    sock.curve_serverkey, sock.curve_publickey, sock.curve_secretkey = server_public, public, secret
    if routing_id is not None:
        sock.setsockopt(zmq.ROUTING_ID, routing_id)
    sock.connect(endpoint)
    return sock


def cpu_s(pid):
    """CPU seconds a process has used."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss_kib(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def percentile(values, percent):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
