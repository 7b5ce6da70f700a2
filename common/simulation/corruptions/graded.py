"""Corruptions of whole cases by name, from slight to strong, so that errors small and large are seen.

Volumes (C, X, Y, Z) are oriented RAS: ``image``, and ``label`` and ``mask`` as far as the case has them. Intensity
corruptions change the image alone, spatial ones transform the target and the mask too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .artefacts import ghosted
from .intensity import bias_field, blurred, inverted, stripped
from .noise import rician
from .slices import repeated, shuffled
from .spatial import cropped, of_all, rotated, scaled, wrapped

Volume = NDArray[np.float32]
Volumes = dict[str, NDArray[Any]]
Change = Callable[[Volumes, Volume, float, np.random.Generator], Volumes]
"""Takes the volumes, the spacing (3,) in mm, the parameter and what is random."""


class Graded(NamedTuple):
    """A corruption and its parameter at the strengths 0, which still changes the case, and 1."""

    change: Change
    least: float = 0.0
    most: float = 0.0


def distorted(name: str, volumes: Volumes, spacing: Volume, strength: float, seed: int) -> Volumes:
    """The volumes of a case, corrupted in one way, as new arrays: a function of its arguments.

    Args:
        name: key of :data:`CORRUPTIONS`.
        volumes: see the module.
        spacing: (3,) in mm.
        strength: from 0 to 1.
        seed: of what is random.
    """
    change, least, most = CORRUPTIONS[name]
    span = round(most - least, 9)  # as written in decimals: the last bit of a factor would change voxels
    return change(volumes, spacing, least + span * strength, np.random.default_rng(seed))


def _values(change: Callable[[Volume, float, Volume, np.random.Generator], NDArray[Any]]) -> Change:
    """A change of each channel of the image, from its 0.1st to its 99.9th percentile given as 0 to 1."""

    def corrupt(volumes: Volumes, spacing: Volume, amount: float, rng: np.random.Generator) -> Volumes:
        channels = []
        for channel in volumes["image"]:
            low, high = np.percentile(channel, (0.1, 99.9)).astype(np.float32)
            unit = np.clip((channel - low) / max(high - low, np.float32(1.0e-9)), 0, 1)
            channels.append(change(unit, amount, spacing, rng) * (high - low) + low)
        return {**volumes, "image": np.stack(channels).astype(np.float32)}

    return corrupt


def _places(change: Callable[[NDArray[Any], float, Volume, int], NDArray[Any]]) -> Change:
    """A change of all volumes by the parameter, the spacing and the order of interpolation."""
    return lambda volumes, spacing, amount, rng: of_all(
        volumes, lambda each, order: change(each, amount, spacing, order)
    )


def _rotated(*axes: int) -> Change:
    return _places(lambda each, degrees, mm, order: rotated(each, mm, (axes[0], axes[1]), degrees, order))


_GAMMA = _values(lambda image, exponent, mm, rng: image**exponent)
_SCALED = _places(lambda each, factor, mm, order: scaled(each, mm, factor, order))

CORRUPTIONS: Mapping[str, Graded] = {
    "darker": Graded(_GAMMA, 1.4, 3.0),
    "brighter": Graded(_GAMMA, 0.7, 0.3),
    "inverted contrast": Graded(_values(lambda image, contrast, mm, rng: inverted(image, contrast)), 1.0, 0.5),
    "noise": Graded(_values(lambda image, sigma, mm, rng: rician(image.astype(float), sigma, rng)), 0.04, 0.2),
    "bias field": Graded(
        _values(lambda image, percent, mm, rng: image * bias_field(image.shape, float(mm.mean()), percent, rng)), 30, 80
    ),
    "blur": Graded(_values(lambda image, sigma_mm, mm, rng: blurred(image, sigma_mm, mm, 4.0)), 2, 5),
    "thick slices": Graded(_values(lambda image, thickness, mm, rng: repeated(image, thickness, float(mm[2]))), 7, 15),
    "scalp and skull removed": Graded(_values(lambda image, depth, mm, rng: stripped(image, depth, mm)), 12, 20),
    "nodded": Graded(_rotated(1, 2), 10, 40),
    "tilted": Graded(_rotated(0, 2), 10, 40),
    "cut from above": Graded(_places(lambda each, kept, mm, order: cropped(each, 2, 0, kept)), 0.75, 0.4),
    "enlarged": Graded(_SCALED, 1.2, 1.5),
    "shrunk": Graded(_SCALED, 0.85, 0.65),
    "turned by 90 degrees": Graded(_rotated(0, 1), 90, 90),
    "head turned aside": Graded(_rotated(0, 1), 30, 30),
    "upside down": Graded(_places(lambda each, none, mm, order: each[:, :, ::-1])),
    "back to front": Graded(_places(lambda each, none, mm, order: each[:, ::-1])),
    "left and right exchanged": Graded(_places(lambda each, none, mm, order: each[::-1])),
    "cut at the side": Graded(_places(lambda each, lost, mm, order: cropped(each, 0, lost, 1)), 0.3, 0.5),
    "folded over": Graded(_places(lambda each, share, mm, order: wrapped(each, 1, share)), 0.25, 0.25),
    "ghost": Graded(_values(lambda image, amplitude, mm, rng: ghosted(image, 1, amplitude)), 0.2, 0.5),
    "slices in a wrong order": Graded(_values(lambda image, none, mm, rng: shuffled(image, rng))),
    "noise alone": Graded(_values(lambda image, none, mm, rng: np.abs(rng.normal(0.3, 0.2, image.shape)))),
}
"""Their parameters: exponents of the grey scale, share of the contrast, standard deviation of noise over the range of
the image, bias in percent, standard deviation, thickness and depth in mm, degrees, factors of the size, shares of the
field of view, amplitude of a ghost relative to the image."""
