"""Checks a feed as an outsider would who has SQL to read with and nothing of ours: numbers without gap from where the stream begins
to its head, each chain hash, and that what removal by age left begins at a leaf of a signed head. Raises AssertionError with the
first thing that is wrong."""
import contextlib
import ctypes
import ctypes.util
import hashlib
import struct
import types

from jukwaa_harness import chain_next

sodium = ctypes.CDLL(ctypes.util.find_library("sodium"))


def merkle_root(hashes):
    """RFC 6962 section 2.1, over leaves already hashed."""
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return hashlib.sha256(b"\1" + merkle_root(hashes[:split]) + merkle_root(hashes[split:])).digest()


def check_head(stack, head_no, public_key=None):
    """The leaves {stream: (seq, chain)} of a signed head whose root and signature hold; public_key: whose it must be."""
    rows = stack.sql("SELECT streams, seqs, chains, root, public_key, signature, (extract(epoch FROM signed_at) * 1000000)::bigint"
                     " FROM evidence.head WHERE head_no = %s", head_no)
    assert rows, f"signed head {head_no} is not kept"
    streams, seqs, chains, root, key, signature, signed_at = rows[0]
    chains, root, key, signature = [bytes(c) for c in chains], bytes(root), bytes(key), bytes(signature)
    leaves = [hashlib.sha256(b"\0" + struct.pack(">I", len(s)) + s.encode() + struct.pack(">q", n) + c).digest()
              for s, n, c in zip(streams, seqs, chains)]
    assert merkle_root(leaves) == root, f"head {head_no}: the leaves are not those of its root"
    text = b"jk-head-1" + root + struct.pack(">q", signed_at)
    assert sodium.crypto_sign_verify_detached(signature, text, ctypes.c_ulonglong(len(text)), key) == 0, \
        f"head {head_no}: the signature does not hold"
    assert public_key is None or key == public_key, f"head {head_no} was signed by another key"
    return dict(zip(streams, zip(seqs, chains)))


class Snapshot:
    """Several statements that see one moment: the exchange may append while it is checked."""

    def __init__(self, connection):
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True, autocommit=False)
        self.connection = connection

    def sql(self, statement, *args):
        with self.connection.cursor() as cursor:
            cursor.execute(statement, args)
            return cursor.fetchall()


def check_feed(stack, head_no=None, public_key=None):
    """{stream: (first seq kept, last seq)}. head_no: the feed must also agree with this signed head, wherever it still can."""
    with contextlib.closing(stack.cluster.connect(stack.database)) as connection:
        return _check_feed(Snapshot(connection), head_no, public_key)


def _check_feed(stack, head_no, public_key):
    removed = {s: (seq, bytes(chain), head, gone) for s, seq, chain, head, gone in
               stack.sql("SELECT stream, seq, chain, head_no, gone_seq FROM feed.removed")}
    anchors, kept = {}, {}
    for stream, (seq, chain, anchor_head, _) in removed.items():
        if anchor_head not in anchors:
            anchors[anchor_head] = check_head(stack, anchor_head, public_key)
        assert anchors[anchor_head].get(stream) == (seq, chain), f"{stream} does not begin at a leaf of head {anchor_head}"
    head = check_head(stack, head_no, public_key) if head_no else {}
    for stream, last_seq, last_chain in stack.sql("SELECT stream, last_seq, last_chain FROM feed.head"):
        at, chain = removed.get(stream, (0, b""))[:2]
        first = at + 1
        for row in stack.sql("SELECT stream, seq, epoch, (extract(epoch FROM recorded_at) * 1000000)::bigint, event_id, kind,"
                             " incident_id, revision, tlp, category, commitment, chain FROM feed.event"
                             " WHERE stream = %s AND seq > %s ORDER BY seq", stream, at):
            event = types.SimpleNamespace(**dict(zip(("stream", "seq", "epoch", "recorded_at_us", "event_id", "kind", "incident_id",
                                                      "revision", "tlp", "category", "commitment", "chain"), row)))
            event.event_id, event.incident_id = (v if isinstance(v, bytes) else bytes.fromhex(str(v).replace("-", ""))
                                                 for v in (event.event_id, event.incident_id))
            event.commitment = bytes(event.commitment)
            assert event.seq == at + 1, f"{stream}: after {at} comes {event.seq}"
            at, chain = event.seq, chain_next(chain, event)
            assert chain == bytes(event.chain), f"{stream}/{at}: the chain is broken"
            assert head.get(stream, (0,))[0] != at or head[stream][1] == chain, f"{stream}/{at}: the signed head says otherwise"
        assert at == last_seq and chain == bytes(last_chain), f"{stream}: ends at {at}, its head says {last_seq}"
        assert head.get(stream, (0,))[0] <= last_seq, f"{stream}: the signed head is ahead of it"
        kept[stream] = (first, last_seq)
    return kept
