#!/bin/sh
# ipyniivue 2.4.4 reads the file of a volume when the widget is shown, not when it is given, and each time anew.
#
# Between load_volumes([{"path": FILE}]) and the cell's output the file may change or go: a notebook that writes a
# volume into a temporary folder, gives it to the viewer and leaves the folder shows nothing, and one that writes the
# next case under the same name shows that case in both viewers. Volumes given as "data" keep their bytes.
#
# Seen with Python 3.11.7, ipyniivue 2.4.4:
#   given 368 bytes, written again with 416: sent 416; removed: FileNotFoundError; as data: 368
#
# sh findings/ipyniivue_path_read_when_shown.sh      exit code 0: as described; 1: it behaves otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check ipyniivue==2.4.4 nibabel==5.4.2
cd "$folder"
"$folder/venv/bin/python" - <<'PROGRAM'
import sys
from pathlib import Path

import ipyniivue
import nibabel
import numpy

print("python", sys.version.split()[0], "ipyniivue", ipyniivue.__version__)


def write(side):
    nibabel.save(nibabel.Nifti1Image(numpy.zeros((4, 4, side), numpy.uint8), numpy.eye(4)), "one.nii")
    return Path("one.nii").stat().st_size


def sent(widget):
    """What get_state, by which Jupyter fills the widget in the browser, holds of the volume."""
    state = widget.volumes[0].get_state()
    return len(state["data"] or state["path"]["data"])


first = write(1)
by_path, by_data = ipyniivue.NiiVue(), ipyniivue.NiiVue()
by_path.load_volumes([{"path": "one.nii"}])
by_data.load_volumes([{"name": "one.nii", "data": Path("one.nii").read_bytes()}])
second = write(4)
changed = sent(by_path)
Path("one.nii").unlink()
try:
    removed = sent(by_path)
except FileNotFoundError as error:
    removed = type(error).__name__
kept = sent(by_data)
print(f"given {first} bytes, written again with {second}: sent {changed}; removed: {removed}; as data: {kept}")
sys.exit((changed, removed, kept) != (second, "FileNotFoundError", first) or first == second)
PROGRAM
