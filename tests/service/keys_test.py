"""Keys that end by the clock and keys that take over from others, in every service, on live sessions; and what the operator is told
of both."""
import datetime
import hashlib
import json
import time
import unittest

from agreements import Party, agree
from intake_test import Publisher, report
from jukwaa_harness import Stack, protos, read_key, run_cli, wait_until

pb = protos()
IN_FORCE_S = 1.0
SERVICES = ("intake", "dispatch", "cases")


def setUpModule():
    global stack
    stack = Stack(services=SERVICES)


def tearDownModule():
    for name in SERVICES:
        assert stack.services[name].stop() == 0, stack.services[name].log()[-3000:]


def rfc3339(at):
    return datetime.datetime.fromtimestamp(at, datetime.timezone.utc).isoformat()


def fingerprint(key):
    return hashlib.sha256(read_key(f"{key}.pub")["curve-public"]).hexdigest()[:16]


def key_row(key):
    rows = [json.loads(line) for line in stack.admin("--json", "key", "list").stdout.splitlines()]
    return next(row for row in rows if row["fingerprint"] == fingerprint(key))


def rotate(old, *options, check=True, new=None):
    """`jukwaa admin key rotate`; the new key and what was printed."""
    new = new or stack.new_key(f"next-{time.monotonic_ns()}")
    done = stack.admin("--json", "key", "rotate", f"{old}.pub", "--file", f"{new}.pub", *options, check=check)
    return new, done


def add_again(kind, key, agency, *options):
    stack.admin("key", "add", "--file", f"{key}.pub", "--role", kind, "--agency", agency, *options)


class KeysTest(unittest.TestCase):
    def peer(self, service, key):
        peer = stack.peer(service, key)
        self.addCleanup(peer.close)
        self.assertIsNotNone(peer.hello(), f"{service}: no welcome")
        return peer

    def publisher(self, key):
        publisher = Publisher(stack, key)
        self.addCleanup(publisher.peer.close)
        return publisher

    def log_has(self, service, *parts):
        wait_until(lambda: any(all(part in line for part in parts) for line in stack.services[service].log().splitlines()), 5,
                   f"{service} logs {parts}")


class ExpiryTest(KeysTest):
    def test_live_sessions_end_with_the_key_in_every_service(self):
        publisher, desk = stack.add_publisher("EXP"), stack.add_desk("EXP-DESK", agency="EXP")
        stack.wait_known(publisher)
        for service in ("dispatch", "cases"):
            stack.wait_known(desk, service)
        idle = {(name, key): self.peer(name, key) for name, key in
                (("intake", publisher), ("dispatch", publisher), ("dispatch", desk), ("cases", desk))}
        end = time.time() + 2
        add_again("publisher", publisher, "EXP", "--any-sender", "--expires", rfc3339(end))
        add_again("desk", desk, "EXP", "--desk", "EXP-DESK", "--expires", rfc3339(end))
        # Until then it is as good as any other.
        self.assertEqual(self.publisher(publisher).publish(report()).verdict, pb.VERDICT_STORED)
        for (name, key), peer in idle.items():
            bye = peer.expect("BYE", timeout=5)
            late = time.time() - end
            self.assertEqual(bye.code, pb.CODE_REVOKED, "as if revoked: the peer learns no more")
            self.assertGreaterEqual(late, 0, name)
            self.assertLess(late, IN_FORCE_S, name)
            self.log_has(name, "session_revoked", f"key={fingerprint(key)}", "standing=expired")
        # And nobody gets in again, nor is told why.
        for name, key in idle:
            again = stack.peer(name, key)
            self.addCleanup(again.close)
            self.assertIsNone(again.hello(timeout=0.7))
            self.log_has(name, "key_at_door", f"key={fingerprint(key)}", "expired")
            wait_until(lambda n=name: stack.services[n].metric("jukwaa_port_handshakes_total", "revoked") > 0, 3, "counted")
        done = stack.cli(publisher, "publish", "-", input="{}", check=False)
        self.assertEqual(done.returncode, 4, done)

    def test_what_is_said_after_the_end_is_not_heard(self):
        """Not the tick but the message itself meets the clock: at no moment after the end is anything taken."""
        publisher = stack.add_publisher("EXQ")
        stack.wait_known(publisher)
        peer = self.publisher(publisher)
        end = time.time() + 1.5
        add_again("publisher", publisher, "EXQ", "--any-sender", "--expires", rfc3339(end))
        answers = []
        while True:
            peer.send(report())
            sent = time.time()
            got = peer.peer.receive(5)
            self.assertIsNotNone(got)
            answers.append((sent, got[0]))
            if got[0] == "BYE":
                break
        self.assertGreater(len(answers), 10)
        self.assertEqual({kind for sent, kind in answers if sent < end - 0.05}, {"RECEIPT"})
        self.assertLess(max(sent for sent, kind in answers if kind == "RECEIPT"), end)
        taken = stack.sql("SELECT count(*), extract(epoch FROM max(received_at)) FROM intake.report WHERE agency_id ="
                          " (SELECT agency_id FROM registry.agency WHERE code = 'EXQ')")[0]
        # At most one more than was receipted: stored in time, and the receipt came too late.
        self.assertIn(taken[0] - sum(kind == "RECEIPT" for _, kind in answers), (0, 1))
        self.assertLess(float(taken[1]), end + 0.1)

    def test_an_end_can_be_moved_and_taken_away_and_is_kept_by_a_script_that_runs_twice(self):
        publisher = stack.add_publisher("MOV")
        ends = lambda: key_row(publisher)["expires_at"]
        self.assertIsNone(ends())
        add_again("publisher", publisher, "MOV", "--any-sender", "--expires", "2030-01-01T00:00:00+03:00")
        self.assertEqual(ends(), "2029-12-31T21:00:00Z")
        add_again("publisher", publisher, "MOV", "--any-sender")
        self.assertEqual(ends(), "2029-12-31T21:00:00Z")
        add_again("publisher", publisher, "MOV", "--any-sender", "--expires", "never")
        self.assertIsNone(ends())
        for wrong in ("tomorrow", "2030-01-01", "infinity"):
            self.assertEqual(stack.admin("key", "add", "--file", f"{publisher}.pub", "--role", "publisher", "--agency", "MOV",
                                         "--expires", wrong, check=False).returncode, 2, wrong)
        self.assertEqual(stack.admin("key", "add", "--file", f"{publisher}.pub", "--role", "publisher", "--agency", "MOV",
                                     "--expires", "1970-01-01T00:00:00Z", check=False).returncode, 1)

    def test_a_key_is_refused_before_its_time(self):
        publisher = stack.add_publisher("SOON")
        stack.wait_known(publisher)
        peer = self.publisher(publisher)
        begin = time.time() + 2
        add_again("publisher", publisher, "SOON", "--any-sender", "--from", rfc3339(begin))
        self.assertEqual(peer.peer.expect("BYE", timeout=2).code, pb.CODE_REVOKED)
        stack.wait_known(publisher)
        self.assertGreaterEqual(time.time(), begin)
        self.assertEqual(self.publisher(publisher).publish(report()).verdict, pb.VERDICT_STORED)

    def test_hex_is_no_key_to_add(self):
        """It has no Ed25519 half, and zeros in its place would be one that others can sign for."""
        done = stack.admin("key", "add", "--file", "ab" * 32, "--role", "publisher", "--agency", "KPS", check=False)
        self.assertEqual(done.returncode, 2, done)


class RotationTest(KeysTest):
    def test_the_new_key_takes_over_and_both_work_meanwhile(self):
        old = stack.add_publisher("ROT", "--rate-limit", "200", senders=("--cap-sender", "ops@rot.example"))
        stack.admin("key", "add", "--file", f"{old}.pub", "--role", "publisher", "--agency", "ROT", "--rate-limit", "200",
                    "--cap-sender", "ops@rot.example", "--note", "duty office")
        stack.wait_known(old)
        first = self.publisher(old)
        one = report("rot-1")
        self.assertEqual(first.publish(one).verdict, pb.VERDICT_STORED)
        new, done = rotate(old, "--overlap", "1h")
        self.assertEqual(json.loads(done.stdout)["done"], "rotated")
        stack.wait_known(new)
        second = self.publisher(new)
        # The same report under the other key is the same report: what is known of it hangs on the agency.
        again = second.publish(one)
        self.assertEqual(again.verdict, pb.VERDICT_DUPLICATE)
        self.assertEqual(second.publish(report("rot-2")).verdict, pb.VERDICT_STORED)
        self.assertEqual(first.publish(report("rot-2", revision=2)).verdict, pb.VERDICT_STORED)
        was, now = key_row(old), key_row(new)
        for name in ("role", "realm", "agency", "desk", "cap_senders", "rate_limit", "note"):
            self.assertEqual(now[name], was[name], name)
        self.assertEqual((now["replaces"], now["expires_at"]), (fingerprint(old), None))
        left = datetime.datetime.fromisoformat(was["expires_at"].replace("Z", "+00:00")).timestamp() - time.time()
        self.assertAlmostEqual(left, 3600, delta=60)
        # A second time changes nothing, the end of the old key least of all.
        _, done = rotate(old, "--overlap", "9d", new=new)
        self.assertEqual(json.loads(done.stdout)["done"], "unchanged")
        self.assertEqual(key_row(old)["expires_at"], was["expires_at"])

    def test_a_desk_goes_on_where_its_old_key_was(self):
        publisher, old = stack.add_publisher("SRC"), stack.add_desk("ROT-DESK")
        stack.wait_known(publisher)
        stack.wait_known(old, "dispatch")
        source = self.publisher(publisher)
        for _ in range(6):
            source.publish(report(county="044"))
        cursor = {"counties": ["044"], "start_at": pb.START_AT_CURSOR, "cursor": "shift"}
        before = self.peer("dispatch", old)
        before.send("SUBSCRIBE", pb.Subscribe(request=1, **cursor))
        before.expect("SUBSCRIBED")
        got = [before.expect("DELIVER") for _ in range(4)]
        before.send("ACK", pb.Ack(delivery_no=got[-1].delivery_no))
        wait_until(lambda: stack.sql("SELECT seq FROM dispatch.cursor WHERE name = 'shift' AND stream = '044'") == [(got[-1].seq,)], 5,
                   "the cursor is saved")
        new, _ = rotate(old)
        stack.wait_known(new, "dispatch")
        # A position sealed for the old key.
        tokens = self.peer("dispatch", new)
        tokens.send("SUBSCRIBE", pb.Subscribe(request=1, counties=["044"], start_at=pb.START_AT_TOKEN, positions=[got[1].position]))
        tokens.expect("SUBSCRIBED")
        self.assertEqual([tokens.expect("DELIVER").seq for _ in range(4)], [m.seq for m in got[2:]] + [got[-1].seq + 1, got[-1].seq + 2])
        # Its cursor; the newest session wins, whichever key it came with.
        after = self.peer("dispatch", new)
        after.send("SUBSCRIBE", pb.Subscribe(request=1, **cursor))
        after.expect("SUBSCRIBED")
        self.assertEqual([after.expect("DELIVER").seq for _ in range(2)], [got[-1].seq + 1, got[-1].seq + 2])
        while (kind := before.receive(5))[0] != "BYE":
            pass
        self.assertEqual(kind[1].code, pb.CODE_REPLACED)
        holders = stack.sql("SELECT DISTINCT holder FROM dispatch.cursor WHERE name = 'shift'")
        self.assertEqual(len(holders), 1)

    def test_the_old_key_ends_with_the_overlap(self):
        old = stack.add_desk("END-DESK")
        stack.wait_known(old, "dispatch")
        idle = self.peer("dispatch", old)
        new, done = rotate(old, "--overlap", "0")
        self.assertEqual(idle.expect("BYE", timeout=2).code, pb.CODE_REVOKED)
        stack.wait_known(new, "dispatch")
        self.assertEqual(json.loads(done.stdout)["done"], "rotated")

    def test_what_cannot_be_rotated(self):
        old, taken = stack.add_publisher("NOT"), stack.add_publisher("NOT2")
        for options in (("--overlap", "7"), ("--overlap", "-1d"), ("--overlap", "7w"), ("--overlap", ""), ("--expires", "soon")):
            self.assertEqual(rotate(old, *options, check=False)[1].returncode, 2, options)
        self.assertEqual(rotate(old, new=taken, check=False)[1].returncode, 1)
        self.assertEqual(rotate(old, new=old, check=False)[1].returncode, 1)
        self.assertEqual(rotate(stack.new_key("nobody"), check=False)[1].returncode, 1)
        stack.admin("key", "revoke", f"{old}.pub")
        refused = rotate(old, check=False)[1]
        self.assertEqual(refused.returncode, 1)
        self.assertIn("revoked", refused.stderr)
        self.assertIsNone(key_row(taken)["replaces"])


class WarningsTest(KeysTest):
    def warnings(self):
        done = run_cli("--json", "status", env={**stack.env(stack.server_key), **stack.admin_env}, check=False)
        return {w["subject"]: w for w in map(json.loads, done.stdout.splitlines()) if w.get("part") == "warning"}

    def test_status_warns_of_keys_that_end(self):
        day = 86400
        made = {}
        for days, level in ((40, None), (25, "NOTICE"), (10, "WARN"), (2, "ALARM"), (-1, "ALARM")):
            key = stack.add_publisher("WARN")
            add_again("publisher", key, "WARN", "--any-sender", "--expires", rfc3339(time.time() + days * day + 3600))
            made[f"key WARN {fingerprint(key)}"] = (days, level)
        gone = stack.add_publisher("WARN")
        add_again("publisher", gone, "WARN", "--any-sender", "--expires", rfc3339(time.time() + 60))
        stack.admin("key", "revoke", f"{gone}.pub")
        warnings = self.warnings()
        self.assertNotIn(f"key WARN {fingerprint(gone)}", warnings)
        for subject, (days, level) in made.items():
            if level is None:
                self.assertNotIn(subject, warnings)
                continue
            self.assertEqual((warnings[subject]["level"], warnings[subject]["days"]), (level, days))
            self.assertEqual(warnings[subject]["about"], "KEY_EXPIRED" if days < 0 else "KEY_EXPIRES")
        # Taken over from, it ends as it was meant to.
        old = stack.add_desk("WARN-DESK", agency="WARN")
        rotate(old, "--overlap", "2d")
        self.assertEqual(self.warnings()[f"key WARN/WARN-DESK {fingerprint(old)}"]["level"], "NOTICE")
        human = run_cli("status", env={**stack.env(stack.server_key), **stack.admin_env, "COLUMNS": "100"}, check=False).stdout
        self.assertIn("ALARM", human)
        self.assertIn("KEY_EXPIRED", human)

    def test_status_warns_of_agreements(self):
        parties = [Party(stack, code) for code in ("PACT-A", "PACT-B", "PACT-C")]
        soon, later = (rfc3339(int(time.time()) + days * 86400 + 3600).replace("+00:00", "Z") for days in (10, 40))
        agree(stack, "SOON-1", parties[0], parties[1], "FULL@1", end=soon)
        agree(stack, "LATER-1", parties[0], parties[1], "FULL@1", end=later)
        agree(stack, "BENT-1", parties[0], parties[1], "FULL@1")
        agree(stack, "DUMB-1", parties[0], parties[2], "FULL@1")
        self.assertNotIn("agreement BENT-1", self.warnings())
        stack.sql("UPDATE registry.act SET signature = set_byte(signature, 5, 255 - get_byte(signature, 5)) WHERE act = 'ACCEPT' AND"
                  " pact_id = (SELECT pact_id FROM registry.pact WHERE code = 'BENT-1')")
        stack.sql("UPDATE registry.key SET revoked_at = now() WHERE sign_key = %s", parties[2].public)
        warnings = self.warnings()
        self.assertEqual((warnings["agreement SOON-1"]["level"], warnings["agreement SOON-1"]["about"]), ("WARN", "ENDS"))
        self.assertNotIn("agreement LATER-1", warnings)
        self.assertEqual((warnings["agreement BENT-1"]["level"], warnings["agreement BENT-1"]["about"]), ("ALARM", "CLOSED"))
        self.assertEqual(warnings["agency PACT-C"]["about"], "NO_SIGNING_KEY")
        self.assertNotIn("agency PACT-A", warnings)


class ServerKeyTest(KeysTest):
    def test_a_client_may_know_the_exchange_by_two_keys(self):
        """While the exchange changes its key, whichever of the two it has at the moment."""
        publisher = stack.add_publisher("TWO")
        stack.wait_known(publisher)
        other, third = f"{stack.new_key('other-server')}.pub", f"{stack.new_key('third-server')}.pub"
        right = f"{stack.server_key}.pub"
        body = json.dumps({"identity": {"external_id": "two", "status": "ACTUAL"}, "classification": {"categories": ["FIRE"]},
                           "place": {"codes": [{"scheme": "COUNTY", "code": "047"}]}, "handling": {"tlp": "GREEN", "scope": "PUBLIC"}})
        for keys, status in ((f"{right},{other}", 0), (f"{other},{right}", 0), (f"{other},{third}", 3), (f"{right},{other},{third}", 2),
                             (f"{right},", 2)):
            done = stack.cli(publisher, "publish", "--format", "json", "--server-key", keys, "-", input=body + "\n", check=False)
            self.assertEqual(done.returncode, status, (keys, done))


if __name__ == "__main__":
    unittest.main()
