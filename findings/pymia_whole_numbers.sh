#!/bin/sh
# pymia 0.3.4's errors of regression wrap around in the numbers of the images: a CT in int16 has a negative mean square.
#
# MeanAbsoluteError, MeanSquaredError and RootMeanSquaredError subtract and square in the type of the two arrays. A CT is
# stored in int16, whose square ends at a difference of 181 HU, an MR often in uint16, which has no negative difference.
# Nothing is raised: the numbers are merely wrong, too small or too large. PeakSignalToNoiseRatio of the same images is
# right, since scikit-image makes them floating point.
#
# Shown with 1,000 voxels each: a CT of 200 HU where the truth has 400, an MR of 101 where the truth has 100.
# Seen with Python 3.11.7, pymia 0.3.4, numpy 2.4.6, scikit-image 0.26.0, SimpleITK 2.5.7:
#   CT   int16 MAE 200, MSE -25536, RMSE not a number      floating point 200, 40000, 200      PSNR 6.02 dB of both
#   MR   uint16 MAE 65535                                  floating point 1
#
# sh findings/pymia_whole_numbers.sh      exit code 0: as described; 1: pymia behaves otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pymia==0.3.4 numpy==2.4.6 scikit-image==0.26.0 \
    SimpleITK==2.5.7
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import sys
from importlib.metadata import version

import numpy
from pymia.evaluation import metric

NAMES = ("pymia", "numpy", "scikit-image", "SimpleITK")
print("python", sys.version.split()[0], *(f"{name} {version(name)}" for name in NAMES))
METRICS = {
    "MAE": metric.MeanAbsoluteError(),
    "MSE": metric.MeanSquaredError(),
    "RMSE": metric.RootMeanSquaredError(),
    "PSNR": metric.PeakSignalToNoiseRatio(),
}


def scores(truth, made):
    found = {}
    for name, each in METRICS.items():
        each.reference, each.prediction = truth, made
        found[name] = float(each.calculate())
    return found


def shown(name, truth, made, kind):
    found = scores(truth.astype(kind), made.astype(kind))
    print(name, numpy.dtype(kind).name, *(f"{metric} {value:.6g}" for metric, value in found.items()))
    return found


ones = numpy.ones((10, 10, 10))
ct, ct_float = (shown("CT", 400 * ones, 200 * ones, kind) for kind in ("int16", "float64"))
mr, mr_float = (shown("MR", 100 * ones, 101 * ones, kind) for kind in ("uint16", "float64"))
described = ct["MAE"] == 200 and ct["MSE"] == -25536 and numpy.isnan(ct["RMSE"]) and mr["MAE"] == 65535
described = described and (ct_float["MSE"], ct_float["RMSE"], mr_float["MAE"]) == (40000, 200, 1)
described = described and round(ct["PSNR"], 2) == round(ct_float["PSNR"], 2) == 6.02
print("as described" if described else "pymia behaves otherwise now")
sys.exit(not described)
PROGRAM
