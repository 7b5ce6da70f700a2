#!/bin/sh
# MONAI 1.6.1: Resize and Zoom by "nearest" move a label map against its image, RandSimulateLowResolution the image.
#
# mode=("area", "nearest") is what one writes for an image and its labels. Area and trilinear keep the middle of the
# volume where it is; "nearest" takes the first voxel of each block, not the middle one, and the affine that Resize
# returns is that of the others. At a quarter of the size labels are off by 1.5 voxels of the original, and a network
# learns that. RandSimulateLowResolution shrinks by "nearest" and enlarges by "trilinear": the image alone moves, its
# labels stay. "nearest-exact" is off by no more than half a voxel (downsample_mode="area" by none); Spacing is right.
#
# Shown with an image whose values are the x of its voxels, 1 mm apart, by the affines that MONAI returns.
# Seen with Python 3.11.7, monai 1.6.1, torch 2.13.0, numpy 2.4.6; value less place, in mm:
#   Resize to a quarter: area 0, trilinear 0, nearest -1.5, nearest-exact 0.5; Zoom: area 0, nearest -1.5
#   RandSimulateLowResolution by a quarter: -1.5, with downsample_mode="area" 0      Spacing to 4 mm, nearest: 0
#
# sh findings/monai_nearest_moves_labels.sh      exit code 0: as described; 1: MONAI behaves otherwise now
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
from monai.data import MetaTensor
from monai.transforms import RandSimulateLowResolution, Resize, Spacing, Zoom

print("python", sys.version.split()[0], *(f"{name} {version(name)}" for name in ("monai", "torch", "numpy")))
places = MetaTensor(torch.arange(80.0)[:, None, None].expand(1, 80, 80, 80).clone(), affine=torch.eye(4))
MODES = ("area", "trilinear", "nearest", "nearest-exact")
QUARTER = {"prob": 1, "zoom_range": (0.25, 0.25)}
transforms = {
    **{f"Resize, {mode}": Resize((20, 20, 20), mode=mode) for mode in MODES},
    **{f"Zoom, {mode}": Zoom(0.25, mode=mode, keep_size=False) for mode in ("area", "nearest")},
    "RandSimulateLowResolution": RandSimulateLowResolution(**QUARTER),
    "RandSimulateLowResolution, area": RandSimulateLowResolution(**QUARTER, downsample_mode="area"),
    "Spacing, nearest": Spacing((4, 4, 4), mode="nearest"),
}
found = {}
for name, transform in transforms.items():
    image = transform(places)
    middle = slice(image.shape[1] // 4, -image.shape[1] // 4)  # of the low resolution, edges are repeated
    place = image.affine[0, 0] * torch.arange(image.shape[1]) + image.affine[0, 3]
    found[name] = (image.as_tensor()[0, middle, 9, 9] - place[middle]).numpy().round(3).tolist()
    print(f"{name}: spacing {image.affine[0, 0]:g}, value less place {sorted(set(found[name]))}")
described = [set(each) for each in found.values()] == [{0}, {0}, {-1.5}, {0.5}, {0}, {-1.5}, {-1.5}, {0}, {0}]
print("as described" if described else "MONAI behaves otherwise now")
sys.exit(not described)
PROGRAM
