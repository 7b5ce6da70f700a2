"""MR and CT of label maps by equations, tissue values and noise that no training uses, no ``common.simulation``.

Trainings have closed forms of the signal, a Gaussian blur and Rician noise. Here magnetisation is followed pulse by
pulse, k-space of eight coils is truncated, each coil has noise, and an image is the root of their sum of squares.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

Volume = NDArray[np.float32]


class Tissue(NamedTuple):
    """T1 and T2 at 3 T in ms, proton density relative to water, CT number in HU."""

    t1: float
    t2: float
    density: float
    hu: float


TISSUES = {
    "white": Tissue(840, 75, 0.70, 28),
    "grey": Tissue(1400, 98, 0.82, 38),
    "deep": Tissue(1150, 72, 0.80, 36),
    "stem": Tissue(950, 80, 0.74, 31),
    "fluid": Tissue(4300, 1800, 1.00, 6),
    "lesion": Tissue(1250, 150, 0.84, 22),
    "choroid": Tissue(1800, 250, 0.92, 38),
    "blood": Tissue(1800, 60, 0.15, 46),  # density: most of it leaves the slice between the pulses
    "muscle": Tissue(1420, 32, 0.82, 58),
    "fat": Tissue(370, 130, 0.90, -98),
    "skin": Tissue(1000, 38, 0.70, 30),
    "mucosa": Tissue(1300, 90, 0.88, 34),
    "bone": Tissue(220, 0.4, 0.15, 1260),
    "marrow": Tissue(430, 95, 0.42, 520),
    "air": Tissue(1000, 1, 0.0, -1000),
}
"""[chosen] round values within the spread of what is published at 3 T (reviewed by Bojorquez et al. 2017), and within
the ranges that are usual in radiology: fluid 0 to 15, white 20 to 30, grey 35 to 45 HU."""

LABELS = {
    "white": (2, 7, 41, 46, 77, 85, 530),
    "grey": (3, 8, 17, 18, 26, 42, 47, 53, 54, 58),
    "deep": (10, 11, 12, 13, 49, 50, 51, 52),
    "stem": (16, 28, 60, 512),
    "fluid": (4, 5, 14, 15, 24, 43, 44, 72, 506),
    "lesion": (25, 57),
    "choroid": (31, 63, 136, 137, 163, 164),
    "blood": (30, 62, 502, 514),
    "muscle": (507, 508),
    "mucosa": (509,),
    "skin": (511,),
    "bone": (515,),
    "marrow": (516,),
    "air": (0,),
}
NAMES = tuple(TISSUES)
FAT_MM = (1.0, 4.0)
"""Thickness of the fat under the skin of 2 mm."""
HU_TEXTURE = {"bone": 110.0, "marrow": 120.0}
"""Standard deviation of the HU within a tissue in a head; of others 3 HU, of fluid and air none."""
COILS, COIL_MM, LEFT_OF_BIAS = 8, 150.0, 0.25
"""Coils on a circle around the head, and the share of the logarithm of their profile that no correction took away."""
NOISE = 0.012
"""Of each channel of a coil, relative to the 99th percentile of the signal in the head."""


def relaxed(start: float, tissue: Tissue, ms: float) -> float:
    """Longitudinal magnetisation some time after it was ``start``, relative to water at rest."""
    rest = tissue.density
    return rest + (start - rest) * float(np.exp(-ms / tissue.t1))


def mprage(tissue: Tissue, flip: float = 9) -> float:
    """Signal at the middle of the readout of a magnetisation-prepared gradient echo, in its steady state.

    Args:
        tissue: of it.
        flip: angle of each pulse, in degrees.
    """
    cycle, inversion = 2300.0, 900.0  # ms, from one inversion to the next and to the middle pulse
    pulses, spacing, efficiency = 176, 7.0, 0.96
    cosine, sine = np.cos(np.radians(flip)), np.sin(np.radians(flip))
    start, middle = tissue.density, 0.0
    for _ in range(8):
        now = relaxed(-efficiency * start, tissue, inversion - spacing * pulses / 2)
        for pulse in range(pulses):
            if pulse == pulses // 2:
                middle = now
            now = relaxed(now * cosine, tissue, spacing)
        start = relaxed(now, tissue, cycle - inversion - spacing * pulses / 2)
    return float(abs(middle) * sine * np.exp(-3.0 / tissue.t2))


def fast_spin_echo(tissue: Tissue, start: float, echoes: int, refocusing: float = 150.0) -> NDArray[np.float64]:
    """Amplitudes of the echoes of a train, 10 ms apart, by extended phase graphs (Weigel 2015).

    Args:
        tissue: of it.
        start: longitudinal magnetisation before the excitation.
        echoes: of the train.
        refocusing: angle of the pulses, in degrees.
    """
    half = np.radians(refocusing) / 2
    c2, s2, s = np.cos(half) ** 2, np.sin(half) ** 2, np.sin(2 * half)
    turn = np.array([[c2, s2, -1j * s], [s2, c2, 1j * s], [-0.5j * s, 0.5j * s, np.cos(2 * half)]])
    decay = np.exp(-5.0 / np.array([tissue.t2, tissue.t2, tissue.t1]))[:, None]
    states = np.zeros((3, 2 * echoes + 2), complex)  # dephased, rephasing, longitudinal; by their order
    states[:2, 0] = start
    found = []
    for _ in range(echoes):
        for refocus in (False, True):
            if refocus:
                states = turn @ states
            states *= decay
            states[2, 0] += tissue.density * (1 - decay[2, 0])
            states[0, 1:], states[1, :-1] = states[0, :-1].copy(), states[1, 1:].copy()
            states[0, 0] = np.conj(states[1, 0])
        found.append(abs(states[0, 0]))
    return np.array(found)


def echo(tissue: Tissue, repetition: float, number: int, echoes: int, inversion: float | None = None) -> float:
    """Signal of one echo of a train (10 ms apart), after an inversion or without; times in ms."""
    free = repetition - 10 * echoes  # the train leaves nothing behind
    if inversion is None:
        start = relaxed(0, tissue, free)
    else:
        start = relaxed(-relaxed(0, tissue, free - inversion), tissue, inversion)
    return float(fast_spin_echo(tissue, start, echoes)[number - 1])


CONTRASTS: dict[str, Callable[[Tissue], float]] = {
    "T1": mprage,
    "T2": lambda tissue: echo(tissue, 5500, 10, 17),
    "PD": lambda tissue: echo(tissue, 3200, 2, 6),
    "FLAIR": lambda tissue: echo(tissue, 9000, 12, 20, inversion=2500),
}


def tissues_of(labels: NDArray[np.integer], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Tissue of each voxel of a label map (X, Y, Z) at 1 mm, by its position in ``NAMES``; soft tissue becomes fat
    under the skin, in the orbits' depth and in random places between the muscles."""
    table = np.zeros(int(labels.max()) + 1, np.uint8)
    for name, own in LABELS.items():
        table[[label for label in own if label < len(table)]] = NAMES.index(name)
    codes = table[labels]
    depth = ndimage.distance_transform_edt(ndimage.binary_fill_holes(labels > 0))
    wave = ndimage.gaussian_filter(rng.standard_normal(labels.shape, dtype=np.float32), 9)
    wave = (wave - wave.min()) / np.ptp(wave)
    grain = ndimage.gaussian_filter(rng.standard_normal(labels.shape, dtype=np.float32), 3)
    fatty = (depth < 2 + FAT_MM[0] + np.ptp(FAT_MM) * wave) | (grain > 0.8 * grain.std())
    codes[(labels == 507) & fatty] = NAMES.index("fat")
    return codes


def mixed(codes: NDArray[np.uint8], values: NDArray[np.floating]) -> Volume:
    """Image (X, Y, Z) of a value for each tissue, averaged over the edges of a voxel and its neighbours."""
    image: Volume = ndimage.uniform_filter(values.astype(np.float32)[codes], 2)
    return image


def ct_of(codes: NDArray[np.uint8], rng: np.random.Generator) -> Volume:
    """CT in HU, (X, Y, Z): smooth texture within tissues, a kernel of 1.4 mm full width, no noise."""
    wave = ndimage.gaussian_filter(rng.standard_normal(codes.shape, dtype=np.float32), 4)
    spreads = [0 if name in ("air", "fluid") else HU_TEXTURE.get(name, 3.0) for name in NAMES]
    image = mixed(codes, np.array([tissue.hu for tissue in TISSUES.values()]))
    image += mixed(codes, np.array(spreads)) * (wave / wave.std())
    ct: Volume = ndimage.gaussian_filter(image, 0.6)
    return ct


def scanned(signal: Volume, kept: float, rng: np.random.Generator) -> Volume:
    """Magnitude image (X, Y, Z) of a signal from truncated, noisy k-space of all coils.

    Args:
        signal: without noise, (X, Y, Z) at 1 mm.
        kept: share of k-space that was measured along each axis of the axial slices.
        rng: of noise and phase.
    """
    axes = np.meshgrid(*(np.arange(size) - (size - 1) / 2 for size in signal.shape), indexing="ij", sparse=True)
    x, y, z = (axis.astype(np.float32) for axis in axes)
    inside = np.ones(signal.shape[:2], np.float32)
    for axis, size in enumerate(signal.shape[:2]):
        measured = np.abs(fft.fftfreq(size)) <= kept / 2
        inside = inside * np.expand_dims(measured, 1 - axis)
    profiles = [
        (1 + ((x - COIL_MM * np.cos(angle)) ** 2 + (y - COIL_MM * np.sin(angle)) ** 2 + z**2) / COIL_MM**2) ** -1.5
        for angle in 2 * np.pi * np.arange(COILS) / COILS
    ]
    total = np.sqrt(np.sum(np.square(profiles), axis=0))
    sigma = np.float32(NOISE * np.percentile(signal[signal > 0.05 * signal.max()], 99))
    phase = np.exp(np.complex64(1j) * (0.01 * x + 0.015 * y + 0.00005 * x * y))
    squares = np.zeros(signal.shape, np.float32)
    for profile in profiles:
        weighted = signal * phase * (profile / total ** np.float32(1 - LEFT_OF_BIAS))
        noise = rng.standard_normal((2, *signal.shape), dtype=np.float32) * sigma
        space = fft.fft2(weighted + noise[0] + np.complex64(1j) * noise[1], axes=(0, 1))
        squares += np.abs(fft.ifft2(space * inside[..., None], axes=(0, 1))) ** 2
    image: Volume = np.sqrt(squares)
    return image


def thick(volume: Volume, slices: int) -> Volume:
    """Means over so many axial slices, (X, Y, Z // slices)."""
    whole = volume[..., : volume.shape[2] // slices * slices]
    means: Volume = whole.reshape(*whole.shape[:2], -1, slices).mean(3)
    return means
