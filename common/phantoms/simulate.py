"""Whole simulated cases, each a pure function of its seed: a random head, seen by a random scanner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from common.phantoms.ct import render_ct
from common.phantoms.grid import Volume
from common.phantoms.head import Anatomy, head_anatomy, partial_volume
from common.phantoms.physics import PulseSequence, Range, Tissues, drawn
from common.phantoms.scanner import Scanner, averaged, blurred
from common.phantoms.variety import Variety

Case = dict[str, np.ndarray]
"""``image``, ``label`` and ``mask`` (X, Y, Z) of one grid, the mask being the head, 0 or 1; ``spacing`` (3,) in mm."""


@dataclass(frozen=True)
class Pose:
    """How finely and in which position a head is scanned.

    Args:
        spacings_mm: of pixels, one of which is drawn; each of them holds its own copy of the brain maps in memory.
        turn_probability: of a head that is turned further than heads are anyhow, which takes twice as long to render.
        turn_degrees: largest such turn about each axis.
        move_mm: largest shift along each.
        heads: how many heads there are, with their shapes and thicknesses; null for as many as cases.
    """

    spacings_mm: Sequence[float] = (1.4, 1.7, 2.0, 2.3)
    turn_probability: float = 0.2
    turn_degrees: float = 12.0
    move_mm: float = 8.0
    heads: int | None = None

    def head(self, rng: np.random.Generator) -> Anatomy:
        """A random head in a random position."""
        spacing, turned = float(rng.choice(self.spacings_mm)), rng.random() < self.turn_probability
        move = tuple(rng.uniform(-self.move_mm, self.move_mm, 3))
        turn = tuple(rng.uniform(-self.turn_degrees, self.turn_degrees, 3)) if turned else (0.0, 0.0, 0.0)
        return head_anatomy(int(rng.integers(self.heads or 2**63)), spacing, move, turn)


class Sampling(NamedTuple):
    """What every volume of a case goes through alike: the field of view, and slices thicker than pixels.

    ``axis``, ``pitch`` and ``thick`` as :func:`common.phantoms.scanner.averaged` takes them.
    """

    view: tuple[slice, ...]
    axis: int
    pitch: int
    thick: int

    def __call__(self, volume: Volume) -> Volume:
        """Cut and average a volume (X, Y, Z)."""
        return np.ascontiguousarray(averaged(volume[self.view], self.axis, self.pitch, self.thick))

    def spacing(self, pixel: float) -> np.ndarray:
        """Of the voxels in mm, for isotropic pixels."""
        return pixel * np.where(np.arange(3) == self.axis, self.pitch, 1)


@dataclass(frozen=True)
class MrPair:
    """Two MR contrasts of one head in one session: the source as scanned, the target without noise.

    The target shares anatomy, resolution, texture and part of the bias field. Noise that nothing predicts would only
    slow down a network that is trained on L1: what it learns is the median over it.

    Args:
        source: its sequence.
        target: its sequence; where both are spin echoes they have the same place in their ranges of TR.
        tissues: of the person.
        variety: of the anatomy.
        scanner: of the images.
        pose: of the head.
    """

    source: PulseSequence
    target: PulseSequence
    tissues: Tissues = field(default_factory=Tissues)
    variety: Variety = field(default_factory=Variety)
    scanner: Scanner = field(default_factory=Scanner)
    pose: Pose = field(default_factory=Pose)

    def __call__(self, seed: int) -> Case:
        """The case of a seed: source in [0, 1], target relative to fully relaxed water."""
        rng = np.random.default_rng(seed)
        anatomy = self.variety(self.pose.head(rng), rng)
        person, tr_place = self.tissues.draw(rng), rng.random()
        shape, spacing = anatomy.fractions["grey"].shape, anatomy.spacing
        texture = self.scanner.texture_field(rng, shape, spacing)
        biases = self.scanner.bias_fields(rng, shape, spacing)
        sigma = drawn(self.scanner.blur_mm, rng.random(), "blur_mm")
        shaped = Sampling(self.scanner.window_of_view(rng, shape, spacing), *self.scanner.slabs(rng))
        images = []
        for sequence, bias in zip((self.source, self.target), biases, strict=True):
            signals = sequence.signals(person, (tr_place, rng.random()))
            images.append(shaped(blurred(partial_volume(anatomy, signals) * texture, sigma, spacing) * bias))
        head = shaped(anatomy.head.astype(np.float32)) > 0.5
        image = self.scanner.degraded(images[0], head, rng)
        mask = head.astype(np.float32)
        return {"image": image, "label": images[1], "mask": mask, "spacing": shaped.spacing(spacing)}


@dataclass(frozen=True)
class MrCtPair:
    """MR of a head and its CT in HU, without misregistration.

    Args:
        source: sequence of the MR.
        tissues: of the person.
        variety: of the anatomy; nothing is cut away where the CT would show it.
        scanner: of the MR.
        pose: of the head.
        noise_hu: standard deviation of the noise of the CT.
        ct_blur_mm: of the CT's kernel, beside that of the phantoms.
    """

    source: PulseSequence
    tissues: Tissues = field(default_factory=Tissues)
    variety: Variety = field(default_factory=lambda: Variety(stripped_probability=0.0, defaced_probability=0.0))
    scanner: Scanner = field(default_factory=Scanner)
    pose: Pose = field(default_factory=Pose)
    noise_hu: Range = (0.0, 10.0)
    ct_blur_mm: Range = (0.0, 0.6)

    def __call__(self, seed: int) -> Case:
        """The case of a seed: MR in [0, 1], CT in HU."""
        rng = np.random.default_rng(seed)
        anatomy = self.variety(self.pose.head(rng), rng)
        shape, spacing = anatomy.fractions["grey"].shape, anatomy.spacing
        signals = self.source.signals(self.tissues.draw(rng), (rng.random(), rng.random()))
        texture = self.scanner.texture_field(rng, shape, spacing)
        bias, _ = self.scanner.bias_fields(rng, shape, spacing)
        sigma = drawn(self.scanner.blur_mm, rng.random(), "blur_mm")
        shaped = Sampling(self.scanner.window_of_view(rng, shape, spacing), *self.scanner.slabs(rng))
        ct = render_ct(anatomy, rng, drawn(self.noise_hu, rng.random(), "noise_hu"))
        ct = blurred(ct, drawn(self.ct_blur_mm, rng.random(), "ct_blur_mm"), spacing)
        head = shaped(anatomy.head.astype(np.float32)) > 0.5
        mr = shaped(blurred(partial_volume(anatomy, signals) * texture, sigma, spacing) * bias)
        image = self.scanner.degraded(mr, head, rng)
        mask = filled(head).astype(np.float32)
        return {"image": image, "label": shaped(ct), "mask": mask, "spacing": shaped.spacing(spacing)}


def filled(head: np.ndarray) -> np.ndarray:
    """The head with the cavities of each axial slice, as :func:`common.transforms.head_mask` finds it."""
    return np.stack([ndimage.binary_fill_holes(part) for part in np.moveaxis(head, 2, 0)], axis=2)
