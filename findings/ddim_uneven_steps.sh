#!/bin/sh
# MONAI 1.6.1: DDIMScheduler leaves noise in every sample unless the number of steps divides the number of times.
#
# set_timesteps(n) places the times 999 / (n - 1) apart (torch.linspace), but step() moves by 1000 // n: for n = 501 the
# times are 2 apart and each step removes the noise of 1. Whatever the network, the next step is given an image with
# more noise than belongs to its time, and the last one returns it.
#
# Shown with the exact denoiser of images of N(0, 0.25^2), which needs no training: samples must have that deviation.
# Seen with Python 3.11.7, monai 1.6.1, torch 2.13.0+cpu, numpy 2.4.6:
#   steps 250: 0.246   500: 0.247   1000: 0.248   |   400: 0.327   501: 0.498   600: 0.433
#
# sh findings/ddim_uneven_steps.sh      exit code 0: as described; 1: MONAI behaves otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check monai==1.6.1 torch==2.13.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PROGRAM'
import sys

import monai
import numpy
import torch
from monai.inferers import DiffusionInferer
from monai.networks.schedulers import DDIMScheduler

DEVIATION = 0.25
print("python", sys.version.split()[0], "monai", monai.__version__, "torch", torch.__version__, "numpy", numpy.__version__)
noise = torch.randn(1, 1, 256, 256, generator=torch.Generator().manual_seed(0))
found = {}
for steps in (250, 500, 1000, 400, 501, 600):
    scheduler = DDIMScheduler(1000, clip_sample=False)
    scheduler.set_timesteps(steps)

    def exact(x, timesteps, context=None):
        share = scheduler.alphas_cumprod[timesteps.long()]
        return x * (1 - share).sqrt() / (share * DEVIATION**2 + 1 - share)

    found[steps] = DiffusionInferer(scheduler).sample(noise, exact, verbose=False).std().item()
    print(f"{steps} steps: standard deviation {found[steps]:.3f}, of the images {DEVIATION}")
even = all(abs(found[steps] - DEVIATION) < 0.01 for steps in (250, 500, 1000))
uneven = all(found[steps] > 0.3 for steps in (400, 501, 600))
print("as described" if even and uneven else "MONAI behaves otherwise now")
sys.exit(not (even and uneven))
PROGRAM
