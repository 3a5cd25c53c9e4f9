"""seeds.py BUILD DATA: writes a first corpus for each target to BUILD/corpus/TARGET and dictionaries to BUILD/TARGET.dict: the
regressions, messages of every kind made from the .proto files (always the same ones), and real data where DATA is there."""
import hashlib
import importlib
import json
import pathlib
import random
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
WORDS = ["", "KPS", "047", "Fire", "Moto sokoni", "2024-03-01T08:15:30+03:00", "a@b.ke,x-1,2024-03-01T08:15:30+03:00", "en", "1.5"]
# The orders of fuzz_command.c and fuzz_body.c.
COMMAND = ["CaseCommand", "OfferCommand", "OfferList", "UnitCommand", "AidCommand", "UnitList", "UnitRecommend", "AidList", "IncidentMark"]
BODY = ["Incident", "Publish", "Subscribe", "Deliver", "CaseList", "Hello", "Welcome", "Ping", "BadSession", "Refused", "Bye",
        "Receipt", "Subscribed", "Ack", "Beat", "CaseListed", "CaseShow", "CaseShown", "EventBody", "Work", "DeliverBatch", "SnapshotEnd"]
sys.path.insert(0, str(ROOT / "tests" / "harness"))
from groups import NAMES, PERSONS, REPORTER, WORK, split
BIG = 64 * 1024


class Messages:
    """Messages filled by their descriptors, from one seed."""

    def __init__(self, build):
        out = build / "python"
        out.mkdir(parents=True, exist_ok=True)
        files = sorted(str(p.relative_to(ROOT / "proto")) for p in (ROOT / "proto" / "jukwaa" / "v1").glob("*.proto"))
        subprocess.run(["protoc", f"-I{ROOT / 'proto'}", f"--python_out={out}", *files], check=True)
        sys.path.insert(0, str(out))
        self.types = {}
        for name in ("session", "incident", "intake", "feed", "dispatch", "cases", "work", "find", "life", "duty", "unit"):
            self.types.update(vars(importlib.import_module(f"jukwaa.v1.{name}_pb2")))
        self.chance = random.Random(20191108)
        self.bodies = 0

    def make(self, name, **fixed):
        message = self.types[name]()
        self.fill(message)
        for field, value in fixed.items():
            setattr(message, field, value)
        return message

    def fill(self, message):
        if message.DESCRIPTOR.name == "EventBody":
            return self.fill_body(message)
        for field in message.DESCRIPTOR.fields:
            if self.chance.random() < 0.15:
                continue
            if field.label == field.LABEL_REPEATED:
                for _ in range(self.chance.randint(1, 3)):
                    if field.message_type:
                        self.fill(getattr(message, field.name).add())
                    else:
                        getattr(message, field.name).append(self.scalar(field))
            elif field.message_type:
                self.fill(getattr(message, field.name))
                getattr(message, field.name).SetInParent()
            else:
                setattr(message, field.name, self.scalar(field))
        return message

    def fill_body(self, body):
        """All thirteen groups, fourteen with WORK, or the ten of version 0.1.0, each shown or withheld."""
        incident = self.make("Incident")
        contents = split(incident)
        self.bodies += 1
        if self.bodies % 3 == 0:
            contents = {tag: getattr(incident, name).SerializeToString() for tag, name in enumerate(NAMES[:PERSONS], 1)}
        elif self.bodies % 3 == 1:
            contents[WORK] = self.make("Work").SerializeToString()
        for tag in sorted(contents):
            if tag in (REPORTER, PERSONS) or self.chance.random() < 0.2:
                body.groups.add(tag=tag, digest=self.chance.randbytes(32))
            else:
                body.groups.add(tag=tag, salt=self.chance.randbytes(16), content=contents[tag])
        if self.chance.random() < 0.25:
            body.stored_apart = self.chance.choice([1 << REPORTER, 1 << PERSONS, 1 << REPORTER | 1 << PERSONS])
        return body

    def each_choice(self, name):
        """One message for each member of its oneof."""
        choices = [f.name for o in self.types[name].DESCRIPTOR.oneofs for f in o.fields]
        for choice in choices or [None]:
            message = self.make(name)
            if choice:
                self.fill(getattr(message, choice))
                getattr(message, choice).SetInParent()
            yield message

    def deliver(self, body, **fixed):
        """A Deliver with this body, and all that libjukwaa asks of one."""
        deliver = self.make("Deliver", stream="@KPS" if body in ("delivered", "lagging", "opened", "acted", "unanswered") else "047", seq=7,
                            event_id=self.chance.randbytes(16), incident_id=self.chance.randbytes(16), **fixed)
        deliver.commitment = deliver.chain = b"" if body == "recalled" else self.chance.randbytes(32)
        self.fill(getattr(deliver, body))
        getattr(deliver, body).SetInParent()
        return deliver

    def scalar(self, field):
        if field.enum_type:
            return self.chance.choice(field.enum_type.values).number
        if field.cpp_type == field.CPPTYPE_STRING:
            size = {"seal": 32, "commitment": 32, "chain": 32, "digest": 32, "salt": 16, "after": 24}.get(field.name, 16)
            return self.chance.randbytes(size) if field.type == field.TYPE_BYTES else self.chance.choice(WORDS)
        if field.cpp_type in (field.CPPTYPE_DOUBLE, field.CPPTYPE_FLOAT):
            return self.chance.uniform(-90, 90)
        return self.chance.choice([0, 1, 2, 47, 1700000000000000 if "64" in str(field.type) or field.cpp_type in (2, 4) else 300]) \
            if field.cpp_type != field.CPPTYPE_BOOL else True


def session_inputs(messages):
    def one(who, kind, message):
        body = message.SerializeToString()
        return bytes([who, kind, len(body) >> 8, len(body) & 255]) + body
    hello = messages.types["Hello"](client="fuzz", window=4)
    publish = messages.types["Publish"](request=1, format=1, payload=b"x", county="047")
    ping, ack = messages.types["Ping"](), messages.types["Ack"](delivery_no=3)
    show = messages.types["CaseShow"](request=2, case_id=bytes(16), purpose=1, purpose_note="asked by phone")
    yield one(0, 1, hello) + one(0x80, 3, ping) + one(0x80, 16, publish) + one(0x80, 16, publish) + one(0x80, 99, ping)
    yield one(1, 1, hello) + one(0x81, 50, show) + one(0x81, 35, ack) + one(0x80, 16, publish)
    yield one(2, 1, hello) + one(3, 1, hello) + one(0x40, 1, hello) + one(0x85, 3, ping)
    yield b"".join(one(n % 2, 1, hello) for n in range(12))


def message_inputs(messages):
    for round_no in range(4):
        for number, name in enumerate(BODY):
            yield "body", bytes([number]) + messages.make(name).SerializeToString()
        yield "incident", bytes([0]) + messages.make("Incident").SerializeToString()
        yield "feed", bytes([round_no % 2]) + messages.make("EventBody").SerializeToString()
        for number, name in enumerate(["Subscribe", "CaseList", "CaseShow", "CaseExport", "CaseFigures", "CaseSimilar"]):
            yield "ask", bytes([number]) + messages.make(name).SerializeToString()
        for number, name in enumerate(COMMAND):
            for message in messages.each_choice(name):
                yield "command", bytes([number + len(COMMAND) * messages.chance.randrange(28)]) + message.SerializeToString()
        for number, name in enumerate(["Deliver", "Receipt", "Beat"]):
            yield "delivery", bytes([number]) + messages.make(name).SerializeToString()
    for number, name in enumerate(["Delivered", "Lagging", "Opened", "Acted", "Unanswered"]):
        yield "feed", bytes([1 | number << 1]) + messages.make(name).SerializeToString()
    yield "feed", bytes([4]) + messages.make("EventBody").SerializeToString()
    for field in ("event", "delivered", "lagging", "recalled", "opened", "acted", "unanswered"):
        yield "delivery", bytes([0]) + messages.deliver(field).SerializeToString()
    yield "delivery", bytes([0]) + messages.deliver("event", snapshot=True, closed=True, case_state=8).SerializeToString()
    yield "delivery", bytes([0]) + messages.make("SnapshotEnd").SerializeToString()
    for one in session_inputs(messages):
        yield "session", one


def text_inputs():
    for path in (ROOT / "deploy" / "samples").glob("*.json*"):
        text = path.read_bytes()
        yield "publish", text
        for line in text.splitlines() if path.suffix == ".jsonl" else [text]:
            yield "json", line
            yield "incident", b"\1" + line
    for path in (ROOT / "deploy" / "samples" / "agreements").glob("*.json"):
        yield "agreement", (b"\1" if "taskforce" in path.name else b"\0") + path.read_bytes()
    rows = b"crash_id,crash_datetime,latitude,longitude,n_crash_reports,contains_fatality_words,contains_pedestrian_words," \
           b"contains_matatu_words,contains_motorcycle_words\n1,06/06/2018 20:39,-1.26,36.76,1,0,0,\"1\",0\n"
    for path in (ROOT / "deploy" / "maps").glob("*.map"):
        yield "csv", path.read_bytes()
        yield "csv", path.read_bytes() + b"\x1e" + rows
    yield "publish", b"<alert/>"
    yield "publish", b"[{\"a\":\"]\"}, {\"identity\":{}}]"
    yield "settings", b"# Jukwaa\nlisten = \"tcp://127.0.0.1:7101\"\nrealm = LIVE\ncache-mib = 32\nallow = yes\ndatabase = host=/run\n"
    key = "curve-public = {0}\ncurve-secret = {0}\nsign-public = {0}\nsign-secret = {0}{0}\n".format("ab" * 32)
    yield "files", b"\0# a key\n" + key.encode()
    yield "files", b"\1jukwaa-resume-1 WgsKAzA0NxIEc2VhbA\n"
    yield "files", b"\2# settings\nexport JUKWAA_KEY='/a b'\nJUKWAA_DISPATCH=tcp://h:7102\n"
    metrics = b"# HELP x y\njukwaa_intake_reports_total{verdict=\"STORED\"} 7\njukwaa_dispatch_desk_lag{desk=\"A\",measure=\"events\"} 1e3\n"
    yield "http", b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nready\n\x1eHTTP/1.1 200 OK\r\n\r\n" + metrics
    yield "http", b"HTTP/1.0 503 No\r\n\r\nno connection\n\x1eHTTP/1.1 200 OK\r\n\r\n"
    head = '{{"head_no":7,"signed_at_us":1764190684123456,"signed_at":"2025-11-26T20:58:04Z","root":"{0}","public_key":"{1}","signature":"{0}{0}"}}'.format(
        "ab" * 32, "01" + "00" * 31)
    link = '{"seq":2,"epoch":1,"recorded_at_us":5,"event_id":"0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b","kind":1,' \
           '"incident_id":"0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b","revision":3,"tlp":2,"category":9,"commitment":"' + "cd" * 32 + '"}'
    yield "evidence", ('\0{"form":"jukwaa-proof-1","event_id":"0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b","streams":[{"stream":"047","previous_chain":"'
                       + "ef" * 32 + '","links":[' + link + '],"audit":[{"digest":"' + "ab" * 32 + '","left":true}]}],"head":' + head + "}").encode()
    yield "evidence", ("\1jukwaa-evidence-1\nstreams all\nbegin 047 1 {0} 7\nend 047 2 {0} whole\nhead 7 5 {0} {1} {0}{0} 1\nleaf 047 1 {0}\n"
                       "event 047 2 1 5 0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b 1 0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b 3 2 9 - {0}\ndone 7\n").format(
                           "ab" * 32, "01" + "00" * 31).encode()
    yield "evidence", b"\2" + head.encode() + b"\n\n" + head.encode()[:50] + b"\n" + head.encode()
    for number, words in enumerate([["https://u:p@example.ke:8443/a?b#c", "http://[::1]/"], ["\x7f\0\0\1", "\x08\x08\x08\x08"],
                                    ["2024-03-01T08:15:30.123456+03:00", "04/03/2016 10:00"], ["yyyy-mm-dd HH:MM:SSzone\t2020-1-2 3:04:05Z"],
                                    ["0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b", "-17", "1.5e-3", "AQIDBA"]]):
        for word in words:
            yield "text", bytes([number]) + word.encode("latin-1")


def data_inputs(data):
    for path in sorted((data / "cap").rglob("*.xml")):
        if path.stat().st_size < BIG:
            yield "cap", path.read_bytes()
    for name, csv in (("ma3route.map", "kenya_ma3route_crashes_2012_2023.csv"), ("nsw-rfs.map", "nsw_rfs_incident_updates_2019_2020.csv")):
        path = data / "incidents" / csv
        if path.exists():
            with open(path, "rb") as file:
                yield "csv", (ROOT / "deploy" / "maps" / name).read_bytes() + b"\x1e" + b"".join(file.readline() for _ in range(8))
    path = data / "geo" / "kenya_counties_osm_small.geojson"
    for feature in json.loads(path.read_text())["features"][:12] if path.exists() else []:
        text = json.dumps({"type": "FeatureCollection", "features": [feature]}).encode()
        if len(text) < BIG:
            yield "boundaries", text


def dictionaries():
    schema = (ROOT / "deploy" / "schema" / "cap12.xsd").read_text()
    yield "cap", sorted(set(re.findall(r'(?:name|value)\s*=\s*"([\w. ]+)"', schema))) + ["<![CDATA[", "<!DOCTYPE", "<!ENTITY", "&#x0;", "xmlns="]
    protos = "".join(p.read_text() for p in (ROOT / "proto" / "jukwaa" / "v1").glob("*.proto"))
    names = sorted(set(re.findall(r"\b([a-z_]+) = \d+", protos)) | set(re.findall(r"\b[A-Z]+_([A-Z_]+) = \d+", protos)))
    for target in ("json", "incident", "publish", "agreement"):
        yield target, [f'\\"{name}\\"' for name in names]
    yield "csv", names + ["column ", "constant ", "template ", "table ", "time ", "zone ", "rfc3339", "yyyy", "\\x1e"]
    yield "boundaries", ["Polygon", "MultiPolygon", "FeatureCollection", "Feature", "coordinates", "geometry", "properties",
                         "county_code", "1e308", "null", "[[[", "]]]"]
    yield "files", ["JUKWAA_", "export ", "curve-public = ", "curve-secret = ", "sign-public = ", "sign-secret = ", "jukwaa-resume-1 "]
    yield "settings", ["listen", "key-file", "database", "cache-mib", "allow", "realm", "LIVE", "EXERCISE", "\\x0a    "]
    yield "evidence", [f'\\"{name}\\"' for name in names] + ["jukwaa-evidence-1", "jukwaa-proof-1", "begin ", "end ", "head ", "leaf ", "event ", "done ",
                                                          " whole", " part", "streams all", "\\x0a"]
    yield "http", ["HTTP/1.", "\\x0d\\x0a\\x0d\\x0a", "jukwaa_intake_", "jukwaa_dispatch_desk_lag", "measure=\\\"events\\\"", "\\x1e"]
    yield "text", ["https://", "http://", "[::ffff:", "@", "%00", "yyyy", "mon", "zone", "rfc3339", "T", "Z", "+03:00", "e308"]


def main():
    build, data = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    for folder in (HERE / "regressions").iterdir():
        for path in folder.iterdir():
            write(build, folder.name, path.read_bytes())
    for source in (message_inputs(Messages(build)), text_inputs(), data_inputs(data) if data.exists() else []):
        for target, text in source:
            write(build, target, text)
    for target, words in dictionaries():
        (build / f"{target}.dict").write_text("".join(f'"{word}"\n' for word in words))


def write(build, target, text):
    folder = build / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / hashlib.sha1(text).hexdigest()).write_bytes(text)


if __name__ == "__main__":
    main()
