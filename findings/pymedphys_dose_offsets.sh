#!/bin/sh
# pymedphys 0.41.0 places an RT dose twice as far out where GridFrameOffsetVector holds the z of its planes.
#
# The attribute has two forms (C.8.8.3.2): distances from the first plane, which begin with 0, or z in the patient,
# which begin with that of ImagePositionPatient. zyx_and_dose_from_dataset adds this z to either. So a dose of the
# second form at z = 30 lies at 60, and a gamma against the same dose in the first form compares other planes.
# SimpleITK, which looks at differences alone, is right.
#
# Seen with Python 3.11.7, pymedphys 0.41.0, pydicom 3.0.2, SimpleITK 2.5.7, four planes from z = 30:
#   0, 2.5, 5, 7.5: both 30 to 37.5      30, 32.5, 35, 37.5: pymedphys 60 to 67.5, SimpleITK 30 to 37.5
#
# sh findings/pymedphys_dose_offsets.sh      exit code 0: as described; 1: they behave otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pymedphys==0.41.0 pydicom==3.0.2 SimpleITK==2.5.7 \
    numpy==2.3.5
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import sys
from importlib.metadata import version

import numpy
import pymedphys
import SimpleITK
from pydicom import dcmread
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RTDoseStorage, generate_uid

print("python", sys.version.split()[0], *(f"{name} {version(name)}" for name in ("pymedphys", "pydicom", "SimpleITK")))


def written(name, offsets):
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dose = FileDataset("", {}, file_meta=meta)
    dose.SOPClassUID, dose.Modality, dose.Manufacturer = RTDoseStorage, "RTDOSE", "example"
    dose.SOPInstanceUID, dose.StudyInstanceUID, dose.SeriesInstanceUID = (generate_uid() for _ in range(3))
    dose.FrameOfReferenceUID, dose.SeriesNumber, dose.InstanceNumber = generate_uid(), 1, 1
    dose.PatientName, dose.PatientID, dose.PatientBirthDate, dose.PatientSex = "A^B", "1", "", ""
    dose.StudyDate, dose.StudyTime, dose.StudyID, dose.AccessionNumber = "20200101", "101010", "1", ""
    dose.ReferringPhysicianName, dose.PositionReferenceIndicator, dose.SliceThickness = "", "", ""
    dose.ImagePositionPatient, dose.ImageOrientationPatient = [-10, -20, 30], [1, 0, 0, 0, 1, 0]
    dose.PixelSpacing, dose.Rows, dose.Columns = [2, 2], 5, 6
    dose.NumberOfFrames, dose.FrameIncrementPointer, dose.GridFrameOffsetVector = 4, 0x3004000C, offsets
    dose.SamplesPerPixel, dose.PhotometricInterpretation, dose.PixelRepresentation = 1, "MONOCHROME2", 0
    dose.BitsAllocated, dose.BitsStored, dose.HighBit = 32, 32, 31
    dose.DoseUnits, dose.DoseType, dose.DoseSummationType, dose.DoseGridScaling = "GY", "PHYSICAL", "PLAN", 0.001
    dose.PixelData = numpy.repeat(numpy.arange(1000, 5000, 1000, dtype=numpy.uint32), 30).tobytes()
    dose.save_as(name, enforce_file_format=True)


found = []
for name, offsets in {"relative.dcm": [0, 2.5, 5, 7.5], "absolute.dcm": [30, 32.5, 35, 37.5]}.items():
    written(name, offsets)
    (z, _, _), _ = pymedphys.dicom.zyx_and_dose_from_dataset(dcmread(name))
    image = SimpleITK.ReadImage(name)
    found += [z.tolist(), [image.TransformIndexToPhysicalPoint((0, 0, k))[2] for k in range(4)]]
    print(f"offsets {offsets}: pymedphys {found[-2]}, SimpleITK {found[-1]}")
right = [30, 32.5, 35, 37.5]
described = found == [right, right, [60, 62.5, 65, 67.5], right]
print("as described" if described else "they behave otherwise now")
sys.exit(not described)
PROGRAM
