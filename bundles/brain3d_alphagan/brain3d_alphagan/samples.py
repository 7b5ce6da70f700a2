"""Export of synthetic brains: a volume each with its JSON, and their middle slices as one picture."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine, Events
from monai.engines.utils import IterationEvents
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from brain3d_alphagan.networks import SIDE
from common.data.datalist import Item
from common.files import write_text, write_whole
from common.io.export.image_grid import tiled, to_grey
from common.io.export.nifti import save_on
from common.io.export.outputs import MANIFEST_NAME, require_distinct, require_free
from common.io.stored_values import require_dtype
from common.weights import checkpoints

logger = logging.getLogger(__name__)
PICTURE = "samples.png"


def middle_slices(volumes: Tensor) -> Tensor:
    """Axial, coronal and sagittal slice through the middle of volumes (N, 1, S, S, S), (N, 3, S, S)."""
    half = volumes.shape[2] // 2
    return torch.cat([volumes[..., half], volumes[:, :, :, half], volumes[:, :, half]], dim=1)


def picture(volumes: np.ndarray, window: Sequence[float]) -> Image.Image:
    """Middle slices of volumes (N, S, S, S), a volume a column."""
    slices = middle_slices(torch.from_numpy(volumes)[:, None]).transpose(0, 1).flatten(0, 1)
    return Image.fromarray(to_grey(tiled(slices.numpy(), len(volumes)), window))


class BrainExporter:
    """Handler that writes each synthetic brain as ``<case>_synthetic_t1.nii.gz`` with a JSON file, and a picture.

    Samples lie on a grid of their own, whose middle is the origin; reconstructions on that of their preprocessed
    source. The header of each says that it is synthetic.

    Args:
        output_dir: folder of the files; ``manifest.json`` lists the volumes.
        data: see :func:`brain3d_alphagan.latent.items_of`.
        spacing: of a voxel in mm.
        window: intensities of the picture.
        bundle: name and version.
        weights: file whose hash is recorded.
        dtype: stored type.
        overwrite: replace files that exist.
    """

    def __init__(
        self,
        output_dir: str,
        data: Sequence[Item],
        spacing: float,
        window: Sequence[float],
        bundle: str,
        weights: str,
        dtype: str = "float32",
        overwrite: bool = False,
    ) -> None:
        require_dtype(dtype)
        self.output_dir, self.weights = Path(output_dir), Path(weights)
        self.data, self.window, self.bundle, self.dtype, self.overwrite = data, window, bundle, dtype, overwrite
        self.affine = np.diag([spacing] * 3 + [1.0])
        self.affine[:3, 3] = -spacing * (SIDE - 1) / 2
        self._made: list[np.ndarray] = []

    def attach(self, engine: Engine) -> None:
        """Write samples after the postprocessing of each batch, the picture at the end."""
        engine.add_event_handler(Events.STARTED, self.require_free)
        engine.add_event_handler(IterationEvents.MODEL_COMPLETED, self)
        engine.add_event_handler(Events.COMPLETED, self.finish)

    def file(self, item: Item, end: str = ".nii.gz") -> Path:
        """The file of an item."""
        return self.output_dir / f"{item['case']}_synthetic_t1{end}"

    def require_free(self, engine: Engine) -> None:
        """Refuse outputs that must not be written, before anything is computed.

        Raises:
            OutputError: a file exists and ``overwrite`` is off, or is an input of the run.
        """
        self._made = []
        files = [self.file(item, end) for item in self.data for end in (".nii.gz", ".json")]
        files.append(self.output_dir / PICTURE)
        require_distinct(files)
        inputs = [Path(item["image"]) for item in self.data if isinstance(item.get("image"), str)]
        require_free(files, self.output_dir, [self.weights, *inputs], self.overwrite)

    def __call__(self, engine: Engine) -> None:
        """Write the samples of the engine's batch, (1, 64, 64, 64) each."""
        output: Any = engine.state.output
        for one in output:
            item = self.data[len(self._made)]
            values = np.asarray(one["pred"][0].cpu(), dtype=np.float32)
            affine = self.affine if "seed" in item else np.asarray(one["image"].affine, dtype=float)
            save_on(affine, values, self.file(item), self.dtype, f"SYNTHETIC {self.bundle}, not for clinical use")
            write_text(self.file(item, ".json"), json.dumps(self._about(item), indent=2) + "\n")
            self._made.append(values)

    def _about(self, item: Item) -> dict[str, Any]:
        origin = {"Seed": item["seed"]} if "seed" in item else {"ReconstructionOf": Path(str(item["image"])).name}
        if "seed_to" in item:
            origin |= {"SeedTo": item["seed_to"], "Fraction": item["fraction"]}
        sha256 = checkpoints.sha256(self.weights)
        return {
            "SyntheticData": True, "NotForClinicalUse": True, "Bundle": self.bundle, "WeightsSha256": sha256,
            "Modality": "MR", "Unit": "brightness relative to the brain's 99.5th percentile", **origin,
        }  # fmt: skip

    def finish(self, engine: Engine) -> None:
        """Write picture and manifest."""
        text = PngInfo()
        text.add_text("Description", f"SYNTHETIC {self.bundle}, not for clinical use")
        shown = picture(np.stack(self._made), self.window)
        write_whole(self.output_dir / PICTURE, lambda temporary: shown.save(temporary, "PNG", pnginfo=text))
        listed = [{"case": str(item["case"]), "file": self.file(item).name} for item in self.data]
        write_text(self.output_dir / MANIFEST_NAME, json.dumps(listed, indent=2) + "\n")
        logger.info(f"{len(self._made)} synthetic brains written to {self.output_dir}")
