"""DICOM output: each synthetic volume as a folder with a derived series."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from ...errors import ConfigError, DataError, choose
from ...files import require_own_folder, write_whole_folder
from ...weights import checkpoints
from ...weights.info import origin
from ..dicom.writing.derived import derived_slices, is_derived_series, write_slices
from ..dicom.writing.source_reference import SourceReference, reference_of_file, reference_of_series
from ..dicom.writing.stored_pixels import TO_PIXELS
from ..dicom.writing.template import Synthesis
from ..nifti.reading import read_header
from ..reader import VolumeReader
from .verdicts import in_words
from .volume import OutputVolume

BYTES_PER_VOXEL = 2


class DicomFormat:
    """Writes a volume as a folder of classic single-frame slices, ``IM0001.dcm`` and so on.

    Args:
        modality: of the target: ``CT``, ``MR`` or ``PT``; of pictures, which are not written so, any.
        unit: of the values.
        bundle: name and version.
        weights: file whose hash is written into the header.
        dicom_axial: write the orientation closest to axial instead of that of the source series; for a NIfTI source
            this is always so.
        timing: (repetition, echo) times in ms of the sequence that an MR target represents, where known.
        reader: that has read the sources.
        same_scan: the target is the source with less noise or contrast, whose voltage and kernel hold for it.

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
        same_scan: bool = False,
    ) -> None:
        if modality not in TO_PIXELS and not (reader and reader.pictures):
            raise ConfigError(f"--output::modality is {modality!r}", choose(TO_PIXELS))
        if timing is not None and not _are_times(timing):
            remedy = "pass [repetition, echo] in ms, or null if unknown"
            raise ConfigError(f"--timing is {timing!r}, not two positive numbers", remedy)
        self.modality = modality
        self.unit = unit
        self.bundle = bundle
        self.weights = weights
        self.dicom_axial = dicom_axial
        self.timing = None if timing is None else (float(timing[0]), float(timing[1]))
        self.reader = reader or VolumeReader()
        self.same_scan = same_scan

    def least_bytes(self, source: Path) -> int:
        """Lower limit of the output size of a case in bytes; 0 where it is unknown before the source is read."""
        try:
            return BYTES_PER_VOXEL * math.prod(read_header(source, source.name).shape)
        except DataError:  # a case that will fail by itself, a series, a MetaImage or NRRD
            return 0

    def require_replaceable(self, path: Path) -> None:
        """Refuse to replace anything but an empty folder or a synthetic series of this project.

        Raises:
            OutputError: as :func:`common.files.require_own_folder`.
        """
        require_own_folder(path, is_derived_series)

    def write(self, volume: OutputVolume, path: Path) -> dict[str, Any]:
        """Write one volume as the folder ``path`` and return further entries of its sidecar.

        Raises:
            OutputError: for a value that is not finite, axes that are not at right angles, a folder that cannot be
                written, or one that this project did not write.
        """
        synthesis = Synthesis(
            self.modality,
            self.unit,
            self.bundle,
            checkpoints.sha256(self.weights),
            datetime.now(),
            self.timing,
            origin(self.weights),
            volume.warnings,
            map_of=volume.map_of,
            verdict=None if volume.quality is None else volume.quality["verdict"],
            quality=None if volume.quality is None else in_words(volume.quality),
            same_scan=self.same_scan,
        )
        axial = self.dicom_axial or not volume.is_series
        slices, pixels = derived_slices(
            volume.values, volume.affine, self._source_reference(volume), synthesis, axial, volume.case
        )
        write_whole_folder(path, lambda folder: write_slices(slices, folder), is_derived_series)
        return {"SeriesInstanceUID": str(slices[0].SeriesInstanceUID), "UnitPerStoredStep": pixels.unit_per_step}

    def _source_reference(self, volume: OutputVolume) -> SourceReference:
        if not volume.is_series:
            return reference_of_file(volume.source)
        return reference_of_series(self.reader.headers(volume.source, volume.case, volume.series_uid), volume.case)


def _are_times(timing: Sequence[float]) -> bool:
    if not isinstance(timing, list | tuple) or len(timing) != 2:
        return False
    return all(isinstance(time, int | float) and 0 < time < math.inf for time in timing)
