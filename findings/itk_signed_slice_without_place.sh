#!/bin/sh
# SimpleITK 2.5.7 writes a slice of signed 16 bits to DICOM without its place; one of unsigned 16 or 32 bits with it.
#
# Without further tags WriteImage makes a Secondary Capture. Of uint16 and int32 it has the position, orientation and
# spacing of the image; of int16, the type of HU, it has none of them, but a NominalScannedPixelSpacing. Read again,
# each slice begins at 0 and is 1 mm thick, and nothing was said. With the tag Modality set to CT, or with
# ImagePositionPatient and ImageOrientationPatient set by hand, int16 keeps its place too.
#
# Shown with slice 2 of a volume that begins at (10, 20, 30), with voxels of 1 x 2 x 3 mm.
# Seen with Python 3.11.7, SimpleITK 2.5.7, numpy 2.4.6; origin and spacing of what is read again:
#   int16: (0, 0, 0), (1, 2, 1)      uint16, int32, and int16 with Modality CT: (10, 20, 36), (1, 2, 3)
#
# sh findings/itk_signed_slice_without_place.sh      exit code 0: as described; 1: SimpleITK behaves otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check SimpleITK==2.5.7 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import sys
from importlib.metadata import version

import numpy
import SimpleITK

print("python", sys.version.split()[0], *(f"{name} {version(name)}" for name in ("SimpleITK", "numpy")))
found = {}
for dtype, modality in (("int16", None), ("uint16", None), ("int32", None), ("int16", "CT")):
    volume = SimpleITK.GetImageFromArray(numpy.zeros((8, 16, 16), dtype))
    volume.SetSpacing((1, 2, 3))
    volume.SetOrigin((10, 20, 30))
    one = volume[:, :, 2:3]
    if modality:
        one.SetMetaData("0008|0060", modality)
    SimpleITK.WriteImage(one, "slice.dcm")
    read = SimpleITK.ReadImage("slice.dcm")
    found[dtype, modality] = read.GetOrigin(), read.GetSpacing()
    print(f"{dtype}, Modality {modality}: origin {read.GetOrigin()}, spacing {read.GetSpacing()}")
right = (10, 20, 36), (1, 2, 3)
described = list(found.values()) == [((0, 0, 0), (1, 2, 1)), right, right, right]
print("as described" if described else "SimpleITK behaves otherwise now")
sys.exit(not described)
PROGRAM
