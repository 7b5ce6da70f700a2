"""Export of images that have no source; each file says that it is synthetic."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ignite.engine import Engine, Events
from monai.engines.utils import IterationEvents
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ...files import write_text, write_whole
from ...weights import checkpoints
from ..stored_values import require_dtype
from .outputs import MANIFEST_NAME, require_distinct, require_free

logger = logging.getLogger(__name__)


class SampleWriter:
    """Handler that collects the samples of a run; bundles say by :meth:`files`, :meth:`kept` and :meth:`write` which
    files they are written to.

    Args:
        output_dir: folder of the files.
        data: the samples; see :func:`common.data.sample_requests.requests`.
        window: (low, high), black and white of pictures.
        bundle: name and version.
        weights: file whose hash is recorded.
        dtype: stored type.
        overwrite: replace files that exist.

    Raises:
        ConfigError: another stored type than those of files.
    """

    def __init__(
        self, output_dir: str, data: Sequence[Mapping[str, Any]], window: Sequence[float], bundle: str, weights: str,
        dtype: str, overwrite: bool = False,
    ) -> None:  # fmt: skip
        require_dtype(dtype)
        self.output_dir, self.weights, self.data = Path(output_dir), Path(weights), data
        self.window, self.bundle, self.dtype, self.overwrite = window, bundle, dtype, overwrite
        self.description = f"SYNTHETIC {bundle}, not for clinical use"
        self._made: list[np.ndarray] = []

    def attach(self, engine: Engine) -> None:
        """Take samples after the postprocessing of each batch; write at the end."""
        engine.add_event_handler(Events.STARTED, self.require_free)
        engine.add_event_handler(IterationEvents.MODEL_COMPLETED, self)
        engine.add_event_handler(Events.COMPLETED, self.write)

    def files(self) -> list[Path]:
        """All files of the run except the manifest."""
        raise NotImplementedError

    def kept(self, output: Mapping[str, Any], item: Mapping[str, Any]) -> np.ndarray:
        """What is kept of the output for an item of the data until the end."""
        raise NotImplementedError

    def write(self, engine: Engine) -> None:
        """Write what is written at the end, each file atomically."""
        raise NotImplementedError

    def require_free(self, engine: Engine) -> None:
        """Refuse outputs that must not be written, before anything is computed.

        Raises:
            OutputError: a file exists and ``overwrite`` is off, is a folder, another output or an input of the run.
        """
        self._made = []
        files = self.files()
        require_distinct(files)
        inputs = [Path(item["image"]) for item in self.data if isinstance(item.get("image"), str)]
        require_free(files, self.output_dir, [self.weights, *inputs], self.overwrite)

    def __call__(self, engine: Engine) -> None:
        """Keep the samples of the engine's batch."""
        output: Any = engine.state.output
        for one in output:
            self._made.append(self.kept(one, self.data[len(self._made)]))

    def write_picture(self, path: Path, picture: Image.Image) -> None:
        """Write a PNG file."""
        text = PngInfo()
        text.add_text("Description", self.description)
        write_whole(path, lambda temporary: picture.save(temporary, "PNG", pnginfo=text))

    def write_about(self, path: Path, **own: Any) -> None:
        """Write the JSON file of samples."""
        about = {"SyntheticData": True, "NotForClinicalUse": True, "Bundle": self.bundle}
        about |= {"WeightsSha256": checkpoints.sha256(self.weights), **own}
        write_text(path, json.dumps(about, indent=2) + "\n")

    def write_manifest(self, files: Sequence[Mapping[str, Any]], what: str) -> None:
        """Write the manifest, and log how many samples there are."""
        write_text(self.output_dir / MANIFEST_NAME, json.dumps(files, indent=2) + "\n")
        logger.info(f"{len(self._made)} synthetic {what} written to {self.output_dir}")
