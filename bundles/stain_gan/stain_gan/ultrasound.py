"""Phantom datasets of intravascular ultrasound in angle and depth: ``ROOT/<case>/{tissue,pseudo,bmode}.png``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from nibabel.orientations import apply_orientation, io_orientation
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import convolve1d, gaussian_filter1d
from scipy.signal import hilbert
from scipy.spatial.distance import jensenshannon
from torch import Tensor
from torch.nn.functional import avg_pool2d

from common.data.datalist import Item
from common.evaluation.held_out_case import load_case
from common.io import VolumeReader
from common.losses import l1
from common.simulation.dataset import check_at_least, phantom_dataset, write_dataset_json

from .phantoms import Image, save_picture

DEPTH_MM, STEP_MM = 5.12, 0.01
"""[chosen] Depth of a picture, and samples of the echo along it. It has as many lines, over 360 degrees, as depths."""
FREQUENCY_MHZ, SPEED_MM_US = 20.0, 1.54
"""Centre frequency of the pulse, and speed of sound."""
PULSE_MM, BEAM_DEG = 0.06, 2.0
"""[chosen] Standard deviations of the point spread function along depth and angle."""
FOCUS_MM, SPREAD = 1.5, 0.6
"""[chosen] Of the finer physics: depth of the narrowest beam, and its relative growth per mm from there."""
RANGE_DB = 60.0
"""Dynamic range of the levels 0 to 255; 255 is an echo of amplitude 1."""
TISSUES = ("blood", "plaque", "media", "adventitia", "calcium")
"""In the order of their labels; ``tissue.png`` has LABEL_LEVELS times the label."""
LABEL_LEVELS = 60
ECHO_DB = np.array([-40.0, -22.0, -34.0, -12.0, -4.0])
"""[chosen] Amplitude of scattering of each tissue."""
LOSS_DB_MM, LOSSES_DB_MM = 2.0, np.array([0.8, 2.0, 2.0, 3.0, 40.0])
"""Attenuation there and back: 0.5 dB/cm/MHz of all tissues; [chosen] of each in the finer physics."""
REFLECTION, NOISE_DB = 2.0, -52.0
"""[chosen] Of the finer physics: echo of a surface relative to the brighter tissue's, and noise of the receiver."""
BLOCK = 8
"""Side in pixels of the blocks of one tissue in which speckle is measured."""


def write_vessels(root: Path, cases: int = 16, spacing: float = 0.04, seed: int = 0) -> None:
    """Write vessels as tissue map, pseudo B-mode by the plain physics and B-mode by the finer one; ``dataset.json``.

    Both have scatterers of their own, so that no grain of speckle is the same.

    Args:
        root: as of :func:`stain_gan.phantoms.write_stained`, like the others.
        cases: number of vessels.
        spacing: of pixels along depth, in mm.
        seed: case ``i`` depends only on ``(seed, i)``.

    Raises:
        ConfigError: a number is out of range.
        OutputError: ``root`` holds something already or cannot be written.
    """
    check_at_least("spacing", spacing, STEP_MM)
    with phantom_dataset(Path(root), cases, seed) as (partial_root, each):
        for folder, number in each:
            rng = np.random.default_rng(number)
            labels = vessel(rng, spacing)
            save_picture(folder / "tissue.png", (labels * LABEL_LEVELS).astype(float))
            save_picture(folder / "pseudo.png", pseudo_b_mode(labels, spacing, rng))
            save_picture(folder / "bmode.png", b_mode(labels, spacing, rng))
        write_dataset_json(partial_root, seed=seed, spacing_mm=spacing, licence="that of the program that wrote it")


def vessel(rng: np.random.Generator, spacing: float) -> NDArray[np.int64]:
    """Labels (lines, depth) of a vessel around the probe: blood, plaque with or without calcium, media, adventitia."""
    side = round(DEPTH_MM / spacing)
    angle = np.linspace(0, 2 * np.pi, side, endpoint=False)[:, None]
    depth = (np.arange(side) + 0.5) * spacing

    def wavy(mean: float, share: float) -> Image:
        waves = [np.cos(k * angle + rng.uniform(0, 2 * np.pi)) * rng.uniform(0, share / k) for k in (1, 2, 3)]
        return np.asarray(mean * (1 + sum(waves)))

    inner = wavy(rng.uniform(1.0, 1.8), 0.35)
    outer = inner + wavy(rng.uniform(0.4, 0.9), 0.5)
    labels = np.select([depth < inner, depth < outer, depth < outer + wavy(0.28, 0.2)], [0, 1, 2], 3)
    if rng.random() < 0.6:
        off = np.abs(np.angle(np.exp(1j * (angle - rng.uniform(0, 2 * np.pi)))))
        middle, half = inner + 0.55 * (outer - inner), 0.25 * (outer - inner)
        labels[(off < rng.uniform(0.15, 0.5)) & (np.abs(depth - middle) < half)] = 4
    return labels


def pseudo_b_mode(labels: NDArray[np.int64], spacing: float, rng: np.random.Generator) -> Image:
    """Levels by the plain physics: one point spread function, one attenuation, no surfaces, shadows or noise.

    Scatterers N(0, 1) times the tissue's amplitude are convolved along angle and depth; then envelope and logarithm.
    """
    fine = _fine(labels, spacing)
    echo = _echo(rng.normal(size=fine.shape) * _amplitude(ECHO_DB)[fine], np.full(fine.shape[1], BEAM_DEG))
    return _levels(echo, np.linspace(0, LOSS_DB_MM * DEPTH_MM, fine.shape[1], endpoint=False), spacing)


def b_mode(labels: NDArray[np.int64], spacing: float, rng: np.random.Generator) -> Image:
    """Levels by the finer physics: a beam that widens from its focus, surfaces, attenuation by tissue with the shadows
    behind calcium, and noise."""
    fine = _fine(labels, spacing)
    amplitude = _amplitude(ECHO_DB)[fine]
    scatterers = rng.normal(size=fine.shape) * amplitude
    brighter = np.maximum(amplitude[:, 1:], amplitude[:, :-1])
    scatterers[:, 1:] += REFLECTION * brighter * (fine[:, 1:] != fine[:, :-1])
    loss = LOSSES_DB_MM[fine].cumsum(axis=1) * STEP_MM
    depth = STEP_MM * np.arange(fine.shape[1])
    echo = _echo(scatterers * _amplitude(-loss), BEAM_DEG * (1 + SPREAD * np.abs(depth - FOCUS_MM)))
    noise = _echo(rng.normal(size=fine.shape) * _amplitude(np.array(NOISE_DB)), np.full(fine.shape[1], 1e-3))
    return _levels(echo + noise, np.zeros(fine.shape[1]), spacing)


def _fine(labels: NDArray[np.int64], spacing: float) -> NDArray[np.int64]:
    """Labels at the samples of the echo."""
    return labels[:, (np.arange(round(labels.shape[1] * spacing / STEP_MM)) * STEP_MM / spacing).astype(int)]


def _amplitude(decibels: Image) -> Image:
    return np.asarray(10 ** (decibels / 20))


def _echo(scatterers: Image, beam_deg: Image) -> NDArray[np.complex128]:
    """Analytic echo of scatterers, whose power no width of the beam or of the pulse changes."""
    line_deg = 360 / len(scatterers)
    beamed = np.empty_like(scatterers)
    for place, sigma in enumerate(beam_deg / line_deg):
        point = np.zeros(len(scatterers))
        point[0] = 1
        energy = (gaussian_filter1d(point, sigma, mode="wrap") ** 2).sum()
        beamed[:, place] = gaussian_filter1d(scatterers[:, place], sigma, mode="wrap") / np.sqrt(energy)
    z = np.arange(-30, 31) * STEP_MM
    pulse = np.exp(-((z / PULSE_MM) ** 2) / 2) * np.cos(4 * np.pi * FREQUENCY_MHZ / SPEED_MM_US * z)
    echo = convolve1d(beamed, pulse / np.linalg.norm(pulse), axis=1, mode="constant")
    return np.asarray(hilbert(echo, axis=1))


def _levels(echo: NDArray[np.complex128], loss_db: Image, spacing: float) -> Image:
    """Levels of an analytic echo, at the pixels."""
    decibels = 20 * np.log10(np.abs(echo).clip(min=1e-9)) - loss_db
    centres = ((np.arange(round(echo.shape[1] * STEP_MM / spacing)) + 0.5) * spacing / STEP_MM).astype(int)
    return np.asarray((255 * (1 + decibels[:, centres] / RANGE_DB)).clip(0, 255))


def envelope(levels: ArrayLike) -> Image:
    """Amplitude of levels, the inverse of the logarithmic compression."""
    return _amplitude((np.asarray(levels, float) / 255 - 1) * RANGE_DB)


def speckle_scores(pred: ArrayLike, truth: ArrayLike, channels: ArrayLike) -> dict[str, float]:
    """Return what is comparable where no grain is the same, each a mean over the tissues of the map.

    ``level_error`` of the mean level; ``js`` of the distribution of levels, the Jensen-Shannon divergence in bits;
    ``snr``, mean over deviation of the envelope in blocks of one tissue (1.91 for full speckle in large ones), and
    ``snr_error`` and ``grain_error``, the latter of the correlation of neighbours along both axes; these three are nan
    where no block is of one tissue.

    Args:
        pred: levels (X, Y, 1).
        truth: likewise.
        channels: of the source (X, Y, 1, 2), the second the tissue map.
    """
    made, real = (np.asarray(each, float)[..., 0].clip(0, 255) for each in (pred, truth))
    labels = np.rint(np.asarray(channels)[:, :, 0, 1] / LABEL_LEVELS).astype(int)
    rows, grains = [], []
    for label in np.unique(labels):
        ours, theirs = made[labels == label], real[labels == label]
        bins = [np.histogram(each, 32, (0, 256))[0] for each in (ours, theirs)]
        rows.append((abs(ours.mean() - theirs.mean()), jensenshannon(*bins, base=2) ** 2))
        if len(blocks := _blocks(labels, label)):
            grains.append([_speckle(np.stack([picture[block] for block in blocks])) for picture in (made, real)])
    level, divergence = np.mean(rows, axis=0)
    grain = np.array(grains or np.full((1, 2, 3), np.nan))  # tissues, made or real, measure
    difference = np.abs(grain[:, 0] - grain[:, 1]).mean(axis=0)
    names = {"level_error": level, "js": divergence, "snr": grain[:, 0, 0].mean(), "snr_error": difference[0]}
    return {name: float(value) for name, value in {**names, "grain_error": difference[1:].mean()}.items()}


def _blocks(labels: NDArray[np.int64], label: int) -> list[tuple[slice, slice]]:
    places = [range(0, side - BLOCK + 1, BLOCK) for side in labels.shape]
    every = [(slice(x, x + BLOCK), slice(y, y + BLOCK)) for x in places[0] for y in places[1]]
    return [block for block in every if (labels[block] == label).all()]


def _speckle(blocks: Image) -> tuple[float, float, float]:
    """Medians over blocks (N, X, Y) of mean over deviation of the envelope, and of the correlation of neighbours."""
    amplitude, rest = envelope(blocks), blocks - blocks.mean(axis=(1, 2), keepdims=True)
    power = np.maximum((rest**2).mean(axis=(1, 2)), 1e-9)
    along = [(rest[:, 1:] * rest[:, :-1]).mean(axis=(1, 2)), (rest[:, :, 1:] * rest[:, :, :-1]).mean(axis=(1, 2))]
    ratio = amplitude.mean(axis=(1, 2)) / np.maximum(amplitude.std(axis=(1, 2)), 1e-9)
    return float(np.median(ratio)), float(np.median(along[0] / power)), float(np.median(along[1] / power))


class MeanLevelL1:
    """L1 distance of local means, which no grain of speckle changes much.

    Args:
        side: of the squares in pixels over which both are averaged.
    """

    def __init__(self, side: int = 8) -> None:
        self.side = side

    def __call__(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Of pictures (B, C, H, W)."""
        return l1(avg_pool2d(prediction, self.side), avg_pool2d(target, self.side))


class DepthGain:
    """The pseudo B-mode with the mean level of the training targets at each depth, as gain by depth sets it.

    Args:
        cases: items by section, as :func:`common.data.selection.training_cases` gives them.
        reader: of the pictures, as in training.
    """

    def __init__(self, cases: Mapping[str, Sequence[Item]], reader: VolumeReader) -> None:
        self.cases = cases
        self.reader = reader
        self._gain: Image | None = None

    def __call__(self, picture: np.ndarray) -> Image:
        """Levels (X, Y, 1) of a source (X, Y, 1, 2) in RAS, whose first channel is the pseudo B-mode."""
        if self._gain is None:
            loaded = (load_case(item, None, self.reader) for item in self.cases["training"] if "label" in item)
            known = [(np.asarray(case.truth) - case.source, io_orientation(case.affine)) for case in loaded]
            gains = [apply_orientation(gain, turn).mean(axis=0, keepdims=True) for gain, turn in known]
            self._gain = np.mean(gains, axis=0)
        return np.asarray(picture[..., 0] + self._gain).clip(0, 255)
