#!/usr/bin/env bash
# Runs a Linux program on an emulated processor with AVX512-BF16, for code that this machine's own
# processor cannot run. Bochs emulates the processor and boots a small Linux on it whose only task is
# the program. Arguments: the program and its arguments. It gets the libraries that it is linked to
# and no other file. Ends with the program's exit code, 124 after LIMIT seconds (1800), or 125 where
# the emulation itself fails. Only root can run it, and its first use needs the network.
set -euo pipefail
. "$(dirname "$0")/env.sh"
program="$(realpath -e "${1:?the program to run is missing}")"
shift
[ "$(id -u)" -eq 0 ] || { echo "Only root can change the root folder, which this script does." >&2; exit 125; }

# Debian 12's Bochs is too old to know AVX512-BF16, so a small Debian 13 lies in the cache.
system="$cache/emulator"
if [ ! -e "$system/.complete" ]; then
  say "Installing the emulator (450 MB)"
  rm -rf --one-file-system "$system"
  mkdir -p "$system"
  {
    command -v debootstrap || { apt-get update && apt-get install -y --no-install-recommends debootstrap; }
    # A debootstrap from before Debian 13 lacks its name, but all newer suites have one script.
    [ -e /usr/share/debootstrap/scripts/trixie ] || ln -s sid /usr/share/debootstrap/scripts/trixie
    # The mirror that this machine uses; without one debootstrap takes its own default.
    mirror="$(apt-get indextargets --format '$(REPO_URI)' 'Label: Debian' | awk 'NR == 1')"
    debootstrap --variant=minbase trixie "$system" ${mirror:+"$mirror"}
    chroot "$system" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends bochs bochs-term \
      bochsbios linux-image-cloud-amd64 isolinux syslinux-common xorriso busybox-static cpio
    chroot "$system" apt-get clean
  } >&2
  touch "$system/.complete"
fi

# Bochs sees only the system's own files, so the work lies there.
work="$(mktemp -d "$system/tmp/run-XXXXXX")"
inside="${work#"$system"}"
# Bochs heeds no gentler signal than 9.
trap 'kill -9 ${emulation:-} 2>/dev/null || true; rm -rf "$work"' EXIT
mkdir -p "$work"/{disc,ram/{bin,dev,proc,tmp}}

# The guest's files: a shell, the program without what only a debugger reads, its libraries.
cp "$system/bin/busybox" "$work/ram/bin/"
strip --strip-debug -o "$work/ram/program" "$program"
{ ldd "$program" 2>/dev/null || true; } | { grep -o '/[^ ]*' || true; } | xargs -r cp -L --parents -t "$work/ram"
# Output, errors and the exit code each have a serial port; the kernel's messages have the first.
# Only one processor is found; Rayon still gets two threads, which take turns on it.
cat >"$work/ram/init" <<END
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t devtmpfs none /dev
mount -t proc none /proc
ip link set lo up
for port in 1 2 3; do stty -F /dev/ttyS\$port 115200 raw -echo; done
export HOME=/tmp RAYON_NUM_THREADS=${RAYON_NUM_THREADS:-2} RUST_BACKTRACE=${RUST_BACKTRACE:-0}
grep -qw avx512_bf16 /proc/cpuinfo || { echo "The emulated processor has no AVX512-BF16."; reboot -f; }
/program ${@@Q} </dev/null >/dev/ttyS1 2>/dev/ttyS2
echo \$? >/dev/ttyS3
reboot -f
END
chmod +x "$work/ram/init" "$work/ram/program"

# A disc to boot from. This kernel on Bochs 3.0 fails with ACPI, and with AMX, which is left out
# below. Bochs ends at a triple fault, so the guest reboots by one, also when its kernel panics.
cp "$system"/boot/vmlinuz-* "$work/disc/vmlinuz"
cp "$system"/usr/lib/{ISOLINUX/isolinux.bin,syslinux/modules/bios/ldlinux.c32} "$work/disc/"
echo "default vmlinuz initrd=initrd console=ttyS0,115200 quiet acpi=off mitigations=off tsc=reliable panic=-1 reboot=t" \
  >"$work/disc/isolinux.cfg"
chroot "$system" sh -euc "cd $inside/ram && find . | cpio -o -H newc --quiet | gzip -1 >../disc/initrd
  xorriso -as mkisofs -quiet -o ../boot.iso -b isolinux.bin -c boot.cat -no-emul-boot -boot-load-size 4 \
    -boot-info-table ../disc" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 125; }

# The pace (ips) is the devices', not the processor's: the lower it is, the fewer instructions the
# guest spends waiting for a serial port. Bochs needs a screen, of which a terminal's is the least.
cat >"$work/bochsrc" <<END
config_interface: textconfig
display_library: term
cpu: model=sapphire_rapids, exclude_features="amx amx_int8 amx_bf16", ips=10000000, reset_on_triple_fault=0
memory: guest=2048, host=2048
romimage: file=/usr/share/bochs/BIOS-bochs-latest, options=fastboot
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
ata0-master: type=cdrom, path=$inside/boot.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=$inside/console
com2: enabled=1, mode=file, dev=$inside/out
com3: enabled=1, mode=file, dev=$inside/err
com4: enabled=1, mode=file, dev=$inside/code
log: /dev/null
panic: action=fatal
END
touch "$work"/{console,out,err,code}
chroot "$system" env TERM=vt100 bochs -q -f "$inside/bochsrc" </dev/null >"$work/log" 2>&1 &
emulation=$!
disown
# What the program prints appears as it comes, in whole lines.
follow() { timeout --foreground "${LIMIT:-1800}" tail -n +1 -s 0.2 -f --pid="$emulation" "$work/$1" | sed -u ''; }
follow err >&2 &
ended=0
follow out || ended=$?
wait
[ "$ended" -ne 124 ] || { echo "The program was stopped after ${LIMIT:-1800} seconds." >&2; exit 124; }
[ -s "$work/code" ] || { cat "$work/console" <(tail -n 3 "$work/log") >&2; exit 125; }
exit "$(cat "$work/code")"
