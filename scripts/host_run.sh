#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# host_run.sh OUT [full|quick|smoke]: measures this processor in about a minute, on a machine that does nothing else: kernels checked,
# microbenchmarks, plan. Rows, overlay and log go to OUT (validation/measurements/NAME), in place of those that lie there.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:?folder of the results}
plan=${2:-full}
scripts/build.sh dev attnsim-bench attnsim >/dev/null
bench=build/dev/attnsim-bench
awk -v cores="$(nproc)" '$1 > 0.5 * cores { print "load average " $1 ": what other programs take is in these rows" }' /proc/loadavg
mkdir -p "$out"
rm -f "$out/rows.jsonl"
{
  date --iso-8601=seconds
  git describe --always --dirty
  lscpu | grep -E '^(CPU\(s\)|Model name|Thread|Hypervisor|L[123])' || true
  uptime
  echo '== check'
  "$bench" --backend host --check | tail -1
  echo '== microbenchmarks'
  "$bench" --backend host --micro --overlay "$out/overlay.json"
  echo "== plan $plan"
  "$bench" --backend host --plan "$plan" --out "$out/rows.jsonl"
  uptime
} 2>&1 | tee "$out/run.log"
build/dev/attnsim validate --measured "$out" --quiet | tail -24
