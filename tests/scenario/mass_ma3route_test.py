"""20,710 real crashes by CSV and boundary file: all stored, in the counties an independent computation finds, every event at a
desk once and in order, chains and commitments verified."""
import collections
import csv
import json
import time
import unittest

from jukwaa_harness import ROOT, Stack, chain_next, commitment, need_data, protos, run_cli, scratch


def rings_of(geojson):
    """(county, [(ring, is_hole)]) of each feature, plain lists: no geometry library."""
    for feature in json.loads(geojson.read_text())["features"]:
        geometry = feature["geometry"]
        polygons = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
        yield feature["properties"]["county_code"], polygons


def inside(ring, x, y):
    found, j = False, len(ring) - 1
    for i in range(len(ring)):
        xi, yi, xj, yj = *ring[i][:2], *ring[j][:2]
        if (yi > y) != (yj > y) and x < (xj - xi) * (y - yi) / (yj - yi) + xi:
            found = not found
        j = i
    return found


class Locator:
    """Even-odd ray casting; lowest code wins."""

    def __init__(self, geojson):
        self.shapes = []
        for county, polygons in sorted(rings_of(geojson)):
            for polygon in polygons:
                xs, ys = [p[0] for p in polygon[0]], [p[1] for p in polygon[0]]
                self.shapes.append((county, (min(xs), max(xs), min(ys), max(ys)), polygon))
        self.known = {}

    def county(self, lat, lon):
        if (lat, lon) not in self.known:
            self.known[lat, lon] = next((county for county, (x0, x1, y0, y1), polygon in self.shapes
                                         if x0 <= lon <= x1 and y0 <= lat <= y1 and inside(polygon[0], lon, lat)
                                         and not any(inside(hole, lon, lat) for hole in polygon[1:])), None)
        return self.known[lat, lon]


class Ma3RouteTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.geojson = need_data("geo", "kenya_counties_osm.geojson")
        cls.crashes = need_data("incidents", "kenya_ma3route_crashes_2012_2023.csv")
        cls.map = ROOT / "deploy" / "maps" / "ma3route.map"
        cls.stack = Stack(boundaries=cls.geojson)
        cls.publisher = cls.stack.add_publisher("MA3ROUTE")
        cls.desk = cls.stack.add_desk("NATIONAL")
        cls.stack.wait_known(cls.desk, "dispatch")
        began = time.monotonic()
        cls.receipts, cls.status = cls.stack.cli_json(cls.publisher, "publish", "--format", "csv", "--map", cls.map,
                                                      cls.crashes, timeout=200)
        print(f"published in {time.monotonic() - began:.1f} s")

    def test_1_all_are_stored(self):
        self.assertEqual(self.status, 0)
        self.assertEqual(collections.Counter(r["verdict"] for r in self.receipts), {"STORED": 20710})
        self.assertEqual(self.stack.sql("SELECT count(*) FROM intake.report"), [(20710,)])

    def test_2_counties_agree_with_an_independent_computation(self):
        got = {r["external_id"]: r["positions"][0]["county"] for r in self.receipts}
        counts = collections.Counter(got.values())
        self.assertEqual(len(counts), 13)
        self.assertEqual((counts["047"], counts["022"], counts["016"]), (15841, 2950, 1221))
        locator = Locator(self.geojson)
        with open(self.crashes, newline="", encoding="utf-8") as f:
            for row in csv.DictReader(f):
                expected = locator.county(float(row["latitude"]), float(row["longitude"]))
                self.assertEqual(got[row["crash_id"]], expected, row["crash_id"])

    def test_3_the_desk_gets_every_event_once_in_order_and_verifies_the_chain(self):
        pb = protos()
        peer = self.stack.peer("dispatch", self.desk)
        self.assertIsNotNone(peer.hello())
        peer.send("SUBSCRIBE", pb.Subscribe(request=1, all=True, start_at=pb.START_AT_BEGINNING, window=256))
        peer.expect("SUBSCRIBED")
        seen, heads, number = set(), {}, 0
        while number < 20710:
            deliver = peer.expect("DELIVER", timeout=20)
            number += 1
            self.assertEqual(deliver.delivery_no, number)
            before = heads.get(deliver.stream, (0, b""))
            self.assertEqual(deliver.seq, before[0] + 1, deliver.stream)
            self.assertEqual(chain_next(before[1], deliver), deliver.chain)
            self.assertEqual(commitment(deliver.event.groups), deliver.commitment)
            heads[deliver.stream] = (deliver.seq, deliver.chain)
            self.assertNotIn(deliver.event_id, seen)
            seen.add(deliver.event_id)
            if number % 64 == 0:
                peer.send("ACK", pb.Ack(delivery_no=number))
        self.assertIsNone(next((got for got in iter(lambda: peer.receive(0.3), None) if got[0] == "DELIVER"), None))
        peer.close()
        stored = {stream: (seq, bytes(chain)) for stream, seq, chain in
                  self.stack.sql("SELECT stream, last_seq, last_chain FROM feed.head WHERE stream !~ '^@'")}
        self.assertEqual(heads, stored)

    def test_4_watch_shows_the_same(self):
        events, status = self.stack.cli_json(self.desk, "watch", "--all", "--from", "beginning", "--count", "20710",
                                             "--timeout", "120", timeout=180)
        self.assertEqual(status, 0)
        self.assertEqual(len({e["event_id"] for e in events}), 20710)
        self.assertTrue(all(e["chain_verified"] and e["copy_verified"] for e in events))

    def test_5_a_case_for_each(self):
        from jukwaa_harness import wait_until
        wait_until(lambda: self.stack.sql('SELECT count(*) FROM cases."case"') == [(20710,)], 30, "20,710 cases")

    def test_6_a_time_without_zone_needs_the_map(self):
        text = self.map.read_text()
        bare = scratch() / "bare.map"
        bare.write_text("".join(line for line in text.splitlines(True)).replace("+03:00", ""))
        self.assertNotEqual(bare.read_text(), text)
        few = scratch() / "few.csv"
        few.write_text("".join(self.crashes.read_text().splitlines(True)[:4]))
        receipts, status = self.stack.cli_json(self.publisher, "publish", "--format", "csv", "--map", bare, few)
        if receipts:
            self.assertEqual((status, {r["verdict"] for r in receipts}, {r["code"] for r in receipts}),
                             (1, {"REJECTED"}, {"INVALID_SCHEMA"}))
            self.assertTrue(all("crash_datetime" in r["field"] for r in receipts), receipts)
        else:
            self.assertEqual(status, 2)

    def test_7_times_took_the_maps_zone(self):
        with open(self.crashes, newline="", encoding="utf-8") as f:
            first = next(csv.DictReader(f))
        self.assertEqual((first["crash_id"], first["crash_datetime"]), ("1", "06/06/2018 20:39"))
        incident = next(r["incident_id"] for r in self.receipts if r["external_id"] == "1")
        shown = json.loads(self.stack.cli(self.desk, "--json", "case", "show", incident).stdout)
        self.assertIn("2018-06-06T17:39:00Z", json.dumps(shown))

    def test_8_what_lies_in_no_county_is_unroutable(self):
        for what, lat, lon in (("sea", -4.5, 41.0), ("Tanzania", -3.37, 36.69), ("Lake Victoria, Uganda", 0.0, 33.0)):
            report = {"identity": {"external_id": f"nowhere {what}", "status": "ACTUAL"},
                      "classification": {"categories": ["TRANSPORT"]}, "place": {"point": {"lat": lat, "lon": lon}},
                      "handling": {"tlp": "GREEN", "scope": "PUBLIC"}}
            done = run_cli("--json", "publish", "--format", "json", "-", env=self.stack.env(self.publisher), check=False,
                           input=json.dumps(report))
            receipt = json.loads(done.stdout)
            self.assertEqual((done.returncode, receipt["verdict"], receipt["code"]), (1, "REJECTED", "UNROUTABLE"), what)


if __name__ == "__main__":
    unittest.main()
