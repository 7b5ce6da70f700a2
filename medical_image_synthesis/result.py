"""A synthetic volume in memory: values with their geometry, unit, verdict and record."""

from __future__ import annotations

import copy
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from common.errors import CheckpointError, DataError, OutputError
from medical_image_synthesis.places import FILES, ending
from medical_image_synthesis.quiet import without_traces

if TYPE_CHECKING:
    import nibabel as nib

    from common.inference.outcomes import KeptCase
    from common.io.export import VolumeExporter


class QualityVerdict(str):
    """``accept``, ``review`` or ``refuse``, with what it says of the case.

    Attributes:
        reasons: in words.
        calibration_mae: median error of the cases that the weights were calibrated on, in ``unit``; None if refused.
        upper_mae: error that a share ``case_level`` of such cases has at most, in ``unit``; None if refused.
        case_level: that share.
        calibrated_on: those cases; None if refused.
        unit: of the errors.
    """

    reasons: tuple[str, ...]
    calibration_mae: float | None
    upper_mae: float | None
    case_level: float
    calibrated_on: str | None
    unit: str

    @classmethod
    def of(cls, quality: Mapping[str, Any]) -> QualityVerdict:
        """That of an entry ``Quality`` of a record."""
        verdict = cls(quality["verdict"])
        verdict.reasons = tuple(quality["reasons"])
        verdict.calibration_mae, verdict.upper_mae = quality.get("calibration_mae"), quality.get("upper_mae")
        verdict.case_level, verdict.unit = quality["case_level"], quality["unit"]
        verdict.calibrated_on = quality.get("calibrated_on")
        return verdict


class VoxelInterval(NamedTuple):
    """Intervals of the voxels: the truth lies within, for a share ``level`` of voxels in ``case_level`` of cases.

    Attributes:
        lower: (X, Y, Z), in the unit of the volume.
        upper: (X, Y, Z), in the unit of the volume.
        half_width: (X, Y, Z), in the unit of the volume.
        level: share of the voxels of a case.
        case_level: share of the cases.
    """

    lower: np.ndarray
    upper: np.ndarray
    half_width: np.ndarray
    level: float
    case_level: float


class SyntheticVolume:
    """A synthetic volume on the grid of its source; research only, not for clinical use.

    Attributes:
        bundle: short name of the bundle that made it.
        name: of the case.
        array: (X, Y, Z), float32, in :attr:`unit`, as a file has it: rounded where the bundle stores integers. Like
            the affine it is for reading: a copy may be changed.
        affine: (4, 4), from voxel indices to RAS mm.
        unit: such as ``HU``.
    """

    def __init__(self, bundle: str, exporter: VolumeExporter, kept: KeptCase) -> None:
        from common.io.export.volume import volume_of
        from common.io.stored_values import to_stored
        from common.weights import checkpoints

        self.bundle = bundle
        self.name = str(kept.item["case"])
        self._exporter = exporter
        self._kept = kept
        self._volume = volume_of(kept.item, kept.values)
        self._weights_sha256 = checkpoints.sha256(exporter.weights)
        self.array = to_stored(kept.values, exporter.dtype, self.name).astype(np.float32, copy=False)
        self.affine = self._volume.affine
        for values in (self.array, self.affine):
            values.flags.writeable = False  # what is saved would not have the change
        self.unit = exporter.unit
        made_from = {"MadeFrom": exporter.provenance.sources_of(self.name)}
        self._record = exporter.about(kept.item, self._volume, made_from, {})

    @property
    def verdict(self) -> QualityVerdict | None:
        """On the case; None for weights without a calibration."""
        quality = self._record["Quality"]
        return None if quality is None else QualityVerdict.of(quality)

    @property
    def interval(self) -> VoxelInterval | None:
        """Of each voxel; None unless the model was loaded with ``uncertainty=True``."""
        if self._kept.widths is None:
            return None
        about, width = self._exporter.about_maps, np.asarray(self._kept.widths)
        values = self._kept.values
        return VoxelInterval(values - width, values + width, width, about["Level"], about["CaseLevel"])

    @property
    def warnings(self) -> tuple[str, ...]:
        """About the source."""
        return self._volume.warnings

    @property
    def record(self) -> dict[str, Any]:
        """What it is and was made from, as the JSON file next to a saved volume says; without hashes of files."""
        return copy.deepcopy(self._record)

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write it with its JSON file, and its map of half-widths where it has intervals, and return the path.

        Args:
            path: of a file, ``.nii.gz``, ``.nrrd`` or ``.mha``, of a picture ``.png`` or ``.tif``; its folder is made.
            overwrite: replace files that exist.

        Raises:
            OutputError: another ending, a file that exists, or a folder that cannot be written.
            DataError: the source, whose header it takes over, was changed or removed since.

        Example::

            import medical_image_synthesis as mis

            mis.load("mr2ct")("T1.nii.gz").save("OUT/ct.nii.gz")
        """
        output = Path(path)
        if not (of_file := ending(output)):
            raise OutputError(f"{output} does not end in {', '.join(FILES)}", "name a file, or use to_dicom")
        if os.path.lexists(output) and not overwrite:
            raise OutputError(f"{output} already exists", "pass overwrite=True, or another path")
        return self._written(output, FILES[of_file], overwrite)

    def to_dicom(
        self,
        folder: str | os.PathLike[str],
        *,
        like: str | os.PathLike[str] | None = None,
        overwrite: bool = False,
    ) -> Path:
        """Write it as a DICOM series, marked as synthetic, and return the folder.

        Args:
            folder: receives the slices; the JSON file, and the map where there is one, lie next to it.
            like: folder of the series whose patient, study and frame of reference it gets; by default the source, if
                that is a series.
            overwrite: replace a synthetic series that exists.

        Raises:
            OutputError: the verdict is ``refuse``, or the folder cannot be written.
            DataError: ``like`` is no series, or lies elsewhere; or the source was changed or removed since.
        """
        if self.verdict == "refuse":
            raise OutputError(f"{self.name}: a refused volume is not written as DICOM", "check the source")
        if like is None:
            return self._written(Path(folder), "dicom", overwrite)
        return self._written(Path(folder), "dicom", overwrite, self._placed_like(Path(like)), [str(like)])

    def to_nibabel(self) -> nib.Nifti1Image:
        """An image of nibabel in memory, with the header that a saved file has.

        Raises:
            DataError: the source, whose header it takes over, was changed or removed since.
        """
        import nibabel as nib

        with without_traces(), tempfile.TemporaryDirectory() as folder:
            self._require_source()
            path = Path(folder, "volume.nii")
            self._exporter.to(path, "nifti").format.write(self._volume, path)
            return nib.Nifti1Image.from_bytes(path.read_bytes())

    def to_sitk(self) -> Any:
        """An image of SimpleITK, which has LPS coordinates."""
        from common.io.itk_files import itk_image

        with without_traces():
            return itk_image(self.array, self.affine, self.name)

    def _require_source(self) -> None:
        """Refuse a source that is not the one that was read.

        Raises:
            DataError: naming the case.
        """
        from common.io.export.record import content_of

        read = self._exporter.provenance
        if content_of(read.sources[self.name]) != self._record["MadeFrom"]["SourceSha256"]:
            raise DataError(f"the source of {self.name} was changed or removed since", "synthesise it again")

    def _written(
        self,
        output: Path,
        output_format: str,
        overwrite: bool,
        item: Mapping[str, Any] | None = None,
        inputs: Sequence[str] = (),
    ) -> Path:
        from common.weights import checkpoints

        with without_traces():
            exporter = self._exporter.to(output, output_format, overwrite)
            self._require_source()
            sources = exporter.provenance.sources[self.name]
            exporter.require_free([{"case": self.name, "image": sources}], inputs=inputs)
            if checkpoints.sha256(exporter.weights) != self._weights_sha256:
                raise CheckpointError(f"the weights {exporter.weights} have been replaced since", "load them again")
            maps = () if self._kept.widths is None else (self._kept.widths,)
            return exporter.write(item or self._kept.item, self._kept.values, *maps)

    def _placed_like(self, series: Path) -> dict[str, Any]:
        """The case, with a series as its source.

        Raises:
            DataError: it is none, or less than half of the volume lies in it.
        """
        from common.grids import LEAST_COVERED, covered

        with without_traces():
            if not series.is_dir():
                raise DataError(f"no folder {series} (like)", "give that of a series")
            scan = self._exporter.reader.lenient().check(series, self.name)
            share = float(covered(self.array.shape, self.affine, scan.values.shape, scan.affine).mean())
            if share < LEAST_COVERED:
                fault = f"{series} (like) holds {100 * share:.0f}% of {self.name}"
                raise DataError(fault, "give the series that the source was converted from")
            image = self._kept.item["image"].clone()
            image.meta = {**image.meta, "filename_or_obj": str(series), "series_uid": scan.series_uid}
            return {**self._kept.item, "image": image}

    def view(self, source: str | os.PathLike[str] | None = None) -> Any:
        """A viewer in a notebook, by ipyniivue; with a source, a NIfTI file, the volume lies over it.

        Raises:
            ConfigError: ipyniivue is not installed.
        """
        from medical_image_synthesis.shown import viewer

        return viewer(self.to_nibabel(), None if source is None else Path(source))

    def _repr_png_(self) -> bytes:
        """Three planes with the verdict, which a notebook shows."""
        from medical_image_synthesis.shown import three_planes_png

        return three_planes_png(self.array, self.affine, self.unit, f"{self!r}\nnot for clinical use")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """The values, for functions of NumPy."""
        return np.array(self.array, dtype, copy=copy)

    def __repr__(self) -> str:
        """Case, shape, unit and verdict."""
        size = " x ".join(map(str, self.array.shape))
        verdict = "" if self.verdict is None else f", {self.verdict}"
        return f"<synthetic volume of {self.name} by {self.bundle}: {size}, {self.unit}{verdict}>"
