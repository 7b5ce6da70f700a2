"""Labels exchanged between cases, found by what they share with the images."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from common.data.checks.swapped_labels import Exchanges
from common.data.checks.volumes import CheckedVolume
from common.errors import Finding

CASES = ("a", "b", "c", "d")


def volume(case: str, values: np.ndarray, spacing: float = 1.0) -> CheckedVolume:
    return CheckedVolume(partial(Finding, case, "label.nii.gz"), values, np.diag([spacing, spacing, spacing, 1.0]))


def pair(case: str, channels: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Texture of its own inside an ellipsoid that all cases share, and a second contrast of it."""
    rng = np.random.default_rng(CASES.index(case))
    texture = gaussian_filter(rng.normal(size=(40, 36, 44)), 2.5)
    places = np.meshgrid(*(np.linspace(-1, 1, n) for n in texture.shape), indexing="ij")
    head = sum(place**2 for place in places) < 0.9
    source = np.where(head, 3 + texture / texture.std(), 0)
    label = np.where(head, np.cos(2 * source) + 3 + 0.05 * rng.normal(size=source.shape), 0)
    return np.stack([source] * channels) if channels else source, label


def found(labels: str, spacings: tuple[float, ...] = (1, 1, 1, 1), channels: int = 0) -> list[Finding]:
    exchanges = Exchanges()
    for case, label, spacing in zip(CASES, labels, spacings, strict=True):
        exchanges.add(volume(case, pair(case, channels)[0], spacing), volume(case, pair(label)[1], spacing))
    return list(exchanges.findings())


@pytest.mark.parametrize("channels", [0, 2])
def test_an_exchange_is_named_in_both_cases(channels: int) -> None:
    first, second = found("adcb", channels=channels)
    assert (first.case, second.case) == ("b", "d")
    assert first.severity == "warning"
    assert first.value.endswith("with the label of d")
    assert second.value.endswith("with the label of b")
    own, other = (float(part.split()[-1 if number == 0 else 1]) for number, part in enumerate(first.value.split(",")))
    assert other > 1.9 * own


def test_a_ring_of_three_is_named_in_each() -> None:
    assert [(one.case, one.value[-1]) for one in found("bcad")] == [("a", "c"), ("b", "a"), ("c", "b")]


def test_own_labels_and_cases_of_another_grid_are_not_suspicious() -> None:
    assert found("abcd") == []
    assert found("adcb", spacings=(1, 1, 1, 2)) == []
