#!/bin/sh
# SimpleITK 2.5.7's N4 returns the image as it was where its mask is 255 (or any number but 1), and does not say so.
#
# ITK's N4 takes all voxels of a mask that are not 0. SimpleITK's sets UseMaskLabel, which ITK leaves off, and the label
# is 1: voxels of another value lie outside. A mask of 0 and 255, as SimpleITK itself reads a DICOM segmentation and as
# many tools write one, leaves nothing to fit, and "corrected" MR go into a training with their bias field in them.
# SetUseMaskLabel(False) takes every voxel that is not 0.
#
# Shown with a head of two tissues, 100 and 140, under a bias field of 0.67 to 1.5; spread of the first one's values:
# Seen with Python 3.11.7, SimpleITK 2.5.7, numpy 2.4.6:
#   as given .148      mask of 1: .015      of 255: .148, no voxel has changed      of 255, SetUseMaskLabel(False): .015
#
# sh findings/itk_n4_mask_label.sh      exit code 0: as described; 1: SimpleITK behaves otherwise now
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
z, y, x = numpy.indices((24, 40, 40))
head = ((z - 12) / 11) ** 2 + ((y - 20) / 18) ** 2 + ((x - 20) / 18) ** 2 < 1
first = head & (x + y <= 40)
values = numpy.where(first, 100, 140) * numpy.exp((x - 20) / 45)
given = numpy.where(head, values + numpy.random.default_rng(0).normal(0, 1, head.shape), 0).astype(numpy.float32)


def spread(image):
    return round(float(image[first].std() / image[first].mean()), 3)


def corrected(number, use_label=None):
    n4 = SimpleITK.N4BiasFieldCorrectionImageFilter()
    n4.SetMaximumNumberOfIterations([20, 20])
    n4.SetNumberOfThreads(1)
    if use_label is not None:
        n4.SetUseMaskLabel(use_label)
    mask = SimpleITK.GetImageFromArray(head.astype(numpy.uint8) * number)
    return SimpleITK.GetArrayFromImage(n4.Execute(SimpleITK.GetImageFromArray(given), mask))


print(f"as given: spread {spread(given)}")
found = {"1": corrected(1), "255": corrected(255), "255, all": corrected(255, False)}
for name, image in found.items():
    print(f"mask {name}: spread {spread(image)}, changed by at most {numpy.abs(image - given).max():.3g}")
described = spread(given) > 0.1 and numpy.array_equal(found["255"], given)
described = described and max(spread(found["1"]), spread(found["255, all"])) < 0.03
print("as described" if described else "SimpleITK behaves otherwise now")
sys.exit(not described)
PROGRAM
