"""Speed of sound, density and attenuation of a CT by two published mappings; all that is no bone is water."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.errors import ConfigError, choose

Grid = NDArray[np.float32]

BONE_HU = 300.0
"""Lower threshold of bone in both mappings, that of Yaakub et al. 2023."""
WATER = (1500.0, 1000.0)
"""Speed of sound in m/s and density in kg/m3 of water, and here of soft tissue and air."""
LARGEST_HU = 2000.0
"""Where the mapping of Marsac et al. ends."""
SKULL = (3100.0, 1900.0)
"""Speed and density there."""
LEAST_LOSS, MOST_LOSS, LOSS_POWER = 4.0, 8.7, 1.43
"""Attenuation at 500 kHz in dB/cm of the densest and of the most porous bone, and its power law."""
KPLAN_LOSS = 13.3
"""Attenuation of bone in dB/cm at 1 MHz, proportional to the frequency."""
KPLAN_DENSITY = (1000.0, 2100.0)
"""Limits of the density."""
SCHNEIDER = ((930, 1.025793065681423, -5.680404011488714), (1098, 0.9082709691264, 103.6151457847139),
    (1260, 0.5108369316599, 539.9977189228704), (np.inf, 0.6625370912451, 348.8555178455294))  # fmt: skip
"""Upper limit of HU + 1000, slope and offset of density: k-Wave's ``hounsfield2density``, a fit to Schneider et al.
1996, Phys Med Biol 41:111."""
NEPER = 20 / np.log(10)
"""Decibels of a neper."""


@dataclass(frozen=True)
class Medium:
    """Acoustic properties of a grid of any shape, float32.

    Attributes:
        speed: of sound, in m/s.
        density: in kg/m3.
        loss: attenuation at the frequency of the simulation, in dB/cm.
    """

    speed: Grid
    density: Grid
    loss: Grid


def water(shape: tuple[int, ...]) -> Medium:
    """A medium of water alone, without loss."""
    speed, density = (np.full(shape, value, np.float32) for value in WATER)
    return Medium(speed, density, np.zeros(shape, np.float32))


def medium(hu: NDArray[np.floating], mapping: str, frequency: float) -> Medium:
    """The medium of a CT.

    - ``marsac``: density and speed rise linearly with HU to ``SKULL`` at ``LARGEST_HU`` (Marsac et al. 2017, Int J
      Hyperthermia 33:635), attenuation falls with the root of porosity (Mueller et al. 2017, J Neural Eng 14:066012),
      with the values of Yaakub et al. 2023 (Brain Stimul 16:75); their limit of HU is that of each CT where it has
      none so high, here it is the same for all.
    - ``kplan``: density of Schneider et al. 1996, speed 1.33 density + 167, constant attenuation, as documented by
      k-Plan (dispatch.k-plan.io) and PRESTUS (``doc_pseudoCT.md``, commit 01869f6).

    Args:
        hu: CT in HU, of any shape.
        mapping: ``marsac`` or ``kplan``.
        frequency: in Hz.

    Raises:
        ConfigError: unknown mapping.
    """
    if mapping not in MAPPINGS:
        raise ConfigError(f"--mapping is {mapping!r}", choose(MAPPINGS))
    bone = hu >= BONE_HU
    parts = (MAPPINGS[mapping](np.asarray(hu, np.float64), frequency / 1e6), (*WATER, 0.0))
    return Medium(*(np.where(bone, own, other).astype(np.float32) for own, other in zip(*parts, strict=True)))


def _marsac(hu: NDArray[np.float64], megahertz: float) -> tuple[NDArray[np.float64], ...]:
    solid = np.clip(hu, BONE_HU, LARGEST_HU) / LARGEST_HU
    pores = 1 - (np.clip(hu, BONE_HU, LARGEST_HU) - BONE_HU) / (LARGEST_HU - BONE_HU)
    loss = (LEAST_LOSS + (MOST_LOSS - LEAST_LOSS) * np.sqrt(pores)) * (megahertz / 0.5) ** LOSS_POWER
    return WATER[0] + (SKULL[0] - WATER[0]) * solid, WATER[1] + (SKULL[1] - WATER[1]) * solid, loss


def _kplan(hu: NDArray[np.float64], megahertz: float) -> tuple[NDArray[np.float64], ...]:
    number = np.digitize(hu + 1000, [limit for limit, _, _ in SCHNEIDER[:-1]])
    slope, offset = (np.array([row[column] for row in SCHNEIDER])[number] for column in (1, 2))
    density = np.clip(slope * (hu + 1000) + offset, *KPLAN_DENSITY)
    return 1.33 * density + 167, density, np.full(hu.shape, KPLAN_LOSS * megahertz)


MAPPINGS = {"marsac": _marsac, "kplan": _kplan}
