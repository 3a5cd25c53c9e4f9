"""Agreements in force, written as agreement.proto and common/agreement/agreement.h describe them and signed with libsodium: a second
hand that writes what `jukwaa admin agreement` does. One by one (Party, agree), or a thousand in one go (add_agreements, fill)."""
import contextlib
import ctypes
import datetime
import hashlib
import json

from feed_proof import sodium
from jukwaa_harness import read_key
from psycopg2.extras import execute_values

# Members of a document stand in the order of agreement.proto.
ORDER = ("agreement", "version", "kind", "provider", "recipient", "desks", "counties", "categories", "all_categories", "severity_floor",
         "tlp_ceiling", "profile", "reporter", "persons", "actions", "purpose", "legal_basis", "retention_days", "redistribution", "start",
         "end")
COUNTIES = [f"{n:03}" for n in range(1, 48)]
PARTIES, DESKS_EACH, AGREEMENTS = 50, 10, 1000  # of `fill`


def new_sign_key():
    public, secret = ctypes.create_string_buffer(32), ctypes.create_string_buffer(64)
    assert sodium.crypto_sign_keypair(public, secret) == 0
    return public.raw, secret.raw


def sha256(text):
    return hashlib.sha256(text.encode())


def document(code, provider, recipient, **fields):
    """The canonical form of version 1 between two agencies, by code: no blanks, nothing that is empty."""
    fields = {"agreement": code, "version": 1, "kind": "MUTUAL_CONSENT", "provider": provider, "recipient": recipient, "counties": ["*"],
              "all_categories": not fields.get("categories"), "tlp_ceiling": "RED", "profile": "FULL@1",
              "actions": ["VIEW", "CASE", "NOTIFY", "RESPOND"], "purpose": "tests", "legal_basis": "none",
              "start": "2020-01-01T00:00:00Z", **fields}
    fields["counties"] = sorted(fields["counties"])
    return json.dumps({key: fields[key] for key in ORDER if fields.get(key)}, separators=(",", ":"))


class Party:
    """An agency with a key that may sign for it."""

    def __init__(self, stack, agency, known=None):
        """known: (agency_id, public, secret) of an agency that is there and has a key; else both are made."""
        self.stack, self.agency = stack, agency
        if known:
            self.agency_id, self.public, self.secret = known
            return
        stack.admin("agency", "add", agency, "--name", agency)
        path = stack.new_key(f"sign-{agency}")
        stack.admin("key", "add", "--file", f"{path}.pub", "--role", "publisher", "--agency", agency)
        key = read_key(path)
        self.public, self.secret = key["sign-public"], key["sign-secret"]
        stack.sql("UPDATE registry.key SET may_sign = true WHERE sign_key = %s", self.public)
        self.agency_id, = stack.sql("SELECT agency_id FROM registry.agency WHERE code = %s", agency)[0]

    def signed(self, pact_id, code, text, act, number, before, version=1):
        """The row of one act in registry.act; before: the statement of the act before it, or ""."""
        at = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
        said = (f"jukwaa-act-1\npact: AGREEMENT {code}\nversion: {version}\nact: {act}\nact_no: {number}\nagency: {self.agency}\n"
                f"at: {at:%Y-%m-%dT%H:%M:%SZ}\ndocument: {sha256(text).hexdigest()}\n"
                f"previous: {sha256(before).hexdigest() if before else ''}\n")
        signature = ctypes.create_string_buffer(64)
        message = said.encode()
        assert sodium.crypto_sign_detached(signature, None, message, ctypes.c_ulonglong(len(message)), self.secret) == 0
        return pact_id, version, number, act, self.agency_id, at, said, self.public, signature.raw

    def act(self, code, act, version=1):
        """Signs one act as the next of the agreement: PROPOSE, ACCEPT, SUSPEND …"""
        pact, text = self.stack.sql("SELECT pact_id, document FROM registry.pact JOIN registry.pact_version USING (pact_id)"
                                    " WHERE kind = 'AGREEMENT' AND code = %s AND version = %s", code, version)[0]
        last = self.stack.sql("SELECT act_no, statement FROM registry.act WHERE pact_id = %s ORDER BY act_no DESC LIMIT 1", pact)
        number, before = last[0] if last else (0, "")
        with contextlib.closing(self.stack.cluster.connect(self.stack.database)) as c, c.cursor() as cursor:
            insert_acts(cursor, [self.signed(pact, code, text, act, number + 1, before, version)])


def insert_acts(cursor, rows):
    execute_values(cursor, "INSERT INTO registry.act (pact_id, version, act_no, act, agency_id, at, statement, sign_key, signature)"
                   " VALUES %s", rows)


def agree(stack, code, provider, recipient, profile, **fields):
    """What `provider` gives `recipient` (two Party): in force from the next reading of the registry."""
    add_agreements(stack, [(provider, recipient, {"profile": profile, **fields})], [code])


def add_agreements(stack, wanted, codes=None):
    """wanted: (provider, recipient, fields of `document`) each; all proposed by the one and accepted by the other, in one go."""
    codes = codes or [f"{p.agency}-{r.agency}-{i}" for i, (p, r, _) in enumerate(wanted)]
    versions, acts = [], []
    with contextlib.closing(stack.cluster.connect(stack.database)) as c, c.cursor() as cursor:
        cursor.execute("INSERT INTO registry.pact (kind, code) SELECT 'AGREEMENT', unnest(%s::text[]) RETURNING code, pact_id", (codes,))
        ids = dict(cursor.fetchall())
        for code, (provider, recipient, fields) in zip(codes, wanted):
            text = document(code, provider.agency, recipient.agency, **fields)
            versions.append((ids[code], 1, text, sha256(text).digest()))
            acts.append(provider.signed(ids[code], code, text, "PROPOSE", 1, ""))
            acts.append(recipient.signed(ids[code], code, text, "ACCEPT", 2, acts[-1][6]))
        execute_values(cursor, "INSERT INTO registry.pact_version (pact_id, version, document, digest) VALUES %s", versions)
        insert_acts(cursor, acts)


# ---- a thousand, for figures ----

def add_signer(stack, agency):
    """A party for the agency with this code, whose newest key now may sign with a pair of its own."""
    public, secret = new_sign_key()
    rows = stack.sql("UPDATE registry.key SET sign_key = %s, may_sign = true WHERE key_id = (SELECT max(key_id) FROM registry.key k"
                     " JOIN registry.agency a USING (agency_id) WHERE a.code = %s) RETURNING agency_id", public, agency)
    return Party(stack, agency, (rows[0][0], public, secret))


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
    return [Party(stack, f"A{i}", (ids[f"A{i}"], *pair)) for i, pair in enumerate(pairs)]


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
