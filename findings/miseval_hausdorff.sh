#!/bin/sh
# MISeval 1.3.0: its Hausdorff distance of two masks is not that of their points; moved along the rows, it is 0.
#
# "HausdorffDistance" hands the masks themselves to hausdorff 0.2.6, which wants a list of points. Each row of pixels is
# then one point: an organ 30 pixels further down has the same rows and a distance of 0, one 30 pixels to the side has
# 3.16, the root of its 10 pixels. "AverageHausdorffDistance" is the largest distance, no average: one stray pixel
# decides it, and it is what "HausdorffDistance" should have been. Both are in pixels; a spacing cannot be given.
#
# Shown with a square of 10 pixels, moved down, to the side, and with a stray pixel 11 aside.
# Seen with Python 3.11.7, miseval 1.3.0, hausdorff 0.2.6, scipy 1.17.1, numpy 2.4.6:
#   30 down: 0 and 30      30 aside: 3.162 and 30      stray pixel: 1 and 11      SciPy, of the points: 30, 30 and 11
#
# sh findings/miseval_hausdorff.sh      exit code 0: as described; 1: MISeval behaves otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check miseval==1.3.0 hausdorff==0.2.6 scipy==1.17.1 \
    numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import sys
from importlib.metadata import version

import numpy
from miseval import evaluate
from scipy.spatial.distance import directed_hausdorff

NAMES = ("miseval", "hausdorff", "scipy", "numpy")
print("python", sys.version.split()[0], *(f"{name} {version(name)}" for name in NAMES))


def square(row, column):
    mask = numpy.zeros((64, 64), int)
    mask[row : row + 10, column : column + 10] = 1
    return mask


truth, stray = square(10, 10), square(10, 10)
stray[15, 30] = 1
found = []
for name, mask in (("30 down", square(40, 10)), ("30 aside", square(10, 40)), ("a stray pixel", stray)):
    points = numpy.argwhere(truth), numpy.argwhere(mask)
    right = max(directed_hausdorff(*points)[0], directed_hausdorff(*points[::-1])[0])
    given = (evaluate(truth, mask, metric=metric) for metric in ("HausdorffDistance", "AverageHausdorffDistance"))
    found.append(tuple(round(float(value), 3) for value in (*given, right)))
    print("{}: HausdorffDistance {:g}, AverageHausdorffDistance {:g}; of the points {:g}".format(name, *found[-1]))
described = found == [(0, 30, 30), (3.162, 30, 30), (1, 11, 11)]
print("as described" if described else "MISeval behaves otherwise now")
sys.exit(not described)
PROGRAM
