#!/usr/bin/env python3
"""Compiles each kernel of crates/compute/src/cuda/kernels for each kind of GPU, which needs none, and holds registers and
shared memory to the table in limits.csv beside them. Nothing may spill. Usage: check-kernels.py [--write]"""

import csv
import os
import pathlib
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

KERNELS = pathlib.Path(__file__).resolve().parent.parent / "crates/compute/src/cuda/kernels"
LIMITS = KERNELS / "limits.csv"
ARCHITECTURES = ["sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120"]
NVCC = os.environ.get("NVCC", "nvcc")


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def measured(ptx, architecture, folder):
    """Registers, bytes of shared memory and of spills of each kernel of a module."""
    cubin = folder / f"{ptx.stem}.{architecture}.cubin"
    printed = run("ptxas", "-v", f"-arch={architecture}", ptx, "-o", cubin)
    for part in printed.split("Compiling entry function '")[1:]:
        name = part.split("'")[0]
        number = lambda pattern: int((re.search(pattern, part) or [0, "0"])[1])
        spills = number(r"(\d+) bytes spill stores") + number(r"(\d+) bytes spill loads")
        yield name, number(r"Used (\d+) registers"), number(r"(\d+) bytes smem"), spills


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        sources = sorted(KERNELS.glob("*.cu"))

        def compiled(source):
            # The options of crates/compute/build.rs.
            options = ["-ptx", "-arch=compute_80", "-std=c++17", "-O3"]
            if source.stem == "adamw":
                options.append("--fmad=false")
            ptx = folder / f"{source.stem}.ptx"
            run(NVCC, *options, source, "-o", ptx)
            return ptx

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            modules = list(pool.map(compiled, sources))
            jobs = [(ptx, architecture) for ptx in modules for architecture in ARCHITECTURES]
            found = pool.map(lambda job: (job[1], list(measured(*job, folder))), jobs)
            found = [(architecture, *kernel) for architecture, kernels in found for kernel in kernels]

    most = {}
    for architecture, name, registers, shared, spills in found:
        if spills:
            sys.exit(f"{name} spills {spills} bytes of registers on {architecture}")
        before = most.get(name, (0, 0))
        most[name] = (max(before[0], registers), max(before[1], shared))
    if "--write" in sys.argv:
        with LIMITS.open("w", newline="") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(["kernel", "registers", "shared_bytes"])
            rows.writerows([name, *numbers] for name, numbers in sorted(most.items()))
        return
    with LIMITS.open() as file:
        limits = {row["kernel"]: (int(row["registers"]), int(row["shared_bytes"])) for row in csv.DictReader(file)}
    wrong = [f"{name} has no limits in {LIMITS.name}" for name in most.keys() - limits.keys()]
    wrong += [f"{name} is in {LIMITS.name} and no kernel" for name in limits.keys() - most.keys()]
    for architecture, name, registers, shared, _ in found:
        allowed = limits.get(name, (registers, shared))
        if registers > allowed[0] or shared > allowed[1]:
            wrong.append(f"{name} on {architecture}: {registers} registers and {shared} bytes of shared memory; {allowed} allowed")
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"{len(most)} kernels are within their limits on {', '.join(ARCHITECTURES)}, and none spills.", file=sys.stderr)


main()
