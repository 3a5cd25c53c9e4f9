"""proto/: buf's lint, no breaking change against the last release, and the habits that buf does not know."""
import re
import subprocess
import unittest

from jukwaa_harness import ROOT

PROTO = ROOT / "proto"
BUF = next((ROOT / "tests" / "contract" / "node_modules" / "@bufbuild").glob("buf-linux-*/bin/buf"), "buf")


def buf(*args):
    return subprocess.run([BUF, *args], cwd=PROTO, capture_output=True, text=True)


class ProtoTest(unittest.TestCase):
    def test_lint(self):
        done = buf("lint")
        self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)

    def test_nothing_broken_since_the_last_release(self):
        done = buf("breaking", "--against", "last-release.binpb")
        self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)

    def test_every_message_says_which_way_it_goes(self):
        for path in sorted((PROTO / "jukwaa" / "v1").glob("*.proto")):
            text = path.read_text()
            for match in re.finditer(r"((?:^//.*\n)*)^message (\w+)", text, re.M):
                self.assertRegex(match[1], r"^// (command|reply|event): |; event: |; reply: ",
                                 f"{path.name}: message {match[2]} has no label")

    def test_no_message_contains_itself(self):
        """protobuf-c has no recursion limit."""
        holds = {}
        for path in (PROTO / "jukwaa" / "v1").glob("*.proto"):
            for match in re.finditer(r"^message (\w+) \{(?:\}|\n(.*?)^\})", path.read_text(), re.M | re.S):
                holds[match[1]] = set(re.findall(r"(?:repeated )?\b([A-Z]\w+) \w+ = \d+;", match[2] or ""))

        def walk(name, above):
            self.assertNotIn(name, above, f"{name} contains itself through {above}")
            for inner in holds.get(name, ()):
                walk(inner, above | {name})
        self.assertGreater(len(holds), 30)
        for name in holds:
            walk(name, frozenset())

    def test_every_kind_names_a_message(self):
        text = (PROTO / "jukwaa" / "v1" / "session.proto").read_text()
        kinds = re.findall(r"^  KIND_(\w+) = [1-9]\d*;", text, re.M)
        messages = set()
        for path in (PROTO / "jukwaa" / "v1").glob("*.proto"):
            messages |= set(re.findall(r"^message (\w+)", path.read_text(), re.M))
        for kind in kinds:
            self.assertIn("".join(part.capitalize() for part in kind.split("_")), messages)


if __name__ == "__main__":
    unittest.main()
