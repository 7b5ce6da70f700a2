"""Export of synthetic patches: stacks in HU with labels and seeds, and images; each file is marked as synthetic."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from ignite.engine import Engine, Events
from monai.engines.utils import IterationEvents
from monai.utils import convert_to_numpy
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from common.errors import ConfigError
from common.files import require_file_name, write_text, write_whole
from common.io.export import DESCRIPTION_LENGTH
from common.io.export.image_grid import tiled, to_grey
from common.io.export.outputs import MANIFEST_NAME, require_distinct, require_free
from common.io.stored_values import require_dtype, to_stored
from common.weights import checkpoints

logger = logging.getLogger(__name__)
ENDS = (".png", ".nii.gz", ".json")
GRID_SAMPLES = 400
"""Largest number of patches in an image; the stacks hold all."""


class SampleExporter:
    """Handler that collects the samples of a run and writes them at its end, by class.

    ``<class>_synthetic.png`` is an 8-bit grid over the window; ``<class>_synthetic.nii.gz`` a stack (H, W, N) with the
    seeds in a JSON file next to it. ``manifest.json`` lists the files. Interpolated samples are one row in the image,
    and have two seeds.

    Args:
        output_dir: folder of the files.
        data: the samples; see :func:`common.data.sample_requests.requests`.
        classes: names in order.
        window: (low, high) in the unit, black and white of the images.
        unit: of the values.
        bundle: name and version.
        weights: file whose hash is recorded.
        dtype: stored type.
        overwrite: replace files that exist.

    Raises:
        ConfigError: another stored type than those of files.
    """

    def __init__(
        self,
        output_dir: str,
        data: Sequence[Mapping[str, Any]],
        classes: Sequence[str],
        window: Sequence[float],
        unit: str,
        bundle: str,
        weights: str,
        dtype: str = "int16",
        overwrite: bool = False,
    ) -> None:
        require_dtype(dtype)
        self.output_dir, self.weights = Path(output_dir), Path(weights)
        self.data, self.classes, self.window, self.unit = data, list(classes), window, unit
        self.bundle, self.dtype, self.overwrite = bundle, dtype, overwrite
        self._made: list[np.ndarray] = []

    @property
    def description(self) -> str:
        """Description stored in every file."""
        return f"SYNTHETIC {self.bundle}, not for clinical use"

    def attach(self, engine: Engine) -> None:
        """Collect samples after the postprocessing of each batch; write at the end."""
        engine.add_event_handler(Events.STARTED, self.require_free)
        engine.add_event_handler(IterationEvents.MODEL_COMPLETED, self)
        engine.add_event_handler(Events.COMPLETED, self.write)

    def files(self) -> list[Path]:
        """All files of the run except the manifest.

        Raises:
            ConfigError: for a class whose name cannot be that of a file.
        """
        return [self._file(name, end) for name in self.classes for end in ENDS]

    def _file(self, name: str, end: str) -> Path:
        require_file_name(name, "--classes", f"_synthetic{end}", ConfigError)
        return self.output_dir / f"{name}_synthetic{end}"

    def require_free(self, engine: Engine) -> None:
        """Refuse outputs that must not be written, before anything is computed.

        Raises:
            ConfigError: for a class whose name cannot be that of a file.
            OutputError: a file exists and ``overwrite`` is off, is a folder, the weights or that of another class.
        """
        self._made = []
        files = self.files()
        require_distinct(files)
        require_free(files, self.output_dir, [self.weights], self.overwrite)

    def __call__(self, engine: Engine) -> None:
        """Keep the samples of the engine's batch, (1, H, W) each, in the stored type."""
        output: Any = engine.state.output
        for item in output:
            number = len(self._made)
            values = convert_to_numpy(item["pred"])[0]
            self._made.append(to_stored(values, self.dtype, str(self.data[number]["case"])))

    def write(self, engine: Engine) -> None:
        """Write all files, each atomically."""
        images = np.stack(self._made)
        labels = np.array([item["label"] for item in self.data])
        seeds = np.array([[item["seed"], item["seed_to"]] if "seed_to" in item else item["seed"] for item in self.data])
        for k, name in enumerate(self.classes):
            own = labels == k
            self._write_png(self._file(name, ".png"), images[own][:GRID_SAMPLES])
            self._write_nifti(name, images[own], seeds[own])
        listed = [{"file": path.name, "samples": len(images) // len(self.classes)} for path in self.files()]
        write_text(self.output_dir / MANIFEST_NAME, json.dumps(listed, indent=2) + "\n")
        logger.info(f"{len(images)} synthetic patches written to {self.output_dir}")

    def _write_png(self, path: Path, images: np.ndarray) -> None:
        text = PngInfo()
        text.add_text("Description", self.description)
        columns = len(images) if "seed_to" in self.data[0] else None
        picture = Image.fromarray(to_grey(tiled(images, columns), self.window))
        write_whole(path, lambda temporary: picture.save(temporary, "PNG", pnginfo=text))

    def _write_nifti(self, name: str, images: np.ndarray, seeds: np.ndarray) -> None:
        stack = nib.Nifti1Image(np.moveaxis(images, 0, 2), np.eye(4))
        stack.header["descrip"] = self.description[:DESCRIPTION_LENGTH].encode("ascii", "replace")
        write_whole(self._file(name, ".nii.gz"), lambda temporary: nib.save(stack, temporary))
        about = {
            "SyntheticData": True,
            "NotForClinicalUse": True,
            "Bundle": self.bundle,
            "WeightsSha256": checkpoints.sha256(self.weights),
            "Class": name,
            "Unit": self.unit,
            "Window": list(self.window),
            "Seeds": seeds.tolist(),
        }
        write_text(self._file(name, ".json"), json.dumps(about, indent=2) + "\n")
