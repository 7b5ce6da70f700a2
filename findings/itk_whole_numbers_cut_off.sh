#!/bin/sh
# SimpleITK 2.5.7 cuts off fractions where it resamples or smooths an image of whole numbers: it gets darker each time.
#
# Resample, Mean and DiscreteGaussian give an image of the type that they got, and turn each value into it by C++'s
# cast, towards 0: 49.9 becomes 49, -0.9 becomes 0. An MR of integers loses half a step each time it is resampled, and
# about one and a half by a Gaussian, which does it once for each axis; a CT comes nearer to 0 HU from both sides.
# nibabel's resampling keeps the type, too, and rounds (SciPy does). Cast to sitkFloat32 before. TorchIO 1.2.1's
# Resample, which calls SimpleITK, does the same (run once, not here).
#
# Shown with 24 voxels on a side of 50 to 69, of mean 59.5, moved by 0.3 voxels along each axis.
# Seen with Python 3.11.7, SimpleITK 2.5.7, nibabel 5.4.2, SciPy 1.17.1; mean of int16 less that of float:
#   moved once -0.5, there and back five times -5.0; Mean -0.5; DiscreteGaussian -1.6; nibabel, moved once 0.0
#
# sh findings/itk_whole_numbers_cut_off.sh      exit code 0: as described; 1: they behave otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check SimpleITK==2.5.7 nibabel==5.4.2 scipy==1.17.1 \
    numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import sys
from importlib.metadata import version

import nibabel
import numpy
import SimpleITK
from nibabel.processing import resample_from_to

NAMES = ("SimpleITK", "nibabel", "scipy", "numpy")
print("python", sys.version.split()[0], *(f"{name} {version(name)}" for name in NAMES))
x, y, z = numpy.indices((24, 24, 24))
values = (50 + (x * x + 7 * y * z + 3 * z + x * y) % 20).astype(numpy.int16)


def moved(image, times):
    for time in range(times):
        shift = SimpleITK.TranslationTransform(3, [-0.3 if time % 2 else 0.3] * 3)
        image = SimpleITK.Resample(image, image, shift, SimpleITK.sitkBSpline)
    return image


def by_nibabel(image):
    affine = numpy.eye(4)
    affine[:3, 3] = 0.3
    source = nibabel.Nifti1Image(SimpleITK.GetArrayFromImage(image), numpy.eye(4))
    return SimpleITK.GetImageFromArray(numpy.asarray(resample_from_to(source, (source.shape, affine)).dataobj))


def loss(step):
    results = []
    for dtype in (numpy.int16, numpy.float64):
        result = SimpleITK.GetArrayFromImage(step(SimpleITK.GetImageFromArray(values.astype(dtype))))
        assert result.dtype == dtype, result.dtype
        results.append(result[8:-8, 8:-8, 8:-8].mean())
    return round(float(results[0] - results[1]), 1)


STEPS = {
    "moved once": lambda image: moved(image, 1),
    "moved ten times": lambda image: moved(image, 10),
    "Mean": SimpleITK.Mean,
    "DiscreteGaussian": SimpleITK.DiscreteGaussian,
    "nibabel, moved once": by_nibabel,
}
found = {name: loss(step) for name, step in STEPS.items()}
print(found)
described = list(found.values()) == [-0.5, -5.0, -0.5, -1.6, 0.0]
print("as described" if described else "they behave otherwise now")
sys.exit(not described)
PROGRAM
