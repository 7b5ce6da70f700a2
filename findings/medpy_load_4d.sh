#!/bin/sh
# MedPy 0.5.2's load turns the axes of an image with a time axis to y, z, t, x: "x, y, z, c" holds for vectors alone.
#
# load promises an array in the order x, y, z, c, and save takes one. SimpleITK, which reads for it, gives vectors as z,
# y, x, c and a volume over time or of several contrasts, as nibabel, MONAI and FSL write them, as t, z, y, x. MedPy
# turns both as if they were vectors. Nothing fails: shapes differ where the sides do, values are all there, and the
# header has the spacing of x, y, z, t. save writes vectors, of which nibabel reads x, y, z, 1, c.
#
# Shown with an image of 5 x 4 x 3 voxels at 2 times.
# Seen with Python 3.11.7, MedPy 0.5.2, SimpleITK 2.5.7, nibabel 5.4.2, numpy 2.4.6:
#   nibabel 5, 4, 3, 2      load 4, 3, 2, 5      saved again 4, 3, 2, 1, 5      an image of vectors 5, 4, 3, 2
#
# sh findings/medpy_load_4d.sh      exit code 0: as described; 1: MedPy behaves otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check MedPy==0.5.2 SimpleITK==2.5.7 nibabel==5.4.2 \
    numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import sys
from importlib.metadata import version

import nibabel
import numpy
import SimpleITK
from medpy.io import load, save

NAMES = ("MedPy", "SimpleITK", "nibabel", "numpy")
print("python", sys.version.split()[0], *(f"{name} {version(name)}" for name in NAMES))
values = numpy.arange(120, dtype=numpy.float32).reshape(5, 4, 3, 2)
nibabel.save(nibabel.Nifti1Image(values, numpy.diag([1, 2, 3, 1])), "times.nii.gz")
times, header = load("times.nii.gz")
save(times, "again.nii.gz", header)
vectors = SimpleITK.GetImageFromArray(values.transpose(2, 1, 0, 3), isVector=True)
SimpleITK.WriteImage(vectors, "vectors.nii.gz")
loaded, _ = load("vectors.nii.gz")
found = [nibabel.load("times.nii.gz").shape, times.shape, nibabel.load("again.nii.gz").shape, loaded.shape]
turned = bool((times == values.transpose(1, 2, 3, 0)).all()), bool((loaded == values).all())
print(f"nibabel {found[0]}, load {found[1]}, spacing {header.get_voxel_spacing()}, saved again {found[2]}")
print(f"vectors {found[3]}; load has the values of y, z, t, x: {turned[0]}; of vectors of x, y, z, c: {turned[1]}")
described = found == [(5, 4, 3, 2), (4, 3, 2, 5), (4, 3, 2, 1, 5), (5, 4, 3, 2)] and turned == (True, True)
print("as described" if described else "MedPy behaves otherwise now")
sys.exit(not described)
PROGRAM
