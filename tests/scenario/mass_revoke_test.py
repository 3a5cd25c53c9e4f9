"""Whoever loses a right loses it within a second, in every service and on live sessions, while 1,000 events a second go through the
exchange. Each way to lose one is a row of WAYS: a desk that reads a county and asks for its cases, and what is done to it. All of
them happen in one run; with JUKWAA_TEST_LONG=1 several times. Judged by what the desk got: when it came, when it was recorded, and
under which version of the registry dispatch wrote it down."""
import collections
import json
import os
import subprocess
import sys
import threading
import time
import types
import unittest

from jukwaa_harness import Peer, Stack, protos, wait_until
from load import Load

RATE = 1000
IN_FORCE_S = 1.0
ROUNDS = 6 if os.environ.get("JUKWAA_TEST_LONG") else 1
COUNTIES = ("001", "002", "003", "004", "005")
pb = protos()
Delivery = collections.namedtuple("Delivery", "at stream seq recorded_at")
Change = collections.namedtuple("Change", "at version by_clock")  # version: None where the clock alone does it


def rfc3339(at):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


class Feeder:
    """RATE reports a second, from a process of its own, so that those who read here have this one to themselves."""

    def __init__(self, stack, key):
        self.process = subprocess.Popen([sys.executable, __file__, "--feed", stack.endpoints["intake"], key, f"{stack.server_key}.pub"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.stored = 0
        self.counter = threading.Thread(target=self.count, daemon=True)
        self.counter.start()

    def count(self):
        for line in self.process.stdout:
            self.stored = int(line)

    def end(self):
        self.process.stdin.close()
        self.counter.join(30)
        self.process.stdout.close()
        return self.process.wait(30)


def feed(endpoint, key, server_key):
    """The feeder's process: until its standard input ends."""
    stack = types.SimpleNamespace(peer=lambda service, key: Peer(endpoint, key, server_key))
    load = Load(stack, key, f"m{os.getpid()}", rate=RATE, window=256)
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    while not over.wait(0.1):
        print(sum(verdict == "STORED" for verdict, _, _ in list(load.receipts.values())), flush=True)
    load.end()


class Talker(threading.Thread):
    """A peer that says HELLO again whenever it is let go, and notes when it was let in and what it was told at the end."""
    service = None

    def __init__(self, stack, key):
        super().__init__(daemon=True)
        self.stack, self.key = stack, key
        self.welcomed, self.endings, self.error, self.over = [], [], None, False
        self.start()

    def run(self):
        try:
            while not self.over:
                peer = self.stack.peer(self.service, self.key)
                try:
                    if peer.hello(timeout=0.3):
                        self.welcomed.append(time.time())
                        self.talk(peer)
                finally:
                    peer.close()
        except Exception as error:  # the test looks at it
            self.error = error

    def is_end(self, kind, message):
        if kind in ("BYE", "BAD_SESSION"):
            self.endings.append((time.time(), pb.Code.Name(message.code) if kind == "BYE" else kind))
            return True
        assert kind != "REFUSED" or message.code == pb.CODE_UNAVAILABLE, message
        return False

    def end(self):
        self.over = True
        self.join(10)
        if self.error:
            raise self.error


class Reader(Talker):
    service = "dispatch"

    def __init__(self, stack, key, counties):
        self.counties, self.got = counties, []
        super().__init__(stack, key)

    def talk(self, peer):
        peer.send("SUBSCRIBE", pb.Subscribe(request=1, counties=self.counties, window=128, start_at=pb.START_AT_NOW))
        pinged, unacked = time.monotonic(), 0
        while not self.over:
            if time.monotonic() - pinged > 0.5:
                peer.send("PING", pb.Ping())
                pinged = time.monotonic()
            got = peer.receive(0.1)
            if got and self.is_end(*got):
                return
            if not got or got[0] != "DELIVER":
                continue
            message = got[1]
            self.got.append(Delivery(time.time(), message.stream, message.seq, message.recorded_at_us / 1e6))
            unacked += 1
            if unacked == 32:
                peer.send("ACK", pb.Ack(delivery_no=message.delivery_no))
                unacked = 0


class Asker(Talker):
    """Asks for the newest cases of a county, ten times a second."""
    service = "cases"

    def __init__(self, stack, key, counties):
        self.counties, self.shown = counties, []
        super().__init__(stack, key)

    def talk(self, peer):
        request = 0
        while not self.over:
            request += 1
            peer.send("CASE_LIST", pb.CaseList(request=request, counties=self.counties, limit=2, purpose=pb.CASE_PURPOSE_AUDIT))
            got = peer.receive(2)
            if got is None or self.is_end(*got):
                return
            if got[0] == "CASE_LISTED" and got[1].cases:
                self.shown.append(time.time())
            threading.Event().wait(0.1)


class Way:
    """One way to lose a right, done to a desk of its own in an agency of its own. loses_key: its sessions end, too."""
    loses_key = True

    def __init__(self, stack, number):
        self.stack, self.code = stack, f"W{number}"
        self.counties = [COUNTIES[number % 5]]

    def give(self):
        """Makes the desk as it is before."""
        self.key = self.stack.add_desk(self.code, agency=f"A-{self.code}")

    def take(self):
        """Takes the right away; the Change."""
        raise NotImplementedError

    def change(self, statement, *args):
        """One statement of the registry, as `jukwaa admin` writes it, and the version that it makes."""
        at = time.time()
        version = self.stack.sql(f"{statement}; SELECT version FROM registry.version", *args)[0][0]
        return Change(at, version, False)

    def begin(self):
        self.reader = Reader(self.stack, self.key, self.counties)
        self.asker = Asker(self.stack, self.key, self.counties)

    def is_served(self):
        return len(self.reader.got) > 50 and self.asker.shown

    def holder(self):
        return self.stack.sql("SELECT 'D' || desk_id FROM registry.desk WHERE code = %s", self.code)[0][0]


class KeyRevoked(Way):
    def take(self):
        return self.change("UPDATE registry.key SET revoked_at = now() WHERE desk_id = (SELECT desk_id FROM registry.desk"
                           " WHERE code = %s)", self.code)


class DeskRevoked(Way):
    def take(self):
        return self.change("UPDATE registry.desk SET revoked_at = now() WHERE code = %s", self.code)


class AgencyRevoked(Way):
    def take(self):
        return self.change("UPDATE registry.agency SET revoked_at = now() WHERE code = %s", f"A-{self.code}")


class KeyExpired(Way):
    def take(self):
        at = time.time() + IN_FORCE_S + 0.2  # known everywhere by then
        self.stack.sql("UPDATE registry.key SET expires_at = to_timestamp(%s) WHERE desk_id = (SELECT desk_id FROM registry.desk"
                       " WHERE code = %s)", at, self.code)
        return Change(at, None, True)


class KeyRotatedAway(Way):
    """The old key of a rotation, when its overlap has ended; the new one has nothing to do with it."""

    def take(self):
        new = self.stack.new_key(f"new-{self.code}")
        done = self.stack.admin("--json", "key", "rotate", f"{self.key}.pub", "--file", f"{new}.pub", "--overlap", "0")
        at = self.stack.sql("SELECT extract(epoch FROM expires_at) FROM registry.key WHERE desk_id = (SELECT desk_id FROM"
                            " registry.desk WHERE code = %s) AND replaces IS NULL", self.code)[0][0]
        assert json.loads(done.stdout)["done"] == "rotated", done.stdout
        return Change(float(at), None, False)


class RowRevoked(Way):
    loses_key = False

    def take(self):
        return self.change("UPDATE registry.allow SET revoked_at = now() WHERE desk_id = (SELECT desk_id FROM registry.desk"
                           " WHERE code = %s)", self.code)


class RowEnded(Way):
    loses_key = False

    def take(self):
        at = time.time() + IN_FORCE_S + 0.2  # known everywhere by then
        self.stack.sql("UPDATE registry.allow SET valid_until = to_timestamp(%s) WHERE desk_id = (SELECT desk_id FROM registry.desk"
                       " WHERE code = %s)", at, self.code)
        return Change(at, None, True)


class Agreed(Way):
    """What the desk has, it has under an agreement with the publisher's agency, and nothing else."""
    loses_key = False

    def give(self):
        self.key = self.stack.add_desk(self.code, agency=f"A-{self.code}", allow=())
        self.signer = self.signing(f"A-{self.code}")
        self.agree(f"G-{self.code}", f"A-{self.code}", self.signer)

    def signing(self, agency):
        """A key that may sign for the agency."""
        path = self.stack.new_key(f"sign-{agency}")
        self.stack.admin("agency", "add", agency, "--name", agency)
        self.stack.admin("key", "add", "--file", f"{path}.pub", "--role", "publisher", "--agency", agency, "--may-sign")
        return path

    def propose(self, what, document, proposer, accepters):
        """A version in force: proposed by one, accepted by the others."""
        path = self.stack.run / "document.json"
        path.write_text(json.dumps({"purpose": "tests", "legal_basis": "none", "start": "2020-01-01T00:00:00Z", "counties": ["*"],
                                    **document}))
        self.stack.admin(what, "propose", path, "--key", proposer)
        code = document.get("agreement") or document["task_force"]
        for accepter in accepters:
            self.stack.admin(what, "accept", code, "--key", accepter)

    def agree(self, code, recipient, accepter, version=1, **fields):
        self.propose("agreement", {"agreement": code, "version": version, "kind": "MUTUAL_CONSENT", "provider": "KPS",
                                   "recipient": recipient, "all_categories": True, "tlp_ceiling": "AMBER", "profile": "FULL@1",
                                   "actions": ["VIEW", "CASE"], **fields}, self.provider, [accepter])

    def act(self, *args):
        """One act of `jukwaa admin`; when it was written, and the version that it makes."""
        self.stack.admin(*args)
        at = self.stack.sql("SELECT extract(epoch FROM max(added_at)) FROM registry.act")[0][0]
        return Change(float(at), self.stack.sql("SELECT version FROM registry.version")[0][0], False)

    def end_at(self):
        """Far enough off for what has to be signed until then."""
        return time.time() + 3


class Suspended(Agreed):
    def take(self):
        return self.act("agreement", "suspend", f"G-{self.code}", "--key", self.provider)


class Withdrawn(Agreed):
    """By the one that receives."""

    def take(self):
        return self.act("agreement", "withdraw", f"G-{self.code}", "--key", self.signer)


class AgreementEnded(Agreed):
    def take(self):
        at = int(self.end_at())
        self.agree(f"G-{self.code}", f"A-{self.code}", self.signer, version=2, end=rfc3339(at))
        return Change(at, None, True)


class InTaskForce(Agreed):
    """The desk's agency is a member of a task force that another leads, and the agreement is with the task force."""

    def give(self):
        self.key = self.stack.add_desk(self.code, agency=f"A-{self.code}", allow=())
        self.signer, self.lead = self.signing(f"A-{self.code}"), self.signing(f"L-{self.code}")
        self.set_up_force(1, time.time() + 3600)
        self.agree(f"G-{self.code}", f"taskforce:F-{self.code}", self.lead)

    def set_up_force(self, version, end):
        self.propose("taskforce", {"task_force": f"F-{self.code}", "version": version, "lead": f"L-{self.code}",
                                   "members": sorted([f"L-{self.code}", f"A-{self.code}"]), "end": rfc3339(int(end))},
                     self.lead, [self.signer])


class TaskForceEnded(InTaskForce):
    def take(self):
        at = int(self.end_at())
        self.set_up_force(2, at)
        return Change(at, None, True)


class Left(InTaskForce):
    def take(self):
        return self.act("taskforce", "leave", f"F-{self.code}", "--key", self.signer)


WAYS = (AgreementEnded, TaskForceEnded, Suspended, Withdrawn, Left, KeyRevoked, DeskRevoked, AgencyRevoked, KeyExpired, KeyRotatedAway, RowRevoked, RowEnded)


class RevokeTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = Stack(services=("intake", "dispatch", "cases"))
        cls.publisher = cls.stack.add_publisher("KPS")
        cls.other = cls.stack.add_publisher("NTSA")
        cls.control = cls.stack.add_desk("CONTROL")
        Agreed.provider = Agreed(cls.stack, 0).signing("KPS")
        cls.worst = collections.defaultdict(float)

    @classmethod
    def tearDownClass(cls):
        for what, seconds in sorted(cls.worst.items()):
            print(f"    {what}: {seconds * 1000:.0f} ms at most", flush=True)

    def note(self, what, seconds):
        self.worst[what] = max(self.worst[what], seconds)
        self.assertLess(seconds, IN_FORCE_S, what)

    def known(self, key):
        for service in ("dispatch", "cases"):
            self.stack.wait_known(key, service)

    def test_every_way(self):
        number = 0
        for _ in range(ROUNDS):
            ways = []
            for kind in WAYS:
                ways.append(kind(self.stack, number))
                ways[-1].give()
                number += 1
            for key in [self.control] + [way.key for way in ways]:
                self.known(key)
            self.round(ways)

    def round(self, ways):
        feeder = Feeder(self.stack, self.publisher)
        control = Reader(self.stack, self.control, COUNTIES)
        loser = Load(self.stack, self.other, f"n{time.time():.0f}", rate=100)
        for way in ways:
            way.begin()
        wait_until(lambda: all(way.is_served() for way in ways), 20, "every desk is served: "
                   + str([(type(w).__name__, len(w.reader.got), len(w.asker.shown), w.reader.error) for w in ways]))
        before, began = feeder.stored, time.monotonic()
        changes = [way.take() for way in ways]
        stopped = self.revoke_publisher(loser)
        over = max(change.at for change in changes) + IN_FORCE_S + 0.5
        wait_until(lambda: time.time() > over and control.got[-1].recorded_at > over, 20, "events recorded after all of it")
        rate = (feeder.stored - before) / (time.monotonic() - began)
        print(f"    {rate:.0f} reports a second were stored meanwhile, {len(control.got)} events given to the desk that stays")
        for way, change in zip(ways, changes):
            with self.subTest(type(way).__name__):
                self.judge(way, change)
        self.judge_publisher(loser, stopped)
        for talker in [control] + [way.reader for way in ways] + [way.asker for way in ways]:
            talker.end()
        self.assertEqual(feeder.end(), 0)
        self.assertGreater(rate, RATE / 2)
        gaps = [b.at - a.at for a, b in zip(control.got, control.got[1:])]
        self.assertLess(max(gaps), IN_FORCE_S, "the desk that stays was kept waiting")
        self.assertEqual(control.endings, [])

    def judge(self, way, change):
        name = type(way).__name__
        got, late = way.reader.got, [d for d in way.reader.got if d.at > change.at]
        self.assertGreater(len(got) - len(late), 50)
        self.note(f"{name}: last event", max([d.at - change.at for d in late], default=0))
        self.note(f"{name}: last case shown", max([at - change.at for at in way.asker.shown], default=0))
        if change.by_clock:  # what is recorded after the end is looked at after the end
            self.assertEqual([d for d in late if d.recorded_at >= change.at], [])
            self.assertGreater(max(d.at for d in got), change.at - IN_FORCE_S, f"{name} was served until then")
        if change.version is not None:
            rows = self.stack.sql("SELECT stream, from_seq, to_seq FROM dispatch.disclosure WHERE holder = %s AND policy_version >= %s",
                                  way.holder(), change.version)
            self.assertEqual([d for d in got for row in rows if d.stream == row[0] and row[1] <= d.seq <= row[2]], [])
        for talker in (way.reader, way.asker):
            self.assertIsNone(talker.error)
            if way.loses_key:
                self.assertEqual([code for _, code in talker.endings], ["CODE_REVOKED"], f"{name} {talker.service}")
                self.note(f"{name}: {talker.service} ends the session", talker.endings[0][0] - change.at)
                self.assertEqual(len(talker.welcomed), 1, "let in again")
            else:
                self.assertEqual(talker.endings, [])

    def revoke_publisher(self, loser):
        """The other direction: reports of a key that is revoked."""
        loser.wait_receipts(20)
        at = time.time()
        self.stack.sql("UPDATE registry.key SET revoked_at = now() WHERE agency_id = (SELECT agency_id FROM registry.agency"
                       " WHERE code = 'NTSA')")
        return at

    def judge_publisher(self, loser, stopped):
        loser.stopping = True
        loser.waiting.clear()
        loser.outstanding.clear()
        loser.join(5)
        self.assertIsNone(loser.error)
        last = self.stack.sql("SELECT extract(epoch FROM max(received_at)) FROM intake.report WHERE agency_id = (SELECT agency_id"
                              " FROM registry.agency WHERE code = 'NTSA')")[0][0]
        self.note("publisher's key revoked: last report taken", float(last) - stopped)
        self.stack.sql("UPDATE registry.key SET revoked_at = NULL WHERE agency_id = (SELECT agency_id FROM registry.agency"
                       " WHERE code = 'NTSA')")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--feed"]:
        feed(*sys.argv[2:])
    else:
        unittest.main()
