#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The main job from a fresh clone: sets up, builds, predicts the shipped workloads, sweeps them over what-if chips, draws the charts.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-out}

scripts/setup.sh
scripts/build.sh dev attnsim
mkdir -p "$out"
attnsim=build/dev/attnsim
database=$out/main-job.sqlite
"$attnsim" run workloads/configs/main-job.json --db "$database"
"$attnsim" sweep workloads/configs/main-sweep.json --db "$database"
.venv/bin/python scripts/charts.py "$database" --out "$out/charts" >"$out/charts.txt"
printf '\ndatabase  %s\ncharts    %s\n' "$database" "$out/charts"
sed 's/^/          /' "$out/charts.txt"
rm "$out/charts.txt"
