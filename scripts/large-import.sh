#!/usr/bin/env bash
# How a file of the size of the Hub's data set is imported, sampled, split and first learned from: time and the
# most memory of each, beside pandas and Hugging Face's datasets reading the same made-up file.
# Arguments: the number of rows (2,300,000), and a folder with 6 GB of room (a temporary one).
set -euo pipefail
. "$(dirname "$0")/env.sh"
cd "$root"
python="$(scripts/reference.sh)"
scripts/build-engine.sh
work="${2:-$(mktemp -d "$cache/large-XXXXXX")}"
[ -n "${2:-}" ] || trap 'rm -rf "$work"' EXIT
[ -f "$work/hub.csv" ] || python3 tests/data/generate.py --rows "${1:-2300000}" --out "$work/hub.csv"
python3 tests/data/large_import.py "$CARGO_TARGET_DIR/release/mbti" "$work/hub.csv" "$work/home"
rm -rf "$work/home"
for mode in pandas datasets; do
  "$python" tests/data/import_reference.py "$mode" "$work/hub.csv" | "$python" -c '
import json, sys
found = json.load(sys.stdin)
times = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in found["seconds"].items())
print(f"{found[\"mode\"]} {found[\"version\"]}: {times}; {found[\"mb_per_s\"]:.0f} MB/s; {found[\"peak_rss_mib\"]} MiB")'
done
