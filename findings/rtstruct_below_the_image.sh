#!/bin/sh
# dcmrtstruct2nii 5 and platipy 0.7.2 draw contours that lie below the image into its uppermost slices.
#
# A structure set is often laid on an image with less of the patient than the CT it was drawn on: an MR, a cone beam CT,
# a synthetic CT cropped to the target. Both tools turn z into the number of a slice and use it as an index; -1 is
# Python's last one. So a cord that begins 2 slices below the image has 2 slices more at the top, without a word. What
# lies above the image is left out: by platipy the slices, by dcmrtstruct2nii the whole structure, with a warning. Two
# contours that fall into one slice, as of a CT with thinner slices, moreover cancel each other out.
#
# Shown with an image of 8 slices 3 mm apart from z = 0, and boxes that are 100 pixels in each slice.
# Seen with Python 3.11.7, dcmrtstruct2nii 5, platipy 0.7.2, pydicom 2.4.5, SimpleITK 2.5.7; pixels by slice, of both:
#   contours at -6, -3, 0, 3: 100 100 0 0 0 0 100 100      at 3, 4, 6: 0 0 100 0 0 0 0 0
#
# sh findings/rtstruct_below_the_image.sh      exit code 0: as described; 1: they behave otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check dcmrtstruct2nii==5 platipy==0.7.2 pydicom==2.4.5 \
    SimpleITK==2.5.7 numpy==2.4.6 rt-utils==1.2.7
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import os
import sys
from importlib.metadata import version

import SimpleITK
from dcmrtstruct2nii import dcmrtstruct2nii
from platipy.dicom.io.rtstruct_to_nifti import convert_rtstruct
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, RTStructureSetStorage, generate_uid

NAMES = ("dcmrtstruct2nii", "platipy", "pydicom", "SimpleITK")
print("python", sys.version.split()[0], *(f"{name} {version(name)}" for name in NAMES))
STUDY, SERIES, FRAME = generate_uid(), generate_uid(), generate_uid()


def new(storage, modality, series):
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, storage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    made = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    made.SOPClassUID, made.SOPInstanceUID = storage, meta.MediaStorageSOPInstanceUID
    made.StudyInstanceUID, made.SeriesInstanceUID, made.FrameOfReferenceUID = STUDY, series, FRAME
    made.PatientName = made.PatientID = "1"
    made.Modality = modality
    return made


def write_slice(number):
    image = new(CTImageStorage, "CT", SERIES)
    image.InstanceNumber, image.PixelSpacing, image.SliceThickness = number + 1, [1, 1], 3
    image.ImageOrientationPatient, image.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 3 * number]
    image.Rows = image.Columns = 20
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 16, 15, 1
    image.RescaleSlope, image.RescaleIntercept = 1, 0
    image.PixelData = bytes(2 * 20 * 20)
    image.save_as(f"ct/{number}.dcm", write_like_original=False)


def contour(z):
    box = Dataset()
    box.ContourGeometricType, box.NumberOfContourPoints = "CLOSED_PLANAR", 4
    box.ContourData = [5, 5, z, 14, 5, z, 14, 14, z, 5, 14, z]
    return box


def pixels(path):
    if not os.path.exists(path):
        return None
    return (SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(path)) > 0).sum((1, 2)).tolist()


def by_slice(name, places):
    structures = new(RTStructureSetStorage, "RTSTRUCT", generate_uid())
    region, drawn = Dataset(), Dataset()
    region.ROINumber = drawn.ReferencedROINumber = 1
    region.ROIName, region.ReferencedFrameOfReferenceUID = "cord", FRAME
    drawn.ROIDisplayColor, drawn.ContourSequence = [255, 0, 0], [contour(z) for z in places]
    structures.StructureSetROISequence, structures.ROIContourSequence = [region], [drawn]
    structures.save_as(f"{name}.dcm", write_like_original=False)
    os.makedirs(f"{name}_platipy")
    convert_rtstruct("ct", f"{name}.dcm", output_dir=f"{name}_platipy", prefix="")
    dcmrtstruct2nii(f"{name}.dcm", "ct", f"{name}_dcmrtstruct2nii")
    found = [pixels(path) for path in (f"{name}_dcmrtstruct2nii/mask_cord.nii.gz", f"{name}_platipy/cord.nii.gz")]
    print(f"contours at {places}: dcmrtstruct2nii {found[0]}, platipy {found[1]}")
    return found


os.makedirs("ct")
for number in range(8):
    write_slice(number)
below = by_slice("below", (-6, -3, 0, 3))
twice = by_slice("twice", (3, 4, 6))
above = by_slice("above", (3, 24))
described = (below, twice, above) == (
    [[100, 100, 0, 0, 0, 0, 100, 100]] * 2,
    [[0, 0, 100, 0, 0, 0, 0, 0]] * 2,
    [None, [0, 100, 0, 0, 0, 0, 0, 0]],
)
print("as described" if described else "they behave otherwise now")
sys.exit(not described)
PROGRAM
