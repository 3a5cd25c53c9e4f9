"""Ready-made checkers over the tree: clang-format, clang-tidy, cppcheck, shellcheck, codespell."""
import json
import os
import pathlib
import subprocess
import unittest

from jukwaa_harness import ROOT, scratch

BUILD = pathlib.Path(os.environ.get("JUKWAA_BUILD", ROOT / "build" / "sanitized"))


def files(*patterns):
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
                            capture_output=True, text=True, check=True).stdout.split()
    return [str(ROOT / name) for name in listed if (ROOT / name).exists()]


class ToolsTest(unittest.TestCase):
    def run_tool(self, *command):
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=ROOT)
        self.assertEqual(done.returncode, 0, f"{command[0]}\n{(done.stdout + done.stderr)[-6000:]}")

    def test_clang_format(self):
        self.run_tool("clang-format", "--dry-run", "-Werror", *files("*.c", "*.h"))

    def test_clang_tidy(self):
        """One process a core over our own sources of the build's list; the checks stand in .clang-tidy."""
        listed = json.loads((BUILD / "compile_commands.json").read_text())
        mine = sorted({e["file"] for e in listed if "/tests/" not in e["file"] and not e["file"].endswith(".pb-c.c")
                       and e["file"].startswith(str(ROOT)) and "/build" not in e["file"][len(str(ROOT)):]})
        self.assertGreater(len(mine), 20)
        work = [subprocess.Popen(["clang-tidy", "-p", str(BUILD), "--quiet", "--warnings-as-errors=*", *mine[i::2]],
                                 stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) for i in range(2)]
        out = [process.communicate()[0] for process in work]
        self.assertEqual([process.returncode for process in work], [0, 0], "\n".join(out)[-6000:])

    def test_cppcheck(self):
        self.run_tool("cppcheck", "--quiet", "--error-exitcode=1", "--inline-suppr", "--std=c11", "-j", "2",
                      "--enable=warning,performance,portability", "--suppressions-list=" + str(ROOT / "tests/lint/cppcheck.txt"),
                      f"--cppcheck-build-dir={scratch()}", "-I", ROOT / "common", ROOT / "common", ROOT / "services")

    def test_shellcheck(self):
        scripts = [f for f in files("deploy", "tests", ".ci") if pathlib.Path(f).is_file()
                   and pathlib.Path(f).read_bytes()[:20].startswith((b"#!/usr/bin/env bash", b"#!/bin/bash", b"#!/bin/sh"))]
        self.assertGreater(len(scripts), 4)
        self.run_tool("shellcheck", "--severity=warning", "-x", *scripts)

    def test_codespell(self):
        self.run_tool("codespell", "--ignore-words", ROOT / "tests/lint/words.txt", "--skip",
                      "*.lock,package-lock.json,*.binpb,*003_kenya.sql,LICENSE",
                      *files("*.c", "*.h", "*.proto", "*.sql", "*.md", "*.py", "*.txt", "*.scd", "deploy"))


if __name__ == "__main__":
    unittest.main()
