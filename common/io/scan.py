"""A volume as it was read."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from pydicom.dataset import Dataset

from ..errors import Finding


@dataclass(frozen=True)
class Scan:
    """Values float32 (X, Y, Z) or (C, X, Y, Z), affine (4, 4) to RAS mm, and warnings.

    Of a DICOM series, whose X, Y and Z run along columns, rows and slices, also its SeriesInstanceUID, its unit where
    headers give it (HU of CT, SUV or the stored unit of PET), its modality, and the ``headers`` of its slices, see
    :func:`common.io.dicom.reading.series.source_headers`.
    """

    values: np.ndarray
    affine: np.ndarray
    warnings: tuple[Finding, ...] = ()
    series_uid: str | None = None
    unit: str | None = None
    modality: str | None = None
    headers: list[Dataset] = field(default_factory=list, repr=False)
