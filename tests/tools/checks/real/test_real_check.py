"""The check of shipped weights: images and their fit, what makes a CT plausible, what fails, what is skipped."""

from __future__ import annotations

import numpy as np
import pytest

from tools.checks.real import plausibility
from tools.checks.real.images import fitted, standardised

AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])
AFFINE[:3, 3] = -90, -126, -72
SHAPE = (91, 109, 91)
"""The 2 mm grid of the templates."""


def test_a_grey_scale_of_its_own_costs_nothing() -> None:
    truth = standardised(np.random.default_rng(0).normal(5, 2, (9, 9, 9)), np.ones((9, 9, 9), bool))
    inside = np.ones(truth.shape, bool)
    assert (truth.mean(), truth.std()) == pytest.approx((0, 1))
    np.testing.assert_allclose(fitted(300 - 7 * truth, truth, inside), truth, atol=1e-4)


def test_an_image_without_relation_is_fitted_to_the_mean() -> None:
    values = np.random.default_rng(1).normal(size=(2, 20, 20, 20))
    assert np.abs(fitted(values[0], values[1], np.ones((20, 20, 20), bool))).max() < 0.1


def test_tissues_are_found_where_the_atlas_has_them() -> None:
    """Ventricles of some millilitres, and shells of bone that are found closed or open."""
    masks = plausibility.tissue_masks(SHAPE, AFFINE)
    assert 5 < masks["csf"].sum() * 8 / 1000 < 50, "ventricles in ml"
    assert 300 < masks["white"].sum() * 8 / 1000 < 700
    ct = np.full(SHAPE, 30, np.float32)
    ct[:4], ct[-4:], ct[:, :4], ct[:, -4:] = 1000, 1000, 1000, 1000
    assert plausibility.enclosed(ct, masks["brain"], AFFINE) == 1
    ct[:4] = 30
    assert plausibility.enclosed(ct, masks["brain"], AFFINE) < 0.05
