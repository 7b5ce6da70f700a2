"""Synthetic volumes as derived DICOM series, a folder each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from common import checkpoints
from common.errors import ConfigError, DataError
from common.files import write_whole_folder
from common.io.dicom.writing.derived import derived_slices, write_slices
from common.io.dicom.writing.origin import Origin, from_nifti, from_series
from common.io.dicom.writing.stored_pixels import TO_PIXELS
from common.io.dicom.writing.template import Synthesis
from common.io.export.volume import Volume
from common.io.nifti.reading import read_header
from common.io.reader import VolumeReader

BYTES_PER_VOXEL = 2


class DicomFormat:
    """Volumes as a folder of classic single-frame slices, ``IM0001.dcm`` and so on.

    Args:
        modality: of the target: ``CT``, ``MR`` or ``PT``.
        unit: of the values.
        bundle: name and version.
        weights: file whose hash is written down.
        dicom_axial: write slices closest to axial also where the source's are not; those of a NIfTI source always are.
        timing: (repetition, echo) times in ms of the sequence that an MR target stands for, where they are known.
        reader: with which the sources were read.

    Raises:
        ConfigError: for another modality, or times that are not two positive numbers.
    """

    suffix = ""

    def __init__(
        self,
        modality: str,
        unit: str,
        bundle: str,
        weights: Path,
        dicom_axial: bool = False,
        timing: Sequence[float] | None = None,
        reader: VolumeReader | None = None,
    ) -> None:
        if modality not in TO_PIXELS:
            raise ConfigError("modality", f"is one of {', '.join(TO_PIXELS)}", repr(modality), "choose one of them")
        if timing is not None and not _are_times(timing):
            remedy = "give [repetition, echo] in ms, or null where they are not known"
            raise ConfigError("timing", "is two positive numbers", repr(timing), remedy)
        self.modality = modality
        self.unit = unit
        self.bundle = bundle
        self.weights = weights
        self.dicom_axial = dicom_axial
        self.timing = None if timing is None else (float(timing[0]), float(timing[1]))
        self.reader = reader or VolumeReader()

    def least_bytes(self, source: Path) -> int:
        """What the slices of a case need at least; 0 where its source cannot tell before it is read."""
        try:
            return BYTES_PER_VOXEL * math.prod(read_header(source, source.name).shape)
        except DataError:  # that case will fail alone, or is a series
            return 0

    def write(self, volume: Volume, path: Path) -> dict[str, Any]:
        """Write one volume as the folder ``path`` and return what its sidecar should say besides.

        Raises:
            OutputError: for a value that is not finite, axes that are not at right angles, or a folder that cannot be
                written.
        """
        synthesis = Synthesis(
            self.modality,
            self.unit,
            self.bundle,
            checkpoints.sha256(self.weights),
            datetime.now(),
            self.timing,
        )
        axial = self.dicom_axial or not volume.is_series
        slices, pixels = derived_slices(
            volume.values, volume.affine, self._origin(volume), synthesis, axial, volume.case
        )
        write_whole_folder(path, lambda folder: write_slices(slices, folder))
        return {
            "Modality": self.modality,
            "SeriesInstanceUID": str(slices[0].SeriesInstanceUID),
            "UnitPerStoredStep": pixels.unit_per_step,
        }

    def _origin(self, volume: Volume) -> Origin:
        if not volume.is_series:
            return from_nifti(volume.source)
        return from_series(self.reader.headers(volume.source, volume.case, volume.series_uid), volume.case)


def _are_times(timing: Sequence[float]) -> bool:
    if not isinstance(timing, list | tuple) or len(timing) != 2:
        return False
    return all(isinstance(time, int | float) and 0 < time < math.inf for time in timing)
