#!/usr/bin/python3
"""Shows a desk's feed: subscribe.py [--county CODE]… [--from now|beginning] [--count N] [--resume FILE]. Settings as for the
command line: JUKWAA_DISPATCH, JUKWAA_KEY, JUKWAA_SERVER_KEY. Checks each copy against its commitment, acknowledges what was
shown, and goes on after a lost link from the newest position it holds."""
import argparse
import hashlib
import json
import os
import pathlib
import sys

from jukwaa_wire import Peer, pb

arguments = argparse.ArgumentParser()
arguments.add_argument("--county", action="append", default=[])
arguments.add_argument("--from", dest="start", choices=["now", "beginning"], default="now")
arguments.add_argument("--count", type=int, default=0)
arguments.add_argument("--resume", type=pathlib.Path, help="file that holds the newest positions")
options = arguments.parse_args()

# stream -> seal: "I have everything up to here", sealed by dispatch.
positions = {}
if options.resume and options.resume.exists():
    positions = {stream: bytes.fromhex(seal) for stream, seal in json.loads(options.resume.read_text()).items()}


def keep_positions():
    if options.resume:
        beside = options.resume.with_suffix(".new")
        with open(beside, "w") as f:
            json.dump({stream: seal.hex() for stream, seal in positions.items()}, f)
            f.flush()
            os.fsync(f.fileno())
        beside.rename(options.resume)


def adds_up(groups, commitment):
    """feed.proto: what is shown, and the digests of what is withheld, give the commitment."""
    h = hashlib.sha256(b"jk-commitment-1")
    for group in groups:
        h.update(bytes([group.tag]) + (group.digest or hashlib.sha256(group.salt + group.content).digest()))
    return h.digest() == commitment


def subscribe():
    """A new session, from the newest positions. The number of the last delivery in it."""
    peer.hello("subscribe.py")
    request = pb.Subscribe(request=1, counties=options.county, all=not options.county, window=64)
    if positions:
        request.start_at = pb.START_AT_TOKEN
        request.positions.extend(pb.SealedPosition(stream=s, seal=seal) for s, seal in positions.items())
    else:
        request.start_at = pb.START_AT_BEGINNING if options.start == "beginning" else pb.START_AT_NOW
    peer.send("SUBSCRIBE", request)
    return 0


peer = Peer(os.environ["JUKWAA_DISPATCH"], os.environ["JUKWAA_KEY"], os.environ["JUKWAA_SERVER_KEY"])
last, shown = subscribe(), 0
while not options.count or shown < options.count:
    kind, message = peer.receive(timeout=15)
    if kind in (None, "BAD_SESSION"):
        last = subscribe()
    elif kind in ("REFUSED", "BYE"):
        sys.exit(f"{kind}: {pb.Code.Name(message.code)} {message.reason}")
    elif kind == "SUBSCRIBED":
        positions.update({p.stream: p.seal for p in message.positions})
    elif kind == "BEAT" and message.delivery_no == last:
        positions.update({p.stream: p.seal for p in message.positions})
        keep_positions()
    elif kind == "DELIVER" and message.session == peer.session:
        if message.delivery_no != last + 1:  # one was lost on the way
            last = subscribe()
            continue
        last, shown = message.delivery_no, shown + 1
        groups = {g.tag: g.content for g in message.event.groups}
        texts = pb.Narrative.FromString(groups.get(pb.GROUP_TAG_NARRATIVE, b"")).texts
        print(f"{message.stream}#{message.seq}", pb.EventKind.Name(message.kind)[len("EVENT_KIND_"):],
              pb.Category.Name(message.category)[len("CATEGORY_"):], texts[0].headline if texts else "",
              "" if adds_up(message.event.groups, message.commitment) else "THE COPY DOES NOT ADD UP", flush=True)
        positions[message.stream] = message.position.seal
        keep_positions()
        peer.send("ACK", pb.Ack(delivery_no=last))
# What was sent last is on its way: a question and its answer after it, and the acknowledgement has arrived.
peer.send("PING", pb.Ping())
peer.socket.poll(2000)
