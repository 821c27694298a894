#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what a fresh Debian 12 lacks: packages to build with, and .venv with matplotlib for the charts. Safe to run again: what is there
# is left alone. Asks nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(
  build-essential cmake ninja-build ccache git ca-certificates clang-format-14
  libboost-dev libboost-graph-dev libeigen3-dev libsqlite3-dev libsqlitecpp-dev nlohmann-json3-dev libfmt-dev libcli11-dev
  libvalijson-dev libtbb-dev catch2 librapidcheck-dev libbenchmark-dev
  python3 python3-venv
)
say() { printf 'setup: %s\n' "$*"; }

install_packages() {
  local -a as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! sudo -n true 2>/dev/null; then
      say "these Debian packages are missing and only root may install them: $*"
      say "as root: apt-get install --no-install-recommends $*"
      return 1
    fi
    as_root=(sudo -n)
  fi
  say "installing $*"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

if command -v dpkg-query >/dev/null; then
  missing=()
  for package in "${packages[@]}"; do
    state=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing+=("$package")
  done
  if [ ${#missing[@]} -gt 0 ]; then install_packages "${missing[@]}"; else say "all Debian packages are there"; fi
else
  say "not a Debian system: please provide what these packages hold: ${packages[*]}"
fi

# A python3 of pyenv or conda on the PATH may lack venv or SQLite; Debian's own has both.
python=/usr/bin/python3
[ -x "$python" ] || python=$(command -v python3)
stamp=.venv/attnsim-requirements.txt
if cmp -s scripts/requirements.txt "$stamp" && .venv/bin/python -c 'import matplotlib' 2>/dev/null; then
  say "Python environment .venv is up to date"
  exit 0
fi
say "making the Python environment .venv for the charts"
rm -rf .venv
"$python" -m venv .venv
if .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input -r scripts/requirements.txt; then
  cp scripts/requirements.txt "$stamp"
else
  say "the pinned Python packages can't be had; taking Debian's matplotlib instead"
  "$python" -c 'import matplotlib' 2>/dev/null || install_packages python3-matplotlib
  rm -rf .venv
  "$python" -m venv --system-site-packages .venv
fi
.venv/bin/python -c 'import matplotlib; print("setup: charts use matplotlib", matplotlib.__version__)'
