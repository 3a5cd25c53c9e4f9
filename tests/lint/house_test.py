"""The house: which floor may include what, what pure code may call, how long things may be, and which calls are banned."""
import os
import pathlib
import re
import subprocess
import unittest

from jukwaa_harness import ROOT

# What each part may include of ours (besides itself) and the outside headers that belong to it alone.
PARTS = {
    "base": (set(), set()),
    "authz": ({"base"}, set()),
    "wire": ({"base", "proto"}, {"protobuf-c"}),
    "digest": ({"base"}, {"openssl/"}),
    "crypt": ({"base", "digest"}, {"sodium.h"}),
    "json": ({"base", "proto"}, {"protobuf-c", "jansson.h"}),
    "bus": ({"base", "wire", "crypt"}, {"zmq.h", "czmq.h"}),
    "db": ({"base"}, {"libpq-fe.h", "libpq-events.h"}),
    "conf": ({"base"}, {"czmq.h"}),
    "agreement": ({"base", "authz", "crypt", "json", "proto"}, {"protobuf-c"}),
    "registry": ({"base", "authz", "agreement", "db", "bus", "crypt"}, {"libpq-fe.h"}),
    "feed": ({"base", "authz", "wire", "crypt", "db", "proto"}, {"libpq-fe.h", "protobuf-c"}),
    "evidence": ({"base", "crypt", "feed", "json", "proto"}, set()),
    "session": ({"base", "wire", "bus", "registry", "authz", "crypt", "proto"}, {"protobuf-c"}),
    "command": ({"base", "wire", "crypt", "db", "registry", "session", "proto"}, {"protobuf-c"}),
    "daemon": ({"base", "bus", "conf"}, {"microhttpd.h"}),
    "retain": ({"base", "bus", "db", "daemon"}, {"libpq-fe.h"}),
    "client": ({"base", "wire", "crypt", "json", "bus", "feed", "evidence", "proto", "jukwaa", "authz"}, {"sqlite3.h", "protobuf-c", "zmq.h"}),
}
# Libraries of which each has exactly one home (or a named few), and who that is.
OUTSIDE = {
    "zmq.h": {"common/bus", "common/client"}, "czmq.h": {"common/bus", "common/conf"},
    "libpq-fe.h": {"common/db", "common/registry", "common/feed", "*_store_pg"}, "sodium.h": {"common/crypt"}, "openssl/": {"common/digest"},
    "jansson.h": {"common/json", "services/intake/intake_place_geos"}, "microhttpd.h": {"common/daemon"},
    "sqlite3.h": {"common/client"}, "curl/curl.h": {"services/notify/notify_webhook"},
    "geos_c.h": {"services/intake/intake_place_geos"}, "libxml/": {"services/intake/intake_wire_cap"},
}
PURE_FILE = re.compile(r"_(rules|fsm|ledger)\w*\.[ch]$")
IMPURE = {"time.h", "sys/time.h", "sys/socket.h", "stdio.h", "zmq.h", "libpq-fe.h"}
BANNED = re.compile(r"\b(sprintf|vsprintf|strcpy|strcat|strncpy|strncat|atoi|atol|atof|strtok|gets|alloca|system|popen|rand)\s*\(")


def sources(*folders):
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.[ch]")):
            yield path, path.relative_to(ROOT).as_posix(), path.read_text()


def includes(text):
    return re.findall(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]', text, re.M)


def functions(text):
    """(name, length in lines) of each function body: a line that starts a brace block at column 0."""
    lines = text.split("\n")
    for i, line in enumerate(lines):
        if line == "{" and i:
            end = next((j for j in range(i, len(lines)) if lines[j] == "}"), i)
            head = next((lines[k] for k in range(i - 1, -1, -1) if re.match(r"[a-z].*\(", lines[k])), "?")
            yield re.search(r"(\w+)\(", head)[1] if "(" in head else "?", end - i + 1


class HouseTest(unittest.TestCase):
    def test_the_top_level_is_fixed(self):
        tracked = subprocess.run(["git", "-C", ROOT, "ls-files"], capture_output=True, text=True).stdout.split("\n")
        if tracked == [""]:
            self.skipTest("not a git checkout")
        top = {name.split("/")[0] for name in tracked if name and not name.startswith(".")}
        self.assertLessEqual(top, {"services", "proto", "common", "deploy", "tests", "CMakeLists.txt", "README.md", "LICENSE",
                                   "CONTRIBUTING.md"})

    def test_parts_include_only_what_stands_below(self):
        wrong = []
        for _, name, text in sources("common"):
            part = name.split("/")[1]
            for include in includes(text):
                below = include.split("/")[0]
                if include.endswith(".pb-c.h"):
                    below = "proto"
                if (below in PARTS or below in ("proto", "services")) and below != part and below not in PARTS[part][0]:
                    wrong.append(f"{name} includes {include}")
        self.assertEqual(wrong, [])

    def test_services_know_no_other_service(self):
        wrong = []
        names = {p.name for p in (ROOT / "services").iterdir() if p.is_dir()}
        for _, name, text in sources("services"):
            own = name.split("/")[1]
            for include in includes(text):
                first = include.split("/")[1] if include.startswith("services/") else include.split("/")[0].split("_")[0]
                if first in names and first != own and include.split("/")[0] not in PARTS:
                    wrong.append(f"{name} includes {include}")
        self.assertEqual(wrong, [])

    def test_each_library_has_one_home(self):
        wrong = []
        for _, name, text in sources("common", "services"):
            for include in includes(text):
                for header, homes in OUTSIDE.items():
                    if include.startswith(header) and not any(
                            name.startswith(home) or (home[0] == "*" and home[1:] in name) for home in homes):
                        wrong.append(f"{name} includes {include}")
        self.assertEqual(wrong, [])

    def test_sql_stands_only_in_store_files(self):
        wrong = [name for _, name, text in sources("common", "services")
                 if re.search(r'"\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM) ', text) and not re.search(r"_pg|_store_sql", name)
                 and not name.startswith(("common/db/", "common/feed/feed_reader", "common/client/"))]
        self.assertEqual(wrong, [])

    def test_rules_know_neither_sockets_nor_sql_nor_the_clock(self):
        wrong = [f"{name} includes {include}" for _, name, text in sources("services", "common/authz")
                 if PURE_FILE.search(name) or "/authz/" in name for include in includes(text)
                 if include in IMPURE or include.endswith(".pb-c.h") or include.split("/")[0] in PARTS and include.split("/")[0]
                 not in ("base", "authz")]
        self.assertEqual(wrong, [])

    def test_banned_calls(self):
        wrong = []
        for _, name, text in sources("common", "services"):
            code = re.sub(r'/\*.*?\*/|//[^\n]*|"(\\.|[^"\\])*"', "", text, flags=re.S)
            wrong += [f"{name}: {match[1]}" for match in BANNED.finditer(code)]
        self.assertEqual(wrong, [])

    def test_budgets(self):
        refused, warned = [], []
        for _, name, text in sources("common", "services"):
            lines = text.count("\n")
            limit = 150 if name.endswith(".h") else 400
            if lines > 800:
                refused.append(f"{name}: {lines} lines")
            elif lines > limit:
                warned.append(f"{name}: {lines} lines")
            for function, length in functions(text):
                if length > 100:
                    refused.append(f"{name}: {function} has {length} lines")
                elif length > 60:
                    warned.append(f"{name}: {function} has {length} lines")
        for line in warned:
            print("over the usual:", line)
        self.assertEqual(refused, [])

    def test_no_marks_left_behind(self):
        wrong = [name for _, name, text in sources("common", "services") if re.search(r"\b(TODO|FIXME|XXX|HACK)\b", text)]
        self.assertEqual(wrong, [])

    def test_includes_are_found(self):
        """Guards the guards: the patterns above do see includes, functions and calls."""
        self.assertEqual(includes('#include "base/x.h"\n# include <zmq.h>\n'), ["base/x.h", "zmq.h"])
        self.assertEqual(list(functions("int f(int a)\n{\n\treturn a;\n}\n")), [("f", 3)])
        self.assertTrue(BANNED.search("x = atoi(y);"))


class SymbolsTest(unittest.TestCase):
    """`nm -u` on the pure libraries: nothing but memory and text functions of libc."""
    ALLOWED = re.compile(r"^(mem\w+|bcmp|str\w+|__(mem|str)\w*_chk|__stack_chk_fail|__assert_fail|snprintf|vsnprintf|__v?snprintf_chk|"
                         r"qsort|bsearch|isspace|isdigit|tolower|toupper|__ctype_\w+|_GLOBAL_OFFSET_TABLE_|__(asan|ubsan|sanitizer)\w*|"
                         r"jk_\w+|intake_\w+|cases_\w+|dispatch_\w+|notify_\w+|__isnan|__isinf|__finite|fabs|cos|sin|asin|sqrt|round|abort|"
                         r"malloc|calloc|realloc|free)$")
    NO_MEMORY = re.compile(r"^(malloc|calloc|realloc|free)$")

    def test_pure_libraries(self):
        build = pathlib.Path(os.environ.get("JUKWAA_BUILD", ROOT / "build" / "product"))
        found = sorted([*build.rglob("libauthz.a"), *build.rglob("lib*_rules.a")])
        self.assertGreaterEqual(len(found), 4, f"pure libraries in {build}: {found}")
        for library in found:
            symbols = subprocess.run(["nm", "-u", library], capture_output=True, text=True, check=True).stdout
            undefined = {line.split()[-1] for line in symbols.splitlines() if " U " in line}
            strange = sorted(s for s in undefined if not self.ALLOWED.match(s))
            self.assertEqual(strange, [], library.name)


if __name__ == "__main__":
    unittest.main()
