#!/bin/sh
# panoptica 2.1.7 measures the distances of a whole mask in voxels and those of its instances in mm, in one result.
#
# evaluate(..., voxelspacing=...) hands the spacing to the metrics of instances (sq_hd, sq_assd, sq_nsd). Those of the
# same names for the whole mask (global_bin_hd, global_bin_hd95, global_bin_assd, global_bin_nsd) never get it:
# the first three are in voxels whatever the spacing, and the surface Dice has a tolerance of half a voxel instead of
# the least side of one. With one lesion both rows should agree in hd; they differ by the distance of the slices.
#
# Shown with a cube in slices of 5 mm, and the same two slices, 10 mm, higher.
# Seen with Python 3.11.7, panoptica 2.1.7, numpy 2.2.6, scipy 1.17.1:
#   voxelspacing 1, 1, 1   sq: hd 2, assd .69, nsd .72      global_bin: hd 2, assd .69, nsd .59
#   voxelspacing 5, 1, 1   sq: hd 10, assd 2.66, nsd .65    global_bin: hd 2, assd .69, nsd .59
#
# sh findings/panoptica_global_spacing.sh      exit code 0: as described; 1: panoptica behaves otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check panoptica==2.1.7 connected-components-3d==3.29.0 \
    numpy==2.2.6 scipy==1.17.1 pandas==2.3.3
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import sys
from importlib.metadata import version

import numpy
from panoptica import InputType, Panoptica_Evaluator
from panoptica.metrics import Metric

print("python", sys.version.split()[0], *(f"{name} {version(name)}" for name in ("panoptica", "numpy", "scipy")))
truth = numpy.zeros((24, 20, 20), numpy.uint8)
truth[5:15, 5:15, 5:15] = 1
made = numpy.roll(truth, 2, axis=0)
METRICS = [Metric.HD, Metric.ASSD, Metric.NSD]
NAMES = [f"{kind}_{metric}" for kind in ("sq", "global_bin") for metric in ("hd", "assd", "nsd")]
evaluator = Panoptica_Evaluator(InputType.MATCHED_INSTANCE, instance_metrics=METRICS, global_metrics=METRICS)
found = {}
for spacing in ((1, 1, 1), (5, 1, 1)):
    (result,) = evaluator.evaluate(made, truth, voxelspacing=spacing).values()
    found[spacing] = [round(float(getattr(result, name)), 2) for name in NAMES]
    print(spacing, *(f"{name} {value:g}" for name, value in zip(NAMES, found[spacing])))
described = list(found.values()) == [[2, 0.69, 0.72, 2, 0.69, 0.59], [10, 2.66, 0.65, 2, 0.69, 0.59]]
print("as described" if described else "panoptica behaves otherwise now")
sys.exit(not described)
PROGRAM
