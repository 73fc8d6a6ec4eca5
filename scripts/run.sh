#!/usr/bin/env bash
# Installs what is missing, builds a release, and opens the program; with no display it does the
# main job in the terminal instead.
set -euo pipefail
. "$(dirname "$0")/env.sh"

"$root/scripts/setup.sh"
. "$root/scripts/env.sh"
"$root/scripts/build.sh" release
engine="$CARGO_TARGET_DIR/release/mbti"
if [ -z "${DISPLAY:-}" ] && [ -z "${WAYLAND_DISPLAY:-}" ]; then
  exec "$root/scripts/main-job.sh" "$engine"
fi
"$root/scripts/add-starter.sh" "$engine" >/dev/null
say "Opening the window"
exec "$CARGO_TARGET_DIR/release/mbti-tuner"
