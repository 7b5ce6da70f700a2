"""Simulated pairs of contrast-enhanced and unenhanced CT, determined by a seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from common.errors import ConfigError, choose
from common.simulation.corruptions.intensity import blurred
from common.simulation.ct import CT_RANGE_HU, PERFUSED_HU, ct_noise, ct_person, ct_signal, enhancement
from common.simulation.grid import Volume
from common.simulation.head import Anatomy
from common.simulation.physics import Range, drawn
from common.simulation.scanner import Scanner
from common.simulation.simulate import AverageHeads, Case, Heads
from common.simulation.tissues import TISSUES
from common.transforms.body import filled

TISSUE_HU: Mapping[str, Range] = {**PERFUSED_HU, "lesion": (0.0, 6.0), "muscle": (0.0, 15.0), "skin": (0.0, 25.0)}
"""Tissue enhancement by iodine: brain and dura as in ``common.simulation.ct.PERFUSED_HU``; lesion, muscle and skin
(which also represents mucosa and glands, absent from the phantoms) [chosen] from none in an early arterial phase to the
visible enhancement of muscle and skin in a venous phase."""


@dataclass(frozen=True)
class CectCtPair:
    """Pair of CT of one head with and without contrast medium in any phase, simulated like the phantoms of this bundle.

    Both share tissues, bone texture, kernel, slices and field of view. The enhancement of arteries, veins and tissues
    is independent, so that every phase occurs, from early arterial to late venous, and also mixtures of phases.

    Args:
        artery_hu: enhancement of arterial blood: up to the 450 HU that are usual in CT angiography (with the 43 HU of
            blood), and down to that of a late routine scan [chosen].
        vein_share: enhancement of veins and sinuses relative to that of the arteries [chosen]: small in an early
            arterial phase, slightly above 1 in a venous phase.
        tissue_hu: enhancement of each tissue.
        hu_spread: factor on the spread between people of the unenhanced HU [chosen], since scanners and tube voltages
            also differ.
        noise_hu: standard deviation of the noise of the enhanced scan: a thick slice to a thin one [chosen].
        target_noise_hu: of the unenhanced scan, drawn independently.
        shared_noise: use the noise of the enhanced scan for both. Their difference is then the enhancement only, and
            a network trained on it learns to preserve noise.
        plain_probability: probability of a case without contrast medium, which should remain unchanged.
        blur_mm: standard deviation of the kernel of both, in addition to that of the phantoms.
        scanner: its slices and field of view are used; its other settings apply to MR.
        heads: with their spacing and position.

    Raises:
        ConfigError: a tissue is unknown; when called, the ends of a range are swapped.
    """

    artery_hu: Range = (60.0, 410.0)
    vein_share: Range = (0.2, 1.1)
    tissue_hu: Mapping[str, Range] = field(default_factory=lambda: TISSUE_HU)
    hu_spread: float = 1.5
    noise_hu: Range = (2.0, 20.0)
    target_noise_hu: Range = (2.0, 20.0)
    shared_noise: bool = False
    plain_probability: float = 0.0
    blur_mm: Range = (0.0, 0.8)
    scanner: Scanner = field(default_factory=Scanner)
    heads: Heads = field(default_factory=AverageHeads)

    def __post_init__(self) -> None:
        if unknown := sorted(self.tissue_hu.keys() - set(TISSUES)):
            raise ConfigError(f"tissue_hu has unknown tissues {unknown}", choose(TISSUES))

    def __call__(self, seed: int) -> Case:
        """The case of a seed in HU: enhanced ``image``, unenhanced ``label``, ``mask`` (the head with its cavities).

        Also ``vessel``: where vessels fill more than half a voxel of the enhanced scan, 0 or 1.
        """
        rng = np.random.default_rng(seed)
        anatomy = self.heads(rng)
        shape, spacing = anatomy.fractions["grey"].shape, anatomy.spacing
        shaped = self.scanner.sampling(rng, shape, spacing)
        sigma = drawn(self.blur_mm, rng.random(), "blur_mm")
        plain = blurred(ct_signal(anatomy, *ct_person(rng, self.hu_spread, anatomy.fractions)), sigma, spacing)
        enhanced = plain + blurred(self._iodine(anatomy, rng), sigma, spacing)
        noise, target_noise = self._noise(anatomy, rng)
        image, label = enhanced + noise, plain + target_noise
        head = shaped(anatomy.head.astype(np.float32)) > 0.5
        return {
            "image": np.clip(shaped(image), *CT_RANGE_HU),
            "label": np.clip(shaped(label), *CT_RANGE_HU),
            "mask": filled(head, axis=2).astype(np.float32),
            "vessel": (shaped(anatomy.fractions["vessel"]) > 0.5).astype(np.float32),
            "spacing": shaped.spacing,
        }

    def _iodine(self, anatomy: Anatomy, rng: np.random.Generator) -> Volume:
        """Enhancement of each voxel in HU."""
        artery = drawn(self.artery_hu, rng.random(), "artery_hu")
        vein = artery * drawn(self.vein_share, rng.random(), "vein_share")
        tissues = {name: drawn(hu, rng.random(), f"tissue_hu::{name}") for name, hu in self.tissue_hu.items()}
        given = rng.random() >= self.plain_probability
        return np.float32(given) * enhancement(anatomy, artery, vein, tissues)

    def _noise(self, anatomy: Anatomy, rng: np.random.Generator) -> tuple[Volume, Volume]:
        """Noise of the enhanced and of the unenhanced scan in HU."""
        levels = (
            drawn(self.noise_hu, rng.random(), "noise_hu"),
            drawn(self.target_noise_hu, rng.random(), "target_noise_hu"),
        )
        first = ct_noise(anatomy, rng, levels[0])
        return first, first if self.shared_noise else ct_noise(anatomy, rng, levels[1])
