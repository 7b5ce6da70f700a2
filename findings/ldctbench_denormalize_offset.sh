#!/bin/sh
# ldct-benchmark 0.0.15: denoise_numpy and denoise_dicom add 20.73 HU to every voxel, whatever the network does.
#
# ldctbench.evaluate.utils.normalize subtracts the mean of the training images and divides by their standard deviation.
# denormalize, of the same module, multiplies by the deviation and adds the deviation again, in place of the mean: of
# stored values 502.185 in place of 481.454. Both functions of ldctbench.hub use the pair, and so does the example
# "Denoise DICOMs using pretrained models". The table of the benchmark is not concerned: its test denormalises by the
# data set's own method, which adds the mean.
#
# Shown with the network that returns its input, which has to return the values that were given.
# Seen with Python 3.11.7, ldct-benchmark 0.0.15, torch 2.13.0:
#   given 0, 1024, 2048: 20.731, 1044.731, 2068.731; mean 481.454, deviation 502.185
#
# sh findings/ldctbench_denormalize_offset.sh      exit code 0: as described; 1: ldct-benchmark behaves otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip="$folder/venv/bin/pip install --quiet --disable-pip-version-check"
$pip torch==2.13.0 scikit-image==0.26.0 torchmetrics==1.9.0 pydicom==3.0.1 PyYAML==6.0.3 pandas==2.3.3 tqdm wandb \
    platformdirs tabulate requests matplotlib
$pip --no-deps torchvision==0.28.0 ldct-benchmark==0.0.15
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import contextlib
import sys
from importlib.metadata import version

import numpy
import torch

library = torch.library.Library("torchvision", "FRAGMENT")
for name in ("nms", "qnms"):  # which torchvision lacks beside a torch of another build, and nothing here needs
    with contextlib.suppress(RuntimeError):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
from ldctbench.evaluate.utils import DATA_INFO
from ldctbench.hub.utils import denoise_numpy

python = sys.version.split()[0]
print("python", python, "ldct-benchmark", version("ldct-benchmark"), "torch", version("torch"))
given = numpy.array([[0.0, 1024.0, 2048.0]] * 3)
made = denoise_numpy(given, torch.nn.Identity(), torch.device("cpu"))
mean, deviation = float(DATA_INFO["mean"]), float(DATA_INFO["std"])
print(f"given 0, 1024, 2048: {', '.join(f'{value:.3f}' for value in made[0])}; mean {mean:.3f}, deviation {deviation:.3f}")
described = numpy.allclose(made - given, deviation - mean, atol=1e-3) and 20.7 < deviation - mean < 20.8
print("as described" if described else "ldct-benchmark behaves otherwise now")
sys.exit(not described)
PROGRAM
