"""The JSON Schema that is installed says what the reader does: both take the samples, and both refuse the same mistakes."""
import json
import os
import pathlib
import subprocess
import unittest

import jsonschema

from jukwaa_harness import BIN, ROOT

BUILD = pathlib.Path(os.environ.get("JUKWAA_BUILD", ROOT / "build"))
SAMPLES = ROOT / "deploy" / "samples"

GOOD = [
    {},
    {"identity": {"external_id": "OB/1", "revision": 7, "status": "ACTUAL", "msg_type": "MSG_TYPE_ALERT"}},
    {"identity": {"revision": "-9223372036854775808"}},
    {"classification": {"categories": ["FIRE", "CATEGORY_CBRNE"], "response_types": [], "severity": "UNKNOWN"}},
    {"times": {"sent_us": "2026-03-01T08:15:30.5+03:00", "expires_us": 1772352930123456}},
    {"place": {"point": {"lat": -1, "lon": 36.8}, "accuracy_m": 0, "text": ["Gikomba"], "counties": ["047"],
               "polygons": [{"points": [{"lat": 0, "lon": 1e1}]}]}},
    {"references": {"orphan": False, "references": [{"sender": "a", "sent_us": 0}]}},
    {"resources": {"resources": [{"size_bytes": 17, "embedded_bytes": "17"}]}},
    {"persons": {"persons": [{"name": "Njeri wa Mwangi", "role": "witness"}]}},
]
BAD = [
    [], 7, None, "text",
    {"Identity": {}}, {"identity": None}, {"identity": []}, {"identity": {"externalId": "x"}},
    {"identity": {"agency": 7}}, {"identity": {"agency": None}}, {"identity": {"status": "Actual"}}, {"identity": {"status": 1}},
    {"identity": {"revision": 1.5}}, {"identity": {"revision": "x"}}, {"identity": {"revision": True}},
    {"classification": {"categories": "FIRE"}}, {"classification": {"categories": ["SMOKE"]}},
    {"classification": {"categories": [None]}}, {"classification": {"severity": "Severe"}},
    {"times": {"sent_us": 1.5}}, {"times": {"sent_us": True}}, {"times": {"sent_us": "2026-03-01T08:15:30"}},
    {"times": {"sent_us": "yesterday"}},
    {"place": {"point": {"lat": "1"}}}, {"place": {"point": [1, 2]}}, {"place": {"text": "Gikomba"}},
    {"references": {"orphan": 1}}, {"references": {"orphan": "true"}},
    {"narrative": {"texts": [{"headline": ["a"]}]}},
    {"persons": {"persons": {"name": "x"}}},
]


def read(values):
    lines = "".join(json.dumps(value) + "\n" for value in values)
    done = subprocess.run([BIN / "test_json_lines"], input=lines, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


class JsonSchemaTest(unittest.TestCase):
    def setUp(self):
        self.schema = json.loads((BUILD / "schema" / "incident.schema.json").read_text())
        checker = jsonschema.FormatChecker()

        # Debian's jsonschema checks times only with a further package.
        @checker.checks("date-time")
        def is_time(text):
            import re
            return not isinstance(text, str) or re.fullmatch(
                r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", text) is not None

        self.validator = jsonschema.Draft202012Validator(self.schema, format_checker=checker)

    def test_it_is_a_schema(self):
        jsonschema.Draft202012Validator.check_schema(self.schema)

    def test_both_take_what_is_good(self):
        for value, answer in zip(GOOD, read(GOOD), strict=True):
            with self.subTest(value=value):
                self.assertEqual(answer, "ok")
                self.assertEqual([e.message for e in self.validator.iter_errors(value)], [])

    def test_both_refuse_what_is_bad(self):
        for value, answer in zip(BAD, read(BAD), strict=True):
            with self.subTest(value=value):
                self.assertRegex(answer, r"^INVALID_SCHEMA\t")
                self.assertFalse(self.validator.is_valid(value))

    def test_both_take_the_samples(self):
        values = [json.loads(path.read_text()) for path in sorted(SAMPLES.glob("*.json"))]
        for path in sorted(SAMPLES.glob("*.jsonl")):
            values += [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
        self.assertGreater(len(values), 2)
        for value, answer in zip(values, read(values), strict=True):
            self.assertEqual(answer, "ok", value)
            self.assertEqual([e.message for e in self.validator.iter_errors(value)], [], value)


if __name__ == "__main__":
    unittest.main()
