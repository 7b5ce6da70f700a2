"""Drawn skin lesions as RGB patches."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from common.data.datalist import write_datalist
from common.io.picture_files import write_picture
from common.simulation.dataset import DESCRIPTION, check_at_least, phantom_dataset
from lesion_dcgan_aug.data.selection import FRACTIONS, split_lesions

CLASS = "lesion"
SIDE_MM = 12.0
"""Side of a patch."""
WAVELENGTHS_NM = np.array([610.0, 550.0, 460.0])
MELANIN = (WAVELENGTHS_NM / 550) ** -3.33
"""Absorption of melanin in red, green and blue, relative to green (Jacques 1998)."""
BLOOD = np.array([0.03, 1.0, 1.0])
"""[chosen] That of oxygenated haemoglobin, about that of its tabulated spectrum at these wavelengths."""
NOISE = 2.0
"""[chosen] Standard deviation in levels."""


def write_skin_lesions(root: Path, cases: int = 200, side: int = 128, seed: int = 0) -> None:
    """Write drawn lesions as ``phantom_000/lesion.png`` and on, and ``datalist.json``, split.

    Args:
        root: the folder to create; may exist if empty.
        cases: number of patches, each of another patient.
        side: pixels.
        seed: case ``i`` depends only on ``(seed, i)``.

    Raises:
        ConfigError: a number is out of range.
        OutputError: ``root`` holds something already or cannot be written.
    """
    check_at_least("side", side, 16)
    root = Path(os.path.abspath(root))
    items = []
    with phantom_dataset(root, cases, seed, least_cases=12) as (partial, each):
        for folder, number in each:
            picture = skin_lesion(np.random.default_rng(number), side)[:, :, None]
            write_picture(picture, np.eye(4), str(folder / "lesion.png"), "uint8", DESCRIPTION)
            image = str(folder / "lesion.png")
            items.append({"case": folder.name, "patient": folder.name, "class": CLASS, "image": image})
        about = {"description": DESCRIPTION, "seed": seed, "side": side}
        write_datalist(split_lesions(items, FRACTIONS, seed), partial / "datalist.json", **about)


def skin_lesion(rng: np.random.Generator, side: int) -> NDArray[np.float64]:
    """Levels (X, Y, 3) of a pigmented lesion with a network, in skin: 255 exp(-melanin - blood), by Beer and Lambert.

    Args:
        rng: draws the lesion.
        side: pixels.
    """
    pixel = SIDE_MM / side
    x, y = np.meshgrid(*[(np.arange(side) + 0.5) * pixel - SIDE_MM / 2] * 2, indexing="ij")

    def smooth(sigma_mm: float) -> NDArray[np.float64]:
        noise = gaussian_filter(rng.normal(size=(side, side)), sigma_mm / pixel, mode="wrap")
        return np.asarray(noise / noise.std())

    u, v = x - rng.normal(0, 0.6), y - rng.normal(0, 0.6)
    angle = np.arctan2(v, u)
    radius = rng.uniform(2.2, 4.2) * (
        1 + sum(rng.normal(0, 0.12 / k) * np.cos(k * angle + rng.uniform(0, 7)) for k in (1, 2, 3, 5))
    )
    inside = 1 / (1 + np.exp((np.hypot(u, v) - radius) / rng.uniform(0.1, 0.4)))
    network = np.exp(-np.abs(smooth(0.25)) * 3) * rng.uniform(0, 0.7)
    melanin = rng.uniform(0.1, 0.3) * (1 + 0.05 * smooth(0.2))
    melanin = melanin + inside * rng.uniform(0.4, 1.3) * (1 + 0.25 * smooth(0.8) + network).clip(min=0)
    for _ in range(rng.poisson(1.5)):  # hairs
        turn, bend = rng.uniform(0, np.pi), rng.normal(0, 0.03)
        along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
        melanin = melanin + 1.5 * np.exp(-(((across - rng.uniform(-5, 5) - bend * along**2) / 0.06) ** 2))
    blood = rng.uniform(0.15, 0.35) * (1 + 0.1 * smooth(1.0)) + inside * rng.uniform(0, 0.25)
    light = (
        255 * np.exp(-melanin[..., None] * MELANIN - blood[..., None] * BLOOD) * (1 - 0.002 * (x**2 + y**2))[..., None]
    )
    return np.asarray((light + rng.normal(0, NOISE, light.shape)).clip(0, 255))
