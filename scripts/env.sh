# Sourced by the other scripts: where tools and builds lie.

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cache="${XDG_CACHE_HOME:-$HOME/.cache}/mbti-tuner"
# One target folder for all checkouts, so that a second clone builds no dependency again.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$cache/target}"
# What setup.sh installs comes last, so that tools that are already there win.
export PATH="$PATH:$HOME/.cargo/bin:$cache/tools/bin"

say() { printf '\n\033[1m%s\033[0m\n' "$*" >&2; }

# version_at_least HAVE WANT
version_at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

rust_is_good() {
  command -v cargo >/dev/null 2>&1 && version_at_least "$(rustc --version 2>/dev/null | cut -d' ' -f2)" 1.95.0
}

node_is_good() {
  command -v npm >/dev/null 2>&1 && version_at_least "$(node --version 2>/dev/null | tr -d v)" 20.19.0
}

# A Node of the system's that is too old must not stand before the one that setup.sh installed.
if [ -x "$cache/tools/bin/node" ] && ! node_is_good; then
  export PATH="$cache/tools/bin:$PATH"
fi

# python_of NAME REQUIREMENTS WORDS: the Python of a virtual environment in the cache, made or brought up to date
# where it is not as the file of requirements wants it; the words tell what is installed then.
python_of() {
  local venv="$cache/$1" wanted="$2"
  if ! cmp -s "$wanted" "$venv/requirements.txt"; then
    say "$3"
    [ -x "$venv/bin/python" ] || python3 -m venv "$venv" >&2
    "$venv/bin/pip" install -q --disable-pip-version-check -r "$wanted" >&2
    cp "$wanted" "$venv/requirements.txt"
  fi
  echo "$venv/bin/python"
}

# Another checkout that shares the target folder leaves programs with its own paths in them, which Cargo takes for
# this one's where the sources here are no newer. So these become new whenever the checkout changes.
own_sources() {
  local mark="$CARGO_TARGET_DIR/checkout"
  if [ "$(cat "$mark" 2>/dev/null)" != "$root" ]; then
    mkdir -p "$CARGO_TARGET_DIR"
    (cd "$root" && find crates src-tauri tests -name '*.rs' -exec touch {} +)
    echo "$root" >"$mark"
  fi
}
own_sources
