"""Classical answers, fitted to the training cases: stain normalisation (Reinhard, Macenko), linear shading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from skimage.color import lab2rgb, rgb2lab

from common.data.datalist import Item
from common.errors import DataError
from common.evaluation.held_out_case import load_case
from common.grids import in_ras
from common.io import VolumeReader

Pixels = NDArray[np.float64]
LEVELS = 256.0
LEAST_DENSITY = 0.15
"""Optical density in every colour below which a pixel is glass (Macenko et al. 2009)."""
ANGLES = (1.0, 99.0)
"""Percentiles of the angles in the plane of both stains that are taken for pure ones."""
HIGHEST = 99.0
"""Percentile of concentrations that is made equal."""


class _OfTargets:
    """Base of a function of a picture that is fitted to the targets of the training when it is first called.

    Args:
        cases: items by section, as :func:`common.data.selection.training_cases` gives them.
        reader: of the pictures, as in training.
    """

    def __init__(self, cases: Mapping[str, Sequence[Item]], reader: VolumeReader) -> None:
        self.cases = cases
        self.reader = reader
        self._fitted: tuple[Pixels, Pixels] | None = None

    def __call__(self, picture: np.ndarray) -> Pixels:
        """The picture (X, Y, 1, 3), or a grey one (X, Y, 1), in the colours of the targets, in levels.

        Raises:
            DataError: no training case has a target in colour.
        """
        rgb = np.repeat(picture[..., None], 3, axis=-1) if picture.ndim == 3 else picture
        if self._fitted is None:
            loaded = (load_case(item, None, self.reader).truth for item in self.cases["training"])
            targets = [each.reshape(-1, 3).astype(float) for each in loaded if each is not None and each.ndim == 4]
            if not targets:
                raise DataError("no training case has a target in colour", "give RGB pictures")
            self._fitted = self._fit(np.concatenate(targets))
        return self._normalised(rgb.reshape(-1, 3).astype(float), *self._fitted).reshape(rgb.shape).clip(0, 255)

    def _fit(self, pixels: Pixels) -> tuple[Pixels, Pixels]:
        raise NotImplementedError

    def _normalised(self, pixels: Pixels, first: Pixels, second: Pixels) -> Pixels:
        raise NotImplementedError


class Reinhard(_OfTargets):
    """Mean and standard deviation of each axis of CIE Lab become those of the targets.

    Source: Reinhard et al. 2001, IEEE CG&A 21, in CIE Lab in the place of l-alpha-beta.
    """

    def _fit(self, pixels: Pixels) -> tuple[Pixels, Pixels]:
        """Means and deviations (3,) of Lab."""
        lab = rgb2lab(pixels / 255)
        return lab.mean(axis=0), lab.std(axis=0)

    def _normalised(self, pixels: Pixels, first: Pixels, second: Pixels) -> Pixels:
        lab = rgb2lab(pixels.clip(0, 255) / 255)
        scaled: Pixels = (lab - lab.mean(axis=0)) / np.maximum(lab.std(axis=0), 1e-6) * second + first
        return np.asarray(255 * lab2rgb(scaled))


class Macenko(_OfTargets):
    """Both stains of a picture get the colours and the highest concentrations of the targets' (Macenko et al. 2009).

    A picture without two stains, such as a grey one or glass, stays as it is.
    """

    def _fit(self, pixels: Pixels) -> tuple[Pixels, Pixels]:
        """Stains (2, 3) and highest concentrations (2,).

        Raises:
            DataError: the targets have not two stains.
        """
        stains = stains_of(pixels)
        if stains is None:
            raise DataError("the targets have not two stains", "give pictures of stained tissue")
        return stains, _highest(concentrations(pixels, stains))

    def _normalised(self, pixels: Pixels, first: Pixels, second: Pixels) -> Pixels:
        own = stains_of(pixels)
        if own is None:
            return pixels
        amounts = concentrations(pixels, own)
        scaled = amounts * second / np.maximum(_highest(amounts), 1e-6)
        return np.asarray(LEVELS * np.exp(-scaled @ first) - 1)


def density(pixels: Pixels) -> Pixels:
    """Optical density of levels (..., 3), by the law of Beer and Lambert: 0 for 255."""
    return np.asarray(-np.log((pixels.clip(0, 255) + 1) / LEVELS))


def stains_of(pixels: Pixels) -> Pixels | None:
    """Optical densities (2, 3) of unit length of both stains of pixels (N, 3), the one with more red density first.

    That is hematoxylin, if the other is eosin. None where there are not two.
    """
    dense = density(pixels)
    dense = dense[(dense > LEAST_DENSITY).any(axis=1)]
    if len(dense) < 3:
        return None
    spread, axes = np.linalg.eigh(np.cov(dense.T))
    if spread[1] < 1e-6 * spread[2]:
        return None
    plane = axes[:, [2, 1]] * np.sign(axes[:, [2, 1]].sum(axis=0))
    x, y = (dense @ plane).T
    ends = np.percentile(np.arctan2(y, x), ANGLES)
    found = np.stack([np.cos(ends), np.sin(ends)], axis=1) @ plane.T
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return found if found[0, 0] > found[1, 0] else found[::-1]


def concentrations(pixels: Pixels, stains: Pixels) -> Pixels:
    """Amounts (N, 2), not below 0, of stains (2, 3) in pixels (N, 3), by least squares of the density."""
    amounts: Pixels = np.linalg.lstsq(stains.T, density(pixels).T)[0].T.clip(min=0)
    return amounts


def _highest(amounts: Pixels) -> Pixels:
    return np.asarray(np.percentile(amounts, HIGHEST, axis=0))


class LinearShading:
    """The best linear function of a picture and its derivatives, by least squares on the training cases.

    DIC is about the derivative of the phase along the shear, and phase contrast about the phase less its mean around.

    Args:
        cases: items by section, as :func:`common.data.selection.training_cases` gives them.
        reader: of the pictures, as in training.
        sigma: of the Gaussian of derivatives, in pixels.
    """

    def __init__(self, cases: Mapping[str, Sequence[Item]], reader: VolumeReader, sigma: float = 1.0) -> None:
        self.cases = cases
        self.reader = reader
        self.sigma = sigma
        self._weights: Pixels | None = None

    def __call__(self, picture: np.ndarray) -> Pixels:
        """The target (X, Y, 1) of a source (X, Y, 1), or of channels (X, Y, 1, C) of which the first counts, in RAS."""
        if self._weights is None:
            loaded = (load_case(item, None, self.reader) for item in self.cases["training"] if "label" in item)
            known = [(in_ras(self._terms, case.source, case.affine), np.asarray(case.truth)) for case in loaded]
            terms = np.concatenate([each.reshape(-1, each.shape[-1]) for each, _ in known])
            self._weights = np.linalg.lstsq(terms, np.concatenate([truth.ravel() for _, truth in known]))[0]
        source = picture if picture.ndim == 3 else picture[..., 0]
        return np.asarray(self._terms(source) @ self._weights).clip(0, 255)

    def _terms(self, picture: np.ndarray) -> Pixels:
        """1, the picture (X, Y, 1) and its derivatives along both axes, (X, Y, 1, 4)."""
        plane = picture[:, :, 0].astype(float)
        slopes = [gaussian_filter(plane, self.sigma, order=order) for order in ((1, 0), (0, 1))]
        return np.stack([np.ones_like(plane), plane, *slopes], axis=-1)[:, :, None]
