#!/bin/sh
# SimpleITK 2.5.7 writes an image with a sheared grid to NIfTI on another grid; to NRRD and MetaImage as it is.
#
# Axes that are not at right angles are what a CT with a tilted gantry has. NIfTI's sform can hold them, and nibabel
# writes and reads them. ITK "coerces" the direction to an orthogonal one, with a warning on stderr and no error: voxels
# move by millimetres. The other way round it is strict: of a NIfTI file with such an sform it reads nothing.
#
# Seen with Python 3.11.7, SimpleITK 2.5.7, nibabel 5.4.2, of 5 x 6 x 7 voxels with slices aside by 15 degrees:
#   the last voxel is moved by 4.42 mm in .nii.gz, 0.00 in .nrrd, 0.00 in .mha
#   of nibabel's sheared NIfTI: ITK only supports orthonormal direction cosines
#
# sh findings/itk_nifti_write_shear.sh      exit code 0: as described; 1: they behave otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check SimpleITK==2.5.7 nibabel==5.4.2 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PROGRAM'
import math
import sys

import nibabel
import numpy
import SimpleITK

print("python", sys.version.split()[0], "SimpleITK", SimpleITK.__version__, "nibabel", nibabel.__version__)
sine, cosine = math.sin(math.radians(15)), math.cos(math.radians(15))
image = SimpleITK.GetImageFromArray(numpy.zeros((7, 6, 5), numpy.float32))
image.SetSpacing((4, 4, 5))
image.SetDirection((1, 0, 0, 0, 1, sine, 0, 0, cosine))
LAST = (4, 5, 6)
moved = {}
for ending in (".nii.gz", ".nrrd", ".mha"):
    SimpleITK.WriteImage(image, "one" + ending)
    again = SimpleITK.ReadImage("one" + ending)
    places = [each.TransformIndexToPhysicalPoint(LAST) for each in (image, again)]
    moved[ending] = round(math.dist(*places), 2)
    print(f"the last voxel is moved by {moved[ending]:.2f} mm in {ending}")

affine = numpy.array([[4.0, 0, 0, 0], [0, 4, 5 * sine, 0], [0, 0, 5 * cosine, 0], [0, 0, 0, 1]])
nibabel.save(nibabel.Nifti1Image(numpy.zeros((5, 6, 7), numpy.float32), affine), "sheared.nii.gz")
kept = numpy.allclose(nibabel.load("sheared.nii.gz").affine, affine, atol=1e-6)
try:
    SimpleITK.ReadImage("sheared.nii.gz")
    said = "read"
except RuntimeError as error:
    said = str(error).splitlines()[-1].strip()
print(f"of nibabel's sheared NIfTI (affine kept: {kept}): {said}")
described = moved == {".nii.gz": 4.42, ".nrrd": 0, ".mha": 0} and kept and "only supports orthonormal" in said
print("as described" if described else "they behave otherwise now")
sys.exit(not described)
PROGRAM
