#!/usr/bin/env bash
# Runs a Linux program on an emulated processor with AVX512-BF16, for code that this machine's own
# processor cannot run. Bochs emulates the processor and boots a small Linux on it whose only task is
# the program. Arguments: the program and its arguments. It gets the libraries that it is linked to,
# and no other file; its working folder is /. Ends with the program's exit code, 124 after LIMIT
# seconds (1800), or 125 where the emulation itself fails. The first use needs the network.
set -euo pipefail
. "$(dirname "$0")/env.sh"
[ $# -gt 0 ] || { echo "usage: $0 PROGRAM [ARGUMENTS...]" >&2; exit 125; }
[ "$(id -u)" -eq 0 ] || { echo "Only root can change the root folder, which this script does." >&2; exit 125; }
program="$(realpath "$1")"
shift

# Debian 12's Bochs is too old to know AVX512-BF16, so a small Debian 13 lies in the cache.
system="$cache/emulator"
if [ ! -e "$system/.complete" ]; then
  say "Installing the emulator (450 MB)"
  rm -rf "$system"
  mkdir -p "$system"
  if ! command -v debootstrap >/dev/null 2>&1; then
    apt-get update -qq >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends debootstrap >&2
  fi
  # A debootstrap from before Debian 13 lacks its name, but all of Debian's suites have one script.
  suites=/usr/share/debootstrap/scripts
  [ -e "$suites/trixie" ] || ln -s sid "$suites/trixie"
  # The mirror that this machine uses; without one debootstrap takes its own default.
  mirror="$(apt-get indextargets --format '$(REPO_URI)' 'Label: Debian' | awk 'NR == 1')"
  debootstrap --variant=minbase trixie "$system" ${mirror:+"$mirror"} >"$cache/emulator.log" 2>&1 &&
    chroot "$system" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends bochs bochs-term \
      bochsbios linux-image-cloud-amd64 isolinux syslinux-common xorriso busybox-static cpio \
      >>"$cache/emulator.log" 2>&1 || { tail "$cache/emulator.log" >&2; exit 125; }
  chroot "$system" apt-get clean
  touch "$system/.complete"
fi

# Bochs sees only the system's own files, so the work lies there.
work="$(mktemp -d "$system/tmp/run-XXXXXX")"
inside="${work#"$system"}"
trap 'kill "${emulation:-}" 2>/dev/null || true; wait; rm -rf "$work"' EXIT
mkdir -p "$work"/{disc,ram/{bin,dev,proc,tmp}}

# The guest's files: a shell, the program without what only a debugger reads, its libraries.
cp "$system/bin/busybox" "$work/ram/bin/"
strip --strip-debug -o "$work/ram/program" "$program"
chmod +x "$work/ram/program"
{ ldd "$program" 2>/dev/null || true; } | grep -o '/[^ ]*' | xargs -r cp -L --parents -t "$work/ram" || true
# Output, errors and the exit code each have a serial port; the kernel's messages have the first.
cat >"$work/ram/init" <<END
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t devtmpfs none /dev
mount -t proc none /proc
ip link set lo up
for port in 1 2 3; do stty -F /dev/ttyS\$port 115200 raw -echo; done
export HOME=/tmp RAYON_NUM_THREADS=${RAYON_NUM_THREADS:-2} RUST_BACKTRACE=${RUST_BACKTRACE:-0}
if grep -qw avx512_bf16 /proc/cpuinfo; then
  /program ${@@Q} >/dev/ttyS1 2>/dev/ttyS2 </dev/null
  echo \$? >/dev/ttyS3
else
  echo "The emulated processor has no AVX512-BF16."
fi
reboot -f
END
chmod +x "$work/ram/init"

# A disc to boot from. With ACPI, and with AMX below, this kernel and Bochs 3.0 do not get along. To
# reboot by a triple fault ends Bochs, after a panic too.
cp "$system"/boot/vmlinuz-* "$work/disc/vmlinuz"
cp "$system"/usr/lib/{ISOLINUX/isolinux.bin,syslinux/modules/bios/ldlinux.c32} "$work/disc/"
cat >"$work/disc/isolinux.cfg" <<END
default linux
label linux
kernel vmlinuz
append initrd=initrd console=ttyS0,115200 quiet acpi=off mitigations=off tsc=reliable panic=-1 reboot=t
END
chroot "$system" sh -euc "cd $inside/ram && find . | cpio -o -H newc --quiet | gzip -1 >../disc/initrd
  xorriso -as mkisofs -quiet -o ../boot.iso -b isolinux.bin -c boot.cat -no-emul-boot -boot-load-size 4 \
    -boot-info-table ../disc" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 125; }

# ips is the pace of the emulated devices, not of the processor: the lower, the fewer instructions
# the guest waits for a serial port. Bochs needs a screen; the terminal's is the plainest.
cat >"$work/bochsrc" <<END
config_interface: textconfig
display_library: term
cpu: model=sapphire_rapids, exclude_features="amx amx_int8 amx_bf16", ips=10000000, ignore_bad_msrs=1, reset_on_triple_fault=0
memory: guest=2048, host=2048
romimage: file=/usr/share/bochs/BIOS-bochs-latest, options=fastboot
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
ata0: enabled=1
ata0-master: type=cdrom, path=$inside/boot.iso, status=inserted
boot: cdrom
clock: sync=none, time0=utc
com1: enabled=1, mode=file, dev=$inside/console
com2: enabled=1, mode=file, dev=$inside/out
com3: enabled=1, mode=file, dev=$inside/err
com4: enabled=1, mode=file, dev=$inside/code
speaker: enabled=0
log: /dev/null
panic: action=fatal
error: action=ignore
info: action=ignore
END
touch "$work"/{console,out,err,code}
timeout --kill-after=2 "${LIMIT:-1800}" chroot "$system" env TERM=vt100 bochs -q -f "$inside/bochsrc" \
  </dev/null >"$work/log" 2>&1 &
emulation=$!
# What the program prints appears as it comes.
tail -n +1 -s 0.2 -f --pid="$emulation" "$work/out" &
tail -n +1 -s 0.2 -f --pid="$emulation" "$work/err" >&2 &
ended=0
wait "$emulation" || ended=$?
emulation=
wait
case "$ended" in 124 | 137) echo "The program was stopped after ${LIMIT:-1800} seconds." >&2; exit 124 ;; esac
[ -s "$work/code" ] || { cat "$work/console" <(tail -n 3 "$work/log") >&2; exit 125; }
exit "$(cat "$work/code")"
