#!/bin/sh
# Of a CT with a tilted gantry MONAI 1.6.1's two readers give different grids; SimpleITK 2.5.7 gives the wrong one.
#
# Each slice lies 2.6 mm above the one before it and 0.7 mm aside (15 degrees). SimpleITK and MONAI's ITKReader stack
# them along the normal of the first, by the distance of the positions: the last slice of a head is 27 mm aside and 4 mm
# above where its header has it, and nothing is said. MONAI's PydicomReader gives the sheared affine, right to the last
# voxel. dcm2niix writes a corrected volume only beside the skewed one, under "_Tilt_1", and of 16-bit unsigned pixels
# only the skewed one; exit code 0.
#
# Shown by where each puts the corner of the last of 40 slices, against its ImagePositionPatient.
# Seen with Python 3.11.7, SimpleITK 2.5.7, itk 5.4.7, monai 1.6.1, dcm2niix 1.0.20260724:
#   SimpleITK 27.5 mm away, ITKReader 27.5, PydicomReader 0; dcm2niix of signed pixels: out.nii, out_Tilt_1.nii,
#   of unsigned ones: out.nii
#
# sh findings/tilted_series_readers.sh      exit code 0: as described; 1: they behave otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check SimpleITK==2.5.7 itk==5.4.7 monai==1.6.1 \
    torch==2.13.0 pydicom==3.0.2 dcm2niix==1.0.20260724
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import dcm2niix
import numpy
import SimpleITK
from monai.data import ITKReader, PydicomReader
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

packages = ("SimpleITK", "itk", "monai", "dcm2niix")
print("python", sys.version.split()[0], *(f"{name} {version(name)}" for name in packages))


def write(folder, signed):
    series = generate_uid()
    Path(folder).mkdir()
    for number in range(40):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        image = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
        image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        image.StudyInstanceUID = image.FrameOfReferenceUID = image.SeriesInstanceUID = series
        image.Modality, image.InstanceNumber, image.ImageType = "CT", number + 1, ["ORIGINAL", "PRIMARY", "AXIAL"]
        image.Manufacturer, image.SeriesNumber, image.PixelSpacing, image.SliceThickness = "none", 1, [1, 1], 2.6
        image.ImageOrientationPatient, image.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0.7 * number, 2.6 * number]
        image.GantryDetectorTilt = f"{-numpy.degrees(numpy.arctan2(0.7, 2.6)):.4f}"
        image.Rows = image.Columns = 8
        image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
        image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 16, 15, int(signed)
        image.RescaleSlope, image.RescaleIntercept, image.RescaleType = 1, 0 if signed else -1024, "HU"
        image.PixelData = numpy.full((8, 8), 100 + number, "<i2").tobytes()
        image.save_as(f"{folder}/{number:02}.dcm", enforce_file_format=True)


def of_monai(reader):
    """The last corner in LPS mm."""
    _, about = reader.get_data(reader.read("signed"))
    return numpy.diag([-1, -1, 1, 1]) @ numpy.asarray(about["affine"]) @ [0, 0, 39, 1]


write("signed", True)
write("unsigned", False)
truth = numpy.array([0, 0.7 * 39, 2.6 * 39])
names = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames("signed")
corners = {
    "SimpleITK": SimpleITK.ReadImage(names).TransformIndexToPhysicalPoint((0, 0, 39)),
    "MONAI's ITKReader": of_monai(ITKReader())[:3],
    "MONAI's PydicomReader": of_monai(PydicomReader())[:3],
}
away = {name: float(numpy.linalg.norm(corner - truth)) for name, corner in corners.items()}
for name, distance in away.items():
    print(f"{name} puts the last slice {distance:.1f} mm away from its position")
files = {}
for kind in ("signed", "unsigned"):
    Path(f"nii_{kind}").mkdir()
    words = [dcm2niix.bin, "-b", "n", "-z", "n", "-f", "out", "-o", f"nii_{kind}", kind]
    subprocess.run(words, check=True, capture_output=True)
    files[kind] = sorted(path.name for path in Path(f"nii_{kind}").iterdir())
    print(f"dcm2niix of {kind} pixels writes {', '.join(files[kind])}")
described = [round(each, 1) for each in away.values()] == [27.5, 27.5, 0.0]
described &= files == {"signed": ["out.nii", "out_Tilt_1.nii"], "unsigned": ["out.nii"]}
print("as described" if described else "they behave otherwise now")
sys.exit(not described)
PROGRAM
