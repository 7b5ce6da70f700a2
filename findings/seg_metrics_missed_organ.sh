#!/bin/sh
# seg-metrics 1.2.8 gives an organ that the prediction misses the distances of a perfect one: hd, hd95 and msd are 0.
#
# write_metrics measures surface distances to a map that it sets to 0 where a label is missing on one side, so that all
# distances are 0 mm, less than those of a prediction that is one voxel off. Dice, precision and recall are 0, and a line
# of the log speaks of those alone. A mean of hd95 over cases or organs thus falls with every organ that was missed, or
# was found where there is none. (MONAI gives inf or NaN for these, MedPy an error.)
#
# Shown with a cube of 10 mm: found a voxel off, missed, and found where the truth has none.
# Seen with Python 3.11.7, seg-metrics 1.2.8, SimpleITK 2.5.7, numpy 2.4.6, pandas 3.1.1:
#   a voxel off   Dice .900, hd95 1 mm, hd 1 mm, msd .34 mm
#   missed        Dice 0, hd95 0, hd 0, msd 0        found where there is none   alike
#
# sh findings/seg_metrics_missed_organ.sh      exit code 0: as described; 1: seg-metrics behaves otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check seg-metrics==1.2.8 SimpleITK==2.5.7 numpy==2.4.6 \
    pandas==3.1.1
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import sys
from importlib.metadata import version

import numpy
from seg_metrics.seg_metrics import write_metrics

NAMES = ("seg-metrics", "SimpleITK", "numpy", "pandas")
print("python", sys.version.split()[0], *(f"{name} {version(name)}" for name in NAMES))
empty = numpy.zeros((20, 20, 20), numpy.uint8)
organ, off = empty.copy(), empty.copy()
organ[5:15, 5:15, 5:15] = 1
off[6:16, 5:15, 5:15] = 1
CASES = {"a voxel off": (organ, off), "missed": (organ, empty), "found where there is none": (empty, organ)}
found = {}
for name, (truth, made) in CASES.items():
    (scores,) = write_metrics(labels=[1], gdth_img=truth, pred_img=made, spacing=[1, 1, 1])
    found[name] = [round(float(scores[metric][0]), 3) for metric in ("dice", "hd95", "hd", "msd")]
    print(f"{name}: Dice {found[name][0]}, hd95 {found[name][1]} mm, hd {found[name][2]} mm, msd {found[name][3]} mm")
described = found["missed"] == found["found where there is none"] == [0, 0, 0, 0]
described = described and found["a voxel off"][:3] == [0.9, 1, 1] and found["a voxel off"][3] > 0
print("as described" if described else "seg-metrics behaves otherwise now")
sys.exit(not described)
PROGRAM
