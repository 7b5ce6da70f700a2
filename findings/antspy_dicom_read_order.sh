#!/bin/sh
# ANTsPy 0.6.3: ants.dicom_read stacks slices in the order in which the file system lists them.
#
# It goes through os.listdir, which promises no order, sorts neither names nor positions, and takes the origin of the
# file that came first. The same folder gives another volume on another disk, with a grid that looks right. Where files
# have no SpacingBetweenSlices, slices are moreover 1 mm apart, whatever their positions say.
#
# Shown with four axial slices 3 mm apart, whose values are their numbers, listed forwards and backwards.
# Seen with Python 3.11.7, antspyx 0.6.3, pydicom 3.0.2:
#   forwards: [0, 1, 2, 3] from z = 0, backwards: [3, 2, 1, 0] from z = 9, both upwards; 1 mm apart without the element
#
# sh findings/antspy_dicom_read_order.sh      exit code 0: as described; 1: ANTsPy behaves otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check antspyx==0.6.3 pydicom==3.0.2
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import os
import sys
from importlib.metadata import version
from unittest import mock

import ants
import numpy
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

print("python", sys.version.split()[0], "antspyx", version("antspyx"), "pydicom", version("pydicom"))
SERIES = generate_uid()


def write(name, number, **more):
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    image = FileDataset(name, {}, file_meta=meta, preamble=bytes(128))
    image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    image.StudyInstanceUID = image.FrameOfReferenceUID = image.SeriesInstanceUID = SERIES
    image.Modality, image.InstanceNumber, image.ImageType = "CT", number + 1, ["ORIGINAL", "PRIMARY", "AXIAL"]
    image.PixelSpacing, image.SliceThickness = [1, 1], 3
    image.ImageOrientationPatient, image.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 3 * number]
    image.Rows = image.Columns = 4
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 16, 15, 1
    image.RescaleSlope, image.RescaleIntercept = 1, 0
    image.PixelData = numpy.full((4, 4), number, "<i2").tobytes()
    for element, value in more.items():
        setattr(image, element, value)
    os.makedirs(os.path.dirname(name), exist_ok=True)
    image.save_as(name, enforce_file_format=True)


for number in range(4):
    write(f"ct/{number}.dcm", number, SpacingBetweenSlices=3)
    write(f"bare/{number}.dcm", number)
found = []
for case, backwards in (("ct", False), ("ct", True), ("bare", False)):
    with mock.patch("os.listdir", return_value=sorted(os.listdir(case), reverse=backwards)):
        volume = ants.dicom_read(case)
    values = volume.numpy()[0, 0].astype(int).tolist()
    found.append((values, volume.origin[2], volume.spacing[2], volume.direction[2, 2]))
    print(f"{case}, listed {'backwards' if backwards else 'forwards'}: {values} from z = {volume.origin[2]:g},"
          f" {volume.spacing[2]:g} mm apart, direction {volume.direction[2, 2]:g}")  # fmt: skip
described = found == [([0, 1, 2, 3], 0, 3, 1), ([3, 2, 1, 0], 9, 3, 1), ([0, 1, 2, 3], 0, 1, 1)]
print("as described" if described else "ANTsPy behaves otherwise now")
sys.exit(not described)
PROGRAM
