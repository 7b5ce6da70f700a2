"""Intervals of shares and their differences, a test of trend, and agreement: what the scores of readers need."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import binomtest, norm
from sklearn.metrics import cohen_kappa_score

LEVEL = 0.95
REPLICATES = 4000
SEED = 0
AT_ONCE = 2**22
"""Weights that are held in memory at once."""
Interval = tuple[float, float]


def wilson(successes: int, count: int) -> Interval:
    """Score interval at 95 % of a share of independent trials (Wilson 1927)."""
    low, high = binomtest(successes, count).proportion_ci(LEVEL, method="wilson")
    return float(low), float(high)


def newcombe(first: tuple[int, int], second: tuple[int, int]) -> Interval:
    """Interval at 95 % of the share in ``second`` minus that in ``first``, of two sets of independent trials.

    Method 10 of Newcombe 1998 (Statistics in Medicine 17, 873-890): from the Wilson intervals of both.

    Args:
        first: successes and number of trials.
        second: the same.
    """
    (p1, (low1, high1)), (p2, (low2, high2)) = ((k / n, wilson(k, n)) for k, n in (first, second))
    change = p2 - p1
    return change - math.hypot(p2 - low2, high1 - p1), change + math.hypot(high2 - p2, p1 - low1)


def trend(correct: np.ndarray, positions: np.ndarray) -> tuple[float, float] | None:
    """z and two-sided p of a trend of the share with the position; None where all are alike.

    The test of Cochran (1954, Biometrics 10, 417-451) and Armitage (1955, Biometrics 11, 375-386), which is the score
    test of the slope in logistic regression, and needs no fit that might not converge.

    Args:
        correct: (N,), 0 or 1.
        positions: (N,).
    """
    share, centred = correct.mean(), positions - positions.mean()
    variance = share * (1 - share) * (centred**2).sum()
    if variance == 0:
        return None
    z = float((centred * correct).sum() / math.sqrt(variance))
    return z, float(2 * norm.sf(abs(z)))


def crossed_interval(
    values: np.ndarray, readers: np.ndarray, cases: np.ndarray, late: np.ndarray | None = None
) -> Interval | None:
    """Interval at 95 % of a mean over readers and cases, whose answers are not independent trials.

    Readers and cases are drawn with replacement, each by itself, and an answer counts as often as both were drawn: the
    pigeonhole bootstrap (Owen 2007, Annals of Applied Statistics 1, 386-411), which errs on the wide side. A single
    reader is kept, so that the interval is about cases.

    Args:
        values: (N,).
        readers: (N,), index of each answer's reader from 0.
        cases: (N,), index of its case from 0.
        late: (N,), for the mean where it holds minus that where it does not.

    Returns:
        None where no draw changes the mean, such as when all answers are correct.
    """
    rng = np.random.default_rng(SEED)
    parts = [np.ones(len(values), bool)] if late is None else [late, ~late]
    found: list[np.ndarray] = []
    batch = max(1, min(REPLICATES, AT_ONCE // len(values)))
    for start in range(0, REPLICATES, batch):
        count = min(batch, REPLICATES - start)
        weights = _drawn(rng, cases, count)
        if readers.max() > 0:
            weights = weights * _drawn(rng, readers, count)
        with np.errstate(invalid="ignore", divide="ignore"):  # a draw may have none of the answers of a part
            means = [(weights[:, part] @ values[part]) / weights[:, part].sum(1) for part in parts]
        found.append(means[0] if late is None else means[0] - means[1])
    draws = np.concatenate(found)
    draws = draws[np.isfinite(draws)]
    if not draws.size or np.ptp(draws) == 0:
        return None
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    return low, high


def _drawn(rng: np.random.Generator, groups: np.ndarray, count: int) -> np.ndarray:
    """How often the group of each answer is drawn, (count, N)."""
    size = int(groups.max()) + 1
    drawn: np.ndarray = rng.multinomial(size, np.full(size, 1 / size), count)[:, groups].astype(np.float64)
    return drawn


def cohen(first: Sequence[str], second: Sequence[str]) -> float | None:
    """Cohen's kappa of two sequences of answers; None where both have one answer throughout."""
    return None if len({*first, *second}) < 2 else float(cohen_kappa_score(list(first), list(second)))


def fleiss(counts: np.ndarray) -> float | None:
    """Fleiss' kappa (1971, Psychological Bulletin 76, 378-382) of several readers; None where all answers are one.

    Args:
        counts: (items, choices), how many readers gave each answer; as many readers for every item.
    """
    readers = counts[0].sum()
    observed = ((counts**2).sum(1) - readers).mean() / (readers * (readers - 1))
    expected = float(((counts.sum(0) / counts.sum()) ** 2).sum())
    return None if expected == 1 else float((observed - expected) / (1 - expected))
