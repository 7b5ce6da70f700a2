"""Phantom datasets of living cells in two kinds of microscopy: ``ROOT/<case>/{phase_contrast,dic,cells}.png``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter, shift

from common.simulation.dataset import check_at_least, phantom_dataset, write_dataset_json

from .phantoms import NOISE, SIDE_UM, Image, save_picture, smooth_noise

CELL_UM, NUCLEUS = (6.0, 13.0), 0.45
"""[chosen] Half axes of cells; of the nucleus as a share of them."""
CELLS = 9
"""[chosen] Cells of a picture, on average."""
PHASE = (0.5, 1.1)
"""[chosen] Largest phase of a cell in radians."""
RING, HALO_UM = 0.45, 6.0
"""[chosen] Amplitude that the ring of the phase plate lets through, and the width of the halo."""
BACKGROUND = 110.0
"""[chosen] Level of phase contrast without a cell."""
SHEAR_UM = 1.2
"""[chosen] Distance of both beams of DIC, along each axis."""


def write_cells(root: Path, cases: int = 16, spacing: float = 0.5, seed: int = 0) -> None:
    """Write pictures of simulated cells in phase contrast and DIC, with a mask of the cells, and ``dataset.json``.

    Args:
        root: as of :func:`stain_gan.phantoms.write_stained`, like the others.
        cases: number of pictures.
        spacing: of pixels in micrometres.
        seed: case ``i`` depends only on ``(seed, i)``.

    Raises:
        ConfigError: a number is out of range.
        OutputError: ``root`` holds something already or cannot be written.
    """
    check_at_least("spacing", spacing, 0.1)
    with phantom_dataset(Path(root), cases, seed) as (partial_root, each):
        for folder, number in each:
            rng = np.random.default_rng(number)
            phase, inside = cell_phase(rng, spacing)
            for name, picture in (("phase_contrast", phase_contrast(phase, spacing)), ("dic", dic(phase, spacing))):
                save_picture(folder / f"{name}.png", picture + rng.normal(0, NOISE, picture.shape))
            save_picture(folder / "cells.png", np.where(inside, 255.0, 0.0))
        write_dataset_json(partial_root, seed=seed, spacing_um=spacing, licence="that of the program that wrote it")


def cell_phase(rng: np.random.Generator, spacing: float) -> tuple[Image, np.ndarray]:
    """Phase (X, Y) in radians of light through flat cells with nuclei and granules, and where a cell is.

    Args:
        rng: draws the cells.
        spacing: of pixels in micrometres.
    """
    side = round(SIDE_UM / spacing)
    x, y = np.meshgrid(*[np.arange(side) * spacing] * 2, indexing="ij")
    phase = np.zeros((side, side))
    for _ in range(max(1, rng.poisson(CELLS))):
        centre, axes = rng.uniform(0, SIDE_UM, 2), rng.uniform(*CELL_UM, 2)
        angle, highest = rng.uniform(0, np.pi), rng.uniform(*PHASE)
        u = (x - centre[0]) * np.cos(angle) + (y - centre[1]) * np.sin(angle)
        v = (y - centre[1]) * np.cos(angle) - (x - centre[0]) * np.sin(angle)
        far = (u / axes[0]) ** 2 + (v / axes[1]) ** 2
        cell = 0.7 * np.sqrt((1 - far).clip(min=0)) + 0.3 * np.sqrt((1 - far / NUCLEUS**2).clip(min=0))
        phase = np.maximum(phase, highest * cell)
    inside = phase > 0.05
    phase = phase * (1 + 0.08 * smooth_noise(rng, side, 0.7 / spacing))
    return gaussian_filter(phase, 0.35 / spacing), inside


def phase_contrast(phase: Image, spacing: float) -> Image:
    """Levels of positive phase contrast: light that a cell did not diffract is delayed and dimmed by the ring.

    With u = exp(i phase) and its smooth part u0, |u - u0 - i a u0|^2 / a^2: dark cells in bright halos (Zernike 1942).
    """
    light = np.exp(1j * phase)
    smooth = gaussian_filter(light.real, HALO_UM / spacing) + 1j * gaussian_filter(light.imag, HALO_UM / spacing)
    return np.asarray(BACKGROUND * np.abs(light - smooth - 1j * RING * smooth) ** 2 / RING**2)


def dic(phase: Image, spacing: float) -> Image:
    """Levels of differential interference contrast, 255 sin^2((d + pi / 2) / 2), d the phase between both beams."""
    step = SHEAR_UM / spacing / 2
    between = shift(phase, (-step, -step), order=1, mode="nearest") - shift(
        phase, (step, step), order=1, mode="nearest"
    )
    return np.asarray(255 * np.sin((between + np.pi / 2) / 2) ** 2)
