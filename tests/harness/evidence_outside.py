"""Checks proofs and exports of evidence as an outsider would: written from the documents alone (common/evidence/README.md,
proto/jukwaa/v1/feed.proto and evidence.proto), with hashlib, and openssl for the signature. Raises AssertionError with what does
not hold."""
import hashlib
import json
import pathlib
import struct
import subprocess
import tempfile
import uuid

# SubjectPublicKeyInfo of an Ed25519 key (RFC 8410) before its 32 bytes.
ED25519_SPKI = bytes.fromhex("302a300506032b6570032100")


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def number(value):
    return struct.pack(">q", value)


def field(value):
    return struct.pack(">I", len(value)) + value


def signature_holds(key, signature, text):
    """Ed25519 by the openssl program."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "key").write_bytes(ED25519_SPKI + key)
        (folder / "signature").write_bytes(signature)
        (folder / "text").write_bytes(text)
        done = subprocess.run(["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", folder / "key", "-rawin", "-in",
                               folder / "text", "-sigfile", folder / "signature"], capture_output=True, text=True)
        return done.returncode == 0


def check_head(root, signed_at_us, key, signature, public_key):
    assert key == public_key, "signed by another key"
    assert signature_holds(key, signature, b"jk-head-1" + root + number(signed_at_us)), "the signature does not hold"


def next_chain(previous, stream, link):
    return sha256(*map(field, (
        b"jk1", previous, stream.encode(), number(link["seq"]), number(link["epoch"]), number(link["recorded_at_us"]),
        uuid.UUID(link["event_id"]).bytes, number(link["kind"]), uuid.UUID(link["incident_id"]).bytes, number(link["revision"]),
        number(link["tlp"]), number(link["category"]), bytes.fromhex(link["commitment"]))))


def leaf_hash(stream, seq, chain):
    return sha256(b"\0", field(stream.encode()), number(seq), chain)


def check_proof(proof, public_key, receipt=None):
    """proof: the file's text. Returns {stream: (seq, chain)} of what is proven."""
    proof = json.loads(proof)
    assert proof["form"] == "jukwaa-proof-1"
    head = proof["head"]
    root = bytes.fromhex(head["root"])
    check_head(root, head["signed_at_us"], bytes.fromhex(head["public_key"]), bytes.fromhex(head["signature"]), public_key)
    proven = {}
    for part in proof["streams"]:
        stream, chain = part["stream"], bytes.fromhex(part["previous_chain"])
        assert part["links"][0]["event_id"] == proof["event_id"], "the first link is another event's"
        assert len(chain) == (0 if part["links"][0]["seq"] == 1 else 32)
        for place, link in enumerate(part["links"]):
            assert link["seq"] == part["links"][0]["seq"] + place, "numbers do not follow one another"
            chain = next_chain(chain, stream, link)
            if place == 0:
                proven[stream] = (link["seq"], chain)
        node = leaf_hash(stream, link["seq"], chain)
        for step in part["audit"]:
            digest = bytes.fromhex(step["digest"])
            node = sha256(b"\1", digest, node) if step["left"] else sha256(b"\1", node, digest)
        assert node == root, "the links do not lead to the root"
    if receipt:
        assert receipt["event_id"] == proof["event_id"], "the receipt is another event's"
        said = {p["county"]: (p["seq"], bytes.fromhex(p["chain"])) for p in receipt["positions"]}
        assert said == proven, "the receipt says otherwise"
    return proven


def merkle_root(hashes):
    """RFC 6962 section 2.1, over leaves already hashed."""
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return sha256(b"\1", merkle_root(hashes[:split]), merkle_root(hashes[split:]))


LINK_FIELDS = ("seq", "epoch", "recorded_at_us", "event_id", "kind", "incident_id", "revision", "tlp", "category", "commitment")


def check_export(lines, public_key):
    """Returns {stream: last seq} of an export that holds."""
    lines = [line.rstrip("\n").split(" ") for line in lines]
    assert lines[0] == ["jukwaa-evidence-1"] and lines[-1] == ["done", str(len(lines) - 1)], "not a whole export"
    begins, ends, leaves, anchors, chains, parts = {}, {}, {}, set(), {}, set()
    head = None
    for word, *rest in lines[1:-1]:
        if word in ("begin", "end", "leaf"):
            position = (int(rest[1]), bytes.fromhex(rest[2]))
        if word == "begin":
            begins[rest[0]] = (*position, int(rest[3]))
            chains[rest[0]] = position
        elif word == "end":
            ends[rest[0]] = position
            parts |= {rest[0]} if rest[3] == "part" else set()
        elif word == "head":
            head = {"no": int(rest[0]), "root": bytes.fromhex(rest[2]), "hashes": [], "left": int(rest[5])}
            check_head(head["root"], int(rest[1]), bytes.fromhex(rest[3]), bytes.fromhex(rest[4]), public_key)
        elif word == "leaf":
            head["hashes"].append(leaf_hash(rest[0], *position))
            leaves.setdefault(rest[0], {})[position[0]] = position[1]
            anchors.add((rest[0], *position, head["no"]))
            head["left"] -= 1
            assert head["left"] > 0 or merkle_root(head["hashes"]) == head["root"], f"head {head['no']}: not its leaves"
        elif word == "event":
            stream, chain = rest[0], bytes.fromhex(rest[11])
            link = dict(zip(LINK_FIELDS, rest[1:11]))
            link = {k: int(v) if k not in ("event_id", "incident_id", "commitment") else v for k, v in link.items()}
            link["commitment"] = link["commitment"].replace("-", "")
            seq, previous = chains.get(stream, (0, b""))
            assert link["seq"] == seq + 1, f"{stream}: after {seq} comes {link['seq']}"
            assert next_chain(previous, stream, link) == chain, f"{stream}/{link['seq']}: the chain is broken"
            signed = leaves.get(stream, {}).pop(link["seq"], chain)
            assert signed == chain, f"{stream}/{link['seq']}: a signed head says otherwise"
            chains[stream] = (link["seq"], chain)
    for stream, (seq, chain, head_no) in begins.items():
        assert head_no == 0 or (stream, seq, chain, head_no) in anchors, f"{stream} does not begin at a signed head"
    for stream, position in ends.items():
        assert chains[stream] == position, f"{stream} does not end where it should"
        assert stream in parts or all(seq <= begins.get(stream, (0,))[0] for seq in leaves.get(stream, {})), f"{stream} is cut off"
    return {stream: seq for stream, (seq, _) in ends.items()}
