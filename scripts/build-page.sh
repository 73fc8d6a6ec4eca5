#!/usr/bin/env bash
# Installs the page's packages, where the lock file has changed, and builds ui/dist.
set -euo pipefail
. "$(dirname "$0")/env.sh"
cd "$root/ui"

stamp=node_modules/.installed-lock
if ! cmp -s package-lock.json "$stamp"; then
  say "Installing the page's packages"
  npm ci --no-audit --no-fund --loglevel=error
  cp package-lock.json "$stamp"
fi
say "Building the page"
npm run --silent build
