"""Contrasts of MR by fluid, grey and white matter: the rule by its numbers, its parts by hand, whole heads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from contrast_scans import SEQUENCES, real, simulated

from common.simulation.mr_contrasts import weightings
from common.simulation.scanner import Scanner
from common.simulation.simulate import AverageHeads
from common.trust.input_check import unlisted_contrast
from common.trust.weighting import (
    air_threshold,
    blocks,
    classified,
    places,
    solid,
    weighting_seen,
    white_level,
)

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"


@pytest.mark.parametrize(
    ("quantiles", "weightings"),
    [
        ((0.5, 0.62, 0.84, 0.94, 1.0, 1.03, 1.04, 1.06), ("T1",)),
        ((0.88, 0.92, 0.97, 1.0, 1.05, 1.12, 1.16, 1.22), ("PD",)),
        ((0.9, 0.92, 0.99, 1.06, 1.21, 1.49, 1.81, 2.39), ("T2",)),
        ((0.38, 0.66, 0.94, 1.0, 1.08, 1.17, 1.22, 1.29), ("FLAIR",)),
        ((0.2, 0.3, 0.9, 0.96, 1.0, 1.02, 1.04, 1.05), ("T1", "FLAIR")),
        ((0.96, 0.97, 1.01, 1.1, 1.25, 1.38, 1.55, 1.77), ("PD", "T2")),
        ((0.1, 0.92, 1.0, 1.08, 1.27, 1.35, 1.4, 1.45), ("PD",)),
        ((0.98, 0.99, 1.0, 1.0, 1.0, 1.01, 1.01, 1.02), ()),
        ((0.05, 0.1, 0.7, 1.0, 1.4, 2.0, 3.0, 4.0), ()),
    ],
)
def test_the_order_of_values_over_white_matter_gives_the_weighting(quantiles, weightings):
    """Near the templates of SPM and a FLAIR of a patient first; air in a sinus is no dark fluid; CT is flat."""
    assert classified(np.array(quantiles)).weightings == weightings


def test_blocks_are_means_and_whole():
    image = np.arange(5 * 2 * 2, dtype=np.float32).reshape(5, 2, 2)
    means, spacing = blocks(image, np.array([1.0, 1.0, 2.5]), 2.0)
    assert means[:, 0].tolist() == [[3.0, 4.0], [11.0, 12.0]]
    assert spacing.tolist() == [2.0, 2.0, 2.5]


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
    return {name: (image, spacing) for name, image, spacing in simulated(7100, heads, plain)}


def test_every_sequence_has_the_contrast_of_its_name():
    assert {name: weightings(sequence) for name, sequence in SEQUENCES.items()} == {name: [name] for name in SEQUENCES}


@pytest.mark.parametrize("name", ["T1", "PD", "T2", "FLAIR"])
def test_simulated_heads_of_every_contrast_whatever_their_grey_scale(scans, name):
    image, spacing = scans[name]
    assert weighting_seen(image, spacing).weightings == (name,)
    assert weighting_seen(70 * image - 30, spacing).weightings == (name,)
    assert weighting_seen(image[::-1], spacing).weightings == (name,)


def test_the_warning_names_what_is_seen_and_what_was_expected(scans):
    assert unlisted_contrast(*scans["T2"], ["T1"]) == [
        "looks T2-weighted (fluid brighter than grey, grey brighter than white matter); "
        "these weights were trained on T1-weighted"
    ]
    (flair,) = unlisted_contrast(*scans["FLAIR"], ["T1", "PD"])
    assert flair.startswith("looks FLAIR (fluid darkest")
    assert flair.endswith("trained on T1-weighted or PD-weighted")
    assert unlisted_contrast(*scans["T2"], ["PD", "T2"]) == unlisted_contrast(*scans["T2"], []) == []


def test_what_is_no_head_and_what_has_no_contrast_is_not_guessed(scans):
    small = np.zeros((30, 30, 30), np.float32)
    small[10:20, 10:20, 10:20] = 1
    (reason,) = unlisted_contrast(small, np.full(3, 2.0), ["T1"])
    assert reason.startswith("contrast not recognised (no head: the largest ball in it has a radius of 1")
    image, spacing = scans["PD"]  # no tissue is as dark as air
    flat = np.where(image > 0.1, 1000 + 10 * image, 0).astype(np.float32)
    assert weighting_seen(flat, spacing).weightings == ()


def test_a_volume_of_a_few_voxels_is_no_reason_to_stop():
    assert weighting_seen(np.arange(8.0).reshape(2, 2, 2), np.array([0.5, 0.5, 0.5])).weightings == ()


@pytest.mark.real
@pytest.mark.skipif(not DATA.is_dir(), reason=f"no scans at {DATA}")
def test_real_scans():
    """Three patients without skull, T1, T2, FLAIR; averages of many people, T1, T2, PD."""
    seen = [(name, weighting_seen(image, spacing).weightings) for name, image, spacing in real(DATA)]
    assert sorted(seen) == sorted((name, (name,)) for name in 4 * ["T1", "T2"] + 3 * ["FLAIR"] + ["PD"])
