#!/bin/sh
# VTK 9.7.2, and PyVista 0.49.1 on it, read a NIfTI file without its slope, its intercept and its place.
#
# A CT that is stored as unsigned numbers with an intercept of -1024 comes 1024 too high: air is 24, and a threshold of
# bone takes in the whole body. vtkNIFTIImageReader leaves slope, intercept and the two matrices to whoever asks for
# them by name; pyvista.read asks for none and keeps none. The image lies at the origin along the axes, so that two
# scans of a patient, or a scan and a surface made in its space, do not lie on each other.
#
# Seen with Python 3.11.7, vtk 9.7.2, pyvista 0.49.1, nibabel 5.4.2; voxels from -1000 to 1380 in a file at (50, -70, -30):
#   nibabel -1000 to 1380     PyVista 24 to 2404 at (0, 0, 0), axes those of the world     slope 0.5: 690, PyVista 1380
#
# sh findings/vtk_nifti_slope_and_place.sh      exit code 0: as described; 1: they behave otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check vtk==9.7.2 pyvista==0.49.1 nibabel==5.4.2 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import sys
from importlib.metadata import version

import nibabel
import numpy
import pyvista

print("python", sys.version.split()[0], *(f"{name} {version(name)}" for name in ("vtk", "pyvista", "nibabel")))
hu = numpy.arange(-1000, 1400, 20).reshape(4, 5, 6)
affine = numpy.array([[-1.0, 0, 0, 50], [0, 1.5, 0, -70], [0, 0, 2, -30], [0, 0, 0, 1]])


def written(name, values, slope, intercept):
    image = nibabel.Nifti1Image(values, affine)
    image.header.set_slope_inter(slope, intercept)
    image.to_filename(name)
    true, mesh = nibabel.load(name).get_fdata(), pyvista.read(name)
    shown = mesh.active_scalars
    print(f"{name}: nibabel {true.min():g} to {true.max():g}; PyVista {shown.min():g} to {shown.max():g}")
    return mesh, [true.min(), true.max(), shown.min(), shown.max()]


mesh, ct = written("ct.nii.gz", (hu + 1024).astype(numpy.uint16), 1, -1024)
_, scaled = written("scaled.nii.gz", hu.astype(numpy.int16), 0.5, 0)
print("place:", mesh.origin, mesh.spacing, mesh.direction_matrix.tolist(), "fields:", mesh.array_names)
described = (
    ct == [-1000, 1380, 24, 2404]
    and scaled == [-500, 690, -1000, 1380]
    and mesh.origin == (0, 0, 0)
    and numpy.array_equal(mesh.direction_matrix, numpy.eye(3))
    and mesh.array_names == ["NIFTI"]
)
print("as described" if described else "they behave otherwise now")
sys.exit(not described)
PROGRAM
