#!/usr/bin/env bash
# Make the environment .venv, or bring it up to date, from the lock files in requirements/.
# usage: tools/install.sh site|all PYTHON [INDEX]
#   site   what `make book` needs;  all   that, PyTorch, and what the tests need
#   INDEX  address of a package index with PyTorch's builds for the CPU (a tenth of the size)
set -euo pipefail
what=$1 python=$2 index=${3:-}

fail() {
  echo "error: $*" >&2
  exit 1
}

version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])') ||
  fail "cannot run $python; name a Python 3.11, 3.12, 3.13 or 3.14 as in: make book PYTHON=python3.12"
case $version in
  3.11 | 3.12 | 3.13 | 3.14) ;;
  *) fail "$python is Python $version, the book needs 3.11, 3.12, 3.13 or 3.14; name one as in: make book PYTHON=python3.12" ;;
esac
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
  fail "$python lacks venv, which makes environments; on Debian and Ubuntu: apt install python$version-venv"

# An environment of the same version is brought up to date, any other is replaced.
if ! grep -q "^version = $version\." .venv/pyvenv.cfg 2>/dev/null ||
  ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
  test ! -e .venv || echo "Replacing .venv, which is not Python $version with pip."
  echo "Making .venv with Python $version."
  "$python" -m venv --clear .venv
fi
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/uv.lock

# The locks are complete and hold a hash for every file: nothing is left to resolve.
locked() {
  .venv/bin/uv pip install --python .venv/bin/python --no-deps --require-hashes "$@"
}

if [ "$what" = site ]; then
  locked --quiet --requirement requirements/site.lock
elif [ -z "$index" ]; then
  locked --requirement requirements/all.lock --requirement requirements/peer.lock
else
  rest=$(mktemp)
  trap 'rm -f "$rest"' EXIT
  awk '/^[^ ]/ { skip = /^(torch|torchvision|triton|nvidia|cuda)[-=]/ } !skip' requirements/all.lock >"$rest"
  locked --requirement "$rest" --requirement requirements/peer.lock
  # No other index is asked, and what these two need is there: nothing large comes along.
  # shellcheck disable=SC2046  # two requirements
  .venv/bin/uv pip install --python .venv/bin/python --no-deps --default-index "$index" \
    $(grep -E '^(torch|torchvision)==' requirements.txt) ||
    fail "PyTorch's CPU build was not installed from $index: give the address of an index that has it"
fi
touch .venv/site
test "$what" = site || touch .venv/installed
