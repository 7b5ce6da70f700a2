#!/bin/sh
# nibabel 5.4.2 and SimpleITK 2.5.7 read other values of a NIfTI file whose scl_slope is 0 and scl_inter is not.
#
# By the standard a slope of 0 means that values are not scaled at all. nibabel leaves them as stored; ITK takes the slope
# for 1 and adds the intercept, of NaN in the slope as well. A CT with "slope 0, intercept -1024" is in HU for one and
# 1024 too high for the other.
#
# Seen with Python 3.11.7, nibabel 5.4.2, SimpleITK 2.5.7, stored 1064, intercept -1024:
#   slope 1: both 40      slope 0 and NaN: nibabel 1064, SimpleITK 40
#
# sh findings/nifti_slope_0_with_intercept.sh      exit code 0: as described; 1: they behave otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check nibabel==5.4.2 SimpleITK==2.5.7
cd "$folder"
"$folder/venv/bin/python" - <<'PROGRAM'
import struct
import sys
from pathlib import Path

import nibabel
import numpy
import SimpleITK

print("python", sys.version.split()[0], "nibabel", nibabel.__version__, "SimpleITK", SimpleITK.__version__)
whole = nibabel.Nifti1Image(numpy.full((4, 4, 4), 1064, numpy.int16), numpy.eye(4)).to_bytes()
found = {}
for slope in (1.0, 0.0, float("nan")):
    content = bytearray(whole)
    content[112:120] = struct.pack("<2f", slope, -1024)  # scl_slope, scl_inter
    Path("one.nii").write_bytes(content)
    values = nibabel.load("one.nii").get_fdata()[0, 0, 0], SimpleITK.ReadImage("one.nii").GetPixel(0, 0, 0)
    found[str(slope)] = tuple(float(value) for value in values)
    print(f"scl_slope {slope:g}, scl_inter -1024, stored 1064: nibabel {values[0]:g}, SimpleITK {values[1]:g}")
described = found == {"1.0": (40, 40), "0.0": (1064, 40), "nan": (1064, 40)}
print("as described" if described else "they behave otherwise now")
sys.exit(not described)
PROGRAM
