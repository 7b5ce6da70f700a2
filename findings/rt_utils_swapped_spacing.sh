#!/bin/sh
# rt-utils 1.2.7 draws structures in the wrong place where pixels are not square, and cannot read back its own file
# where the image is not.
#
# PixelSpacing holds the distance of the rows first, then that of the columns. rt-utils takes them the other way round,
# and makes masks of Columns x Rows when it reads. CT of most scanners hide both: their pixels and images are square.
# A CT made on the grid of an MR is often neither.
#
# Shown with an image of 40 rows 2 mm apart and 60 columns 1 mm apart that begins at (-10, -20), and a box whose outer
# pixels have their centres at x 10 and 29, y 0 and 18.
# Seen with Python 3.11.7, rt-utils 1.2.7, pydicom 3.0.2:
#   contour: x 30 to 68, y -10 to -1      read back: 60 x 40 x 3 for the mask of 40 x 60 x 3 that was given
#
# sh findings/rt_utils_swapped_spacing.sh      exit code 0: as described; 1: rt-utils behaves otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check rt-utils==1.2.7 pydicom==3.0.2 numpy==2.4.6 \
    opencv-python==5.0.0.93
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import os
import sys
from importlib.metadata import version

import numpy
from pydicom import dcmread
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from rt_utils import RTStructBuilder

print("python", sys.version.split()[0], "rt-utils", version("rt-utils"), "pydicom", version("pydicom"))
SERIES = generate_uid()


def write(number):
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    image = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    image.SOPClassUID, image.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    image.StudyInstanceUID = image.FrameOfReferenceUID = image.SeriesInstanceUID = SERIES
    image.PatientName = image.PatientID = image.StudyID = "1"
    image.PatientBirthDate = image.PatientSex = image.StudyDate = image.StudyTime = ""
    image.Modality, image.InstanceNumber, image.ImageType = "CT", number + 1, ["ORIGINAL", "PRIMARY", "AXIAL"]
    image.PixelSpacing, image.SliceThickness = [2, 1], 3
    image.ImageOrientationPatient, image.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [-10, -20, 3 * number]
    image.Rows, image.Columns = 40, 60
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 16, 15, 1
    image.RescaleSlope, image.RescaleIntercept = 1, 0
    image.PixelData = bytes(2 * 40 * 60)
    image.save_as(f"ct/{number}.dcm", enforce_file_format=True)


os.makedirs("ct")
for number in range(3):
    write(number)
box = numpy.zeros((40, 60, 3), bool)
box[10:20, 20:40, 1] = True
structures = RTStructBuilder.create_new("ct")
structures.add_roi(mask=box, name="box")
structures.save("structures.dcm")
(contour,) = dcmread("structures.dcm").ROIContourSequence[0].ContourSequence
points = numpy.array(contour.ContourData, float).reshape(-1, 3)
lowest, highest = points.min(0).tolist(), points.max(0).tolist()
read = RTStructBuilder.create_from("ct", "structures.dcm").get_roi_mask_by_name("box")
print(f"contour: {lowest} to {highest}; given {box.shape}, read back {read.shape}")
described = (lowest, highest, read.shape) == ([30, -10, 3], [68, -1, 3], (60, 40, 3))
print("as described" if described else "rt-utils behaves otherwise now")
sys.exit(not described)
PROGRAM
