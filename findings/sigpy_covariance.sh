#!/bin/sh
# SigPy 0.1.27's get_cov is a sum over the samples, no covariance, and takes the mean out of the noise it is given.
#
# mri.util.get_cov returns noise times its adjoint, not divided by the number of samples, so that k-space whitened with it
# (mri.util.whiten) has noise of the variance 1 / samples instead of 1: a threshold, a regularisation or an SNR in units of
# the noise then depends on how long the noise scan was. Its mean is subtracted in place: the caller's array has changed.
#
# Shown with noise of two coils of the standard deviations 2 and 5 and a mean of 1, of 10,000 and of 40,000 samples.
# Seen with Python 3.11.7, sigpy 0.1.27, numpy 2.4.6:
#   get_cov over numpy.cov 9999, 39999        deviation of whitened noise .010, .005        mean of the noise afterwards 0
#
# sh findings/sigpy_covariance.sh      exit code 0: as described; 1: SigPy behaves otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check sigpy==0.1.27 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import sys
from importlib.metadata import version

import numpy
from sigpy.mri.util import get_cov, whiten

print("python", sys.version.split()[0], *(f"{name} {version(name)}" for name in ("sigpy", "numpy")))
random = numpy.random.default_rng(0)
found = []
for samples in (10000, 40000):
    noise = numpy.array([[2], [5]]) * random.normal(size=(2, samples)) + 1
    given, means = noise.copy(), noise.mean(1)
    ratio = get_cov(noise) / numpy.cov(given)
    deviation = whiten(given - given.mean(1, keepdims=True), get_cov(given.copy())).std()
    found.append((round(float(ratio.mean())), round(float(deviation), 3), float(abs(noise.mean(1)).max()) < 1e-9))
    print(f"{samples} samples: get_cov over numpy.cov {ratio.mean():.1f}, whitened noise {deviation:.4f},", end=" ")
    print(f"means before {means.round(2)}, after {abs(noise.mean(1)).round(2)}")
described = found == [(9999, 0.01, True), (39999, 0.005, True)] and min(abs(means)) > 0.9
print("as described" if described else "SigPy behaves otherwise now")
sys.exit(not described)
PROGRAM
