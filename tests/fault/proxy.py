"""The suite's own proxy for TCP and Unix sockets: it delays, cuts, drops one direction, truncates and duplicates. One thread;
every connection is a pair of sockets with a queue for each direction."""
import heapq
import os
import selectors
import socket
import threading
import time

UP, DOWN = "up", "down"  # to the server, to the client
SYNC = b"S\0\0\0\4"


def open_socket(address):
    """address: (host, port), or a path."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    s = socket.socket(family, socket.SOCK_STREAM)
    if family == socket.AF_INET:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return s


class Connection:
    def __init__(self, client, server):
        self.client, self.server = client, server
        self.queue = {UP: bytearray(), DOWN: bytearray()}
        self.seen = {UP: 0, DOWN: 0}
        self.state = {}  # a tap's own notes

    def ends(self, way):
        return (self.client, self.server) if way == UP else (self.server, self.client)


class Proxy:
    """tap(connection, way, data): what to pass on of it (bytes), or None to cut the connection. It runs in the proxy's thread.

    delay_s: each piece is held back so long. deaf: ways whose bytes are read and thrown away. truncate: a number of bytes after
    which the next connection is cut, per way. twice: the next piece on that way is passed on two times."""

    def __init__(self, listen, target, tap=None):
        self.target, self.tap = target, tap
        self.delay_s, self.deaf, self.refuse = 0.0, set(), False
        self.truncate_after, self.twice = {}, set()
        self.cuts = self.thrown_bytes = self.truncated = self.doubled = self.accepted = 0
        self.connections, self.later, self.order = set(), [], 0
        self.listener = open_socket(listen)
        self.listener.bind(listen)
        self.listener.listen(64)
        if isinstance(listen, str):
            os.chmod(listen, 0o777)
        self.address = self.listener.getsockname()
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.lock, self.halt = threading.RLock(), False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def close(self):
        self.halt = True
        self.thread.join()
        with self.lock:
            for connection in list(self.connections):
                self.drop(connection)
            self.listener.close()
            self.selector.close()

    def cut(self, refuse=False):
        """Ends every connection now; refuse: takes no new ones until told otherwise. How many were cut."""
        with self.lock:
            self.refuse = refuse
            count = len(self.connections)
            for connection in list(self.connections):
                self.drop(connection)
            self.cuts += count
            return count

    # ---- the thread

    def run(self):
        while not self.halt:
            events = self.selector.select(0.005 if self.later else 0.05)
            with self.lock:
                for key, mask in events:
                    self.serve(key, mask)
                self.release()

    def serve(self, key, mask):
        if key.fileobj is self.listener:
            self.accept()
            return
        connection = key.data
        if connection not in self.connections:
            return
        way = UP if key.fileobj is connection.client else DOWN
        if mask & selectors.EVENT_WRITE:
            self.flush(connection, DOWN if way == UP else UP)
        if connection in self.connections and mask & selectors.EVENT_READ:
            self.read(connection, way)

    def accept(self):
        client, _ = self.listener.accept()
        if self.refuse:
            client.close()
            return
        server = open_socket(self.target)
        try:
            server.connect(self.target)
        except OSError:
            client.close()
            server.close()
            return
        self.accepted += 1
        connection = Connection(client, server)
        self.connections.add(connection)
        for s in (client, server):
            s.setblocking(False)
            self.selector.register(s, selectors.EVENT_READ, connection)

    def read(self, connection, way):
        source, _ = connection.ends(way)
        try:
            data = source.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.drop(connection)
            return
        connection.seen[way] += len(data)
        if self.tap:
            data = self.tap(connection, way, data)
            if data is None:
                self.cuts += 1
                self.drop(connection)
                return
        if way in self.deaf:
            self.thrown_bytes += len(data)
            return
        left = self.truncate_after.get(way)
        if left is not None and connection.seen[way] >= left:
            del self.truncate_after[way]
            self.truncated += 1
            self.pass_on(connection, way, data[:len(data) // 2])
            self.flush(connection, way)
            self.drop(connection)
            return
        if way in self.twice:
            self.twice.discard(way)
            self.doubled += 1
            data = data + data
        if self.delay_s:
            self.order += 1
            heapq.heappush(self.later, (time.monotonic() + self.delay_s, self.order, connection, way, data))
        else:
            self.pass_on(connection, way, data)

    def release(self):
        while self.later and self.later[0][0] <= time.monotonic():
            _, _, connection, way, data = heapq.heappop(self.later)
            if connection in self.connections:
                self.pass_on(connection, way, data)

    def pass_on(self, connection, way, data):
        connection.queue[way] += data
        self.flush(connection, way)

    def flush(self, connection, way):
        _, sink = connection.ends(way)
        queue = connection.queue[way]
        try:
            while queue:
                del queue[:sink.send(queue)]
        except BlockingIOError:
            pass
        except OSError:
            self.drop(connection)
            return
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if queue else 0)
        self.selector.modify(sink, wanted, connection)

    def drop(self, connection):
        if connection not in self.connections:
            return
        self.connections.discard(connection)
        for s in (connection.client, connection.server):
            self.selector.unregister(s)
            s.close()


class Commits:
    """A tap that understands PostgreSQL's messages as far as needed: it throws away the answers to the next `count` jobs whose
    last statement has this name, and cuts the connection once the server has answered (so it has committed)."""

    def __init__(self, statement):
        self.statement, self.count, self.swallowed = statement.encode() + b"\0", 0, 0

    def __call__(self, connection, way, data):
        state = connection.state
        if way == UP:
            window = state.get("tail", b"") + data
            state["named"] = state.get("named", False) or self.statement in window
            state["tail"] = window[-len(self.statement):]
            if data.endswith(SYNC):  # a job waits for its answer before the next one, so its Sync ends what was sent
                if self.count > 0 and state["named"]:
                    state["mute"] = True
                    self.count -= 1
                state["named"] = False
            return data
        if not state.get("mute"):
            return data
        state["answer"] = (state.get("answer", b"") + data)[-6:]
        if state["answer"].startswith(b"Z\0\0\0\5"):  # ReadyForQuery ends it: the transaction is over
            self.swallowed += 1
            return None
        return b""
