"""The messages as a later release may have them: every message with added optional fields, made from the .proto files by text when
a test runs. And an exchange of that release in front of the present one: everything that passes gets the added fields."""
import importlib
import re
import subprocess
import sys
import threading

import zmq

from jukwaa_harness import FRAME, ROOT, Peer, protos, read_key, scratch

MARK = "of-a-later-release"
ADDED = """
  optional string added_text = 1901;
  optional fixed64 added_number = 1902;
  repeated AddedPart added_parts = 1903;
  optional double added_share = 18999;
"""


def next_protos():
    """Python modules of the later release, under jukwaa.next, as one namespace."""
    source, out = scratch() / "next-proto", scratch() / "next-python"
    if not out.exists():
        (source / "jukwaa" / "next").mkdir(parents=True)
        out.mkdir()
        for path in (ROOT / "proto" / "jukwaa" / "v1").glob("*.proto"):
            text = path.read_text().replace("jukwaa/v1/", "jukwaa/next/").replace("jukwaa.v1", "jukwaa.next")
            part = f"AddedPart{path.stem.capitalize()}"
            text, count = re.subn(r"(?m)^(\s*message \w+ \{)", lambda m: m.group(1) + ADDED.replace("AddedPart", part), text)
            assert count or not re.search(r"(?m)^message", text), path
            text += f"\nmessage {part} {{\n  string text = 1;\n  bytes data = 2;\n}}\n"
            (source / "jukwaa" / "next" / path.name).write_text(text)
        files = sorted(str(p.relative_to(source)) for p in source.rglob("*.proto"))
        subprocess.run(["protoc", f"-I{source}", f"--python_out={out}", *files], check=True)
        # The package jukwaa has its modules in two folders.
        protos()
        sys.path.insert(0, str(out))
        sys.modules["jukwaa"].__path__ = [*sys.modules["jukwaa"].__path__, str(out / "jukwaa")]

    class Namespace:
        pass

    space = Namespace()
    for name in ("session", "incident", "intake", "feed", "dispatch", "cases", "notify"):
        module = importlib.import_module(f"jukwaa.next.{name}_pb2")
        for item in dir(module):
            if not item.startswith("_"):
                setattr(space, item, getattr(module, item))
    return space


def add_fields(message):
    """Fills the added fields of the message and of all messages in it; how many messages that were."""
    if "added_text" not in message.DESCRIPTOR.fields_by_name:
        return 0
    count = 1
    for field, value in list(message.ListFields()):
        if field.message_type is not None and field.name != "added_parts":
            for part in value if field.label == field.LABEL_REPEATED else [value]:
                count += add_fields(part)
    message.added_text = MARK
    message.added_number = 0x1122334455667788
    message.added_share = 0.5
    del message.added_parts[:]
    for _ in range(2):
        message.added_parts.add(text=MARK, data=MARK.encode())
    return count


def is_marked(data):
    return MARK.encode() in data


class NextPeer(Peer):
    """A client of the later release."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.pb, self.raw = next_protos(), []

    def send(self, kind, message):
        if "session" in message.DESCRIPTOR.fields_by_name and not message.session:
            message.session = self.session
        add_fields(message)
        super().send(kind, message)

    def receive(self, timeout=5.0):
        if not self.socket.poll(max(0, int(timeout * 1000))):
            return None
        header, body = self.socket.recv_multipart()
        self.raw.append(body)
        kind = self.kinds[FRAME.unpack(header)[3]][len("KIND_"):]
        message = getattr(self.pb, "".join(part.capitalize() for part in kind.split("_")))()
        message.ParseFromString(body)
        return kind, message


class NextExchange(threading.Thread):
    """Stands between one client and a present service, and speaks as the later release to both: adds its fields to whatever
    passes, either way, the payload of reports included. Kinds seen, and whether anything marked came back from the service."""

    def __init__(self, stack, service, client_key):
        super().__init__(daemon=True)
        self.pb = next_protos()
        self.kinds = {v: k[len("KIND_"):] for k, v in self.pb.Kind.items()}
        self.up, self.down, self.leaked, self.error, self.stopping = set(), set(), [], None, False
        self.front = zmq.Context.instance().socket(zmq.ROUTER)
        self.front.linger = 0
        key = read_key(stack.server_key)
        self.front.curve_server, self.front.curve_secretkey = True, key["curve-secret"]
        self.endpoint = f"tcp://127.0.0.1:{self.front.bind_to_random_port('tcp://127.0.0.1')}"
        self.peers, self.new_peer = {}, lambda: Peer(stack.endpoints[service], client_key, f"{stack.server_key}.pub")
        self.start()

    def run(self):
        try:
            while not self.stopping:
                self.turn()
        except Exception as e:  # the test looks at it
            self.error = e
        self.front.close()
        for peer in self.peers.values():
            peer.close()

    def turn(self):
        poller = zmq.Poller()
        poller.register(self.front, zmq.POLLIN)
        for peer in self.peers.values():
            poller.register(peer.socket, zmq.POLLIN)
        ready = dict(poller.poll(20))
        if self.front in ready:
            route, header, body = self.front.recv_multipart()
            if route not in self.peers:
                self.peers[route] = self.new_peer()
            self.peers[route].send_raw(header, self.changed(header, body, self.up))
        for route, peer in self.peers.items():
            if peer.socket in ready:
                header, body = peer.socket.recv_multipart()
                if is_marked(body):
                    self.leaked.append(self.kinds[FRAME.unpack(header)[3]])
                self.front.send_multipart([route, header, self.changed(header, body, self.down)])

    def changed(self, header, body, kinds):
        kind = self.kinds[FRAME.unpack(header)[3]]
        message = getattr(self.pb, "".join(part.capitalize() for part in kind.split("_")))()
        message.ParseFromString(body)
        if kind == "PUBLISH" and message.format == self.pb.FORMAT_PROTOBUF:
            incident = self.pb.Incident.FromString(message.payload)
            add_fields(incident)
            message.payload = incident.SerializeToString()
        add_fields(message)
        kinds.add(kind)
        return message.SerializeToString()

    def close(self):
        self.stopping = True
        self.join()
        if self.error:
            raise self.error
