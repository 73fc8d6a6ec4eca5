#!/usr/bin/env bash
# Holds the crates to ARCHITECTURE.md: which of them must never depend on what.
set -euo pipefail
. "$(dirname "$0")/env.sh"
cd "$root"

failed=0
# never PACKAGE OTHER: PACKAGE must not depend on OTHER, directly or through anything.
never() {
  if cargo tree --locked --quiet -p "$1" -e normal --prefix none --format '{p}' | cut -d' ' -f1 | grep -qx "$2"; then
    echo "$1 depends on $2, which ARCHITECTURE.md forbids:" >&2
    cargo tree --locked --quiet -p "$1" -e normal -i "$2" >&2 || true
    failed=1
  fi
}
# only PACKAGE OURS...: of our own crates PACKAGE may directly depend on these and no others.
only() {
  local package="$1" found; shift
  found="$(cargo tree --locked --quiet -p "$package" -e normal --depth 1 --prefix none --format '{p}' |
    awk '/\(\//{print $1}' | grep -vx "$package" | sort | tr '\n' ' ' || true)"
  for ours in $found; do
    case " $* " in *" $ours "*) ;; *) echo "$package depends on $ours, which ARCHITECTURE.md does not allow" >&2; failed=1 ;; esac
  done
}

only mbti
only files
only record mbti
only data mbti record files
only hub record files
only metrics mbti record
only compute
only model mbti record data files compute
only train mbti record data metrics model files compute
only predict mbti record data metrics model files
only store mbti record files
only app record data hub store files
only cli mbti record files data hub metrics model train predict store app compute
only small-hub
only emulated-gpu
only parity mbti record data compute model train
only mbti-tuner app record
for package in mbti-tuner cli; do for other in small-hub parity emulated-gpu; do never "$package" "$other"; done; done
for package in mbti-tuner app store hub data metrics; do never "$package" candle-core; done
for package in compute; do for other in data record sqlx tauri; do never "$package" "$other"; done; done
for package in app cli store train; do never "$package" tauri; done
for package in data metrics model train predict; do never "$package" sqlx; done
[ "$failed" -eq 0 ] && echo "The crates depend on each other as ARCHITECTURE.md says." >&2
exit "$failed"
