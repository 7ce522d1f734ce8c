#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""report.py STACKD_LAB: the page of `sweep -o` is one file that asks for nothing, its plots hold what the
JSON of the same sweep says, and the same seeds give the same page."""

import json
import os
import re
import subprocess
import sys
import tempfile

SWEEP = ["sweep", "--recovery", "gbn,sack", "--loss", "0,2%", "--rtt", "20ms,60ms", "--size", "200KB", "--seeds", "1..3"]


def run(lab, folder, number):
    page, data = (os.path.join(folder, f"{number}.{kind}") for kind in ("html", "json"))
    subprocess.run([lab, *SWEEP, "-o", page, "--json", data, "--jobs", "2"], check=True, stdout=subprocess.DEVNULL)
    with open(page, encoding="utf-8") as f, open(data, encoding="utf-8") as g:
        return f.read(), json.load(g)


def main():
    with tempfile.TemporaryDirectory() as folder:
        page, points = run(sys.argv[1], folder, 1)
        again, _ = run(sys.argv[1], folder, 2)
    plots = [json.loads(p) for p in re.findall(r'<script type="application/json">(.*?)</script>', page)]
    goodput = [p for p in plots if p["title"].startswith("Goodput")]
    want = {(p["recovery"], p["loss"] * 100, p["rtt_ms"]): p["goodput_bps"]["median"] / 1e6 for p in points}
    got = {(s["name"], x, float(re.search(r"rtt (\d+)ms", p["title"])[1])): y
           for p in goodput for s in p["series"] for x, y in zip(s["x"], s["y"])}
    titles = " ".join(p["title"] for p in plots)
    expected = [
        ("a plot of goodput for each round trip", len(goodput) == 2),
        ("the medians", got.keys() == want.keys() and all(abs(got[k] - want[k]) < 0.001 for k in want)),
        ("course, window and round trip at both losses", len(plots) == 2 + 2 * 3 and "Congestion window" in titles),
        ("times that ascend", all(s["x"] == sorted(s["x"]) and len(s["x"]) == len(s["y"]) > 1
                                  for p in plots for s in p["series"])),
        ("all but the last bytes", all(s["y"][-1] > 0.1 for p in plots if p["title"].startswith("Bytes")
                                     for s in p["series"])),
        ("nothing from elsewhere", not re.search(r'(src|href)\s*=|url\(|@import', page.split("<script>")[0])),
        ("uPlot and its licence", "uPlot" in page and "Permission is hereby granted" in page),
        ("the same page again", page == again),
    ]
    wrong = [what for what, holds in expected if not holds]
    print(f"wrong: {', '.join(wrong)}" if wrong else f"{len(plots)} plots")
    sys.exit(bool(wrong))


main()
