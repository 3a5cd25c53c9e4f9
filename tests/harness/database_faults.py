"""What tests need to take PostgreSQL away in different ways: what services and `jukwaa status` say meanwhile, a streaming standby,
a small file system."""
import atexit
import json
import os
import pathlib
import subprocess
import tempfile
import time
import unittest

from jukwaa_harness import Cluster, run_cli, scratch, wait_until


def reason(service):
    """("DATABASE_READ_ONLY", "the database is …", seconds) of a service that is not ready; ("READY", "", 0)."""
    status, text = service.http("/readyz")
    if status in (0, 200):
        return ("READY" if status else "UNREACHABLE"), text.strip(), 0
    code, _, words = text.splitlines()[0].partition(": ")
    return code, words, int(text.splitlines()[1].split()[1])


def wait_reason(stack, *codes, services=None, timeout=15):
    """Until each of these running services gives one of the codes; their words by name."""
    words = {}
    for name in services or [n for n, s in stack.services.items() if s.process and s.process.poll() is None]:
        service = stack.services[name]
        try:
            wait_until(lambda: reason(service)[0] in codes, timeout, f"{name} says {' or '.join(codes)}")
        except AssertionError as e:
            raise AssertionError(f"{e}; it says {service.http('/readyz')}\n{service.log()[-2000:]}") from None
        words[name] = reason(service)[1]
    return words


def wait_all_ready(stack, timeout=30):
    """Seconds until every running service is ready, with nobody's help."""
    start = time.monotonic()
    for service in stack.services.values():
        if service.process and service.process.poll() is None:
            service.wait_ready(timeout)
    return time.monotonic() - start


def status(stack):
    """The rows of `jukwaa --json status` by part, its exit status, and its human form."""
    env = {**stack.env(stack.server_key), **stack.admin_env, "COLUMNS": "100"}
    done = run_cli("--json", "status", env=env, check=False)
    human = run_cli("status", env=env, check=False)
    rows = {}
    for line in done.stdout.splitlines():
        row = json.loads(line)
        rows.setdefault(row["part"], row)
    return rows, done.returncode, human.stdout


class Standby(Cluster):
    """A streaming standby of a running cluster; its own folder, so that a connection string can name it."""

    def __init__(self, primary, name="standby1"):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sb-", dir=scratch()))
        self.user, self.superuser, self.passfile = primary.user, primary.superuser, primary.passfile
        self.outages = []
        self.data = self.folder / "d"
        if self.user:
            os.chown(self.folder, self.user.pw_uid, self.user.pw_gid)
        passfile = self.folder / "pass"
        passfile.write_text(primary.passfile.read_text())
        passfile.chmod(0o600)
        if self.user:
            os.chown(passfile, self.user.pw_uid, self.user.pw_gid)
        self._run("pg_basebackup", "-D", self.data, "-R", "-X", "stream", "-c", "fast", "-d",
                  f"host={primary.folder} user={primary.superuser} passfile={passfile} application_name={name}")
        with open(self.data / "postgresql.conf", "a") as f:
            f.write(f"unix_socket_directories = '{self.folder}'\n")
        self.start()
        atexit.register(self.stop)


class SmallDisk:
    """A tmpfs of a few MiB that can be filled to the last block."""

    def __init__(self, cluster, mib):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="disk-", dir=scratch()))
        if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", self.path],
                                               capture_output=True).returncode != 0:
            raise unittest.SkipTest("needs to mount a tmpfs: run as root")
        atexit.register(subprocess.run, ["umount", "-l", self.path])
        if cluster.user:
            os.chown(self.path, cluster.user.pw_uid, cluster.user.pw_gid)
        self.filler = self.path / "filler"

    def fill(self):
        with open(self.filler, "wb", buffering=0) as f:
            try:
                while True:
                    f.write(b"x" * 4096)
            except OSError:
                pass

    def free(self):
        self.filler.unlink()
