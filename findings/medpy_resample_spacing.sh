#!/bin/sh
# MedPy 0.5.2's resample gives voxels of another size than its header says: the far end lies up to a slice aside.
#
# It lays the first and the last new voxel on the first and the last old one, and divides the way between them into
# equal steps, which are not those that were asked for. The header gets the latter. So the error grows along each axis.
# It is largest where slices are thick: of 20 slices 5 mm apart in steps of 1 mm the top is 4 mm higher than it was, and
# what was drawn or synthesised on that grid lies beside its CT. SimpleITK, MONAI, TorchIO and nibabel keep places.
#
# Shown with an image whose values are the z of its voxels in mm.
# Seen with Python 3.11.7, MedPy 0.5.2, SimpleITK 2.5.7, numpy 2.4.6; size, step of the values, z less value at the end:
#   20 of 5 mm to 1 mm: 100, 0.96, 4      24 of 1 mm to 2 mm: 12, 2.091, -1
#
# sh findings/medpy_resample_spacing.sh      exit code 0: as described; 1: MedPy behaves otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check MedPy==0.5.2 SimpleITK==2.5.7 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import sys
from importlib.metadata import version

import numpy
from medpy.filter.image import resample
from medpy.io import Header

print("python", sys.version.split()[0], *(f"{name} {version(name)}" for name in ("MedPy", "SimpleITK", "numpy")))
found = []
for count, spacing, wanted in ((20, 5, 1), (24, 1, 2)):
    places = numpy.zeros((8, 8, count)) + spacing * numpy.arange(count)
    made, header = resample(places, Header(spacing=(1, 1, spacing)), (1, 1, wanted), bspline_order=1)
    values = made[4, 4]
    step = header.get_voxel_spacing()[2]
    aside = step * (len(values) - 1) - values[-1]
    found.append((len(values), step, round(float(numpy.diff(values).mean()), 3), round(float(aside), 3)))
    print("{} voxels of {:g} mm by the header, {:g} by the values; the last one is {:g} mm aside".format(*found[-1]))
described = found == [(100, 1, 0.96, 4), (12, 2, 2.091, -1)]
print("as described" if described else "MedPy behaves otherwise now")
sys.exit(not described)
PROGRAM
