"""The judge of synthetic T1: baselines, tissues and what passes."""

from __future__ import annotations

import numpy as np
import pytest

from tools.checks.real import t1
from tools.checks.real.t1 import RealHead, finding, image_scores, matched, overlaps, thick

MASK = np.zeros((24, 24, 24), bool)
MASK[4:20, 4:20, 4:20] = True


def smooth(seed: int) -> np.ndarray:
    waves = np.add.outer(np.add.outer(np.sin(np.arange(24) / 2 + seed), np.cos(np.arange(24) / 3)), np.arange(24) / 12)
    return waves.astype(np.float32)


def test_thick_slices_stay_on_the_thin_grid() -> None:
    ramp = np.broadcast_to(np.arange(24, dtype=np.float32), (12, 3, 24))
    np.testing.assert_allclose(thick(ramp, 2)[0, 0], np.clip(np.arange(24), 2.5, 20.5))
    assert (thick(ramp, 0) == ramp).all(), "nothing changes along another axis"


def test_a_matched_histogram_undoes_what_only_rises() -> None:
    truth = smooth(0)
    np.testing.assert_allclose(matched(np.exp(truth), truth, MASK)[MASK], truth[MASK], atol=0.03)


def test_tissues_overlap_and_have_their_volumes() -> None:
    real = np.array([1, 1, 2, 2, 3, 3, 0], np.uint8)
    found = overlaps(np.array([1, 2, 2, 2, 3, 3, 0], np.uint8), real)
    assert (found["fluid"], found["grey"], found["white"]) == pytest.approx((2 / 3, 4 / 5, 1))
    assert found["dice"] == pytest.approx((2 / 3 + 4 / 5 + 1) / 3)
    assert (found["fluid_volume"], found["grey_volume"], found["white_volume"]) == (0.5, 1.5, 1)


def test_the_project_s_segmenter_gives_every_voxel_of_the_brain_a_tissue() -> None:
    found = t1.ours(smooth(1), MASK)
    assert set(np.unique(found[MASK])) <= {1, 2, 3}
    assert (found[~MASK] == 0).all()


def test_a_synthetic_t1_must_be_clearly_better_than_a_line() -> None:
    truth, source = smooth(0), smooth(5)
    head = RealHead("a", {"T2": source}, truth, MASK)
    assert image_scores(truth, truth, MASK)["ssim"] == pytest.approx(1)
    good = finding("a T2", source, 3 * truth + 7, head, {})
    assert good.passed
    assert "ssim 1.000" in good.measured, "its grey scale is its own"
    assert not finding("a T2", source, source, head, {}).passed
