#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes README.md's accuracy table from validation/accuracy.json (`attnsim validate --write-accuracy validation/accuracy.json`).

    scripts/accuracy_table.py           # rewrites the part of README.md between the markers
    scripts/accuracy_table.py --check   # exit code 1 if that would change it

Kept-out rows are the half of a file that no fit has seen; their error stands in a column of its own. Files with many kernels
have one line per device.
"""

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- accuracy:begin -->", "<!-- accuracy:end -->"
BY_DEVICE = {"attention_published.csv", "gemm.csv", "natten_profiler.csv"}
HEAD = ("measurements", "device", "kernel, phase", "rows", "error, all rows", "error above 50 µs", "**kept-out rows**",
        "error, **kept out**", "spec roofline", "fitted roofline")


def percent(entry, key="mape"):
    value = entry.get(key) if entry else None
    return "–" if value is None else f"{value:.1f} %"


def count(entry):
    if not entry:
        return "–"
    return f"{entry['rows']} ({entry['unmapped']} unmapped)" if entry.get("unmapped") else str(entry["rows"])


def table(document):
    entries = document.get("entries") or document.get("groups") or []
    by_key = {}
    for entry in entries:
        group = (entry["file"], entry["device"], entry["kernel"], entry["phase"])
        by_key.setdefault(group, {})[entry.get("split", "all"), entry["band"]] = entry
    lines = ["| " + " | ".join(HEAD) + " |", "|" + " --- |" * 3 + " ---: |" * (len(HEAD) - 3)]
    for (file, device, kernel, phase), found in by_key.items():
        whole, long, kept = found.get(("all", "all")), found.get(("all", "gt_50us")), found.get(("test", "all"))
        if not whole or not whole["rows"] or (file in BY_DEVICE and kernel != "all"):
            continue
        name = "**all**" if kernel == "all" else ", ".join(filter(None, (kernel, phase)))
        cells = (file, device, name, count(whole), percent(whole), percent(long), count(kept), percent(kept),
                 percent(whole, "roofline_mape"), percent(whole, "fitted_roofline_mape"))
        lines.append("| " + " | ".join(cells) + " |")
    version = document.get("model_version")
    note = ["", f"Mean absolute percentage errors of {version}; an unmapped row counts as 100 %. Kept-out rows took part in no "
            "search for values; the model's structure was chosen with them in view. Unmapped are mostly backward passes and selections of "
            "blocks (attention_published.csv). FlashInfer's rows of CUTLASS' kernel there stand under B200; their source measured them on a "
            "B300, for which they are predicted (`measured_on` of a kernel map entry). The fitted roofline has three parameters per device and phase, fitted to the very rows it is judged on."] if version else []
    return "\n".join(lines + note)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accuracy", type=Path, default=ROOT / "validation" / "accuracy.json")
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md")
    parser.add_argument("--check", action="store_true", help="change nothing, only say whether README.md is up to date")
    arguments = parser.parse_args()
    text = arguments.readme.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        print(f"{arguments.readme}: needs one {BEGIN} and one {END}", file=sys.stderr)
        return 2
    if arguments.accuracy.exists():
        body = table(json.loads(arguments.accuracy.read_text(encoding="utf-8")))
    else:
        body = "Not validated yet: validation/accuracy.json does not exist."
    before, rest = text.split(BEGIN)
    new = f"{before}{BEGIN}\n{body}\n{END}{rest.split(END)[1]}"
    if arguments.check:
        if new != text:
            print(f"{arguments.readme}: accuracy table is out of date; run scripts/accuracy_table.py", file=sys.stderr)
        return int(new != text)
    arguments.readme.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
