#!/bin/sh
# ANTsPy 0.6.3's resample_image takes the nearest voxel by default, and 1 is nearest for it, not linear.
#
# interp_type=1, the default, is "nearest neighbor", 0 is linear. The example of its documentation calls 0 nearest and 1
# linear, as SciPy's and nnU-Net's orders have it. So resample_image(ct, (1, 1, 1)) repeats or leaves out slices where
# MONAI's Spacing and TorchIO's Resample interpolate, in steps that a network can learn and metrics count.
# resample_image_to_target of the same package is linear by default.
#
# Shown with a ramp of 0 to 90 in voxels of 1 mm, made anew in voxels of 0.5 mm.
# Seen with Python 3.11.7, antspyx 0.6.3, numpy 2.3.5:
#   default and 1: steps of 0 and 10      0 and resample_image_to_target: steps of 5
#
# sh findings/antspy_resample_nearest.sh      exit code 0: as described; 1: ANTsPy behaves otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check antspyx==0.6.3 numpy==2.3.5
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import sys
from importlib.metadata import version

import ants
import numpy

print("python", sys.version.split()[0], *(f"{name} {version(name)}" for name in ("antspyx", "numpy")))
ramp = ants.from_numpy(10 * numpy.indices((10, 10, 10), numpy.float32)[0])
fine = ants.make_image((19, 19, 19), spacing=(0.5, 0.5, 0.5))
made = {
    "default": ants.resample_image(ramp, (0.5, 0.5, 0.5)),
    "1": ants.resample_image(ramp, (0.5, 0.5, 0.5), interp_type=1),
    "0": ants.resample_image(ramp, (0.5, 0.5, 0.5), interp_type=0),
    "resample_image_to_target": ants.resample_image_to_target(ramp, fine),
}
found = {}
for name, image in made.items():
    steps = numpy.diff(image.numpy()[:19, 4, 4])
    found[name] = sorted(set(steps.round(3).tolist()))
    print(f"{name}: steps of {found[name]}")
described = list(found.values()) == [[0, 10], [0, 10], [5], [5]]
print("as described" if described else "ANTsPy behaves otherwise now")
sys.exit(not described)
PROGRAM
