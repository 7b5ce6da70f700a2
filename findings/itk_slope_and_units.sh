#!/bin/sh
# SimpleITK 2.5.7 reads MetaImage and NRRD without the fields that scale values and lengths, and says nothing.
#
# MetaImage: ElementToIntensityFunctionSlope and ...Offset, which turn stored numbers into intensities, are passed over,
# so that a CT stored with an offset of 1024 is that much too high. NRRD: "space units" in cm or m are passed over, so
# that a head measures 2 cm. Both fields are in the formats' own descriptions (MetaIO, NRRD0004).
#
# Seen with Python 3.11.7, SimpleITK 2.5.7:
#   MetaImage, stored 1064, slope 1, offset -1024: 1064      NRRD, space directions of 0.1 cm: spacing 0.1
#
# sh findings/itk_slope_and_units.sh      exit code 0: as described; 1: SimpleITK behaves otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check SimpleITK==2.5.7
cd "$folder"
"$folder/venv/bin/python" - <<'PROGRAM'
import struct
import sys
from pathlib import Path

import SimpleITK

print("python", sys.version.split()[0], "SimpleITK", SimpleITK.Version.VersionString())
values = struct.pack("<8h", *([1064] * 8))
Path("values.raw").write_bytes(values)
Path("ct.mhd").write_text(
    "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
    "ElementToIntensityFunctionSlope = 1\nElementToIntensityFunctionOffset = -1024\n"
    "ElementSpacing = 1 1 1\nDimSize = 2 2 2\nElementType = MET_SHORT\nElementDataFile = values.raw\n"
)
Path("head.nrrd").write_bytes(
    b"NRRD0004\ntype: int16\ndimension: 3\nspace: right-anterior-superior\nsizes: 2 2 2\n"
    b"space directions: (0.1,0,0) (0,0.1,0) (0,0,0.1)\nspace origin: (0,0,0)\n"
    b'space units: "cm" "cm" "cm"\nendian: little\nencoding: raw\n\n' + values
)
value = SimpleITK.ReadImage("ct.mhd").GetPixel(0, 0, 0)
spacing = SimpleITK.ReadImage("head.nrrd").GetSpacing()[0]
print(f"MetaImage: stored 1064, slope 1, offset -1024, so 40; SimpleITK reads {value}")
print(f"NRRD: voxels of 0.1 cm, so 1 mm; spacing of SimpleITK {spacing:g}")
described = (value, round(spacing, 6)) == (1064, 0.1)
print("as described" if described else "SimpleITK behaves otherwise now")
sys.exit(not described)
PROGRAM
