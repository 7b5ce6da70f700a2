"""Simulated pairs of a degraded MR and the MR as it was scanned, determined by a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from common.seeds import derive
from common.simulation.corruptions.magnitude import Corruption, from_slices
from common.simulation.corruptions.undersampling import Undersampled
from common.simulation.grid import Volume
from common.simulation.physics import PulseSequence, Range, Tissues, drawn
from common.simulation.scanner import Scanner
from common.simulation.simulate import AverageHeads, Case, Heads, MrPair
from common.simulation.variety import Variety
from common.stitching import plane_axis
from mri_dagan.kspace_scan import channels_of


@dataclass(frozen=True)
class AnyUndersampling:
    """Zero-filled MR of another random mask, acceleration and noise each time, phase and coils as by default.

    Complex input has these of each slice.

    Args:
        masks: kinds to choose from, of :data:`~common.simulation.corruptions.masks.MASKS`.
        acceleration: above 1.
        noise: standard deviation of real and imaginary part over the robust maximum.
        plane: of the slices.
        complex_input: whether the result has phase and mask, as of :func:`mri_dagan.kspace_scan.channels_of`.

    Raises:
        ConfigError: when called, a setting is out of its range.
    """

    masks: Sequence[str] = ("cartesian",)
    acceleration: Range = (3.0, 9.0)
    noise: Range = (0.0, 0.01)
    plane: str = "axial"
    complex_input: bool = False

    def __call__(self, volume: Volume, spacing: Sequence[float], rng: np.random.Generator) -> Volume:
        """The zero-filled magnitude (X, Y, Z), or channels (5, X, Y, Z)."""
        if not self.complex_input:
            return self._drawn(rng)(volume, spacing, rng)
        axis = plane_axis(self.plane)
        parts = np.split(volume, volume.shape[axis], axis)
        return np.concatenate([self._channels(part, axis, rng) for part in parts], axis + 1)

    def _drawn(self, rng: np.random.Generator) -> Undersampled:
        mask, (acceleration, noise) = str(rng.choice(self.masks)), rng.random(2)
        drawn_acceleration = drawn(self.acceleration, acceleration, "acceleration")
        drawn_noise = drawn(self.noise, noise, "noise")
        return Undersampled(mask, drawn_acceleration, noise=drawn_noise, plane=self.plane)

    def _channels(self, part: Volume, axis: int, rng: np.random.Generator) -> Volume:
        """Those of a slice, a volume of length 1 along an axis."""
        scanned = self._drawn(rng).scan(part, rng)
        return np.stack([from_slices(each, axis) for each in channels_of(scanned.kspace, scanned.mask)])


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
