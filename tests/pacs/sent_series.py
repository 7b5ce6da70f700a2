"""Series that the tests send: an MR of a head, CT of a cylinder, and noise; several can be of one study."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from dicom_phantom import PATIENT, Grid, write_series
from pydicom.uid import generate_uid

from common.simulation.head import head_anatomy
from common.simulation.mr import render_pd_t2

HEAD_SEED = 1
"""Of a head whose T2-weighted MR suits the weights of mr2ct, with the verdict ``accept``."""
HEAD_MM = 2.5
CT_INTERCEPT = -1024.0


@dataclass(frozen=True)
class Study:
    """One study of the patient of ``PATIENT``: series of it share a frame of reference."""

    uid: str = field(default_factory=generate_uid)
    frame: str = field(default_factory=generate_uid)

    def write(
        self, folder: Path, modality: str, values: np.ndarray, spacing: tuple[float, float, float], description: str
    ) -> str:
        """Write (columns, rows, slices) as a series; returns its SeriesInstanceUID."""
        grid = Grid(shape=values.shape, spacing=spacing)
        of_ct = modality == "CT"

        def change(header: Any, number: int) -> None:
            header.StudyInstanceUID, header.FrameOfReferenceUID = self.uid, self.frame
            header.SeriesDescription, header.PatientSex, header.ReferringPhysicianName = description, "O", ""
            if modality == "MR":  # an MR has no rescale
                del header.RescaleSlope, header.RescaleIntercept
                header.ScanningSequence, header.SequenceVariant, header.MRAcquisitionType = "SE", "NONE", "2D"

        intercept = CT_INTERCEPT if of_ct else 0.0
        return write_series(folder, grid, modality, 1.0, intercept, change, values=np.rint(values))


def head_mr() -> np.ndarray:
    """T2-weighted MR of a head (columns, rows, slices), towards left, posterior and superior."""
    anatomy = head_anatomy(HEAD_SEED, HEAD_MM)
    _, t2 = render_pd_t2(anatomy, np.random.default_rng(1))
    return np.ascontiguousarray(t2[::-1, ::-1])


def noise_mr(size: int = 64, slices: int = 40) -> np.ndarray:
    """An MR without anything in it."""
    return np.abs(np.random.default_rng(0).normal(0, 300, (size, size, slices)))


def cylinder_ct(seed: int, size: int = 64, slices: int = 8) -> np.ndarray:
    """Water with noise in air (columns, rows, slices), HU; other noise for another seed."""
    places = np.hypot(*(np.indices((size, size)) - (size - 1) / 2))
    inside = (places < 0.4 * size)[..., None]
    noise = np.random.default_rng(seed).normal(0, 30, (size, size, slices))
    return np.where(inside, noise + 40, -1000.0)


def files(folder: Path) -> list[Path]:
    """The instances of a series, by place."""
    return sorted(folder.glob("*.dcm"), key=lambda path: float(pydicom.dcmread(path).ImagePositionPatient[2]))


def compressed(folder: Path, program: str, target: Path) -> str:
    """Compress a series by a program of dcmtk, as a series of its own; returns its SeriesInstanceUID."""
    target.mkdir()
    series = generate_uid()
    for path in files(folder):
        header = pydicom.dcmread(path)
        header.SeriesInstanceUID = series
        header.SOPInstanceUID = header.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        header.save_as(target.with_suffix(".dcm"))
        subprocess.run([program, target.with_suffix(".dcm"), target / path.name], check=True)
    return series


def secrets() -> list[bytes]:
    """What must never be in a log or a database: name, id, birth date and accession number of the patient."""
    own = ("PatientName", "PatientID", "PatientBirthDate", "AccessionNumber", "StudyID")
    return [PATIENT[name].encode() for name in own] + [b"Secret", b"Patient^"]
