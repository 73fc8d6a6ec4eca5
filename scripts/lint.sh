#!/usr/bin/env bash
# Formatting, clippy with warnings as errors, svelte-check, and cargo-deny.
set -euo pipefail
. "$(dirname "$0")/env.sh"

"$root/scripts/setup.sh"
. "$root/scripts/env.sh"
cd "$root"
"$root/scripts/build-page.sh"
say "rustfmt"
cargo fmt --all --check
say "clippy"
cargo clippy --locked --workspace --all-targets --quiet -- -D warnings
say "svelte-check"
(cd ui && npm run --silent check)
say "cargo deny"
command -v cargo-deny >/dev/null 2>&1 || cargo install --quiet --locked cargo-deny@0.20.2
# Advisories need a database from the network, so that they are a check of their own.
cargo deny --locked --log-level error check licenses bans sources
