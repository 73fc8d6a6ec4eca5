#!/usr/bin/env python3
"""Computes the paired difference of two models in balanced accuracy with NumPy and scikit-learn.

Writes random cases with what crates/metrics has to make of them to tests/reference/fixtures/paired.json, for
crates/metrics/tests/paired_difference.rs: of each axis and in the mean, the difference on all texts, and its 95 %
percentile interval over resamples of the authors (of the texts where none are named), the same ones for both models.

    tests/reference/paired.py --out tests/reference/fixtures/paired.json
"""
import argparse
import json
import warnings

import numpy as np
from sklearn.metrics import balanced_accuracy_score

AXES = ["E-I", "N-S", "F-T", "J-P"]
CLASS_1 = "ISTP"
CASES, RESAMPLES, SEED = 24, 60, 11


def units_of(authors):
    """The unit of each text: authors by their first text, a text without one being its own."""
    numbers, units = {}, []
    for text, author in enumerate(authors):
        key = ("text", text) if author is None else ("author", author)
        units.append(numbers.setdefault(key, len(numbers)))
    return np.array(units, int), len(numbers)


def balanced_accuracy(classes, logits):
    """None where the texts have one class only."""
    if len(set(classes)) < 2:
        return None
    return float(balanced_accuracy_score(classes, logits > 0))


def interval(values):
    """The percentile interval, or None where more than 5 % have no value."""
    known = [value for value in values if value is not None]
    if not known or len(values) - len(known) > 0.05 * len(values):
        return None
    return [float(value) for value in np.percentile(known, [2.5, 97.5])]


def mean(values, known):
    if not known or any(values[axis] is None for axis in known):
        return None
    return float(np.mean([values[axis] for axis in known]))


def compare(case):
    units, count = units_of(case["authors"])
    rows = np.arange(len(units))
    axes = [axis for axis in case["first_axes"] if axis in case["second_axes"]]
    classes = {axis: np.array([any(letter in mbti and letter in CLASS_1 for letter in axis.split("-"))
                               for mbti in case["types"]]) for axis in axes}
    logits = {side: np.array(case[side], float).reshape(len(units), -1) for side in ("first", "second")}

    def differences(chosen):
        found = {}
        for axis in axes:
            both = [balanced_accuracy(classes[axis][chosen],
                                      logits[side][chosen, case[side + "_axes"].index(axis)])
                    for side in ("first", "second")]
            found[axis] = None if None in both else both[0] - both[1]
        return found

    whole = differences(rows)
    resampled = [differences(np.repeat(rows, np.array(counts)[units])) for counts in case["resamples"]]
    known = [axis for axis in axes if whole[axis] is not None]

    def estimated(value, values):
        return {"value": value, "interval": None if value is None else interval(values)}

    return {
        "texts": len(units),
        "units": count,
        "authors": any(author is not None for author in case["authors"]),
        "axes": {axis: estimated(whole[axis], [one[axis] for one in resampled]) for axis in axes},
        "mean": estimated(mean(whole, known), [mean(one, known) for one in resampled]),
    }


def made_up(random, number):
    """Texts of some authors, and two models, of which the second is now like the first and now another."""
    texts = int(random.integers(8, 60))
    named = number % 3 != 2
    authors = [int(random.integers(0, 12)) if named and random.random() > 0.1 else None for _ in range(texts)]
    letters = ["EI", "NS", "FT", "JP"]
    # Now and then one letter is so rare that resamples lack it, or is not there.
    rare = [1.0 if number % 7 == 3 else 0.93 if number % 5 == 4 else 0.5] + [0.5] * 3
    types = ["".join(pair[int(random.random() > share)] for pair, share in zip(letters, rare)) for _ in range(texts)]
    first_axes = AXES if number % 4 else AXES[1:]
    second_axes = AXES if number % 6 else AXES[:3]

    def told(axes, skill):
        return [[round(float(random.normal(skill if mbti[AXES.index(axis)] in CLASS_1 else -skill)), 3)
                 for axis in axes] for mbti in types]

    first = told(first_axes, 0.6)
    second = first if number % 8 == 0 and first_axes == second_axes else told(second_axes, random.choice([0.0, 0.5]))
    units, count = units_of(authors)
    resamples = [np.bincount(random.integers(0, count, count), minlength=count).tolist() for _ in range(RESAMPLES)]
    flat = [value for row in first for value in row], [value for row in second for value in row]
    return {"first_axes": first_axes, "second_axes": second_axes, "first": flat[0], "second": flat[1], "types": types,
            "authors": authors, "resamples": resamples}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", required=True)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    random = np.random.default_rng(SEED)
    cases = []
    for number in range(CASES):
        case = made_up(random, number)
        cases.append(json.dumps({**case, "expected": compare(case)}, separators=(",", ":")))
    with open(arguments.out, "w", encoding="utf-8") as file:
        file.write("[\n" + ",\n".join(cases) + "\n]\n")


if __name__ == "__main__":
    main()
