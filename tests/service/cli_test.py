"""The command line: wrong use first, without a service; then against a service that misbehaves on purpose (written from the
.proto files); then against the real ones."""
import copy
import json
import os
import pathlib
import pty
import re
import resource
import signal
import subprocess
import threading
import time
import unittest

import zmq

from jukwaa_harness import BIN, FRAME, ROOT, Stack, protos, read_key, run_cli, scratch, wait_until

REPORT = {"identity": {"external_id": "r1", "status": "ACTUAL"}, "classification": {"categories": ["FIRE"], "severity": "SEVERE"},
          "place": {"codes": [{"scheme": "COUNTY", "code": "047"}]},
          "narrative": {"texts": [{"language": "en", "headline": "Fire in the market"}]},
          "handling": {"tlp": "GREEN", "scope": "PUBLIC"}, "reporter": {"name": "must never arrive"}}


def report(external_id, county="047"):
    return {**copy.deepcopy(REPORT), "identity": {"external_id": external_id, "status": "ACTUAL"},
            "place": {"codes": [{"scheme": "COUNTY", "code": county}]}}


def write(name, text):
    path = scratch() / name
    path.write_text(text if isinstance(text, str) else "".join(json.dumps(one) + "\n" for one in text))
    return path


def lines(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


class Bare(unittest.TestCase):
    """No service is there; no environment either."""

    @classmethod
    def setUpClass(cls):
        cls.env = {name: "" for name in os.environ if name.startswith("JUKWAA_") and name not in ("JUKWAA_BIN", "JUKWAA_BUILD")}
        cls.key = scratch() / "bare.key"
        if not cls.key.exists():
            run_cli("key", "new", "--out", cls.key)

    def run_bare(self, *args, env=None, **kwargs):
        return run_cli(*args, env={**self.env, **(env or {})}, check=False, **kwargs)

    def test_wrong_use_is_told_what_to_do(self):
        for args, said in (
                ((), "jukwaa --help"), (("nonsense",), "there is no command 'nonsense'"),
                (("publish",), "name the files"), (("publish", "--county", "47", "x"), "047"),
                (("publish", "--county", "Nairobi", "x"), "three digits"), (("publish", "--format", "xml", "x"), "cap, json, csv or pb"),
                (("publish", "--window", "257", "x"), "1 to 256"), (("publish", "x", "--format"), "--format wants a value"),
                (("publish", "--nonsense", "x"), "--nonsense"), (("watch",), "--county 047"),
                (("watch", "--county", "1"), "three digits"), (("watch", "--county", "047,"), "047,001"),
                (("watch", "--all", "--category", "PIRATES"), "PIRATES"), (("watch", "--all", "--min-severity", "BAD"), "EXTREME"),
                (("watch", "--all", "--count", "0"), "--count"), (("watch", "--all", "--count"), "--count wants a value"),
                (("case",), "case list"), (("case", "show"), "id"), (("case", "show", "x", "y"), "one id"),
                (("case", "list"), "--purpose (or JUKWAA_PURPOSE) RESPONSE, INVESTIGATION"),
                (("case", "show", "x", "--purpose", "fun"), "'fun' is no purpose"), (("case", "list", "--purpose"), "wants a value"),
                (("case", "list", "--purpose", "audit", "--note", "x" * 201), "200 bytes"),
                (("explain", "x"), "--desk"), (("explain", "x", "--desk", "D"), "hex"), (("outbox", "list"), "outbox list FILE"),
                (("--color", "blue", "status"), "auto, always or never"), (("--endpoint",), "--endpoint wants a value"),
                (("completion", "fish"), "bash"), (("status", "x"), "takes no"), (("admin", "nonsense"), "nonsense"),
                (("help", "nonsense"), "nonsense"), (("publish", str(self.key)), "--endpoint"),
                (("publish", "--endpoint", "tcp://127.0.0.1:1", str(self.key)), "JUKWAA_KEY"),
                (("publish", "--endpoint", "tcp://127.0.0.1:1", "--key", str(self.key), str(self.key)), "JUKWAA_SERVER_KEY"),
                (("watch", "--all", "--endpoint", "tcp://x:1", "--key", str(self.key), "--server-key", "abc"), "abc"),
                (("watch", "--all", "--endpoint", "tcp://127.0.0.1:1", "--key", "/nowhere", "--server-key", f"{self.key}.pub"), "/nowhere"),
        ):
            done = self.run_bare(*args)
            self.assertEqual(done.returncode, 2, (args, done))
            self.assertIn(said, done.stderr, args)
            self.assertEqual(done.stdout, "", args)

    def test_help_of_every_command(self):
        overview = self.run_bare("--help")
        self.assertEqual((overview.returncode, overview.stderr), (0, ""))
        for name in ("publish", "watch", "offer", "opened", "case", "status", "explain", "outbox", "key", "admin", "notify", "bench", "completion"):
            self.assertIn(f"\n  {name} ", overview.stdout)
            one, other = self.run_bare("help", name), self.run_bare(name, "--help")
            self.assertEqual((one.returncode, one.stdout), (0, other.stdout), name)
            self.assertGreater(len(one.stdout), 60)
        self.assertLessEqual(max(map(len, self.run_bare("help", "watch", env={"COLUMNS": "90"}).stdout.splitlines())), 90)
        self.assertRegex(self.run_bare("--version").stdout, r"^jukwaa \d+\.\d+\.\d+\n$")

    def test_nobody_answers(self):
        began = time.monotonic()
        done = self.run_bare("publish", write("one.json", [REPORT]), "--endpoint", "tcp://127.0.0.1:1", "--key", self.key,
                             "--server-key", f"{self.key}.pub", "--timeout", "1")
        self.assertEqual(done.returncode, 3, done)
        self.assertIn("cannot reach tcp://127.0.0.1:1", done.stderr)
        self.assertLess(time.monotonic() - began, 5)
        done = self.run_bare("status", "--json", env={"JUKWAA_HTTP": "http://127.0.0.1:1"})
        self.assertEqual((done.returncode, lines(done)[0]["state"]), (3, "UNREACHABLE"))

    def test_config_file(self):
        good = write("good.env", f"# comment\nexport PATH='/x':$PATH\nexport JUKWAA_KEY='{self.key}'\nJUKWAA_INTAKE=tcp://127.0.0.1:1\n"
                                 f"JUKWAA_SERVER_KEY=\"{self.key}.pub\" \nunset OTHER\n")
        done = self.run_bare("--config", good, "publish", "--timeout", "1", write("one.json", [REPORT]))
        self.assertEqual(done.returncode, 3, done)
        self.assertIn("tcp://127.0.0.1:1", done.stderr)
        done = self.run_bare("publish", "--timeout", "1", write("one.json", [REPORT]), "--config", good,
                             env={"JUKWAA_INTAKE": "tcp://127.0.0.1:2"})
        self.assertIn("tcp://127.0.0.1:2", done.stderr)
        for text, said in (("JUKWAA_KEY=$HOME/key\n", "$"), ("JUKWAA_KEY='abc\n", "quote"), ("JUKWAA_KEY abc\n", "NAME=VALUE")):
            done = self.run_bare("--config", write("bad.env", "\n" + text), "status")
            self.assertEqual(done.returncode, 2)
            self.assertIn("line 2", done.stderr)
            self.assertIn(said, done.stderr)
        self.assertEqual(self.run_bare("--config", "/nowhere", "status").returncode, 2)

    def test_print_of_every_form_of_json(self):
        forms = {"one": json.dumps(REPORT), "array": json.dumps([REPORT, report("r2")], indent=1),
                 "lines": "\n".join(map(json.dumps, [REPORT, report("r2"), report("r3")])) + "\n\n",
                 "after another": json.dumps(REPORT, indent=1) + json.dumps(report("r2"), indent=1)}
        for (name, text), count in zip(forms.items(), (1, 2, 3, 2)):
            done = self.run_bare("publish", "--print", "-", input=text)
            self.assertEqual((done.returncode, len(lines(done))), (0, count), (name, done))
            self.assertEqual([one["incident"]["identity"]["external_id"] for one in lines(done)], ["r1", "r2", "r3"][:count])
            self.assertEqual(done.stderr, f"{count} VALID\n")

    def test_print_tells_what_is_wrong(self):
        for text, code in (('{"identity": }', "NOT_WELL_FORMED"), ('{"identity": {"nonsense": 1}}', "INVALID_SCHEMA"),
                           ('{"identity": {', "NOT_WELL_FORMED"), ('[{"identity": {}}, {"x": 1}]', "INVALID_SCHEMA"),
                           ('{"identity": {}}\n{"broken\n{"identity": {}}\n', "NOT_WELL_FORMED")):
            done = self.run_bare("--json", "publish", "--print", "--format", "json", "-", input=text)
            self.assertEqual(done.returncode, 1, (text, done))
            refused = [one for one in lines(done) if one.get("verdict")]
            self.assertEqual([one["code"] for one in refused], [code], text)
        big = json.dumps({**REPORT, "handling": {"note": "x" * (2 * 1024 * 1024)}})
        done = self.run_bare("--json", "publish", "--print", "-", input=big)
        self.assertEqual((done.returncode, lines(done)[0]["verdict"], lines(done)[0]["code"]), (1, "REJECTED", "OVERSIZE"))

    def test_files_that_cannot_be_read_do_not_stop_the_others(self):
        done = self.run_bare("--json", "publish", "--print", "/nowhere.json", write("notes.txt", "words"), write("one.json", [REPORT]))
        self.assertEqual((done.returncode, len(lines(done))), (1, 1))
        self.assertIn("/nowhere.json", done.stderr)
        self.assertIn("--format", done.stderr)
        self.assertIn("1 VALID, 2 files not read", done.stderr)

    def test_csv_wants_a_map(self):
        done = self.run_bare("publish", "--print", write("x.csv", "a,b\n1,2\n"))
        self.assertEqual(done.returncode, 2)
        self.assertIn("--map", done.stderr)

    def test_completion_follows_the_table(self):
        script = write("complete.bash", self.run_bare("completion", "bash").stdout)

        def complete(*words):
            quoted = " ".join(f"'{word}'" for word in ("jukwaa", *words))
            done = subprocess.run(["bash", "-c", f". {script}; COMP_WORDS=({quoted}); COMP_CWORD={len(words)}; _jukwaa; "
                                                 'printf "%s\n" "${COMPREPLY[@]}"'], capture_output=True, text=True, check=True)
            self.assertEqual(done.stderr, "")
            return set(done.stdout.split())

        self.assertEqual(complete("pub"), {"publish"})
        self.assertLessEqual({"publish", "watch", "case", "status", "admin"}, complete(""))
        self.assertEqual(complete("--json", "watch", "--min"), {"--min-severity"})
        self.assertEqual(complete("watch", "--min-severity", "S"), {"SEVERE"})
        self.assertEqual(complete("--key", "x", "case", "") & {"list", "show", "similar", "export", "figures"},
                         {"list", "show", "similar", "export", "figures"})
        self.assertEqual(complete("publish", "--format", "c"), {"cap", "csv"})
        self.assertEqual(complete("publish", "--map", str(script)[:-3]), {str(script)})
        objects = {line.split()[2] for line in self.run_bare("admin", "--help").stdout.splitlines()
                   if line.startswith("  jukwaa admin ")}
        self.assertEqual(complete("admin", ""), objects | {"rule", "dead"}, "the table's words are those of admin --help")

    def test_manual_pages_name_every_option(self):
        for name in ("publish", "watch", "offer"):
            page = (ROOT / "services" / "cli" / "man" / f"jukwaa-{name}.1.scd").read_text()
            options = {word for line in self.run_bare("help", name).stdout.split("\n\n")[2].splitlines()
                       for word in line.split()[:1] if word.startswith("--")}
            self.assertGreater(len(options), 5)
            self.assertEqual({o for o in options if o not in page} - {"--ack"}, set(), name)


class SharedLibraryTest(unittest.TestCase):
    def test_only_the_functions_of_the_header_are_visible(self):
        build = os.environ.get("JUKWAA_BUILD")
        if not build:
            self.skipTest("JUKWAA_BUILD is not set")
        library = pathlib.Path(build) / "common" / "client" / "libjukwaa.so.0"
        header = (ROOT / "common" / "client" / "include" / "jukwaa" / "client.h").read_text()
        declared = set(re.findall(r"JUKWAA_API[^;(]*?\b(jukwaa_\w+)\(", header))
        listed = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True).stdout
        visible = {line.split()[2].split("@")[0] for line in listed.splitlines() if line.split()[1] in "TDBRW"}
        self.assertGreater(len(declared), 12)
        self.assertEqual(visible, declared)


class Fake(threading.Thread):
    """A service that answers as it is told: on_message(kind, message) gives a list of (kind, reply)."""

    def __init__(self, key, on_message):
        super().__init__(daemon=True)
        self.pb, self.on_message = protos(), on_message
        self.kinds = {v: k[len("KIND_"):] for k, v in self.pb.Kind.items()}
        self.heard, self.session, self.error, self.stop = [], 100, None, False
        self.socket = zmq.Context.instance().socket(zmq.ROUTER)
        self.socket.linger = 0
        fields = read_key(key)
        self.socket.curve_server, self.socket.curve_secretkey = True, fields["curve-secret"]
        self.endpoint = f"tcp://127.0.0.1:{self.socket.bind_to_random_port('tcp://127.0.0.1')}"
        self.start()

    def run(self):
        try:
            while not self.stop:
                if self.socket.poll(20):
                    self.take(*self.socket.recv_multipart())
        except Exception as e:  # the test looks at it
            self.error = e
        self.socket.close()

    def take(self, route, header, body):
        kind = self.kinds[FRAME.unpack(header)[3]]
        message = getattr(self.pb, kind.title().replace("_", ""))()
        message.ParseFromString(body)
        self.heard.append((kind, message, time.monotonic()))
        replies = self.on_message(kind, message)
        if replies is None:
            replies = self.usual(kind, message)
        for reply_kind, reply in replies:
            number = self.pb.Kind.Value(f"KIND_{reply_kind}")
            self.socket.send_multipart([route, FRAME.pack(b"JK", 1, 0, number, 0), reply.SerializeToString()])

    def usual(self, kind, message):
        pb = self.pb
        if kind == "HELLO":
            self.session += 1
            return [("WELCOME", pb.Welcome(session=self.session, window=64, ping_interval_ms=1000, service="fake"))]
        if kind == "PING":
            return [("PONG", pb.Pong(session=message.session))]
        if kind == "PUBLISH":
            return [("RECEIPT", self.stored(message))]
        return []

    def stored(self, message, verdict="STORED"):
        number = json.loads(message.payload)["identity"]["external_id"]
        return self.pb.Receipt(session=message.session, request=message.request, verdict=f"VERDICT_{verdict}", external_id=number)

    def of(self, kind):
        return [message for heard, message, _ in self.heard if heard == kind]

    def close(self):
        self.stop = True
        self.join()
        if self.error:
            raise self.error


class Misbehaviour(unittest.TestCase):
    """What is repeated and what is not; feeds with holes."""

    @classmethod
    def setUpClass(cls):
        cls.pb = protos()
        for name in ("server", "client"):
            if not (scratch() / f"fake-{name}.key").exists():
                run_cli("key", "new", "--out", scratch() / f"fake-{name}.key")
        cls.server, cls.client = scratch() / "fake-server.key", scratch() / "fake-client.key"

    def setUp(self):
        self.fake, self.rule = None, lambda kind, message: None
        self.fake = Fake(self.server, lambda kind, message: self.rule(kind, message))
        self.addCleanup(self.fake.close)

    def run_fake(self, *args, **kwargs):
        return run_cli("--json", *args, "--key", self.client, "--server-key", f"{self.server}.pub", "--endpoint", self.fake.endpoint,
                       check=False, env={"JUKWAA_REALM": ""}, **kwargs)

    def publish(self, count=1, *options):
        path = write(f"fake-{time.monotonic_ns()}.json", [report(f"r{i}") for i in range(count)])
        return self.run_fake("publish", *options, path)

    def answer_once(self, *replies):
        """The first Publish is answered so, later ones as usual."""
        first = []

        def rule(kind, message):
            if kind != "PUBLISH" or first:
                return None
            first.append(message)
            return [(reply_kind, make(message)) for reply_kind, make in replies]
        self.rule = rule

    def test_busy_is_repeated(self):
        self.answer_once(("RECEIPT", lambda m: self.fake.stored(m, "BUSY")))
        done = self.publish()
        self.assertEqual((done.returncode, [r["verdict"] for r in lines(done)]), (0, ["STORED"]), done)
        times = [at for kind, _, at in self.fake.heard if kind == "PUBLISH"]
        self.assertEqual(len(times), 2)
        self.assertGreater(times[1] - times[0], 0.02)
        self.assertLess(times[1] - times[0], 1)
        self.assertEqual(self.fake.of("PUBLISH")[0], self.fake.of("PUBLISH")[1])

    def test_busy_backs_off(self):
        self.rule = lambda kind, m: [("RECEIPT", self.fake.stored(m, "BUSY"))] if kind == "PUBLISH" and len(
            self.fake.of("PUBLISH")) < 6 else None
        self.assertEqual(self.publish().returncode, 0)
        times = [at for kind, _, at in self.fake.heard if kind == "PUBLISH"]
        gaps = [b - a for a, b in zip(times, times[1:])]
        self.assertEqual(len(gaps), 5)
        self.assertGreater(gaps[4], gaps[0] * 2)
        self.assertLess(max(gaps), 2.5)

    def test_silence_is_repeated_after_two_seconds(self):
        self.answer_once()
        done = self.publish()
        self.assertEqual(done.returncode, 0, done)
        times = [at for kind, _, at in self.fake.heard if kind == "PUBLISH"]
        self.assertEqual(len(times), 2)
        self.assertGreater(times[1] - times[0], 1.8)

    def test_stopping_is_repeated(self):
        self.answer_once(("REFUSED", lambda m: self.pb.Refused(request=m.request, code="CODE_STOPPING")))
        self.assertEqual(self.publish().returncode, 0)

    def test_nothing_else_is_repeated(self):
        for verdict, code in (("CONFLICT", ""), ("REJECTED", "NOT_PERMITTED")):
            self.rule = lambda kind, m: [("RECEIPT", self.pb.Receipt(session=m.session, request=m.request, code=f"CODE_{code or 'UNSPECIFIED'}",
                                          verdict=f"VERDICT_{verdict}"))] if kind == "PUBLISH" else None
            before = len(self.fake.of("PUBLISH"))
            done = self.publish()
            self.assertEqual((done.returncode, [(r["verdict"], r["code"]) for r in lines(done)]), (1, [(verdict, code)]))
            self.assertEqual(len(self.fake.of("PUBLISH")), before + 1)
        self.answer_once(("REFUSED", lambda m: self.pb.Refused(request=m.request, code="CODE_NOT_PERMITTED", reason="not you")))
        done = self.publish()
        self.assertEqual([(r["verdict"], r["code"], r["reason"]) for r in lines(done)], [("REJECTED", "NOT_PERMITTED", "not you")])

    def test_too_fast_is_repeated_more_slowly(self):
        """A report over the rate limit is no dead letter."""
        self.rule = lambda kind, m: [("REFUSED", self.pb.Refused(request=m.request, code="CODE_RATE_LIMITED"))] \
            if kind == "PUBLISH" and len(self.fake.of("PUBLISH")) < 5 else None
        self.assertEqual(self.publish().returncode, 0)
        times = [at for kind, _, at in self.fake.heard if kind == "PUBLISH"]
        self.assertEqual(len(times), 5)
        self.assertGreater(times[4] - times[3], 2 * (times[1] - times[0]))

    def test_bad_session_says_hello_again_and_repeats(self):
        self.answer_once(("BAD_SESSION", lambda m: self.pb.BadSession(session=m.session)))
        began = time.monotonic()
        done = self.publish(5)
        self.assertEqual((done.returncode, sorted(r["external_id"] for r in lines(done))), (0, [f"r{i}" for i in range(5)]))
        self.assertEqual(len(self.fake.of("HELLO")), 2)
        self.assertEqual(self.fake.of("PUBLISH")[-1].session, self.fake.session)
        self.assertLess(time.monotonic() - began, 1.9)

    def test_the_answer_to_a_repetition_is_given_once(self):
        self.rule = lambda kind, m: [("RECEIPT", self.fake.stored(m))] * 3 if kind == "PUBLISH" else None
        done = self.publish(20)
        self.assertEqual(sorted(r["external_id"] for r in lines(done)), sorted(f"r{i}" for i in range(20)))

    def test_reports_go_in_order_and_within_the_services_window(self):
        self.rule = lambda kind, m: [("WELCOME", self.pb.Welcome(session=7, window=2, ping_interval_ms=1000))] if kind == "HELLO" else (
            [] if kind == "PUBLISH" and len(self.fake.of("PUBLISH")) <= 2 else None)
        done = self.publish(6, "--timeout", "1")
        self.assertEqual(done.returncode, 1, done)
        self.assertEqual([json.loads(m.payload)["identity"]["external_id"] for m in self.fake.of("PUBLISH")], ["r0", "r1"])
        self.assertIn("6 without a receipt", done.stderr)

    def test_wrong_realm_and_role_are_said(self):
        for code, status in (("WRONG_REALM", 1), ("NOT_PERMITTED", 4)):
            self.rule = lambda kind, m: [("REFUSED", self.pb.Refused(code=f"CODE_{code}", reason="because"))] if kind == "HELLO" else None
            done = self.publish()
            self.assertEqual(done.returncode, status, done)
            self.assertIn(code, done.stderr)
        self.assertEqual(self.fake.of("PUBLISH"), [])

    def test_a_session_ended_for_good(self):
        self.answer_once(("BYE", lambda m: self.pb.Bye(session=m.session, code="CODE_REVOKED", reason="the key was revoked")))
        done = self.publish()
        self.assertEqual(done.returncode, 4)
        self.assertIn("the key was revoked", done.stderr)

    def test_wrong_server_key(self):
        began = time.monotonic()
        done = run_cli("publish", write("one.json", [REPORT]), "--key", self.client, "--server-key", f"{self.client}.pub", "--endpoint",
                       self.fake.endpoint, check=False)
        self.assertEqual(done.returncode, 3, done)
        self.assertIn("another key", done.stderr)
        self.assertLess(time.monotonic() - began, 3.5)

    # ---- feeds

    def deliver(self, session, number, seq):
        pb = self.pb
        return ("DELIVER", pb.Deliver(session=session, delivery_no=number, stream="047", seq=seq, epoch=1, event_id=bytes([seq] * 16),
                                      incident_id=bytes(16), kind="EVENT_KIND_INCIDENT", recorded_at_us=1, tlp="TLP_GREEN",
                                      category="CATEGORY_FIRE", commitment=bytes(32), chain=bytes(32), event=pb.EventBody(),
                                      position=pb.SealedPosition(stream="047", seal=b"after %d" % seq)))

    def test_a_hole_begins_a_new_session_where_we_are(self):
        pb = self.pb

        def rule(kind, m):
            if kind != "SUBSCRIBE":
                return None
            said = ("SUBSCRIBED", pb.Subscribed(session=m.session, request=m.request,
                                                positions=[pb.SealedPosition(stream="047", seal=b"after 0")]))
            if m.start_at == pb.START_AT_BEGINNING:
                return [said, self.deliver(m.session, 1, 1), self.deliver(m.session, 3, 3)]
            return [said, self.deliver(m.session, 1, 2), self.deliver(m.session, 2, 3)]
        self.rule = rule
        done = self.run_fake("watch", "--county", "047", "--from", "beginning", "--count", "3", "--timeout", "8")
        self.assertEqual((done.returncode, [(e["delivery_no"], e["seq"]) for e in lines(done)]), (0, [(1, 1), (2, 2), (3, 3)]), done)
        again = self.fake.of("SUBSCRIBE")[1]
        self.assertEqual((again.start_at, again.positions[0].seal), (pb.START_AT_TOKEN, b"after 1"))
        self.assertEqual(self.fake.of("ACK")[-1].delivery_no, 2)

    def test_with_a_cursor_what_was_not_acknowledged_comes_again(self):
        """The service moves the cursor to where a session starts: were it behind what is only held here, a crash would lose that."""
        pb, asked = self.pb, []

        def rule(kind, m):
            if kind != "SUBSCRIBE":
                return None
            asked.append(m)
            said = ("SUBSCRIBED", pb.Subscribed(session=m.session, request=m.request,
                                                positions=[pb.SealedPosition(stream="047", seal=b"after 0")]))
            second = self.deliver(m.session, 3, 3) if len(asked) == 1 else self.deliver(m.session, 2, 2)  # first a hole
            return [said, self.deliver(m.session, 1, 1), second]
        self.rule = rule
        done = self.run_fake("watch", "--county", "047", "--from", "beginning", "--cursor", "ops", "--no-ack", "--count", "3",
                             "--timeout", "8")
        self.assertEqual((done.returncode, [(e["delivery_no"], e["seq"]) for e in lines(done)]), (0, [(1, 1), (2, 1), (3, 2)]), done)
        self.assertEqual((asked[1].start_at, asked[1].cursor, [p.seal for p in asked[1].positions]), (pb.START_AT_TOKEN, "ops", [b"after 0"]))

    def test_what_could_not_be_shown_is_not_acknowledged(self):
        pb, resume = self.pb, scratch() / "resume-full"

        def rule(kind, m):
            if kind != "SUBSCRIBE":
                return None
            return [("SUBSCRIBED", pb.Subscribed(session=m.session, request=m.request,
                                                 positions=[pb.SealedPosition(stream="047", seal=b"after 0")])),
                    *(self.deliver(m.session, i, i) for i in range(1, 41))]
        self.rule = rule
        command = [BIN / "jukwaa", "--json", "watch", "--county", "047", "--resume", resume, "--timeout", "5", "--key", self.client,
                   "--server-key", f"{self.server}.pub", "--endpoint", self.fake.endpoint]
        with open("/dev/full", "w") as full:
            done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=30)
        self.assertEqual(done.returncode, 1, done)
        self.assertIn("cannot be written", done.stderr)
        self.assertEqual(self.fake.of("ACK"), [])
        again = subprocess.run([*command, "--count", "1"], capture_output=True, text=True, timeout=30)
        self.assertEqual((again.returncode, json.loads(again.stdout)["seq"]), (0, 1), again)
        self.assertIn([p.seal for p in self.fake.of("SUBSCRIBE")[-1].positions], ([], [b"after 0"]))

    def test_the_resume_file_holds_what_was_acknowledged(self):
        pb, resume = self.pb, scratch() / "resume"

        def rule(kind, m):
            if kind != "SUBSCRIBE":
                return None
            first = int(m.positions[0].seal.split()[1]) if m.positions else 0
            return [("SUBSCRIBED", pb.Subscribed(session=m.session, request=m.request)),
                    *(self.deliver(m.session, i, first + i) for i in (1, 2, 3)),
                    ("BEAT", pb.Beat(session=m.session, delivery_no=3, positions=[pb.SealedPosition(stream="022", seal=b"moved")]))]
        self.rule = rule
        for expected in ([1, 2], [3, 4], [5, 6]):
            done = self.run_fake("watch", "--all", "--resume", resume, "--count", "2", "--timeout", "8")
            self.assertEqual((done.returncode, [e["seq"] for e in lines(done)]), (0, expected), done)
        self.assertEqual(resume.stat().st_mode & 0o777, 0o600)
        done = self.run_fake("watch", "--all", "--resume", resume, "--timeout", "2", "--no-ack")
        self.assertEqual([e["seq"] for e in lines(done)], [7, 8, 9])
        done = self.run_fake("watch", "--all", "--resume", resume, "--timeout", "1")
        self.assertEqual(([e["seq"] for e in lines(done)][0], done.returncode), (7, 0))
        run_cli("--json", "watch", "--all", "--resume", resume, "--timeout", "1", "--key", self.client, "--server-key",
                f"{self.server}.pub", "--endpoint", self.fake.endpoint)
        self.assertIn(b"moved", [p.seal for p in self.fake.of("SUBSCRIBE")[-1].positions], "a beat moves the token")
        resume.write_text("something else\n")
        done = self.run_fake("watch", "--all", "--resume", resume, "--count", "1", "--timeout", "2")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn(str(resume), done.stderr)

    def test_resync_is_said(self):
        self.rule = lambda kind, m: [("REFUSED", self.pb.Refused(request=m.request, code="CODE_RESYNC", reason="another feed"))] \
            if kind == "SUBSCRIBE" else None
        done = self.run_fake("watch", "--all", "--from", "beginning", "--timeout", "3")
        self.assertEqual(done.returncode, 1)
        self.assertIn("RESYNC", done.stderr)
        self.assertIn("try:", done.stderr)
        self.assertEqual(len(self.fake.of("SUBSCRIBE")), 1)

    def test_a_refused_outbox_keeps_dead_letters(self):
        outbox = scratch() / "dead.db"
        self.rule = lambda kind, m: [("RECEIPT", self.pb.Receipt(request=m.request, verdict="VERDICT_REJECTED",
                                      code="CODE_UNROUTABLE", field="place", reason="in the sea"))] if kind == "PUBLISH" else None
        done = self.publish(2, "--outbox", outbox)
        self.assertEqual((done.returncode, {r["code"] for r in lines(done)}), (1, {"UNROUTABLE"}))
        listed = lines(run_cli("--json", "outbox", "list", outbox))
        self.assertEqual([(one["state"], one["verdict"], one["reason"]) for one in listed], [("DEAD", "REJECTED", "in the sea")] * 2)
        self.rule = lambda kind, m: None
        run_cli("outbox", "retry", outbox, listed[1]["id"])
        done = self.run_fake("publish", "--outbox", outbox)
        self.assertEqual((done.returncode, [r["external_id"] for r in lines(done)]), (0, ["r1"]))
        run_cli("outbox", "retry", outbox, "--all")
        done = self.run_fake("publish", "--outbox", outbox)
        self.assertEqual([r["external_id"] for r in lines(done)], ["r0"])
        self.assertEqual(run_cli("--json", "outbox", "list", outbox).stdout, "")
        self.assertEqual(run_cli("outbox", "retry", outbox, "--all", check=False).returncode, 1)

    def test_what_an_outbox_could_not_write_is_written_later(self):
        """Like a full disk: from the first two receipts until the third report is repeated (two seconds) the publisher can write to
        no file."""
        outbox, senders, limits = scratch() / "stuck.db", [], []
        usual, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

        def limit_files(size):
            limits.append(size)
            resource.prlimit(senders[0].pid, resource.RLIMIT_FSIZE, (size, hard))

        def rule(kind, m):
            if kind != "PUBLISH":
                return None
            heard = {json.loads(one.payload)["identity"]["external_id"]: one for one in self.fake.of("PUBLISH")}
            if limits:
                if m == heard["r2"]:
                    limit_files(usual)
                return None
            if not senders or len(heard) < 3:
                return []
            limit_files(1)
            return [("RECEIPT", self.fake.stored(heard["r0"])),
                    ("RECEIPT", self.pb.Receipt(session=m.session, request=heard["r1"].request, verdict="VERDICT_REJECTED",
                                                external_id="r1", code="CODE_UNROUTABLE", reason="in the sea"))]
        self.rule = rule
        path = write("stuck.json", [report(f"r{i}") for i in range(3)])
        senders.append(subprocess.Popen(
            ["env", "--ignore-signal=XFSZ", BIN / "jukwaa", "--json", "publish", "--outbox", outbox, "--timeout", "15", path, "--key",
             self.client, "--server-key", f"{self.server}.pub", "--endpoint", self.fake.endpoint],
            env={**os.environ, "JUKWAA_REALM": ""}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        out, err = senders[0].communicate(timeout=60)
        self.assertEqual(limits[:2], [1, usual])
        self.assertNotIn("waiting in the outbox", err)
        self.assertEqual(sorted((r["external_id"], r["verdict"]) for r in map(json.loads, out.splitlines())),
                         [("r0", "STORED"), ("r1", "REJECTED"), ("r2", "STORED")], err)
        self.assertEqual([(one["state"], one["reason"]) for one in lines(run_cli("--json", "outbox", "list", outbox))],
                         [("DEAD", "in the sea")])


class Real(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = Stack(services=("intake", "dispatch", "cases"))
        cls.publisher = cls.stack.add_publisher("KRCS")
        cls.desk = cls.stack.add_desk("NBO")
        cls.narrow = cls.stack.add_desk("HEALTH", allow=(("--category", "HEALTH"),))
        cls.stack.wait_known(cls.publisher)
        for service in ("dispatch", "cases"):
            cls.stack.wait_known(cls.narrow, service)

    def publish(self, *reports, options=()):
        return self.stack.cli_json(self.publisher, "publish", *options, write(f"real-{time.monotonic_ns()}.json", reports))

    def test_a_receipt_has_exactly_these_keys(self):
        (receipt,), status = self.publish(report("keys-1"))
        self.assertEqual(status, 0)
        self.assertEqual(list(receipt), ["file", "external_id", "revision", "verdict", "incident_id", "event_id", "positions", "epoch",
                                         "warnings", "code", "field", "reason"])
        self.assertEqual((receipt["verdict"], receipt["external_id"], receipt["positions"][0]["county"]), ("STORED", "keys-1", "047"))
        self.assertEqual(set(receipt["positions"][0]), {"county", "seq", "chain"})
        (again,), status = self.publish(report("keys-1"))
        self.assertEqual((again["verdict"], status, again["event_id"]), ("DUPLICATE", 0, receipt["event_id"]))
        (other,), status = self.publish({**report("keys-1"), "handling": {"tlp": "CLEAR", "scope": "PUBLIC"}})
        self.assertEqual((other["verdict"], status), ("CONFLICT", 1))

    def test_check_stores_nothing(self):
        (receipt,), status = self.publish(report("check-1"), options=("--check",))
        self.assertEqual((receipt["verdict"], status), ("VALID", 0))
        self.assertEqual(self.stack.sql("SELECT count(*) FROM intake.report WHERE external_id = 'check-1'"), [(0,)])

    def test_watch_shows_verified_copies_without_the_protected_groups(self):
        (receipt,), _ = self.publish(report("watch-1", "022"))
        events, status = self.stack.cli_json(self.desk, "watch", "--county", "022", "--from", "beginning", "--count", "1", "--timeout", "10")
        self.assertEqual(status, 0)
        event = events[0]
        self.assertEqual((event["event_id"], event["county"], event["headline"], event["agency"]),
                         (receipt["event_id"], "022", "Fire in the market", "KRCS"))
        self.assertTrue(event["copy_verified"] and event["chain_verified"])
        self.assertEqual(event["incident"]["withheld"], ["reporter", "persons"])
        self.assertNotIn("must never arrive", json.dumps(event))
        self.assertNotIn("token", event)

    def test_a_token_goes_on_behind_its_line(self):
        self.publish(*(report(f"token-{i}", "010") for i in range(5)))
        events, _ = self.stack.cli_json(self.desk, "watch", "--county", "010", "--from", "beginning", "--tokens", "--count", "5",
                                        "--timeout", "10")
        rest, status = self.stack.cli_json(self.desk, "watch", "--county", "010", "--from", events[1]["token"], "--count", "3",
                                           "--timeout", "10")
        self.assertEqual(([e["seq"] for e in rest], status), ([e["seq"] for e in events[2:]], 0))
        done = self.stack.cli(self.desk, "watch", "--county", "010", "--from", "nonsense", check=False)
        self.assertEqual(done.returncode, 2)
        other = self.stack.cli(self.narrow, "watch", "--county", "010", "--from", events[1]["token"], "--timeout", "5", check=False)
        self.assertEqual(other.returncode, 4, other)
        self.assertIn("a token", other.stderr)

    def test_time_runs_out(self):
        done = self.stack.cli(self.desk, "watch", "--county", "015", "--count", "1", "--timeout", "1", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("0 of 1", done.stderr)
        self.assertEqual(self.stack.cli(self.desk, "watch", "--county", "015", "--timeout", "1").returncode, 0)

    def test_keys_that_may_not(self):
        unknown = self.stack.new_key("unknown")
        began = time.monotonic()
        for args in (("publish", write("one.json", [REPORT])), ("watch", "--all"), ("case", "list")):
            done = self.stack.cli(unknown, *args, check=False)
            self.assertEqual(done.returncode, 4, done)
            self.assertIn("does not know the key", done.stderr)
            self.assertIn("jukwaa admin key add", done.stderr)
        self.assertLess(time.monotonic() - began, 6)
        done = self.stack.cli(self.desk, "publish", write("one.json", [REPORT]), check=False)
        self.assertEqual(done.returncode, 4, done)
        done = run_cli("watch", "--all", "--server-key", f"{unknown}.pub", env=self.stack.env(self.desk), check=False)
        self.assertEqual(done.returncode, 3, done)

    def test_the_human_form_fits_the_terminal_and_obeys_nothing(self):
        evil = report("evil-1", "036")
        evil["narrative"]["texts"][0]["headline"] = "Fire \x1b[31m\x07 in the market of a very long name, told at length " * 3
        self.publish(evil)
        for columns in (40, 80, 120):
            env = {**self.stack.env(self.desk), "COLUMNS": str(columns)}
            done = run_cli("watch", "--county", "036", "--from", "beginning", "--count", "1", "--timeout", "10", env=env)
            self.assertLessEqual(max(map(len, done.stdout.splitlines())), columns, done.stdout)
            self.assertNotIn("\x1b", done.stdout)
            self.assertIn("Fire", done.stdout)

    def test_colour_only_on_a_terminal(self):
        def watch(*options, terminal, **env):
            ours, theirs = pty.openpty()
            process = subprocess.Popen([BIN / "jukwaa", *options, "watch", "--county", "047", "--from", "beginning", "--count", "1"],
                                       stdout=theirs if terminal else subprocess.PIPE, env={**os.environ, **self.stack.env(self.desk), **env})
            os.close(theirs)
            text = os.read(ours, 4096) if terminal else process.stdout.read()
            process.wait()
            os.close(ours)
            if process.stdout:
                process.stdout.close()
            return b"\x1b[" in text

        self.publish(report("colour-1"))
        self.assertTrue(watch(terminal=True, TERM="xterm"))
        self.assertFalse(watch(terminal=True, TERM="xterm", NO_COLOR="1"))
        self.assertFalse(watch("--color=never", terminal=True, TERM="xterm"))
        self.assertFalse(watch(terminal=False, TERM="xterm"))
        self.assertTrue(watch("--color", "always", terminal=False))

    def test_interrupted_watch_ends_in_order(self):
        resume = scratch() / "interrupted"
        self.publish(*(report(f"int-{i}", "041") for i in range(3)))
        process = subprocess.Popen([BIN / "jukwaa", "--json", "watch", "--county", "041", "--from", "beginning", "--resume", resume],
                                   stdout=subprocess.PIPE, text=True, env={**os.environ, **self.stack.env(self.desk)})
        seen = [json.loads(process.stdout.readline())["seq"] for _ in range(3)]
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(5), 0)
        process.stdout.close()
        self.assertTrue(resume.exists())
        self.publish(report("int-3", "041"))
        events, _ = self.stack.cli_json(self.desk, "watch", "--county", "041", "--resume", resume, "--count", "1", "--timeout", "10")
        self.assertEqual([e["seq"] for e in events], [seen[-1] + 1])

    def test_the_examples_in_c(self):
        if not (BIN / "example_publish").exists():
            self.skipTest("built with JUKWAA_TESTS only")
        folder = scratch() / "examples"
        folder.mkdir()
        done = subprocess.run([BIN / "example_publish"], env={**os.environ, **self.stack.env(self.publisher)}, capture_output=True,
                              text=True, timeout=30)
        self.assertEqual(done.returncode, 0, done)
        self.assertRegex(done.stdout, r"^STORED example-c-\d+ [0-9a-f-]{36} 047#\d+ \n$")
        where = done.stdout.split()[3]
        watch = subprocess.Popen([BIN / "example_subscribe", "047"], env={**os.environ, **self.stack.env(self.desk)}, cwd=folder,
                                 stdout=subprocess.PIPE, text=True)
        self.assertTrue(any(line.startswith(where) for line in watch.stdout))
        wait_until((folder / "subscribe.resume").exists, 5, "the resume file")
        watch.kill()
        watch.wait()
        watch.stdout.close()

    def test_cases(self):
        (receipt,), _ = self.publish(report("case-1", "043"))
        incident = receipt["incident_id"]

        def mine():
            return [c for c in lines(self.stack.cli(self.desk, "--json", "case", "list", "--county", "043")) if c["case_id"] == incident]
        (case,) = wait_until(mine, 10, "the case")
        self.assertEqual((case["state"], case["counties"], case["agency"], case["headline"]), ("NEW", ["043"], "KRCS", "Fire in the market"))
        (shown,) = lines(self.stack.cli(self.desk, "--json", "case", "show", incident))
        self.assertEqual((shown["case"]["case_id"], shown["timeline"][0]["kind"]), (incident, "OPENED"))
        self.assertEqual(shown["incident"]["identity"]["external_id"], "case-1")
        human = self.stack.cli(self.desk, "case", "show", incident).stdout
        self.assertIn("opened by KRCS", human)
        self.assertNotIn("must never arrive", human + json.dumps(shown))
        done = self.stack.cli(self.narrow, "case", "show", incident, check=False)
        self.assertIn(done.returncode, (1, 4))
        self.assertEqual(lines(self.stack.cli(self.narrow, "--json", "case", "list", "--county", "043")), [])
        self.assertEqual(self.stack.cli(self.desk, "case", "list", "--state", "NONSENSE", check=False).returncode, 2)
        self.stack.cli(self.desk, "case", "show", incident, "--purpose", "subject-request", "--note", "letter 17")
        read = lines(self.stack.admin("access", "list", "--case", incident, "--agency", "DESKS", "--json"))
        self.assertEqual([(r["asked"], r["purpose"], r["note"], r["granted"], r["shown"], r["case"]) for r in read][-3:],
                         [("SHOW", "RESPONSE", "", True, 1, incident), ("SHOW", "RESPONSE", "", False, 0, incident),
                          ("SHOW", "SUBJECT_REQUEST", "letter 17", True, 1, incident)])
        self.assertEqual({(r["desk"], r["under"].split(":")[0]) for r in read}, {("NBO", "allow"), ("HEALTH", "")})

    def test_pages_of_cases(self):
        self.publish(*(report(f"page-{i}", "046") for i in range(7)))
        wait_until(lambda: len(lines(self.stack.cli(self.desk, "--json", "case", "list", "--county", "046"))) == 7, 10, "7 cases")
        self.assertEqual(len(lines(self.stack.cli(self.desk, "--json", "case", "list", "--county", "046", "--limit", "3"))), 3)

    def test_explain_says_what_the_feed_does(self):
        (receipt,), _ = self.publish(report("explain-1", "033"))
        env = {**self.stack.env(self.desk), **self.stack.admin_env}

        def explain(desk):
            done = run_cli("--json", "explain", receipt["incident_id"], "--desk", desk, env=env, check=False)
            return done.returncode, [(one["stream"], one["effect"]) for one in lines(done)]
        status, answers = explain("NBO")
        self.assertEqual((status, answers[0][0], answers[0][1][:5]), (0, "033", "ALLOW"))
        self.assertEqual(explain("HEALTH"), (1, [("033", "DENY")]))
        self.assertEqual(explain("NOBODY")[0], 1)
        human = run_cli("explain", receipt["incident_id"], "--desk", "HEALTH", env=env, check=False)
        self.assertIn("DENY", human.stdout)
        self.assertEqual(run_cli("explain", receipt["incident_id"], "--desk", "NBO", env=self.stack.env(self.desk) | {"JUKWAA_DATABASE": ""},
                                 check=False).returncode, 2)

    def test_status(self):
        env = {**self.stack.env(self.desk), **self.stack.admin_env}
        env["JUKWAA_HTTP"] = " ".join(f"http://127.0.0.1:{self.stack.services[name].http_port}" for name in ("intake", "dispatch", "cases"))
        done = run_cli("--json", "status", env=env)
        parts = {one["part"]: one for one in lines(done)}
        self.assertEqual([parts[name]["state"] for name in ("intake", "dispatch", "cases")], ["READY"] * 3)
        self.assertEqual(parts["database"]["realm"], "LIVE")
        self.assertIn("stored", parts["intake"])
        self.assertIn("epoch", parts["feed"])
        self.assertEqual({one["subject"] for one in lines(done) if one["part"] == "desk"}, {"NBO", "HEALTH"})
        human = run_cli("status", env={**env, "COLUMNS": "80"}).stdout
        self.assertLessEqual(max(map(len, human.splitlines())), 80)
        self.assertLessEqual(len(human.splitlines()), 24)
        env["JUKWAA_HTTP"] += " http://127.0.0.1:1"
        self.assertEqual(run_cli("status", env=env, check=False).returncode, 3)

    def test_zz_the_outbox_bridges_a_dead_service(self):
        """Last: it kills intake."""
        outbox, intake = scratch() / "outbox.db", self.stack.services["intake"]
        intake.kill()
        path = write("outbox.json", [report(f"outbox-{i}", "047") for i in range(20)])
        done = self.stack.cli(self.publisher, "--json", "publish", "--outbox", outbox, "--timeout", "1", path, check=False)
        self.assertEqual((done.returncode, done.stdout), (3, ""), done)
        self.assertIn("20 waiting in the outbox", done.stderr)
        self.assertEqual(len(lines(run_cli("--json", "outbox", "list", outbox))), 20)
        self.assertEqual(outbox.stat().st_mode & 0o777, 0o600)

        sender = subprocess.Popen([BIN / "jukwaa", "--json", "publish", "--outbox", outbox, "--timeout", "30"], text=True,
                                  stdout=subprocess.PIPE, env={**os.environ, **self.stack.env(self.publisher)})
        opened = pathlib.Path(f"/proc/{sender.pid}/fd")
        wait_until(lambda: any(os.path.realpath(fd) == f"{outbox}-wal" for fd in opened.iterdir()), 5, "the outbox is taken")
        self.assertIn("another process", run_cli("outbox", "retry", outbox, "--all", check=False).stderr)
        intake.start()
        out, _ = sender.communicate(timeout=40)
        self.assertEqual(sender.returncode, 0)
        self.assertEqual(sorted(json.loads(line)["external_id"] for line in out.splitlines()), sorted(f"outbox-{i}" for i in range(20)))
        self.assertEqual(run_cli("--json", "outbox", "list", outbox).stdout, "")
        self.assertEqual(self.stack.sql("SELECT count(*) FROM intake.report WHERE external_id LIKE 'outbox-%%'"), [(20,)])


if __name__ == "__main__":
    unittest.main()
