"""Skull stripping, seen in shells of balls made by hand and in real scans."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from contrast_scans import real

from common.trust.contrast import head_places
from common.trust.stripping import looks_stripped

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
SPACING = np.full(3, 2.5)


def head(*shells: tuple[float, float]) -> np.ndarray:
    """Balls around one centre in air of 0, (radius in mm, value), each inside the one before."""
    x, y, z = np.ogrid[-40:41, -40:41, -40:41]
    away, image = 2.5 * np.sqrt(x**2 + y**2 + z**2), np.zeros((81, 81, 81), np.float32)
    for radius, value in shells:
        image[away < radius] = value
    return image


BRAIN = (62.0, 0.6), (59.0, 1.0)


@pytest.mark.parametrize(
    ("around", "stripped"),
    [
        ((), True),
        (((78.0, 1.0), (70.0, 0.1)), False),  # scalp, skull
        (((78.0, 3.0), (70.0, 1.0)), False),  # fat, and a skull that is as bright as brain
        (((78.0, 0.2), (72.0, 0.0)), False),  # scalp that is too dark to be found as part of the head
    ],
)
def test_a_brain_alone_looks_stripped(around, stripped):
    assert looks_stripped(head_places(head(*around, *BRAIN), SPACING)) is stripped
    assert looks_stripped(head_places(7 * head(*around, *BRAIN) - 3, SPACING)) is stripped, "on any scale"


def test_what_is_no_head_does_not():
    assert not looks_stripped(head_places(head((12.0, 1.0)), SPACING))
    assert not looks_stripped(head_places(np.random.default_rng(0).random((20, 20, 20)), SPACING))


@pytest.mark.real
@pytest.mark.skipif(not DATA.is_dir(), reason=f"no scans at {DATA}")
def test_real_scans_without_skull_and_templates_with_it():
    assert [looks_stripped(head_places(image, spacing)) for _, image, spacing in real(DATA)] == 9 * [True] + 3 * [False]
