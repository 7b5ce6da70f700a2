#!/bin/sh
# DiffDRR 0.6.1: what water attenuates depends on the other voxels of its CT; a voxel of metal makes it half as dense.
#
# diffdrr.data.read turns Hounsfield units into densities from 0 for the lowest voxel above -800 to 1 for the highest of
# the volume. So water is 0.44 in a head with bone of 1000, 0.21 in the same with a filling of 3000, and 0.09 where no
# partial voxel of skin or lung lies below -100, as in a smooth synthetic CT. A DRR is the sum of these in mm, and those
# of a CT and of a synthetic one differ by a factor that has nothing to do with the tissue on the way. The
# package's normalised cross-correlation does not see it; an MAE of DRRs, or a network trained on them, does.
#
# Shown with a cube of water of 60 mm in air, one voxel each of skin and bone in a corner of it, and the ray through its
# middle, which meets nothing but water.
# Seen with Python 3.11.7, diffdrr 0.6.1, torch 2.13.0, torchio 1.2.1; density of water and the middle of the DRR:
#   bone 1000, skin -790: 0.441, 26.5      3000, -790: 0.208, 12.5      1000, -100: 0.091, 5.5
#
# sh findings/diffdrr_relative_density.sh      exit code 0: as described; 1: DiffDRR behaves otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check diffdrr==0.6.1 torch==2.13.0 torchio==1.2.1 \
    numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import sys
from importlib.metadata import version

import numpy
import torch
import torchio
from diffdrr.data import read
from diffdrr.drr import DRR

NAMES = ("diffdrr", "torch", "torchio", "numpy")
print("python", sys.version.split()[0], *(f"{name} {version(name)}" for name in NAMES))
found = {}
for bone, skin in ((1000, -790), (3000, -790), (1000, -100)):
    ct = torch.full((1, 60, 60, 60), -1000.0)
    ct[:, 15:45, 15:45, 15:45] = 0
    ct[:, 15, 15, 15], ct[:, 15, 15, 16] = bone, skin
    subject = read(torchio.ScalarImage(tensor=ct, affine=numpy.diag([2.0, 2, 2, 1])))
    drr = DRR(subject, sdd=1020.0, height=64, delx=2.0)
    pose = torch.zeros(1, 3), torch.tensor([[0.0, 850, 0]])
    image = drr(*pose, parameterization="euler_angles", convention="ZXY")
    found[bone, skin] = round(float(subject.density.data[0, 30, 30, 30]), 3), round(float(image[0, 0, 32, 32]), 1)
    print("bone {}, skin {}: density of water {}, middle of the DRR {}".format(bone, skin, *found[bone, skin]))
described = list(found.values()) == [(0.441, 26.5), (0.208, 12.5), (0.091, 5.5)]
print("as described" if described else "DiffDRR behaves otherwise now")
sys.exit(not described)
PROGRAM
