#!/bin/sh
# MONAI 1.6.1's Transpose leaves the affine of an image as it is: what is saved after it lies elsewhere in the patient.
#
# Rotate90, Flip, Orientation and Affine of MONAI move voxels and turn the affine with them, so that each voxel keeps
# its place. Transpose, which does to axes what they do, moves the voxels alone: the spacing of the slices is then that
# of another axis, and a volume transposed for a network in 2-D and saved by SaveImage is as long as it was wide.
# TorchIO's transform of that name keeps the places.
#
# Shown with voxels of 1 x 2 x 5 mm, of which the one at (3, 4, 10) mm is bright.
# Seen with Python 3.11.7, monai 1.6.1, torch 2.13.0, torchio 1.2.1, nibabel 5.4.2; where the saved file has it:
#   Rotate90 3, 4, 10      Flip 3, 4, 10      Transpose 2, 4, 15      TorchIO's Transpose 3, 4, 10
#
# sh findings/monai_transpose_affine.sh      exit code 0: as described; 1: they behave otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check monai==1.6.1 torch==2.13.0 torchio==1.2.1 \
    nibabel==5.4.2 numpy==2.3.5
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import sys
from importlib.metadata import version

import nibabel
import numpy
import torch
import torchio
from monai.data import MetaTensor
from monai.transforms import Flip, Rotate90, SaveImage, Transpose

print("python", sys.version.split()[0], *(f"{name} {version(name)}" for name in ("monai", "torchio", "nibabel")))
values = torch.zeros(1, 6, 7, 8)
values[0, 3, 2, 2] = 100
AFFINE = torch.diag(torch.tensor([1.0, 2, 5, 1]))


def place(name):
    image = nibabel.load(name)
    index = numpy.argwhere(image.get_fdata().squeeze() == 100)[0]
    return tuple((image.affine @ [*index, 1])[:3].round(3).tolist())


found = {}
for name, transform in {"Rotate90": Rotate90(), "Flip": Flip(0), "Transpose": Transpose((0, 3, 2, 1))}.items():
    image = transform(MetaTensor(values, affine=AFFINE))
    SaveImage(output_dir=".", separate_folder=False, print_log=False)(image, filename=name)
    found[name] = place(f"{name}.nii.gz")
torchio.Transpose()(torchio.ScalarImage(tensor=values, affine=AFFINE.numpy())).save("torchio.nii.gz")
found["TorchIO's Transpose"] = place("torchio.nii.gz")
for name, where in found.items():
    print(f"{name}: the bright voxel is at {where}")
described = list(found.values()) == [(3, 4, 10), (3, 4, 10), (2, 4, 15), (3, 4, 10)]
print("as described" if described else "they behave otherwise now")
sys.exit(not described)
PROGRAM
