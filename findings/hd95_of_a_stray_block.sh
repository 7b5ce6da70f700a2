#!/bin/sh
# MedPy 0.5.2's hd95 is 0 where DeepMind's surface-distance has 16 mm: the 95 % are of one heap, or of each direction.
#
# MedPy takes the percentile of the distances of both surfaces together, surface-distance, like MONAI, the larger of the
# percentiles of each. A false island with 6 % of the surface of the one mask is 3 % of both: for one it is an outlier,
# for the other it is the result. Both are called HD95.
#
# Shown with a ball of radius 12 mm, and the same with a block of 5 voxels a side 16 mm away.
# Seen with Python 3.11.7, MedPy 0.5.2, surface-distance-based-measures 0.1, numpy 2.4.6:
#   MedPy 0, surface-distance 16; with a block of 6 voxels a side both over 16
#
# sh findings/hd95_of_a_stray_block.sh      exit code 0: as described; 1: they behave otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check MedPy==0.5.2 SimpleITK==2.5.7 \
    Surface-Distance-Based-Measures==0.1 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import sys
from importlib.metadata import version

import numpy
from medpy.metric.binary import hd95
from surface_distance import compute_robust_hausdorff, compute_surface_distances

NAMES = ("MedPy", "Surface-Distance-Based-Measures", "numpy")
print("python", sys.version.split()[0], *(f"{name} {version(name)}" for name in NAMES))
z, y, x = numpy.indices((40, 40, 60))
ball = (z - 20) ** 2 + (y - 20) ** 2 + (x - 20) ** 2 <= 12**2
found = []
for side in (5, 6):
    island = ball.copy()
    island[16 : 16 + side, 16 : 16 + side, 48 : 48 + side] = True
    other = compute_robust_hausdorff(compute_surface_distances(ball, island, (1.0, 1.0, 1.0)), 95)
    found.append((round(float(hd95(island, ball)), 2), round(float(other), 2)))
    print(f"block of {side}: MedPy {found[-1][0]:g}, surface-distance {found[-1][1]:g}")
described = found == [(0, 16), (16.03, 18.03)]
print("as described" if described else "they behave otherwise now")
sys.exit(not described)
PROGRAM
