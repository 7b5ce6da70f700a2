#!/bin/sh
# piq 0.8.0: ssim of an image of 384 pixels or more is that of a smaller one, and its docstring has the switch reversed.
#
# By default (downsample=True) both images are first averaged over squares of round(shorter side / 256) pixels, as the
# script of SSIM's authors does. By the docstring this is what agrees with scikit-image and TensorFlow, but the former
# does no such thing: downsample=False agrees with it. A CT of 512 pixels is compared at 256, where half the noise is
# gone, an MR of 320 as it is, and the same noise has another SSIM in a crop than in the whole image.
#
# Shown with noise of 0.05 on a flat image of 0.5, of 383 and of 384 pixels on a side.
# Seen with Python 3.11.7, piq 0.8.0, torch 2.13.0, scikit-image 0.26.0 (Gaussian weights, a border of 5 left out):
#   383: piq 0.283, downsample=False 0.283, scikit-image 0.283      384: piq 0.606, 0.282, 0.282
#
# sh findings/piq_ssim_halves_images.sh      exit code 0: as described; 1: piq behaves otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check piq==0.8.0 torch==2.13.0 torchvision==0.28.0 \
    scikit-image==0.26.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import subprocess
import sys
from importlib.metadata import version

import numpy
import torch
from skimage.metrics import structural_similarity

if subprocess.run([sys.executable, "-c", "import torchvision"], capture_output=True).returncode:
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):  # which torchvision lacks beside a PyTorch of another build, and SSIM does not need
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
import piq  # noqa: E402

print("python", sys.version.split()[0], *(f"{name} {version(name)}" for name in ("piq", "torch", "scikit-image")))
random = numpy.random.RandomState(0)


def similarities(side):
    flat = numpy.full((side, side), 0.5)
    noisy = numpy.clip(flat + 0.05 * random.standard_normal((side, side)), 0, 1)
    pair = [torch.from_numpy(image)[None, None] for image in (flat, noisy)]
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
    values = piq.ssim(*pair), piq.ssim(*pair, downsample=False), structural_similarity(flat, noisy, **settings)
    found = [round(float(value), 3) for value in values]
    print(f"{side}: piq {found[0]}, downsample=False {found[1]}, scikit-image {found[2]}")
    return found


small, large = similarities(383), similarities(384)
advice = any("skimage" in line and "'downsample' = True" in line for line in piq.ssim.__doc__.splitlines())
print("advice of the docstring:", advice)
described = small[0] == small[1] == small[2] and large[1] == large[2] and large[0] > 2 * large[1] and advice
print("as described" if described else "piq behaves otherwise now")
sys.exit(not described)
PROGRAM
