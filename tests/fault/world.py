"""One exchange under load, to be broken: a database, services that know crash points, publishers, desks of different rights, and
a webhook receiver. A fault is injected at a seeded moment between 20 % and 80 % of the receipts, and only counts when reports
were outstanding at that moment."""
import os
import random
import secrets
import signal
import time

from checker import Checker
from clients import Desk, Publisher, WebhookReceiver, make_reports
from jukwaa_harness import Cluster, Service, Stack, free_port, wait_until
from proxy import Proxy

LONG = bool(os.environ.get("JUKWAA_TEST_LONG"))
ALL = ("intake", "dispatch", "cases", "notify")
_cluster = None


class NothingOutstanding(AssertionError):
    """The fault came when there was nothing to break: the test shows nothing."""


def shared_cluster():
    """One PostgreSQL for all faults that leave it alone."""
    global _cluster
    if _cluster is None:
        _cluster = Cluster()
    return _cluster


def seed_of(text=None):
    """The seed asked for, or a new one."""
    return int(text or os.environ.get("JUKWAA_FAULT_SEED") or secrets.randbelow(1 << 31))


class Load:
    """Publishers at work."""

    def __init__(self, publishers):
        self.publishers = publishers
        self.total = sum(len(p.reports) for p in publishers)
        for publisher in publishers:
            publisher.start()

    def receipts(self):
        return sum(len(p.final) for p in self.publishers)

    def outstanding(self):
        return sum(p.outstanding() for p in self.publishers)

    def is_done(self):
        for publisher in self.publishers:
            if publisher.error:
                raise publisher.error
        return all(len(p.final) == len(p.reports) for p in self.publishers)

    def wait_receipts(self, count, timeout=60):
        wait_until(lambda: self.is_done() or self.receipts() >= count, timeout, f"{count} receipts")

    def verdicts(self):
        return {r.verdict for p in self.publishers for r in p.final.values()}

    def wait(self, timeout=90):
        wait_until(self.is_done, timeout, f"{self.total} receipts")

    def halt(self):
        for publisher in self.publishers:
            publisher.halt = True
        for publisher in self.publishers:
            publisher.join()


class World:
    """services: those to run. cluster: a PostgreSQL of its own, because it is to be broken. proxied: services whose connection
    to PostgreSQL leads through a proxy. intakes: how many; publishers are spread over them. Use as a context manager."""

    def __init__(self, seed, services=ALL, cluster=None, service_settings=None, intakes=1, desks=True, proxied=()):
        self.seed, self.random = seed, random.Random(seed)
        self.injected, self.loads, self.notes = 0, 0, []
        self.cluster, self.own = cluster or shared_cluster(), cluster is not None
        self.stack = Stack(services=(), cluster=self.cluster, settings=service_settings)
        self.armed = self.stack.run / "armed"
        for service in self.stack.services.values():
            service.env["JUKWAA_CRASH_ARMED"] = str(self.armed)
        self.proxies = {name: self.put_before_database(name) for name in proxied}
        self.intakes = ["intake"]
        for n in range(2, intakes + 1):
            self.add_intake(f"intake{n}")
        self.running = [n for n in self.stack.services if n in services or (n in self.intakes and "intake" in services)]
        for name in self.running:
            self.stack.services[name].start(ready=False)
        self.publishers, self.desks, self.webhooks, self.rule = {}, [], None, None
        self.agencies = {agency: self.stack.add_publisher(agency) for agency in ("KPS", "KRCS")}
        if desks and "dispatch" in services:
            self.add_desks()
        for name in self.running:
            self.stack.services[name].wait_ready()
        self.wait_known(services)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for publishers in self.publishers.values():
            for publisher in publishers:
                publisher.halt = True
        for desk in self.desks:
            desk.halt = True
        for desk in self.desks:
            desk.join()
        for service in self.stack.services.values():
            if service.process and service.process.poll() is None:
                service.process.send_signal(signal.SIGCONT)
        self.stack.stop()
        if self.webhooks:
            self.webhooks.close()
        for proxy in self.proxies.values():
            proxy.close()
        if self.own:
            self.cluster.stop()

    # ---- making it

    def put_before_database(self, name):
        """A proxy on a socket of its own between one service and PostgreSQL."""
        folder = self.stack.run / f"pg-{name}"
        folder.mkdir()
        env = self.stack.services[name].env
        env["JUKWAA_DATABASE"] = env["JUKWAA_DATABASE"].replace(f"host={self.cluster.folder}", f"host={folder}")
        return Proxy(str(folder / ".s.PGSQL.5432"), str(self.cluster.folder / ".s.PGSQL.5432"))

    def put_before_service(self, name):
        """A proxy on a port of its own; clients made from now on go through it."""
        host, port = self.stack.endpoints[name].removeprefix("tcp://").split(":")
        proxy = self.proxies[f"to {name}"] = Proxy(("127.0.0.1", 0), (host, int(port)))
        self.stack.endpoints[name] = f"tcp://127.0.0.1:{proxy.address[1]}"
        return proxy

    def add_service(self, kind, name):
        """A second process of a kind, on the same database, not started yet."""
        port, http = free_port(), free_port()
        env = {**self.stack.services[kind].env, "JUKWAA_HTTP_LISTEN": f"127.0.0.1:{http}"}
        if kind in self.stack.endpoints:
            env["JUKWAA_LISTEN"] = self.stack.endpoints[name] = f"tcp://127.0.0.1:{port}"
        service = self.stack.services[name] = Service(kind, env, http)
        return service

    def add_intake(self, name):
        hint = str(self.stack.run / f"{name}.hint")
        self.add_service("intake", name).env["JUKWAA_HINT_SOCKET"] = hint
        self.intakes.append(name)
        for other in self.stack.services.values():
            if "JUKWAA_HINT_SOCKETS" in other.env:
                other.env["JUKWAA_HINT_SOCKETS"] += f",{hint}"

    def add_desks(self):
        """ALL sees every county; ONE only 001, under a durable cursor; NONE has no rule at all."""
        self.add_desk("ALL")
        self.add_desk("ONE", counties=("001",), cursor="main")
        self.add_desk("NONE", counties=(), allow=())

    def add_desk(self, name, counties=None, cursor=None, allow=None):
        if allow is None:
            allow = [()] if counties is None else [("--county", c) for c in counties]
        key = self.stack.add_desk(name, allow=allow)
        desk = Desk(name, self.stack.endpoints["dispatch"], key, f"{self.stack.server_key}.pub", counties, cursor)
        desk.forgets_s = 3.0 if cursor else None  # a cursor is saved once a second, without waiting for the disk
        desk.outages = self.cluster.outages
        self.desks.append(desk)
        return desk

    def add_rule(self, desk="ALL", category="HEALTH"):
        """One rule of notification, and somebody who answers it."""
        self.webhooks = WebhookReceiver()
        secret = self.stack.run / "webhook.secret"
        secret.write_text("whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=")
        secret.chmod(0o600)
        self.stack.admin("notify", "rule", "add", "tell", "--desk", desk, "--category", category, "--url", self.webhooks.url,
                         "--secret-file", secret)
        self.rule = (next(d for d in self.desks if d.desk_name == desk), category)

    def wait_known(self, services):
        for name in self.running:
            if name in self.intakes:
                self.stack.wait_known(self.agencies["KRCS"], name)
        if self.desks:
            self.stack.wait_known(self.desks[-1].key, "dispatch")
        for desk in self.desks:
            desk.start()

    # ---- load

    def reports(self, count, prefix="r", **kwargs):
        return make_reports(self.random, count, prefix, **kwargs)

    def publisher(self, agency, reports, intake="intake", **kwargs):
        publisher = Publisher(self.stack.endpoints[intake], self.agencies[agency], f"{self.stack.server_key}.pub", reports,
                              random=random.Random(self.random.random()), **kwargs)
        self.publishers.setdefault(agency, []).append(publisher)
        return publisher

    def load(self, count, prefix=None, **kwargs):
        """count reports, from both agencies, over all intakes."""
        self.loads += 1
        prefix = f"{prefix or 'r'}{self.loads}-"
        names = list(self.agencies)
        return Load([self.publisher(names[i % 2], self.reports(count // 2, f"{prefix}{i}-"),
                                    self.intakes[i % len(self.intakes)], **kwargs) for i in range(2)])

    # ---- breaking it

    def moment(self, load, low=0.2, high=0.8):
        """Waits for the seeded moment of a load."""
        at = self.random.randrange(int(load.total * low), int(load.total * high))
        load.wait_receipts(at)
        return at

    def moments(self, load, count):
        """Waits for each of so many seeded moments of a load, in turn."""
        low, high = int(load.total * 0.2), int(load.total * 0.8)
        for at in sorted(self.random.sample(range(low, high), count)):
            load.wait_receipts(at)
            yield at

    def broke(self, outstanding, what="reports"):
        """Notes one injection; outstanding: what was under way when it happened."""
        if outstanding <= 0:
            raise NothingOutstanding(f"no {what} were outstanding when the fault came")
        self.injected += 1

    def kill(self, name, load):
        """kill -9, noting what was outstanding."""
        self.stack.services[name].kill()
        self.broke(load.outstanding())

    def restart(self, name, ready=True):
        self.armed.unlink(missing_ok=True)
        service = self.stack.services[name]
        service.env.pop("JUKWAA_CRASH_POINT", None)
        service.start(ready=ready)
        return service

    def undelivered(self):
        """How many events the first desk is entitled to and has not seen."""
        return len(set(self.checker().wanted_by(self.desks[0])) - self.desks[0].seen)

    def plan_crash(self, name, point):
        """Restarts the service with a crash point in it, not armed yet."""
        service = self.stack.services[name]
        service.stop()
        service.env["JUKWAA_CRASH_POINT"] = point
        service.start()

    def crash(self, name, load, provoke=None, timeout=20):
        """Arms the planned point and waits until the service has died of it. provoke: makes the service pass there."""
        service = self.stack.services[name]
        self.armed.touch()
        if provoke:
            provoke()
        wait_until(lambda: service.process.poll() is not None, timeout,
                   f"{name} dies at {service.env['JUKWAA_CRASH_POINT']}")
        outstanding = load.outstanding()
        if outstanding == 0 and service.name == "dispatch":
            outstanding = self.undelivered()
        if service.process.returncode != -signal.SIGKILL or "crash_point name=" not in service.log():
            raise AssertionError(f"{name} ended with {service.process.returncode}, not at its crash point:\n{service.log()[-2000:]}")
        self.broke(outstanding)

    # ---- judging it

    def sql(self, statement, *args):
        return self.stack.sql(statement, *args)

    def checker(self):
        return Checker(self.sql, self.publishers, self.desks, self.webhooks.notes if self.webhooks else None, self.rule)

    def settle(self, timeout=60):
        """Until every reader has come to the end of the feed, or the time is over: what is missing then is lost."""
        end = time.monotonic() + timeout
        try:
            for service in ("cases", "notify"):
                if service in self.running:
                    wait_until(lambda s=service: self.behind(s) == 0, max(0.1, end - time.monotonic()), f"{service} at the end")
            for desk in self.desks:
                wanted = set(self.checker().wanted_by(desk))
                wait_until(lambda d=desk, w=wanted: d.error or w <= d.seen, max(0.1, end - time.monotonic()), desk.desk_name)
            if self.webhooks:
                wait_until(lambda: self.sql("SELECT count(*) FROM notify.message WHERE state = 'PENDING'") == [(0,)],
                           max(0.1, end - time.monotonic()), "webhooks sent")
        except AssertionError as e:
            self.notes.append(str(e))
            self.notes += [f"desk {d.desk_name}: {d.sessions} sessions, endings {[e for e, _ in d.endings][-9:]}" for d in self.desks]

    def behind(self, service):
        return int(self.sql(f"""SELECT coalesce(sum(h.last_seq - coalesce(c.seq, 0)), 0) FROM feed.head h
                                LEFT JOIN {service}.cursor c USING (stream) WHERE h.stream !~ '^@'""")[0][0])

    def check(self, settle_s=60):
        """Waits until the dust has settled; what the checker found."""
        self.settle(settle_s)
        for desk in self.desks:
            if desk.error:
                raise desk.error
        return self.checker().check(cases="cases" in self.running)

