#!/usr/bin/env bash
# Installs what the tests need and passes them all, the real window under Xvfb among them.
set -euo pipefail
. "$(dirname "$0")/env.sh"

"$root/scripts/setup.sh" test
. "$root/scripts/env.sh"
"$root/scripts/check-dependencies.sh"
python3 "$root/scripts/check-circles.py"
python3 "$root/scripts/kernel-table.py"
"$root/scripts/check-security.sh"
"$root/scripts/build-page.sh"
cd "$root/ui"
say "Testing the page"
npm run --silent check
npm run --silent test
cd "$root"
# This builds the engine and the desktop program too, for the tests that run them. To build them
# by themselves first would build many dependencies twice, with other features.
# The Hub's own Python clients hold the small Hub of the tests, and us, to what the real one does.
MBTI_HUB_PYTHON="$("$root/scripts/hub-python.sh")"
export MBTI_HUB_PYTHON
"$MBTI_HUB_PYTHON" "$root/tests/reference/test_multilingual_e5.py"
# A keyring that would ask somebody for a password must not hold the tests; the one test of keyrings has its own.
export MBTI_KEYRING=off
say "Testing the Rust side and the window"
xvfb-run --auto-servernum --server-args="-screen 0 1280x900x24" \
  dbus-run-session -- cargo test --locked --workspace --no-fail-fast
"$root/scripts/gpu-tests.sh"
say "Looking whether the TypeScript records are those of Rust"
git diff --exit-code --stat -- ui/src/lib/backend/types ||
  { echo "The Rust records have changed: commit ui/src/lib/backend/types." >&2; exit 1; }
untracked="$(git ls-files --others --exclude-standard -- ui/src/lib/backend/types)"
[ -z "$untracked" ] || { echo "Commit these records: $untracked" >&2; exit 1; }
