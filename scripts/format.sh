#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# format.sh [--check]: formats every C++ and CUDA file with clang-format 14, or only names those that would change (exit code 1).
set -euo pipefail
cd "$(dirname "$0")/.."
format=$(command -v clang-format-14 || command -v clang-format)
mode=(-i)
[ "${1:-}" != --check ] || mode=(--dry-run -Werror)
find sim hwmodels workloads validation tests \( -name '*.h' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cuh' \) -print0 2>/dev/null | sort -z |
  xargs -0 -n 20 "$format" "${mode[@]}"
