"""Agreements between made-up agencies, signed as their keys would: documents and statements written here by hand (see
proto/jukwaa/v1/agreement.proto and common/agreement/agreement.h), signatures by libsodium."""
import contextlib
import ctypes
import ctypes.util
import hashlib
import json
import time

from psycopg2.extras import execute_values

SODIUM = ctypes.CDLL(ctypes.util.find_library("sodium"))
COUNTIES = [f"{n:03}" for n in range(1, 48)]
PARTIES, DESKS_EACH, AGREEMENTS = 50, 10, 1000  # of `fill`


def new_sign_key():
    public, secret = ctypes.create_string_buffer(32), ctypes.create_string_buffer(64)
    SODIUM.crypto_sign_keypair(public, secret)
    return public.raw, secret.raw


def sign(secret, text):
    signature = ctypes.create_string_buffer(64)
    SODIUM.crypto_sign_detached(signature, None, text, ctypes.c_ulonglong(len(text)), secret)
    return signature.raw


def document(code, provider, recipient, counties=("*",), version=1, **more):
    """The canonical form: fields in the order of the .proto, no blanks, nothing that is empty."""
    fields = {"agreement": code, "version": version, "kind": "MUTUAL_CONSENT", "provider": provider, "recipient": recipient,
              "desks": more.get("desks"), "counties": sorted(counties), "categories": more.get("categories"),
              "all_categories": not more.get("categories"), "severity_floor": more.get("severity_floor"),
              "tlp_ceiling": more.get("tlp_ceiling", "AMBER"), "profile": more.get("profile", "FULL@1"), "reporter": more.get("reporter"),
              "persons": more.get("persons"), "actions": more.get("actions", ["VIEW", "CASE", "NOTIFY"]), "purpose": "figures",
              "legal_basis": "consent", "retention_days": more.get("retention_days"), "redistribution": more.get("redistribution"),
              "start": more.get("start", "2026-01-01T00:00:00Z"), "end": more.get("end")}
    return json.dumps({k: v for k, v in fields.items() if v}, separators=(",", ":"))


def statement(kind, code, version, act, act_no, agency, at, digest, previous):
    return (f"jukwaa-act-1\npact: {kind} {code}\nversion: {version}\nact: {act}\nact_no: {act_no}\nagency: {agency}\nat: {at}\n"
            f"document: {digest}\nprevious: {previous}\n")


class Party:
    def __init__(self, agency_id, code, public, secret):
        self.agency_id, self.code, self.public, self.secret = agency_id, code, public, secret


def add_signer(stack, code):
    """A party for the agency with this code, whose newest key now may sign with a pair of its own."""
    public, secret = new_sign_key()
    rows = stack.sql("UPDATE registry.key SET sign_key = %s, may_sign = true WHERE key_id = (SELECT max(key_id) FROM registry.key k"
                     " JOIN registry.agency a USING (agency_id) WHERE a.code = %s) RETURNING agency_id", public, code)
    return Party(rows[0][0], code, public, secret)


def add_parties(stack, count, desks):
    """`count` agencies A0 … with `desks` desks each, and keys that may sign; nobody holds their CURVE keys."""
    pairs = [new_sign_key() for _ in range(count)]
    stack.sql("INSERT INTO registry.agency (code, name) SELECT 'A' || i, 'A' || i FROM generate_series(0, %s) i", count - 1)
    stack.sql("INSERT INTO registry.desk (code, agency_id, name) SELECT a.code || '-' || i, a.agency_id, 'desk' FROM registry.agency a,"
              " generate_series(1, %s) i WHERE a.code ~ '^A[0-9]+$'", desks)
    stack.sql("INSERT INTO registry.key (curve_key, sign_key, role, realm, agency_id, may_sign)"
              " SELECT sha256(u.public), u.public, 'PUBLISHER', 'LIVE', a.agency_id, true FROM unnest(%s::bytea[]) WITH ORDINALITY"
              " u (public, i) JOIN registry.agency a ON a.code = 'A' || (u.i - 1)", [p for p, _ in pairs])
    ids = dict(stack.sql("SELECT code, agency_id FROM registry.agency"))
    return [Party(ids[f"A{i}"], f"A{i}", *pair) for i, pair in enumerate(pairs)]


def add_agreements(stack, wanted):
    """wanted: (provider, recipient, fields of `document`) each; all proposed by the one and accepted by the other, in one go."""
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    versions, acts = [], []
    with contextlib.closing(stack.cluster.connect(stack.database)) as c, c.cursor() as cursor:
        codes = [f"{p.code}-{r.code}-{i}" for i, (p, r, _) in enumerate(wanted)]
        cursor.execute("INSERT INTO registry.pact (kind, code) SELECT 'AGREEMENT', unnest(%s::text[])", (codes,))
        cursor.execute("SELECT code, pact_id FROM registry.pact")
        ids = dict(cursor.fetchall())
        for code, (provider, recipient, more) in zip(codes, wanted):
            text = document(code, provider.code, recipient.code, **more)
            digest, previous = hashlib.sha256(text.encode()), ""
            versions.append((ids[code], 1, text, digest.digest()))
            for act_no, (act, party) in enumerate((("PROPOSE", provider), ("ACCEPT", recipient)), 1):
                said = statement("AGREEMENT", code, 1, act, act_no, party.code, at, digest.hexdigest(), previous)
                acts.append((ids[code], 1, act_no, act, party.agency_id, at, said, party.public, sign(party.secret, said.encode())))
                previous = hashlib.sha256(said.encode()).hexdigest()
        execute_values(cursor, "INSERT INTO registry.pact_version (pact_id, version, document, digest) VALUES %s", versions)
        execute_values(cursor, "INSERT INTO registry.act (pact_id, version, act_no, act, agency_id, at, statement, sign_key, signature)"
                       " VALUES %s", acts)
    return codes


def fill(stack, others):
    """50 agencies with 10 desks each and agreements among them: coarse ones, whole ones, of some counties and categories."""
    wanted = []
    for i in range(others):
        provider, recipient = stack.parties[i % PARTIES], stack.parties[(i + 1 + i // PARTIES) % PARTIES]
        if provider is not recipient:
            wanted.append((provider, recipient, {"counties": COUNTIES[i % 40:i % 40 + 7], "profile": "COARSE_PLACE@1" if i % 3 else "FULL@1",
                                                 "tlp_ceiling": "GREEN" if i % 4 else "AMBER"}))
    add_agreements(stack, wanted)
    return len(wanted)
