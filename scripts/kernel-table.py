#!/usr/bin/env python3
"""Makes the tables of bytes and of all kernels in docs/gpu.md out of limits.csv beside the kernels and of what the
emulated GPU has counted of a layer of Phi-3-mini (crates/train/tests/launches/kernels.csv, by `scripts/gpu-layer.sh write`).
Usage: kernel-table.py [--write]; without --write it is an error if a table in docs/gpu.md is another."""

import csv
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LIMITS = ROOT / "crates/compute/src/cuda/kernels/limits.csv"
COUNTED = ROOT / "crates/train/tests/launches/kernels.csv"
DOCS = ROOT / "docs/gpu.md"
# Before and after each table in the docs.
MARKS = "<!-- {}: scripts/kernel-table.py --write -->", "<!-- {} end -->"

# Of a multiprocessor: shared memory and warps. Registers are 65,536 everywhere, and blocks 32, or 16 and 24 on consumer cards.
CARDS = {"sm_80": (164, 64, 32), "sm_86": (100, 48, 16), "sm_89": (100, 48, 24), "sm_90": (228, 64, 32)}
# TFLOP/s of tensor cores in bf16, and of the other cores in f32; TB/s.
PEAKS = {"RTX 3060": (51, 12.7, 0.36), "RTX 4090": (165, 82.6, 1.01), "H200": (989, 66.9, 4.8)}

# Phi-3-mini's layer: tokens in two texts, features, features of the feed-forward block, heads, LoRA's rank.
TOKENS, TEXTS, HIDDEN, INNER, RANK = 512, 2, 3072, 8192, 8
ROWS = TOKENS * HIDDEN
WEIGHT = HIDDEN * INNER
PAIRS = TEXTS * (TOKENS // TEXTS) * (TOKENS // TEXTS + 1) // 2 * HIDDEN
THIN = 4 * RANK * (TOKENS + HIDDEN)
ROWS_ARE, WEIGHT_IS = f"{TOKENS} × {HIDDEN:,}", f"{HIDDEN:,} × {INNER:,}"

# Products with a weight that is decoded tile by tile: its bytes, x in bf16 and the result.
NF4, INT8 = WEIGHT // 2 + WEIGHT // 64 + WEIGHT // 4096, WEIGHT + 4 * INNER
OF_TILES = {way: 2 * TOKENS * x + 4 * TOKENS * out for way, x, out in [("", HIDDEN, INNER), ("_turned", INNER, HIDDEN)]}
TILED, TILED_IS = 2 * TOKENS * WEIGHT, f"{TOKENS} × {WEIGHT_IS}"

# Kernels that the layer does not launch, for which a shape is stated: bytes, FLOP and the shape.
OWN = {
    "adamw_f32": (28 * WEIGHT, 15 * WEIGHT, WEIGHT_IS),
    "adamw_blocks8": (16 * WEIGHT, 17 * WEIGHT, WEIGHT_IS),
    "squares": (4 * WEIGHT, 2 * WEIGHT, WEIGHT_IS),
    "read_int8": (5 * WEIGHT, WEIGHT, WEIGHT_IS),
    "read_nf4": (WEIGHT // 2 + WEIGHT // 64 + 4 * WEIGHT, WEIGHT, WEIGHT_IS),
    "widen": (6 * WEIGHT, 0, WEIGHT_IS),
    "narrow": (6 * ROWS, 0, ROWS_ARE),
    "add": (12 * ROWS, ROWS, ROWS_ARE),
    "add_bias": (8 * ROWS, ROWS, ROWS_ARE),
    "clear": (4 * ROWS, 0, ROWS_ARE),
    "clear_rows": (4 * ROWS, 0, ROWS_ARE),
    "close_block": (12 * ROWS + THIN, (2 * RANK + 2) * ROWS, ROWS_ARE),
    "column_parts": (4 * ROWS + 4 * ROWS // 64, ROWS, ROWS_ARE),
    "copy_rows": (8 * ROWS, 0, ROWS_ARE),
    "drop": (8 * ROWS, ROWS, ROWS_ARE),
    "gather_bf16": (6 * ROWS, 0, ROWS_ARE),
    "gather_f32": (8 * ROWS, 0, ROWS_ARE),
    "cross_entropy": (20 * 64, 10 * 64, "64 texts"),
    "norm_forward": (10 * ROWS + THIN, (2 * RANK + 4) * ROWS, ROWS_ARE),
    "pool": (4 * ROWS + 4 * TEXTS * HIDDEN, ROWS, ROWS_ARE),
    "pool_backward": (4 * ROWS + 4 * TEXTS * HIDDEN, ROWS, ROWS_ARE),
    "product_int8": (INT8 + OF_TILES[""], TILED, TILED_IS),
    "product_int8_turned": (INT8 + OF_TILES["_turned"], TILED, TILED_IS),
    "product_nf4": (NF4 + OF_TILES[""], TILED, TILED_IS),
    "product_nf4_turned": (NF4 + OF_TILES["_turned"], TILED, TILED_IS),
    "norm_weight_parts": (8 * ROWS + 4 * ROWS // 64, 5 * ROWS, ROWS_ARE),
    "scatter": (12 * ROWS, ROWS, ROWS_ARE),
    "sum_parts": (4 * ROWS // 64 + 4 * HIDDEN, ROWS // 64, f"{TOKENS // 64} × {HIDDEN:,}"),
}


def attention(kernel):
    """Bytes, FLOP and the shape of attention of other heads of as many features, and in f32."""
    found = re.fullmatch(r"attention_(forward|backward_queries|backward_keys|delta)(_bf16)?(?:_(\d+))?", kernel)
    kind, tensor, d = found[1], found[2], int(found[3] or 96)
    kept = 4 * TOKENS * (HIDDEN // d)
    numbers, flop = {"forward": (4, 4), "backward_queries": (6, 6), "backward_keys": (6, 8), "delta": (2, 0)}[kind]
    if kind == "backward_queries" and not tensor:
        numbers = 5
    rounded = 2 * ROWS if kind == "forward" and tensor else 0
    bytes = 4 * numbers * ROWS + rounded + kept * (2 if kind.startswith("backward") else 1)
    return bytes, flop * PAIRS if flop else 2 * ROWS, f"heads of {d}"


def on_tensor_cores(kernel):
    return kernel.startswith(("cublas", "product_")) or (kernel.startswith("attention") and "_bf16_" in kernel)


def threads(kernel):
    return 128 if kernel.startswith("attention_") and "delta" not in kernel else 256


def shared_at_launch(kernel):
    """Bytes of shared memory that are asked for at the launch: the formulas of cuda/attention.rs and cuda/tiles.rs."""
    if kernel.startswith("product_"):
        return 5 * 128 * 32 * 2 + (4 * (16 + 256) if "nf4" in kernel else 0)
    found = re.fullmatch(r"attention_(forward|backward_queries|backward_keys)(_bf16)?_(\d+)", kernel)
    if not found:
        return 0
    kind, d = found[1], int(found[3])
    if not found[2]:
        return 4 * ((1 if kind == "forward" else 2) * 16 * d + 2 * 32 * (d + 1))
    forward, backward = {32: (64, 32), 64: (64, 32), 96: (32, 32), 128: (32, 16)}[d]
    if kind == "forward":
        return 2 * max(4 * forward, 64) * d
    rows = 4 * 64 if kind == "backward_queries" else 8 * backward
    return 2 * ((4 * backward + 2 * 64) * d + rows)


def warps(kernel, registers, shared, card):
    """Warps of a multiprocessor at once, by NVIDIA's formula."""
    kib, most, most_blocks = CARDS[card]
    of_block = threads(kernel) // 32
    # Registers are given out by 256 to a warp, and each quarter of the multiprocessor has a quarter of them.
    of_warp = -(-registers * 32 // 256) * 256
    by_registers = 4 * (65536 // 4 // of_warp) // of_block
    by_shared = kib * 1024 // (shared + 1024)
    return min(by_registers, by_shared, most // of_block, most_blocks) * of_block


def floor(bytes, flop, peak, tensor):
    """Microseconds by which of the two is larger."""
    in_bf16, in_f32, memory = peak
    return max(bytes / (memory * 1e12), flop / ((in_bf16 if tensor else in_f32) * 1e12)) * 1e6


def figure(value):
    return f"{value:,.0f}" if value >= 9.95 else f"{value:.1f}" if value >= 0.095 else f"{value:.2f}"


def rows():
    with LIMITS.open() as file:
        limits = {row["kernel"]: (int(row["registers"]), int(row["shared_bytes"])) for row in csv.DictReader(file)}
    with COUNTED.open() as file:
        counted = {}
        for row in csv.DictReader(file, delimiter=";"):
            of = counted.setdefault(row["kernel"], [0, 0, 0, 0])
            moved = int(row["read"]) + int(row["written"])
            for at, number in enumerate([int(row["launches"]), moved, int(row["least"]), int(row["flop"])]):
                of[at] += number
    for kernel in sorted({*limits, *counted}):
        of_card = ["–"] * 6
        if kernel in limits:
            registers, shared = limits[kernel]
            shared += shared_at_launch(kernel)
            of_card = [f"{registers}", f"{shared:,}"] + [str(warps(kernel, registers, shared, card)) for card in CARDS]
        if kernel in counted:
            launches, moved, least, flop = counted[kernel]
            shape, moved = f"a layer, {launches} launch{'es' if launches > 1 else ''}", f"{moved / 1e6:,.1f}"
        else:
            least, flop, shape = OWN[kernel] if kernel in OWN else attention(kernel)
            moved = "–"
        floors = [figure(floor(least, flop, peak, on_tensor_cores(kernel))) for peak in PEAKS.values()]
        yield [f"`{kernel}`", *of_card, shape, f"{least / 1e6:,.1f}", moved, figure(flop / 1e9), *floors]


def in_markdown(lines):
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def bytes_of_passes():
    """The least bytes and those that were counted, forward and backward."""
    lines = [["a layer, 512 tokens", "MB least", "MB counted", "times the least"], ["---"] * 4]
    with COUNTED.open() as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    for way in ("forward", "backward"):
        of = [row for row in rows if row["pass"] == way]
        least, moved = sum(int(row["least"]) for row in of), sum(int(row["read"]) + int(row["written"]) for row in of)
        lines.append([way, f"{least / 1e6:,.1f}", f"{moved / 1e6:,.1f}", f"{moved / least:.2f}"])
    return in_markdown(lines)


def all_kernels():
    header = ["kernel", "registers", "shared memory", *(f"warps {card}" for card in CARDS), "of", "MB least", "MB counted", "GFLOP"]
    header += [f"µs {card}" for card in PEAKS]
    return in_markdown([header, ["---"] * len(header), *rows()])


def main():
    text = new = DOCS.read_text()
    for name, table in [("bytes", bytes_of_passes()), ("kernels", all_kernels())]:
        begin, end = (mark.format(name) for mark in MARKS)
        before, rest = new.split(begin)
        new = f"{before}{begin}\n\n{table}\n\n{end}{rest.split(end)[1]}"
    if "--write" in sys.argv:
        DOCS.write_text(new)
    elif new != text:
        sys.exit(f"The tables of kernels in {DOCS.relative_to(ROOT)} are not up to date: python3 scripts/kernel-table.py --write")


main()
