"""Test images for MONAI Label: phantoms as NIfTI, channels in a fourth dimension, and as a DICOM series."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from monai.bundle import ConfigParser
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

TURN = np.array([[0.36, 0.48, -0.8], [-0.8, 0.6, 0.0], [0.48, 0.64, 0.6]])
"""A rotation about no axis in particular: an affine lost on the way is seen."""


@dataclass(frozen=True)
class Pair:
    """A source, its channels in one file, and its target."""

    image: Path
    label: Path


def pairs(bundle: Path, root: Path) -> list[Pair]:
    """The phantoms of a bundle in ``root/phantoms``, on a grid turned away from the patient's axes."""
    parser = ConfigParser()
    parser.read_config(str(bundle / "configs" / "train.yaml"))
    source, target = (str(parser.get_parsed_content(name)) for name in ("source", "target"))  # one may be the other
    sources = source.split(",")
    cases = sorted(path for path in (root / "phantoms").iterdir() if (path / f"{target}.nii.gz").is_file())
    return [_pair(case, sources, target, root / case.name) for case in cases]


def _pair(case: Path, sources: list[str], target: str, root: Path) -> Pair:
    root.mkdir()
    pair = Pair(root / "image.nii.gz", root / "label.nii.gz")
    for path, names in ((pair.image, sources), (pair.label, [target])):
        files: list[Any] = [nib.load(case / f"{name}.nii.gz") for name in names]
        values = np.squeeze(np.stack([np.asarray(file.dataobj) for file in files], axis=-1))
        affine = files[0].affine.copy()
        affine[:3] = TURN @ affine[:3]
        nib.save(nib.Nifti1Image(values.astype(np.float32), affine), path)
    return pair


def series(image: Path, folder: Path, modality: str = "MR", slope: float = 1) -> list[Path]:
    """A NIfTI file of one channel as an MR or CT series of integers, a file a slice; file names say no order.

    Args:
        image: the file.
        folder: of the series, created.
        modality: MR or CT.
        slope: between the integers, in the unit of the file.
    """
    file: Any = nib.load(image)
    values, affine = np.asarray(file.dataobj), np.diag([-1.0, -1.0, 1.0, 1.0]) @ file.affine
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    across, down = affine[:3, 0] / sizes[0], affine[:3, 1] / sizes[1]
    uids = {name: generate_uid(entropy_srcs=[str(image), name]) for name in ("series", "study", "frame")}
    folder.mkdir(parents=True)
    paths = []
    for number in range(values.shape[2]):
        dataset = _slice(np.rint(values[:, :, number] / slope).astype(np.int16).T, uids["series"], number)
        if modality == "CT":
            dataset.SOPClassUID, dataset.Modality = CTImageStorage, modality
        if modality == "CT" or slope != 1:
            dataset.RescaleSlope, dataset.RescaleIntercept = slope, 0
        dataset.StudyInstanceUID, dataset.FrameOfReferenceUID = uids["study"], uids["frame"]
        dataset.ImageOrientationPatient = [f"{cosine:.12g}" for cosine in (*across, *down)]
        dataset.ImagePositionPatient = [f"{place:.12g}" for place in affine[:3] @ [0, 0, number, 1]]
        dataset.PixelSpacing, dataset.SliceThickness = [f"{sizes[1]:.12g}", f"{sizes[0]:.12g}"], f"{sizes[2]:.12g}"
        paths.append(folder / f"{dataset.SOPInstanceUID[-8:]}.dcm")
        dataset.save_as(paths[-1], enforce_file_format=True)
    return paths


def _slice(stored: np.ndarray, series_uid: str, number: int) -> Dataset:
    """An MR image (rows, columns) without its place."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.Modality, dataset.SeriesInstanceUID = MRImageStorage, "MR", series_uid
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=[series_uid, str(number)])
    dataset.PatientName, dataset.PatientID, dataset.InstanceNumber = "Phantom", "PHANTOM", number + 1
    dataset.StudyDate = dataset.StudyTime = dataset.PatientBirthDate = dataset.PatientSex = ""
    dataset.Rows, dataset.Columns = stored.shape
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation, dataset.SamplesPerPixel = 15, 1, 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.PixelData = np.ascontiguousarray(stored).tobytes()
    return dataset
