#!/bin/sh
# ANTsPy 0.6.3's histogram_match_image2 does not match histograms: it moves quantiles at other intensities than theirs.
#
# It fits a curve to the differences of the quantiles of both images, and lays that of quantile q at the share q of the
# way from the lowest to the highest intensity, instead of at the quantile itself. The two are one only in an image of
# uniform values. In others, as in MR with much background and few bright voxels, the result has another histogram than
# its reference, and the order of voxels is lost: bright ones come out darker than those that were darker, and the
# brightest stays as it was. Nothing is said. histogram_match_image of the same package is right.
#
# Shown with squares of uniform values up to 1000, and the same up to 100 as the reference: a tenth would match.
# Seen with Python 3.11.7, antspyx 0.6.3, numpy 2.3.5; the voxels at 0.5, 0.7, 0.9 and 1 of the source's order:
#   reference and histogram_match_image 25, 49, 81, 100      histogram_match_image2 194, 274, 219, 1000
#
# sh findings/antspy_histogram_match.sh      exit code 0: as described; 1: ANTsPy behaves otherwise now
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
uniform = ((numpy.arange(27_000) + 0.5) / 27_000).reshape(30, 30, 30)
source, reference = (ants.from_numpy((most * uniform**2).astype(numpy.float32)) for most in (1000, 100))
images = {"reference": reference}
for match in (ants.histogram_match_image, ants.histogram_match_image2):
    images[match.__name__] = match(source, reference)
found = {}
for name, image in images.items():
    found[name] = image.numpy().ravel()[[13_499, 18_899, 24_299, 26_999]].round().tolist()
    print(f"{name}: voxels at 0.5, 0.7, 0.9 and 1 of the source's order {found[name]}")
right = [25, 49, 81, 100]
described = list(found.values()) == [right, right, [194, 274, 219, 1000]]
print("as described" if described else "ANTsPy behaves otherwise now")
sys.exit(not described)
PROGRAM
