#!/usr/bin/env bash
# Makes the Debian package mbti-tuner-cuda: the engine for NVIDIA GPUs, beside that of mbti-tuner, with the libraries of
# CUDA that NVIDIA's licence (attachment A) lets a program pass on. NVIDIA's driver is not among them.
set -euo pipefail
. "$(dirname "$0")/env.sh"

"$root/scripts/cuda.sh" >&2
libraries="$(dirname "$(python_of cuda-libraries "$root/scripts/cuda-libraries.txt" "Fetching cuBLAS and cuRAND")")"
libraries="$(cd "$libraries/.." && echo "$PWD"/lib/python3*/site-packages)"
say "Packaging"
tree="$(mktemp -d)"
trap 'rm -rf "$tree"' EXIT
chmod 755 "$tree"
install -D "$CARGO_TARGET_DIR/release/mbti-cuda" "$tree/usr/bin/mbti-cuda"
strip --strip-debug "$tree/usr/bin/mbti-cuda"
for library in libcublas.so.13 libcublasLt.so.13 libcurand.so.10; do
  install -D -m 644 "$libraries/nvidia/cu13/lib/$library" "$tree/usr/lib/mbti-tuner/$library"
done
# The licences travel with what they are for.
about="$tree/usr/share/doc/mbti-tuner-cuda"
install -D -m 644 "$root/LICENSE" "$about/copyright"
for package in cublas curand; do
  licence="$(find "$libraries" -path "*/nvidia_$package-*.dist-info/*" -iname 'licen[sc]e*' -type f | head -n 1)"
  [ -n "$licence" ] || { echo "nvidia-$package has no licence with it." >&2; exit 1; }
  install -D -m 644 "$licence" "$about/NVIDIA-$package-licence.txt"
done
version="$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' "$root/Cargo.toml")"
mkdir "$tree/DEBIAN"
cat >"$tree/DEBIAN/control" <<CONTROL
Package: mbti-tuner-cuda
Version: $version
Architecture: $(dpkg --print-architecture)
Maintainer: MBTI Tuner
Installed-Size: $(du -sk --exclude=DEBIAN "$tree" | cut -f1)
Depends: mbti-tuner (= $version), libc6, libgcc-s1
Section: science
Priority: optional
Description: Fine-tuning on NVIDIA GPUs for MBTI Tuner
 The engine mbti-cuda, with cuBLAS and cuRAND of CUDA 13. It needs a card of
 compute capability 8.0 or newer and NVIDIA's driver, 580 or newer.
CONTROL
mkdir -p "$CARGO_TARGET_DIR/release/bundle/deb"
package="$CARGO_TARGET_DIR/release/bundle/deb/mbti-tuner-cuda_${version}_$(dpkg --print-architecture).deb"
dpkg-deb --root-owner-group -Zzstd --build "$tree" "$package" >&2
echo "$package"
