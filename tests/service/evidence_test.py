"""Evidence: proofs that another program checks, exports, published and witnessed heads; and a database that somebody has written to:
each change is found, with the number that comes first."""
import ctypes
import hashlib
import json
import os
import struct
import subprocess
import sys
import types
import unittest
import uuid

import psycopg2
import psycopg2.extras
from dispatch_test import append, make_body
from evidence_outside import check_export, check_proof, next_chain, read_link
from feed_proof import merkle_root, sodium
from jukwaa_harness import Cluster, ROOT, Stack, chain_next, read_key, run_cli, wait_until

psycopg2.extras.register_uuid()
cluster = Cluster()


def heads(stack):
    return stack.sql("SELECT count(*) FROM evidence.head")[0][0]


def sign_now(stack):
    """Until a signed head covers all there is."""
    wait_until(lambda: stack.sql(
        "SELECT bool_and(h.last_seq = coalesce(e.seqs[array_position(e.streams, h.stream)], 0)) FROM feed.head h,"
        " (SELECT * FROM evidence.head ORDER BY head_no DESC LIMIT 1) e")[0][0], 15, "a signed head")


class Case(unittest.TestCase):
    def evidence(self, stack, *args, status=0):
        """The JSON lines of `jukwaa evidence …`."""
        done = run_cli("--json", "evidence", *args, env={**stack.admin_env, "JUKWAA_SERVER_KEY": f"{stack.server_key}.pub"}, check=False)
        self.assertEqual(done.returncode, status, f"{done.stdout}\n{done.stderr}")
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    def findings(self, stack, *args):
        """{(code, stream, seq)} of a verification that finds something."""
        lines = self.evidence(stack, "verify", *args, status=1)
        self.assertEqual(lines[-1]["result"], "altered")
        return {(line["code"], line["stream"], line["seq"]) for line in lines[:-1]}


class ProofTest(Case):
    """Reports published as any publisher does, by way of intake and dispatch."""

    @classmethod
    def setUpClass(cls):
        cls.head_file = cluster.folder.parent / "published.jsonl"
        cls.stack = Stack(services=("intake", "dispatch"), cluster=cluster, settings={"dispatch": {"JUKWAA_HEAD_FILE": str(cls.head_file)}})
        cls.key = cls.stack.add_publisher("POLICE")
        cls.desk = cls.stack.add_desk("OPEN")
        cls.stack.wait_known(cls.key)
        cls.stack.wait_known(cls.desk, "dispatch")
        cls.public_key = read_key(f"{cls.stack.server_key}.pub")["sign-public"]
        samples = ROOT / "deploy" / "samples"
        cls.receipts = cls.publish(*samples.glob("*.xml"), *samples.glob("*.json*")) + [cls.publish_new() for _ in range(5)]
        sign_now(cls.stack)

    @classmethod
    def tearDownClass(cls):
        for service in cls.stack.services.values():
            service.stop()

    @classmethod
    def publish(cls, *files):
        receipts, _ = cls.stack.cli_json(cls.key, "publish", *files)
        return [r for r in receipts if r["verdict"] == "STORED"]

    @classmethod
    def publish_new(cls):
        """A report that was not there before; its receipt."""
        report = json.loads((ROOT / "deploy" / "samples" / "crash-nakuru.json").read_text())
        report["identity"]["external_id"] = uuid.uuid4().hex
        path = cls.stack.run / f"{uuid.uuid4().hex}.json"
        path.write_text(json.dumps(report))
        return cls.publish(path)[0]

    def receipt_file(self, receipt):
        path = self.stack.run / f"{uuid.uuid4().hex}.json"
        path.write_text(json.dumps(receipt))
        return path

    def prove(self, receipt):
        path = self.receipt_file(receipt)
        proof = path.with_suffix(".proof")
        self.evidence(self.stack, "prove", path, "--out", proof)
        return path, proof

    def verify(self, *args, status=0, env=None):
        """Without database, without server: only the public key."""
        done = run_cli("--json", "evidence", "verify", *args, env={"JUKWAA_SERVER_KEY": f"{self.stack.server_key}.pub", **(env or {})},
                       check=False)
        self.assertEqual(done.returncode, status, f"{done.stdout}\n{done.stderr}")
        return done

    def test_another_program_checks_each_receipt(self):
        self.assertGreater(len(self.receipts), 7)
        many = next(r for r in self.receipts if len(r["positions"]) > 1)
        for receipt in [*self.receipts[:6], many]:
            path, proof = self.prove(receipt)
            self.assertEqual(len(check_proof(proof.read_text(), self.public_key, receipt)), len(receipt["positions"]))
            done = subprocess.run([sys.executable, ROOT / "deploy" / "examples" / "verify_proof.py", proof, self.public_key.hex(), path],
                                  capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stdout.count("proven: ")), (0, len(receipt["positions"])), done.stderr)
            lines = [json.loads(line) for line in self.verify(proof, "--receipt", path).stdout.splitlines()]
            self.assertEqual({(line["stream"], line["seq"], line["receipt"]) for line in lines},
                             {(p["county"], p["seq"], "proven") for p in receipt["positions"]})

    def test_a_proof_that_was_changed_proves_nothing(self):
        _, proof = self.prove(self.receipts[0])
        true = json.loads(proof.read_text())
        false = self.stack.run / "false.proof"

        def changed(change):
            copy = json.loads(json.dumps(true))
            change(copy)
            false.write_text(json.dumps(copy))
            with self.assertRaises(AssertionError):
                check_proof(false.read_text(), self.public_key)
            self.assertIn("BAD_SIGNATURE", self.verify(false, status=1).stderr)

        def link(place, name, value):
            return lambda p: p["streams"][0]["links"][place].update({name: value})
        first = true["streams"][0]["links"][0]
        for name, value in first.items():
            if isinstance(value, int):
                changed(link(0, name, value + 1))
        changed(link(0, "incident_id", str(uuid.uuid4())))
        changed(link(0, "commitment", "00" * 32))
        changed(link(-1, "recorded_at_us", 1))
        changed(lambda p: p.update(event_id=str(uuid.uuid4())))
        changed(lambda p: p["head"].update(signed_at_us=p["head"]["signed_at_us"] + 1))
        changed(lambda p: p["head"].update(root="11" * 32))
        changed(lambda p: p["head"].update(public_key="11" * 32))
        changed(lambda p: p["streams"][0]["audit"][0].update(left=not p["streams"][0]["audit"][0]["left"]))
        changed(lambda p: p["streams"][0].update(previous_chain="22" * 32))
        changed(lambda p: p["streams"][0].update(stream="999"))

    def test_one_stream_twice_is_no_proof_of_two(self):
        receipt = next(r for r in self.receipts if len(r["positions"]) > 1)
        path, proof = self.prove(receipt)
        true, false = json.loads(proof.read_text()), self.stack.run / "twice.proof"
        false.write_text(json.dumps({**true, "streams": true["streams"][:1] * len(receipt["positions"])}))
        self.assertIn("the same stream twice", self.verify(false, "--receipt", path, status=1).stderr)
        self.assertRaises(AssertionError, check_proof, false.read_text(), self.public_key)
        # One of the two alone is true, and not all of the receipt.
        false.write_text(json.dumps({**true, "streams": true["streams"][:1]}))
        self.assertIn("not about all that the receipt says", self.verify(false, "--receipt", path, status=1).stderr)
        self.verify(false)
        # A receipt that was written down twice is proven once.
        path.write_text(2 * (json.dumps(receipt) + "\n"))
        again = path.with_suffix(".again")
        self.evidence(self.stack, "prove", path, "--out", again)
        self.assertEqual(len(json.loads(again.read_text())["streams"]), len(receipt["positions"]))
        self.verify(again, "--receipt", path)

    def test_somebody_elses_key_or_receipt_is_not_enough(self):
        path, proof = self.prove(self.receipts[0])
        other = self.stack.new_key("other")
        self.assertIn("head.public_key", self.verify(proof, "--public-key", f"{other}.pub", status=1).stderr)
        self.verify(proof, "--public-key", self.public_key.hex(), "--receipt", path)
        self.assertIn("not about all that the receipt says",
                      self.verify(proof, "--receipt", self.receipt_file(self.receipts[1]), status=1).stderr)
        false = {**self.receipts[0], "positions": [{**self.receipts[0]["positions"][0], "seq": 999}]}
        self.evidence(self.stack, "prove", self.receipt_file(false), status=1)
        self.verify(proof, "--export", proof, status=2)
        self.verify(self.receipt_file({"form": "jukwaa-proof-9"}), status=1)
        self.assertEqual(run_cli("evidence", "verify", proof, check=False, env={"JUKWAA_SERVER_KEY": ""}).returncode, 2)

    def test_an_event_without_a_head_is_not_proven_yet(self):
        before = heads(self.stack)
        receipt = self.publish_new()
        done = run_cli("evidence", "prove", self.receipt_file(receipt), env=self.stack.admin_env, check=False)
        if heads(self.stack) == before:  # else ten seconds ended just now
            self.assertEqual((done.returncode, "no signed head" in done.stderr), (1, True), done.stderr)
        sign_now(self.stack)
        self.prove(receipt)

    def test_export_holds_for_another_program_and_offline(self):
        whole = self.stack.run / "whole.evidence"
        self.evidence(self.stack, "export", "--out", whole)
        ends = check_export(whole.read_text().splitlines(), self.public_key)
        self.assertEqual(ends, dict(self.stack.sql("SELECT stream, last_seq FROM feed.head WHERE last_seq > 0")))
        result = json.loads(self.verify("--export", whole, "--heads", self.head_file).stdout.splitlines()[-1])
        self.assertEqual((result["result"], result["events"], result["witnessed"] > 0), ("intact", sum(ends.values()), True))
        self.assertEqual((result["all_streams"], result["partial_streams"]), (True, 0))
        text = whole.read_text()
        for bytes_of in self.stack.sql("SELECT body FROM feed.event WHERE length(body) > 40 LIMIT 20"):
            self.assertNotIn(bytes(bytes_of[0])[30:40].hex(), text)
        stream, last = max(ends.items(), key=lambda e: e[1])
        part = self.stack.run / "part.evidence"
        self.evidence(self.stack, "export", "--county", stream, "--from", "2", "--to", str(last - 1), "--out", part)
        self.assertEqual(check_export(part.read_text().splitlines(), self.public_key), {stream: last - 1})
        result = json.loads(self.verify("--export", part).stdout.splitlines()[-1])
        self.assertEqual((result["events"], result["all_streams"], result["partial_streams"]), (last - 2, False, 1))
        human = run_cli("evidence", "verify", "--export", part, env={"JUKWAA_SERVER_KEY": f"{self.stack.server_key}.pub"}).stdout
        self.assertEqual(human.count("only a part"), 2, human)
        lines = text.splitlines(keepends=True)
        place = next(i for i, line in enumerate(lines) if line.startswith("event"))
        cut = self.stack.run / "cut.evidence"
        for wrong in (lines[:-1], lines[:place] + lines[place + 1:], [*lines, "event\n"], lines[:3] + ["event 047 1\n"] + lines[3:]):
            cut.write_text("".join(wrong))
            self.assertIn("NOT_WELL_FORMED", self.verify("--export", cut, status=1).stderr)
        words = lines[place].split(" ")
        words[10] = str((int(words[10]) + 1) % 12)
        cut.write_text("".join(lines[:place] + [" ".join(words)] + lines[place + 1:]))
        found = [json.loads(line) for line in self.verify("--export", cut, status=1).stdout.splitlines()]
        self.assertEqual((found[0]["code"], found[0]["stream"], found[0]["seq"]), ("CHAIN_BROKEN", words[1], int(words[2])))

    def test_heads_are_published_and_witnessed(self):
        witness = self.stack.run / "witness.jsonl"
        self.stack.cli(self.desk, "watch", "--all", "--from", "beginning", "--heads", witness, "--timeout", "3")
        # What was witnessed is read back with each head.
        with open(witness, "a", encoding="utf-8") as f:
            f.write('{"head_no":3,"signed')  # a crash cut this line
        seen = set()
        for path in (witness, self.head_file):
            newest = self.evidence(self.stack, "head", "--watch-file", path)[0]
            stored = self.stack.sql("SELECT signed_at, root FROM evidence.head WHERE root = %s", bytes.fromhex(newest["root"]))
            self.assertEqual(len(stored), 1, newest)
            seen.add(newest["public_key"])
        self.assertEqual(seen, {self.public_key.hex()})
        sign_now(self.stack)
        newest = self.evidence(self.stack, "head")[0]
        wait_until(lambda: newest in [json.loads(line) for line in self.head_file.read_text().splitlines()], 5, "published")
        # Whoever owns the file may move it away.
        self.head_file.rename(self.head_file.with_suffix(".1"))
        self.publish_new()
        wait_until(self.head_file.exists, 15, "a file again")
        self.head_file.with_suffix(".1").rename(self.head_file)

    def test_the_database_is_intact(self):
        """Also its bodies: what intake and dispatch store adds up to the commitments."""
        desk = self.stack.cli(self.desk, "watch", "--all", "--from", "beginning", "--count", "3", "--timeout", "20")
        self.assertEqual(len(desk.stdout.splitlines()), 3)
        wait_until(lambda: self.stack.sql("SELECT count(*) FROM feed.event WHERE stream = '@POLICE'")[0][0], 10, "mail")
        receipts = self.stack.run / "receipts.jsonl"
        receipts.write_text("".join(json.dumps(r) + "\n" for r in self.receipts))
        result = self.evidence(self.stack, "verify", "--database", "--content", "--receipt", receipts, "--heads", self.head_file)
        self.assertEqual((len(result), result[0]["result"]), (1, "intact"))
        self.assertEqual(result[0]["events"], self.stack.sql("SELECT count(*) FROM feed.event")[0][0])
        human = run_cli("evidence", "verify", "--database", env={**self.stack.admin_env, "JUKWAA_SERVER_KEY": f"{self.stack.server_key}.pub"})
        self.assertIn("no witnessed heads were given", human.stdout)


STREAMS = ("001", "047", "@POLICE")
EACH = 40


class Forger:
    """Somebody with all rights in the database, a little time, and a signing key: the exchange's or another."""

    def __init__(self, stack, key):
        self.stack, self.key = stack, read_key(key)

    def sql(self, *args):
        return self.stack.sql(*args)

    def rows(self, stream):
        names = ("seq", "epoch", "recorded_at_us", "event_id", "kind", "incident_id", "revision", "tlp", "category", "commitment", "chain")
        for row in self.sql("SELECT seq, epoch, (extract(epoch FROM recorded_at) * 1000000)::bigint, event_id, kind, incident_id, revision,"
                            " tlp, category, commitment, chain FROM feed.event WHERE stream = %s ORDER BY seq", stream):
            event = types.SimpleNamespace(stream=stream, **dict(zip(names, row)))
            event.event_id, event.incident_id = event.event_id.bytes, event.incident_id.bytes
            event.commitment, event.chain = bytes(event.commitment), bytes(event.chain)
            yield event

    def chain_anew(self, stream):
        """All chains of the stream, and its head, as if what stands there had always stood there."""
        chain, seq = b"", 0
        for event in self.rows(stream):
            chain, seq = chain_next(chain, event), event.seq
            self.sql("UPDATE feed.event SET chain = %s WHERE stream = %s AND seq = %s", chain, stream, seq)
        self.sql("UPDATE feed.head SET last_chain = %s, last_seq = %s WHERE stream = %s", chain, seq, stream)

    def sign_anew(self):
        """All signed heads over what stands there now."""
        for no, streams, seqs, signed_at in self.sql("SELECT head_no, streams, seqs, (extract(epoch FROM signed_at) * 1000000)::bigint"
                                                     " FROM evidence.head ORDER BY head_no"):
            chains = [bytes(self.sql("SELECT chain FROM feed.event WHERE stream = %s AND seq = %s", s, n)[0][0])
                      for s, n in zip(streams, seqs)]
            root = merkle_root([hashlib.sha256(b"\0" + struct.pack(">I", len(s)) + s.encode() + struct.pack(">q", n) + c).digest()
                                for s, n, c in zip(streams, seqs, chains)])
            text = b"jk-head-1" + root + struct.pack(">q", signed_at)
            signature = bytearray(64)
            buffer = (ctypes.c_ubyte * 64).from_buffer(signature)
            sodium.crypto_sign_detached(buffer, None, text, ctypes.c_ulonglong(len(text)), self.key["sign-secret"])
            self.sql("UPDATE evidence.head SET chains = %s::bytea[], root = %s, public_key = %s, signature = %s WHERE head_no = %s", chains,
                     root, self.key["sign-public"], bytes(signature), no)


class TamperTest(Case):
    """A feed with several signed heads, and what somebody may do to it. Each case starts from the same rows."""

    @classmethod
    def setUpClass(cls):
        cls.stack = Stack(services=(), cluster=cluster)
        for part in range(4):
            for stream in STREAMS:
                bodies = [make_body("POLICE") for _ in range(EACH // 4)]
                if stream[0] == "@":
                    bodies = [(text, hashlib.sha256(text).digest()) for text in (os.urandom(30) for _ in bodies)]
                append(cls.stack, stream, bodies)
            if part < 3:
                cls.sign(cls.stack)
        cls.witness = cls.stack.run / "witness.jsonl"
        cls.keep_witness()
        cls.stack.sql("CREATE SCHEMA kept")
        for table in ("feed.event", "feed.head", "evidence.head", "feed.removed"):
            cls.stack.sql(f"CREATE TABLE kept.{table.replace('.', '_')} AS SELECT * FROM {table}")
        cls.owner = Forger(cls.stack, cls.stack.server_key)
        cls.stranger = Forger(cls.stack, cls.stack.new_key("stranger"))
        cls.signed = cls.stack.sql("SELECT max(seqs[array_position(streams, '047')]) FROM evidence.head")[0][0]

    @classmethod
    def sign(cls, stack):
        """One head that covers what was appended: dispatch signs at once when it starts, and is not there while events come."""
        stack.services["dispatch"].start()
        sign_now(stack)
        stack.services["dispatch"].stop()

    @classmethod
    def keep_witness(cls):
        """What a desk would have kept of its beats."""
        with open(cls.witness, "w", encoding="utf-8") as f:
            for at, root, key, signature in cls.stack.sql("SELECT (extract(epoch FROM signed_at) * 1000000)::bigint, root, public_key,"
                                                          " signature FROM evidence.head ORDER BY head_no"):
                f.write(json.dumps({"signed_at_us": at, "root": bytes(root).hex(), "public_key": bytes(key).hex(),
                                    "signature": bytes(signature).hex()}) + "\n")

    def setUp(self):
        self.stack.sql("TRUNCATE feed.removed, evidence.head, feed.head, feed.event")
        for table, over in (("feed.event", ""), ("feed.head", ""), ("evidence.head", "OVERRIDING SYSTEM VALUE"), ("feed.removed", "")):
            self.stack.sql(f"INSERT INTO {table} {over} SELECT * FROM kept.{table.replace('.', '_')}")

    def found(self, *args):
        return self.findings(self.stack, "--database", *args)

    def test_untouched(self):
        result = self.evidence(self.stack, "verify", "--database", "--content", "--heads", self.witness)
        self.assertEqual((result[0]["result"], result[0]["events"], result[0]["witnessed"], result[0]["unsigned_events"]),
                         ("intact", len(STREAMS) * EACH, 3, len(STREAMS) * EACH // 4))

    def test_each_field_changed(self):
        for column, value in (("kind", "3::int2"), ("tlp", "5::int2"), ("category", "1::int2"), ("revision", "77::int8"),
                              ("recorded_at", "recorded_at + interval '1 microsecond'"), ("epoch", "epoch + 1"),
                              ("event_id", "gen_random_uuid()"), ("incident_id", "gen_random_uuid()"),
                              ("commitment", "sha256('x')"), ("chain", "sha256('x')")):
            for seq in (1, 17, EACH):  # the first, one in the middle, and one that no head has signed yet
                with self.subTest(column=column, seq=seq):
                    self.setUp()
                    self.stack.sql(f"UPDATE feed.event SET {column} = {value} WHERE stream = '047' AND seq = %s", seq)
                    self.assertIn(("CHAIN_BROKEN", "047", seq), self.found())

    def test_a_body_changed(self):
        self.stack.sql("UPDATE feed.event SET body = %s WHERE stream = '047' AND seq = 8", make_body("POLICE")[0])
        self.stack.sql("UPDATE feed.event SET body = 'x' WHERE stream = '@POLICE' AND seq = 9")
        self.stack.sql("UPDATE feed.event SET body = 'x' WHERE stream = '001' AND seq = 10")
        self.evidence(self.stack, "verify", "--database")
        self.assertEqual(self.found("--content"),
                         {("CONTENT_ALTERED", "047", 8), ("CONTENT_ALTERED", "@POLICE", 9), ("CONTENT_ALTERED", "001", 10)})

    def test_removed(self):
        for first, last in ((1, 1), (12, 12), (5, 31)):
            with self.subTest(first=first):
                self.setUp()
                self.stack.sql("DELETE FROM feed.event WHERE stream = '047' AND seq BETWEEN %s AND %s", first, last)
                self.assertEqual(self.found(), {("NUMBER_MISSING", "047", first)})

    def test_removed_at_the_end(self):
        self.stack.sql("DELETE FROM feed.event WHERE stream = '047' AND seq > 35")
        self.assertEqual(self.found(), {("ENDS_ELSEWHERE", "047", 36)})
        # With its head moved back as well: what is signed tells.
        self.stack.sql("DELETE FROM feed.event WHERE stream = '047' AND seq > 25")
        self.stack.sql("UPDATE feed.head h SET last_seq = 25, last_chain = e.chain FROM feed.event e"
                       " WHERE h.stream = '047' AND e.stream = '047' AND e.seq = 25")
        self.assertEqual(self.found(), {("CUT_OFF", "047", 26)})

    def test_a_whole_stream_removed(self):
        self.stack.sql("DELETE FROM feed.event WHERE stream = '047'")
        self.stack.sql("DELETE FROM feed.head WHERE stream = '047'")
        self.assertEqual(self.found(), {("CUT_OFF", "047", 1)})
        self.setUp()
        self.stack.sql("DELETE FROM feed.head WHERE stream = '047'")
        self.assertEqual({f for f in self.found() if f[0] == "STREAM_UNKNOWN"}, {("STREAM_UNKNOWN", "047", 1)})

    def test_removed_as_if_by_age(self):
        """Up to a number that no head has signed, and under a head that is not there."""
        self.stack.sql("INSERT INTO feed.removed SELECT '047', 7, e.chain, h.head_no, 7 FROM feed.event e, evidence.head h"
                       " WHERE e.stream = '047' AND e.seq = 7 ORDER BY h.head_no LIMIT 1")
        self.stack.sql("DELETE FROM feed.event WHERE stream = '047' AND seq <= 7")
        self.assertEqual(self.found(), {("BEGINS_NOWHERE", "047", 7)})

    def test_removed_by_age(self):
        """What is left begins at a position of a signed head, and holds; a receipt of what was removed is not called good."""
        receipt = self.stack.run / "old.json"
        chain = bytes(self.stack.sql("SELECT chain FROM feed.event WHERE stream = '047' AND seq = 2")[0][0]).hex()
        receipt.write_text(json.dumps({"event_id": str(uuid.uuid4()), "stream": "047", "seq": 2, "chain": chain}))
        self.evidence(self.stack, "verify", "--database", "--receipt", receipt)
        self.stack.sql("UPDATE meta.retention SET event = interval '1 microsecond'")
        for table in ("cases.cursor", "notify.cursor", "dispatch.follow"):
            self.stack.sql(f"INSERT INTO {table} AS c (stream, seq) SELECT stream, last_seq FROM feed.head WHERE stream ~ '^[0-9]'"
                           " ON CONFLICT (stream) DO UPDATE SET seq = greatest(c.seq, excluded.seq)")
        try:
            self.assertEqual(self.stack.sql("SELECT removed FROM feed.remove(100000)"), [(len(STREAMS) * 30,)])
            result = self.evidence(self.stack, "verify", "--database", "--content", "--heads", self.witness)[0]
            self.assertEqual((result["result"], result["events"], result["witnessed"] + result["witnessed_before_kept"]),
                             ("intact", len(STREAMS) * 10, 3))
            self.assertEqual((result["all_streams"], result["partial_streams"]), (True, 0))
            self.assertEqual(self.found("--receipt", receipt), {("NOT_CHECKED", "047", 2)})
            self.stack.sql("UPDATE feed.removed SET chain = sha256('x') WHERE stream = '047'")
            self.assertEqual({code for code, stream, _ in self.found() if stream == "047"},
                             {"CHAIN_BROKEN", "BEGINS_NOWHERE", "NOT_AS_SIGNED"})
        finally:
            self.stack.sql("UPDATE meta.retention SET event = interval '400 days'")
            self.stack.sql("UPDATE feed.removal SET head_no = 0")
            self.stack.sql("TRUNCATE cases.cursor, notify.cursor")

    def test_removed_as_if_by_age_for_the_heads_sake(self):
        """By who owns the key: history is rewritten and signed anew, and all of a quiet stream is removed up to the newest head, so that
        the heads that others hold would be older than what is kept. Removal by age leaves no other stream behind."""
        self.change()
        self.owner.chain_anew("047")
        self.stack.sql("INSERT INTO evidence.head (signed_at, root, streams, seqs, chains, public_key, signature)"
                       " SELECT now(), root, streams, array_fill(%s::bigint, ARRAY[3]), chains, public_key, signature FROM evidence.head"
                       " ORDER BY head_no DESC LIMIT 1", EACH)
        self.owner.sign_anew()
        self.stack.sql("INSERT INTO feed.removed SELECT '@POLICE', e.seq, e.chain, (SELECT max(head_no) FROM evidence.head), e.seq"
                       " FROM feed.event e WHERE e.stream = '@POLICE' AND e.seq = %s", EACH)
        self.stack.sql("DELETE FROM feed.event WHERE stream = '@POLICE'")
        self.assertEqual(self.found("--heads", self.witness),
                         {("BEGINS_NOWHERE", "@POLICE", EACH), *(("NOT_WITNESSED", stream, 11) for stream in STREAMS)})

    def export_lines(self):
        path = self.stack.run / f"{uuid.uuid4().hex}.evidence"
        self.evidence(self.stack, "export", "--out", path)
        return path.read_text().splitlines()[:-1]

    def verify_lines(self, lines, status):
        """The end of an export's verification by both programs; lines: all but the last one."""
        path = self.stack.run / f"{uuid.uuid4().hex}.evidence"
        lines = [*lines, f"done {len(lines)}"]
        path.write_text("\n".join(lines) + "\n")
        if status:
            self.assertRaises(AssertionError, check_export, lines, self.owner.key["sign-public"])
        else:
            check_export(lines, self.owner.key["sign-public"])
        done = run_cli("--json", "evidence", "verify", "--export", path, env={"JUKWAA_SERVER_KEY": f"{self.stack.server_key}.pub"}, check=False)
        self.assertEqual(done.returncode, status, f"{done.stdout}\n{done.stderr}")
        return done

    def test_an_export_that_begins_again(self):
        """An event is changed, and behind it the stream begins anew with what its chain was."""
        lines = self.export_lines()
        self.verify_lines(lines, 0)
        place = next(i for i, line in enumerate(lines) if line.startswith("event 047 15 "))
        before, words = lines[place - 1].split(" "), lines[place].split(" ")
        self.assertEqual(before[:3], ["event", "047", "14"])
        again = f"begin 047 15 {words[12]} 0"
        words[10] = str((int(words[10]) + 1) % 12)
        words[12] = next_chain(bytes.fromhex(before[12]), "047", read_link(words[1:])).hex()
        lines[place] = " ".join(words)
        found = [json.loads(line) for line in self.verify_lines(lines, 1).stdout.splitlines()]
        self.assertEqual((found[0]["code"], found[0]["seq"]), ("CHAIN_BROKEN", 16))
        lines.insert(place + 1, again)
        self.assertIn("NOT_WELL_FORMED", self.verify_lines(lines, 1).stderr)

    def test_an_export_that_ends_twice(self):
        """A part at first, so that what heads know beyond it does not count; then the whole."""
        lines = self.export_lines()
        chain = next(line for line in lines if line.startswith("event 047 25 ")).split(" ")[12]
        lines = [line for line in lines if not line.startswith("event 047 ") or int(line.split(" ")[2]) <= 25]
        place = next(i for i, line in enumerate(lines) if line.startswith("end 047 "))
        lines[place] = f"end 047 25 {chain} whole"
        found = [json.loads(line) for line in self.verify_lines(lines, 1).stdout.splitlines()]
        self.assertEqual((found[0]["code"], found[0]["seq"]), ("CUT_OFF", 26))
        lines[place] = f"end 047 25 {chain} part"
        result = json.loads(self.verify_lines(lines, 0).stdout.splitlines()[-1])
        self.assertEqual((result["result"], result["partial_streams"]), ("intact", 1))
        for false in ([*lines, f"end 047 25 {chain} whole"], [*lines[:place + 1], f"end 047 25 {chain} whole", *lines[place + 1:]]):
            self.assertIn("NOT_WELL_FORMED", self.verify_lines(false, 1).stderr)

    def test_inserted(self):
        """One more at the end; one in the middle, for which all that follow move up."""
        self.stack.sql("INSERT INTO feed.event SELECT stream, 41, epoch, gen_random_uuid(), kind, recorded_at, incident_id, revision, tlp,"
                       " category, commitment, chain, body FROM feed.event WHERE stream = '047' AND seq = 40")
        self.assertEqual(self.found(), {("CHAIN_BROKEN", "047", 41), ("ENDS_ELSEWHERE", "047", 41)})
        self.setUp()
        self.stack.sql("ALTER TABLE feed.event DROP CONSTRAINT event_seq_check")
        self.stack.sql("UPDATE feed.event SET seq = -seq - 1 WHERE stream = '047' AND seq > 20")
        self.stack.sql("UPDATE feed.event SET seq = -seq WHERE seq < 0")
        self.stack.sql("ALTER TABLE feed.event ADD CONSTRAINT event_seq_check CHECK (seq > 0)")
        self.stack.sql("INSERT INTO feed.event SELECT stream, 21, epoch, gen_random_uuid(), kind, recorded_at, incident_id, revision, tlp,"
                       " category, commitment, chain, body FROM feed.event WHERE stream = '047' AND seq = 20")
        self.assertIn(("CHAIN_BROKEN", "047", 21), self.found())

    def test_reordered(self):
        self.stack.sql("ALTER TABLE feed.event DROP CONSTRAINT event_seq_check")
        for old, new in ((14, -1), (15, 14), (-1, 15)):
            self.stack.sql("UPDATE feed.event SET seq = %s WHERE stream = '047' AND seq = %s", new, old)
        self.stack.sql("ALTER TABLE feed.event ADD CONSTRAINT event_seq_check CHECK (seq > 0)")
        self.assertIn(("CHAIN_BROKEN", "047", 14), self.found())

    def change(self):
        self.stack.sql("UPDATE feed.event SET category = 1 WHERE stream = '047' AND seq = 13")

    def first_head_after(self, seq):
        return min(n for (n,) in self.stack.sql("SELECT seqs[array_position(streams, '047')] FROM kept.evidence_head") if n >= seq)

    def test_a_tail_rewritten(self):
        """All chains anew and the stream's head: the stored signed heads tell."""
        self.change()
        self.owner.chain_anew("047")
        at = self.first_head_after(13)
        self.assertEqual(self.found(), {("NOT_AS_SIGNED", "047", at)})
        words = self.evidence(self.stack, "verify", "--database", status=1)[0]["reason"]
        self.assertIn("somewhere after #10,", words)

    def test_a_tail_rewritten_and_signed_by_a_stranger(self):
        self.change()
        self.stranger.chain_anew("047")
        self.stranger.sign_anew()
        self.assertEqual({code for code, _, _ in self.found()}, {"HEAD_FOREIGN"})

    def test_a_tail_rewritten_and_signed_by_the_exchange(self):
        """Nothing in the database can tell; what somebody else holds can: a head, or a receipt, which says where."""
        receipt = self.stack.run / "receipt.json"
        chain = bytes(self.stack.sql("SELECT chain FROM feed.event WHERE stream = '047' AND seq = 15")[0][0]).hex()
        receipt.write_text(json.dumps({"event_id": str(uuid.uuid4()), "positions": [{"county": "047", "seq": 15, "chain": chain}]}))
        self.change()
        self.owner.chain_anew("047")
        self.owner.sign_anew()
        self.evidence(self.stack, "verify", "--database")
        # The first witnessed head covers 10 events of each stream and is found again.
        self.assertEqual(self.found("--heads", self.witness), {("NOT_WITNESSED", stream, 11) for stream in STREAMS})
        self.assertEqual(self.found("--receipt", receipt), {("NOT_AS_RECEIPTED", "047", 15)})
        export = self.stack.run / "forged.evidence"
        export.unlink(missing_ok=True)
        self.evidence(self.stack, "export", "--out", export)
        self.assertEqual(self.findings(self.stack, "--export", export, "--heads", self.witness),
                         {("NOT_WITNESSED", stream, 11) for stream in STREAMS})

    def test_all_heads_thrown_away(self):
        """And with them what was signed: only a witness tells. Without removal by age no head may be missing."""
        self.change()
        self.owner.chain_anew("047")
        self.stack.sql("DELETE FROM evidence.head")
        self.assertEqual(self.found("--heads", self.witness), {("NOT_WITNESSED", stream, 1) for stream in STREAMS})

    def test_head_rows_changed(self):
        for column, value in (("root", "sha256('x')"), ("signed_at", "signed_at + interval '1 second'"), ("signature", "sha256('a') || sha256('b')"),
                              ("seqs", "ARRAY[1,2,3]"), ("chains", "chains[2:3]"), ("streams", "ARRAY['001','047','@OTHER']"),
                              ("streams", "NULL")):
            with self.subTest(column=column):
                self.setUp()
                if value == "NULL":
                    value = "'{}'"
                no = self.stack.sql("SELECT min(head_no) FROM evidence.head")[0][0]
                self.stack.sql(f"UPDATE evidence.head SET {column} = {value} WHERE head_no = %s", no)
                lines = self.evidence(self.stack, "verify", "--database", status=1)
                self.assertEqual({(line["code"], line["head_no"]) for line in lines[:-1]}, {("HEAD_ALTERED", no)})
        self.setUp()
        self.stack.sql("UPDATE evidence.head SET public_key = %s", self.stranger.key["sign-public"])
        self.assertEqual({code for code, _, _ in self.found()}, {"HEAD_FOREIGN"})

    def test_a_witness_that_lies_is_told(self):
        false = self.stack.run / "false.jsonl"
        line = json.loads(self.witness.read_text().splitlines()[0])
        false.write_text(json.dumps({**line, "signed_at_us": line["signed_at_us"] + 1}) + "\nnot a head\n")
        self.assertEqual(self.found("--heads", false), {("WITNESS_ALTERED", "", 0)})
        # A line that a crash has cut is no lie; a file without any head is no witness.
        false.write_text(self.witness.read_text() + '{"head_no":3,"sig')
        self.assertEqual(self.evidence(self.stack, "verify", "--database", "--heads", false)[0]["witnessed"], 3)
        false.write_text('{"head_no":3,"sig')
        self.evidence(self.stack, "verify", "--database", "--heads", false, status=2)

    def test_database_roles(self):
        """Only the operator's role is asked for; it cannot write what it checks."""
        with self.assertRaises(psycopg2.errors.InsufficientPrivilege):
            self.stack.sql("UPDATE feed.event SET tlp = 1", role="jukwaa_admin")
        self.evidence(self.stack, "verify", "--database")


if __name__ == "__main__":
    unittest.main()
