"""PSNR and SSIM of ldct-benchmark, in numbers that can be worked out."""

from __future__ import annotations

import numpy as np
import pytest
from ldct_wgan_vgg.quality import windowed_scores


def test_a_constant_error_in_the_window_of_the_abdomen() -> None:
    """Of 399 HU of the window (its width less one) an error of 39.9 is a tenth: 20 dB; none counts beyond it."""
    truth = np.full((9, 9, 3), 40.0)
    truth[..., 2] = -1000
    found = windowed_scores(truth + 39.9, truth, np.eye(4), "abdomen")
    assert found["psnr_window"] == pytest.approx(20)  # of the two slices with an error
    assert found["slices"] == 3
    x, y = (40 - 49.5) / 399 + 0.5, (79.9 - 49.5) / 399 + 0.5
    similar = (2 * x * y + 1e-4) / (x * x + y * y + 1e-4)
    assert found["ssim_window"] == pytest.approx((2 * similar + 1) / 3)
    assert windowed_scores(truth, truth, np.eye(4), "pelvis") == {}
