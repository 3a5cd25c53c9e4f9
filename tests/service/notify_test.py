"""notify: the real program, a real database, a real HTTP receiver that checks signatures with its own code. The feed is written by
hand (feed_events)."""
import base64
import collections
import hashlib
import hmac
import http.server
import json
import random
import secrets
import threading
import time
import unittest
import uuid

import feed_events as feed
from feed_events import Event, append
from jukwaa_harness import Service, Stack, free_port, scratch, wait_until


class Receiver:
    """An HTTP server whose answers are told per path: a list of statuses, or of functions of the handler; the last one stays."""

    def __init__(self, address="127.0.0.1"):
        self.answers, self.requests, self.lock = collections.defaultdict(lambda: [204]), collections.defaultdict(list), threading.Lock()
        self.open_now = self.open_most = 0
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                path = self.path.split("?")[0]
                with receiver.lock:
                    receiver.requests[path].append((dict(self.headers), body, time.monotonic()))
                    receiver.open_now += 1
                    receiver.open_most = max(receiver.open_most, receiver.open_now)
                    answers = receiver.answers[path]
                    answer = answers.pop(0) if len(answers) > 1 else answers[0]
                try:
                    if callable(answer):
                        answer(self)
                    else:
                        self.reply(answer)
                finally:
                    with receiver.lock:
                        receiver.open_now -= 1

            def reply(self, status, **headers):
                with receiver.lock:
                    receiver.open_now -= 1
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Length", "0")
                self.end_headers()
                with receiver.lock:
                    receiver.open_now += 1

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, *_):
                """A client that was killed in the middle is part of the tests."""

        self.server = Server((address, 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def got(self, path):
        with self.lock:
            return list(self.requests[path])


def hang_up(handler):
    handler.close_connection = True
    handler.connection.close()


class Hold:
    """Holds an answer back until let go."""

    def __init__(self, status=204):
        self.status, self.go = status, threading.Event()

    def __call__(self, handler):
        self.go.wait(30)
        try:
            handler.reply(self.status)
        except OSError:
            handler.close_connection = True  # the other side is gone


def setUpModule():
    global stack, receiver, secret_file, secret
    receiver = Receiver()
    stack = Stack(services=("notify",), settings={"notify": {"JUKWAA_ATTEMPTS_MAX": "3"}})
    for agency in ("KPS", "NTSA", "DESKS"):
        stack.admin("agency", "add", agency, "--name", agency)
    for desk, allow in (("NAIROBI", [()]), ("COAST", [("--county", "001")]), ("BLIND", [])):
        stack.admin("desk", "add", desk, "--agency", "DESKS", "--name", desk)
        for options in allow:
            stack.admin("allow", "add", "--desk", desk, *options)
    secret = secrets.token_bytes(32)
    secret_file = stack.run / "hook.whsec"
    secret_file.write_text("whsec_" + base64.b64encode(secret).decode() + "\n")
    secret_file.chmod(0o600)


def tearDownModule():
    stack.stop()


class NotifyTest(unittest.TestCase):
    def setUp(self):
        self.path = f"/hook/{secrets.token_hex(6)}"
        self.addCleanup(self.revoke_all)

    def revoke_all(self):
        """One test's rules tell nothing of the next test's events."""
        stack.sql("UPDATE notify.rule SET revoked_at = now() WHERE revoked_at IS NULL")

    def rule(self, *options, desk="NAIROBI", path=None, url=None, secret_path=None):
        name = f"r{secrets.token_hex(5)}"
        stack.admin("notify", "rule", "add", name, "--desk", desk, "--secret-file", secret_path or secret_file, "--url",
                    url or f"http://127.0.0.1:{receiver.port}{path or self.path}?token=hush-hush", *options)
        return name

    def messages(self, *events):
        return stack.sql("SELECT message_id::text, state, attempts, last_error, incident_id::text, county FROM notify.message"
                         " WHERE incident_id = ANY (%s::uuid[]) ORDER BY created_at", [str(e.incident) for e in events])

    def attempts(self, message_id):
        return stack.sql("SELECT attempt_no, http_status, error, uncertain FROM notify.attempt WHERE message_id = %s::uuid ORDER BY 1",
                         message_id)

    def wait_state(self, event, state, timeout=15):
        def check():
            rows = self.messages(event)
            return rows and all(row[1] == state for row in rows) and rows
        try:
            return wait_until(check, timeout, state)
        except AssertionError as e:
            raise AssertionError(f"{e}: {self.messages(event)}") from None

    def wait_looked_at(self):
        wait_until(lambda: stack.sql(
            "SELECT count(*) = 0 FROM feed.head h LEFT JOIN notify.cursor c USING (stream)"
            " WHERE h.stream ~ '^[0-9]' AND h.last_seq <> coalesce(c.seq, 0)")[0][0], 10, "notify has looked at the feed")

    def told(self, *events):
        self.wait_looked_at()
        return {(row[4], row[5]) for row in self.messages(*events)}

    def check_signed(self, request, key=None):
        headers, body, _ = request
        content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        signature = base64.b64encode(hmac.new(key or secret, content, hashlib.sha256).digest()).decode()
        self.assertIn(f"v1,{signature}", headers["webhook-signature"].split(" "))
        self.assertLess(abs(int(headers["webhook-timestamp"]) - time.time()), 60)


class TellTest(NotifyTest):
    def test_an_incident_is_told_signed_and_with_nothing_more_than_it_needs(self):
        self.rule("--county", "047", "--category", "TRANSPORT", "--min-severity", "SEVERE")
        event = Event(headline="Amina Njeri was hurt", severity=2, category=9)
        append(stack, event)
        row, = self.wait_state(event, "ACCEPTED")
        request, = receiver.got(self.path)
        self.check_signed(request)
        self.assertEqual(request[0]["webhook-id"], row[0])
        self.assertTrue(request[0]["Content-Type"].startswith("application/cloudevents+json"))
        document = json.loads(request[1])
        recorded, = stack.sql("SELECT to_char(recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS') FROM feed.event"
                              " WHERE event_id = %s::uuid", str(event.event_id))
        self.assertEqual(document.pop("time")[:19], recorded[0])
        self.assertEqual(document, {
            "specversion": "1.0", "id": row[0], "source": "urn:jukwaa:live", "type": "ke.jukwaa.incident.v1",
            "datacontenttype": "application/json",
            "data": {"id": str(event.incident), "county": "047", "category": "TRANSPORT", "severity": "SEVERE"}})
        self.assertEqual(uuid.UUID(row[0]).version, 7)
        self.assertEqual(self.attempts(row[0]), [(1, 204, "", False)])

    def test_what_the_rule_does_not_ask_for_is_not_told(self):
        self.rule("--county", "047", "--category", "TRANSPORT", "--min-severity", "SEVERE")
        quiet = [Event(counties=("022",)), Event(category=6), Event(severity=3), Event(severity=5), Event(status=4), Event(status=3),
                 Event(feed.CANCEL), Event(feed.HISTORY), Event(feed.MOVED_AWAY), Event(feed.ACK),
                 Event(expires_us=int(time.time() * 1e6) - 1)]
        loud = [Event(severity=1), Event(expires_us=int((time.time() + 3600) * 1e6)), Event(counties=("047", "022"))]
        append(stack, *quiet, *loud)
        self.assertEqual(self.told(*quiet, *loud), {(str(event.incident), "047") for event in loud})

    def test_tests_are_told_where_asked_for(self):
        self.rule("--include-test")
        event = Event(status=4)
        append(stack, event)
        self.assertEqual(self.told(event), {(str(event.incident), "047")})

    def test_an_incident_is_told_once_by_the_first_report_that_matches(self):
        self.rule("--min-severity", "SEVERE")
        mild = Event(severity=4)
        worse = Event(feed.UPDATE, incident=mild.incident, revision=2, severity=1)
        worst = Event(feed.UPDATE, incident=mild.incident, revision=3, severity=1)
        append(stack, mild)
        self.assertEqual(self.told(mild), set())
        append(stack, worse, worst)
        append(stack, Event(feed.UPDATE, incident=mild.incident, revision=4, severity=1))
        self.assertEqual(self.told(mild), {(str(mild.incident), "047")})
        self.wait_state(mild, "ACCEPTED")
        self.assertEqual(len(receiver.got(self.path)), 1)

    def test_one_message_a_county_and_a_rule(self):
        self.rule()
        self.rule(path=self.path + "/other")
        event = Event(counties=("047", "022", "016"))
        append(stack, event)
        self.assertEqual(len(self.wait_state(event, "ACCEPTED")), 6)
        for path in (self.path, self.path + "/other"):
            self.assertEqual(sorted(json.loads(r[1])["data"]["county"] for r in receiver.got(path)), ["016", "022", "047"])

    def test_a_new_rule_does_not_tell_of_old_incidents(self):
        stack.services["notify"].stop()
        try:
            old = Event()
            append(stack, old)
            self.rule()
            new = Event()
            append(stack, new)
        finally:
            stack.services["notify"].start()
        self.assertEqual(self.told(old, new), {(str(new.incident), "047")})

    def test_a_rule_is_in_force_with_the_first_event_after_it(self):
        for _ in range(5):
            self.rule()
            event = Event()
            append(stack, event)
            self.assertEqual(self.told(event), {(str(event.incident), "047")})
            self.revoke_all()


class PermissionTest(NotifyTest):
    def test_a_rule_never_tells_what_its_desk_may_not_see(self):
        before = stack.services["notify"].metric("jukwaa_notify_denied_total")
        self.rule(desk="BLIND")
        self.rule(desk="COAST", path=self.path + "/coast")
        events = [Event(), Event(counties=("001", "047")), Event(counties=("001",), tlp=5), Event(counties=("001",), scope=3)]
        append(stack, *events)
        self.assertEqual(self.told(*events), {(str(events[1].incident), "001")})
        self.wait_state(events[1], "ACCEPTED")
        self.assertEqual([json.loads(r[1])["data"]["county"] for r in receiver.got(self.path + "/coast")], ["001"])
        self.assertEqual(receiver.got(self.path), [])
        wait_until(lambda: stack.services["notify"].metric("jukwaa_notify_denied_total") >= before + 8)

    def test_a_permission_that_went_between_attempts(self):
        receiver.answers[self.path] = [lambda handler: handler.reply(503, Retry_After="3")]
        stack.admin("desk", "add", "BRIEF", "--agency", "DESKS", "--name", "brief")
        stack.admin("allow", "add", "--desk", "BRIEF")
        self.rule(desk="BRIEF")
        event = Event()
        append(stack, event)
        wait_until(lambda: len(receiver.got(self.path)) == 1, what="the first attempt")
        stack.admin("desk", "revoke", "BRIEF")
        row, = self.wait_state(event, "DEAD")
        self.assertIn("may not have it", row[3])
        self.assertEqual(len(receiver.got(self.path)), 1)

    def test_a_revoked_rule_sends_nothing_more(self):
        receiver.answers[self.path] = [lambda handler: handler.reply(503, Retry_After="2")]
        self.rule()
        event = Event()
        append(stack, event)
        wait_until(lambda: len(receiver.got(self.path)) == 1, what="the first attempt")
        self.revoke_all()
        row, = self.wait_state(event, "DEAD")
        self.assertIn("revoked", row[3])
        self.assertEqual(len(receiver.got(self.path)), 1)


class RetryTest(NotifyTest):
    def test_again_after_500_with_the_same_id_and_body(self):
        receiver.answers[self.path] = [500, 200]
        self.rule()
        event = Event()
        append(stack, event)
        row, = self.wait_state(event, "ACCEPTED")
        first, second = receiver.got(self.path)
        self.assertEqual(first[0]["webhook-id"], second[0]["webhook-id"])
        self.assertEqual(first[1], second[1])
        self.check_signed(first)
        self.check_signed(second)
        self.assertEqual(self.attempts(row[0]), [(1, 500, "the receiver answered 500", False), (2, 200, "", False)])

    def test_retry_after_is_heeded(self):
        receiver.answers[self.path] = [lambda handler: handler.reply(429, Retry_After="3"), 200]
        self.rule()
        event = Event()
        append(stack, event)
        self.wait_state(event, "ACCEPTED")
        first, second = receiver.got(self.path)
        self.assertGreaterEqual(second[2] - first[2], 2.9)

    def test_given_up_after_the_last_attempt_and_taken_up_again_by_hand(self):
        receiver.answers[self.path] = [500]
        self.rule()
        event = Event()
        append(stack, event)
        row, = self.wait_state(event, "DEAD")
        self.assertEqual(row[2:4], (3, "given up after 3 attempts: the receiver answered 500"))
        self.assertIn(row[0], stack.admin("notify", "dead", "list").stdout)
        receiver.answers[self.path] = [200]
        stack.admin("notify", "dead", "requeue", row[0])
        self.wait_state(event, "ACCEPTED")
        self.assertEqual([(a[0], a[1]) for a in self.attempts(row[0])], [(1, 500), (2, 500), (3, 500), (4, 200)])
        self.assertEqual({r[0]["webhook-id"] for r in receiver.got(self.path)}, {row[0]})

    def test_410_ends_it_at_once(self):
        receiver.answers[self.path] = [410]
        self.rule()
        event = Event()
        append(stack, event)
        row, = self.wait_state(event, "DEAD")
        self.assertEqual((row[2], len(receiver.got(self.path))), (1, 1))
        self.assertIn("410", row[3])

    def test_a_redirect_is_not_followed(self):
        target = self.path + "/target"
        receiver.answers[self.path] = [lambda h: h.reply(307, Location=f"http://127.0.0.1:{receiver.port}{target}"), 200]
        self.rule()
        event = Event()
        append(stack, event)
        row, = self.wait_state(event, "ACCEPTED")
        self.assertEqual(receiver.got(target), [])
        self.assertEqual(self.attempts(row[0])[0][1], 307)

    def test_no_answer_after_the_request_is_an_uncertain_attempt(self):
        receiver.answers[self.path] = [hang_up, 200]
        before = stack.services["notify"].metric("jukwaa_notify_uncertain_total")
        self.rule()
        event = Event()
        append(stack, event)
        row, = self.wait_state(event, "ACCEPTED")
        first, second = self.attempts(row[0])
        self.assertEqual((first[1], first[3], second[3]), (None, True, False))
        self.assertIn("after the request was sent", first[2])
        self.assertEqual(len({r[0]["webhook-id"] for r in receiver.got(self.path)}), 1)
        self.assertEqual(stack.services["notify"].metric("jukwaa_notify_uncertain_total"), before + 1)

    def test_nobody_listens_is_a_certain_failure(self):
        self.rule(url=f"http://127.0.0.1:{free_port()}/")
        event = Event()
        append(stack, event)
        wait_until(lambda: self.messages(event) and self.messages(event)[0][3], what="a failure")
        self.assertFalse(self.attempts(self.messages(event)[0][0])[0][3])

    def test_a_receiver_that_never_answers_costs_only_its_own(self):
        """Twenty messages to a receiver that holds every answer, one to another: eight are under way, the other is told at once."""
        hold = Hold()
        receiver.answers[self.path] = [hold]
        self.rule("--county", "041", path=self.path)
        self.rule("--county", "042", url=f"http://localhost:{receiver.port}{self.path}/quick")
        slow, quick = [Event(counties=("041",)) for _ in range(20)], Event(counties=("042",))
        append(stack, *slow)
        wait_until(lambda: len(receiver.got(self.path)) == 8, what="eight under way")
        append(stack, quick)
        self.wait_state(quick, "ACCEPTED", 3)
        self.assertEqual(len(receiver.got(self.path)), 8)
        hold.go.set()
        for event in slow:
            self.wait_state(event, "ACCEPTED")
        self.assertLessEqual(receiver.open_most, 9)


class CrashTest(NotifyTest):
    def test_killed_between_acceptance_and_record_it_tells_again_under_the_same_id(self):
        hold = Hold()
        receiver.answers[self.path] = [hold, 200]
        self.rule()
        event = Event()
        append(stack, event)
        wait_until(lambda: len(receiver.got(self.path)) == 1, what="the request")
        stack.services["notify"].kill()
        hold.go.set()  # the receiver has it; nobody is there to hear so
        row, = self.messages(event)
        self.assertEqual(row[1:3], ("PENDING", 1))
        self.assertEqual(self.attempts(row[0]), [(1, None, "no outcome recorded", True)])
        stack.services["notify"].start()
        row, = self.wait_state(event, "ACCEPTED", 30)
        first, second = receiver.got(self.path)
        self.assertEqual(first[0]["webhook-id"], second[0]["webhook-id"])
        self.assertEqual(first[1], second[1])
        self.assertEqual(self.attempts(row[0]), [(1, None, "no outcome recorded", True), (2, 200, "", False)])

    def test_kill_9_again_and_again_while_following(self):
        service = stack.services["notify"]
        receiver.answers[self.path] = [503]
        self.rule("--county", "044")
        service.kill()
        template = Event(counties=("044", "043"))
        incidents = []
        for _ in range(6):
            copies = []
            for _ in range(500):
                event = Event.__new__(Event)
                event.__dict__.update(template.__dict__, incident=feed.new_id(), event_id=feed.new_id())
                incidents.append(str(event.incident))
                copies += [("044", feed.INCIDENT, event), ("043", feed.INCIDENT, event)]
            append(stack, copies=copies)
        chance = random.Random(5)
        for _ in range(8):
            service.start(ready=False)
            time.sleep(chance.uniform(0.05, 0.3))  # a moment of its life, not a wait for something
            service.kill()
        service.start()
        self.wait_looked_at()
        count, distinct = stack.sql("SELECT count(*), count(DISTINCT incident_id) FROM notify.message"
                                    " WHERE incident_id = ANY (%s::uuid[]) AND county = '044'", incidents)[0]
        self.assertEqual((count, distinct), (3000, 3000))
        self.revoke_all()
        stack.sql("UPDATE notify.message SET state = 'DEAD' WHERE incident_id = ANY (%s::uuid[])", incidents)

    def test_the_database_restarts(self):
        service = stack.services["notify"]
        hold = Hold()
        receiver.answers[self.path] = [hold, 200]
        self.rule()
        event, later = Event(), Event()
        append(stack, event)
        wait_until(lambda: len(receiver.got(self.path)) == 1, what="the request")
        stack.cluster.stop("fast")
        try:
            wait_until(lambda: service.http("/readyz")[0] == 503, what="not ready")
            hold.go.set()
        finally:
            stack.cluster.start()
        append(stack, later)
        for wanted in (event, later):
            row, = self.wait_state(wanted, "ACCEPTED", 30)
            self.assertEqual(row[2], 1)  # what was accepted meanwhile was kept in mind
        service.wait_ready()


class SafetyTest(NotifyTest):
    def test_addresses_inside_are_refused(self):
        service = stack.services["notify"]
        service.stop()
        port = free_port()
        strict = Service("notify", {**service.env, "JUKWAA_ALLOW_PRIVATE_TARGETS": "false", "JUKWAA_HTTP_LISTEN": f"127.0.0.1:{port}"}, port)
        strict.start()
        try:
            for host in ("127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "2130706433"):
                self.rule(url=f"http://{host}:{receiver.port}{self.path}")
            event = Event()
            append(stack, event)
            rows = wait_until(lambda: (lambda rows: len(rows) == 6 and all(r[3] for r in rows) and rows)(self.messages(event)), 15)
            for row in rows:
                self.assertIn("not of the public internet", row[3])
                self.assertEqual([a[3] for a in self.attempts(row[0])][0], False)
            self.assertEqual(receiver.got(self.path), [])
        finally:
            strict.stop()
            service.start()

    def test_a_secret_that_is_not_kept_is_not_used(self):
        mine = scratch() / f"{secrets.token_hex(4)}.whsec"
        name = self.rule(secret_path=mine)
        mine.chmod(0o644)
        event = Event()
        append(stack, event)
        wait_until(lambda: self.messages(event) and self.messages(event)[0][3], what="a failure")
        self.assertIn("0600", self.messages(event)[0][3])
        self.assertEqual(receiver.got(self.path), [])
        mine.chmod(0o600)
        self.wait_state(event, "ACCEPTED")
        request, = receiver.got(self.path)
        self.check_signed(request, base64.b64decode(mine.read_text().strip()[len("whsec_"):]))
        for text, why in (("secret", "whsec_"), ("whsec_!!!!", "base64"), ("whsec_" + "A" * 16, "shorter")):
            mine.write_text(text)
            event = Event()
            append(stack, event)
            wait_until(lambda: self.messages(event) and self.messages(event)[0][3], what="a failure")
            self.assertIn(why, self.messages(event)[0][3])
        self.assertTrue(name)

    def test_the_log_tells_neither_secrets_nor_paths(self):
        receiver.answers[self.path] = [500, 200]
        self.rule()
        event = Event(headline="Amina Njeri was hurt")
        append(stack, event)
        self.wait_state(event, "ACCEPTED")
        log = stack.services["notify"].log()
        self.assertIn("webhook_accepted", log)
        self.assertIn(str(event.incident), log)
        for hidden in ("hush-hush", "/hook/", "Amina", base64.b64encode(secret).decode()[:12], str(secret_file)):
            self.assertNotIn(hidden, log)

    def test_it_ends_in_good_order_with_what_is_under_way(self):
        hold = Hold()
        receiver.answers[self.path] = [hold]
        self.rule()
        event = Event()
        append(stack, event)
        wait_until(lambda: len(receiver.got(self.path)) == 1, what="the request")
        service = stack.services["notify"]
        service.process.terminate()
        threading.Timer(0.5, hold.go.set).start()
        try:
            self.assertEqual(service.process.wait(10), 0)
            self.assertEqual(self.messages(event)[0][1], "ACCEPTED")
        finally:
            service.start()


if __name__ == "__main__":
    unittest.main()
