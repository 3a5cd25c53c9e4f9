"""1,000,000 events in 47 streams, with the heads that dispatch signs as they come: verified in under 10 s, from the database, in memory that
does not grow with them; exported, and verified from the export alone."""
import os
import subprocess
import time
import unittest

from jukwaa_harness import BIN, Stack, wait_until

EVENTS = int(os.environ.get("JUKWAA_MASS_EVENTS", "1000000"))
BATCH = 500
# Streams as skewed as counties are; bodies of 300 bytes.
FILL = """
DO $$
DECLARE i integer;
BEGIN
  FOR i IN 1..%d LOOP
    PERFORM feed.append(array_agg(lpad((1 + mod(g::int8 * g + g / 97, 47))::text, 3, '0')), array_agg(gen_random_uuid()), array_agg(1::int2),
                        array_agg(gen_random_uuid()), array_agg(g::int8), array_agg(2::int2), array_agg(9::int2),
                        array_agg(sha256(int4send(g))), array_agg(decode(repeat('6a6b', 150), 'hex')))
       FROM generate_series(i * %d, i * %d + %d) g;
    COMMIT;
  END LOOP;
END $$"""


def measure(*args, env):
    """Seconds, peak KiB and output of `jukwaa evidence …`."""
    before = time.monotonic()
    process = subprocess.Popen([str(BIN / "jukwaa"), "evidence", *map(str, args)], env={**os.environ, **env}, stdout=subprocess.PIPE, text=True)
    out = process.stdout.read()
    process.stdout.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return time.monotonic() - before, usage.ru_maxrss, process.returncode, out


class MassTest(unittest.TestCase):
    def test_a_million_events(self):
        stack = Stack(services=("dispatch",), cluster_settings=("shared_buffers = 512MB", "synchronous_commit = off", "max_wal_size = 4GB"))
        stack.sql(FILL % (EVENTS // BATCH, BATCH, BATCH, BATCH - 1))
        wait_until(lambda: stack.sql("SELECT (SELECT sum(s) FROM unnest(seqs) s) FROM evidence.head ORDER BY head_no DESC LIMIT 1")
                   == [(EVENTS,)], 20, "the last head")
        stack.services["dispatch"].stop()
        stack.sql("VACUUM ANALYZE feed.event")
        env = {**stack.admin_env, "JUKWAA_SERVER_KEY": f"{stack.server_key}.pub"}
        streams = stack.sql("SELECT count(*) FROM feed.head")[0][0]
        heads = stack.sql("SELECT count(*) FROM evidence.head")[0][0]
        seconds, peak_kib, status, out = min(measure("verify", "--database", env=env) for _ in range(2))
        print(f"\nverified {EVENTS} events under {heads} heads in {seconds:.1f} s, {peak_kib // 1024} MiB: {out}")
        self.assertEqual(status, 0, out)
        self.assertIn(f"intact: {EVENTS} events of {streams} streams", out)
        self.assertLess(seconds, 10 * EVENTS / 1000000)
        self.assertLess(peak_kib, 100 * 1024)
        file = stack.run / "all.evidence"
        seconds, peak_kib, status, _ = measure("export", "--out", file, env=env)
        print(f"exported in {seconds:.1f} s, {peak_kib // 1024} MiB: {file.stat().st_size >> 20} MiB")
        self.assertEqual((status, peak_kib < 100 * 1024), (0, True))
        seconds, peak_kib, status, out = measure("verify", "--export", file, env={"JUKWAA_SERVER_KEY": env["JUKWAA_SERVER_KEY"]})
        print(f"verified the export in {seconds:.1f} s, {peak_kib // 1024} MiB")
        self.assertEqual((status, peak_kib < 100 * 1024), (0, True), out)
        # One bit of one of a million.
        stack.sql("UPDATE feed.event SET tlp = 3 WHERE stream = '048' OR (stream = '002' AND seq = 777)")
        _, _, status, out = measure("verify", "--database", env=env)
        self.assertEqual((status, "CHAIN_BROKEN 002#777" in out), (1, True), out)


if __name__ == "__main__":
    unittest.main()
