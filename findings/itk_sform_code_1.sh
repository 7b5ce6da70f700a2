#!/bin/sh
# SimpleITK 2.5.7 takes the sform of a NIfTI file only where its code is 1; with code 2, 3 or 4 it takes the qform.
#
# A file may hold two placements: nibabel takes the sform wherever its code is above 0. ITK takes it by the code 1
# (scanner) or where there is no qform; otherwise the qform, and says nothing. Registration tools write their result into
# an sform of code 2 (aligned) or 4 (MNI) and leave the qform of the scanner: what is registered for tools on nibabel is
# not for ANTs and other tools on ITK, of the same file.
#
# Seen with Python 3.11.7, nibabel 5.4.2, SimpleITK 2.5.7, a qform at 0 and an sform 7 mm to the right of it:
#   sform_code 1: nibabel 7, SimpleITK 7      2, 3, 4: nibabel 7, SimpleITK 0      2 without a qform: both 7
#
# sh findings/itk_sform_code_1.sh      exit code 0: as described; 1: they behave otherwise now
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
moved = numpy.eye(4)
moved[0, 3] = 7
found = {}
for sform_code, qform_code in ((1, 1), (2, 1), (3, 1), (4, 1), (1, 2), (2, 0)):
    image = nibabel.Nifti1Image(numpy.zeros((4, 4, 4), numpy.float32), None)
    image.header.set_sform(moved, sform_code)
    image.header.set_qform(numpy.eye(4), qform_code)
    nibabel.save(nibabel.Nifti1Image(numpy.zeros((4, 4, 4), numpy.float32), None, image.header), "one.nii")
    right = nibabel.load("one.nii").affine[0, 3], -SimpleITK.ReadImage("one.nii").GetOrigin()[0]  # LPS
    found[sform_code, qform_code] = tuple(round(float(each)) for each in right)
    print(f"sform_code {sform_code}, qform_code {qform_code}: nibabel {right[0]:g} mm, SimpleITK {right[1] + 0:g} mm")
described = found == {(1, 1): (7, 7), (2, 1): (7, 0), (3, 1): (7, 0), (4, 1): (7, 0), (1, 2): (7, 7), (2, 0): (7, 7)}
print("as described" if described else "they behave otherwise now")
sys.exit(not described)
PROGRAM
