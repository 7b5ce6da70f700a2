"""Simulated pairs of an MR of any contrast and slice thickness and a T1 of thin slices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.interpolate import make_interp_spline

from common.simulation.corruptions.intensity import blurred
from common.simulation.grid import Volume
from common.simulation.head import partial_volume
from common.simulation.mr_contrasts import any_contrast
from common.simulation.physics import InvertedEcho, PulseSequence, Range, Tissues, drawn
from common.simulation.sampling import Sampling
from common.simulation.scanner import Scanner
from common.simulation.simulate import AverageHeads, Case, Heads
from common.simulation.tissues import RELAXATION
from common.simulation.variety import Variety

PLANES = ((0, 1, 2), (0, 2, 1), (1, 2, 0))
"""Axes of axial, coronal and sagittal slices, and that across them."""
WHITE = 1000.0
"""Target of white matter, in a.u."""


def target_signals() -> dict[str, float]:
    """The same T1 contrast for every head: the middle of the ranges of inverted echoes, white matter 1000 a.u.

    With the tissues of the table, not those of a person, whose T1 no other contrast tells.
    """
    signals = InvertedEcho().signals(RELAXATION, (0.5, 0.5))
    return {name: WHITE * signal / signals["white"] for name, signal in signals.items()}


@dataclass(frozen=True)
class AnyToT1:
    """Pair of an MR of any contrast, in thick slices of any orientation, and a T1 of thin ones, on the thin grid.

    The T1 is as sharp as the source in the plane of its slices, and has neither noise nor bias field; its contrast is
    that of :func:`target_signals`. The thick slices are interpolated linearly, as a working spacing does it.

    Args:
        source: sequence of the source.
        tissues: relaxation of the person's tissues.
        scanner: degradation of the source; its axial slices are turned to every axis.
        heads: with their spacing and position.
        cleared_probability: that the source is 0 outside the head, as what programs write that cut it out.
        blur_mm: standard deviation of a further blur of both images, that of a coarse matrix.
        blur_probability: of it.
    """

    source: PulseSequence = field(default_factory=any_contrast)
    tissues: Tissues = field(default_factory=Tissues)
    scanner: Scanner = field(default_factory=Scanner)
    heads: Heads = field(default_factory=lambda: AverageHeads(Variety(), spacings_mm=(1.0,)))
    cleared_probability: float = 0.5
    blur_mm: Range = (1.0, 3.0)
    blur_probability: float = 0.25

    def __call__(self, seed: int) -> Case:
        """The case of a seed: source in [0, 1], T1 in a.u. with white matter near 1000."""
        rng = np.random.default_rng(seed)
        anatomy, places = self.heads(rng), (rng.random(), rng.random())
        shape, spacing = anatomy.head.shape, anatomy.spacing
        signals = self.source.signals(self.tissues.draw(rng), places)
        texture = self.scanner.texture_field(rng, shape, spacing)
        bias, _ = self.scanner.bias_fields(rng, shape, spacing)
        sigma = drawn(self.scanner.blur_mm, rng.random(), "blur_mm")
        if rng.random() < self.blur_probability:
            sigma = float(np.hypot(sigma, drawn(self.blur_mm, rng.random(), "blur_mm")))
        turned = [int(axis) for axis in rng.permutation(3)]
        shaped = self.scanner.sampling(rng, shape, spacing, anatomy.head)._replace(axis=turned[0], phase=turned[1])
        shaped = shaped._replace(folds=False)
        thin = shaped._replace(pitch=1.0)
        target = thin(blurred(partial_volume(anatomy, target_signals()) * texture, sigma, spacing))
        signal = blurred(partial_volume(anatomy, signals) * texture, sigma, spacing) * bias
        head, thick_head = (sampling(anatomy.head.astype(np.float32)) > 0.5 for sampling in (thin, shaped))
        image = on_thin_grid(self.scanner.degraded(shaped(signal), thick_head, rng, shaped), shaped, head.shape)
        if rng.random() < self.cleared_probability:
            image = np.where(head, image, np.float32(0))
        return {"image": image, "label": target, "mask": head.astype(np.float32), "spacing": thin.spacing}


@dataclass(frozen=True)
class AnyPlane:
    """Cases whose third axis is normal to a random plane, so that axial slabs are those of all three.

    Args:
        simulation: gives the cases, on grids whose voxels have equal sides.
    """

    simulation: AnyToT1

    def __call__(self, seed: int) -> Case:
        """The case of a seed, turned."""
        case = self.simulation(seed)
        axes = PLANES[seed % len(PLANES)]
        turned = {name: np.ascontiguousarray(case[name].transpose(axes)) for name in ("image", "label", "mask")}
        return {**turned, "spacing": case["spacing"]}


def on_thin_grid(thick: Volume, sampling: Sampling, shape: Sequence[int]) -> Volume:
    """Thick slices (X, Y, Z) interpolated linearly onto the pixels' grid of a ``shape``; the outermost are repeated."""
    axis = sampling.axis
    if sampling.pitch == 1:
        return thick
    centres = sampling.pitch * np.arange(thick.shape[axis]) + sampling.thick / 2 - 0.5
    spline = make_interp_spline(centres, thick, k=1, axis=axis)
    return np.asarray(spline(np.clip(np.arange(shape[axis]), centres[0], centres[-1])), np.float32)
