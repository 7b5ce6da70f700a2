#!/bin/sh
# SimpleITK 2.5.7's Shrink by an even factor gives values half a voxel beside where the new header has them.
#
# It takes single voxels, and a header whose middle is that of the image. Of a block of 2 or 4 voxels none is in the
# middle: the one above is taken. With odd factors that divide the size place and value agree, with BinShrink, which
# averages, and image[::2, ::2, ::2] for even ones, too. An image by BinShrink and its mask by Shrink are half a voxel
# of the original apart.
#
# Shown with an image whose values are the x of its voxels in mm.
# Seen with Python 3.11.7, SimpleITK 2.5.7, numpy 2.4.6, voxels of 1 mm; value less place:
#   Shrink by 2 0.5, by 4 0.5, by 3 0      BinShrink by 2 0, by 4 0      [::2] 0
#
# sh findings/itk_shrink_half_voxel.sh      exit code 0: as described; 1: SimpleITK behaves otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check SimpleITK==2.5.7 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import sys
from importlib.metadata import version

import numpy
import SimpleITK

print("python", sys.version.split()[0], *(f"{name} {version(name)}" for name in ("SimpleITK", "numpy")))
places = SimpleITK.GetImageFromArray(numpy.zeros((24, 24, 24), numpy.float32) + numpy.arange(24, dtype=numpy.float32))
made = {
    **{f"Shrink by {factor}": SimpleITK.Shrink(places, [factor] * 3) for factor in (2, 4, 3)},
    **{f"BinShrink by {factor}": SimpleITK.BinShrink(places, [factor] * 3) for factor in (2, 4)},
    "[::2]": places[::2, ::2, ::2],
}
found = {}
for name, image in made.items():
    differences = {
        round(image[x, 1, 1] - image.TransformIndexToPhysicalPoint((x, 1, 1))[0], 3) for x in range(image.GetWidth())
    }
    found[name] = sorted(differences)
    print(f"{name}: spacing {image.GetSpacing()[0]:g}, value less place {found[name]}")
described = list(found.values()) == [[0.5], [0.5], [0], [0], [0], [0]]
print("as described" if described else "SimpleITK behaves otherwise now")
sys.exit(not described)
PROGRAM
