#!/bin/sh
# MONAI 1.6.1's PydicomReader stacks slices by their InstanceNumber, wherever they lie.
#
# InstanceNumber is a number by which an image is named; the standard promises no order in space. It follows another one
# in interleaved acquisitions, in series merged from several, and after some tools of de-identification. The reader
# sorts by it, takes the way from the first to the last slice, divides it by their number less one and goes through them
# in equal steps: slices of the head stand in each other's place, with a spacing that none of them has. There is no
# warning. ITKReader, SimpleITK and highdicom sort by ImagePositionPatient. LoadImage takes PydicomReader where it is
# named, and where itk is not installed, which MONAI does not require.
#
# Shown with 5 slices at 0, 3, 6, 9 and 12 mm, each with its z as value and with InstanceNumber 1, 4, 2, 5, 3.
# Seen with Python 3.11.7, monai 1.6.1, itk 5.4.7, pydicom 3.0.2, torch 2.13.0; values by place:
#   ITKReader: 0 at 0, 3 at 3, 6 at 6, 9 at 9, 12 at 12
#   PydicomReader: 0 at 0, 6 at 2.25, 12 at 4.5, 3 at 6.75, 9 at 9
#
# sh findings/monai_pydicom_reader_order.sh      exit code 0: as described; 1: MONAI behaves otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check monai==1.6.1 torch==2.13.0 itk==5.4.7 \
    pydicom==3.0.2 numpy==2.3.5
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import os
import sys
from importlib.metadata import version

import numpy
from monai.transforms import LoadImage
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

print("python", sys.version.split()[0], *(f"{name} {version(name)}" for name in ("monai", "itk", "pydicom", "torch")))
SERIES = generate_uid()


def write(z, number):
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    image = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    image.SOPClassUID, image.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    image.StudyInstanceUID = image.FrameOfReferenceUID = image.SeriesInstanceUID = SERIES
    image.PatientName = image.PatientID = "1"
    image.Modality, image.InstanceNumber, image.ImageType = "CT", number, ["ORIGINAL", "PRIMARY", "AXIAL"]
    image.PixelSpacing, image.SliceThickness = [1, 1], 3
    image.ImageOrientationPatient, image.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, z]
    image.Rows, image.Columns = 16, 12
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 16, 15, 1
    image.RescaleSlope, image.RescaleIntercept = 1, 0
    image.PixelData = numpy.full((16, 12), z, numpy.int16).tobytes()
    image.save_as(f"ct/{z:02}.dcm", enforce_file_format=True)


os.makedirs("ct")
for z, number in zip((0, 3, 6, 9, 12), (1, 4, 2, 5, 3), strict=True):
    write(z, number)
found = {}
for reader in ("ITKReader", "PydicomReader"):
    image = LoadImage(reader=reader)("ct").squeeze()
    places = [round(float((image.affine @ image.affine.new_tensor([0, 0, k, 1]))[2]), 3) for k in range(5)]
    found[reader] = dict(zip(places, image.numpy()[0, 0].tolist(), strict=True))
    print(f"{reader}:", ", ".join(f"{value:g} at {place:g}" for place, value in found[reader].items()))
described = found == {
    "ITKReader": {0: 0, 3: 3, 6: 6, 9: 9, 12: 12},
    "PydicomReader": {0: 0, 2.25: 6, 4.5: 12, 6.75: 3, 9: 9},
}
print("as described" if described else "MONAI behaves otherwise now")
sys.exit(not described)
PROGRAM
