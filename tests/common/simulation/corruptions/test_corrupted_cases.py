"""Corruptions of cases: the target moves with the image, or stays where values alone change."""

from __future__ import annotations

import numpy as np
import pytest

from common.simulation.corruptions.graded import CORRUPTIONS, distorted

SPACING = np.full(3, 4.0, np.float32)
MOVED = (
    *("nodded", "tilted", "cut from above", "enlarged", "shrunk", "turned by 90 degrees", "head turned aside"),
    *("upside down", "back to front", "left and right exchanged", "cut at the side", "folded over"),
)


@pytest.fixture(scope="module")
def volumes() -> dict[str, np.ndarray]:
    """A ball of two values and noise in a volume of 64 mm; the label is the image and 7."""
    places = np.stack(np.meshgrid(*[np.arange(16)] * 3, indexing="ij"), axis=-1)
    distance = np.linalg.norm(places - (7, 8, 7.5), axis=-1)
    noise = np.random.default_rng(0).uniform(0, 0.1, (16, 16, 16))
    image = (np.where(distance < 6.5, np.where(places[..., 1] > 8, 2.0, 1.0), 0) + noise).astype(np.float32)[None]
    return {"image": image, "label": image + 7, "mask": (distance < 6.5).astype(np.float32)[None]}


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_truth_stays_or_moves_along(volumes, kind):
    found = distorted(kind, volumes, SPACING, 0.5, 3)
    again = distorted(kind, volumes, SPACING, 0.5, 3)
    assert all(np.array_equal(found[key], again[key]) for key in volumes)
    assert found["image"].shape == found["label"].shape == found["mask"].shape
    if kind in MOVED:
        np.testing.assert_allclose(found["label"] - found["image"], 7, atol=1e-4)
        assert set(np.unique(found["mask"])) == {0, 1}
        assert found["image"].shape != volumes["image"].shape or not np.allclose(found["image"], volumes["image"])
    else:
        assert found["label"] is volumes["label"]
        assert found["mask"] is volumes["mask"]
        assert np.abs(found["image"] - volumes["image"]).mean() > 0.02


def test_turned_by_90_degrees_is_a_turn_and_strength_cuts_more(volumes):
    found = distorted("turned by 90 degrees", volumes, SPACING, 0.3, 0)
    inner = np.s_[1:-1, 1:-1]  # of the outermost voxels rounding decides whether they lie outside
    np.testing.assert_allclose(found["image"][0][inner], np.rot90(volumes["image"][0], 1, (0, 1))[inner], atol=1e-4)
    kept = [distorted("cut from above", volumes, SPACING, strength, 0)["image"].shape[3] for strength in (0.0, 1.0)]
    assert kept == [12, 6], "0.75 and 0.4 of 16 slices"
