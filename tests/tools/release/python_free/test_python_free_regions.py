"""Regions, distances and the outline of a body as TorchScript, against scipy and the transforms of the project."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage

from common.transforms import body
from tools.release.python_free import regions

SIDES = [1.5, 1.2, 3.0]


def scripted(name: str) -> Any:
    return torch.jit.script(getattr(regions, name))


def drawn(share: float) -> np.ndarray:
    return np.random.default_rng(0).random((14, 17, 11)) < share


@pytest.mark.parametrize("share", [0.3, 0.6])
def test_the_largest_region_is_that_of_scipy(share: float) -> None:
    inside = drawn(share)
    labels, _ = ndimage.label(inside)
    sizes = np.bincount(labels.ravel())[1:]
    assert np.sum(sizes == sizes.max()) == 1, "another seed: two regions are the largest"
    found = scripted("largest_region")(torch.from_numpy(inside)).numpy()
    np.testing.assert_array_equal(found, labels == 1 + sizes.argmax())


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_cavities_are_filled_in_each_plane(axis: int) -> None:
    inside = drawn(0.6)
    expected = np.moveaxis(inside.copy(), axis, 0)
    for plane in expected:
        plane[:] = ndimage.binary_fill_holes(plane)
    found = scripted("filled")(torch.from_numpy(inside), axis).numpy()
    assert found.sum() > inside.sum()
    np.testing.assert_array_equal(found, np.moveaxis(expected, 0, axis))


def test_distances_are_exact_up_to_their_reach() -> None:
    inside = drawn(0.005)
    expected = ndimage.distance_transform_edt(~inside, sampling=SIDES)
    assert expected.max() > regions.REACH_MM
    found = scripted("distance")(torch.from_numpy(inside), SIDES).numpy()
    np.testing.assert_allclose(found, np.minimum(expected, regions.REACH_MM), atol=1e-5)


def test_percentiles_blurring_and_thresholds_are_those_of_numpy_and_scipy() -> None:
    values = np.random.default_rng(1).normal(size=(14, 17, 4)).astype(np.float32)
    given = torch.from_numpy(values)
    for percent in (0.0, 0.5, 50.0, 99.5, 100.0):
        found = float(scripted("percentile")(given.flatten(), percent))
        assert found == pytest.approx(np.percentile(values, percent), abs=1e-6)
    sigmas = [1.3, 0.6, 2.0]  # the last reaches beyond the volume and its mirror image
    np.testing.assert_allclose(scripted("smoothed")(given, sigmas), ndimage.gaussian_filter(values, sigmas), atol=1e-6)
    assert float(scripted("lower_threshold")(given)) == pytest.approx(body.lower_otsu_threshold(values), abs=1e-6)


@pytest.mark.parametrize("kind", ["head", "no air", "constant"])
def test_the_outline_is_that_of_the_transform(kind: str) -> None:
    x, y, z = np.ogrid[-20:20, -24:24, -16:16]
    inside = (x / 14) ** 2 + (y / 18) ** 2 + (z / 12) ** 2 < 1
    ear = (abs(x - 15) < 3) & (abs(y) < 3) & (abs(z) < 3)
    scan = np.where(inside | ear, 100.0, 0.0) + np.random.default_rng(2).rayleigh(5, inside.shape)
    scan = {"head": scan, "no air": scan[14:26, 16:32, 10:22] + 500, "constant": np.ones_like(scan)}[kind]
    volume = np.ascontiguousarray(scan, dtype=np.float32)
    sides = [2.0, 2.0, 2.0]
    expected = body._body(volume, np.array(sides), largest=True)
    assert {"head": 0.1 < expected.mean() < 0.6, "no air": expected.all(), "constant": True}[kind]
    np.testing.assert_array_equal(scripted("body_of")(torch.from_numpy(volume), sides).numpy(), expected)
