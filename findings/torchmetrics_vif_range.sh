#!/bin/sh
# torchmetrics 1.9.0's visual information fidelity is meant for images of 0 to 255; in others it ranks noise above blur.
#
# VIF compares an image with what an eye sees of it through noise of the variance 2, in the square of the image's unit.
# The metric has no data_range, and its documentation no range: images are taken as they are. In 0..1, as networks give
# them, that noise hides everything and a noisy image scores 1.01; in Hounsfield units there is next to none. Noise and
# blur change their order between the units. sigma_n_sq=2 * (range / 255) ** 2 gives the same number in all of them.
#
# Shown with a smooth random image with noise of 5 % of its range, and blurred, in units of 1, 255 and 4000.
# Seen with Python 3.11.7, torchmetrics 1.9.0, torch 2.13.0, scipy 1.17.1, numpy 2.4.6:
#   1: noisy 1.01, blurred 0.72      255: 0.38, 0.72      4000: 0.2, 0.4      with that sigma_n_sq 0.38, 0.72 in each
#
# sh findings/torchmetrics_vif_range.sh      exit code 0: as described; 1: torchmetrics behaves otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torchmetrics==1.9.0 torch==2.13.0 scipy==1.17.1 \
    numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import sys
from importlib.metadata import version

import numpy
import torch
from scipy.ndimage import gaussian_filter
from torchmetrics.functional.image import visual_information_fidelity

NAMES = ("torchmetrics", "torch", "scipy", "numpy")
print("python", sys.version.split()[0], *(f"{name} {version(name)}" for name in NAMES))
random = numpy.random.RandomState(0)
image = gaussian_filter(random.normal(size=(128, 128)), 3)
image = (image - image.min()) / (image.max() - image.min())
noisy, blurred = image + random.normal(0, 0.05, image.shape), gaussian_filter(image, 1.5)
found = {}
for most in (1, 255, 4000):
    truth, *made = (torch.tensor(most * each)[None, None] for each in (image, noisy, blurred))
    given = [visual_information_fidelity(each, truth) for each in made]
    given += [visual_information_fidelity(each, truth, sigma_n_sq=2 * (most / 255) ** 2) for each in made]
    found[most] = [round(float(value), 2) for value in given]
    print("range {}: noisy {}, blurred {}; with its sigma_n_sq {} and {}".format(most, *found[most]))
described = found == {1: [1.01, 0.72, 0.38, 0.72], 255: [0.38, 0.72] * 2, 4000: [0.2, 0.4, 0.38, 0.72]}
print("as described" if described else "torchmetrics behaves otherwise now")
sys.exit(not described)
PROGRAM
