"""A training from Python, in a process of its own."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from medical_image_synthesis.catalogue import Bundle


class Run(NamedTuple):
    """A training that is done: its bundle and folder."""

    bundle: Bundle
    folder: Path

    @property
    def weights(self) -> Path:
        """Those that it trained."""
        return self.folder / "models" / "model.pt"
