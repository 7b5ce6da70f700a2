"""Made-up folders with the names, headers and quirks of public data sets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import SimpleITK
from dicom_phantom import Grid, changing, write_series
from scipy.ndimage import binary_dilation

OUTSIDE = -1024
"""HU beyond the mask of a CT of SynthRAD."""
REGIONS = {"B": "brain", "P": "pelvis"}
"""Folders of 2023 by the letter of a case."""


def synthrad(root: Path, cases: Sequence[str], shape: Sequence[int] = (20, 30, 26)) -> Path:
    """Cases of an ellipsoid in a shell, int16 CT with -1024 outside a mask that is larger than the body.

    Those of 2025 (``1ABA001``) are compressed MetaImage, those of 2023 (``1BA001``) NIfTI.
    """
    places = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    for seed, case in enumerate(cases):
        rng = np.random.default_rng(seed)
        radius = np.sqrt(sum((place / size) ** 2 for place, size in zip(places, rng.uniform(0.6, 0.8, 3), strict=True)))
        body = radius < 1
        ct = np.where(radius > 0.85, 900, 40) + rng.normal(0, 20, radius.shape)
        mask = binary_dilation(body, iterations=2)
        arrays = {
            "mr": (np.where(radius > 0.85, 60, 700) + rng.normal(0, 30, radius.shape)).astype(np.float32) * body,
            "ct": np.where(mask, np.where(body, ct, -1000), OUTSIDE).round().astype(np.int16),
            "mask": mask.astype(np.uint8),
        }
        folder = root / f"Task{case[0]}" / REGIONS.get(case[1:-4], case[1:-4]) / case
        folder.mkdir(parents=True)
        for name, array in arrays.items():
            image = SimpleITK.GetImageFromArray(array)
            image.SetSpacing((1.0, 1.0, 3.0))
            image.SetOrigin((-12.0, 30.5, -400.0))
            ending = "nii.gz" if case[1:-4] in REGIONS else "mha"
            SimpleITK.WriteImage(image, str(folder / f"{name}.{ending}"), useCompression=True)
    return root


def ixi(root: Path, subjects: int, shape: Sequence[int] = (40, 38, 20)) -> Path:
    """PD and T2 by hospital; the scan number of a subject differs, and one has no T2."""
    rng = np.random.default_rng(0)
    affine = np.diag([-0.94, 0.94, 1.25, 1.0])  # stored from left to right
    for name in ("PD", "T2"):
        (root / f"IXI-{name}").mkdir(parents=True, exist_ok=True)
    for number in range(subjects + 1):
        head = np.zeros(tuple(shape), np.int16)
        head[6:-6, 6:-6, 3:-3] = rng.integers(200, 900, [n - m for n, m in zip(shape, (12, 12, 6), strict=True)])
        volumes = {"PD": head, "T2": 1000 * (head > 0) - head}
        for name in ("PD", "T2")[: 1 if number == subjects else 2]:
            hospital, scan = ("Guys", "HH", "IOP")[number % 3], 828 + number + (name == "T2")
            path = root / f"IXI-{name}" / f"IXI{number + 2:03}-{hospital}-{scan:04}-{name}.nii.gz"
            nib.save(nib.nifti1.Nifti1Image(volumes[name].astype(np.int16), affine), path)
    return root


def ldct(root: Path, patients: Sequence[str], without_low: Sequence[str] = (), side: int = 24, slices: int = 3) -> Path:
    """Series of DICOM by patient, study and description; of one manufacturer without those of low dose."""
    rng, grid = np.random.default_rng(0), Grid((side, side, slices), (2.0, 2.0, 3.0))
    for patient in (*patients, *without_low):
        study = root / "LDCT-and-Projection-data" / patient / "12-23-2021-NA-NA-61870"
        full = np.full((slices, side, side), OUTSIDE)
        full[:, 4:-4, 4:-4] = 40
        full[:, 10:14, 10:14] = 900 - rng.integers(100)  # no patient is another
        series = {"Full Dose Images": full, "Low Dose Images": full + rng.normal(0, 60, full.shape)}
        for number, (name, volume) in enumerate(series.items(), 1):
            if not (patient in without_low and name.startswith("Low")):
                folder = study / f"{number}.000000-{name}-0{number}{side}"
                write_series(folder, grid, "CT", 1, OUTSIDE, changing(PatientID=patient), values=volume.T.clip(OUTSIDE))
    return root


def fastmri(root: Path, train: int, val: int, side: int = 32) -> Path:
    """Single-coil k-space with an oversampled readout, more columns than the image, and the image itself."""
    rng = np.random.default_rng(0)
    header = (
        '<?xml version="1.0"?><ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD"><encoding>{0}{1}'
        "<trajectory>cartesian</trajectory></encoding></ismrmrdHeader>"
    )
    space = (
        "<{0}><matrixSize><x>{1}</x><y>{2}</y><z>1</z></matrixSize>"
        "<fieldOfView_mm><x>{3}</x><y>{4}</y><z>4.5</z></fieldOfView_mm></{0}>"
    )
    columns = side + 6
    spaces = (
        space.format("encodedSpace", 2 * side, columns, 2 * side * 1.0, columns * 1.0),
        space.format("reconSpace", side, side, side * 1.0, side * 1.0),
    )
    for folder, count in (("singlecoil_train", train), ("singlecoil_val", val)):
        (root / folder).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            image = np.zeros((4, 2 * side, columns))
            image[:, side // 2 + 6 : -side // 2 - 6, 8:-8] = rng.uniform(1, 4, (4, side - 12, columns - 16))
            kspace = np.fft.fftshift(
                np.fft.fft2(np.fft.ifftshift(image, axes=(1, 2)), norm="ortho", axes=(1, 2)), axes=(1, 2)
            )
            with h5py.File(root / folder / f"file{1000000 + number + 500 * (folder[-3:] == 'val')}.h5", "w") as file:
                file["kspace"] = kspace.astype(np.complex64)
                file["ismrmrd_header"] = header.format(*spaces).encode()
                file["reconstruction_esc"] = image[:, side // 2 : -side // 2, 3:-3].astype(np.float32)
                file.attrs.update({"acquisition": "CORPD_FBK", "max": float(image.max()), "patient_id": f"{number}"})
    return root


def totalsegmentator(root: Path, sections: Sequence[str]) -> Path:
    """CT of 1.5 mm, and a table with semicolons that says to which section each belongs."""
    lines = ["image_id;age;gender;institute;study_type;split"]
    for number, section in enumerate(sections):
        rng = np.random.default_rng(number)
        ct = np.full((24, 24, 24), -1000, np.int16)
        ct[3:-3, 3:-3, 3:-3] = rng.normal(40, 20, (18, 18, 18))
        ct[8:12, 8:12, 6:10] = 700
        (root / f"s{number:04}").mkdir(parents=True)
        nib.save(nib.nifti1.Nifti1Image(ct, np.diag([1.5, 1.5, 1.5, 1])), root / f"s{number:04}" / "ct.nii.gz")
        lines.append(f"s{number:04};60;m;A;ct thorax;{section}")
    (root / "meta.csv").write_text("\n".join(lines) + "\n")
    return root
