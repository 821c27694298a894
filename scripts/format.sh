#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# format.sh [--check]: formats every C++ and CUDA file with clang-format 14, or only names those that would change (exit code 1).
set -euo pipefail
cd "$(dirname "$0")/.."
format=$(command -v clang-format-14 || command -v clang-format)
changed=0
while IFS= read -r -d '' file; do
  if "$format" --dry-run -Werror "$file" >/dev/null 2>&1; then continue; fi
  changed=1
  printf '%s\n' "$file"
  [ "${1:-}" = --check ] || "$format" -i "$file"
done < <(find sim hwmodels workloads validation tests bench \( -name '*.h' -o -name '*.inc' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cuh' \) -print0 | sort -z)
if [ "${1:-}" = --check ] && [ $changed -ne 0 ]; then
  echo "scripts/format.sh mends these"
  exit 1
fi
