#!/bin/sh
# platipy 0.7.2: hausdorffDistance95 is no percentile of the surface distances; one stray voxel decides it.
#
# compute_surface_metrics takes the largest distance from A to B and the largest from B to A, and then the 95th
# percentile of these two numbers: 0.95 times the larger and 0.05 times the smaller. The 95th percentile of the
# distances of all surface voxels, which papers report under that name, leaves outliers out. So the two are not to be
# put into one table, and contours on a synthetic CT look bad for a single voxel.
#
# Shown with a cube of 15 voxels of 1 mm, and the same with a thread of 9 voxels on it.
# Seen with Python 3.11.7, platipy 0.7.2, MedPy 0.5.2, SimpleITK 2.5.7:
#   platipy: hausdorffDistance 9, hausdorffDistance95 8.55      MedPy: hd 9, hd95 0
#
# sh findings/platipy_hd95.sh      exit code 0: as described; 1: platipy behaves otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check platipy==0.7.2 MedPy==0.5.2 SimpleITK==2.5.7 \
    numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import sys
from importlib.metadata import version

import numpy
import SimpleITK
from medpy.metric.binary import hd, hd95
from platipy.imaging.label.comparison import compute_surface_metrics

print("python", sys.version.split()[0], *(f"{name} {version(name)}" for name in ("platipy", "MedPy", "SimpleITK")))
cube = numpy.zeros((30, 30, 30), numpy.uint8)
cube[5:20, 5:20, 5:20] = 1
thread = cube.copy()
thread[12, 12, 20:29] = 1
found = compute_surface_metrics(*map(SimpleITK.GetImageFromArray, (cube, thread)))
platipy = [round(float(found[name]), 6) for name in ("hausdorffDistance", "hausdorffDistance95")]
right = [float(metric(cube, thread)) for metric in (hd, hd95)]
print(f"platipy: hausdorffDistance {platipy[0]:g}, hausdorffDistance95 {platipy[1]:g}")
print(f"MedPy: hd {right[0]:g}, hd95 {right[1]:g}")
described = (platipy, right) == ([9, 8.55], [9, 0])
print("as described" if described else "platipy behaves otherwise now")
sys.exit(not described)
PROGRAM
