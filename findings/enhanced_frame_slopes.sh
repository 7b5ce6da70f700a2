#!/bin/sh
# Of an enhanced PET whose frames have slopes of their own, dcm2niix and SimpleITK apply one frame's to all.
#
# A PET's slices often differ in RescaleSlope. A legacy converted enhanced object, as highdicom makes it of them, keeps
# each frame's in PixelValueTransformationSequence. dcm2niix 1.0.20260724 takes the slope of the last frame, SimpleITK
# 2.5.7 that of the first, for every frame, and neither says so. Of the slices themselves both read all values right.
#
# Seen with Python 3.11.7, highdicom 0.28.2, stored values of 100 with slopes 1, 2 and 4 (the last slice's frame first):
#   slices: both 100, 200, 400      enhanced: dcm2niix 100, 100, 100, SimpleITK 400, 400, 400
#
# sh findings/enhanced_frame_slopes.sh      exit code 0: as described; 1: they behave otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check highdicom==0.28.2 pydicom==3.0.2 SimpleITK==2.5.7 \
    dcm2niix==1.0.20260724 nibabel==5.4.2 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import subprocess
import sys
from pathlib import Path

import dcm2niix
import nibabel
import numpy
import SimpleITK
from highdicom.legacy import LegacyConvertedEnhancedPETImage
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, PositronEmissionTomographyImageStorage, generate_uid

study, series, frame = (generate_uid() for _ in range(3))
EMPTY = "PatientBirthDate PatientSex StudyID AccessionNumber ReferringPhysicianName PositionReferenceIndicator"


def slice_of(number, slope):
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = PositronEmissionTomographyImageStorage
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    made.StudyInstanceUID, made.SeriesInstanceUID, made.FrameOfReferenceUID = study, series, frame
    made.Modality, made.Manufacturer, made.PatientName, made.PatientID = "PT", "A", "A", "1"
    for name in EMPTY.split():
        setattr(made, name, "")
    made.StudyDate = made.SeriesDate = made.AcquisitionDate = made.ContentDate = "20260101"
    made.StudyTime = made.SeriesTime = made.AcquisitionTime = made.ContentTime = "100000"
    made.SeriesNumber, made.InstanceNumber, made.AcquisitionNumber = 1, number + 1, 1
    made.ImageType, made.Units, made.DecayCorrection = ["ORIGINAL", "PRIMARY"], "BQML", "START"
    made.PatientPosition, made.BurnedInAnnotation = "HFS", "NO"
    made.PixelSpacing, made.SliceThickness = [2, 2], 3
    made.ImageOrientationPatient, made.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 3 * number]
    made.RescaleSlope, made.RescaleIntercept = slope, 0
    made.Rows = made.Columns = 4
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 16, 15, 0
    made.PixelData = numpy.full((4, 4), 100, numpy.uint16).tobytes()
    return made


slices = [slice_of(number, slope) for number, slope in enumerate((1, 2, 4))]
for kind in ("slices", "enhanced"):
    Path(kind).mkdir()
for number, each in enumerate(slices):
    each.save_as(f"slices/{number}.dcm", enforce_file_format=True)
made = LegacyConvertedEnhancedPETImage(slices, generate_uid(), 2, generate_uid(), 1)
made.save_as("enhanced/0.dcm")
frames = made.PerFrameFunctionalGroupsSequence
print("python", sys.version.split()[0])
print("slopes of the frames", [float(f.PixelValueTransformationSequence[0].RescaleSlope) for f in frames])
found = {}
for kind in ("slices", "enhanced"):
    subprocess.run([dcm2niix.bin, "-f", kind, "-o", ".", kind], check=True, capture_output=True)
    names = [str(path) for path in sorted(Path(kind).iterdir())]
    image = SimpleITK.ReadImage(names[0] if len(names) == 1 else names)
    found[kind, "dcm2niix"] = nibabel.load(f"{kind}.nii").get_fdata()[0, 0].tolist()
    found[kind, "SimpleITK"] = SimpleITK.GetArrayFromImage(image)[:, 0, 0].tolist()
for (kind, reader), values in found.items():
    print(f"{kind} by {reader}: {values}")
right = [100, 200, 400]
described = [right, right, [100] * 3, [400] * 3]
print("as described" if list(found.values()) == described else "they behave otherwise now")
sys.exit(list(found.values()) != described)
PROGRAM
