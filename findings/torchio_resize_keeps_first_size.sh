#!/bin/sh
# TorchIO 1.2.1's Resize with a side of -1 keeps that side of the first image for all that follow.
#
# "The size of dimensions set to -1 will be kept": the first call writes the sides of its image into the transform, so
# that an image of another size is resampled to the first one's. In a data set, what an image becomes depends on which
# was read first, and with several workers on which worker reads it. Nothing is said; the affine fits the new voxels.
#
# Shown with images of 20 x 20 x 10 and 20 x 20 x 30 voxels of 1 mm, resized to 10 x 10 x -1.
# Seen with Python 3.11.7, torchio 1.2.1, torch 2.13.0, numpy 2.4.6:
#   the second alone   10 x 10 x 30, slices of 1 mm      after the first   10 x 10 x 10, slices of 3 mm
#
# sh findings/torchio_resize_keeps_first_size.sh      exit code 0: as described; 1: TorchIO behaves otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torchio==1.2.1 torch==2.13.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import sys
from importlib.metadata import version

import torch
import torchio

NAMES = ("torchio", "torch", "numpy")
print("python", sys.version.split()[0], *(f"{name} {version(name)}" for name in NAMES))


def image(slices):
    return torchio.ScalarImage(tensor=torch.rand(1, 20, 20, slices))


def resized(transform, slices):
    made = transform(image(slices))
    return made.spatial_shape, tuple(round(float(side), 3) for side in made.spacing)


alone = resized(torchio.Resize((10, 10, -1)), 30)
transform = torchio.Resize((10, 10, -1))
first, after = resized(transform, 10), resized(transform, 30)
print(f"30 slices alone: {alone}\n10 slices: {first}\n30 slices after them: {after}")
kept, taken = ((10, 10, 30), (2, 2, 1)), ((10, 10, 10), (2, 2, 3))
described = (alone, first, after) == (kept, ((10, 10, 10), (2, 2, 1)), taken)
print("as described" if described else "TorchIO behaves otherwise now")
sys.exit(not described)
PROGRAM
