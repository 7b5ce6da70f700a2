"""Export of synthetic brains: a volume each with its JSON, and their middle slices as one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine
from PIL import Image
from torch import Tensor

from brain3d_alphagan.networks import SIDE
from common.io.export.image_grid import tiled, to_grey
from common.io.export.nifti import save_on
from common.io.export.samples import SampleWriter

PICTURE = "samples.png"


def middle_slices(volumes: Tensor) -> Tensor:
    """Axial, coronal and sagittal slice through the middle of volumes (N, 1, S, S, S), (N, 3, S, S)."""
    half = volumes.shape[2] // 2
    return torch.cat([volumes[..., half], volumes[:, :, :, half], volumes[:, :, half]], dim=1)


def picture(volumes: np.ndarray, window: Sequence[float]) -> Image.Image:
    """Middle slices of volumes (N, S, S, S), a volume a column."""
    slices = middle_slices(torch.from_numpy(volumes)[:, None]).transpose(0, 1).flatten(0, 1)
    return Image.fromarray(to_grey(tiled(slices.numpy(), len(volumes)), window))


class BrainExporter(SampleWriter):
    """Handler that writes each synthetic brain as ``<case>_synthetic_t1.nii.gz`` with a JSON file, and a picture.

    Samples lie on a grid of their own, whose middle is the origin; reconstructions on that of their preprocessed
    source. The header of each says that it is synthetic; ``manifest.json`` lists the volumes.

    Args:
        spacing: of a voxel in mm.
        dtype: stored type.
        **settings: see :class:`common.io.export.samples.SampleWriter`; ``data`` of
            :func:`brain3d_alphagan.latent.items_of`.
    """

    def __init__(self, spacing: float, dtype: str = "float32", **settings: Any) -> None:
        super().__init__(dtype=dtype, **settings)
        self.affine = np.diag([spacing] * 3 + [1.0])
        self.affine[:3, 3] = -spacing * (SIDE - 1) / 2

    def file(self, item: Mapping[str, Any], end: str = ".nii.gz") -> Path:
        """The file of an item."""
        return self.output_dir / f"{item['case']}_synthetic_t1{end}"

    def files(self) -> list[Path]:
        """All files of the run except the manifest."""
        files = [self.file(item, end) for item in self.data for end in (".nii.gz", ".json")]
        return [*files, self.output_dir / PICTURE]

    def kept(self, output: Mapping[str, Any], item: Mapping[str, Any]) -> np.ndarray:
        """A volume (64, 64, 64), which is written at once."""
        values = np.asarray(output["pred"][0].cpu(), dtype=np.float32)
        affine = self.affine if "seed" in item else np.asarray(output["image"].affine, dtype=float)
        save_on(affine, values, self.file(item), self.dtype, self.description)
        origin = {"Seed": item["seed"]} if "seed" in item else {"ReconstructionOf": Path(str(item["image"])).name}
        unit = "brightness relative to the brain's 99.5th percentile"
        self.write_about(self.file(item, ".json"), Modality="MR", Unit=unit, **origin)
        return values

    def write(self, engine: Engine) -> None:
        """Write picture and manifest."""
        self.write_picture(self.output_dir / PICTURE, picture(np.stack(self._made), self.window))
        self.write_manifest([{"case": str(item["case"]), "file": self.file(item).name} for item in self.data], "brains")
