"""Agreements in force, written as agreement.proto and common/agreement/agreement.h describe them and signed with libsodium: a second
hand that writes what `jukwaa admin agreement` does."""
import ctypes
import datetime
import hashlib
import json

from feed_proof import sodium
from jukwaa_harness import read_key


# Members of a document stand in the order of agreement.proto.
ORDER = ("agreement", "version", "kind", "provider", "recipient", "desks", "counties", "categories", "all_categories", "severity_floor",
         "tlp_ceiling", "profile", "reporter", "persons", "actions", "purpose", "legal_basis", "retention_days", "redistribution", "start",
         "end")


class Party:
    """An agency with a key that may sign for it."""

    def __init__(self, stack, agency):
        self.stack, self.agency = stack, agency
        stack.admin("agency", "add", agency, "--name", agency)
        path = stack.new_key(f"sign-{agency}")
        stack.admin("key", "add", "--file", f"{path}.pub", "--role", "publisher", "--agency", agency)
        key = read_key(path)
        self.public, self.secret = key["sign-public"], key["sign-secret"]
        stack.sql("UPDATE registry.key SET may_sign = true WHERE sign_key = %s", self.public)
        self.agency_id, = stack.sql("SELECT agency_id FROM registry.agency WHERE code = %s", agency)[0]

    def act(self, code, version, act, document):
        """Signs one act as the next of the agreement."""
        pact, = self.stack.sql("SELECT pact_id FROM registry.pact WHERE kind = 'AGREEMENT' AND code = %s", code)[0]
        before = self.stack.sql("SELECT act_no, statement FROM registry.act WHERE pact_id = %s ORDER BY act_no DESC LIMIT 1", pact)
        number, previous = (before[0][0] + 1, hashlib.sha256(before[0][1].encode()).hexdigest()) if before else (1, "")
        at = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
        statement = (f"jukwaa-act-1\npact: AGREEMENT {code}\nversion: {version}\nact: {act}\nact_no: {number}\nagency: {self.agency}\n"
                     f"at: {at:%Y-%m-%dT%H:%M:%SZ}\ndocument: {hashlib.sha256(document.encode()).hexdigest()}\nprevious: {previous}\n")
        signature = ctypes.create_string_buffer(64)
        text = statement.encode()
        assert sodium.crypto_sign_detached(signature, None, text, ctypes.c_ulonglong(len(text)), self.secret) == 0
        self.stack.sql("INSERT INTO registry.act (pact_id, version, act_no, act, agency_id, at, statement, sign_key, signature)"
                       " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
                       pact, version, number, act, self.agency_id, at, statement, self.public, signature.raw)


def agree(stack, code, provider, recipient, profile, **fields):
    """What `provider` gives `recipient` (two Party): in force from the next reading of the registry."""
    document = {"agreement": code, "version": 1, "kind": "MUTUAL_CONSENT", "provider": provider.agency, "recipient": recipient.agency,
                "counties": ["*"], "all_categories": True, "tlp_ceiling": "RED", "profile": profile,
                "actions": ["VIEW", "CASE", "NOTIFY", "RESPOND"], "purpose": "tests", "legal_basis": "none",
                "start": "2020-01-01T00:00:00Z", **fields}
    document = {key: document[key] for key in ORDER if key in document}
    text = json.dumps(document, separators=(",", ":"))
    pact, = stack.sql("INSERT INTO registry.pact (kind, code) VALUES ('AGREEMENT', %s) RETURNING pact_id", code)[0]
    stack.sql("INSERT INTO registry.pact_version (pact_id, version, document, digest) VALUES (%s, 1, %s, %s)", pact, text,
              hashlib.sha256(text.encode()).digest())
    provider.act(code, 1, "PROPOSE", text)
    recipient.act(code, 1, "ACCEPT", text)
