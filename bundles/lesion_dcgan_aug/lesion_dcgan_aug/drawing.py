"""A lesion drawn into a CT: the patches of its slices for the network, and the volume with the lesion's mask."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from ignite.engine import Engine, Events
from monai.data import Dataset
from monai.engines.utils import IterationEvents
from monai.utils import convert_to_numpy
from numpy.typing import NDArray
from scipy import ndimage

from common.errors import CheckpointError, ConfigError, DataError, choose
from common.files import require_file_name, write_text
from common.io.export.nifti import save_like, save_on
from common.io.export.outputs import MANIFEST_NAME, require_free
from common.io.reader import NIFTI, VolumeReader
from common.weights import checkpoints
from lesion_dcgan_aug.data.rois import SMALLEST, Roi, cut_slice
from lesion_dcgan_aug.inpainting import holed, noise, with_class
from lesion_dcgan_aug.liver import lesion_depth
from lesion_dcgan_aug.networks import Inpainter

logger = logging.getLogger(__name__)
AIR_HU = -200.0
"""Below it lie air, lung and gas, into which no lesion is drawn."""
LIVER_HU = (20.0, 200.0)
"""Range of the median HU at the place of a lesion: without contrast agent 40 to 60, in the portal venous phase 110."""
REACH = 2
"""Largest extent of a shape from its middle, in radii."""


class Drawing(Dataset):
    """Data set of the axial slices of one lesion in a CT, as inputs of an inpainting network.

    The shape is a bumpy ellipsoid in mm, as that of the phantoms' lesions. Each slice is a patch around the lesion's
    section, as in training. Slices share shape and coarse noise; nothing else makes them agree.

    The network knows livers of one density. Densities are scaled so that the liver at the place has it, and back
    afterwards: water stays 0 HU, and what enhances does so as much as this liver does.

    Args:
        into: CT in HU, a file or the folder of a DICOM series.
        at: middle of the lesion in world coordinates: mm to the right, to the front and to the head (RAS).
        name: class of the lesion.
        classes: names in order.
        diameter: mean diameter in mm.
        margin: tissue in a patch on each side of the lesion, relative to its extent; as in training.
        liver: HU of the liver in training.
        window: (low, high) in HU that [-1, 1] stands for.
        seed: of shape and noise.

    Raises:
        ConfigError: something is missing, of another kind or out of range, or the class is unknown.
        DataError: there is no such CT, or the lesion is not in the volume, reaches into air, or lies in other tissue.
    """

    def __init__(
        self,
        into: str | Path | None,
        at: Sequence[float] | None,
        name: str | None,
        classes: Sequence[str],
        diameter: float,
        margin: float,
        liver: float,
        window: Sequence[float],
        seed: int = 0,
    ) -> None:
        if into is None or at is None or name is None:
            raise ConfigError("no CT, position or class to draw a lesion", "pass --into CT --at x,y,z --class NAME")
        if name not in classes:
            raise ConfigError(f"--class is {name!r}", choose(classes))
        numbers = isinstance(at, list | tuple) and all(isinstance(each, int | float) for each in at)
        if not numbers or len(at) != 3 or not np.isfinite(at).all():
            raise ConfigError(f"--at is {at!r}, not x,y,z", "give three numbers in mm")
        for option, value in (("diameter", diameter), ("liver", liver)):
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < np.inf:
                raise ConfigError(f"--{option} is {value!r}", "give a number above 0")
        if not Path(into).exists():
            raise DataError(f"no file or folder {into} (from --into)", "check the path")
        self.source, self.at, self.name, self.diameter, self.seed = Path(into), tuple(at), name, diameter, seed
        self.case = self._case()
        scan = VolumeReader().read(into, self.case)
        self.affine = scan.affine
        self._turn = nib.orientations.io_orientation(scan.affine)
        self.values = nib.orientations.apply_orientation(scan.values, self._turn)
        self._ras = scan.affine @ nib.orientations.inv_ornt_aff(self._turn, scan.values.shape)
        self._steps = np.linalg.norm(self._ras[:3, :3], axis=0)
        self._centre = (np.linalg.inv(self._ras) @ [*self.at, 1])[:3]
        self.lesion = self._lesion()
        self.scale = liver / float(np.median(self.values[self.lesion]))
        low, high = window
        self.rois, inputs = [], []
        for number, place in enumerate(np.flatnonzero(self.lesion.any(axis=(0, 1)))):
            roi = cut_slice(self.values, self.lesion[:, :, place], self._ras, int(place), margin=margin)
            patch = torch.from_numpy(np.clip((roi.values * self.scale - low) / (high - low), 0, 1) * 2 - 1)[None]
            outline = torch.from_numpy(self._inside(*self._pixels(roi)).astype(np.float32))[None]
            self.rois.append(roi)
            inputs.append(holed(patch, outline, noise(len(roi.values), seed, number)))
        label = list(classes).index(name)
        super().__init__([{"image": with_class(s, label, len(classes)), "case": self.case} for s in inputs])
        self._holes = [source[1].numpy() for source in inputs]

    def _case(self) -> str:
        name = self.source.name
        case = next((name.removesuffix(end) for end in NIFTI if name.lower().endswith(end)), None)
        case = case or (name if self.source.is_dir() else self.source.stem)
        require_file_name(case, "--into", f"_{self.name}_mask.nii.gz", ConfigError)
        return case

    def _inside(self, *index: NDArray) -> NDArray[np.bool_]:
        """Whether places, given as voxel indices in RAS, are inside the lesion."""
        parts = zip(index, self._centre, self._steps, strict=True)
        points = np.stack([(each - middle) * step for each, middle, step in parts]).astype(np.float32)
        depth, _ = lesion_depth(np.random.default_rng(self.seed), points, np.zeros(3), self.diameter / 2)
        return depth > 0

    def _lesion(self) -> NDArray[np.bool_]:
        shape = np.array(self.values.shape)
        if not (self._centre >= -0.5).all() or not (self._centre <= shape - 0.5).all():
            corners = np.array(list(np.ndindex(2, 2, 2))) * (shape - 1)
            places = nib.affines.apply_affine(self._ras, corners)
            extent = zip("xyz", places.min(0), places.max(0), strict=True)
            covered = ", ".join(f"{axis} {low:.0f} to {high:.0f}" for axis, low, high in extent)
            fault = f"--at {self._place} is outside {self.source.name}, which covers {covered} mm"
            raise DataError(fault, "give x to the right, y to the front and z to the head, in mm")
        reach = REACH * self.diameter / 2 / self._steps
        low, high = (np.floor(self._centre - reach).astype(int), np.ceil(self._centre + reach).astype(int) + 1)
        ranges = [np.arange(first, last) for first, last in zip(low, high, strict=True)]
        found = self._inside(*np.meshgrid(*ranges, indexing="ij"))
        found &= found.sum(axis=(0, 1)) >= SMALLEST
        index = np.argwhere(found) + low
        what, remedy = f"a lesion of {self.diameter:g} mm at {self._place}", "move --at, or lower --diameter"
        if not len(index):
            smallest = f"has fewer than {SMALLEST} voxels in each slice of {self.source.name}"
            raise ConfigError(f"{what} {smallest}", "raise --diameter")
        if (index < 0).any() or (index >= shape).any():
            raise DataError(f"{what} reaches outside {self.source.name}", remedy)
        lesion = np.zeros(self.values.shape, bool)
        lesion[tuple(index.T)] = True
        if (self.values[lesion] < AIR_HU).any():
            raise DataError(f"{what} reaches into air, lung or gas, or out of the body", remedy)
        if not LIVER_HU[0] <= (found_hu := float(np.median(self.values[lesion]))) <= LIVER_HU[1]:
            raise DataError(f"the tissue at {self._place} has {found_hu:.0f} HU, which is no liver", "move --at")
        return lesion

    @property
    def _place(self) -> str:
        return ",".join(f"{each:g}" for each in self.at)

    def _pixels(self, roi: Roi) -> list[NDArray[np.float64]]:
        """Voxel indices in RAS of the pixels of a patch."""
        local, side = np.linalg.inv(self._ras) @ roi.affine, len(roi.values)
        pixels = np.meshgrid(np.arange(side), np.arange(side), indexing="ij")
        flat = np.zeros((side, side))
        return [local[axis, axis] * (pixels[axis] if axis < 2 else flat) + local[axis, 3] for axis in range(3)]

    def drawn(self, patches: Sequence[NDArray]) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Volume with the lesion in HU, and its mask, both (X, Y, Z) as stored; outside the holes nothing changes.

        Args:
            patches: (H, W) in the network's HU, one of each slice.
        """
        volume = self.values.copy()
        for roi, hole, patch in zip(self.rois, self._holes, patches, strict=True):
            local, side = np.linalg.inv(self._ras) @ roi.affine, len(patch)
            pixel, first = local.diagonal()[:2], local[:2, 3]
            low = np.maximum(np.ceil(first), 0).astype(int)
            high = np.minimum(np.floor(first + pixel * (side - 1)).astype(int) + 1, volume.shape[:2])
            box = np.s_[low[0] : high[0], low[1] : high[1], roi.slice]
            ranges = [(np.arange(low[axis], high[axis]) - first[axis]) / pixel[axis] for axis in (0, 1)]
            grid = np.meshgrid(*ranges, indexing="ij")
            smooth = ndimage.gaussian_filter(patch / self.scale, np.maximum(1 / pixel - 1, 0) / 2)
            made = ndimage.map_coordinates(smooth, grid, order=3, mode="nearest")
            share = ndimage.map_coordinates(hole.astype(np.float64), grid, order=1)
            old = volume[box]
            volume[box] = np.where(share > 0, old + share * (made - old), old)
        back = nib.orientations.ornt_transform(nib.orientations.axcodes2ornt("RAS"), self._turn)
        stored = [nib.orientations.apply_orientation(each, back) for each in (volume, self.lesion.astype(np.uint8))]
        return stored[0], stored[1]


class DrawingExporter:
    """Handler that writes the CT with the lesion, the lesion's mask, and a JSON file about both.

    ``<case>_<class>.nii.gz`` is on the grid of the source, and equal to it outside the patches;
    ``<case>_<class>_mask.nii.gz`` is 1 inside the lesion. ``manifest.json`` lists both.

    Args:
        output_dir: folder of the files.
        drawing: the lesion.
        bundle: name and version.
        weights: file whose hash is recorded.
        overwrite: replace files that exist.
    """

    def __init__(self, output_dir: str, drawing: Drawing, bundle: str, weights: str, overwrite: bool = False) -> None:
        self.output_dir = Path(output_dir)
        self.drawing = drawing
        self.bundle = bundle
        self.weights = Path(weights)
        self.overwrite = overwrite
        stem = self.output_dir / f"{drawing.case}_{drawing.name}"
        self.volume, self.mask, self.about = (Path(f"{stem}{end}") for end in (".nii.gz", "_mask.nii.gz", ".json"))
        self._made: list[NDArray] = []

    def attach(self, engine: Engine) -> None:
        """Collect the slices after the postprocessing of each batch; write at the end."""
        engine.add_event_handler(Events.STARTED, self.require_ready)
        engine.add_event_handler(IterationEvents.MODEL_COMPLETED, self)
        engine.add_event_handler(Events.COMPLETED, self.write)

    def require_ready(self, engine: Engine) -> None:
        """Refuse other weights, and outputs that must not be written, before anything is computed.

        Raises:
            CheckpointError: the weights are not of an inpainting network.
            OutputError: a file exists and ``overwrite`` is off, is a folder, or an input.
        """
        if not isinstance(engine.network, Inpainter):  # type: ignore[attr-defined]
            fault = f"{self.weights} draw patches from noise alone"
            raise CheckpointError(fault, "pass --weights of a training with --overlay inpaint")
        self._made = []
        files, inputs = [self.volume, self.mask, self.about], [self.weights, self.drawing.source]
        require_free(files, self.output_dir, inputs, self.overwrite)

    def __call__(self, engine: Engine) -> None:
        """Keep the patches of the engine's batch, (1, H, W) each, in HU."""
        output: Any = engine.state.output
        self._made += [convert_to_numpy(item["pred"])[0] for item in output]

    def write(self, engine: Engine) -> None:
        """Write all files, each atomically."""
        drawing = self.drawing
        volume, mask = drawing.drawn(self._made)
        whole = (drawing.values == np.rint(drawing.values)).all() and np.abs(drawing.values).max() < 2**15
        description = f"SYNTHETIC {drawing.name} by {self.bundle}, not for clinical use"
        for values, path, dtype in ((volume, self.volume, "int16" if whole else "float32"), (mask, self.mask, "uint8")):
            if drawing.source.name.lower().endswith(NIFTI):
                save_like(drawing.source, values, path, dtype, description)
            else:
                save_on(drawing.affine, values, path, dtype, description)
        about = {
            "SyntheticData": True,
            "NotForClinicalUse": True,
            "Bundle": self.bundle,
            "WeightsSha256": checkpoints.sha256(self.weights),
            "Class": drawing.name,
            "PositionRasMm": list(drawing.at),
            "DiameterMm": drawing.diameter,
            "Slices": len(drawing.rois),
            "Seed": drawing.seed,
            "Unit": "HU",
        }
        write_text(self.about, json.dumps(about, indent=2) + "\n")
        listed = [{"case": drawing.case, "status": "done", "file": path.name} for path in (self.volume, self.mask)]
        write_text(self.output_dir / MANIFEST_NAME, json.dumps(listed, indent=2) + "\n")
        logger.info(f"a {drawing.name} in {len(drawing.rois)} slices written to {self.volume}")
