"""The product holds no place where a test may kill it; a build that does hold them shows that this test would see them."""
import os
import pathlib
import subprocess
import unittest

from jukwaa_harness import ROOT

MARKS = ("jk_crash", "JUKWAA_CRASH_POINT", "JUKWAA_CRASH_ARMED", "outbox_before_fsync", "db_after_sync")


def marks_in(path):
    """Those of the marks that stand in the file's bytes or among its symbols."""
    symbols = subprocess.run(["nm", path], capture_output=True, text=True).stdout
    symbols += subprocess.run(["nm", "-D", path], capture_output=True, text=True).stdout
    content = path.read_bytes()
    return [mark for mark in MARKS if mark.encode() in content or mark in symbols]


class CrashPointsTest(unittest.TestCase):
    def programs(self, folder):
        found = [p for p in sorted(folder.glob("bin/jukwaa*")) if p.is_file()] + sorted(folder.rglob("libjukwaa.so.*.*.*"))
        self.assertGreaterEqual(len(found), 6, f"programs and library in {folder}")
        return found

    def test_the_product_holds_none(self):
        product = pathlib.Path(os.environ["JUKWAA_PRODUCT_BIN"]).parent
        self.assertEqual({p.name: marks_in(p) for p in self.programs(product) if marks_in(p)}, {})

    def test_the_build_for_faults_holds_them(self):
        """Guards the guard."""
        faulty = pathlib.Path(os.environ["JUKWAA_FAULT_BIN"]).parent
        if not faulty.exists():
            self.skipTest("no build with crash points")
        for name in ("jukwaa", "jukwaa-intake", "jukwaa-dispatch", "jukwaa-cases", "jukwaa-notify"):
            self.assertIn("JUKWAA_CRASH_POINT", marks_in(faulty / "bin" / name))

    def test_only_the_macro_names_them(self):
        """Nobody calls the function past the macro."""
        wrong = [p.relative_to(ROOT).as_posix() for folder in ("common", "services") for p in (ROOT / folder).rglob("*.[ch]")
                 if "jk_crash_pass" in p.read_text() and p.stem != "jk_crash"]
        self.assertEqual(wrong, [])


if __name__ == "__main__":
    unittest.main()
