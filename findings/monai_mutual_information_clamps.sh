#!/bin/sh
# MONAI 1.6.1's GlobalMutualInformationLoss cuts images to 0..1: of a CT in HU and a raw MR it sees two silhouettes.
#
# Mutual information is taken for CT and MR because no scale of theirs matters to it. With kernel_type="gaussian", the
# default, all below 0 is 0 and all above 1 is 1; neither a warning nor the documentation of the class says so. Muscle
# and bone are then one, and so are all tissues of an MR: a registration by it aligns the skin and is free inside, and a
# synthesis gets a gradient from voxels of 0 to 1 HU alone. "b-spline" of the same class takes the range of the image.
#
# Shown with a CT of a thigh, and an MR of it whose bone lies 0, 2 and 4 voxels aside; the losses:
# Seen with Python 3.11.7, monai 1.6.1, torch 2.13.0:
#   gaussian, HU and raw MR   -.647, -.647, -.647, and no gradient at any voxel of the CT
#   gaussian, both in 0..1    -.743, -.695, -.670
#   b-spline, both ways       -.743, -.696, -.670
#
# sh findings/monai_mutual_information_clamps.sh      exit code 0: as described; 1: MONAI behaves otherwise now
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
from monai.losses import GlobalMutualInformationLoss

print("python", sys.version.split()[0], *(f"{name} {version(name)}" for name in ("monai", "torch", "numpy")))
place = torch.stack(torch.meshgrid(*[torch.arange(32.0)] * 3, indexing="ij"))


def thigh(moved, air, muscle, bone):
    values = torch.full((1, 1, 32, 32, 32), float(air))
    for x, radius, value in ((16, 14, muscle), (14 + moved, 6, bone)):
        values[0, 0, (place - torch.tensor([16.0, 16, x]).reshape(3, 1, 1, 1)).norm(dim=0) < radius] = value
    return values


def unit(values):
    return (values - values.min()) / (values.max() - values.min())


ct = thigh(0, -1000, 40, 900)
found = {}
for kernel in ("gaussian", "b-spline"):
    loss = GlobalMutualInformationLoss(kernel_type=kernel)
    raw, scaled = [], []
    for moved in (0, 2, 4):
        mr = thigh(moved, 0, 600, 100)
        raw.append(round(float(loss(mr, ct)), 3))
        scaled.append(round(float(loss(unit(mr), unit(ct))), 3))
    found[kernel] = raw, scaled
    print(f"{kernel}: HU and raw MR {raw}, in 0..1 {scaled}")
made = ct.clone().requires_grad_()
GlobalMutualInformationLoss()(made, mr).backward()
steepest = float(made.grad.abs().max())
print(f"gaussian, HU: largest gradient of a voxel {steepest:g}")
(raw, scaled), (spline_raw, spline_scaled) = found.values()
described = steepest == 0 and raw[0] == raw[1] == raw[2] and scaled[0] < scaled[1] < scaled[2]
described = described and spline_raw == spline_scaled and spline_raw[0] < spline_raw[1] < spline_raw[2]
print("as described" if described else "MONAI behaves otherwise now")
sys.exit(not described)
PROGRAM
