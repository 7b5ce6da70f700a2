"""Contrasts of MR, stripped skulls and turned axes: in numbers and volumes made by hand, whole heads, real scans."""

from __future__ import annotations

from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
import torch
from contrast_scans import real

from common.simulation.scanner import Scanner
from common.simulation.simulate import AverageHeads
from common.transforms.subject import subject_in
from common.trust.axes import FILE, turned_axes
from common.trust.contrast import (
    Seen,
    air_threshold,
    contrast_seen,
    contrast_shares,
    features_of_quantiles,
    head_places,
    places,
    solid,
    white_level,
)
from common.trust.input_check import UNLIKELY
from common.trust.stripping import looks_stripped
from tools.recogniser.average_head import average_head
from tools.recogniser.contrasts import scans_of

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"


QUANTILES = {
    "T1": (0.5, 0.62, 0.84, 0.94, 1.0, 1.03, 1.04, 1.06),
    "PD": (0.88, 0.92, 0.97, 1.0, 1.05, 1.12, 1.16, 1.22),
    "T2": (0.9, 0.92, 0.99, 1.06, 1.21, 1.49, 1.81, 2.39),
    "FLAIR": (0.38, 0.66, 0.94, 1.0, 1.08, 1.17, 1.22, 1.29),
}
"""Near the templates of SPM, and a FLAIR of a patient."""


@pytest.mark.parametrize("contrast", QUANTILES)
@pytest.mark.parametrize("gamma", [1.0, 1.4])
def test_values_over_white_matter_give_the_contrast_whatever_the_gamma(contrast: str, gamma: float) -> None:
    shares = contrast_shares(np.array(QUANTILES[contrast]) ** gamma)
    assert max(shares, key=shares.__getitem__) == contrast
    assert sum(shares.values()) == pytest.approx(1)


def test_the_features_are_logarithms_their_pattern_and_their_size() -> None:
    found = features_of_quantiles(np.exp([-0.4, -0.2, 0, 0, 0, 0.1, 0.2, 0.8]))
    np.testing.assert_allclose(found[:8], [-0.4, -0.2, 0, 0, 0, 0.1, 0.2, 0.8])
    np.testing.assert_allclose(found[8:], [-0.5, -0.25, 0, 0, 0, 0.125, 0.25, 1, np.log(0.8)], atol=1e-12)


def test_bright_fat_does_not_lift_the_threshold_of_air():
    values = np.concatenate([np.full(600, 0.02), np.full(300, 0.4), np.full(100, 1.0)])
    assert 0.02 < air_threshold(values) < 0.4


def shell(cleft):
    """A ball of radius 40 mm with a dark core, in voxels of 4 mm, open to one side by a cleft of so many voxels."""
    x, y, z = np.ogrid[-15:16, -15:16, -15:16]
    distance = np.sqrt(x**2 + y**2 + z**2)
    image = ((distance < 10.5) & (distance > 4)).astype(np.float32)
    image[15 - cleft // 2 : 15 + (cleft + 1) // 2, 15:, 15] = 0
    return image


def test_clefts_and_cavities_belong_to_the_head_and_the_deepest_point_is_its_middle():
    for cleft in (0, 1, 2):
        assert solid(shell(cleft), np.full(3, 4.0))[15, 15, 15]
    away, depth = places(shell(1), np.full(3, 4.0))
    assert [abs(float(axis.ravel()[15])) <= 4 for axis in away] == [True] * 3
    assert 40 <= depth.max() <= 46


def test_the_level_of_white_matter_is_found_under_a_bias_field_and_beside_other_tissue():
    rng = np.random.default_rng(0)
    at = rng.uniform(-1, 1, (9000, 3))
    bias = 0.3 * at[:, 0] - 0.2 * at[:, 1] * at[:, 2] + 1.7
    other = rng.random(9000) < 0.4
    values = bias + np.where(other, 0.5, 0) + rng.normal(0, 0.03, 9000)
    everywhere = np.ones(9000, bool)
    assert np.abs(white_level(values, at, everywhere, everywhere) - bias).max() < 0.03


@pytest.fixture(scope="module")
def scans():
    """One scan of each contrast of one head, 2.3 mm, without artefacts."""
    heads = AverageHeads(spacings_mm=(2.3,), turn_probability=0.0)
    plain = Scanner(artefacts=None, coil_probability=0, quantised_probability=0)
    rng = np.random.default_rng(7100)
    return {name: (image, spacing) for name, image, spacing in scans_of(heads.unvaried(rng), plain, rng)}


def seen(image: np.ndarray, spacing: np.ndarray) -> Seen:
    return contrast_seen(head_places(image, spacing))


@pytest.mark.parametrize("name", ["T1", "PD", "T2", "FLAIR"])
def test_simulated_heads_of_every_contrast_whatever_their_grey_scale(scans, name):
    image, spacing = scans[name]
    for shown in (image, 70 * image - 30, image[::-1], np.round(200 * image / image.max())):
        assert seen(shown, spacing).likeliest == name
        assert seen(shown, spacing).shares[name] > 0.5


def test_what_has_no_contrast_is_not_guessed(scans):
    image, spacing = scans["PD"]  # no tissue is as dark as air
    flat = np.where(image > 0.1, 1000 + 10 * image, 0).astype(np.float32)
    assert seen(flat, spacing) == ({}, 1.0, "fluid, grey and white matter are equally bright")


def test_the_receive_field_is_measured_in_the_brain(scans):
    image, spacing = scans["T1"]
    places = np.arange(image.shape[1]) * spacing[1]
    fading = image * np.exp(-places / 60)[None, :, None]
    ratio = seen(fading, spacing).field / seen(image, spacing).field
    assert 2.5 < ratio < np.exp(120 / 60)  # over the 120 mm of the part that is looked at, but for its ends


@pytest.mark.real
@pytest.mark.skipif(not DATA.is_dir(), reason=f"no scans at {DATA}")
def test_real_scans():
    """Three patients without skull, T1, T2, FLAIR; averages of many people, T1, T2, PD: none is refused as another."""
    found = [(name, seen(image, spacing)) for name, image, spacing in real(DATA)]
    assert len(found) == 12
    assert min(each.shares[name] for name, each in found) > 5 * UNLIKELY
    assert all(each.likeliest == name for name, each in found if name in ("T2", "PD"))


SPACING = np.full(3, 2.5)


def balls(*shells: tuple[float, float]) -> np.ndarray:
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
        (((78.0, 0.2), (72.0, 0.0)), False),  # scalp that is too dark to be found as part of the balls
    ],
)
def test_a_brain_alone_looks_stripped(around, stripped):
    assert looks_stripped(head_places(balls(*around, *BRAIN), SPACING)) is stripped
    assert looks_stripped(head_places(7 * balls(*around, *BRAIN) - 3, SPACING)) is stripped, "on any scale"


def test_what_is_no_head_does_not():
    assert not looks_stripped(head_places(balls((12.0, 1.0)), SPACING))
    assert not looks_stripped(head_places(np.random.default_rng(0).random((20, 20, 20)), SPACING))


@pytest.mark.real
@pytest.mark.skipif(not DATA.is_dir(), reason=f"no scans at {DATA}")
def test_real_scans_without_skull_and_templates_with_it():
    assert [looks_stripped(head_places(image, spacing)) for _, image, spacing in real(DATA)] == 9 * [True] + 3 * [False]


TURNED = [turn for turn in product(permutations(range(3)), (1, -1), (1, -1)) if turn != ((0, 1, 2), 1, 1)]


@pytest.fixture(scope="module")
def shown(mr: np.ndarray) -> np.ndarray:
    return cleared(mr, SPACING)


def cleared(image: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """A head with the same air everywhere around it."""
    box, _, kept = subject_in(image, spacing, 6.0)
    return np.pad(np.where(kept, image[box], image[box][kept].min()), 3, constant_values=image[box][kept].min())


def test_a_head_by_its_own_axes_looks_right(shown: np.ndarray) -> None:
    assert turned_axes(shown, SPACING) is None
    assert turned_axes(shown[::-1], SPACING) is None, "left and right look alike"
    assert turned_axes(7 - 2 * shown[:, :, 20:] * -1, SPACING) is None, "on any scale, without the neck"


@pytest.mark.parametrize(("order", "front", "top"), TURNED)
def test_every_other_way_looks_turned(shown: np.ndarray, order: tuple, front: int, top: int) -> None:
    assert turned_axes(shown.transpose(order)[:, ::front, ::top], SPACING) is not None


def test_a_volume_of_one_value_or_of_a_few_voxels_has_no_axes() -> None:
    assert turned_axes(np.ones((4, 5, 6), np.float32), SPACING) is None
    assert turned_axes(np.arange(8, dtype=np.float32).reshape(2, 2, 2), SPACING) is None
    padded = np.full((90, 110, 13), -3.1, np.float32)
    padded[10:80, 10:100, 6] = np.random.default_rng(0).uniform(-1, 2, (70, 90))
    assert turned_axes(padded, np.ones(3)) is None, "one slice"


def test_the_average_head_is_that_of_the_simulation() -> None:
    differ = torch.load(FILE, weights_only=True).numpy() != average_head()
    assert np.count_nonzero(differ) <= 1, "of 76,800; none with SciPy 1.17, one with 1.13"


@pytest.mark.real
@pytest.mark.skipif(not DATA.is_dir(), reason=f"no scans at {DATA}")
def test_real_scans_look_right_and_upside_down_wrong() -> None:
    for name, image, spacing in real(DATA):
        head = cleared(image, spacing)
        assert turned_axes(head, spacing) is None, name
        assert "bottom is where its affine has top" in str(turned_axes(head[:, :, ::-1], spacing)), name
