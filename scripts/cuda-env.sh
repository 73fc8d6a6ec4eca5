# Sourced after env.sh: NVIDIA's compiler out of Python packages, in the cache, and a build that is set up for it. No GPU,
# no driver and no CUDA is needed.

cuda="$cache/cuda"

# stub LIBRARY SONAME MODULE: a library to link against, with the functions that cudarc's bindings name and nothing in
# them. No package has the driver's, and the real ones of CUDA's own take half a gigabyte. The program that is linked asks
# for the name that the real ones have.
stub() {
  local source="$cuda/stubs/$1.c"
  grep -oE 'pub unsafe fn cu[A-Za-z]*[A-Z][A-Za-z0-9_]*|pub unsafe fn nvrtc[A-Za-z0-9_]*' "$bindings/$3/sys/mod.rs" | awk '{print $4}' | sort -u |
    sed 's/.*/int &(void) { return 999; }/' >"$source"
  gcc -shared -fPIC -w -Wl,-soname,"$2" -o "$cuda/stubs/lib$1.so" "$source"
}

stubs() {
  local bindings
  mkdir -p "$cuda/stubs"
  bindings="$(cargo metadata --locked --format-version 1 --all-features --manifest-path "$root/Cargo.toml" | python3 -c '
import json, os, sys
found = [p["manifest_path"] for p in json.load(sys.stdin)["packages"] if p["name"] == "cudarc"]
print(os.path.join(os.path.dirname(found[0]), "src"))')"
  stub cuda libcuda.so.1 driver
  stub cublas libcublas.so.13 cublas
  stub cublasLt libcublasLt.so.13 cublaslt
  stub curand libcurand.so.10 curand
  stub nvrtc libnvrtc.so.13 nvrtc
}

# nvcc, but for candle's kernels for GGUF models, which take 2 to 3 minutes each to compile and which training never
# calls: these become empty.
compiler() {
  cat >"$cuda/bin/nvcc" <<WRAPPER
#!/usr/bin/env bash
case " \$* " in
  *mmq_*.cu\ * | *mmvq_gguf.cu\ * | *moe_*.cu\ *)
    while [ \$# -gt 0 ]; do
      [ "\$1" = -o ] && exec gcc -x c -c /dev/null -o "\$2"
      shift
    done ;;
esac
exec "$1/bin/nvcc" "\$@"
WRAPPER
  chmod +x "$cuda/bin/nvcc"
}

# The packages' parts in one folder, laid out as CUDA's own installer does it.
toolkit() {
  local parts library
  parts="$(dirname "$(python_of cuda-python "$root/scripts/cuda-requirements.txt" "Installing NVIDIA's compiler")")"
  parts="$(cd "$parts/.." && echo "$PWD"/lib/python3*/site-packages/nvidia/cu13)"
  cat "$root/scripts/cuda-requirements.txt" "$root/scripts/cuda-env.sh" | cmp -s - "$cuda/made-of" && return
  rm -rf "$cuda"
  mkdir -p "$cuda/lib" "$cuda/bin"
  ln -s "$parts/include" "$parts/nvvm" "$cuda/"
  ln -s "$parts"/bin/* "$cuda/bin/"
  rm "$cuda/bin/nvcc"
  ln -s "$parts"/lib/* "$cuda/lib/"
  ln -s lib "$cuda/lib64"
  for library in "$cuda"/lib/lib*.so.*; do
    ln -sf "$(basename "$library")" "${library%%.so.*}.so"
  done
  compiler "$parts"
  stubs
  cat "$root/scripts/cuda-requirements.txt" "$root/scripts/cuda-env.sh" >"$cuda/made-of"
}
toolkit

export CUDA_HOME="$cuda" CUDA_PATH="$cuda" NVCC="$cuda/bin/nvcc"
# PTX for Ampere, which the driver compiles for every card since; sm_90's would run on nothing newer.
export CUDA_COMPUTE_CAP=80
export PATH="$cuda/bin:$PATH"
export LIBRARY_PATH="$cuda/stubs:$cuda/lib${LIBRARY_PATH:+:$LIBRARY_PATH}"
# With other features nothing that is built without CUDA can be used again.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR%/}-cuda"
own_sources
