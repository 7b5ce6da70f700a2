"""Measures of pictures in levels of 8 bits, grey or RGB."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..io.picture_files import luminance
from .masked import checked_volumes, mae, psnr

LEVELS_RANGE = (0.0, 255.0)
SSIM_SIGMA, SSIM_SIDE = 1.5, 11
"""Gaussian window of SSIM in pixels, deviation and side (Wang et al. 2004)."""


def picture_scores(pred: ArrayLike, truth: ArrayLike, mask: ArrayLike) -> dict[str, float]:
    """Return ``mae`` in levels and ``psnr`` in dB over all channels, ``ssim`` of the luminance, and ``delta_e``.

    SSIM has the Gaussian window of Wang et al. 2004 and is nan for a picture smaller than that. ``delta_e``, of RGB
    alone, is the mean colour difference CIEDE2000 of sRGB (Sharma et al. 2005); of about 1 it is just seen.

    Args:
        pred: synthetic picture (X, Y, 1) or (X, Y, 1, 3), clipped to 0 to 255.
        truth: real picture of the same shape.
        mask: the pixels to score (X, Y, 1), above 0 inside.

    Raises:
        DataError: see :func:`common.metrics.masked.checked_volumes`.
    """
    from skimage.color import deltaE_ciede2000, rgb2lab
    from skimage.metrics import structural_similarity

    made, real, inside = checked_volumes(pred, truth, mask)
    made, real = (np.clip(picture, *LEVELS_RANGE) for picture in (made, real))
    scores = {"mae": mae(made, real, inside), "psnr": psnr(made, real, inside, LEVELS_RANGE), "ssim": float("nan")}
    if min(inside.shape[:2]) >= SSIM_SIDE:
        pair = (luminance(made)[:, :, 0], luminance(real)[:, :, 0])
        settings = {"gaussian_weights": True, "sigma": SSIM_SIGMA, "use_sample_covariance": False}
        local = structural_similarity(*pair, data_range=LEVELS_RANGE[1], full=True, **settings)[1]
        scores["ssim"] = float(local[inside[:, :, 0]].mean())
    if real.ndim == 4:
        colours = (rgb2lab(picture / LEVELS_RANGE[1]) for picture in (made, real))
        scores["delta_e"] = float(deltaE_ciede2000(*colours)[inside].mean())
    return scores
