#!/usr/bin/env bash
# Make the environment .venv with the packages of requirements.txt.
# usage: tools/install.sh PYTHON
set -euo pipefail
python=$1

fail() {
  echo "error: $*" >&2
  exit 1
}

version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])') ||
  fail "cannot run $python; name a Python 3.11, 3.12 or 3.13 as in: make book PYTHON=python3.12"
case $version in
  3.11 | 3.12 | 3.13) ;;
  *) fail "$python is Python $version, the book needs 3.11, 3.12 or 3.13; name one as in: make book PYTHON=python3.12" ;;
esac
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
  fail "$python lacks venv, which makes environments; on Debian and Ubuntu: apt install python$version-venv"

# An environment of the same version is brought up to date, any other is replaced.
config=.venv/pyvenv.cfg
if ! .venv/bin/python -m pip --version >/dev/null 2>&1 || ! grep -q "^version = $version\." "$config"; then
  echo "Making .venv with Python $version; the packages are some gigabytes, once."
  "$python" -m venv --clear .venv
fi
.venv/bin/python -m pip install --requirement requirements.txt
.venv/bin/python -m pip install --no-deps d2l==1.0.3 ||
  echo "d2l was not installed: the tests that compare with it will be skipped." >&2
touch .venv/installed
