"""Sampling masks: the number of samples, the centre, the seed, and settings that no mask can have."""

import numpy as np
import pytest

from common.errors import ConfigError
from common.simulation.corruptions.masks import MASKS, sampling_mask

SHAPE = (60, 80)


@pytest.mark.parametrize("kind", MASKS)
def test_a_mask_has_the_asked_number_of_samples_and_its_centre(kind):
    for acceleration in (1.6, 4, 10):
        mask = sampling_mask(kind, SHAPE, acceleration, 0.05, seed=3)
        assert mask.shape == SHAPE
        assert mask.size / mask.sum() == pytest.approx(acceleration, rel=0.08 if kind == "radial" else 0.001)
        lines = kind in ("cartesian", "equispaced")
        assert mask[:, 38:42].all() if lines else mask[29:32, 38:42].all()  # 4 of 80 columns, 3 of 60 rows
        assert (mask == mask[:1]).all() == lines
        np.testing.assert_array_equal(mask, sampling_mask(kind, SHAPE, acceleration, 0.05, seed=3))
        assert (mask != sampling_mask(kind, SHAPE, acceleration, 0.05, seed=4)).any()


def test_the_default_centre_is_that_of_fastmri():
    """8 % of the columns at 4 times, 4 % at 8 times; evenly spaced lines besides, by hand."""
    mask = sampling_mask("equispaced", (8, 200), 4)[0]
    assert mask[92:108].all()
    steps = np.diff(np.flatnonzero(mask)[:16])
    assert mask.sum() == 50
    assert set(steps) == {5, 6}  # 184 others for 34 lines, 5.4 columns each
    assert sampling_mask("cartesian", (8, 200), 8)[0, 96:104].all()


def test_density_falls_towards_the_edge_and_discs_keep_their_distance():
    middle = np.zeros(SHAPE, dtype=bool)
    middle[15:45, 20:60] = True
    for kind in ("gaussian", "poisson", "radial"):
        mask = sampling_mask(kind, SHAPE, 6)
        assert mask[middle].mean() > 2 * mask[~middle].mean(), kind
    corner = sampling_mask("poisson", (64, 64), 8)[:16, :16]
    assert not (corner[1:] & corner[:-1]).any()
    assert not (corner[:, 1:] & corner[:, :-1]).any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("spiral", SHAPE, 4), "--mask is 'spiral': choose cartesian, equispaced, gaussian, poisson or radial"),
        (("radial", SHAPE, 1), "--acceleration is 1, not above 1: pass a number such as 4, for"),
        (("radial", SHAPE, float("nan")), "--acceleration is nan, not above 1"),
        (("cartesian", SHAPE, 4, 0.25), "--centre_fraction is 0.25, not from 0 to below 0.25, all that is measured: "),
        (("cartesian", SHAPE, 4, 0.245), "the middle takes 20 of 20 lines, all that --acceleration 4 measures"),
        (("cartesian", SHAPE, 80), "the middle takes 1 of 1 lines, .* 80 measures: lower --centre_fraction or"),
        (("gaussian", SHAPE, 9, 0.4), "--centre_fraction is 0.4, not from 0 to below 0.333"),
        (("gaussian", SHAPE, 4, "0.1"), "--centre_fraction is '0.1', not from 0 to below 0.5"),
        (("gaussian", (60, 4), 4), r"k-space has shape \(60, 4\), not at least 8 rows and columns"),
    ],
)
def test_settings_that_no_mask_can_have(settings, message):
    with pytest.raises(ConfigError, match=message):
        sampling_mask(*settings)
