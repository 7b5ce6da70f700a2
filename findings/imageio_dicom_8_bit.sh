#!/bin/sh
# ImageIO 2.38.1's volread of a DICOM series wraps every voxel at 127 where the first slice is dark.
#
# Its DICOM plugin takes the smallest type that holds the first slice after RescaleSlope, and puts all slices in an array
# of that type. An MR begins with slices of little but noise: where none of their values is above 127, the volume is of
# int8, and 200 becomes -56, without a word. A series without RescaleSlope is not touched.
#
# Shown with four MR slices of the constant values 100, 200, 300 and 1000, with and without a RescaleSlope of 1.
# Seen with Python 3.11.7, imageio 2.38.1, pydicom 3.0.2:
#   RescaleSlope 1: 100, -56, 44, -24 of int8      without: 100, 200, 300, 1000 of uint16
#
# sh findings/imageio_dicom_8_bit.sh      exit code 0: as described; 1: ImageIO behaves otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check imageio==2.38.1 pydicom==3.0.2 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import io
import os
import sys
from contextlib import redirect_stdout
from importlib.metadata import version

import imageio.v2
import numpy
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

print("python", sys.version.split()[0], "imageio", version("imageio"), "pydicom", version("pydicom"))


def write(folder, number, value, series, scaled):
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, MRImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    image = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    image.SOPClassUID, image.SOPInstanceUID = MRImageStorage, meta.MediaStorageSOPInstanceUID
    image.StudyInstanceUID = image.FrameOfReferenceUID = image.SeriesInstanceUID = series
    image.Modality, image.InstanceNumber, image.ImageType = "MR", number + 1, ["ORIGINAL", "PRIMARY"]
    image.PixelSpacing, image.SliceThickness = [1, 1], 3
    image.ImageOrientationPatient, image.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 3 * number]
    image.Rows, image.Columns = 4, 6
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 16, 15, 0
    if scaled:
        image.RescaleSlope, image.RescaleIntercept = 1, 0
    image.PixelData = numpy.full((4, 6), value, "<u2").tobytes()
    os.makedirs(folder, exist_ok=True)
    image.save_as(f"{folder}/{number}.dcm", enforce_file_format=True)


found = []
for folder, scaled in (("scaled", True), ("plain", False)):
    series = generate_uid()
    for number, value in enumerate((100, 200, 300, 1000)):
        write(folder, number, value, series, scaled)
    with redirect_stdout(io.StringIO()):
        volume = imageio.v2.volread(folder, "DICOM")
    found.append((str(volume.dtype), volume[:, 0, 0].tolist()))
    print(f"{folder}: {found[-1][1]} of {found[-1][0]}")
described = found == [("int8", [100, -56, 44, -24]), ("uint16", [100, 200, 300, 1000])]
print("as described" if described else "ImageIO behaves otherwise now")
sys.exit(not described)
PROGRAM
