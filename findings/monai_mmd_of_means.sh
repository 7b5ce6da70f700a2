#!/bin/sh
# MONAI 1.6.1's MMDMetric compares the mean images of two sets and no more: a blur for every patient scores as real.
#
# An MMD is used for its kernel, with which two distributions differ unless they are the same. This one is the product
# of two images, so that it is the squared distance of the two means: a generator that returns the mean of the training
# for each patient, or real images under strong noise, get what other real images get. It is also an
# unbiased estimate, so that values below 0 come up, though the documentation has it "non-negative". What it sees is a
# change of the mean, as here a fifth less brightness. y_mapping= changes the vectors, not the kernel.
#
# Shown with 2000 discs of random place and brightness in 32 x 32 pixels, against 2000 others.
# Seen with Python 3.11.7, monai 1.6.1, torch 2.13.0:
#                       other discs   their mean for all   with noise of .5   a fifth fainter
#   MMDMetric                  .004             .012              -.044             1.817
#   Gaussian kernel            .000             .177               .274              .021
#
# sh findings/monai_mmd_of_means.sh      exit code 0: as described; 1: MONAI behaves otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check monai==1.6.1 torch==2.13.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import sys
from importlib.metadata import version

import torch
from monai.metrics import MMDMetric

NUMBER = 2000
print("python", sys.version.split()[0], *(f"{name} {version(name)}" for name in ("monai", "torch", "numpy")))
generator = torch.Generator().manual_seed(0)
place = torch.stack(torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij"))


def discs():
    centre = 10 + 12 * torch.rand(NUMBER, 2, 1, 1, generator=generator)
    bright = 0.5 + torch.rand(NUMBER, 1, 1, 1, generator=generator)
    return bright * ((place - centre).norm(dim=1, keepdim=True) < 6)


def gaussian(first, second):
    """The same estimate with a Gaussian kernel, as wide as the median distance of real images."""
    first, second = first.flatten(1), second.flatten(1)
    width = torch.pdist(first).median()
    pairs = (first, first), (second, second), (first, second)
    one, other, both = (torch.exp(-((torch.cdist(*pair) / width) ** 2)) for pair in pairs)
    return float((one.sum() + other.sum() - 2 * NUMBER) / NUMBER / (NUMBER - 1) - 2 * both.mean())


real = discs()
made = {
    "other discs": discs(),
    "their mean for all": discs().mean(0, keepdim=True).repeat(NUMBER, 1, 1, 1),
    "with noise": discs() + 0.5 * torch.randn(NUMBER, 1, 32, 32, generator=generator),
    "a fifth fainter": 0.8 * discs(),
}
found = {name: (float(MMDMetric()(real, each)), gaussian(real, each)) for name, each in made.items()}
for name, values in found.items():
    print("{}: MMDMetric {:.3f}, Gaussian kernel {:.3f}".format(name, *values))
other, mean, noise, fainter = found.values()
described = max(map(abs, (other[0], mean[0], noise[0]))) < 0.1 and fainter[0] > 1
described = described and min(mean[1], noise[1]) > 0.1 > 100 * other[1]
print("as described" if described else "MONAI behaves otherwise now")
sys.exit(not described)
PROGRAM
