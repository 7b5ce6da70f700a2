#!/bin/sh
# SimpleITK 2.5.7 reads a tiled OME-TIFF of 16 bits as four channels of 8, and any OME-TIFF in voxels of 1 mm.
#
# OME-TIFFs, which microscopes and digital pathology write, are tiled, and their voxel size is PhysicalSizeX of the XML.
# ITK falls back to TIFF's RGBA reader for tiles: values above 255 become their high byte, with one line on stderr. With
# strips the values are right; the spacing is 1 in both, since the XML is not read.
#
# Seen with Python 3.11.7, tifffile 2026.3.3, 5 x 70 x 90 voxels of .5 x .7 x 3 mm with values up to 999:
#   strips: 1 channel, highest 999, spacing 1      tiles: 4 channels, highest 3 of the grey ones, spacing 1
#
# sh findings/itk_tiled_ome_tiff.sh      exit code 0: as described; 1: it behaves otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check SimpleITK==2.5.7 tifffile==2026.3.3 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - 2> said <<'PROGRAM'
import sys

import numpy
import SimpleITK
import tifffile

values = (numpy.arange(5 * 70 * 90) % 1000).reshape(5, 70, 90).astype(numpy.uint16)
sizes = {f"PhysicalSize{axis}": size for axis, size in zip("XYZ", (500.0, 700.0, 3000.0), strict=True)}
about = {"axes": "ZYX", **sizes, **{f"{name}Unit": "µm" for name in sizes}}
found = {}
for name, tile in (("strips", None), ("tiles", (32, 32))):
    tifffile.imwrite(f"{name}.ome.tif", values, photometric="minisblack", metadata=about, tile=tile)
    assert (tifffile.imread(f"{name}.ome.tif") == values).all()
    image = SimpleITK.ReadImage(f"{name}.ome.tif")
    grey = SimpleITK.GetArrayFromImage(image).reshape(5, 70, 90, -1)[..., 0]
    found[name] = image.GetNumberOfComponentsPerPixel(), int(grey.max()), image.GetSpacing()
print("python", sys.version.split()[0], found)
described = found == {"strips": (1, 999, (1.0, 1.0, 1.0)), "tiles": (4, 3, (1.0, 1.0, 1.0))}
print("as described" if described else "it behaves otherwise now")
sys.exit(not described)
PROGRAM
cat said
