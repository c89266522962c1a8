#!/usr/bin/env bash
# Write the .lock files: every package that the requirements bring along, for every
# supported Python and system, with the hashes of its files.
# usage: tools/lock.sh [--upgrade]   --upgrade: the newest of what is not pinned
set -euo pipefail

compile() {
  .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
    --no-annotate --no-header "$@"
}

compile requirements.txt --output-file requirements/all.lock "${@}"
compile requirements/site.txt --constraint requirements/all.lock --output-file requirements/site.lock
compile requirements/peer.txt --no-deps --output-file requirements/peer.lock
compile requirements/uv.txt --output-file requirements/uv.lock
