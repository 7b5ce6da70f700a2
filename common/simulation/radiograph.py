"""Digitally reconstructed radiographs: line integrals of attenuation through a CT, of the rays of a cone beam."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from nibabel.affines import apply_affine
from torch.nn.functional import grid_sample

from ..data.datalist import Item
from ..data.degraded_pairs import PairFolders, require_hu
from ..data.layouts.data_sets import find_cases
from ..errors import ConfigError, Finding
from ..files import write_whole
from ..grids import LPS_TO_RAS
from ..io import VolumeReader
from ..io.export.nifti import save_on
from ..io.picture_files import write_picture
from ..metrics.line_integrals import checked_affine
from .grid import Volume

WATER = {30: 0.3756, 40: 0.2683, 50: 0.2269, 60: 0.2059, 80: 0.1837, 100: 0.1707, 150: 0.1505}
"""Attenuation of water in 1/cm by energy in keV (Hubbell and Seltzer, NIST SRD 126, at 1 g/cm3)."""
FORMATS = {"tiff": ".tif", "png": ".png", "nifti": ".nii.gz"}
LEVELS = 255.0
LARGEST_VIEWS, LARGEST_SIDE = 720, 4096
SAMPLES = 1_000_000
"""Samples of the CT in memory at once."""
SETTINGS = ("angles", "source_to_detector", "source_to_axis", "detector", "pixel_mm", "energy")
PAIRS = PairFolders(
    "radiograph.json",
    tuple(f"radiograph_{view:03d}{suffix}" for view in range(LARGEST_VIEWS) for suffix in FORMATS.values()),
)
TEXT = "SYNTHETIC radiograph of a CT, {0:g} degrees, {1:g} keV, line integrals of attenuation: not a scan"


@dataclass(frozen=True)
class RadiographBeam:
    """Radiographs of one energy by a point source that turns around the patient's axis through the volume's middle.

    At 0 degrees the source is in front of the patient (AP), at 90 at the left. Pictures are seen from the source, the
    head up. No scatter, no spectrum, no noise; what the CT cuts off is missing, its table is there.

    Args:
        angles: of the source in degrees, a view each.
        source_to_detector: distance in mm.
        source_to_axis: distance in mm; their ratio is the magnification in the middle.
        detector: its pixels, columns and rows; the middle ray hits its middle.
        pixel_mm: side of a detector's pixel.
        energy: in keV, 30 to 150.

    Raises:
        ConfigError: a setting is out of its range.
    """

    angles: Sequence[float] = (0.0, 90.0)
    source_to_detector: float = 1500.0
    source_to_axis: float = 1000.0
    detector: Sequence[int] = (512, 512)
    pixel_mm: float = 0.8
    energy: float = 70.0

    def __post_init__(self) -> None:
        if not 0 < self.source_to_axis < self.source_to_detector < math.inf:
            fault = f"--source_to_axis is {self.source_to_axis:g} mm, not between 0 and {self.source_to_detector:g}"
            raise ConfigError(fault, "place the axis between source and detector")
        sides = min(self.detector, default=0), max(self.detector, default=0)
        if len(self.detector) != 2 or not 1 <= sides[0] <= sides[1] <= LARGEST_SIDE:
            shape = " x ".join(map(str, self.detector))
            raise ConfigError(f"--detector is {shape} pixels", f"give two numbers from 1 to {LARGEST_SIDE}")
        if not 0 < self.pixel_mm < math.inf:
            raise ConfigError(f"--pixel_mm is {self.pixel_mm:g}", "give a number above 0")
        if not 1 <= len(self.angles) <= LARGEST_VIEWS or not np.isfinite(self.angles).all():
            raise ConfigError(f"--angles has {len(self.angles)} views", f"give 1 to {LARGEST_VIEWS} angles in degrees")
        if not min(WATER) <= self.energy <= max(WATER):
            raise ConfigError(f"--energy is {self.energy:g} keV", f"give {min(WATER)} to {max(WATER)}")

    def description(self, angle: float) -> str:
        """For the header of a view's file."""
        return TEXT.format(angle, self.energy)

    def attenuation(self, hu: Volume) -> Volume:
        """Attenuation in 1/mm, (X, Y, Z) float32: that of water at the energy, times 1 + HU / 1000, at least 0.

        Bone attenuates as at the energy of the CT (about 70 keV), too little below it.
        """
        water = np.exp(np.interp(np.log(self.energy), np.log([*WATER]), np.log([*WATER.values()]))) / 10
        return np.asarray(np.maximum(water * (1 + np.asarray(hu) / 1000), 0), np.float32)

    def views(self, hu: Volume, affine: np.ndarray) -> list[tuple[Volume, np.ndarray]]:
        """Line integrals -ln(I / I0), without unit, of each view, and where its pixels are.

        Voxels are boxes filled with trilinear values; a ray is sampled at least once per smallest side of a voxel.

        Args:
            hu: CT (X, Y, Z) in HU.
            affine: (4, 4) to RAS mm, of any directions.

        Returns:
            For each angle the picture (columns, rows, 1), float32, and its affine (4, 4) to RAS mm.

        Raises:
            DataError: the affine is not finite or spans no volume.
            ConfigError: the source or the middle of the detector lies inside the volume.
        """
        to_mm = checked_affine(affine)
        middle = apply_affine(to_mm, (np.array(hu.shape) - 1) / 2)
        mu = torch.from_numpy(self.attenuation(hu).T.copy())[None, None]  # grid_sample's x is the last axis
        return [self._view(mu, to_mm, middle, math.radians(angle)) for angle in self.angles]

    def _view(self, mu: torch.Tensor, to_mm: np.ndarray, middle: np.ndarray, angle: float) -> tuple[Volume, np.ndarray]:
        """One view of attenuation (1, 1, Z, Y, X)."""
        to_source = np.array([-math.sin(angle), math.cos(angle), 0])
        source = middle + self.source_to_axis * to_source
        place = np.eye(4)
        place[:3, 0], place[:3, 1] = (-math.cos(angle), -math.sin(angle), 0), (0, 0, -1)
        place[:3, 2] = -to_source
        place[:3, :3] *= self.pixel_mm
        centre = source - self.source_to_detector * to_source
        place[:3, 3] = centre - place[:3, :2] @ ((np.array(self.detector) - 1) / 2)
        pixels = apply_affine(place, np.stack([*np.indices((*self.detector, 1))], -1).reshape(-1, 3))
        # In units of the volume's half sides, in which it is the cube [-1, 1]^3 of grid_sample, rays are straight too.
        half = np.array(mu.shape[:1:-1]) / 2
        inside = np.linalg.inv(to_mm)
        start, behind = (apply_affine(inside, [source, centre]) + 0.5) / half - 1
        if any((np.abs(end) < 1).all() for end in (start, behind)):
            distances = f"{self.source_to_axis:g} mm of {self.source_to_detector:g} mm"
            fault = f"--source_to_axis is {distances}, where source or detector lie inside the CT"
            raise ConfigError(fault, "enlarge them, they are in mm")
        along = (apply_affine(inside, pixels) + 0.5) / half - 1 - start
        with np.errstate(divide="ignore", invalid="ignore"):
            sides = np.sort(np.stack([(-1 - start) / along, (1 - start) / along]), axis=0)
        first, last = (np.clip(each, 0, 1) for each in (np.nanmax(sides[0], axis=1), np.nanmin(sides[1], axis=1)))
        paths = np.maximum(last - first, 0) * np.linalg.norm(pixels - source, axis=1)
        steps = max(math.ceil(paths.max() / np.linalg.norm(to_mm[:3, :3], axis=0).min()), 1)
        offsets = (torch.arange(steps) + 0.5) / steps
        picture, hit = np.zeros(len(pixels), np.float32), np.flatnonzero(paths)
        for rays in np.array_split(hit, max(math.ceil(len(hit) * steps / SAMPLES), 1)):
            entry = torch.from_numpy((start + first[rays, None] * along[rays]).astype(np.float32))
            way = torch.from_numpy(((last - first)[rays, None] * along[rays]).astype(np.float32))
            points = entry[:, None] + offsets[:, None] * way[:, None]
            sampled = grid_sample(mu, points[None, None], padding_mode="border", align_corners=False)
            picture[rays] = sampled.mean(-1).numpy().ravel() * paths[rays]
        return picture.reshape(*self.detector, 1), place


def write_radiographs(item: Item, folder: Path, beam: RadiographBeam, output_format: str, reader: VolumeReader) -> None:
    """Write the views of one CT and ``radiograph.json``; a NIfTI has line integrals, a picture 16 bits of them.

    In pictures 65535 stands for the largest line integral of the case's views, which the record has.

    Args:
        item: with ``case`` and ``image``.
        folder: of the case, which exists.
        beam: geometry and energy.
        output_format: of ``FORMATS``.
        reader: of the CT.

    Raises:
        DataError: the CT cannot be read or is not in HU.
        OutputError: a file cannot be written.
    """
    case = str(item["case"])
    scan = reader.read(item["image"], case)
    require_hu(scan.values, scan.affine, partial(Finding, case, Path(item["image"]).name))
    views, suffix = beam.views(scan.values, scan.affine), FORMATS[output_format]
    largest = float(max(view.max() for view, _ in views)) or 1.0
    grid = LPS_TO_RAS @ np.diag([beam.pixel_mm, beam.pixel_mm, 1, 1])
    for number, ((view, affine), angle) in enumerate(zip(views, beam.angles, strict=True)):
        path, text = folder / f"radiograph_{number:03d}{suffix}", beam.description(angle)
        if output_format == "nifti":
            save_on(affine, view, path, "float32", text)
            continue
        write_whole(path, partial(write_picture, LEVELS * view / largest, grid, dtype="uint16", description=text))
    about = {"description": "SYNTHETIC radiographs of a CT: not a scan", "case": case, "unit": "line integral, 1"}
    scale = {} if output_format == "nifti" else {"line_integral_of_65535": largest}
    PAIRS.write_record(folder, about | scale | {name: getattr(beam, name) for name in SETTINGS})


def write_pairs(options: argparse.Namespace, reader: VolumeReader) -> int:
    """Write all cases by the options of ``synthesize simulate radiograph``, and return their number.

    Raises:
        ConfigError: a setting is out of its range.
        DataError: no cases, or a volume cannot be read or is no CT in HU.
        OutputError: a folder exists already, or a file cannot be written.
    """
    beam = RadiographBeam(**{name: getattr(options, name) for name in SETTINGS})
    items = find_cases(options.dataset_dir, "folders", source=options.ct, target=None)
    write = partial(write_radiographs, beam=beam, output_format=options.output_format, reader=reader)
    PAIRS.write(items, options.out, write, options.overwrite, "radiographs")
    return len(items)
