#!/bin/sh
# ipyniivue 2.4.4: load_volumes skips what is no dict and no Volume, such as a path, and shows nothing, without a word.
#
# Volume takes a path, so that load_volumes(["mr.nii.gz"]), of a pathlib.Path or of a DataArray of xarray looks right.
# Each is passed over; what was shown before is gone too, and no error or warning says why the widget is empty.
#
# Seen with Python 3.11.7, numpy 2.4.6, nibabel 5.4.2, xarray 2026.9.0:
#   a dict: 1 volume      a str, a Path, a DataArray: 0 volumes
#
# sh findings/ipyniivue_load_volumes_skips.sh      exit code 0: as described; 1: it behaves otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check ipyniivue==2.4.4 nibabel==5.4.2 numpy==2.4.6 \
    xarray==2026.9.0
cd "$folder"
"$folder/venv/bin/python" -W error::UserWarning - <<'PROGRAM'
import sys
from pathlib import Path

import ipyniivue
import nibabel
import numpy
import xarray

values = numpy.zeros((4, 4, 4), numpy.float32)
nibabel.save(nibabel.Nifti1Image(values, numpy.eye(4)), "mr.nii.gz")
given = {
    "dict": {"path": "mr.nii.gz"},
    "str": "mr.nii.gz",
    "Path": Path("mr.nii.gz"),
    "DataArray": xarray.DataArray(values, dims=("x", "y", "z")),
}
found = {}
for name, volume in given.items():
    viewer = ipyniivue.NiiVue()
    viewer.load_volumes([given["dict"]])
    viewer.load_volumes([volume])
    found[name] = len(viewer.volumes)
print("python", sys.version.split()[0], "ipyniivue", ipyniivue.__version__, found)
described = list(found.values()) == [1, 0, 0, 0]
print("as described" if described else "it behaves otherwise now")
sys.exit(not described)
PROGRAM
