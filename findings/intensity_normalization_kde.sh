#!/bin/sh
# intensity-normalization 3.0.1: what its KDE normalisation makes of an MR depends on the unit of its values.
#
# The method divides by the mode of a tissue, white matter in T1, so that this is 1. The width of its smoothing is given
# as the largest value over 80, where SciPy takes a number for a factor of the standard deviation. The one is right for
# values up to 1 or so. In the hundreds, which scanners give, the smoothed histogram has one maximum for all tissues,
# and the image is divided by some value amid them. FCM of the same package gives the same for all units.
#
# Shown with a ball of three tissues of 300, 600 and 900, noise of 27, as it is and divided by 1000.
# Seen with Python 3.11.7, intensity-normalization 3.0.1, scipy 1.17.1, numpy 2.4.6; CSF, grey and white matter then:
#   kde, 0.3 to 0.9: 0.34, 0.67, 1      kde, 300 to 900: 0.52, 1.04, 1.56      fcm, both: 0.33, 0.67, 1
#
# sh findings/intensity_normalization_kde.sh      exit code 0: as described; 1: it behaves otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check intensity-normalization==3.0.1 scikit-fuzzy==0.5.0 \
    nibabel==5.4.2 scipy==1.17.1 numpy==2.4.6 networkx==3.6.1
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import sys
from importlib.metadata import version

import numpy
from intensity_normalization import normalize_image

NAMES = ("intensity-normalization", "scipy", "numpy")
print("python", sys.version.split()[0], *(f"{name} {version(name)}" for name in NAMES))
z, y, x = numpy.indices((30, 30, 30)) - 15
radius = numpy.sqrt(z**2 + y**2 + x**2)
tissue = (radius < 14).astype(int) + (radius < 12) + (radius < 10)
noise = numpy.random.default_rng(0).normal(0, 27, tissue.shape) * (tissue > 0)
t1 = numpy.array([0, 300, 600, 900])[tissue] + noise
mask = (tissue > 0).astype(float)
found = {}
for method in ("kde", "fcm"):
    for divisor in (1000, 1):
        made = normalize_image(t1 / divisor, method=method, mask=mask, modality="t1").get_data()
        found[method, divisor] = [round(float(made[tissue == number].mean()), 2) for number in (1, 2, 3)]
        print(f"{method} of values to {t1.max() / divisor:g}: {found[method, divisor]}")
right = [0.335, 0.67, 1.0]
as_seen = {("kde", 1000): right, ("kde", 1): [0.52, 1.04, 1.56], ("fcm", 1000): right, ("fcm", 1): right}
described = all(numpy.allclose(found[name], as_seen[name], atol=0.015) for name in as_seen)
print("as described" if described else "intensity-normalization behaves otherwise now")
sys.exit(not described)
PROGRAM
