"""What service and scenario tests share: a throw-away PostgreSQL, a migrated database, keys, running services, and a small
client that speaks the wire from the .proto files alone.

Environment: JUKWAA_BIN (folder with jukwaa and jukwaa-<service>), JUKWAA_TEST_DATA (folder with the data; default
../shared/data beside the checkout), JUKWAA_TEST_KEEP=1 (leave the scratch folder behind).
"""
import atexit
import contextlib
import hashlib
import importlib
import json
import os
import pathlib
import pwd
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

import psycopg2
import zmq

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("JUKWAA_BIN", ROOT / "build" / "bin")).resolve()
DATA = pathlib.Path(os.environ.get("JUKWAA_TEST_DATA", ROOT.parent / "shared" / "data"))
PG_BIN = pathlib.Path("/usr/lib/postgresql/15/bin")
FRAME = struct.Struct(">2sBBHH")

_scratch = None


def scratch():
    """One short folder for this test program, gone at its end (Unix socket paths hold 107 bytes)."""
    global _scratch
    if _scratch is None:
        _scratch = pathlib.Path(tempfile.mkdtemp(prefix="jk-"))
        _scratch.chmod(0o755)
        if not os.environ.get("JUKWAA_TEST_KEEP"):
            atexit.register(shutil.rmtree, _scratch, True)
    return _scratch


def need_data(*parts):
    """The path of a data file; skips the test where the data set is not there."""
    path = DATA.joinpath(*parts)
    if not path.exists():
        raise unittest.SkipTest(f"needs the data set: {path} is not there (JUKWAA_TEST_DATA)")
    return path


def protos():
    """The generated Python modules of proto/jukwaa/v1, as one namespace."""
    out = scratch() / "proto"
    if not out.exists():
        out.mkdir()
        files = sorted(str(p.relative_to(ROOT / "proto")) for p in (ROOT / "proto" / "jukwaa" / "v1").glob("*.proto"))
        subprocess.run(["protoc", f"-I{ROOT / 'proto'}", f"--python_out={out}", *files], check=True)
        sys.path.insert(0, str(out))

    class Namespace:
        pass

    space = Namespace()
    for name in sorted(p.stem for p in (ROOT / "proto" / "jukwaa" / "v1").glob("*.proto")):
        module = importlib.import_module(f"jukwaa.v1.{name}_pb2")
        for item in dir(module):
            if not item.startswith("_"):
                setattr(space, item, getattr(module, item))
    return space


def wait_until(check, timeout=10.0, what="condition"):
    """Polls check() until it gives something true; returns that."""
    end = time.monotonic() + timeout
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout} s: {what}")
        time.sleep(0.02)


def free_port():
    """A port for a server to come: below those that the system gives to outgoing connections, one of which might take it first."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as f:
        first = int(f.read().split()[0])
    while True:
        with socket.socket() as s, contextlib.suppress(OSError):
            port = secrets.randbelow(first - 10000) + 10000
            s.bind(("127.0.0.1", port))
            return port


class Cluster:
    """A private PostgreSQL on a Unix socket, run by a user that is not root."""

    def __init__(self, settings=()):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="pg-", dir=scratch()))
        self.user = None
        if os.geteuid() == 0:
            self.user = pwd.getpwnam("postgres")
            os.chown(self.folder, self.user.pw_uid, self.user.pw_gid)
        self.data = self.folder / "d"
        self.superuser = "boss"
        self.password = secrets.token_hex(16)
        pwfile = self.folder / "pw"
        pwfile.write_text(self.password)
        if self.user:
            os.chown(pwfile, self.user.pw_uid, self.user.pw_gid)
        self._run("initdb", "-D", self.data, "-U", self.superuser, "--auth=scram-sha-256", f"--pwfile={pwfile}",
                  "--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions")
        conf = ["listen_addresses = ''", f"unix_socket_directories = '{self.folder}'", "max_connections = 60",
                "shared_buffers = 64MB", "log_min_messages = warning", *settings]
        with open(self.data / "postgresql.conf", "a") as f:
            f.write("\n".join(conf) + "\n")
        self.passfile = scratch() / f"pgpass-{self.folder.name}"
        roles = ["intake", "dispatch", "cases", "notify", "admin"]
        lines = [f"*:*:*:{self.superuser}:{self.password}"]
        lines += [f"*:*:*:jukwaa_{role}:{secrets.token_hex(16)}" for role in roles]
        self.passfile.write_text("\n".join(lines) + "\n")
        self.passfile.chmod(0o600)
        # [stopped, back] each, by the monotonic clock: what was not on the disk yet is lost then.
        self.outages = []
        self.start()
        atexit.register(self.stop)

    def _run(self, tool, *args, check=True):
        kwargs = {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []} if self.user else {}
        return subprocess.run([PG_BIN / tool, *args], check=check, cwd=self.folder, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True, **kwargs)

    def start(self):
        self._run("pg_ctl", "-D", self.data, "-w", "-l", self.folder / "log", "start")
        for outage in self.outages:
            outage[1] = min(outage[1], time.monotonic())

    def stop(self, mode="immediate"):
        self.outages.append([time.monotonic(), float("inf")])
        self._run("pg_ctl", "-D", self.data, "-w", "-m", mode, "stop", check=False)

    def conninfo(self, database, role=None):
        return f"host={self.folder} dbname={database} user={role or self.superuser} passfile={self.passfile}"

    def connect(self, database="postgres", role=None):
        connection = psycopg2.connect(self.conninfo(database, role))
        connection.autocommit = True
        return connection

    def make_database(self, name="jukwaa", realm="live"):
        with contextlib.closing(self.connect()) as c, c.cursor() as cur:
            cur.execute(f'CREATE DATABASE "{name}"')
        run_cli("admin", "migrate", "--sql", ROOT / "deploy" / "sql", "--realm", realm, "--passwords", self.passfile,
                env={"JUKWAA_DATABASE": self.conninfo(name)})
        return name


def run_cli(*args, env=None, check=True, input=None, timeout=120):
    """Runs `jukwaa`; returns the completed process with text output."""
    done = subprocess.run([str(BIN / "jukwaa"), *map(str, args)], env={**os.environ, **(env or {})}, input=input,
                          capture_output=True, text=True, timeout=timeout)
    if check and done.returncode != 0:
        raise AssertionError(f"jukwaa {' '.join(map(str, args))} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


class Service:
    """One running service process."""

    def __init__(self, name, env, http_port):
        self.name, self.env, self.http_port = name, env, http_port
        self.log_path = scratch() / f"{name}-{http_port}.log"
        self.process = None

    def start(self, ready=True):
        with open(self.log_path, "a") as log:
            self.process = subprocess.Popen([str(BIN / f"jukwaa-{self.name}")], env={**os.environ, **self.env},
                                            stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        if ready:
            self.wait_ready()
        return self

    def wait_ready(self, timeout=20):
        def check():
            if self.process.poll() is not None:
                raise AssertionError(f"{self.name} ended with {self.process.returncode}:\n{self.log()}")
            return self.http("/readyz")[0] == 200
        try:
            wait_until(check, timeout, f"{self.name} ready")
        except AssertionError as e:
            raise AssertionError(f"{e}\n{self.http('/readyz')}\n{self.log()}") from None

    def http(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}{path}", timeout=5) as r:
                return r.status, r.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode()
        except OSError as e:
            return 0, str(e)

    def metric(self, name, labels=""):
        """Sum of the samples whose name matches and whose label text contains `labels`."""
        total = 0.0
        for line in self.http("/metrics")[1].splitlines():
            if line.startswith(name) and line[len(name):len(name) + 1] in (" ", "{") and labels in line:
                total += float(line.rsplit(" ", 1)[1])
        return total

    def pss_kib(self):
        with open(f"/proc/{self.process.pid}/smaps_rollup") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("Pss:"))

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, timeout=10):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"{self.name} did not stop within {timeout} s:\n{self.log()}") from None
        return self.process.returncode if self.process else None

    def log(self):
        return self.log_path.read_text()


class Stack:
    """A database with its services, a publishing agency and a desk. `services` names those to start."""

    def __init__(self, services=("intake", "dispatch", "cases", "notify"), realm="live", boundaries=None, cluster=None,
                 settings=None, cluster_settings=()):
        self.cluster = cluster or Cluster(cluster_settings)
        self.realm = realm
        self.database = self.cluster.make_database(f"jk{secrets.token_hex(4)}", realm)
        self.run = pathlib.Path(tempfile.mkdtemp(prefix="r", dir=scratch()))
        self.admin_env = {"JUKWAA_DATABASE": self.cluster.conninfo(self.database, "jukwaa_admin")}
        self.server_key = self.new_key("server")
        self.ports = {name: free_port() for name in ("intake", "dispatch", "cases")}
        self.endpoints = {name: f"tcp://127.0.0.1:{port}" for name, port in self.ports.items()}
        hints = f"{self.run}/intake.hint"
        self.services = {}
        for name in ("intake", "dispatch", "cases", "notify"):
            port = free_port()
            env = {
                "JUKWAA_DATABASE": self.cluster.conninfo(self.database, f"jukwaa_{name}"),
                "JUKWAA_KEY_FILE": str(self.server_key), "JUKWAA_REALM": realm.upper(),
                "JUKWAA_HTTP_LISTEN": f"127.0.0.1:{port}",
            }
            if name in self.endpoints:
                env["JUKWAA_LISTEN"] = self.endpoints[name]
            if name == "intake":
                env["JUKWAA_HINT_SOCKET"] = hints
                if boundaries:
                    env["JUKWAA_COUNTY_BOUNDARIES"] = str(boundaries)
            else:
                env["JUKWAA_HINT_SOCKETS"] = hints
            if name == "notify":
                env.pop("JUKWAA_KEY_FILE")
                env["JUKWAA_ALLOW_PRIVATE_TARGETS"] = "true"
            env.update((settings or {}).get(name, {}))
            self.services[name] = Service(name, env, port)
        for name in services:
            self.services[name].start(ready=False)
        atexit.register(self.stop)
        for name in services:
            self.services[name].wait_ready()

    def stop(self):
        for service in self.services.values():
            if service.process and service.process.poll() is None:
                service.kill()

    def new_key(self, name):
        path = self.run / f"{name}.key"
        run_cli("key", "new", "--out", path)
        return path

    def admin(self, *args, **kwargs):
        return run_cli("admin", *args, env=self.admin_env, **kwargs)

    def sql(self, statement, *args, role=None):
        """Runs one statement as the superuser (or a role) and returns its rows."""
        with contextlib.closing(self.cluster.connect(self.database, role)) as c, c.cursor() as cur:
            cur.execute(statement, args)
            return cur.fetchall() if cur.description else []

    def add_publisher(self, agency, *options, senders=("--any-sender",)):
        self.admin("agency", "add", agency, "--name", agency)
        path = self.new_key(f"pub-{agency}-{secrets.token_hex(2)}")
        self.admin("key", "add", "--file", f"{path}.pub", "--role", "publisher", "--agency", agency, *senders, *options)
        return path

    def add_desk(self, desk, agency="DESKS", allow=((),)):
        """allow: one tuple of options a row for `jukwaa admin allow add`; () rows allow everything up to AMBER."""
        self.admin("agency", "add", agency, "--name", agency)
        self.admin("desk", "add", desk, "--agency", agency, "--name", desk)
        for options in allow:
            self.admin("allow", "add", "--desk", desk, *options)
        # The key last: a service that knows it (wait_known) knows what it may see. What passes before is denied for good.
        path = self.new_key(f"desk-{desk}-{secrets.token_hex(2)}")
        self.admin("key", "add", "--file", f"{path}.pub", "--role", "desk", "--agency", agency, "--desk", desk)
        return path

    def env(self, key):
        """Environment for `jukwaa` acting with this key."""
        env = {"JUKWAA_KEY": str(key), "JUKWAA_SERVER_KEY": f"{self.server_key}.pub", "JUKWAA_PURPOSE": "response",
               "JUKWAA_HTTP": " ".join(f"http://127.0.0.1:{s.http_port}" for s in self.services.values())}
        env.update({f"JUKWAA_{name.upper()}": endpoint for name, endpoint in self.endpoints.items()})
        return env

    def cli(self, key, *args, **kwargs):
        return run_cli(*args, env=self.env(key), **kwargs)

    def cli_json(self, key, *args, **kwargs):
        """The JSON lines that `jukwaa --json …` printed, and its exit status."""
        done = self.cli(key, "--json", *args, check=False, **kwargs)
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")], done.returncode

    def peer(self, service, key, **kwargs):
        return Peer(self.endpoints[service], key, f"{self.server_key}.pub", **kwargs)

    def wait_known(self, key, service="intake", timeout=5):
        """Until the service's snapshot knows the key (a change is in force within 1 s)."""
        def check():
            peer = self.peer(service, key)
            try:
                return peer.hello(timeout=0.7) is not None
            finally:
                peer.close()
        wait_until(check, timeout, "key known")
        if service == "dispatch":
            # The key may be known before the rules added after it are: events would be passed over as denied.
            version = self.sql("SELECT version FROM registry.version")[0][0]
            wait_until(lambda: self.services[service].metric("jukwaa_dispatch_registry_version") >= version, timeout,
                       "registry in force")


def read_key(path):
    """Fields of a key file or its .pub, hex decoded."""
    fields = {}
    for line in pathlib.Path(path).read_text().splitlines():
        name, mark, value = line.partition("=")
        if mark and not line.startswith("#"):
            fields[name.strip()] = bytes.fromhex(value.strip().strip('"'))
    return fields


class Peer:
    """A client written from the .proto files: one CURVE DEALER, two frames a message."""

    def __init__(self, endpoint, key, server_key, curve=True):
        self.pb = protos()
        self.kinds = {v: k for k, v in self.pb.Kind.items()}
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.setsockopt(zmq.HANDSHAKE_IVL, 2000)
        if curve:
            mine, theirs = read_key(key), read_key(server_key)
            self.socket.curve_serverkey = theirs["curve-public"]
            self.socket.curve_publickey = mine["curve-public"]
            self.socket.curve_secretkey = mine["curve-secret"]
        self.socket.connect(endpoint)
        self.session = 0

    def close(self):
        self.socket.close()

    def send_raw(self, *frames):
        self.socket.send_multipart(frames)

    def send(self, kind, message):
        if "session" in message.DESCRIPTOR.fields_by_name and not message.session:
            message.session = self.session
        number = self.pb.Kind.Value(f"KIND_{kind}")
        self.send_raw(FRAME.pack(b"JK", 1, 0, number, 0), message.SerializeToString())

    def receive(self, timeout=5.0):
        """(kind, message) or None when nothing came."""
        if not self.socket.poll(max(0, int(timeout * 1000))):
            return None
        header, body = self.socket.recv_multipart()
        magic, version, flags, number, reserved = FRAME.unpack(header)
        assert (magic, version, flags, reserved) == (b"JK", 1, 0, 0), header
        kind = self.kinds[number][len("KIND_"):]
        message = getattr(self.pb, "".join(part.capitalize() for part in kind.split("_")))()
        message.ParseFromString(body)
        return kind, message

    def expect(self, *kinds, timeout=5.0):
        """The next message of one of these kinds; Pongs and Beats are passed over unless asked for."""
        end = time.monotonic() + timeout
        while True:
            got = self.receive(end - time.monotonic())
            if got is None:
                raise AssertionError(f"no {' or '.join(kinds)} within {timeout} s")
            if got[0] in kinds:
                return got[1]
            if got[0] not in ("PONG", "BEAT"):
                raise AssertionError(f"expected {' or '.join(kinds)}, got {got[0]}: {got[1]}")

    def hello(self, timeout=5.0, **fields):
        """Opens the session; the Welcome, or None when nobody answers."""
        try:
            self.socket.setsockopt(zmq.SNDTIMEO, int(timeout * 1000))
            self.send("HELLO", self.pb.Hello(client="test", **fields))
            welcome = self.expect("WELCOME", timeout=timeout)
        except (AssertionError, zmq.Again):
            return None
        self.session = welcome.session
        return welcome


def commitment(groups):
    """The commitment that a copy's groups add up to (feed.proto)."""
    text = b"jk-commitment-1"
    for group in groups:
        text += bytes([group.tag]) + (group.digest or hashlib.sha256(group.salt + group.content).digest())
    return hashlib.sha256(text).digest()


def chain_next(previous, deliver):
    """The chain hash of a delivered event after `previous` (b'' for seq 1)."""
    def number(value):
        return struct.pack(">q", value)
    fields = [b"jk1", previous, deliver.stream.encode(), number(deliver.seq), number(deliver.epoch),
              number(deliver.recorded_at_us), deliver.event_id, number(deliver.kind), deliver.incident_id,
              number(deliver.revision), number(deliver.tlp), number(deliver.category), deliver.commitment]
    return hashlib.sha256(b"".join(struct.pack(">I", len(f)) + f for f in fields)).digest()
