#!/bin/sh
# nibabel 5.4.2 keeps 0 to 255 of an image that it writes with the header of a FreeSurfer volume, and of NIfTI all.
#
# MGHImage(values, image.affine, image.header) is how a result gets the place of its source. The header's type goes
# with it, and FreeSurfer's conformed volumes (orig.mgz, T1.mgz, brain.mgz) have 8 bits. With the type of a NIfTI header
# nibabel chooses slope and intercept, so that the values stay; MGH has none, and they are rounded and clipped without a
# word. A synthetic MR or a map of probabilities from 0 to 1 comes back as 0 and 1. Leave the header out, or call
# set_data_dtype(numpy.float32).
#
# Shown with 0, 0.1 to 1, and with -100 to 400, each put into a header of uint8.
# Seen with Python 3.11.7, nibabel 5.4.2, numpy 2.4.6; largest error, and different values that are left:
#   0 to 1: .nii 0.00, 11; .mgz 0.50, 2       -100 to 400: .nii 1, 11; .mgz 145, 7
#
# sh findings/mgh_header_type.sh      exit code 0: as described; 1: nibabel behaves otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check nibabel==5.4.2 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PROGRAM'
import sys
from importlib.metadata import version

import nibabel
import numpy

print("python", sys.version.split()[0], "nibabel", version("nibabel"), "numpy", version("numpy"))


def kept(kind, name, values):
    kind(numpy.zeros((11, 1, 1), numpy.uint8), numpy.eye(4)).to_filename(f"source{name}")
    source = nibabel.load(f"source{name}")
    kind(values.reshape(11, 1, 1).astype(numpy.float32), source.affine, source.header).to_filename(f"made{name}")
    read = nibabel.load(f"made{name}").get_fdata().ravel()
    print(f"{values[0]:g} to {values[-1]:g}, {name}: {numpy.round(read, 2).tolist()}")
    return round(float(abs(read - values).max()), 1), len(set(read.tolist()))


found = [
    kept(kind, name, values)
    for values in (numpy.linspace(0, 1, 11), numpy.linspace(-100, 400, 11))
    for kind, name in ((nibabel.Nifti1Image, ".nii"), (nibabel.MGHImage, ".mgz"))
]
print(found)
(small, small_left), (cut, cut_left), (wide, wide_left), (clipped, clipped_left) = found
kept_by_nifti = small == 0 and wide <= 1 and small_left == wide_left == 11
described = kept_by_nifti and (cut, cut_left, clipped, clipped_left) == (0.5, 2, 145, 7)
print("as described" if described else "nibabel behaves otherwise now")
sys.exit(not described)
PROGRAM
