#!/usr/bin/env python3
"""Prints scikit-learn's metrics for the cells that crates/train/src/metrics.rs is tested with."""
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, matthews_corrcoef

tn, fp, fn, tp = 20, 5, 7, 18
actual = [0] * (tn + fp) + [1] * (fn + tp)
predicted = [0] * tn + [1] * fp + [0] * fn + [1] * tp
print("accuracy", accuracy_score(actual, predicted))
print("f1", f1_score(actual, predicted))
print("macro_f1", f1_score(actual, predicted, average="macro"))
print("balanced_accuracy", balanced_accuracy_score(actual, predicted))
print("mcc", matthews_corrcoef(actual, predicted))
