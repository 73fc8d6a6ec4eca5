#!/usr/bin/env python3
"""Writes tests/reference/fixtures/adamw_8bit.json: the code books of Dettmers et al., "8-bit Optimizers
via Block-wise Quantization" (arXiv 2110.02861), and what 100 steps of AdamW with moments in 8 bits make
of a few tensors. crates/train/src/adamw/reference.rs does the same steps.

    .venv/bin/python tests/reference/adamw_8bit.py

All in float32 and in the order of the formulas, so that the codes can be compared one by one. The
gradients are a formula of place and step, exact on both sides. --compare-to-paper besides prints what
becomes of weights whose gradient is tiny beside their block's when second moments may round to 0, as
in the paper, and writes nothing.
"""
import argparse
import json
import math
import pathlib

import numpy as np

FIXTURE = pathlib.Path(__file__).parent / "fixtures" / "adamw_8bit.json"
BETA1, BETA2, EPSILON, WEIGHT_DECAY, MAX_NORM = 0.9, 0.999, 1e-8, 0.01, 1.0
LEARNING_RATE, STEPS, BLOCK = 1e-3, 100, 256
f32 = np.float32

# Name, shape, whether the weight is held in bf16, whether its moments are in 8 bits.
TENSORS = [
    ("odd.weight", [71, 73], False, True),
    ("even.weight", [96, 64], False, True),
    ("halved.weight", [65, 79], True, True),
    ("small.weight", [40, 40], False, False),
    ("long.bias", [4500], False, False),
    ("embed_tokens.weight", [80, 64], False, False),
]


def number(pattern, signed):
    """What a byte of the dynamic data type stands for, read bit by bit: the sign, if it has one; zeros,
    each a power of ten down; a one; and the rest, a linear fraction of [0.1, 1]."""
    bits = f"{pattern:08b}"
    sign, bits = (-1.0 if bits[0] == "1" else 1.0, bits[1:]) if signed else (1.0, bits)
    zeros = len(bits) - len(bits.lstrip("0"))
    fraction = bits[zeros + 1 :]
    if zeros == len(bits):
        # Zero; minus zero is free for 1.
        return 1.0 if sign < 0 else 0.0
    if not signed and not fraction:
        # The unsigned type has no power below the seventh and leaves this pattern for 1.
        return 1.0
    parts = 2 ** len(fraction)
    linear = 0.1 + 0.9 * (int(fraction or "0", 2) + 0.5) / parts
    return sign * linear * 10.0**-zeros


def code_book(signed):
    return np.array(sorted(number(pattern, signed) for pattern in range(256)), dtype=np.float64).astype(f32)


SIGNED, UNSIGNED = code_book(True), code_book(False)


def quantise(values, book, zero_is_for_zero_only):
    """Codes, by looking at the distance to every number of the book, and the scale of each block."""
    codes, scales = np.empty(values.size, np.uint8), []
    for start in range(0, values.size, BLOCK):
        block = values[start : start + BLOCK]
        scale = np.abs(block).max()
        relative = block / scale if scale > 0 else np.zeros_like(block)
        distance = np.abs(relative[:, None].astype(np.float64) - book[None, :].astype(np.float64))
        if zero_is_for_zero_only:
            distance[relative > 0, book == 0] = np.inf
        # The first of equally near ones, so the lower.
        codes[start : start + BLOCK] = distance.argmin(axis=1)
        scales.append(scale)
    return codes, np.array(scales, f32)


def dequantise(codes, scales, book):
    return book[codes] * np.repeat(scales, BLOCK)[: codes.size]


class Tensor:
    """One parameter in float32 with its moments."""

    def __init__(self, weights, in_8_bits, decays, guarded=True):
        self.weights, self.in_8_bits, self.decays, self.guarded = weights, in_8_bits, decays, guarded
        self.first, self.second = np.zeros_like(weights), np.zeros_like(weights)
        if in_8_bits:
            self.round()

    def round(self):
        self.first = quantise(self.first, SIGNED, False)
        self.second = quantise(self.second, UNSIGNED, self.guarded)

    def step(self, gradient, step, learning_rate, clip):
        m = dequantise(*self.first, SIGNED) if self.in_8_bits else self.first
        v = dequantise(*self.second, UNSIGNED) if self.in_8_bits else self.second
        g = gradient * f32(clip)
        m = f32(BETA1) * m + f32(1 - BETA1) * g
        v = f32(BETA2) * v + f32(1 - BETA2) * g * g
        step_size = f32(learning_rate / (1 - BETA1**step))
        root = np.sqrt(v) * f32(1 / math.sqrt(1 - BETA2**step)) + f32(EPSILON)
        keep = f32(1 - learning_rate * (WEIGHT_DECAY if self.decays else 0))
        self.weights = self.weights * keep - step_size * m / root
        self.first, self.second = m, v
        if self.in_8_bits:
            self.round()


def mixed(place, step, salt):
    """32 bits that look random, of whole numbers below 2^32."""
    wrap = np.uint64(0xFFFFFFFF)
    h = (place.astype(np.uint64) * np.uint64(2654435761)) & wrap
    h = (h + np.uint64((step * 2246822519 + salt * 3266489917) & 0xFFFFFFFF)) & wrap
    h ^= h >> np.uint64(15)
    h = (h * np.uint64(2246822519)) & wrap
    h ^= h >> np.uint64(13)
    h = (h * np.uint64(3266489917)) & wrap
    return h ^ (h >> np.uint64(16))


def even(place, step, salt):
    """Numbers in [-0.5, 0.5), exact in float32."""
    return (mixed(place, step, salt) >> np.uint64(8)).astype(f32) / f32(1 << 24) - f32(0.5)


def halved(x):
    """The bf16 next to each number, upwards in magnitude where two are equally near, as the weights are."""
    return ((x.view(np.uint32) + np.uint32(0x8000)) & np.uint32(0xFFFF0000)).view(f32)


def rounded(x):
    """The bf16 next to each number, to the even one where two are equally near, as gradients are."""
    bits = x.view(np.uint32)
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    return ((bits + np.uint32(0x7FFF) + odd) & np.uint32(0xFFFF0000)).view(f32)


def gradient(weights, step, salt, is_halved):
    """Towards a target, with noise, of sizes from 1 to 2^-11, and an eighth of them 0 in each step."""
    place = np.arange(weights.size)
    size = np.exp2(-(mixed(place, 1 << 20, salt) % np.uint64(12)).astype(f32)).astype(f32)
    w = halved(weights) if is_halved else weights
    g = ((w - even(place, 1 << 21, salt)) + even(place, step, salt)) * size
    g[mixed(place, step, salt + 7) % np.uint64(8) == 0] = 0
    return rounded(g) if is_halved else g


def hundred_steps():
    tensors = []
    for salt, (_, shape, _, in_8_bits) in enumerate(TENSORS):
        weights = even(np.arange(math.prod(shape)), 0, salt) * f32(0.25)
        tensors.append(Tensor(weights, in_8_bits, decays=len(shape) >= 2))
    for step in range(1, STEPS + 1):
        gradients = [gradient(t.weights, step, salt, TENSORS[salt][2]) for salt, t in enumerate(tensors)]
        norm = math.sqrt(sum((g.astype(np.float64) ** 2).sum() for g in gradients))
        clip = min(MAX_NORM / (norm + 1e-6), 1)
        for tensor, g in zip(tensors, gradients):
            tensor.step(g, step, LEARNING_RATE * (STEPS + 1 - step) / STEPS, clip)
    return tensors


def tiny_beside_large(guarded):
    """How far, in learning rates, one step moves weights whose gradient was 1e-4 of their block's
    largest for 50 steps and then is 0."""
    tensor = Tensor(np.zeros(BLOCK, f32), True, False, guarded)
    large = np.where(np.arange(BLOCK) == 0, f32(1), f32(1e-4)).astype(f32)
    furthest = []
    for step in range(1, 52):
        before = tensor.weights
        tensor.step(large if step <= 50 else np.where(large == 1, large, f32(0)), step, 1.0, 1.0)
        furthest.append(float(np.abs(tensor.weights - before)[1:].max()))
    return max(furthest[:50]), furthest[50]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--compare-to-paper", action="store_true")
    if parser.parse_args().compare_to_paper:
        print("second moments above 0 stay above 0:", tiny_beside_large(True))
        print("they round to 0 as in the paper:    ", tiny_beside_large(False))
        return
    cases = []
    for (name, shape, is_halved, in_8_bits), tensor in zip(TENSORS, hundred_steps()):
        case = {"name": name, "shape": shape, "halved": is_halved, "in_8_bits": in_8_bits}
        # Every fifth weight, and the sum of all.
        case["weights"] = [float(f"{w:.9g}") for w in tensor.weights[::5]]
        case["sum"] = float(tensor.weights.astype(np.float64).sum())
        if in_8_bits:
            for moment in ("first", "second"):
                codes, scales = getattr(tensor, moment)
                case[moment] = codes.tobytes().hex()
                case[f"{moment}_scale"] = [float(f"{scale:.9g}") for scale in scales]
        cases.append(case)
    books = {"signed": [float(x) for x in SIGNED], "unsigned": [float(x) for x in UNSIGNED]}
    FIXTURE.write_text(json.dumps({**books, "steps": STEPS, "tensors": cases}, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
