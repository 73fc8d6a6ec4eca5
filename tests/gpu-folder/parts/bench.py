"""Steps of whole models in their full size, beside Transformers, PEFT and bitsandbytes on the same GPU: `run.py --bench`.

Texts have the lengths of the tutorial's, some 200 tokens (700 to 1,000 characters). Ours has a fixed batch, theirs the best
of several. What a step reaches is set against a product of cuBLAS that is timed right before it.
"""

import json
import os
import pathlib
import shutil
import sys
import time

from parts import models
from parts.steps import measured

# Seconds for all, for one of our cases, and for one of theirs.
ALL, OURS, THEIRS = 460, 60, 75
TOKENS, TEXTS, TRIED = 200, 16, "4,8,16,32"
# Rows and columns of the product.
PEAK = 8192
# Kernels of a step that are named, those that take longest.
NAMED = 10

# Model, what is trained and how, the case as `speed` and reference.py name it, texts and batches of a step.
CASES = [
    ("phi3", "LoRA in bf16", "steps-lora-bf16-weights", TEXTS, 1),
    ("phi3", "LoRA on NF4", "steps-nf4-bf16", TEXTS, 1),
    ("phi3", "all of it in bf16, AdamW in 8 bits", "steps-bf16-weights-8bit", TEXTS, 1),
    ("phi3", "all of it in TF32, 4 × 2 as in the tutorial", "steps-tf32", 4, 2),
    ("minilm", "all of it in bf16", "steps-bf16", TEXTS, 1),
    ("qwen3", "LoRA in bf16", "steps-lora-bf16-weights", TEXTS, 1),
]


def configs(small):
    return {"phi3": models.phi3(small, 2 if small else 32), "minilm": models.minilm(small), "qwen3": models.qwen3(small)}


def room_for(work, bytes):
    """Where models are written: in memory, if there is twice the room, so that no disk is waited for."""
    in_memory = pathlib.Path("/dev/shm")
    if in_memory.is_dir() and os.access(in_memory, os.W_OK) and shutil.disk_usage(in_memory).free > 2 * bytes:
        return in_memory
    return work


def run(here, env, work, python, torch, small):
    """Yields a row for each case. `torch` is why PyTorch cannot be used, or none if it can; `small` is for an emulated GPU."""
    began, of_models = time.monotonic(), configs(small)
    left = lambda: ALL - (time.monotonic() - began)
    tokens, times = (24, "1") if small else (TOKENS, "5")
    written, folder = None, None
    try:
        for model, what, case, texts, batches in CASES:
            config = of_models[model]
            texts = min(texts, 2) if small else texts
            print(f"{model}, {what}: {batches} × {texts} texts of {tokens} tokens …", file=sys.stderr, flush=True)
            found = {"model": model, "layers": config["num_hidden_layers"], "what": what, "case": case}
            found |= {"texts": texts, "tokens": tokens, "batches": batches}
            if left() < 20:
                yield found | {"ours": {"skipped": "no time was left"}, "theirs": {"skipped": "no time was left"}}
                continue
            if written != model:
                remove(folder)
                folder, written, why = place(work, model, config)
            if why:
                yield found | {"ours": {"failed": why}, "theirs": {"failed": why}}
                continue
            words = [case, folder, "--device", "cuda:0", "--tokens", str(tokens), "--batches", str(batches), "--times", times]
            side = str(256 if small else PEAK)
            peak = measured([here / "bin/speed", "product-bf16", "--device", "cuda:0", "--tokens", side, "--times", times], env, OURS)
            ours = measured([here / "bin/speed", *words, "--texts", str(texts), "--profile"], env, min(OURS, max(left(), 1)))
            theirs = {"skipped": torch}
            if not torch:
                tried = TRIED if batches == 1 else str(texts)
                theirs = measured([python, here / "parts/reference.py", *words, "--texts", tried], {}, min(THEIRS, max(left(), 1)))
            yield row(found, config, peak, ours, theirs)
    finally:
        remove(folder)


def place(work, model, config):
    """The folder of a model, its name, and why it could not be written, or none."""
    size = sum(models.math.prod(shape) for _, shape in models.shapes(config)) * (2 if config["torch_dtype"] == "bfloat16" else 4)
    folder = room_for(work, size) / f"mbti-bench-{os.getpid()}-{model}"
    try:
        models.write(folder, config)
    except OSError as error:
        return folder, model, f"the model cannot be written: {error}"
    return folder, model, None


def remove(folder):
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)


def row(found, config, peak, ours, theirs):
    """With tokens and FLOP a second, and the share of the product's."""
    adapters = "lora" in found["case"] or "nf4" in found["case"]
    for one in (ours, theirs):
        if "seconds" not in one:
            continue
        total = one.get("texts", found["texts"]) * found["tokens"] * found["batches"]
        flop = models.flop_of_pass(config, total, found["tokens"], adapters)
        one["tokens_per_second"] = total / one["seconds"]
        one["tflop_per_second"] = flop / one["seconds"] / 1e12
        if peak.get("tflop_per_second"):
            one["share_of_peak"] = one["tflop_per_second"] / peak["tflop_per_second"]
    all = ours.pop("kernels", [])
    if all:
        ours["in_kernels_ms"] = sum(milliseconds for _, milliseconds, _ in all)
        ours["kernels"] = all[:NAMED]
    if "seconds" in ours and "seconds" in theirs:
        found["ratio"] = ours["tokens_per_second"] / theirs["tokens_per_second"]
    return found | {"peak": peak, "ours": ours, "theirs": theirs}


def lines(rows):
    """The tables, in Markdown."""
    number = lambda value, digits: "–" if value is None else f"{value:.{digits}f}"
    percent = lambda one: number(one.get("share_of_peak") and 100 * one["share_of_peak"], 0)
    yield "| model | trained | texts × tokens | tokens/s | % of the peak | MiB | theirs: texts | tokens/s | % | MiB | ratio |"
    yield "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for row in rows:
        ours, theirs = row["ours"], row["theirs"]
        size = f"{row['batches']} × " * (row["batches"] > 1) + f"{row['texts']} × {row['tokens']}"
        said = [number(ours.get("tokens_per_second"), 0) if "seconds" in ours else next(iter(ours)), percent(ours)]
        said += [number(ours.get("device_peak_mib"), 0), str(theirs.get("texts", "–"))]
        said += [number(theirs.get("tokens_per_second"), 0) if "seconds" in theirs else next(iter(theirs)), percent(theirs)]
        said += [number(theirs.get("device_peak_mib"), 0), number(row.get("ratio"), 2)]
        yield f"| {row['model']}, {row['layers']} layers | {row['what']} | {size} | {' | '.join(said)} |"
    for row in rows:
        for whose in ("ours", "theirs"):
            why = row[whose].get("failed") or row[whose].get("skipped")
            if why:
                yield from ["", f"- {row['model']}, {row['what']}, {whose}: {why}"]
    for row in rows:
        if "kernels" in row["ours"]:
            step, inside = row["ours"]["seconds"] * 1e3, row["ours"]["in_kernels_ms"]
            yield from ["", f"{row['model']}, {row['what']}: a step takes {step:.1f} ms, {inside:.1f} ms of them in our kernels and products", ""]
            yield from ["| kernel | ms | launches |", "| --- | ---: | ---: |"]
            yield from (f"| {name} | {milliseconds:.2f} | {launches} |" for name, milliseconds, launches in row["ours"]["kernels"])


def write(out, results):
    """bench.json and bench.md, each put in its place whole."""
    gpu, rows = results["gpu"], results["rows"]
    head = [f"# {gpu['name']}", ""]
    if results["emulated"]:
        head += ["**This GPU is emulated: its times say nothing of a card.**", ""]
    peaks = [row["peak"]["tflop_per_second"] for row in rows if row.get("peak", {}).get("tflop_per_second")]
    if peaks:
        head += [f"The peak is a product of cuBLAS in bf16, timed before each case: {min(peaks):.1f} to {max(peaks):.1f} TFLOP/s.", ""]
    out.mkdir(parents=True, exist_ok=True)
    for name, text in [("bench.json", json.dumps(results) + "\n"), ("bench.md", "\n".join([*head, *lines(rows)]) + "\n")]:
        beside = out / f".{name}.new"
        beside.write_text(text)
        os.replace(beside, out / name)
