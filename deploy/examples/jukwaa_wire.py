"""The wire in Python: one CURVE DEALER, two frames a message (proto/jukwaa/v1/session.proto). Needs python3-zmq,
python3-protobuf and protoc; shared by publish.py and subscribe.py, to be copied and changed."""
import importlib
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import time

import zmq

HEADER = struct.Struct(">2sBBHH")


def load_messages():
    """The modules that protoc makes of the .proto files, as one namespace."""
    here = pathlib.Path(__file__).resolve().parent
    places = [os.environ.get("JUKWAA_PROTO"), here / "../../proto", here / "../proto", "/usr/share/jukwaa/proto"]
    proto = next(pathlib.Path(p) for p in places if p and (pathlib.Path(p) / "jukwaa/v1/session.proto").exists())
    made = tempfile.TemporaryDirectory()
    files = sorted(str(p.relative_to(proto)) for p in proto.glob("jukwaa/v1/*.proto"))
    subprocess.run(["protoc", f"-I{proto}", f"--python_out={made.name}", *files], check=True)
    sys.path.insert(0, made.name)
    space = {}
    for name in files:
        module = importlib.import_module(name[:-len(".proto")].replace("/", ".") + "_pb2")
        space.update({key: value for key, value in vars(module).items() if not key.startswith("_")})
    return type("Messages", (), space)


pb = load_messages()
KIND_NAMES = {number: name[len("KIND_"):] for name, number in pb.Kind.items()}


def read_key(path):
    """Fields of a key file or its .pub: name = hex."""
    fields = {}
    for line in pathlib.Path(path).read_text().splitlines():
        name, mark, value = line.partition("=")
        if mark and not line.startswith("#"):
            fields[name.strip()] = bytes.fromhex(value.strip())
    return fields


class Peer:
    """A session with one service. Only the server key makes its answers worth anything: it comes from the operator."""

    def __init__(self, endpoint, key_file, server_key):
        mine = read_key(key_file)
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.immediate = 1
        self.socket.setsockopt(zmq.HANDSHAKE_IVL, 2000)
        self.socket.curve_serverkey = read_key(server_key)["curve-public"]
        self.socket.curve_publickey, self.socket.curve_secretkey = mine["curve-public"], mine["curve-secret"]
        self.socket.connect(endpoint)
        self.session, self.window, self.interval, self.said = 0, 1, 5.0, 0.0

    def send(self, kind, message):
        if "session" in message.DESCRIPTOR.fields_by_name:
            message.session = self.session
        try:
            header = HEADER.pack(b"JK", 1, 0, pb.Kind.Value(f"KIND_{kind}"), 0)
            self.socket.send_multipart([header, message.SerializeToString()], zmq.DONTWAIT)
            self.said = time.monotonic()
        except zmq.Again:
            pass  # the link is down: whoever waits for an answer says it again

    def receive(self, timeout):
        """(kind, message), or (None, None) when nothing came in time. Keeps the session alive meanwhile."""
        end = time.monotonic() + timeout
        while True:
            if self.session and time.monotonic() - self.said > self.interval / 2:
                self.send("PING", pb.Ping())
            left = max(0.0, end - time.monotonic())
            if self.socket.poll(int(min(left, self.interval / 2) * 1000)):
                header, body = self.socket.recv_multipart()
                kind = KIND_NAMES[HEADER.unpack(header)[3]]
                if kind == "PONG":
                    continue
                message = getattr(pb, kind.title().replace("_", ""))()
                message.ParseFromString(body)
                return kind, message
            if left == 0:
                return None, None

    def hello(self, name, timeout=10):
        """Opens a session, also anew after BAD_SESSION. Ends the program when the service says no, or nothing."""
        self.session, end = 0, time.monotonic() + timeout
        while time.monotonic() < end:
            self.send("HELLO", pb.Hello(client=name))
            kind, message = self.receive(1)
            if kind == "WELCOME":
                self.session, self.window = message.session, message.window
                self.interval = message.ping_interval_ms / 1000
                return message
            if kind == "REFUSED":
                sys.exit(f"refused: {pb.Code.Name(message.code)} {message.reason}")
        sys.exit("no answer: is the endpoint right, is the server key right, does the exchange know our key?")
