"""Simulated pairs of images (MR and MR, MR and CT): a random head and a random scanner, determined by a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from ..transforms.body import filled
from .corruptions.artefacts import void_around
from .corruptions.intensity import blurred
from .ct import render_ct
from .head import Anatomy, head_anatomy, partial_volume
from .physics import PulseSequence, Range, Tissues, drawn
from .scanner import Scanner
from .variety import Variety

METAL_VOID_MM = (3.0, 15.0)
"""[chosen] reach of the signal void around metal in the jaw, which the CT does not have."""

Case = dict[str, np.ndarray]
"""``image``, ``label`` and ``mask`` (X, Y, Z) on one grid, the mask (0 or 1) of the head; ``spacing`` (3,) in mm."""


class Heads(Protocol):
    """Interface of what gives random heads."""

    def __call__(self, rng: np.random.Generator) -> Anatomy:
        """A random head in a random position."""

    def held_out(self) -> Heads:
        """Heads for validation."""

    def hashes(self) -> dict[str, str]:
        """SHA-256 of the files that heads are drawn from, by their names."""


@dataclass(frozen=True)
class AverageHeads:
    """Random deformations of the average head, each with its own variation, position and pixel spacing.

    Args:
        variety: variation of the anatomy; by default nothing that a CT shows is removed.
        spacings_mm: pixel spacings to draw from; each keeps its own copy of the brain maps in memory.
        turn_probability: probability of a rotation beyond that of every head; it doubles the rendering time.
        turn_degrees: largest rotation about each axis.
        move_mm: largest translation along each axis.
    """

    variety: Variety = field(default_factory=lambda: Variety(stripped_probability=0.0, defaced_probability=0.0))
    spacings_mm: Sequence[float] = (1.4, 1.7, 2.0, 2.3)
    turn_probability: float = 0.2
    turn_degrees: float = 12.0
    move_mm: float = 8.0

    def __call__(self, rng: np.random.Generator) -> Anatomy:
        """A random head in a random position."""
        return self.variety(self.unvaried(rng), rng)

    def unvaried(self, rng: np.random.Generator) -> Anatomy:
        """The same before the variation of its anatomy."""
        spacing, turned = float(rng.choice(self.spacings_mm)), rng.random() < self.turn_probability
        move = tuple(rng.uniform(-self.move_mm, self.move_mm, 3))
        turn = tuple(rng.uniform(-self.turn_degrees, self.turn_degrees, 3)) if turned else (0.0, 0.0, 0.0)
        return head_anatomy(int(rng.integers(2**63)), spacing, move, turn)

    def held_out(self) -> AverageHeads:
        """The same: other seeds are other heads."""
        return self

    def hashes(self) -> dict[str, str]:
        """None: the average head needs no file of the user."""
        return {}


@dataclass(frozen=True)
class MrPair:
    """Pair of two MR contrasts of one head in one session: the source as scanned, the target without noise.

    Both share anatomy, resolution, texture and part of the bias field. Unpredictable noise in the target would only
    slow down training with L1, whose optimum is the median over the noise.

    Args:
        source: sequence of the source.
        target: sequence of the target; two spin echoes have the same place in their ranges of TR.
        tissues: relaxation of the person's tissues.
        scanner: degradation of the images.
        heads: with their spacing and position; :class:`common.simulation.label_heads.IndividualHeads` are others.
    """

    source: PulseSequence
    target: PulseSequence
    tissues: Tissues = field(default_factory=Tissues)
    scanner: Scanner = field(default_factory=Scanner)
    heads: Heads = field(default_factory=lambda: AverageHeads(Variety()))

    def __call__(self, seed: int) -> Case:
        """The case of a seed: source in [0, 1], target relative to fully relaxed water."""
        rng = np.random.default_rng(seed)
        anatomy = self.heads(rng)
        person, tr_place = self.tissues.draw(rng), rng.random()
        shape, spacing = anatomy.fractions["grey"].shape, anatomy.spacing
        texture = self.scanner.texture_field(rng, shape, spacing)
        biases = self.scanner.bias_fields(rng, shape, spacing)
        sigma = drawn(self.scanner.blur_mm, rng.random(), "blur_mm")
        shaped = self.scanner.sampling(rng, shape, spacing, anatomy.head)
        images = []
        for sequence, bias in zip((self.source, self.target), biases, strict=True):
            signals = sequence.signals(person, (tr_place, rng.random()))
            images.append(blurred(partial_volume(anatomy, signals) * texture, sigma, spacing) * bias)
        head = shaped(anatomy.head.astype(np.float32)) > 0.5
        image = self.scanner.degraded(shaped.received(images[0]), head, rng, shaped)
        mask = head.astype(np.float32)
        return {"image": image, "label": shaped(images[1]), "mask": mask, "spacing": shaped.spacing}


@dataclass(frozen=True)
class MrCtPair:
    """Pair of MR and CT (in HU) of one head, without misregistration.

    Args:
        source: sequence of the MR.
        tissues: relaxation of the person's tissues.
        scanner: degradation of the MR.
        heads: with their spacing and position; :class:`common.simulation.label_heads.IndividualHeads` are others.
        noise_hu: standard deviation of the CT noise.
        ct_blur_mm: standard deviation of the CT kernel, in addition to that of the phantoms.
    """

    source: PulseSequence
    tissues: Tissues = field(default_factory=Tissues)
    scanner: Scanner = field(default_factory=Scanner)
    heads: Heads = field(default_factory=AverageHeads)
    noise_hu: Range = (0.0, 10.0)
    ct_blur_mm: Range = (0.0, 0.6)

    def __call__(self, seed: int) -> Case:
        """The case of a seed: MR in [0, 1], CT in HU."""
        rng = np.random.default_rng(seed)
        anatomy = self.heads(rng)
        shape, spacing = anatomy.fractions["grey"].shape, anatomy.spacing
        signals = self.source.signals(self.tissues.draw(rng), (rng.random(), rng.random()))
        texture = self.scanner.texture_field(rng, shape, spacing)
        bias, _ = self.scanner.bias_fields(rng, shape, spacing)
        sigma = drawn(self.scanner.blur_mm, rng.random(), "blur_mm")
        shaped = self.scanner.sampling(rng, shape, spacing, anatomy.head)
        ct = render_ct(anatomy, rng, drawn(self.noise_hu, rng.random(), "noise_hu"))
        ct = blurred(ct, drawn(self.ct_blur_mm, rng.random(), "ct_blur_mm"), spacing)
        head = shaped(anatomy.head.astype(np.float32)) > 0.5
        void = void_around(
            anatomy.fractions.get("metal", np.zeros(shape, np.float32)), rng.uniform(*METAL_VOID_MM), spacing
        )
        mr = shaped.received(blurred(partial_volume(anatomy, signals) * texture * void, sigma, spacing) * bias)
        image = self.scanner.degraded(mr, head, rng, shaped)
        mask = filled(head, axis=2).astype(np.float32)  # as that of ``head_mask``
        return {"image": image, "label": shaped(ct), "mask": mask, "spacing": shaped.spacing}


def held_out(simulation: Any) -> Any:
    """The same simulation of the heads that are kept for validation."""
    return replace(simulation, heads=simulation.heads.held_out())


def of_source(simulation: Any, source: PulseSequence) -> Any:
    """The same simulation of another source: a training may see contrasts that no scan has, validation shall not."""
    return replace(simulation, source=source)
