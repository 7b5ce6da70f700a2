"""Digital phantom of DSC MR with known perfusion in tiles of one value (after Kudo et al. 2013, Radiology 267:201)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from common.simulation.corruptions.noise import rician
from common.simulation.dataset import phantom_dataset, save_nifti, write_dataset_json
from mri_dagan.dsc import PLASMA, UNITS, Array

TILE, TILES, SLICES = 2, 24, 4
"""Voxels of a tile's side, tiles of a slice's side, slices."""
ARTERY = 4
"""Tiles of the artery's side, in a corner."""
VOLUME, TRANSIT, DELAY = (1.0, 5.0), (3.0, 16.0), (0.0, 4.0)
"""Ranges of CBV in ml/100g, MTT and delay of arrival in s, drawn evenly for each tile."""
ARRIVAL, WIDTH = (7.0, 10.0), (1.3, 1.8)
"""Ranges of the bolus in the artery, in s: (t - a)^3 exp(-(t - a) / w)."""
BLOOD = 400.0
"""Change of R2* in 1/s at the bolus's peak in pure blood: the signal of tissue with 4 ml/100g falls by a third."""
SIGNAL = 300.0
FINE = 0.1
"""s between the points of the convolution, much finer than those of the series."""


def bolus(times: Array, arrival: float, width: float) -> Array:
    """Gamma variate of the arterial input, (T,), 1 at its peak at ``arrival + 3 width``."""
    since = np.maximum(times - arrival, 0) / (3 * width)
    return np.asarray(since**3 * np.exp(3 - 3 * since))


def tissue_curves(artery: Array, interval: float, flow: Array, transit: Array, delay: Array, box: Array) -> Array:
    """Change of R2* of tissues (..., T), by convolution of the artery's with a box or an exponential.

    Args:
        artery: of pure blood (T,).
        interval: of its points in s.
        flow: CBF (...) in ml/100g/min.
        transit: MTT (...) in s.
        delay: of arrival (...) in s.
        box: whether the residue (...) is 1 until ``transit`` and 0 afterwards; else exp(-t / ``transit``).
    """
    flow, transit, delay, box = (np.asarray(each)[..., None] for each in (flow, transit, delay, box))
    since = np.arange(len(artery)) * interval - delay
    falling = np.where(box, since < transit - interval / 2, np.exp(-np.maximum(since, 0) / transit))
    length = 2 * len(artery)
    product = np.fft.rfft(artery, length) * np.fft.rfft((since > -interval / 2) * falling, length)
    return np.asarray(flow / 6000 / PLASMA * np.fft.irfft(product, length)[..., : len(artery)] * interval)


def write_dsc(
    root: Path,
    cases: int = 14,
    spacing: float = 2.0,
    seed: int = 0,
    time_points: int = 60,
    interval: float = 1.0,
    echo_time: float = 0.03,
    artery_share: float = 0.1,
    snr: tuple[float, float] = (10.0, 50.0),
) -> None:
    """Write series ``dsc`` (X, Y, Z, T), true ``cbf``, ``cbv``, ``mtt`` and ``tmax``, and ``mask``, without the artery.

    Tmax is the time at which the residue is largest: the delay of an exponential, the middle of a box.

    Args:
        root: the folder to create; may exist if empty.
        cases: number of phantoms.
        spacing: isotropic, in mm.
        seed: of the dataset.
        time_points: of a series.
        interval: of them in s.
        echo_time: in s.
        artery_share: of blood in the artery's voxels.
        snr: range of the signal before the bolus over the standard deviation of the noise, of each channel.

    Raises:
        ConfigError: a number is out of range.
        OutputError: ``root`` holds something already or cannot be written.
    """
    about: dict[str, float] = {}
    with phantom_dataset(Path(root), cases, seed) as (partial, each):
        for folder, number in each:
            rng = np.random.default_rng(number)
            ratio = float(rng.uniform(*snr))
            about[folder.name] = round(ratio, 1)
            maps, curves = _tiles(rng, time_points, interval, artery_share)
            signal = SIGNAL * np.exp(-echo_time * curves)
            images = {"dsc": rician(signal, SIGNAL / ratio, rng)} | maps
            affine = np.diag([spacing, spacing, spacing, 1.0])
            for name, values in images.items():
                save_nifti(folder / f"{name}.nii.gz", values.astype(np.float32), affine)
            save_nifti(folder / "mask.nii.gz", maps["cbf"] > 0, affine)
        write_dataset_json(partial, seed=seed, snr=about, units=UNITS, licence="no other data are used")


def _tiles(
    rng: np.random.Generator, time_points: int, interval: float, artery_share: float
) -> tuple[dict[str, Array], Array]:
    """True maps (X, Y, Z), 0 in the artery, and changes of R2* (X, Y, Z, T)."""
    fine: Array = np.arange(round(time_points * interval / FINE), dtype=np.float64) * FINE
    sampled = np.round(np.arange(time_points) * interval / FINE).astype(int)
    artery = BLOOD * bolus(fine, rng.uniform(*ARRIVAL), rng.uniform(*WIDTH))
    shape = (TILES, TILES, SLICES)
    volume, transit, delay = (rng.uniform(*limits, shape) for limits in (VOLUME, TRANSIT, DELAY))
    flow, box = 60 * volume / transit, rng.integers(2, size=shape)
    maps = {"cbf": flow, "cbv": volume, "mtt": transit, "tmax": delay + box * transit / 2}
    curves = tissue_curves(artery, FINE, flow, transit, delay, box == 1)[..., sampled]
    curves[:ARTERY, :ARTERY] = artery_share * artery[sampled]
    for truth in maps.values():
        truth[:ARTERY, :ARTERY] = 0
    return {name: _enlarged(truth) for name, truth in maps.items()}, _enlarged(curves)


def _enlarged(tiles: Array) -> Array:
    """Each tile as its voxels."""
    return tiles.repeat(TILE, 0).repeat(TILE, 1)
