#!/usr/bin/env bash
# Holds docs/security.md to the tree: every test that it names is there.
set -euo pipefail
cd "$(dirname "$0")/.."

failed=0
# Names of tests are the only words with four underscores and more.
for name in $(grep -oE '[a-z0-9]+(_[a-z0-9]+){4,}' docs/security.md | sort -u); do
  grep -rqE "fn $name\b" crates tests src-tauri --include='*.rs' ||
    { echo "docs/security.md names the test $name, which is not there." >&2; failed=1; }
done
[ "$failed" -eq 0 ] && echo "The tests that docs/security.md names are there." >&2
exit "$failed"
