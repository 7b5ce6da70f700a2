"""A synthetic volume with its source and grid."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from monai.utils import MetaKeys, convert_to_numpy

from ..dicom.writing.template import MapOf
from ..reader import WARNINGS
from .verdicts import QUALITY


@dataclass(frozen=True)
class OutputVolume:
    """The output of one case on the grid of its source.

    ``values`` (X, Y, Z), or (X, Y, 1, 3) of a picture in colour, are in the target's unit, ``affine`` (4, 4) maps to
    RAS mm; ``source`` is the file, or the folder with the DICOM series ``series_uid``, that the first channel was read
    from. ``warnings`` are about the input. ``map_of`` is given where the values are interval half-widths around a
    derived series; ``quality`` is the verdict, a mapping as in the manifest.
    """

    case: str
    values: np.ndarray
    affine: np.ndarray
    source: Path
    series_uid: str | None
    warnings: tuple[str, ...] = ()
    map_of: MapOf | None = None
    quality: Mapping[str, Any] | None = None

    @property
    def is_series(self) -> bool:
        """Whether the source is a DICOM series."""
        return self.series_uid is not None

    @property
    def is_nifti(self) -> bool:
        """Whether the source is a NIfTI file, whose header fields of the grid can be copied to the bit."""
        return not self.is_series and self.source.name.lower().endswith((".nii", ".nii.gz"))

    @property
    def source_name(self) -> str:
        """A name of the source without patient data: folder names of series may contain some."""
        if self.series_uid is None:
            return self.source.name
        if re.fullmatch(r"[0-9.]{1,64}", self.series_uid):
            return f"series {self.series_uid}"
        return f"series with an invalid UID, sha256 {hashlib.sha256(self.series_uid.encode()).hexdigest()[:12]}"


def volume_of(item: Mapping[str, Any], values: np.ndarray) -> OutputVolume:
    """The output of a case from its loaded item.

    Args:
        item: with ``case``, the loaded ``image`` and, where there are any, ``warnings`` and ``quality``.
        values: (X, Y, Z) in the target's unit, or (X, Y, 1, 3).
    """
    meta = item["image"].meta
    affine = np.asarray(convert_to_numpy(meta[MetaKeys.ORIGINAL_AFFINE]), dtype=float)
    return OutputVolume(
        str(item["case"]),
        values,
        affine,
        Path(meta["filename_or_obj"]),
        meta.get("series_uid"),
        tuple(item.get(WARNINGS, ())),
        quality=item.get(QUALITY),
    )
