"""NMSE, PSNR and SSIM of fastMRI, in numbers that can be worked out."""

from __future__ import annotations

import numpy as np
import pytest
from mri_dagan.scores import fastmri_scores

from common.errors import DataError


def test_an_error_of_a_tenth_of_the_maximum() -> None:
    """Columns beyond the square, and what is wrong in them, do not count; slices lie across the long side."""
    truth = np.full((8, 12, 2), 5.0)
    pred = truth + 0.5
    pred[:, :2] = pred[:, -2:] = 1000
    found = fastmri_scores(pred, truth, np.diag([0.5, 0.5, 3, 1]))
    assert found["nmse"] == pytest.approx(0.01)
    assert found["psnr_volume"] == pytest.approx(20)
    c1 = (0.01 * 5) ** 2
    assert found["ssim_slices"] == pytest.approx((2 * 5 * 5.5 + c1) / (5**2 + 5.5**2 + c1))
    with pytest.raises(DataError, match=r"^prediction \(2, 8, 8\) and truth \(2, 8, 12\), up to 5, cannot be compared"):
        fastmri_scores(pred[:, :8], truth, np.diag([0.5, 0.5, 3, 1]))
