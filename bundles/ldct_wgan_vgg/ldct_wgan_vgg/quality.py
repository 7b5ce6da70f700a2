"""Image quality of a CT: noise and its power spectrum, transfer of detail, edges within and across slices.

Errors and biases by tissue are those of :func:`common.metrics.ct_scores`, the contrast of lesions that of
:func:`common.metrics.lesion_scores`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from nibabel.affines import voxel_sizes
from nibabel.orientations import io_orientation
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import maximum_filter1d
from scipy.signal.windows import hann

from common.metrics.line_integrals import checked_affine
from common.metrics.masked import Mask, Volume, checked_volumes
from common.units import AIR_BELOW_HU, BONE_ABOVE_HU, HU

PATCH_MM = 48.0
"""Side of the patches that spectra are averaged over; it sets the resolution of the frequency, about 0.02 / mm."""
LEAST_PATCH = 16
"""Smallest side of a patch in pixels."""
ACROSS_MM = 10.0
"""Distance across slices within which an edge is the largest step."""
EDGE_HU = 300.0
"""Least step between two slices that is an edge, above the noise of thin slices."""
WINDOWS = {"thorax": (-600.0, 1500.0), "abdomen": (50.0, 400.0), "head": (40.0, 80.0)}
"""Centre and width in HU by body part, those of ldct-benchmark."""


def noise_scores(
    pred: ArrayLike, truth: ArrayLike, mask: ArrayLike, affine: ArrayLike, unit: str = HU
) -> dict[str, float]:
    """Noise of the prediction relative to the truth, in axial slices.

    Args:
        pred: denoised or low-dose CT (X, Y, Z) in HU.
        truth: CT at full dose (X, Y, Z) in HU; its own noise, which the prediction may lack, is part of the difference.
        mask: the body (X, Y, Z), above 0 inside.
        affine: (4, 4) from voxels to mm, right-anterior-superior.
        unit: of the volumes; in another one than HU nothing is measured.

    Returns:
        ``noise_hu``: standard deviation in HU of prediction minus truth in soft tissue (``AIR_BELOW_HU`` to
        ``BONE_ABOVE_HU`` in the truth); ``nps_mean_frequency``: sum f NPS(f) / sum NPS(f) in 1/mm over the f > 0 of
        the radial noise power spectrum of that difference, see :func:`spectra`; it falls where noise becomes blotchy.
        nan without soft tissue, without a patch inside the mask, or without any noise.

    Raises:
        DataError: see :func:`~common.metrics.masked.checked_volumes`; also where the affine is singular.

    Source: average frequency of Samei et al. 2019, Med Phys 46:e735 (AAPM task group 233).
    """
    if unit != HU:
        return {}
    pred, truth, inside = checked_volumes(pred, truth, mask)
    soft = inside & (truth >= AIR_BELOW_HU) & (truth <= BONE_ABOVE_HU)
    noise = pred - truth
    frequencies, powers = spectra(noise, noise, inside, affine)
    total = powers.sum()
    return {
        "noise_hu": float(noise[soft].std()) if soft.any() else float("nan"),
        "nps_mean_frequency": float((frequencies * powers).sum() / total) if total > 0 else float("nan"),
    }


def transfer_scores(pred: ArrayLike, truth: ArrayLike, mask: ArrayLike, affine: ArrayLike) -> dict[str, float]:
    """``mtf50``: the frequency in 1/mm at which the transfer of the truth's detail to the prediction is a half.

    The transfer T(f) = Re sum P conj(L) / sum abs(L)^2, where P and L are spectra of prediction and truth in axial
    patches, see :func:`spectra`. Noise of the prediction that the truth does not have cancels on average. It is no
    measure of edges: it averages over all structure of a frequency, and noise of the truth that the prediction has
    removed counts as lost detail.

    Args:
        pred, truth, mask, affine: see :func:`noise_scores`.

    Returns:
        The Nyquist frequency where the transfer does not fall to a half; nan without a patch inside the mask.

    Raises:
        DataError: see :func:`noise_scores`.
    """
    pred, truth, inside = checked_volumes(pred, truth, mask)
    frequencies, crossed = spectra(pred, truth, inside, affine)
    _, own = spectra(truth, truth, inside, affine)
    if not own.any():
        return {"mtf50": float("nan")}
    filled = own > 0
    return {"mtf50": half_frequency(frequencies[filled], crossed[filled] / own[filled])}


def spectra(one: ArrayLike, other: ArrayLike, inside: Mask, affine: ArrayLike) -> tuple[Volume, Volume]:
    """Radial cross spectrum of two volumes in axial slices: frequencies (F,) in 1/mm to Nyquist, and its mean (F,).

    Square patches of ``PATCH_MM`` that overlap by half and lie within the mask are taken, their mean subtracted and
    windowed (Hann), as for a noise power spectrum by Welch's method. The value is the mean over patches and directions
    of Re(A conj(B)) dx dy / sum w^2, in the squared unit of the volumes times mm^2: of one volume twice, its noise
    power spectrum. 0 where no patch lies within the mask.

    Args:
        one, other: (X, Y, Z).
        inside: the mask, (X, Y, Z).
        affine: (4, 4) from voxels to mm.

    Raises:
        DataError: the affine is singular.
    """
    to_mm = checked_affine(affine)
    axial = int(np.flatnonzero(io_orientation(to_mm)[:, 0] == 2)[0])
    spacing = np.delete(voxel_sizes(to_mm), axial)
    sides = [max(LEAST_PATCH, round(PATCH_MM / each)) for each in spacing]
    window = np.outer(*(hann(side, sym=False) for side in sides))
    grid = np.hypot(*np.meshgrid(*map(np.fft.fftfreq, sides, spacing), indexing="ij"))
    step, nyquist = 1 / (max(sides) * spacing.max()), 0.5 / spacing.max()
    centres = np.arange(1, int(nyquist / step + 0.5) + 1) * step
    rings = np.rint(grid / step).astype(int).ravel()
    total, patches = np.zeros(sides), 0
    first_axial, second_axial, mask_axial = (np.moveaxis(np.asarray(each), axial, 2) for each in (one, other, inside))
    for first, second in _patches(first_axial, second_axial, mask_axial, sides):
        a, b = (np.fft.fft2((each - each.mean((-2, -1), keepdims=True)) * window) for each in (first, second))
        total += (a * b.conj()).real.sum(0)
        patches += len(first)
    if not patches:
        return centres, np.zeros(len(centres))
    power = total.ravel() * spacing.prod() / (patches * np.square(window).sum())
    sums, counts = (np.bincount(rings, each, minlength=len(centres) + 1) for each in (power, np.ones(rings.size)))
    return centres, (sums / np.maximum(counts, 1))[1 : len(centres) + 1]


def _patches(
    one: NDArray[Any], other: NDArray[Any], inside: Mask, sides: list[int]
) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Pairs of patches (N, A, B) of each slice, those wholly inside the mask."""
    if any(size < side for size, side in zip(one.shape, sides, strict=False)):
        return
    steps = tuple(slice(None, None, side // 2) for side in sides)
    for index in range(one.shape[2]):
        views = [sliding_window_view(each[..., index], sides)[steps] for each in (one, other, inside)]
        whole = views[2].all((-2, -1))
        if whole.any():
            yield views[0][whole], views[1][whole]


def slice_edges(
    pred: ArrayLike, truth: ArrayLike, mask: ArrayLike, affine: ArrayLike, unit: str = HU
) -> dict[str, float]:
    """``edge_across_mm``: width of edges across axial slices, the full width at half maximum of their line spread.

    The edges are the truth's: the largest step between neighbouring slices within ``ACROSS_MM``, of ``EDGE_HU`` or
    more, such as of lung, bone and gas. The prediction's steps around them, each with the sign of the truth's, are
    averaged to a line spread, and the width is interpolated. Noise cancels; that of the truth picks its own edges, so
    that the truth's width is a lower bound.

    Args:
        pred, truth, mask, affine, unit: see :func:`noise_scores`.

    Returns:
        In mm; nan without such an edge inside the mask, infinite where the prediction has no step there.

    Raises:
        DataError: see :func:`noise_scores`.
    """
    if unit != HU:
        return {}
    pred, truth, inside = checked_volumes(pred, truth, mask)
    to_mm = checked_affine(affine)
    axial = int(np.flatnonzero(io_orientation(to_mm)[:, 0] == 2)[0])
    distance = float(voxel_sizes(to_mm)[axial])
    reach = max(1, round(ACROSS_MM / distance))
    own, made = (np.diff(np.moveaxis(each, axial, 2), axis=2) for each in (truth, pred))
    height, (below, above) = np.abs(own), (np.moveaxis(inside, axial, 2)[..., part] for part in (np.s_[:-1], np.s_[1:]))
    edges = (height >= EDGE_HU) & (height == maximum_filter1d(height, 2 * reach + 1, axis=2)) & below & above
    edges[..., :reach] = edges[..., edges.shape[2] - reach :] = False
    x, y, z = np.nonzero(edges)
    offsets = np.arange(-reach, reach + 1)
    spread = (np.sign(own[edges])[:, None] * made[x[:, None], y[:, None], z[:, None] + offsets]).sum(0)
    if not len(x) or not spread[reach] > 0:
        return {"edge_across_mm": float("inf" if len(x) else "nan")}
    away = np.arange(reach + 1, dtype=np.float64) * distance
    before, after = (half_frequency(away, side / side[0]) for side in (spread[reach::-1], spread[reach:]))
    return {"edge_across_mm": before + after}


def windowed_scores(
    pred: ArrayLike, truth: ArrayLike, affine: ArrayLike, body_part: str, unit: str = HU
) -> dict[str, float]:
    """``psnr_window`` (dB) and ``ssim_window`` of ldct-benchmark: of whole axial slices in the window of the body part.

    Both volumes become 0 to 1 in the window, by DICOM's linear function, without a mask; means over the slices, whose
    number is ``slices``.

    Args:
        pred: denoised CT (X, Y, Z) in HU.
        truth: CT of full dose (X, Y, Z) in HU.
        affine: (4, 4) of both, to RAS mm.
        body_part: one of :data:`WINDOWS`; of another nothing is measured.
        unit: of the volumes; in any other than HU nothing is measured.

    Source: Eulig et al. 2024, Med Phys 51:8776; ldct-benchmark 0.0.15. A slice without any error is not counted in the
    PSNR, which is infinite there.
    """
    if unit != HU or body_part not in WINDOWS:
        return {}
    from skimage.metrics import structural_similarity  # of benchmarks alone

    axial = int(np.flatnonzero(io_orientation(checked_affine(affine))[:, 0] == 2)[0])
    centre, width = WINDOWS[body_part]
    shown, real = (
        np.moveaxis(np.clip((np.asarray(each, float) - (centre - 0.5)) / (width - 1) + 0.5, 0, 1), axial, 0)
        for each in (pred, truth)
    )
    errors = np.square(shown - real).mean((1, 2))
    similar = [structural_similarity(one, other, data_range=1.0) for one, other in zip(real, shown, strict=True)]
    ratios = 10 * np.log10(1 / errors[errors > 0])
    return {
        "psnr_window": float(ratios.mean()) if len(ratios) else float("inf"),
        "ssim_window": float(np.mean(similar)),
        "slices": float(len(errors)),
    }


def half_frequency(frequencies: Volume, transfer: Volume) -> float:
    """The first frequency at which a transfer function falls to 0.5, linear between samples; the last if it does not.

    Args:
        frequencies: rising, (F,).
        transfer: (F,); that of a frequency of 0 is 1.
    """
    below = np.flatnonzero(transfer <= 0.5)
    if not len(below):
        return float(frequencies[-1])
    first = int(below[0])
    before, value = (frequencies[first - 1], transfer[first - 1]) if first else (0.0, 1.0)
    return float(before + (frequencies[first] - before) * (value - 0.5) / (value - transfer[first]))
