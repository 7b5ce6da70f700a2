"""Simulated pairs of a degraded MR and the MR as it was scanned, determined by a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from common.seeds import derive
from common.simulation.corruptions.magnitude import Corruption
from common.simulation.corruptions.undersampling import Undersampled
from common.simulation.grid import Volume
from common.simulation.physics import PulseSequence, Range, Tissues, drawn
from common.simulation.scanner import Scanner
from common.simulation.simulate import AverageHeads, Case, Heads, MrPair
from common.simulation.variety import Variety


@dataclass(frozen=True)
class AnyUndersampling:
    """Zero-filled MR of another random mask, acceleration and noise each time, phase and coils as by default.

    Args:
        masks: kinds to choose from, of :data:`~common.simulation.corruptions.masks.MASKS`.
        acceleration: above 1.
        noise: standard deviation of real and imaginary part over the robust maximum.
        plane: of the slices.

    Raises:
        ConfigError: when called, a setting is out of its range.
    """

    masks: Sequence[str] = ("cartesian",)
    acceleration: Range = (3.0, 9.0)
    noise: Range = (0.0, 0.01)
    plane: str = "axial"

    def __call__(self, volume: Volume, spacing: Sequence[float], rng: np.random.Generator) -> Volume:
        """The zero-filled magnitude, (X, Y, Z)."""
        mask, (acceleration, noise) = str(rng.choice(self.masks)), rng.random(2)
        drawn_acceleration = drawn(self.acceleration, acceleration, "acceleration")
        drawn_noise = drawn(self.noise, noise, "noise")
        return Undersampled(mask, drawn_acceleration, noise=drawn_noise, plane=self.plane)(volume, spacing, rng)


@dataclass(frozen=True)
class DegradedMr:
    """MR of a random head by a random scanner, and the same degraded, such as from few samples of k-space.

    The target is the whole scan with its noise, bias field and artefacts, as the target of a real pair is.

    Args:
        source: sequence of the MR.
        degradation: what makes the source of the target; each case has its own random numbers, such as a mask of lines.
        tissues: relaxation of the person's tissues.
        scanner: of the MR.
        heads: with their spacing and position; :class:`common.simulation.label_heads.IndividualHeads` are others.
    """

    source: PulseSequence
    degradation: Corruption
    tissues: Tissues = field(default_factory=Tissues)
    scanner: Scanner = field(default_factory=Scanner)
    heads: Heads = field(default_factory=lambda: AverageHeads(Variety()))

    def __call__(self, seed: int) -> Case:
        """The case of a seed: degraded ``image``, ``label`` as scanned, both relative to the brightest level."""
        scan = MrPair(self.source, self.source, self.tissues, self.scanner, self.heads)(seed)
        spacing = [float(side) for side in scan["spacing"]]
        image = self.degradation(scan["image"], spacing, np.random.default_rng(derive(seed, 1)))
        return {**scan, "image": image, "label": scan["image"]}
