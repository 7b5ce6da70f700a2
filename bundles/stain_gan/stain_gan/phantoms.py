"""Phantom datasets of tissue in the stains of two laboratories: ``ROOT/<case>/{source,target}.png``."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from common.files import write_whole
from common.io.picture_files import write_picture
from common.simulation.dataset import DESCRIPTION, check_at_least, phantom_dataset, write_dataset_json

Image = NDArray[np.float64]
SIDE_UM = 128.0
"""Side of a picture in micrometres."""
HEMATOXYLIN, EOSIN = (0.65, 0.70, 0.29), (0.07, 0.99, 0.11)
"""Optical densities of both stains in red, green and blue, of unit length (Ruifrok and Johnston 2001)."""
NUCLEUS_UM = (2.2, 4.5)
"""[chosen] Half axes of nuclei."""
NUCLEI_PER_UM2 = 0.006
"""[chosen]"""
BLUR_UM = 0.35
"""[chosen] Standard deviation of the point spread function."""
NOISE = 2.0
"""[chosen] Standard deviation in levels."""
TURN, GAIN = 0.12, (0.5, 1.6)
"""[chosen] Of the other laboratory's stains: standard deviation of the change of a colour, and range of amounts."""


def write_stained(root: Path, cases: int = 16, spacing: float = 0.5, seed: int = 0) -> None:
    """Write pictures of simulated tissue stained with hematoxylin and eosin, and ``dataset.json``.

    ``target.png`` has the stains of one laboratory, ``source.png`` the same tissue in others, drawn for each case. The
    dataset is written atomically.

    Args:
        root: the folder to create; may exist if empty.
        cases: number of pictures, each of another patient, named ``phantom_000`` and so on.
        spacing: of pixels in micrometres; a picture has a side of ``SIDE_UM``.
        seed: case ``i`` depends only on ``(seed, i)``.

    Raises:
        ConfigError: a number is out of range.
        OutputError: ``root`` holds something already or cannot be written.
    """
    check_at_least("spacing", spacing, 0.1)
    with phantom_dataset(Path(root), cases, seed) as (partial_root, each):
        for folder, number in each:
            rng = np.random.default_rng(number)
            amounts = tissue(rng, spacing)
            stains = np.array([HEMATOXYLIN, EOSIN])
            others = np.abs(stains + rng.normal(0, TURN, stains.shape))
            others *= rng.uniform(*GAIN, (2, 1)) / np.linalg.norm(others, axis=1, keepdims=True)
            for name, colours in (("source", others), ("target", stains)):
                save_picture(folder / f"{name}.png", stained(amounts, colours, rng))
        write_dataset_json(partial_root, seed=seed, spacing_um=spacing, licence="that of the program that wrote it")


def tissue(rng: np.random.Generator, spacing: float) -> Image:
    """Amounts of hematoxylin and eosin (2, X, Y) as optical densities.

    Nuclei lie in cytoplasm and fibres around lumina.

    Args:
        rng: draws the tissue.
        spacing: of pixels in micrometres.
    """
    side = round(SIDE_UM / spacing)
    x, y = np.meshgrid(*[np.arange(side) * spacing] * 2, indexing="ij")
    smooth = partial(smooth_noise, rng, side)
    lumen = 1 / (1 + np.exp(-(smooth(12 / spacing) - 1.1) * 8))
    nuclei = np.zeros((side, side))
    for _ in range(rng.poisson(NUCLEI_PER_UM2 * SIDE_UM**2)):
        centre, axes = rng.uniform(0, SIDE_UM, 2), rng.uniform(*NUCLEUS_UM, 2)
        angle, dark = rng.uniform(0, np.pi), rng.uniform(0.7, 1.3)
        u = (x - centre[0]) * np.cos(angle) + (y - centre[1]) * np.sin(angle)
        v = (y - centre[1]) * np.cos(angle) - (x - centre[0]) * np.sin(angle)
        nuclei = np.maximum(nuclei, dark * ((u / axes[0]) ** 2 + (v / axes[1]) ** 2 < 1))
    fibres = np.sin(smooth(6 / spacing) * 5) ** 8
    hematoxylin = nuclei * (0.9 + 0.25 * smooth(0.8 / spacing)) + 0.08 * (1 + 0.5 * smooth(4 / spacing))
    eosin = 0.35 + 0.1 * smooth(3 / spacing) + 0.4 * fibres - 0.15 * (nuclei > 0)
    amounts = np.stack([hematoxylin * (1 - lumen), eosin * (1 - lumen)])
    return np.stack([gaussian_filter(each.clip(min=0), BLUR_UM / spacing) for each in amounts])


def stained(amounts: Image, stains: Image, rng: np.random.Generator) -> Image:
    """Levels (X, Y, 3) of light through stains, 255 exp(-sum of amounts times densities), with noise of a camera.

    Args:
        amounts: (2, X, Y).
        stains: densities (2, 3) in red, green and blue.
        rng: of the noise.
    """
    light = 255 * np.exp(-np.tensordot(amounts, stains, (0, 0)))
    return np.asarray((light + rng.normal(0, NOISE, light.shape)).clip(0, 255))


def smooth_noise(rng: np.random.Generator, side: int, sigma: float) -> Image:
    """Noise (side, side) of mean 0 and deviation 1, smoothed over ``sigma`` pixels."""
    noise = gaussian_filter(rng.normal(size=(side, side)), sigma, mode="wrap")
    return np.asarray((noise - noise.mean()) / noise.std())


def save_picture(path: Path, picture: Image) -> None:
    """Write levels (X, Y) or (X, Y, 3) as PNG of 8 bits, described as synthetic."""
    write_whole(path, lambda name: write_picture(picture[:, :, None], np.eye(4), name, "uint8", DESCRIPTION))
