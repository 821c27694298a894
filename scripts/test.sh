#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# All tests: sets up, configures, builds, runs them. Arguments go to ctest (`scripts/test.sh -L store`).
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh
scripts/build.sh dev
ctest --preset dev "$@"
