#!/bin/sh
# Image.from_array of ismrmrd 1.14.2 turns the axes of an array, 1.15.0 does not: the same call gives another image.
#
# Up to 1.14.2 from_array(a) transposed by default, so that an array (x, y) became an image of x columns and y rows. In
# 1.15.0 the default is transpose=False, for arrays (..., z, y, x); the old behaviour is deprecated. A reconstruction that
# is not square fails at the next step, a square one is sent to the scanner turned.
#
# Seen with Python 3.11.7, an array of 2 x 3:
#   ismrmrd 1.14.2: matrix_size x 2, y 3      1.15.0: x 3, y 2
#
# sh findings/ismrmrd_from_array_axes.sh      exit code 0: as described; 1: they behave otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
for version in 1.14.2 1.15.0; do
    python3 -m venv "$version"
    "$version/bin/pip" install --quiet --disable-pip-version-check "ismrmrd==$version" numpy==2.4.6 h5py==3.16.0 xsdata==26.10
    "$version/bin/python" -W ignore - "$version" >> found <<'PROGRAM'
import sys

import ismrmrd
import numpy

image = ismrmrd.Image.from_array(numpy.arange(6, dtype=numpy.float32).reshape(2, 3))
x, y = image.getHead().matrix_size[:2]
print(f"ismrmrd {sys.argv[1]}: an array of 2 x 3 is an image of x {x}, y {y}")
PROGRAM
done
cat found
printf '%s\n' "ismrmrd 1.14.2: an array of 2 x 3 is an image of x 2, y 3" \
    "ismrmrd 1.15.0: an array of 2 x 3 is an image of x 3, y 2" > described
if cmp -s found described; then echo "as described"; else echo "they behave otherwise now"; exit 1; fi
