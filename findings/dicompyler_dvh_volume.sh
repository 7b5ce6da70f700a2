#!/bin/sh
# dicompyler-core 0.5.6 takes the smallest gap between a structure's contours for the thickness of all of them.
#
# dvhcalc.get_dvh multiplies each contour's area by one thickness, the least distance of two planes. Where contours are
# drawn on every slice this is right. Where slices are left out in the middle, or one contour more is drawn at the end of
# an organ, as planning systems do, all planes count with the small gap: the volume shrinks to the share of it, and what
# is in cm3, such as the volume above a dose, with it. A structure of one contour has the thickness 0, and its DVH is
# empty. There is no warning. The percentages stay about right.
#
# Shown with boxes of 20 x 20 mm in a dose of 10 Gy on a grid of 2 mm.
# Seen with Python 3.11.7, dicompyler-core 0.5.6, pydicom 2.4.5, numpy 2.4.6, matplotlib 3.11.2:
#   contours at 0, 3, ... 27 mm   12 cm3     the same and one at 28 mm   4.4 cm3      one contour   0 cm3, no dose
#
# sh findings/dicompyler_dvh_volume.sh      exit code 0: as described; 1: dicompyler-core behaves otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check dicompyler-core==0.5.6 pydicom==2.4.5 numpy==2.4.6 \
    matplotlib==3.11.2
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import sys
from importlib.metadata import version

import numpy
from dicompylercore import dvhcalc
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RTDoseStorage, RTStructureSetStorage, generate_uid

NAMES = ("dicompyler-core", "pydicom", "numpy", "matplotlib")
print("python", sys.version.split()[0], *(f"{name} {version(name)}" for name in NAMES))
STUDY, FRAME = generate_uid(), generate_uid()


def new(name, storage, modality):
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, storage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    made = FileDataset(name, {}, file_meta=meta, preamble=bytes(128))
    made.SOPClassUID, made.SOPInstanceUID = storage, meta.MediaStorageSOPInstanceUID
    made.StudyInstanceUID, made.SeriesInstanceUID, made.FrameOfReferenceUID = STUDY, generate_uid(), FRAME
    made.PatientName = made.PatientID = "1"
    made.Modality = modality
    return made


def write_dose():
    dose = new("dose.dcm", RTDoseStorage, "RTDOSE")
    dose.ImagePositionPatient, dose.ImageOrientationPatient = [-39, -39, -20], [1, 0, 0, 0, 1, 0]
    dose.PixelSpacing, dose.Rows, dose.Columns, dose.NumberOfFrames = [2, 2], 40, 40, 40
    dose.FrameIncrementPointer, dose.GridFrameOffsetVector = 0x3004000C, [2 * frame for frame in range(40)]
    dose.SamplesPerPixel, dose.PhotometricInterpretation, dose.PixelRepresentation = 1, "MONOCHROME2", 0
    dose.BitsAllocated, dose.BitsStored, dose.HighBit = 16, 16, 15
    dose.DoseUnits, dose.DoseType, dose.DoseSummationType, dose.DoseGridScaling = "GY", "PHYSICAL", "PLAN", 0.001
    dose.PixelData = numpy.full((40, 40, 40), 10000, numpy.uint16).tobytes()
    dose.save_as("dose.dcm", write_like_original=False)


def contour(z):
    box = Dataset()
    box.ContourGeometricType, box.NumberOfContourPoints = "CLOSED_PLANAR", 4
    box.ContourData = [-10, -10, z, 10, -10, z, 10, 10, z, -10, 10, z]
    return box


def volume(name, places):
    structures = new(f"{name}.dcm", RTStructureSetStorage, "RTSTRUCT")
    region, drawn, seen = Dataset(), Dataset(), Dataset()
    region.ROINumber = drawn.ReferencedROINumber = seen.ReferencedROINumber = seen.ObservationNumber = 1
    region.ROIName, region.ReferencedFrameOfReferenceUID, seen.RTROIInterpretedType = "organ", FRAME, "ORGAN"
    drawn.ROIDisplayColor, drawn.ContourSequence = [255, 0, 0], [contour(z) for z in places]
    structures.StructureSetROISequence, structures.ROIContourSequence = [region], [drawn]
    structures.RTROIObservationsSequence = [seen]
    structures.save_as(f"{name}.dcm", write_like_original=False)
    dvh = dvhcalc.get_dvh(f"{name}.dcm", "dose.dcm", 1)
    print(f"contours at {places}: {dvh.volume:.2f} cm3, largest dose {dvh.max:.2f} Gy")
    return round(float(dvh.volume), 2), round(float(dvh.max))


write_dose()
regular = list(range(0, 28, 3))
found = [volume("regular", regular), volume("one_more", [*regular, 28]), volume("one", [9])]
described = found == [(12, 10), (4.4, 10), (0, 0)]
print("as described" if described else "dicompyler-core behaves otherwise now")
sys.exit(not described)
PROGRAM
