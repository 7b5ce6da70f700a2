"""Cross-validation folds by patient."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from common.data.datalist import Item
from common.errors import ConfigError, DataError


def patient_folds(items: Sequence[Item], folds: int, seed: int, classes: Sequence[str]) -> list[list[Item]]:
    """Folds of items by patient, each with patients of every class.

    Patients with the same set of classes are assigned in turn, in an order determined by the seed.

    Raises:
        ConfigError: there are fewer than two folds.
        DataError: a class has fewer patients than there are folds, or a fold lacks a class.
    """
    if folds < 2:
        raise ConfigError(f"--folds is {folds}, below 2", "raise it")
    owned: dict[str, set[str]] = defaultdict(set)
    for item in items:
        owned[item["patient"]].add(item["class"])
    for name in classes:
        count = sum(name in own for own in owned.values())
        if count < folds:
            remedy = "add patients, lower --folds, or remove the class from --classes"
            raise DataError(f"class {name} has {count} patients for {folds} folds", remedy)
    dealt = _deal(owned, folds, seed, classes)
    parts = [[item for item in items if dealt[item["patient"]] == fold] for fold in range(folds)]
    for fold, part in enumerate(parts):
        if lacking := [name for name in classes if not any(item["class"] == name for item in part)]:
            raise DataError(f"fold {fold} has no patches of {', '.join(lacking)}", "lower --folds, or add patients")
    return parts


def _deal(owned: dict[str, set[str]], folds: int, seed: int, classes: Sequence[str]) -> dict[str, int]:
    """Fold of each patient: the rarest sets of classes first, each to the fold with the fewest of its classes."""
    order = np.random.default_rng(seed).permutation(sorted(owned)).tolist()
    kinds = {patient: tuple(sorted(own)) for patient, own in owned.items()}
    frequency = {kind: list(kinds.values()).count(kind) for kind in set(kinds.values())}
    counts = np.zeros((folds, len(classes)), int)
    dealt = {}
    for patient in sorted(order, key=lambda patient: (frequency[kinds[patient]], kinds[patient])):
        own = [k for k, name in enumerate(classes) if name in owned[patient]]
        fold = int(np.lexsort((counts.sum(axis=1), counts[:, own].sum(axis=1)))[0])
        dealt[patient] = fold
        counts[fold, own] += 1
    return dealt


def require_disjoint(training: Sequence[Item], test: Sequence[Item]) -> None:
    """Refuse training and test cases that share a patient.

    Raises:
        DataError: a patient is in both.
    """
    both = sorted({item["patient"] for item in training} & {item["patient"] for item in test})
    if both:
        others = f" and {len(both) - 1} more" if len(both) > 1 else ""
        raise DataError(f"a fold trains and tests on patient '{both[0]}'{others} (leak)", "assign folds by patient")
