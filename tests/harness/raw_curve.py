"""raw_curve.py: ZMTP 3.1 with CURVE (RFC 26) frame by frame, on a plain TCP socket: for what a decent library would never send.
Encryption is libsodium's."""
import ctypes
import ctypes.util
import os
import struct

from hostile_peers import connect, greeting

SODIUM = ctypes.CDLL(ctypes.util.find_library("sodium"))
MAC, MORE, COMMAND = 16, 1, 2


def box(nonce, text, public, secret):
    out = ctypes.create_string_buffer(len(text) + MAC)
    assert SODIUM.crypto_box_easy(out, text, ctypes.c_ulonglong(len(text)), nonce, public, secret) == 0
    return out.raw


def unbox(nonce, text, public, secret):
    out = ctypes.create_string_buffer(max(1, len(text) - MAC))
    if SODIUM.crypto_box_open_easy(out, text, ctypes.c_ulonglong(len(text)), nonce, public, secret) != 0:
        raise ConnectionError("the server's box does not open")
    return out.raw[:len(text) - MAC]


def property_of(name, value):
    return bytes([len(name)]) + name + struct.pack(">I", len(value)) + value


class RawCurve:
    """One authenticated connection. properties: of the handshake, beside Socket-Type."""

    def __init__(self, port, key, server_key, properties=(), identity=b""):
        """key, server_key: as read_key gives them."""
        self.raw = connect(port, greeting())
        self.read(64)
        self.nonce = 0
        self.server, self.mine = server_key["curve-public"], key
        public, secret = ctypes.create_string_buffer(32), ctypes.create_string_buffer(32)
        SODIUM.crypto_box_keypair(public, secret)
        self.public, self.secret = public.raw, secret.raw
        self.shake(b"".join([property_of(b"Socket-Type", b"DEALER"), property_of(b"Identity", identity),
                             *(property_of(n, v) for n, v in properties)]))

    def read(self, count):
        text = b""
        while len(text) < count:
            piece = self.raw.recv(count - len(text))
            if not piece:
                raise ConnectionError("closed by the service")
            text += piece
        return text

    def read_frame(self):
        flags, size = self.read(2)
        if flags & 2:
            size = struct.unpack(">Q", bytes([size]) + self.read(7))[0]
        return self.read(size)

    def send_frame(self, text, flags):
        head = struct.pack(">BB", flags, len(text)) if len(text) < 256 else struct.pack(">BQ", flags | 2, len(text))
        self.raw.sendall(head + text)

    def count(self):
        self.nonce += 1
        return struct.pack(">Q", self.nonce)

    def shake(self, metadata):
        count = self.count()
        self.send_frame(b"\x05HELLO\x01\x00" + bytes(72) + self.public + count +
                        box(b"CurveZMQHELLO---" + count, bytes(64), self.server, self.secret), 4)
        welcome = self.read_frame()
        opened = unbox(b"WELCOME-" + welcome[8:24], welcome[24:], self.server, self.secret)
        self.peer, cookie = opened[:32], opened[32:]
        count, long = self.count(), os.urandom(16)
        vouch = box(b"VOUCH---" + long, self.public + self.server, self.peer, self.mine["curve-secret"])
        inner = self.mine["curve-public"] + long + vouch + metadata
        self.send_frame(b"\x08INITIATE" + cookie + count + box(b"CurveZMQINITIATE" + count, inner, self.peer, self.secret), 4)
        if not self.read_frame().startswith(b"\x05READY"):
            raise ConnectionError("not let in")

    def send(self, text, flags=0):
        """One encrypted frame; flags: MORE, COMMAND."""
        count = self.count()
        self.send_frame(b"\x07MESSAGE" + count + box(b"CurveZMQMESSAGEC" + count, bytes([flags]) + text, self.peer, self.secret), 0)

    def receive(self):
        """One decrypted frame: (flags, text)."""
        frame = self.read_frame()
        text = unbox(b"CurveZMQMESSAGES" + frame[8:16], frame[16:], self.peer, self.secret)
        return text[0], text[1:]

    def close(self):
        self.raw.close()
