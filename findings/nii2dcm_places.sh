#!/bin/sh
# nii2dcm 0.1.6 writes a NIfTI volume to another place in the patient: x and y with the wrong sign, one slice too low.
#
# It takes positions from the affine as they are, in NIfTI's axes (RAS), where DICOM has the opposite x and y (LPS). So
# a head that begins at (-90, -60) comes to (90, 60), 18 cm to the left and 12 cm back. The first slice gets the
# position of the one before it. Of the directions z is negated as well, so that oblique slices tilt the other way.
# Values are cut to whole numbers: a map of 0 to 1 becomes 0 and 1. What was made in NIfTI thus does not lie on the
# series that it came from, in the archive or beside its contours.
#
# Shown with a NIfTI file as dcm2niix lays it, with values of 0 to 119.5: places of its first and last voxel in LPS.
# Seen with Python 3.11.7, nii2dcm 0.1.6, pydicom 2.3.0, SimpleITK 2.5.7, nibabel 5.0.0:
#   NIfTI (-90, -60, -30) and (-85, -56, -21)      DICOM (90, 60, -33) and (95, 64, -24), in it 119
#
# sh findings/nii2dcm_places.sh      exit code 0: as described; 1: nii2dcm behaves otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check nii2dcm==0.1.6 SimpleITK==2.5.7
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import nibabel
import numpy
import SimpleITK

NAMES = ("nii2dcm", "pydicom", "SimpleITK", "nibabel")
print("python", sys.version.split()[0], *(f"{name} {version(name)}" for name in NAMES))
values = numpy.arange(120, dtype=numpy.float32).reshape(6, 5, 4)
values[-1, -1, -1] = 119.5
affine = numpy.diag([-1.0, -1, 3, 1])
affine[:3, 3] = 90, 60, -30
nibabel.save(nibabel.Nifti1Image(values, affine), "mr.nii")
Path("series").mkdir()
tool = str(Path(sys.executable).parent / "nii2dcm")
subprocess.run([tool, "mr.nii", "series", "-d", "MR"], check=True, stdout=subprocess.DEVNULL)
names = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames("series")
found = []
for name, image in (("NIfTI", SimpleITK.ReadImage("mr.nii")), ("DICOM", SimpleITK.ReadImage(names))):
    array = SimpleITK.GetArrayFromImage(image)
    places = []
    for value in (array.min(), array.max()):
        index = numpy.argwhere(array == value)[0][::-1]
        places.append(tuple(round(side) for side in image.TransformIndexToPhysicalPoint(index.tolist())))
    found.append((*places, float(array.max())))
    print("{}: first voxel at {}, last one at {}, in it {:g}".format(name, *found[-1]))
described = found == [((-90, -60, -30), (-85, -56, -21), 119.5), ((90, 60, -33), (95, 64, -24), 119)]
print("as described" if described else "nii2dcm behaves otherwise now")
sys.exit(not described)
PROGRAM
