#!/usr/bin/python3
"""The counties of the Ma3Route crashes and of a grid over Kenya: GEOS (place_points) against ray casting of our own.

usage: place_oracle.py PLACE_POINTS DATA
"""
import collections
import csv
import json
import os
import random
import subprocess
import sys

EXPECTED = {"047": 15841, "022": 2950, "016": 1221}


def rings_of(geometry):
    if geometry["type"] == "Polygon":
        return geometry["coordinates"]
    return [ring for polygon in geometry["coordinates"] for ring in polygon]


def load_counties(path):
    with open(path, encoding="utf-8") as file:
        features = json.load(file)["features"]
    counties = []
    for feature in features:
        rings = rings_of(feature["geometry"])
        xs = [p[0] for ring in rings for p in ring]
        ys = [p[1] for ring in rings for p in ring]
        counties.append((feature["properties"]["county_code"], rings, min(xs), max(xs), min(ys), max(ys)))
    return sorted(counties)


def is_inside(rings, x, y):
    """Even-odd rule over all rings: holes and islands come out by themselves."""
    inside = False
    for ring in rings:
        for (x1, y1), (x2, y2) in zip(ring, ring[1:]):
            if (y1 > y) != (y2 > y) and x < x1 + (y - y1) * (x2 - x1) / (y2 - y1):
                inside = not inside
    return inside


def county_of(counties, lat, lon):
    for code, rings, west, east, south, north in counties:
        if west <= lon <= east and south <= lat <= north and is_inside(rings, lon, lat):
            return code
    return "-"


def ask_geos(program, boundaries, points):
    run = subprocess.run([program, boundaries], input="".join(f"{lat!r} {lon!r}\n" for lat, lon in points),
                         capture_output=True, text=True, check=False)
    print(run.stderr.strip())
    if run.returncode != 0:
        sys.exit("place_points failed")
    return run.stdout.split()


def main():
    program = sys.argv[1]
    data = os.environ.get("JUKWAA_TEST_DATA") or sys.argv[2]
    boundaries = os.path.join(data, "geo/kenya_counties_osm.geojson")
    crashes_path = os.path.join(data, "incidents/kenya_ma3route_crashes_2012_2023.csv")
    if not os.path.exists(boundaries) or not os.path.exists(crashes_path):
        print(f"skipped: no data set at {data} (JUKWAA_TEST_DATA)")
        sys.exit(77)
    counties = load_counties(boundaries)
    with open(crashes_path, encoding="utf-8", newline="") as file:
        crashes = [(float(row["latitude"]), float(row["longitude"])) for row in csv.DictReader(file)]
    source = random.Random(47)
    anywhere = [(source.uniform(-5, 5.5), source.uniform(33.5, 42)) for _ in range(5000)]

    wrong = 0
    for name, points in (("crashes", crashes), ("anywhere", anywhere)):
        found = ask_geos(program, boundaries, points)
        known = {}
        for (lat, lon), theirs in zip(points, found):
            if (lat, lon) not in known:
                known[lat, lon] = county_of(counties, lat, lon)
            if theirs != known[lat, lon]:
                print(f"{name}: {lat} {lon}: GEOS says {theirs}, ray casting {known[lat, lon]}")
                wrong += 1
        wrong += len(found) != len(points)
        counts = collections.Counter(found)
        print(name, len(found), "points:", *(f"{code}:{count}" for code, count in counts.most_common(15)))
        if name == "crashes":
            right = len(counts) == 13 and len(found) == 20710 and all(counts[c] == n for c, n in EXPECTED.items())
            wrong += not right
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
