"""Refusal of scans with so little noise that the weights would blur them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from common.io import VolumeReader
from common.io.dicom.reading.geometry import RESAMPLED
from common.io.reader import WARNINGS
from common.trust.source_limit import SourceLimit
from ldct_wgan_vgg.classical import noise_level

LEAST = "least_noise_hu"
"""Key of the JSON file of weights: the noise below which they are no better than the scan itself."""


class NoiseCheck(SourceLimit):
    """Refuses cases with less noise than the weights name.

    Args:
        weights: the file in use.
        window: HU that are -1 and 1.
        reader: of the scans; the noise of a series whose slices were resampled, which smooths them, is that before.
    """

    def __init__(self, weights: str, window: Sequence[float], reader: VolumeReader | None = None) -> None:
        super().__init__(weights, LEAST, 1, "use the scan as it is")
        self.low, self.high = window
        self.reader = reader or VolumeReader()

    def fault(self, image: NDArray[Any], meta: Mapping[str, Any]) -> str | None:
        """That there is too little noise in the first channel."""
        (least,) = self.limit
        if any(fault in str(meta.get(WARNINGS, "")) for fault in RESAMPLED):
            folder = Path(meta["filename_or_obj"])
            found = noise_level(self.reader.as_scanned(folder, folder.name, meta.get("series_uid")))
        else:
            found = noise_level((image[0] + 1) / 2 * (self.high - self.low) + self.low)
        if found >= least:
            return None
        return f"noise of {found:.1f} HU, below the {least:g} HU from which these weights gain"
