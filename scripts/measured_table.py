#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes README.md's table of our own measurements from `attnsim --json validate --measured`.

    attnsim --json validate --measured > rows.json
    scripts/measured_table.py rows.json           # rewrites the part of README.md between the markers
    scripts/measured_table.py rows.json --check   # exit code 1 if that would change it
    scripts/measured_table.py rows.json --print   # only prints the table

Test rows are the half, by a hash of device, kernel and problem, that no calibration may use.
"""

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- measured:begin -->", "<!-- measured:end -->"
HEAD = ("device", "kernel", "rows", "test rows", "error", "error, **test**", "cycle error", "speedups over dense", "speedup error")


def mean(values):
    values = [value for value in values if value is not None]
    return sum(values) / len(values) if values else None


def error(predicted, measured):
    return None if predicted is None or measured is None else 100 * abs(predicted / measured - 1)


def percent(value):
    return "–" if value is None else f"{value:.1f} %"


def line(device, kernel, rows):
    def times(part):  # an unmapped row counts as 100 %
        return mean([100 if row["predicted_us"] is None else error(row["predicted_us"], row["measured_us"]) for row in part])

    test = [row for row in rows if row["split"] == "test"]
    speedups = [row for row in rows if row["speedup"] is not None]
    cells = (device, kernel, str(len(rows)), str(len(test)), percent(times(rows)), percent(times(test)),
             percent(mean([error(row["predicted_at_clock_us"], row["measured_us"]) for row in rows])), str(len(speedups)),
             percent(mean([error(row["predicted_speedup"], row["speedup"]) for row in speedups])))
    return "| " + " | ".join(cells) + " |"


def table(document):
    lines = ["| " + " | ".join(HEAD) + " |", "| --- | --- |" + " ---: |" * (len(HEAD) - 2)]
    stale = 0
    for device in document["devices"]:
        rows = [row for row in device["rows"] if not row["stale"]]
        stale += len(device["rows"]) - len(rows)
        for kernel in sorted({row["kernel"] for row in rows}):
            lines.append(line(device["device"], kernel, [row for row in rows if row["kernel"] == kernel]))
    if len(lines) == 2:
        return "No measurements of our own yet."
    if stale:
        lines += ["", f"{stale} rows are stale (their kernel's source has changed since) and left out."]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path)
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md")
    parser.add_argument("--check", action="store_true", help="change nothing, only say whether README.md is up to date")
    parser.add_argument("--print", action="store_true", help="print the table and change nothing")
    arguments = parser.parse_args()
    body = table(json.loads(arguments.rows.read_text(encoding="utf-8")))
    if arguments.print:
        print(body)
        return 0
    text = arguments.readme.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        print(f"{arguments.readme}: needs one {BEGIN} and one {END}", file=sys.stderr)
        return 2
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
