#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws what `attnsim tune ... --out TUNE.json` wrote: sparsity against time, as PNG and SVG, at one and two column widths.

    scripts/tune_chart.py tune.json --out out/charts
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from attnsim_charts import style, tune  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tuning", type=Path, help="JSON file of attnsim tune")
    parser.add_argument("--out", required=True, type=Path, help="folder for the files; made if missing")
    arguments = parser.parse_args()
    try:
        tuning = json.loads(arguments.tuning.read_text())
    except (OSError, ValueError) as error:
        print(f"{arguments.tuning}: {error}", file=sys.stderr)
        return 2
    style.use_style()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for width in style.WIDTHS_MM:
        for path in style.save(tune.draw(tuning, width), arguments.out, f"tune-{style.slug(arguments.tuning.stem)}-{width}mm"):
            print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
