"""fuzz.py BUILD SECONDS JOBS [TARGET...]: runs the targets, JOBS side by side, each for SECONDS of CPU time, and prints what came of
it. Status 1: a finding; its input lies in BUILD/findings."""
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TICKS = os.sysconf("SC_CLK_TCK")
LOG_READ_BYTES = 1 << 20
# Largest input, and the parser's own files: their lines are what coverage is told of.
TARGETS = {
    "cap": (65536, ["services/intake/intake_wire_cap*.c"]),
    "boundaries": (32768, ["services/intake/intake_place_geos*.c"]),
    "body": (8192, ["common/wire/wire_*.c"]),
    "json": (8192, ["common/json/json_map_read.c", "common/json/json_map_value.c", "common/json/json_map_write.c"]),
    "incident": (8192, ["services/intake/intake_wire.c", "services/intake/intake_wire_pb.c", "services/intake/intake_wire_json.c",
                        "services/intake/intake_wire_incident.c", "services/intake/intake_wire_seal.c"]),
    "feed": (8192, ["common/feed/feed_label.c", "common/feed/feed_groups.c", "common/feed/feed_body.c",
                    "services/dispatch/dispatch_event.c", "services/dispatch/dispatch_open_wire.c", "services/cases/cases_work_wire.c",
                    "services/notify/notify_wire.c"]),
    "ask": (4096, ["services/dispatch/dispatch_wire.c", "services/dispatch/dispatch_seal.c", "services/cases/cases_wire.c",
                   "services/cases/cases_wire_list.c", "services/cases/cases_wire_find.c"]),
    "command": (8192, ["services/cases/cases_command_wire.c", "services/cases/cases_life_rules.c", "services/dispatch/dispatch_duty_wire.c",
                       "services/dispatch/dispatch_unit_wire.c", "services/dispatch/dispatch_opened_wire.c"]),
    "session": (4096, ["common/session/session_message.c", "common/session/session_table.c"]),
    "delivery": (8192, ["common/client/client_event.c", "common/client/client_receipt.c", "common/client/client_positions.c"]),
    "csv": (8192, ["services/cli/csv_*.c"]),
    "agreement": (8192, ["common/agreement/*.c"]),
    "settings": (4096, ["common/conf/conf.c"]),
    "files": (4096, ["common/crypt/crypt_key.c", "common/client/client_resume.c", "services/cli/cli_config.c"]),
    "evidence": (16384, ["common/evidence/evidence_export.c", "common/evidence/evidence_proof.c", "common/evidence/evidence_witness.c",
                         "common/evidence/evidence_check*.c"]),
    "http": (4096, ["services/cli/status_http.c"]),
    "publish": (8192, ["services/cli/publish_input.c", "services/cli/json_slice.c"]),
    "text": (512, ["services/notify/notify_rules.c", "services/notify/notify_webhook.c", "services/cli/csv_time.c",
                   "common/base/jk_time.c", "common/base/jk_text.c", "common/base/jk_id.c", "common/base/jk_number.c"]),
}


class Run:
    """One target at work."""

    def __init__(self, build, name, seconds):
        self.build, self.name, self.seconds = build, name, seconds
        self.binary = build / "bin" / f"fuzz_{name}"
        self.corpus = build / "corpus" / name
        self.findings = build / "findings" / name
        for folder in (self.corpus, self.findings):
            folder.mkdir(parents=True, exist_ok=True)
        self.known = {p.name for p in self.findings.iterdir()}  # of earlier runs
        self.log = build / f"{name}.log"
        arguments = [f"-max_len={TARGETS[name][0]}", "-timeout=120", "-report_slow_units=1000", "-rss_limit_mb=2048", "-print_final_stats=1", "-reload=0",
                     f"-artifact_prefix={self.findings}/"]
        if (build / f"{name}.dict").exists():
            arguments.append(f"-dict={build / name}.dict")
        # Jemalloc-like caches of ASan would keep a long run at gigabytes; leaks are looked for at the end of each pass.
        environment = {**os.environ, "LLVM_PROFILE_FILE": "/dev/null", "ASAN_OPTIONS": "quarantine_size_mb=16:detect_leaks=1",
                       "UBSAN_OPTIONS": "print_stacktrace=1",
                       "LSAN_OPTIONS": f"suppressions={ROOT}/tests/harness/leaks.txt:print_suppressions=0"}
        self.cpu_s = 0.0
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen([self.binary, *arguments, self.corpus], stdout=log, stderr=log, env=environment,
                                            stdin=subprocess.DEVNULL, cwd=build)

    def look(self):
        """False once it has ended. libFuzzer ends by itself, and with its figures, at SIGUSR1."""
        if self.process.poll() is not None:
            return False
        try:
            fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(") ", 1)[1].split()
            self.cpu_s = max(self.cpu_s, (int(fields[11]) + int(fields[12])) / TICKS)
        except (FileNotFoundError, ProcessLookupError):
            pass
        if self.cpu_s >= self.seconds:
            self.process.send_signal(signal.SIGUSR1)
            self.process.wait(300)
            return False
        return True

    def figures(self):
        with open(self.log, "rb") as log:  # a target may log a lot, and children count their parent's memory as theirs (vfork)
            log.seek(max(0, os.path.getsize(self.log) - LOG_READ_BYTES))
            text = log.read().decode(errors="replace")
        executed = re.findall(r"stat::number_of_executed_units:\s*(\d+)", text) or re.findall(r"^#(\d+)\t", text, re.M) or ["0"]
        edges = re.findall(r"cov: (\d+)", text) or ["0"]
        return int(executed[-1]), int(edges[-1])

    def lines(self):
        """Lines covered by the corpus in the parser's own files, as text."""
        tools = [shutil.which(f"{tool}-14") or shutil.which(tool) for tool in ("llvm-profdata", "llvm-cov")]
        if None in tools:
            return "no llvm-cov"
        raw, merged = self.build / f"{self.name}.profraw", self.build / f"{self.name}.profdata"
        subprocess.run([self.binary, "-runs=0", "-timeout=120", "-rss_limit_mb=4096", f"-artifact_prefix={self.findings}/", self.corpus],
                       env={**os.environ, "LLVM_PROFILE_FILE": str(raw), "ASAN_OPTIONS": "detect_leaks=0"}, check=False,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.build)
        if not raw.exists():
            return "no profile"
        subprocess.run([tools[0], "merge", "-sparse", raw, "-o", merged], check=True)
        raw.unlink()
        files = [str(p) for pattern in TARGETS[self.name][1] for p in sorted(ROOT.glob(pattern))]
        report = subprocess.run([tools[1], "export", "-summary-only", f"-instr-profile={merged}", self.binary, *files],
                                capture_output=True, text=True, check=False).stdout
        found = re.search(r'"totals":.*?"lines":\{"count":(\d+),"covered":(\d+)', report)
        return f"{int(found[2])}/{int(found[1])} ({100 * int(found[2]) // max(1, int(found[1]))} %)" if found else "unknown"

    def found(self):
        return sorted({p.name for p in self.findings.iterdir()} - self.known)


def report(run):
    executed, edges = run.figures()
    found = run.found()
    ended = run.process.returncode
    print(f"{run.name:<11}{run.cpu_s / 60:>8.1f} {executed:>12,} {executed / max(run.cpu_s, 0.01):>9,.0f} {edges:>7,}  {run.lines():<18}"
          f" {', '.join(found) or ('none' if ended == 0 else f'ended with {ended}: {run.log}')}", flush=True)
    return ended == 0 and not found


def main():
    build, seconds, jobs = pathlib.Path(sys.argv[1]).resolve(), float(sys.argv[2]), int(sys.argv[3])
    names = sys.argv[4:] or list(TARGETS)
    unknown = [name for name in names if name not in TARGETS]
    if unknown:
        sys.exit(f"no target {unknown[0]}; there are {', '.join(TARGETS)}")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    print(f"{'target':<11}{'CPU min':>8} {'executions':>12} {'a CPU s':>9} {'edges':>7}  {'lines of parser':<18} findings", flush=True)
    running, good = [], True
    while names or running:
        while names and len(running) < jobs:
            running.append(Run(build, names.pop(0), seconds))
        time.sleep(0.2)
        for run in [r for r in running if not r.look()]:
            running.remove(run)
            good = report(run) and good
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
