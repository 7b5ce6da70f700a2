"""Spread of a voxel: how far the output moves when the input, the noise or the network varies."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

import numpy as np
import torch
from monai.data import MetaTensor
from monai.networks.utils import eval_mode
from monai.utils import convert_to_dst_type
from torch import Tensor, nn

from ...networks.ensemble import NetworkEnsemble
from ...seeds import derive
from ...stitching import FlowInferer, MirrorInferer, PatchStitchingInferer

MOST = 4
"""Number of variations, so that a map takes at most five times one inference."""
GAMMAS = (0.8, 1.25)
"""Contrasts of the varied inputs."""
OFFSETS = (-0.05, 0.05)
"""Brightness added to the input of a network that corrects it, in its scale [chosen]: 15 HU in a window of 600 HU."""
SHIFT = 3
"""Voxels by which an input is moved along every axis: no multiple of a U-Net's pooling."""
Predict = Callable[[Tensor], Tensor]


class Variation(NamedTuple):
    """One further output: its name, and (B, C, X, Y, Z) -> (B, C', X, Y, Z)."""

    name: str
    predict: Predict


def variations(inferer: Callable[..., Tensor], network: nn.Module) -> list[Variation]:
    """At most ``MOST`` variations of an inference.

    Of a :class:`common.networks.ensemble.NetworkEnsemble` its first members, each alone; of a
    :class:`common.stitching.FlowInferer` further seeds of its noise; of others the input with two contrasts, moved
    by some voxels, and mirrored left and right. A network that ``corrects_source``, by adding to it in its own scale,
    has no contrasts, which would pass through it, but brightnesses, which are taken off again.

    Args:
        inferer: (B, C, X, Y, Z), network -> (B, C', X, Y, Z).
        network: with its weights loaded; it computes in eval mode, and keeps its own.
    """
    ensemble = next((part for part in network.modules() if isinstance(part, NetworkEnsemble)), None)
    if ensemble is not None:
        count = min(MOST, len(ensemble.members))
        return [Variation(f"member {number}", _member(inferer, network, ensemble, number)) for number in range(count)]
    if flow := next((each for each in chain(inferer) if isinstance(each, FlowInferer)), None):
        seeds = [derive(flow.seed, number + 1) for number in range(MOST)]
        return [
            Variation(f"noise {number + 1}", _applied(_reseeded(inferer, seed), network))
            for number, seed in enumerate(seeds)
        ]
    plain = _applied(inferer, network)
    shades = [Variation(f"gamma {gamma:g}", _with_gamma(plain, gamma)) for gamma in GAMMAS]
    if getattr(network, "corrects_source", False):
        shades = [Variation(f"brighter by {offset:g}", _brighter(plain, offset)) for offset in OFFSETS]
    return [*shades, Variation(f"moved by {SHIFT} voxels", _moved(plain)), Variation("mirrored", _mirrored(plain))]


def spread_of(
    image: Tensor, prediction: np.ndarray, varied: list[Variation], restore: Callable[[Tensor], np.ndarray]
) -> np.ndarray:
    """Root mean square of the variations' difference from the prediction, float32 (X, Y, Z), in the target's unit.

    Args:
        image: (C, X, Y, Z), as the network takes it, on its device.
        prediction: (X, Y, Z) on the source's grid, in the target's unit.
        varied: of :func:`variations`.
        restore: an output (C', X, Y, Z) to the grid and unit of the prediction.
    """
    squares = np.zeros(prediction.shape, dtype=np.float32)
    plain = image.as_tensor() if isinstance(image, MetaTensor) else image
    for variation in varied:
        output = variation.predict(plain[None])[0]
        # with the geometry of the image, since Invertd leaves a plain tensor as it is
        difference = restore(convert_to_dst_type(output, image, dtype=torch.float32)[0]) - prediction
        squares += np.square(difference, dtype=np.float32)
    return np.sqrt(squares / len(varied))


def manner(inferer: Callable[..., Tensor], network: nn.Module) -> dict[str, Any]:
    """What a calibration holds for besides the weights: variations, mirrored axes, steps of a flow, stitching."""
    parts = list(chain(inferer))
    return {
        "variations": [variation.name for variation in variations(inferer, network)],
        "mirrored": [axis for part in parts if isinstance(part, MirrorInferer) for axis in part.axes],
        "steps": [part.steps for part in parts if isinstance(part, FlowInferer)],
        "mode": [part.mode for part in parts if isinstance(part, PatchStitchingInferer)],
    }


def chain(inferer: Any) -> Iterator[Any]:
    """An inferer and those that it applies."""
    while inferer is not None:
        yield inferer
        inferer = getattr(inferer, "inferer", None)


def _applied(inferer: Callable[..., Tensor], network: nn.Module, context: Callable[[], Any] = nullcontext) -> Predict:
    def predict(image: Tensor) -> Tensor:
        # MONAI's evaluator sets the network to training again after its own pass; batch statistics would change
        with context(), eval_mode(network):
            return inferer(image, network)

    return predict


def _member(inferer: Callable[..., Tensor], network: nn.Module, ensemble: NetworkEnsemble, number: int) -> Predict:
    return _applied(inferer, network, lambda: _alone(ensemble, number))


@contextmanager
def _alone(ensemble: NetworkEnsemble, number: int) -> Iterator[None]:
    """Let the output of an ensemble be that of one member."""
    kept = ensemble.members, ensemble.gain, ensemble.offset
    only = slice(number, number + 1)
    try:
        ensemble.members, ensemble.gain, ensemble.offset = kept[0][only], kept[1][only], kept[2][only]
        yield
    finally:
        ensemble.members, ensemble.gain, ensemble.offset = kept


def _reseeded(inferer: Any, seed: int) -> Any:
    """A copy of an inferer whose flow begins at other noise."""
    other: Any = copy.copy(inferer)
    if isinstance(other, FlowInferer):
        other.seed = seed
    else:
        other.inferer = _reseeded(inferer.inferer, seed)
    return other


def _with_gamma(predict: Predict, gamma: float) -> Predict:
    """The range of every channel is kept, whatever the scale of the input."""

    def varied(image: Tensor) -> Tensor:
        low, high = image.amin((2, 3, 4), keepdim=True), image.amax((2, 3, 4), keepdim=True)
        return predict(((image - low) / (high - low).clamp_min(1.0e-6)) ** gamma * (high - low) + low)

    return varied


def _brighter(predict: Predict, offset: float) -> Predict:
    return lambda image: predict(image + offset) - offset


def _moved(predict: Predict) -> Predict:
    """What leaves at one end enters at the other, which is air for a head."""
    axes = (2, 3, 4)
    return lambda image: predict(image.roll((SHIFT,) * 3, axes)).roll((-SHIFT,) * 3, axes)


def _mirrored(predict: Predict) -> Predict:
    return lambda image: predict(image.flip(2)).flip(2)
