#!/bin/sh
# Of a CT with a missing slice SimpleITK 2.5.7, MONAI 1.6.1 and TorchIO 1.2.1 make a whole one, slices moved.
#
# They stack what there is and divide the way from the first slice to the last one by the number of steps. The ends lie
# where they should, what is between them does not: with 60 slices of 3 mm by almost 3 mm, with 6 by 2.25. ITK writes a
# line to the error stream, also for its users; MONAI's PydicomReader writes none. dcm2niix writes two files: the one
# with the plain name has all slices after the gap too low, or each at twice its distance where the second slice is the
# missing one; in the one with "_Eq" the gap is filled in. dicom2nifti 2.6.2, dicom-numpy 0.6.5 and highdicom 0.28.2
# refused the same series (not run here), as one would guess of all.
#
# Shown with slices at 0, 3, 6, 9, 12, 15 mm, each with its z as value, without the fourth or without the second.
# Seen with Python 3.11.7, SimpleITK 2.5.7, itk 5.4.7, monai 1.6.1, torchio 1.2.1, dcm2niix 1.0.20260724; places of the
# values 0, 3, 6, 12, 15:
#   SimpleITK, ITKReader, PydicomReader, TorchIO: 0, 3.75, 7.5, 11.25, 15      dcm2niix, plain name: 0, 3, 6, 9, 12
#   of 0, 6, 9, 12, 15: the same by those four      dcm2niix: 0, 6, 12, 18, 24
#
# sh findings/series_with_a_gap.sh      exit code 0: as described; 1: they behave otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check SimpleITK==2.5.7 itk==5.4.7 monai==1.6.1 \
    torch==2.13.0 torchio==1.2.1 pydicom==3.0.2 dcm2niix==1.0.20260724 nibabel==5.4.2 numpy==2.3.5
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import dcm2niix
import nibabel
import numpy
import SimpleITK
import torchio
from monai.transforms import LoadImage
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

packages = ("SimpleITK", "itk", "monai", "torchio", "dcm2niix")
print("python", sys.version.split()[0], *(f"{name} {version(name)}" for name in packages))


def write(folder, places):
    series = generate_uid()
    Path(folder).mkdir()
    for z in places:
        meta = FileMetaDataset()
        meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        image = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
        image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        image.StudyInstanceUID = image.FrameOfReferenceUID = image.SeriesInstanceUID = series
        image.PatientName = image.PatientID = "1"
        image.Modality, image.InstanceNumber, image.ImageType = "CT", 1 + z // 3, ["ORIGINAL", "PRIMARY", "AXIAL"]
        image.Manufacturer, image.SeriesNumber, image.PixelSpacing, image.SliceThickness = "none", 1, [1, 1], 3
        image.ImageOrientationPatient, image.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, z]
        image.Rows, image.Columns = 32, 24
        image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
        image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 16, 15, 1
        image.RescaleSlope, image.RescaleIntercept, image.RescaleType = 1, 0, "HU"
        image.PixelData = numpy.full((32, 24), z, "<i2").tobytes()
        image.save_as(f"{folder}/{z:02}.dcm", enforce_file_format=True)


def by_place(affine, values):
    places = (affine @ [0, 0, k, 1] for k in range(len(values)))
    return {round(float(place[2]), 3): round(float(value), 3) for place, value in zip(places, values, strict=True)}


def read(folder):
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(folder))
    image = reader.Execute()
    values = SimpleITK.GetArrayFromImage(image)[:, 9, 9]
    places = [round(image.TransformIndexToPhysicalPoint((0, 0, k))[2], 3) for k in range(len(values))]
    found = {"SimpleITK": dict(zip(places, map(float, values), strict=True))}
    for reader in ("ITKReader", "PydicomReader"):
        image = LoadImage(reader=reader)(folder).squeeze()
        found[reader] = by_place(image.affine.numpy(), image.numpy()[9, 9])
    image = torchio.ScalarImage(folder)
    found["TorchIO"] = by_place(image.affine, image.data[0, 9, 9].numpy())
    Path(f"{folder}_nii").mkdir()
    command = [dcm2niix.bin, "-b", "n", "-f", "out", "-o", f"{folder}_nii", folder]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for path in sorted(Path(f"{folder}_nii").iterdir()):
        image = nibabel.load(path)
        found[path.name] = by_place(image.affine, image.get_fdata()[9, 9])
    for name, values in found.items():
        print(f"{folder}, {name}:", ", ".join(f"{value:g} at {place:g}" for place, value in values.items()))
    return found


every, described = (0, 3, 6, 9, 12, 15), True
for folder, missing, plain in (("fourth", 9, (0, 3, 6, 9, 12)), ("second", 3, (0, 6, 12, 18, 24))):
    present = [z for z in every if z != missing]
    write(folder, present)
    stretched = dict(zip((0, 3.75, 7.5, 11.25, 15), present, strict=True))
    described &= read(folder) == {
        **dict.fromkeys(("SimpleITK", "ITKReader", "PydicomReader", "TorchIO"), stretched),
        "out.nii": dict(zip(plain, present, strict=True)),
        "out_Eq_1.nii": {z: z for z in every},
    }
print("as described" if described else "they behave otherwise now")
sys.exit(not described)
PROGRAM
