#!/bin/sh
# SimpleITK 2.5.7, and MONAI 1.6.1 by its default reader, round a PET, or give it negative values, by its first slice.
#
# Each slice of a PET has a RescaleSlope of its own. The type of the whole series is that of its first slice: where
# the slope of that one is a whole number, as of a slice without counts, all others are cast to whole numbers of 16
# bits, without a word. Fractions are cut off (all of an SUV below 1), and what is above 32767 wraps. ITK's reader of
# series is what MONAI's LoadImage takes first for a folder, if itk is installed.
#
# Shown with slices of constant values, whose slopes are 1, 0.5, 2.25 and 400.5, then with the first slope 1.5.
# Seen with Python 3.11.7, SimpleITK 2.5.7, itk 5.4.7, monai 1.6.1, pydicom 3.0.2; the slices hold 101, 50.5, 227.25,
# 40450.5:
#   slope 1 first:   SimpleITK and MONAI 101, 50, 227, -25086     pydicom 101, 50.5, 227.25, 40450.5
#   slope 1.5 first: all as they are
#
# sh findings/itk_series_type_of_first_slice.sh      exit code 0: as described; 1: they behave otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check SimpleITK==2.5.7 itk==5.4.7 monai==1.6.1 \
    torch==2.13.0 numpy==2.4.6 pydicom==3.0.2
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import os
import sys
from importlib.metadata import version

import numpy
import SimpleITK
from monai.transforms import LoadImage
from pydicom import dcmread
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.pixels import apply_rescale
from pydicom.uid import ExplicitVRLittleEndian, PositronEmissionTomographyImageStorage, generate_uid

print("python", sys.version.split()[0], *(f"{name} {version(name)}" for name in ("SimpleITK", "itk", "monai", "pydicom")))


def write(folder, number, slope, series):
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = PositronEmissionTomographyImageStorage, generate_uid()
    image = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    image.SOPClassUID, image.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    image.StudyInstanceUID = image.FrameOfReferenceUID = image.SeriesInstanceUID = series
    image.Modality, image.Units, image.InstanceNumber = "PT", "BQML", number + 1
    image.ImageType = ["ORIGINAL", "PRIMARY"]
    image.PixelSpacing, image.SliceThickness = [1, 1], 3
    image.ImageOrientationPatient, image.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 3 * number]
    image.Rows, image.Columns = 4, 6
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 16, 15, 1
    image.RescaleSlope, image.RescaleIntercept = slope, 0
    image.PixelData = numpy.full((4, 6), 101, "<i2").tobytes()
    os.makedirs(folder, exist_ok=True)
    image.save_as(f"{folder}/{number}.dcm", enforce_file_format=True)


found = {}
for first in (1, 1.5):
    folder, series = f"pet_{first}", generate_uid()
    for number, slope in enumerate((first, 0.5, 2.25, 400.5)):
        write(folder, number, slope, series)
    names = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(folder)
    slices = [dcmread(name) for name in names]
    found[first] = {
        "pydicom": [float(apply_rescale(each.pixel_array, each)[0, 0]) for each in slices],
        "SimpleITK": SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(names))[:, 0, 0].tolist(),
        "MONAI": LoadImage(image_only=True)(folder)[0, 0].tolist(),
    }
    for name, values in found[first].items():
        print(f"first slope {first}: {name} {values}")
right = [50.5, 227.25, 40450.5]
described = (
    found[1]["SimpleITK"] == found[1]["MONAI"] == [101, 50, 227, -25086]
    and found[1]["pydicom"] == [101, *right]
    and all(values == [151.5, *right] for values in found[1.5].values())
)
print("as described" if described else "they behave otherwise now")
sys.exit(not described)
PROGRAM
