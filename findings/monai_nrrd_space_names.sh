#!/bin/sh
# MONAI 1.6.1's NrrdReader turns the axes of a NRRD file only where its space is spelt out: "LPS" lies elsewhere.
#
# The format has two names for each space, left-posterior-superior and LPS. The reader compares with the long one; every
# other space it takes for RAS, which LPS, LAS and left-anterior-superior are not. With pynrrd installed LoadImage takes
# this reader for .nrrd, without it ITK's, so that the same program puts the same file in two places.
#
# Seen with Python 3.11.7, monai 1.6.1, pynrrd 1.1.3, SimpleITK 2.5.7, of a file whose origin is (10, 20, 30), in RAS:
#   left-posterior-superior: both -10, -20, 30    LPS: ITK -10, -20, MONAI 10, 20    LAS, long or short: ITK -10, 20,
#   MONAI 10, 20    right-anterior-superior: both 10, 20
#
# sh findings/monai_nrrd_space_names.sh      exit code 0: as described; 1: they behave otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check monai==1.6.1 torch==2.13.0 numpy==2.4.6 \
    pynrrd==1.1.3 SimpleITK==2.5.7
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import sys
from importlib.metadata import version

import nrrd
import numpy
import SimpleITK
from monai.transforms import LoadImage

print("python", sys.version.split()[0], *(f"{name} {version(name)}" for name in ("monai", "pynrrd", "SimpleITK")))
SPACES = ("left-posterior-superior", "LPS", "left-anterior-superior", "LAS", "right-anterior-superior", "RAS")
found = {}
for space in SPACES:
    nrrd.write(
        "image.nrrd",
        numpy.zeros((2, 3, 4), numpy.int16),
        {"space": space, "space directions": numpy.eye(3), "space origin": [10.0, 20.0, 30.0]},
    )
    x, y, z = SimpleITK.ReadImage("image.nrrd").GetOrigin()  # LPS, whatever the file has
    found[space] = (-x, -y, z), tuple(LoadImage(image_only=True)("image.nrrd").affine[:3, 3].tolist())
    print(f"{space}: ITK {found[space][0]}, MONAI {found[space][1]}, both in RAS")
unturned = (10, 20, 30)
expected = dict.fromkeys(SPACES[:2], (-10, -20, 30)) | dict.fromkeys(SPACES[2:4], (-10, 20, 30))
described = all(
    found[space] == (right, right if space == SPACES[0] else unturned)
    for space, right in (expected | dict.fromkeys(SPACES[4:], unturned)).items()
)
print("as described" if described else "they behave otherwise now")
sys.exit(not described)
PROGRAM
