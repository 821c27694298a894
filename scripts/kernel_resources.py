#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kernel_resources.py FOLDER [--check]: registers, spills and stack of every kernel, from the compiler's reports FOLDER/*.txt.

With --check exit code 1 if a kernel of validation/cuda/kernels spills more than a register or two (16 bytes; counting instances may), or if a report names no kernel."""

import pathlib
import re
import sys

ENTRY = re.compile(r"Compiling entry function '(\w+)' for '(\w+)'")
FRAME = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
USED = re.compile(r"Used (\d+) registers")
COUNTING = re.compile(r"FusedTileI.*Lb1ELi4E")  # FusedTile<..., kCounts = true, 4>: never timed


def kernels(text):
    name = architecture = None
    frame = (0, 0, 0)
    for line in text.splitlines():
        if match := ENTRY.search(line):
            name, architecture = match.groups()
            frame = (0, 0, 0)
        elif match := FRAME.search(line):
            frame = tuple(int(x) for x in match.groups())
        elif (match := USED.search(line)) and name:
            yield name, architecture, int(match.group(1)), frame
            name = None


def main():
    folder = pathlib.Path(sys.argv[1])
    reports = sorted(folder.glob("*.txt"))
    if not reports:
        sys.exit(f"{folder} holds no report")
    bad = 0
    for report in reports:
        rows = list(kernels(report.read_text()))
        hot = report.name.startswith("kernels_")
        if hot and not rows:
            print(f"{report.name}: names no kernel")
            bad += 1
        for name, architecture, registers, (stack, stores, loads) in rows:
            spills = stack + stores + loads > 0
            bad += hot and stores + loads > 16 and not COUNTING.search(name)
            if hot or spills:
                mark = "  SPILLS" if spills else ""
                print(f"{report.name:34} {architecture:7} {registers:4} registers {stack:4} B stack {stores:4} B stored {loads:4} B loaded{mark}  {name[-60:]}")
    if bad and "--check" in sys.argv:
        sys.exit(f"{bad} kernels spill")


main()
