"""Export of synthetic patches: stacks in HU with labels and seeds, and images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from ignite.engine import Engine
from monai.utils import convert_to_numpy
from PIL import Image

from common.errors import ConfigError
from common.files import require_file_name, write_whole
from common.io.export import DESCRIPTION_LENGTH
from common.io.export.image_grid import tiled, to_grey
from common.io.export.samples import SampleWriter
from common.io.stored_values import to_stored

ENDS = (".png", ".nii.gz", ".json")
GRID_SAMPLES = 400
"""Largest number of patches in an image; the stacks hold all."""


class SampleExporter(SampleWriter):
    """Handler that writes the samples of a run at its end, by class.

    ``<class>_synthetic.png`` is an 8-bit grid over the window; ``<class>_synthetic.nii.gz`` a stack (H, W, N) with the
    seeds in a JSON file next to it. ``manifest.json`` lists the files.

    Args:
        classes: names in order.
        unit: of the values.
        dtype: stored type.
        **settings: see :class:`common.io.export.samples.SampleWriter`.
    """

    def __init__(self, classes: Sequence[str], unit: str, dtype: str = "int16", **settings: Any) -> None:
        super().__init__(dtype=dtype, **settings)
        self.classes, self.unit = list(classes), unit

    def files(self) -> list[Path]:
        """All files of the run except the manifest.

        Raises:
            ConfigError: for a class whose name cannot be that of a file.
        """
        return [self._file(name, end) for name in self.classes for end in ENDS]

    def _file(self, name: str, end: str) -> Path:
        require_file_name(name, "--classes", f"_synthetic{end}", ConfigError)
        return self.output_dir / f"{name}_synthetic{end}"

    def kept(self, output: Mapping[str, Any], item: Mapping[str, Any]) -> np.ndarray:
        """A patch (H, W) in the stored type."""
        return to_stored(convert_to_numpy(output["pred"])[0], self.dtype, str(item["case"]))

    def write(self, engine: Engine) -> None:
        """Write all files, each atomically."""
        for k, name in enumerate(self.classes):
            own = [number for number, item in enumerate(self.data) if item["label"] == k]
            images = np.stack([self._made[number] for number in own])
            grid = to_grey(tiled(images[:GRID_SAMPLES]), self.window)
            self.write_picture(self._file(name, ".png"), Image.fromarray(grid))
            stack = nib.Nifti1Image(np.moveaxis(images, 0, 2), np.eye(4))
            stack.header["descrip"] = self.description[:DESCRIPTION_LENGTH].encode("ascii", "replace")
            write_whole(self._file(name, ".nii.gz"), partial(nib.save, stack))
            seeds = [self.data[number]["seed"] for number in own]
            about = {"Class": name, "Unit": self.unit, "Window": list(self.window), "Seeds": seeds}
            self.write_about(self._file(name, ".json"), **about)
        each = len(self._made) // len(self.classes)
        self.write_manifest([{"file": path.name, "samples": each} for path in self.files()], "patches")
