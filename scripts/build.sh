#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# build.sh [PRESET [TARGET...]]: configures and builds a preset (default dev, everything), with ccache where it is installed.
set -euo pipefail
cd "$(dirname "$0")/.."
preset=${1:-dev}
shift || true
if command -v ccache >/dev/null; then export CMAKE_CXX_COMPILER_LAUNCHER=ccache; fi
cmake --preset "$preset" >/dev/null || { rm -rf "build/$preset"; cmake --preset "$preset"; }
targets=()
[ $# -eq 0 ] || targets=(--target "$@")
cmake --build --preset "$preset" "${targets[@]}"
