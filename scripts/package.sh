#!/usr/bin/env bash
# Makes an installable package of the desktop program with the engine beside it, as a sidecar.
# Argument: the kind of bundle; without one, a Debian package.
set -euo pipefail
. "$(dirname "$0")/env.sh"

"$root/scripts/setup.sh"
. "$root/scripts/env.sh"
cd "$root"
"$root/scripts/build-page.sh"
say "Building the engine"
cargo build --locked --release -p cli
# Tauri wants a sidecar named by its platform, and takes that off again in the package.
host="$(rustc -vV | sed -n 's/^host: //p')"
mkdir -p gen/sidecar
cp "$CARGO_TARGET_DIR/release/mbti" "gen/sidecar/mbti-$host"
say "Packaging"
ui/node_modules/.bin/tauri build --bundles "${1:-deb}" --config src-tauri/package.conf.json -- --locked
find "$CARGO_TARGET_DIR/release/bundle" -type f -name '*.deb' -newer "gen/sidecar/mbti-$host"
