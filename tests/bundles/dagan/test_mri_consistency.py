"""Data consistency by its properties."""

from __future__ import annotations

import numpy as np
import pytest
from kspace_phantom import SHAPE, WHOLE, scanned, truth
from mri_dagan.consistency import consistent, data_consistency
from scipy.ndimage import gaussian_filter

from common.errors import DataError
from common.simulation.corruptions.kspace import to_kspace, zero_filled
from common.simulation.corruptions.masks import sampling_mask


def error(image: np.ndarray) -> float:
    return float(np.linalg.norm(image - truth()) / np.linalg.norm(truth()))


@pytest.mark.parametrize("coils", [1, 6])
def test_whole_k_space_gives_the_truth_whatever_the_image(coils):
    kspace, _ = scanned(coils, WHOLE)
    image = data_consistency(np.random.default_rng(0).uniform(size=SHAPE), kspace, WHOLE)
    np.testing.assert_allclose(image, truth(), atol=1e-6)


@pytest.mark.parametrize("coils", [1, 6])
@pytest.mark.parametrize("kind", ["cartesian", "radial"])
def test_data_consistency_changes_little_of_the_truth_and_betters_what_is_wrong(coils, kind):
    mask = sampling_mask(kind, SHAPE, 3)
    kspace, _ = scanned(coils, mask, phase=0.8)
    start = error(zero_filled(kspace, mask))
    assert start > 0.1
    assert error(data_consistency(truth(), kspace, mask)) < start / 3
    blurred = gaussian_filter(truth(), 1.5)
    assert error(data_consistency(blurred, kspace, mask)) < 0.8 * error(blurred)


def test_without_phase_the_truth_stays_exactly():
    mask = sampling_mask("cartesian", SHAPE, 4)
    kspace, _ = scanned(1, mask, phase=0)
    np.testing.assert_allclose(data_consistency(truth(), kspace, mask), np.abs(truth()), atol=1e-6)


def test_measured_samples_are_reproduced_and_others_are_the_images():
    mask = sampling_mask("gaussian", SHAPE, 4)
    kspace, _ = scanned(3, mask, noise=5)
    images = np.random.default_rng(0).normal(size=(3, *SHAPE)) + 0j
    own, made = to_kspace(images), to_kspace(consistent(images, kspace, mask))
    np.testing.assert_allclose(made[:, mask], kspace[:, mask])
    np.testing.assert_allclose(made[:, ~mask], own[:, ~mask], atol=1e-12)


def test_images_of_another_shape_are_refused():
    kspace, _ = scanned(1, WHOLE)
    with pytest.raises(DataError, match=r"the image has shape .*, the images of the k-space \(48, 40\)"):
        data_consistency(truth().T, kspace, WHOLE)
