#!/bin/sh
# intensity-normalization 3.0.1: its command takes --width and --n-clusters, which reach no method, and does not say so.
#
# --width stands in the help as that of WhiteStripe, --n-clusters as that of FCM, and "kde brain_t2.nii.gz --modality t2
# --tissue-type gm" in the examples of its page. The first two reach no method, the last reaches FCM alone, and
# --modality KDE and WhiteStripe alone. Else the file is the same, but for rounding, and the exit code is 0. Whoever
# compares settings of a normalisation by the command compares one setting with itself.
#
# Shown with a ball of three tissues of 0.3, 0.6 and 0.9 and noise, with an option and without. FCM begins at random.
# Seen with Python 3.11.7, intensity-normalization 3.0.1, nibabel 5.4.2, numpy 2.4.6; largest difference:
#   whitestripe --width 0.3: 0      fcm --n-clusters 5: 0      kde --tissue-type gm: 0      fcm --modality t2: 0
#   fcm --tissue-type gm: 0.56      kde --modality t2: 0.03
#
# sh findings/intensity_normalization_ignored_options.sh      exit code 0: as described; 1: it behaves otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check intensity-normalization==3.0.1 scikit-fuzzy==0.5.0 \
    nibabel==5.4.2 scipy==1.17.1 numpy==2.4.6 networkx==3.6.1
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import nibabel
import numpy

NAMES = ("intensity-normalization", "nibabel", "numpy")
print("python", sys.version.split()[0], *(f"{name} {version(name)}" for name in NAMES))
z, y, x = numpy.indices((30, 30, 30)) - 15
radius = numpy.sqrt(z**2 + y**2 + x**2)
tissue = (radius < 14).astype(int) + (radius < 12) + (radius < 11)
noise = numpy.random.default_rng(0).normal(0, 0.03, tissue.shape) * (tissue > 0)
for name, values in (("mr", numpy.array([0, 0.3, 0.6, 0.9])[tissue] + noise), ("mask", tissue > 0)):
    nibabel.save(nibabel.Nifti1Image(values.astype(numpy.float32), numpy.eye(4)), f"{name}.nii.gz")
COMMAND = [Path(sys.executable).parent / "intensity-normalize"]


def made(*options):
    subprocess.run([*COMMAND, *options, "-o", "out.nii.gz"], check=True, stdout=subprocess.DEVNULL)
    return nibabel.load("out.nii.gz").get_fdata()


found = []
for method, option, value in (
    ("whitestripe", "--width", "0.3"),
    ("fcm", "--n-clusters", "5"),
    ("kde", "--tissue-type", "gm"),
    ("fcm", "--modality", "t2"),
    ("fcm", "--tissue-type", "gm"),
    ("kde", "--modality", "t2"),
):
    plain = (method, "mr.nii.gz", "-m", "mask.nii.gz")
    found.append(float(abs(made(*plain, option, value) - made(*plain)).max()))
    print(f"{method} {option} {value}: {found[-1]:.3g}")
described = max(found[:4]) < 1e-5 and min(found[4:]) > 0.01
print("as described" if described else "intensity-normalization behaves otherwise now")
sys.exit(not described)
PROGRAM
