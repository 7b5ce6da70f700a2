"""Modality of a volume by its header or its values."""

from __future__ import annotations

import numpy as np
import pytest

from common.errors import DataError
from common.io.modality import IN_HU, NOT_IN_HU, UNKNOWN, modality_of, require_modality


def volume(outside: float, inside: float) -> np.ndarray:
    values = np.full((20, 20, 20), outside, np.float32)
    values[5:15, 5:15, 5:15] = inside
    return values


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (volume(-1000, 40), IN_HU),
        (volume(0, 40), NOT_IN_HU),
        (volume(24, 1064), NOT_IN_HU),  # CT as stored, without its intercept
        (volume(-3, 2), UNKNOWN),  # z-scores
        (volume(-100, 40), UNKNOWN),  # within fat
        (volume(-1000, 40)[None], IN_HU),
        (volume(-1000, 65535), IN_HU),  # metal in an extended scale
        (volume(-1e33, 4e31), NOT_IN_HU),  # a slope that is none
    ],
)
def test_what_values_give_away(values: np.ndarray, expected: str) -> None:
    assert modality_of(values) == expected


def test_a_few_dark_voxels_are_no_air() -> None:
    values = volume(-20, 40)
    values[0, 0, ::2] = -1000
    assert modality_of(values) == UNKNOWN


@pytest.mark.parametrize(
    ("wanted", "found"), [("MR", "CT"), ("MR", IN_HU), ("MR", "PT"), ("CT", "MR"), ("CT", NOT_IN_HU)]
)
def test_another_modality_is_refused(wanted: str, found: str) -> None:
    with pytest.raises(DataError) as caught:
        require_modality("case_1", wanted, found)
    shown = {"CT": "a CT", IN_HU: f"a {IN_HU}", "PT": "a PT", "MR": "an MR", NOT_IN_HU: NOT_IN_HU}[found]
    needed = {"CT": "a CT", "MR": "an MR"}[wanted]
    remedy = f"pass {needed}, or --accept_modality true"
    assert str(caught.value) == f"case_1 is {shown}, this bundle needs {needed}: {remedy}"


@pytest.mark.parametrize(
    ("wanted", "found"),
    [("MR", "MR"), ("MR", NOT_IN_HU), ("MR", UNKNOWN), ("CT", "CT"), ("CT", IN_HU), ("CT", UNKNOWN)],
)
def test_the_same_or_an_unknown_one_is_not(wanted: str, found: str) -> None:
    require_modality("case_1", wanted, found)
