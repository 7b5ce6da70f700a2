"""Pressure of a continuous wave in a medium, by the NumPy back end of k-Wave (Treeby et al. 2010, J Biomed Opt)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from nibabel.affines import apply_affine
from numpy.typing import NDArray
from scipy import fft, ndimage

from common.errors import DataError
from common.units import HU_OF_AIR
from examples.ultrasound.environment import kwave
from examples.ultrasound.medium import NEPER, WATER, Grid, Medium

PML = 8
"""Points of the absorbing layer around a grid."""
COURANT = 0.45
"""Most points that the fastest wave passes in a time step."""
PERIODS = 2
"""Periods at the end over which the amplitude is measured."""
POWER = 2.0
"""Of the frequency in k-Wave's law of attenuation. One frequency alone is simulated, so that any law has its loss; this
one regards each point alone. Others take their loss from a neighbourhood, 5 % too much behind 4 mm of bone."""
RAMP = 2
"""Periods in which a source starts."""
REST_MM = 25.0
"""[chosen] way that a simulation waits for, beside the length of its first axis."""
STANDOFF_MM, F_NUMBER = 15.0, 1.25
"""[chosen] water between the bowl and the scalp; radius of the bowl over its aperture."""
BEHIND_MM, BESIDE_MM, BEFORE_MM = 18.0, 4.0, 3.0
"""[chosen] of the grid: behind the geometric focus, beside the aperture, and before the bowl."""


@dataclass(frozen=True)
class Beam:
    """A bowl that looks through a point of the scalp at a target, in mm, right-anterior-superior.

    Attributes:
        target: geometric focus, (3,).
        entry: on the scalp, (3,).
    """

    target: NDArray[np.float64]
    entry: NDArray[np.float64]

    @property
    def radius(self) -> float:
        """Radius of curvature in mm."""
        return float(np.linalg.norm(self.target - self.entry)) + STANDOFF_MM

    @property
    def aperture(self) -> float:
        """Diameter of the bowl in mm."""
        return self.radius / F_NUMBER

    def grid(self, spacing: float, dimensions: int) -> tuple[tuple[int, ...], NDArray[np.float64]]:
        """Shape, absorbing layer included, and affine to mm of a grid whose first axis is that of the beam.

        Of two ``dimensions`` the shape has two numbers; the grid is the plane of the first two axes of the affine.
        """
        axis = (self.target - self.entry) / np.linalg.norm(self.target - self.entry)
        first = np.cross(axis, np.eye(3)[np.abs(axis).argmin()])
        first /= np.linalg.norm(first)
        widths = (dimensions - 1) * [self.aperture + 2 * BESIDE_MM]
        lengths = np.array([self.radius + BEFORE_MM + BEHIND_MM, *widths])
        shape = tuple(fft.next_fast_len(int(count)) for count in np.ceil(lengths / spacing) + 1 + 2 * PML)
        affine = np.eye(4)
        affine[:3, :3] = spacing * np.stack([axis, first, np.cross(axis, first)], axis=1)
        apex = np.array([PML + BEFORE_MM / spacing, *(size // 2 for size in shape[1:]), 0][:3])
        affine[:3, 3] = self.target - self.radius * axis - affine[:3, :3] @ apex
        return shape, affine


def beam_to(target: NDArray[np.float64], mask: NDArray[np.bool_], affine: NDArray[np.float64]) -> Beam:
    """A beam from the nearest point of the scalp that is not lower than the target.

    Args:
        target: in mm, (3,).
        mask: the head, (X, Y, Z).
        affine: (4, 4) from its voxels to mm.

    Raises:
        DataError: the target lies outside the head.
    """
    voxel = np.rint(apply_affine(np.linalg.inv(affine), target)).astype(int)
    if (voxel < 0).any() or (voxel >= mask.shape).any() or not mask[tuple(voxel)]:
        raise DataError(f"target {np.round(target, 1).tolist()} mm lies outside the head", "correct its place")
    skin = apply_affine(affine, np.argwhere(mask & ~ndimage.binary_erosion(mask)))
    skin = skin[skin[:, 2] >= target[2]]
    return Beam(target, skin[np.linalg.norm(skin - target, axis=1).argmin()])


def sampled(
    ct: NDArray[np.floating], affine: NDArray[np.float64], shape: tuple[int, ...], grid: NDArray[np.float64]
) -> Grid:
    """A CT (X, Y, Z) on another grid of two or three dimensions, linear between voxels, air outside."""
    matrix = np.linalg.inv(affine) @ grid
    whole = (*shape, 1)[:3]
    values: Grid = ndimage.affine_transform(
        np.asarray(ct, np.float32), matrix[:3, :3], matrix[:3, 3], whole, order=1, cval=HU_OF_AIR
    )
    return values.reshape(shape)


def bowl(beam: Beam, shape: tuple[int, ...], affine: NDArray[np.float64], spacing: float) -> Grid:
    """Share of the bowl's surface in each point of a grid, in units of a point's face; in two dimensions of an arc."""
    focus = (np.linalg.inv(affine) @ [*beam.target, 1])[: len(shape)]
    apex = focus - [beam.radius / spacing, *(len(shape) - 1) * [0]]
    metres = [((place - np.array(shape) // 2) * spacing * 1e-3).tolist() for place in (apex, focus)]
    array = kwave("utils.kwave_array").kWaveArray(bli_tolerance=0.05, upsampling_rate=8)
    add = array.add_bowl_element if len(shape) == 3 else array.add_arc_element
    add(metres[0], beam.radius * 1e-3, beam.aperture * 1e-3, metres[1])
    weights: Grid = np.asarray(array.get_element_grid_weights(_kgrid(shape, spacing), 0), np.float32)
    return weights.reshape(shape)


def amplitude(medium: Medium, source: Grid, spacing: float, frequency: float) -> Grid:
    """Amplitude of the pressure at rest state, relative to that at the source, of the shape of the medium.

    Args:
        medium: on a grid of one, two or three dimensions, with ``PML`` points of absorbing layer at each end.
        source: weights of the points that send, of its shape; 1 for a flat sheet of points.
        spacing: in mm.
        frequency: in Hz.
    """
    period = steps_of_period(medium, spacing, frequency)
    step = 1 / (frequency * period)
    way = (medium.speed.shape[0] * spacing + REST_MM) * 1e-3
    count = int(np.ceil(way / WATER[0] / step)) + (RAMP + PERIODS) * period
    grid = _kgrid(medium.speed.shape, spacing)
    grid.setTime(count, step)
    time = np.arange(count) * step * frequency
    signal = np.sin(2 * np.pi * time) * np.minimum(time / RAMP, 1)
    sending = kwave("ksource").kSource()
    sending.p_mask = source > 0
    sending.p = (source[sending.p_mask][:, None] * signal).astype(np.float32)
    own = kwave("kmedium").kWaveMedium(
        sound_speed=medium.speed,
        density=medium.density,
        alpha_coeff=medium.loss / (frequency / 1e6) ** POWER,
        alpha_power=POWER,
    )
    sensor = kwave("ksensor").kSensor(mask=np.zeros(medium.speed.shape, bool))
    dimensions = medium.speed.ndim
    simulation = kwave("solvers.kspace_solver").Simulation(
        grid, own, sending, sensor, pml_size=(PML,) * dimensions, pml_alpha=(2.0,) * dimensions, dtype=np.float32
    )
    simulation.xp = _ScipyTransforms()
    simulation.setup()
    total = np.zeros(medium.speed.shape, np.complex64)
    last = PERIODS * period
    for number in range(count):
        simulation.step()
        if number >= count - last:
            total += simulation.p * np.complex64(np.exp(-2j * np.pi * frequency * number * step))
    return np.abs(total) * np.float32(2 / last)


def steps_of_period(medium: Medium, spacing: float, frequency: float) -> int:
    """Time steps of a period: the fewest by ``COURANT`` for which no wave of the grid grows, loss included."""
    fastest, shortest = float(medium.speed.max()), np.sqrt(medium.speed.ndim) * np.pi / (spacing * 1e-3)
    loss = float((medium.loss * 100 / NEPER * medium.speed**3).max()) / (2 * (np.pi * frequency) ** 2)
    period = int(np.ceil(fastest / (COURANT * frequency * spacing * 1e-3)))
    while True:
        step = 1 / (frequency * period)
        half = fastest * shortest * step / 2
        if np.sin(half) ** 2 + loss * shortest**2 * step / 2 * np.sinc(half / np.pi) ** 2 < 1:
            return period
        period += 1


class _ScipyTransforms:
    """NumPy with SciPy's Fourier transforms, which take a quarter of the time on large grids of float32."""

    fft = fft

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


def _kgrid(shape: tuple[int, ...], spacing: float) -> Any:
    vector = kwave("data").Vector
    return kwave("kgrid").kWaveGrid(vector([*shape]), vector([spacing * 1e-3] * len(shape)))
