#!/usr/bin/env python3
"""verify_proof.py PROOF PUBLIC-KEY-HEX [RECEIPT]: checks a proof of `jukwaa evidence prove` with nothing of Jukwaa's: hashlib, and the
openssl program for the signature. PUBLIC-KEY-HEX: sign-public of the exchange's .pub file. Written from common/evidence/README.md."""
import hashlib
import json
import pathlib
import struct
import subprocess
import sys
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
        assert stream not in proven, "the same stream twice"
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


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    receipt = json.loads(pathlib.Path(sys.argv[3]).read_text()) if len(sys.argv) == 4 else None
    try:
        proven = check_proof(pathlib.Path(sys.argv[1]).read_text(), bytes.fromhex(sys.argv[2]), receipt)
    except (AssertionError, KeyError, ValueError) as e:
        sys.exit(f"not proven: {e}")
    for stream, (seq, chain) in proven.items():
        print(f"proven: {stream}#{seq} {chain.hex()}")


if __name__ == "__main__":
    main()
