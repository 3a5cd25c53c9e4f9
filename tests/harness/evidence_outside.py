"""Checks exports of evidence as an outsider would: written from the documents alone (common/evidence/README.md,
proto/jukwaa/v1/feed.proto and evidence.proto), with hashlib, and openssl for the signature; proofs are checked by
deploy/examples/verify_proof.py. Raises AssertionError with what does not hold."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "deploy" / "examples"))

from verify_proof import check_head, check_proof, leaf_hash, next_chain, sha256, signature_holds  # noqa: E402,F401


def merkle_root(hashes):
    """RFC 6962 section 2.1, over leaves already hashed."""
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return sha256(b"\1", merkle_root(hashes[:split]), merkle_root(hashes[split:]))


LINK_FIELDS = ("seq", "epoch", "recorded_at_us", "event_id", "kind", "incident_id", "revision", "tlp", "category", "commitment")


def read_link(words):
    """What the chain is made of, of an event's line without its first word."""
    link = dict(zip(LINK_FIELDS, words[1:11]))
    link = {k: int(v) if k not in ("event_id", "incident_id", "commitment") else v for k, v in link.items()}
    link["commitment"] = link["commitment"].replace("-", "")
    return link


def check_removal(begins, ends, anchors):
    """Removal by age moves all streams at once to the leaves of one head."""
    newest = max((head_no for _, _, head_no in begins.values()), default=0)
    for stream, seq, _, head_no in anchors:
        begin, _, under = begins.get(stream, (0, b"", 0))
        in_part = begin > 0 and under == 0
        assert head_no != newest or stream not in ends or in_part or begin >= seq, f"{stream} was not removed up to head {newest}"


def check_export(lines, public_key):
    """Returns {stream: last seq} of an export that holds, whole or in part."""
    lines = [line.rstrip("\n").split(" ") for line in lines]
    assert lines[0] == ["jukwaa-evidence-1"] and lines[-1] == ["done", str(len(lines) - 1)], "not a whole export"
    assert lines[1] in (["streams", "all"], ["streams", "some"]), "which streams?"
    begins, ends, leaves, anchors, chains, parts = {}, {}, {}, set(), {}, set()
    head, started = None, False
    for word, *rest in lines[2:-1]:
        if word in ("begin", "end", "leaf"):
            position = (int(rest[1]), bytes.fromhex(rest[2]))
        # In the middle, or twice, they would make what came before mean something else.
        assert word not in ("begin", "end") or not started, f"{word} behind heads or events"
        assert word == "leaf" or not head or head["left"] == 0, f"head {head['no']}: leaves are missing"
        started |= word in ("head", "event")
        if word == "begin":
            assert rest[0] not in begins, f"{rest[0]} begins twice"
            begins[rest[0]] = (*position, int(rest[3]))
            chains[rest[0]] = position
        elif word == "end":
            assert rest[0] not in ends, f"{rest[0]} ends twice"
            ends[rest[0]] = position
            parts |= {rest[0]} if rest[3] == "part" else set()
        elif word == "head":
            head = {"no": int(rest[0]), "root": bytes.fromhex(rest[2]), "hashes": [], "left": int(rest[5])}
            check_head(head["root"], int(rest[1]), bytes.fromhex(rest[3]), bytes.fromhex(rest[4]), public_key)
        elif word == "leaf":
            head["hashes"].append(leaf_hash(rest[0], *position))
            signed = leaves.setdefault(rest[0], {}).setdefault(*position)
            assert signed == position[1], f"{rest[0]}/{position[0]}: two signed heads say different things"
            anchors.add((rest[0], *position, head["no"]))
            head["left"] -= 1
            assert head["left"] > 0 or merkle_root(head["hashes"]) == head["root"], f"head {head['no']}: not its leaves"
        elif word == "event":
            stream, chain = rest[0], bytes.fromhex(rest[11])
            link = read_link(rest)
            seq, previous = chains.get(stream, (0, b""))
            assert link["seq"] == seq + 1, f"{stream}: after {seq} comes {link['seq']}"
            assert next_chain(previous, stream, link) == chain, f"{stream}/{link['seq']}: the chain is broken"
            signed = leaves.get(stream, {}).pop(link["seq"], chain)
            assert signed == chain, f"{stream}/{link['seq']}: a signed head says otherwise"
            chains[stream] = (link["seq"], chain)
        else:
            raise AssertionError(f"not a line of an export: {word}")
    assert not head or head["left"] == 0, f"head {head['no']}: leaves are missing"
    assert set(chains) <= set(ends), "a stream without an end"
    assert lines[1][1] == "some" or set(leaves) <= set(ends), "a signed head names a stream that is not there"
    for stream, (seq, chain, head_no) in begins.items():
        assert head_no == 0 or (stream, seq, chain, head_no) in anchors, f"{stream} does not begin at a signed head"
    check_removal(begins, ends, anchors)
    for stream, position in ends.items():
        assert chains[stream] == position, f"{stream} does not end where it should"
        # What is left of the leaves, no event stood for.
        begin = begins.get(stream, (0,))[0]
        assert all(seq <= begin or (stream in parts and seq > position[0]) for seq in leaves.get(stream, {})), f"{stream} is cut off"
    return {stream: seq for stream, (seq, _) in ends.items()}
