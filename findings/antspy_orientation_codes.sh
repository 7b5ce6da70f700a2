#!/bin/sh
# ANTsPy 0.6.3's reorient_image2(image, "RAS") gives what nibabel and SimpleITK call LPI: each axis runs the other way.
#
# Three letters name where the axes of a volume run to (nibabel, MONAI, TorchIO, SimpleITK's DICOMOrient) or where they
# come from (ANTsPy, ITK-SNAP). ANTsPy says neither. A volume brought to "RAS" by it is turned about in all axes for a
# network that expects RAS. The affine is turned as well, so that viewers show nothing: only the array differs. To have
# nibabel's RAS, ask for "LPI". SimpleITK and ANTsPy, both on ITK, give the same image opposite names.
#
# Seen with Python 3.11.7, antspyx 0.6.3, SimpleITK 2.5.7, nibabel 5.4.2, of a NIfTI file with the identity as affine:
#   the file: nibabel RAS, SimpleITK RAS, ANTsPy LPI
#   brought to "RAS", by nibabel's name: SimpleITK RAS, ANTsPy LPI, its first voxel the last of the file
#
# sh findings/antspy_orientation_codes.sh      exit code 0: as described; 1: they behave otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check antspyx==0.6.3 SimpleITK==2.5.7 nibabel==5.4.2 \
    numpy==2.3.5
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import sys
from importlib.metadata import version

import ants
import nibabel
import numpy
import SimpleITK

print("python", sys.version.split()[0], *(f"{name} {version(name)}" for name in ("antspyx", "SimpleITK", "nibabel")))
values = numpy.arange(60, dtype=numpy.float32).reshape(3, 4, 5)
nibabel.Nifti1Image(values, numpy.eye(4)).to_filename("file.nii.gz")
by_itk, by_ants = SimpleITK.ReadImage("file.nii.gz"), ants.image_read("file.nii.gz")
names = [
    "".join(nibabel.aff2axcodes(nibabel.load("file.nii.gz").affine)),
    SimpleITK.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(by_itk.GetDirection()),
    ants.get_orientation(by_ants),
]
print("the file: nibabel {}, SimpleITK {}, ANTsPy {}".format(*names))
SimpleITK.WriteImage(SimpleITK.DICOMOrient(by_itk, "RAS"), "SimpleITK.nii.gz")
ants.image_write(ants.reorient_image2(by_ants, "RAS"), "ANTsPy.nii.gz")
turned = {}
for name in ("SimpleITK", "ANTsPy"):
    image = nibabel.load(f"{name}.nii.gz")
    turned[name] = "".join(nibabel.aff2axcodes(image.affine)), image.get_fdata().flat[0]
    print(f'{name}, brought to "RAS": by nibabel\'s name {turned[name][0]}, first voxel {turned[name][1]:g}')
described = names == ["RAS", "RAS", "LPI"] and turned == {"SimpleITK": ("RAS", 0), "ANTsPy": ("LPI", 59)}
print("as described" if described else "they behave otherwise now")
sys.exit(not described)
PROGRAM
