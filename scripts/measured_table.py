#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes README.md's table of our own measurements from validation/measured.json.

    attnsim validate --measured --write-accuracy validation/measured.json
    scripts/measured_table.py           # rewrites the part of README.md between the markers
    scripts/measured_table.py --check   # exit code 1 if that would change it, 77 if README.md has no markers
    scripts/measured_table.py --print   # only prints the table

Test rows are the half, by a hash of device, kernel and problem, that no calibration may use.
"""

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- measured:begin -->", "<!-- measured:end -->"
COLUMNS = {"device": None, "kernel": "kernel", "rows": "rows", "error": "error_percent", "test rows": "test_rows",
           "error, **test rows**": "test_error_percent", "in cycles": "cycle_error_percent", "in the clock": "clock_error_percent",
           "speedups over dense": "speedups", "their error": "speedup_error_percent"}


def cell(value, key):
    if value is None:
        return "–"
    return f"{value:.1f} %" if key.endswith("_percent") else str(value)


def line(device, group):
    cells = [device if key is None else cell(group[key], key) for key in COLUMNS.values()]
    if group["unmapped"]:
        cells[2] += f" ({group['unmapped']} unmapped)"
    return "| " + " | ".join(cells) + " |"


def table(document):
    lines = ["| " + " | ".join(COLUMNS) + " |", "| --- | --- |" + " ---: |" * (len(COLUMNS) - 2)]
    lines += [line(device["device"], group) for device in document["devices"] for group in device["kernels"]]
    if len(lines) == 2:
        return "No measurements of our own yet."
    lines += ["", f"Mean absolute percentage errors of {document['version']}; an unmapped row counts as 100 %."]
    if stale := sum(device["stale_rows"] for device in document["devices"]):
        lines[-1] += f" {stale} rows are stale (their kernel's source has changed since) and left out."
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accuracy", type=Path, default=ROOT / "validation" / "measured.json")
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md")
    parser.add_argument("--check", action="store_true", help="change nothing, only say whether README.md is up to date")
    parser.add_argument("--print", action="store_true", help="print the table and change nothing")
    arguments = parser.parse_args()
    body = table(json.loads(arguments.accuracy.read_text(encoding="utf-8")))
    if arguments.print:
        print(body)
        return 0
    text = arguments.readme.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        print(f"{arguments.readme}: needs one {BEGIN} and one {END}", file=sys.stderr)
        return 77 if arguments.check else 2
    before, rest = text.split(BEGIN)
    new = f"{before}{BEGIN}\n{body}\n{END}{rest.split(END)[1]}"
    if arguments.check:
        if new != text:
            print(f"{arguments.readme}: the table of measurements is out of date; run scripts/measured_table.py", file=sys.stderr)
        return int(new != text)
    arguments.readme.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
