#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws the charts of an attnsim database as PNG and SVG, at one and two column widths.

    scripts/charts.py out/main-job.sqlite --out out/charts
    scripts/charts.py out/validate.sqlite --out out/charts --kind scatter
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from attnsim_charts import data, errors, roofline, scatter, staircase, style, sweep  # noqa: E402

KINDS = {"roofline": roofline, "staircase": staircase, "scatter": scatter, "errors": errors, "sweep": sweep}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database", help="SQLite file that attnsim wrote")
    parser.add_argument("--out", required=True, type=Path, help="folder for the files; made if missing")
    parser.add_argument("--kind", choices=[*KINDS, "all"], default="all", help="what to draw (default: all that the database has data for)")
    arguments = parser.parse_args()
    style.use_style()
    try:
        database = data.Database(arguments.database)
    except data.DatabaseError as error:
        print(error, file=sys.stderr)
        return 2
    arguments.out.mkdir(parents=True, exist_ok=True)
    kinds = KINDS if arguments.kind == "all" else {arguments.kind: KINDS[arguments.kind]}
    drawn = 0
    for kind, module in kinds.items():
        for width in style.WIDTHS_MM:
            for name, figure in module.figures(database, width):
                for path in style.save(figure, arguments.out, f"{name}-{width}mm"):
                    print(path)
                    drawn += 1
    if drawn == 0:
        print(f"{arguments.database}: nothing to draw for {', '.join(kinds)}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
