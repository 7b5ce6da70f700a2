"""Split sizes: numbers of patients for training, validation and test."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import ConfigError, DataError


def sizes_by_fraction(patients: int, fractions: Sequence[float]) -> list[int]:
    """Numbers of patients in the given ratio.

    Each section whose fraction is not 0 gets one patient, in order, as long as there are patients; every further
    patient goes to the section that is farthest below its fraction.

    Raises:
        ConfigError: for fractions that are not three numbers from 0 to 1 with sum 1.
    """
    if len(fractions) != 3 or min(fractions) < 0 or not abs(sum(fractions) - 1) <= 1e-6:  # nan is neither
        raise ConfigError(f"--fractions is {list(fractions)}", "pass three numbers from 0 to 1 with sum 1")
    sizes = [0, 0, 0]
    for i in [i for i in range(3) if fractions[i] > 0][:patients]:
        sizes[i] = 1
    for _ in range(patients - sum(sizes)):
        lacking = [fractions[i] * patients - sizes[i] if fractions[i] > 0 else -np.inf for i in range(3)]
        sizes[int(np.argmax(lacking))] += 1
    return sizes


def require_counts(patients: int, counts: Sequence[int]) -> list[int]:
    """Check that there are enough patients for the counts, and return the counts.

    Raises:
        ConfigError: for counts that are not three whole numbers from 0 with a sum above 0.
        DataError: for fewer patients than the counts need.
    """
    if len(counts) != 3 or any(count != int(count) or count < 0 for count in counts) or sum(counts) == 0:
        remedy = "pass the patients for training, validation and test, whole numbers and not all 0"
        raise ConfigError(f"--counts is {list(counts)}", remedy)
    if patients < sum(counts):
        needed = f"{' + '.join(map(str, counts))} = {sum(counts)} for training, validation and test"
        fault = f"{patients} patients are fewer than {needed}"
        raise DataError(fault, "lower the counts, give fractions, or add patients")
    return [int(count) for count in counts]
