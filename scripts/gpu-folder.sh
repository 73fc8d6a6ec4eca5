#!/usr/bin/env bash
# Makes a folder to be carried to a machine with an NVIDIA GPU, which needs neither Rust nor a network there: the engine,
# the tests of its arithmetic and their fixtures, and run.py, which checks and times them beside PyTorch. Argument: where to
# put it, which must not be there yet unless it is such a folder [default: gen/gpu-folder].
set -euo pipefail
. "$(dirname "$0")/env.sh"

most=$((40 << 20))
folder="$(realpath -m "${1:-$root/gen/gpu-folder}")"
if [ -e "$folder" ] && [ ! -f "$folder/made-of.json" ]; then
  echo "$folder is there and was not made by this script." >&2
  exit 1
fi
"$root/scripts/setup.sh"
. "$root/scripts/env.sh"
. "$root/scripts/cuda-env.sh"
cd "$root"

say "Building the engine, its tests and the times for GPUs"
parts="$(mktemp -d)"
trap 'rm -rf "$parts"' EXIT
# All at once, so that no dependency is built twice with other features.
cargo build --locked --release --message-format json-render-diagnostics -p compute -p train -p parity -p cli \
  --features "compute/cuda compute/conformance train/cuda parity/cuda cli/cuda" --bin mbti --example speed \
  --test contract --test cuda --test families_equal_transformers --test gpu_run >"$parts/built.json"

say "Putting it together"
python3 - "$parts" <<'PYTHON'
import json, pathlib, shutil, sys

parts = pathlib.Path(sys.argv[1])
(parts / "bin").mkdir()
(parts / "ptx").mkdir()
names = {"mbti": "mbti-cuda", "cuda": "runs", "gpu_run": "commands"}
for line in (parts / "built.json").read_text().splitlines():
    message = json.loads(line)
    if message.get("executable"):
        name = message["target"]["name"]
        shutil.copy(message["executable"], parts / "bin" / names.get(name, name))
    # Our kernels, for compute-sanitizer and ncu; the programs have them in themselves.
    if message["reason"] == "build-script-executed" and "/crates/compute#" in message["package_id"]:
        for ptx in pathlib.Path(message["out_dir"]).glob("*.ptx"):
            shutil.copy(ptx, parts / "ptx")
(parts / "built.json").unlink()
for what, wanted in [("bin", 6), ("ptx", 9)]:
    found = sorted(path.name for path in (parts / what).iterdir())
    if len(found) < wanted:
        sys.exit(f"of {what} there is only {found}")
PYTHON
strip --strip-all "$parts"/bin/*
# Each program has candle's kernels in it. Packed as one stream they count once.
tar -C "$parts" --owner 0 --group 0 -c bin | xz -T2 --lzma2=preset=4,dict=192MiB >"$parts/bin.tar.xz"
rm -r "$parts/bin"
cp -r tests/gpu-folder/run.py tests/gpu-folder/parts tests/gpu-folder/README.md LICENSE "$parts/"
rm -rf "$parts/parts/__pycache__"
mkdir "$parts/fixtures"
cp -r tests/reference/fixtures/families "$parts/fixtures/"
commit="$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)"
[ -z "$(git status --porcelain 2>/dev/null)" ] || commit="$commit with changes"
printf '{ "commit": "%s", "built": "%s", "rust": "%s", "nvcc": "%s" }\n' "$commit" "$(date -u +%F)" \
  "$(rustc --version)" "$("$NVCC" --version | sed -n 's/.*release \([0-9.]*\).*/\1/p')" >"$parts/made-of.json"

bytes="$(du -sb "$parts" | cut -f1)"
if [ "$bytes" -gt "$most" ]; then
  du -ab "$parts" | sort -n | tail -n 20 >&2
  echo "The folder has $((bytes >> 20)) MiB; $((most >> 20)) MiB are the most." >&2
  exit 1
fi
chmod -R u+w,go-w,a+rX "$parts"
rm -rf "$folder"
mkdir -p "$(dirname "$folder")"
cp -r "$parts" "$folder"
awk -v bytes="$bytes" -v path="$folder" 'BEGIN { printf "%s: %.1f MiB\n", path, bytes / 1048576 }'
