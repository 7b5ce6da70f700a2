#!/bin/sh
# nibabel 5.4.2 and SimpleITK 2.5.7 read one valid NIfTI-1 file in two sizes, 1000 times apart.
#
# The header's xyzt_units may say metre or micron. ITK multiplies spacing and origin so that they are in mm; nibabel's
# affine and get_zooms() keep the numbers as they are stored, so that every tool on nibabel takes metres for mm.
#
# Seen with Python 3.11.7, nibabel 5.4.2, SimpleITK 2.5.7:
#   metre:  nibabel 0.001, SimpleITK 1       micron: nibabel 1000, SimpleITK 1        mm: both 1
#
# sh findings/nifti_units_metre.sh      exit code 0: as described; 1: they behave otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check nibabel==5.4.2 SimpleITK==2.5.7
cd "$folder"
"$folder/venv/bin/python" - <<'PROGRAM'
import sys

import nibabel
import numpy
import SimpleITK

print("python", sys.version.split()[0], "nibabel", nibabel.__version__, "SimpleITK", SimpleITK.__version__)
found = {}
for unit, mm in (("mm", 1.0), ("meter", 1000.0), ("micron", 0.001)):
    image = nibabel.Nifti1Image(numpy.zeros((4, 4, 4), numpy.float32), numpy.diag([1 / mm, 1 / mm, 1 / mm, 1.0]))
    image.header.set_xyzt_units(unit, "sec")
    nibabel.save(image, "one.nii")
    affine = nibabel.load("one.nii").affine[0, 0]
    spacing = SimpleITK.ReadImage("one.nii").GetSpacing()[0]
    found[unit] = (round(float(affine), 9), round(spacing, 6))
    print(f"voxels of 1 mm, stored in {unit}: affine of nibabel {affine:g}, spacing of SimpleITK {spacing:g}")
described = found == {"mm": (1.0, 1.0), "meter": (0.001, 1.0), "micron": (1000.0, 1.0)}
print("as described" if described else "they behave otherwise now")
sys.exit(not described)
PROGRAM
