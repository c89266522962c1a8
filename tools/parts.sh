#!/usr/bin/env bash
# Run all parts, whichever of them fail, then fail with the list of those.
# usage: tools/parts.sh NAME COMMAND [NAME COMMAND ...]
failed=()
while [ $# -gt 0 ]; do
  printf '\n== %s: %s\n' "$1" "$2"
  start=$SECONDS
  if bash -c "$2"; then word=passed; else word=FAILED failed+=("$1"); fi
  printf '== %s %s after %d s\n' "$1" "$word" $((SECONDS - start))
  shift 2
done
if [ ${#failed[@]} -gt 0 ]; then
  printf '\nFAILED: %s\n' "$(IFS=,; echo "${failed[*]}" | sed 's/,/, /g')" >&2
  exit 1
fi
