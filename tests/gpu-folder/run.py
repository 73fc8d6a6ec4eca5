#!/usr/bin/env python3
"""Checks the engine for NVIDIA GPUs on this machine's GPU, then times it beside PyTorch.

    python3 run.py [--quick] [--libraries DIR] [--out DIR] [--work DIR] [--layers N] [--checks-only | --bench]

Writes results.json, results.md and the output of each check (logs/) to --out, by default this folder. Exit code 0 if all
checks passed, 1 if one failed, 2 if there is no usable GPU; then nothing is written. PyTorch is that of the Python that runs
this. Without it, or if it has no CUDA, only our times are taken. With --bench nothing is checked, and training steps of whole
models are timed, within 8 minutes: bench.json and bench.md.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True

from parts import bench, checks, libraries, report, times  # noqa: E402
from parts.steps import Steps  # noqa: E402


def arguments():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("--quick", action="store_true", help="fewer checks and times")
    p.add_argument("--libraries", metavar="DIR", help="use libcuda.so.1, cuBLAS and cuRAND from this folder, such as an emulated GPU's")
    p.add_argument("--out", metavar="DIR", default=HERE, help="where the results go [default: this folder]")
    p.add_argument("--work", metavar="DIR", help="where to keep random models while this runs [default: --out]")
    p.add_argument("--layers", type=int, help="layers of the Phi-3 to time; the real one has 32, which take 8 GB of disk [default: 8, or 2 with --quick]")
    p.add_argument("--bench", action="store_true", help="time training steps of whole models instead, which takes up to 8 minutes")
    p.add_argument("--checks-only", action="store_true", help="time nothing")
    return p.parse_args()


def no_gpu(why):
    print(f"No NVIDIA GPU can be used on this machine: {why}. Nothing was run and no results were written.", file=sys.stderr)
    sys.exit(2)


def unpack():
    """Puts the programs into bin/, unless they are there."""
    if (HERE / "bin").exists():
        return
    print("unpacking the programs", file=sys.stderr, flush=True)
    beside = HERE / ".unpacked"
    shutil.rmtree(beside, ignore_errors=True)
    with tarfile.open(HERE / "bin.tar.xz") as packed:
        packed.extractall(beside, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    os.rename(beside / "bin", HERE / "bin")
    beside.rmdir()


def usable(env):
    """The first GPU as the engine lists it."""
    command = [HERE / "bin/mbti-cuda", "devices", "--json"]
    try:
        done = subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True, timeout=120)
    except subprocess.TimeoutExpired:
        no_gpu("the driver gave no list of GPUs within 120 s")
    except OSError as error:
        no_gpu(f"mbti-cuda cannot be started ({error})")
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        no_gpu(f"mbti-cuda does not start ({last[0]})")
    gpus = [device for device in json.loads(done.stdout) if device["device"] != "cpu"]
    fit = [gpu for gpu in gpus if gpu["device"] == "cuda:0" and gpu.get("unusable") is None]
    if not fit:
        why = [f"{gpu['name']} cannot be used ({json.dumps(gpu.get('unusable'))})" for gpu in gpus]
        no_gpu("; ".join(why) or "the driver finds no GPU")
    return fit[0]


def pytorch():
    """PyTorch's version, and why there is nothing to compare with, or none."""
    ask = "import torch; print(torch.__version__, torch.version.cuda, torch.cuda.is_available())"
    try:
        done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, timeout=300)
    except subprocess.TimeoutExpired:
        return "no answer", "it did not answer within 300 s"
    if done.returncode != 0:
        return "not installed", "not installed for this Python"
    version, cuda, available = done.stdout.split()
    name = f"{version}, CUDA {cuda}"
    return name, None if available == "True" else f"{name} finds no GPU"


def run_bench(a, out, env, gpu, emulated, torch):
    """Times whole models and ends: with 1 if one of our cases failed for another reason than the size of the card."""
    results = {"gpu": gpu, "emulated": emulated, "made_of": json.loads((HERE / "made-of.json").read_text()), "rows": []}
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="work-", dir=a.work or out) as work:
        for row in bench.run(HERE, env, pathlib.Path(work), sys.executable, torch, emulated):
            results["rows"].append(row)
            bench.write(out, results)
    print((out / "bench.md").read_text())
    failed = [row["ours"].get("failed", "") for row in results["rows"]]
    sys.exit(1 if any(why and "memory" not in why.lower() for why in failed) else 0)


def main():
    a = arguments()
    given = [a.libraries] if a.libraries else os.environ.get("MBTI_CUDA_LIBRARIES", "").split(":")
    try:
        driver, cuda = libraries.find(HERE, given)
    except libraries.Missing as missing:
        no_gpu(missing)
    env = libraries.environment(driver, cuda)
    emulated = libraries.is_emulated(driver)
    unpack()
    gpu = usable(env)
    name, torch = pytorch()
    if emulated:
        torch = "this GPU is emulated, which PyTorch cannot use"
    print(f"{gpu['name']}; driver from {driver}, cuBLAS and cuRAND from {cuda}; PyTorch: {torch or name}", file=sys.stderr)

    began, out = time.time(), pathlib.Path(a.out).resolve()
    if a.bench:
        run_bench(a, out, env, gpu, emulated, torch)
    steps = Steps(out / "logs")
    results = {
        "gpu": gpu,
        "emulated": emulated,
        "driver": libraries.versions(driver, {**os.environ, **env}),
        "libraries": {"driver": driver, "cuda": cuda},
        "pytorch": torch or name,
        "made_of": json.loads((HERE / "made-of.json").read_text()),
        "quick": a.quick,
        "began": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(began)),
        "interrupted": True,
        "checks": steps.all,
        "times": [],
    }
    out.mkdir(parents=True, exist_ok=True)
    layers = 2 if emulated else a.layers or (2 if a.quick else 8)
    try:
        with tempfile.TemporaryDirectory(prefix="work-", dir=a.work or out) as work:
            work = pathlib.Path(work)
            checks.run(steps, HERE, env, work, a.quick, emulated)
            if not a.checks_only:
                for row in times.run(HERE, env, work, sys.executable, torch, a.quick, emulated, layers):
                    results["times"].append(row)
        results["interrupted"] = False
    finally:
        results["seconds"] = time.time() - began
        report.write(out, results)
    failed = [step["name"] for step in steps.all if step["status"] == "failed"]
    print((out / "results.md").read_text())
    if failed:
        print(f"Failed: {', '.join(failed)}; what they said is in {out / 'logs'}.", file=sys.stderr)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
