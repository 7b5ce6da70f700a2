#!/bin/sh
# SimpleITK 2.5.7's GetAverageHausdorffDistance averages over the whole volume of an organ, not over its surface.
#
# All voxels of a label count, and those that lie in the other one count as 0. So the same error of a contour is the
# smaller, the larger the organ is: with twice the radius half of it. Average surface distances, which tables show
# beside it, are a property of the contour. GetHausdorffDistance is the usual one here.
#
# Shown with spheres of radius 8, 16 and 24 mm, each against itself moved by 2 mm.
# Seen with Python 3.11.7, SimpleITK 2.5.7, MedPy 0.5.2, numpy 2.4.6:
#   GetAverageHausdorffDistance 0.233, 0.115, 0.076      MedPy's assd 0.988, 1.010, 1.010      both largest ones 2, 2, 2
#
# sh findings/itk_average_hausdorff.sh      exit code 0: as described; 1: they behave otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check SimpleITK==2.5.7 MedPy==0.5.2 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import sys
from importlib.metadata import version

import numpy
import SimpleITK
from medpy.metric.binary import assd, hd

print("python", sys.version.split()[0], *(f"{name} {version(name)}" for name in ("SimpleITK", "MedPy", "numpy")))
z, y, x = numpy.indices((60, 60, 60)) - 30
found = []
for radius in (8, 16, 24):
    organ, moved = ((z - by) ** 2 + y**2 + x**2 <= radius**2 for by in (0, 2))
    measured = SimpleITK.HausdorffDistanceImageFilter()
    measured.Execute(*(SimpleITK.GetImageFromArray(each.astype(numpy.uint8)) for each in (organ, moved)))
    average, surface = measured.GetAverageHausdorffDistance(), float(assd(organ, moved))
    found.append((round(average, 3), round(surface, 3), measured.GetHausdorffDistance(), float(hd(organ, moved))))
    print("radius {}: average by SimpleITK {}, by MedPy {}; largest {:g}, {:g}".format(radius, *found[-1]))
described = found == [(0.233, 0.988, 2, 2), (0.115, 1.01, 2, 2), (0.076, 1.01, 2, 2)]
print("as described" if described else "they behave otherwise now")
sys.exit(not described)
PROGRAM
