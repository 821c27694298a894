#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# gpu_run.sh [OUT [quick|full]]: everything on a machine with a GPU, in about ten minutes: builds, checks every kernel, runs the
# microbenchmarks (those that settle open questions first), times the plan, then PyTorch where it is, and holds it all against predictions.
# Results and log go to OUT (default validation/measurements/DEVICE); `attnsim calibrate CHIP --measured OUT` fits the chip to them. What fails is named at the end and stops nothing after it.
set -uo pipefail
cd "$(dirname "$0")/.."
device=$(nvidia-smi --query-gpu=name --format=csv,noheader -i 0 | tr 'A-Z ' 'a-z-')
[ -n "$device" ] || { echo "no GPU: nvidia-smi lists none"; exit 2; }
out=${1:-validation/measurements/$device}
plan=${2:-full}
mkdir -p "$out"
exec > >(tee "$out/run.log") 2>&1
failed=()
step() {
  local name=$1 start=$SECONDS
  shift
  printf '== %s\n' "$name"
  "$@" || failed+=("$name")
  printf '== %s: %d s\n' "$name" $((SECONDS - start))
}

nvidia-smi
date --iso-8601=seconds
git describe --always --dirty
step configure cmake --preset dev -DATTNSIM_CUDA_BENCH=ON
step build scripts/build.sh dev attnsim-bench attnsim
bench=build/dev/attnsim-bench
[ -x "$bench" ] || exit 1
step check timeout 120 "$bench" --backend cuda --check
if command -v compute-sanitizer >/dev/null; then
  step sanitizer timeout 60 compute-sanitizer --error-exitcode 1 "$bench" --backend cuda --check --shapes 1
fi
step microbenchmarks timeout 150 "$bench" --backend cuda --micro --seconds 0.1 --overlay "$out/overlay.json"
step "plan $plan" timeout 300 "$bench" --backend cuda --plan "$plan" --out "$out/rows.jsonl"
if python3 -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null; then
  step pytorch timeout 180 python3 scripts/torch_rows.py --out "$out/torch.jsonl"
fi
step validate timeout 300 build/dev/attnsim validate --measured "$out" --quiet
if [ ${#failed[@]} -gt 0 ]; then
  printf 'FAILED: %s\n' "${failed[*]}"
  exit 1
fi
