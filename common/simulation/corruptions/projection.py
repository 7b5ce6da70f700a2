"""Parallel-beam projections of axial CT slices in mm, and their filtered back-projection.

scikit-image projects. ASTRA 2.5 and deepinv 0.5 were measured too: with the same error on a disc, ASTRA is three times
as fast and deepinv differentiable, but ASTRA (GPL) brings 290 MB of CUDA libraries to a CPU, and deepinv needs a
torchvision built against the very same torch. Noise is drawn once a case, in no training step, so that neither a
gradient nor a GPU is needed; non-local means and total variation come from scikit-image as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import ConfigError, DataError
from ...grids import SPACING_TOLERANCE_MM
from ...units import AROUND_BODY_BELOW_HU

Image = NDArray[np.float64]

MU_WATER = 0.0193
"""Linear attenuation of water in 1/mm at 70 keV, about the effective energy of 120 kV (Hubbell and Seltzer, NIST SRD
126: 0.2059 cm2/g at 60 keV, 0.1837 at 80 keV; XCOM between them)."""
KERNELS = {"soft": "hann", "sharp": "ramp"}
"""Filters of ``skimage.transform.iradon``: an apodised one as for soft tissue, and the ramp alone as for bone."""
LEAST_HU = -3100.0
"""Lower limit of a CT: resampling overshoots to -1200, and scanners pad to -3024 outside the field of view. Nothing
below -1000 attenuates."""
BODY_MU = 0.2 * MU_WATER
"""Threshold of what is projected outside the circle in the image: -800 HU, above the noise of air."""


def attenuation(hu: ArrayLike) -> Image:
    """Linear attenuation in 1/mm at 70 keV, of the shape of ``hu``: MU_WATER (1 + HU / 1000), at least 0.

    :func:`common.metrics.attenuation.linear_attenuation` is that of PET, at 511 keV.
    """
    return np.maximum(MU_WATER * (1 + np.asarray(hu, dtype=np.float64) / 1000), 0)


def hounsfield(mu: Image) -> Image:
    """Differences of attenuation in 1/mm as differences in HU: 1000 mu / MU_WATER, of any shape."""
    return 1000 / MU_WATER * mu


@dataclass(frozen=True)
class Circle:
    """The circle around the middle of a slice (X, Y) that holds the body, in a square window of 2 radius + 1 pixels.

    A window larger than the slice is filled with zeros; a smaller one saves time. ``radius`` is in pixels.
    """

    shape: tuple[int, int]
    radius: int

    def cut(self, image: Image) -> Image:
        """The window (S, S) of a slice (X, Y), 0 outside the circle."""
        columns, rows = (slice(size // 2, size // 2 + 2 * self.radius + 1) for size in self.shape)
        window: Image = np.pad(image, self.radius)[columns, rows]
        offsets = np.arange(-self.radius, self.radius + 1)
        return np.where(offsets[:, None] ** 2 + offsets**2 <= self.radius**2, window, 0)

    def placed(self, window: Image) -> Image:
        """A slice (X, Y) with a window (S, S) at its place, 0 elsewhere."""
        (x, y), wide = self.shape, np.zeros([size + 2 * self.radius for size in self.shape])
        wide[tuple(slice(size // 2, size // 2 + len(window)) for size in self.shape)] = window
        return wide[self.radius : self.radius + x, self.radius : self.radius + y]


def body_circle(mu: Image) -> Circle:
    """The smallest circle around the middle of a slice (X, Y) in 1/mm that holds all above ``BODY_MU``.

    It may reach beyond the slice, whose corners are then projected too; a slice of air has that of its longer side.
    """
    middle = [size // 2 for size in mu.shape]
    places = np.argwhere(mu > BODY_MU) - middle
    farthest = np.hypot(*places.T).max() + 1 if len(places) else max(middle)
    return Circle((mu.shape[0], mu.shape[1]), int(np.ceil(farthest)))


def angles(views: int) -> Image:
    """Directions of the views (V,) in degrees, evenly from 0 to below 180.

    Raises:
        ConfigError: ``views`` is no whole number above 0.
    """
    if isinstance(views, bool) or not isinstance(views, int) or views < 1:
        raise ConfigError(f"--views is {views!r}, not a whole number above 0", "give 360, or 720 for 512 x 512 pixels")
    return np.arange(views) * 180 / views


def projections(mu: Image, pixel_mm: float, views: int) -> Image:
    """Line integrals without unit, (S, V): S parallel rays one pixel apart in each of V views.

    Args:
        mu: attenuation in 1/mm, (S, S), 0 outside the inscribed circle.
        pixel_mm: side of a pixel in mm.
        views: number of views in 180 degrees.

    Raises:
        ConfigError: see :func:`angles`.
    """
    from skimage.transform import radon  # of simulations alone, not of every inference that checks a CT

    integrals: Image = radon(mu, angles(views), circle=True, preserve_range=True) * pixel_mm
    return integrals


def back_projection(integrals: Image, pixel_mm: float, kernel: str) -> Image:
    """Filtered back-projection of line integrals (S, V) to attenuation in 1/mm, (S, S), 0 outside the circle.

    Args:
        integrals: as :func:`projections` gives them.
        pixel_mm: side of a pixel and distance of rays in mm.
        kernel: one of ``KERNELS``.

    Source: Kak and Slaney 1988, Principles of Computerized Tomographic Imaging, chapter 3.
    """
    from skimage.transform import iradon

    directions = angles(integrals.shape[1])
    mu: Image = iradon(integrals / pixel_mm, directions, filter_name=KERNELS[kernel], circle=True)
    return mu


def checked_ct(volume: ArrayLike) -> NDArray[np.floating]:
    """Return a CT (X, Y, Z) in HU as an array of floats.

    Raises:
        DataError: not three-dimensional, not finite, or not in HU: below ``LEAST_HU``, or without air around the body.
    """
    hu = np.asarray(volume)
    if hu.ndim != 3:
        raise DataError(f"CT has {hu.ndim} dimensions, not 3", "give one volume (X, Y, Z)")
    if not np.isfinite(hu).all():
        raise DataError("CT has NaN or infinite voxels", "fill or fix them")
    low = float(hu.min())
    if not LEAST_HU <= low <= AROUND_BODY_BELOW_HU:
        fault = f"CT has the lowest value {low:g}, and HU of air lie between {LEAST_HU:g} and {AROUND_BODY_BELOW_HU:g}"
        raise DataError(fault, "convert it to HU (slope, offset 1024)")
    return hu if np.issubdtype(hu.dtype, np.floating) else hu.astype(np.float32)


def pixel_of(spacing: Sequence[float]) -> float:
    """The side of the square pixels of axial slices in mm, from the spacing along X, Y and Z in mm.

    Raises:
        DataError: pixels are not square, or a spacing is not above 0.
    """
    x, y = float(spacing[0]), float(spacing[1])
    if not (np.isfinite([x, y]).all() and x > 0 and y > 0):
        raise DataError(f"pixels are {x:g} x {y:g} mm, not above 0", "correct the spacing in the header")
    if abs(x - y) > SPACING_TOLERANCE_MM:
        fault = f"pixels are {x:g} x {y:g} mm, and projections need square ones"
        raise DataError(fault, "resample the volume to square pixels in axial slices")
    return x
