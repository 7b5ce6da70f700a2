"""Cone-beam CT of a CT: scatter, cupping, noise and a truncated field of view; phantoms of such pairs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter1d

from common.errors import ConfigError
from common.simulation.corruptions.low_dose import LEAST_COUNT
from common.simulation.corruptions.projection import (
    Image,
    angles,
    attenuation,
    back_projection,
    body_circle,
    checked_ct,
    hounsfield,
    pixel_of,
    projections,
)
from common.simulation.dataset import save_nifti, write_heads
from common.simulation.head import head_anatomy

OUTSIDE_HU = -1024.0
"""Value beyond the field of view, as in SynthRAD."""
SCATTER_MM = 30.0
"""Standard deviation of the spread of scatter along the detector."""


class ConeBeam:
    """A CT in HU as a scanner with a flat panel shows it: in every axial slice :math:`given + FBP(measured - p)`.

    p are the line integrals of the given slice. The panel counts the rays :math:`e^{-p}` and scatter, which is
    proportional to :math:`p e^{-p}` blurred along the detector, so that HU fall where the body is thick: cupping and
    dark streaks between bones. Beam hardening takes ``hardening`` times p squared of the integrals. Rays beyond the
    panel have the value of its last one, which fades: the rim of the field of view becomes bright. Rays are parallel
    and slices are independent, an approximation that leaves out the angle of the cone.

    Args:
        scatter: of a ray without scatter correction, over p e^-p; 0 for none. 0.02 to 0.1 is what corrections leave.
        hardening: 0 for none.
        photons: of a ray without an object, in one view and one pixel's width.
        field_mm: diameter of the field of view, which the panel covers; null for all of the body.
        views: in 180 degrees.

    Raises:
        ConfigError: a setting is out of its range.

    Source: forward scatter by Ohnesorge et al. 1999, Eur Radiol 9:563; extrapolation of truncated projections by
    Ohnesorge et al. 2000, Med Phys 27:39. Sizes are [chosen].
    """

    def __init__(
        self,
        scatter: float = 0.05,
        hardening: float = 0.005,
        photons: float = 1.0e5,
        field_mm: float | None = None,
        views: int = 180,
    ) -> None:
        for name, value, positive in (("scatter", scatter, False), ("hardening", hardening, False),
                                      ("photons", photons, True), ("field_mm", field_mm or 1.0, True)):  # fmt: skip
            if not np.isfinite(value) or value < 0 or (positive and not value):
                raise ConfigError(f"{name} is {value!r}, not {'above 0' if positive else '0 or more'}", "correct it")
        angles(views)
        self.scatter, self.hardening, self.photons = scatter, hardening, photons
        self.field_mm, self.views = field_mm, views

    def __call__(self, volume: ArrayLike, spacing: Sequence[float], rng: np.random.Generator) -> NDArray[np.floating]:
        """The cone-beam CT in HU, (X, Y, Z), not rounded.

        Args:
            volume: CT in HU, (X, Y, Z), its slices axial (right-anterior-superior).
            spacing: along X, Y and Z in mm.
            rng: draws the photons.

        Raises:
            DataError: see ``checked_ct`` and ``pixel_of`` of :mod:`common.simulation.corruptions.projection`.
        """
        given, pixel = checked_ct(volume), pixel_of(spacing)
        made = given.astype(np.float64)
        for index in range(given.shape[2]):
            made[..., index] += self._wrong(given[..., index], pixel, rng)
        made = np.maximum(made, OUTSIDE_HU)
        if self.field_mm is not None:
            x, y = (np.arange(size) - size // 2 for size in given.shape[:2])
            made[np.hypot(x[:, None], y) * pixel > self.field_mm / 2] = OUTSIDE_HU
        return made

    def _wrong(self, hu: NDArray[np.floating], pixel: float, rng: np.random.Generator) -> Image:
        """What the scanner adds to a slice in HU, (X, Y)."""
        mu = attenuation(hu)
        circle = body_circle(mu)
        integrals = projections(circle.cut(mu), pixel, self.views)
        primary = np.exp(-integrals)
        scattered = self.scatter * gaussian_filter1d(integrals * primary, SCATTER_MM / pixel, axis=0, mode="constant")
        counts = rng.poisson(self.photons * (primary + scattered))
        measured = np.log(self.photons / np.maximum(counts, LEAST_COUNT)) - self.hardening * integrals**2
        if self.field_mm is not None:
            measured = _extended(measured, int(self.field_mm / 2 / pixel))
        return circle.placed(hounsfield(back_projection(measured - integrals, pixel, "soft")))


def _extended(integrals: Image, half: int) -> Image:
    """Line integrals (S, V) of which rays beyond ``half`` of the middle one fade from the last that is measured."""
    middle = len(integrals) // 2
    if half >= middle:
        return integrals
    offsets = np.abs(np.arange(len(integrals)) - middle)
    fade = np.cos(np.pi / 2 * np.clip((offsets - half) / max(middle - half, 1), 0, 1)) ** 2
    inside = np.clip(np.arange(len(integrals)), middle - half, middle + half)
    return np.where((offsets <= half)[:, None], integrals, integrals[inside] * fade[:, None])


def write_cbct2ct(root: Path, cases: int = 12, spacing: float = 1.0, seed: int = 0, field_mm: float = 160.0) -> None:
    """Write pairs of cone-beam and planning CT of random heads, with head masks, and ``dataset.json``.

    The mask is the head within the field of view, where both have values. Args and Raises: see
    :func:`common.simulation.mr_ct_pairs.write_mr2ct`; ``field_mm`` is the diameter of the field of view.
    """
    write_heads(root, cases, spacing, seed, partial(_write_case, ConeBeam(field_mm=field_mm)), field_mm=field_mm)


def _write_case(scan: ConeBeam, folder: Path, seed: int, spacing: float) -> None:
    from common.simulation.ct import render_ct  # an inference names this module, and never renders heads

    anatomy, rng = head_anatomy(seed, spacing), np.random.default_rng((seed, 1))
    ct = render_ct(anatomy, rng)
    cbct = scan(ct, [spacing] * 3, rng)
    save_nifti(folder / "cbct.nii.gz", np.rint(cbct).astype(np.int16), anatomy.affine)
    save_nifti(folder / "ct.nii.gz", np.rint(ct).astype(np.int16), anatomy.affine)
    save_nifti(folder / "mask.nii.gz", anatomy.head & (cbct > OUTSIDE_HU), anatomy.affine)
