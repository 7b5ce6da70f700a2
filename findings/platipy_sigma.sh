#!/bin/sh
# platipy 0.7.2: sigmaSurfaceDistance is no standard deviation of the surface distances; it grows with their number.
#
# compute_surface_metrics sums the squared deviations of all points of both surfaces and takes the root, without
# dividing by their number. So the spread of distances that are 2 mm at most is 25 mm for a small organ and 74 mm for a
# large one with the same error, and four times as many voxels give twice the sigma. The mean beside it is right.
#
# Shown with spheres of radius 8, 16 and 24 mm, each against itself moved by 2 mm.
# Seen with Python 3.11.7, platipy 0.7.2, SimpleITK 2.5.7, scipy 1.17.1, numpy 2.4.6:
#   sigmaSurfaceDistance 24.544, 49.119, 73.639      maximumSurfaceDistance 2, 2, 2
#   standard deviation of the distances of the surface voxels by SciPy 0.678, 0.651, 0.645
#
# sh findings/platipy_sigma.sh      exit code 0: as described; 1: platipy behaves otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check platipy==0.7.2 SimpleITK==2.5.7 scipy==1.17.1 \
    numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import sys
from importlib.metadata import version

import numpy
import SimpleITK
from platipy.imaging.label.comparison import compute_surface_metrics
from scipy.ndimage import binary_erosion, distance_transform_edt

NAMES = ("platipy", "SimpleITK", "scipy", "numpy")
print("python", sys.version.split()[0], *(f"{name} {version(name)}" for name in NAMES))
z, y, x = numpy.indices((60, 60, 60)) - 30
found = []
for radius in (8, 16, 24):
    organ, moved = ((z - by) ** 2 + y**2 + x**2 <= radius**2 for by in (0, 2))
    images = (SimpleITK.GetImageFromArray(each.astype(numpy.uint8)) for each in (organ, moved))
    metrics = compute_surface_metrics(*images)
    given = (metrics[name] for name in ("meanSurfaceDistance", "sigmaSurfaceDistance", "maximumSurfaceDistance"))
    edges = [each & ~binary_erosion(each) for each in (organ, moved)]
    distances = [distance_transform_edt(~one)[other] for one, other in (edges, edges[::-1])]
    found.append(tuple(round(float(value), 3) for value in (*given, numpy.concatenate(distances).std())))
    print("radius {}: mean {:g}, sigma {:g}, largest {:g}; standard deviation by SciPy {:g}".format(radius, *found[-1]))
described = found == [
    (0.78, 24.544, 2, 0.678),
    (0.757, 49.119, 2, 0.651),
    (0.754, 73.639, 2, 0.645),
]
print("as described" if described else "platipy behaves otherwise now")
sys.exit(not described)
PROGRAM
