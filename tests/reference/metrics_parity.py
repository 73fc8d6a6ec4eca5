#!/usr/bin/env python3
"""Holds crates/metrics to scikit-learn, SciPy and NumPy.

Reads the lines of crates/metrics/examples/metrics_cases.rs, computes all of each case again, prints
the largest difference of each metric, and fails where one is too large or where a value is missing
on one side. With --fixture it also writes small cases with the values found here, for
crates/metrics/tests/equal_scikit_learn.rs.
"""
import argparse
import itertools
import json
import math
import sys
import warnings
from collections import defaultdict

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (accuracy_score, balanced_accuracy_score, confusion_matrix, f1_score, log_loss,
                             matthews_corrcoef, roc_auc_score)

TOLERANCE = 1e-9
# Searches for a minimum stop a little beside it; these are what they may differ by.
TOLERANCES = {
    "loss at the temperature": 1e-6,
    "Platt scaling": 1e-5,
}
# Cases for the fixture, without and with intervals, and how many texts they have at most.
FIXTURE_CASES = (30, 10)
FIXTURE_TEXTS = 60
INTERVALS = ["accuracy", "f1", "macro_f1", "balanced_accuracy", "mcc", "roc_auc", "log_loss",
             "expected_calibration_error"]
CLASS_1 = "ISTP"


def expected_calibration_error(classes, probabilities):
    predicted = probabilities > 0.5
    confidence = np.where(predicted, probabilities, 1 - probabilities)
    right = predicted == classes
    error = 0.0
    for number in range(15):
        chosen = (confidence > number / 15) & (confidence <= (number + 1) / 15)
        if chosen.any():
            error += abs(right[chosen].mean() - confidence[chosen].mean()) * chosen.mean()
    return error


def axis_metrics(classes, probabilities):
    """As record::AxisMetrics; None where there is no value."""
    classes, probabilities = np.asarray(classes, bool), np.asarray(probabilities, float)
    none = dict.fromkeys(INTERVALS + ["majority_accuracy"])
    if len(classes) == 0:
        return {**none, "confusion": [[0, 0], [0, 0]]}
    predicted = probabilities > 0.5
    both, both_predicted = len(set(classes)) == 2, len(set(predicted)) == 2

    def f1(label):
        value = f1_score(classes, predicted, pos_label=label, zero_division=np.nan)
        return None if math.isnan(value) else float(value)

    macro = None
    if None not in (f1(True), f1(False)):
        macro = float(f1_score(classes, predicted, average="macro", labels=[False, True]))
    return {
        "accuracy": float(accuracy_score(classes, predicted)),
        "f1": f1(True),
        "macro_f1": macro,
        "balanced_accuracy": float(balanced_accuracy_score(classes, predicted)) if both else None,
        "mcc": float(matthews_corrcoef(classes, predicted)) if both and both_predicted else None,
        "roc_auc": float(roc_auc_score(classes, probabilities)) if both else None,
        "log_loss": float(log_loss(classes, probabilities, labels=[False, True])),
        "expected_calibration_error": float(expected_calibration_error(classes, probabilities)),
        "majority_accuracy": float(max(classes.mean(), 1 - classes.mean())),
        "confusion": confusion_matrix(classes, predicted, labels=[False, True]).tolist(),
    }


def interval(values):
    """The percentile interval, or None where more than 5 % have no value."""
    known = [value for value in values if value is not None]
    if not known or len(values) - len(known) > 0.05 * len(values):
        return None
    return [float(value) for value in np.percentile(known, [2.5, 97.5])]


def level(axes, classes, probabilities, units, resamples):
    """As record::Level. classes, probabilities: [axes][items]; resamples: [resamples][units]."""
    classes, probabilities = np.array(classes, bool), np.array(probabilities, float)
    right = (classes == (probabilities > 0.5)).sum(axis=0)
    chosen = [np.repeat(np.arange(len(units)), np.asarray(counts)[units]) for counts in resamples]

    def estimated(of):
        def value(rows):
            return float(of(right[rows]).mean()) if len(rows) else None
        return {"value": value(np.arange(len(units))), "interval": interval([value(rows) for rows in chosen])}

    found = {}
    for index, axis in enumerate(axes):
        resampled = [axis_metrics(classes[index][rows], probabilities[index][rows]) for rows in chosen]
        intervals = {metric: interval([one[metric] for one in resampled]) for metric in INTERVALS}
        found[axis] = {
            "metrics": axis_metrics(classes[index], probabilities[index]),
            "intervals": {metric: ends for metric, ends in intervals.items() if ends is not None},
        }
    majority = [axis["metrics"]["majority_accuracy"] for axis in found.values()]
    return {
        "units": len(units),
        "axes": found,
        "exact_match": estimated(lambda right: right == len(axes)),
        "right_letters": estimated(lambda right: right),
        "majority_right_letters": None if None in majority else sum(majority),
    }


def units_of(authors):
    """The unit of each text: authors by their first text, a text without one being its own."""
    numbers, units = {}, []
    for text, author in enumerate(authors):
        key = ("text", text) if author is None else ("author", author)
        units.append(numbers.setdefault(key, len(numbers)))
    return units, len(numbers)


def commonest(types):
    """The commonest type; of several the first in the order of the classes."""
    order = sorted(set(types), key=lambda name: [letter in CLASS_1 for letter in name])
    return max(order, key=types.count)


def mean_loss(temperature, logits, classes):
    return float(np.logaddexp(0, -np.where(classes, logits, -logits) / temperature).mean())


# Of the temperature.
BOUNDS = (0.05, 100.0)


def best_temperature(logits, classes):
    found = minimize_scalar(lambda log: mean_loss(math.exp(log), logits, classes), method="bounded",
                            bounds=np.log(BOUNDS), options={"xatol": 1e-10})
    # SciPy never looks at the bounds themselves.
    return min(*BOUNDS, math.exp(found.x), key=lambda one: mean_loss(one, logits, classes))


def platt(logits, classes, at):
    """Platt's scaling by scikit-learn's logistic regression, each text being of both classes."""
    ones, zeros = classes.sum(), (~classes).sum()
    target = np.where(classes, (ones + 1) / (ones + 2), 1 / (zeros + 2))
    mean, spread = logits.mean(), logits.std()
    x = (np.concatenate([logits, logits]) - mean) / spread
    y = np.repeat([1, 0], len(logits))
    model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-10, max_iter=1000)
    model.fit(x[:, None], y, sample_weight=np.concatenate([target, 1 - target]))
    return model.predict_proba(((np.array(at) - mean) / spread)[:, None])[:, 1]


class Differences:
    def __init__(self):
        self.largest, self.count, self.failed = defaultdict(float), defaultdict(int), []

    def number(self, name, found, expected, at):
        difference = abs(found - expected)
        self.count[name] += 1
        self.largest[name] = max(self.largest[name], difference)
        if not difference <= TOLERANCES.get(name, TOLERANCE):
            self.failed.append(f"{at}: {found} is not {expected}")

    def same(self, found, expected, at):
        if found != expected:
            self.failed.append(f"{at}: {found} is not {expected}")

    def compare(self, found, expected, name, at, inside=""):
        """Whatever is expected, key by key; a missing value must be missing in both."""
        if isinstance(expected, dict) and isinstance(found, dict):
            self.same(sorted(found), sorted(expected), at)
            for key in expected:
                interval = "interval of " if inside == "intervals" else ""
                label = name if key in ("value", "interval") else interval + key
                label = f"interval of {name}" if key == "interval" else label
                self.compare(found.get(key), expected[key], label, f"{at}/{key}", key)
        elif isinstance(expected, list) and isinstance(found, list):
            self.same(len(found), len(expected), at)
            for one, other in zip(found, expected):
                self.compare(one, other, name, at, inside)
        elif expected is None or found is None:
            self.count[name + ", none"] += 1
            self.same(found, expected, at)
        else:
            self.number(name, found, expected, at)


def usable(units, logits, classes):
    return len(set(units)) >= 2 and len(set(logits)) >= 2 and len(set(classes)) == 2


def calibration(case, index, axis, units, classes, differences, at):
    """As record::Calibration, or None; the temperature and one scaling of the band are judged here."""
    logits = np.array(case["logits"], float).reshape(-1, len(case["axes"]))[:, index]
    units, classes = np.array(units, int), np.array(classes, bool)
    fitted = np.array(case["fitted"][index], bool)[units]
    if not all(usable(units[half], logits[half], classes[half]) for half in (fitted, ~fitted)):
        return None
    temperature = best_temperature(logits[fitted], classes[fitted])
    found = case["assessment"]["calibration"].get(axis)
    if found is None:
        return {}
    fitted_temperature = (found["refused"] or found)["temperature"]
    ours = mean_loss(fitted_temperature, logits[fitted], classes[fitted])
    theirs = mean_loss(temperature, logits[fitted], classes[fitted])
    differences.number("loss at the temperature", ours, theirs, at)
    if ours > theirs + 1e-12:
        differences.failed.append(f"{at}: {temperature} is a better temperature than {fitted_temperature}")
    grid = found["band"]["logits"]
    margin = (logits.max() - logits.min()) / 4
    line = np.linspace(logits.min() - margin, logits.max() + margin, 33)
    for one, other in zip(grid, line, strict=True):
        differences.number("logits of the band", one, float(other), at)
    for one, other in zip(case["platt"][index], platt(logits[fitted], classes[fitted], grid), strict=True):
        differences.number("Platt scaling", one, float(other), at)
    for low, high in zip(found["band"]["lower"], found["band"]["upper"], strict=True):
        if not 0 <= low <= high <= 1:
            differences.failed.append(f"{at}: the band is from {low} to {high}")
    judged, given = logits[~fitted], expit(logits[~fitted])
    as_given = axis_metrics(classes[~fitted], given)
    tempered = axis_metrics(classes[~fitted], expit(judged / fitted_temperature))
    best = axis_metrics(classes[~fitted], expit(judged / temperature))
    return {
        "at_limit": temperature in BOUNDS,
        "fitted_texts": int(fitted.sum()),
        "judged_texts": int((~fitted).sum()),
        "log_loss": as_given["log_loss"],
        "calibrated_log_loss": tempered["log_loss"],
        "expected_calibration_error": as_given["expected_calibration_error"],
        "calibrated_expected_calibration_error": tempered["expected_calibration_error"],
        "with SciPy's temperature": best["log_loss"],
    }


def set_of_answers(scores, truth, units, calibrating):
    """As record::SetThreshold without the interval: hierarchical conformal prediction (Lee, Barber and
    Willett, arXiv 2306.06342). scores [texts, answers], truth [texts]: the place of the right answer."""
    of_truth = scores[np.arange(len(truth)), truth]
    fit = calibrating[units]
    count = len(set(units[fit]))
    weights = np.array([1 / ((count + 1) * (units[fit] == unit).sum()) for unit in units[fit]])
    order = np.argsort(of_truth[fit], kind="stable")
    reached = np.cumsum(weights[order]) >= 0.9 - 1e-9
    threshold = float(of_truth[fit][order][reached.argmax()])
    inside = scores <= threshold
    inside[np.arange(len(truth)), scores.argmin(axis=1)] = True
    covered, size = inside[np.arange(len(truth)), truth], inside.sum(axis=1)
    judged = sorted(set(units[~fit]))

    def mean(values):
        return float(np.mean([values[units == unit].mean() for unit in judged]))
    return {"threshold": threshold, "coverage": mean(covered), "mean_size": mean(size)}


def prediction_sets(case, units, text_classes, differences, at):
    """Holds the sets of answers to the same by NumPy, where any are promised."""
    found, axes = case["assessment"]["sets"], case["axes"]
    if found is None:
        return
    units, calibrating = np.array(units, int), np.array(case["calibrating"], bool)
    differences.same(found["calibration_units"], int(calibrating.sum()), f"{at}/calibration units")
    promised = calibrating.sum() >= 11 and not calibrating.all()
    differences.same(sorted(found["axes"]), sorted(axes) if promised else [], f"{at}/axes of sets")
    if not promised:
        return
    logits = np.clip(np.array(case["logits"], float).reshape(-1, len(axes)), -1e4, 1e4)
    classes = np.array(text_classes, int).T
    chosen = [([index], found["axes"][axis]) for index, axis in enumerate(axes)]
    if len(axes) > 1:
        chosen.append((list(range(len(axes))), found["types"]))
    for places, ours in chosen:
        answers = np.array(list(itertools.product([0, 1], repeat=len(places))))
        signs = 2 * answers - 1
        scores = np.logaddexp(0, -logits[:, None, places] * signs[None]).sum(axis=2)
        truth = (classes[:, None, places] == answers[None]).all(axis=2).argmax(axis=1)
        theirs = set_of_answers(scores, truth, units, calibrating)
        for name in theirs:
            value = ours[name]["value"] if name == "coverage" else ours[name]
            differences.number(f"{name} of sets", value, theirs[name], f"{at}/sets")


def check(case, differences, at):
    """Compares one case and returns what was to be found."""
    axes, types = case["axes"], case["types"]
    metrics = axis_metrics(case["classes"], case["probabilities"])
    differences.compare(case["metrics"], metrics, "", at)

    units, count = units_of(case["authors"])
    differences.same(case["units"], units, f"{at}/units")
    logits = np.array(case["logits"], float).reshape(-1, len(axes))
    of_unit = [[text for text in range(len(types)) if units[text] == unit] for unit in range(count)]
    means = [[sum(float(logits[text][index]) for text in texts) / len(texts) for texts in of_unit]
             for index in range(len(axes))]
    author_types = [commonest([types[text] for text in texts]) for texts in of_unit]
    # An exponential may differ in the last bit, and make or undo a tie; so it is compared first,
    # and the metrics are made of the same numbers.
    for found, expected in ((case["text_probabilities"], logits.T), (case["author_probabilities"], means)):
        for one, other in zip(found, expected, strict=True):
            for probability, logit in zip(one, other, strict=True):
                differences.number("probability", probability, float(expit(logit)), at)

    def classes(types):
        return [[any(letter in name and letter in CLASS_1 for letter in axis.split("-")) for name in types]
                for axis in axes]

    text_classes = classes(types)
    named = any(author is not None for author in case["authors"])
    resamples = case["counts"] if count >= 2 else []
    expected = {
        "step": 1,
        "by_text": level(axes, text_classes, case["text_probabilities"], units, resamples),
        "by_author": level(axes, classes(author_types), case["author_probabilities"], list(range(count)),
                           resamples) if named else None,
        "calibration": {},
    }
    for index, axis in enumerate(axes):
        found = calibration(case, index, axis, units, text_classes[index], differences, f"{at}/{axis}")
        if found is not None:
            expected["calibration"][axis] = found
    prediction_sets(case, units, text_classes, differences, at)
    del case["assessment"]["sets"]
    ours = {**case["assessment"], "calibration": {
        axis: {key: value for key, value in found.items() if key not in ("temperature", "band", "refused")}
        for axis, found in case["assessment"]["calibration"].items()}}
    same_temperature = {axis: {key: value for key, value in found.items() if not key.startswith("with")}
                        for axis, found in expected["calibration"].items()}
    differences.compare(ours, {**expected, "calibration": same_temperature}, "", at)
    return {"metrics": metrics, "assessment": expected}


def for_fixture(case, expected):
    """Inputs and expected values; of the temperature only what it does to the loss."""
    for found in expected["assessment"]["calibration"].values():
        found["calibrated_log_loss"] = found.pop("with SciPy's temperature")
        del found["calibrated_expected_calibration_error"]
    inputs = ["classes", "probabilities", "axes", "logits", "types", "authors", "seed", "resamples"]
    return {**{key: case[key] for key in inputs}, "expected": expected}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--fixture", help="the file that small cases are written to")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    differences, kept, cases = Differences(), ([], []), 0
    for number, line in enumerate(sys.stdin):
        case = json.loads(line)
        expected = check(case, differences, f"case {number}")
        small = max(len(case["types"]), len(case["classes"])) <= FIXTURE_TEXTS
        of_kind = kept[case["resamples"] > 0]
        if arguments.fixture and small and len(of_kind) < FIXTURE_CASES[case["resamples"] > 0]:
            of_kind.append(json.dumps(for_fixture(case, expected), separators=(",", ":")))
        cases += 1
    for name in sorted(differences.count):
        if name.endswith(", none"):
            print(f"{name:48} {differences.count[name]:9} alike")
        else:
            print(f"{name:48} {differences.count[name]:9} compared, largest difference "
                  f"{differences.largest[name]:.1e} of {TOLERANCES.get(name, TOLERANCE):.0e}")
    for failure in differences.failed[:20]:
        print(failure, file=sys.stderr)
    if differences.failed or not cases:
        sys.exit(f"{len(differences.failed)} differences in {cases} cases")
    print(f"All of {cases} cases are those of scikit-learn, SciPy and NumPy.")
    if arguments.fixture:
        with open(arguments.fixture, "w", encoding="utf-8") as file:
            file.write("[\n" + ",\n".join(kept[0] + kept[1]) + "\n]\n")


if __name__ == "__main__":
    main()
