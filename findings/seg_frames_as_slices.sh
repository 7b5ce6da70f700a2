#!/bin/sh
# SimpleITK 2.5.7 reads a DICOM segmentation as one stack of its frames: organs one upon another, slices 1 mm apart.
#
# A SEG holds a frame for each slice of each segment, and need not hold the empty ones; highdicom leaves them out by
# default. SimpleITK takes the frames for slices in their order. So two organs become one of the summed height, above
# each other, in one label, 255; a gap in an organ is closed; and the spacing is that of the slices where it is even,
# else 1 mm. There is no warning, and for one organ without a gap all is right. highdicom reads it as it was drawn.
#
# Shown with a CT of slices at 0, 3, 6, 9, 12 and 15 mm, organs of 100 pixels at 3, 6, 12 and 50 at 6, 9.
# Seen with Python 3.11.7, highdicom 0.28.2, SimpleITK 2.5.7, pydicom 3.0.2; pixels by place:
#   both organs, SimpleITK 100 at 12, 13, 14, 50 at 15, 16      highdicom 100 at 3, 150 at 6, 50 at 9, 100 at 12
#   an organ at 0 and 12 alone: SimpleITK 2 slices 12 mm apart      the organ at 3 and 6 alone: as it is
#
# sh findings/seg_frames_as_slices.sh      exit code 0: as described; 1: they behave otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check highdicom==0.28.2 SimpleITK==2.5.7 pydicom==3.0.2 \
    numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import sys
from importlib.metadata import version

import highdicom
import numpy
import SimpleITK
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

NAMES = ("highdicom", "SimpleITK", "pydicom")
print("python", sys.version.split()[0], *(f"{name} {version(name)}" for name in NAMES))
STUDY, SERIES, FRAME = generate_uid(), generate_uid(), generate_uid()


def ct(z):
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    image = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    image.StudyInstanceUID, image.SeriesInstanceUID, image.FrameOfReferenceUID = STUDY, SERIES, FRAME
    image.PatientName = image.PatientID = image.StudyID = "1"
    image.PatientBirthDate = image.PatientSex = image.AccessionNumber = image.ReferringPhysicianName = ""
    image.StudyDate, image.StudyTime, image.Manufacturer, image.SeriesNumber = "20200101", "120000", "", 1
    image.Modality, image.InstanceNumber, image.ImageType = "CT", 1 + z // 3, ["ORIGINAL", "PRIMARY", "AXIAL"]
    image.PixelSpacing, image.SliceThickness = [1, 1], 3
    image.ImageOrientationPatient, image.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, z]
    image.Rows, image.Columns = 32, 24
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 16, 15, 1
    image.RescaleSlope, image.RescaleIntercept = 1, 0
    image.PixelData = bytes(2 * 32 * 24)
    return image


def segmented(labels):
    algorithm = highdicom.AlgorithmIdentificationSequence("none", codes.DCM.ArtificialIntelligence, "1")
    kind = highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC
    organs = [
        highdicom.seg.SegmentDescription(number, f"{number}", codes.SCT.Organ, codes.SCT.Liver, kind, algorithm)
        for number in range(1, labels.max() + 1)
    ]
    ids = (highdicom.UID(), 2, highdicom.UID(), 1, "none", "none", "1", "1")
    made = highdicom.seg.Segmentation([ct(z) for z in range(0, 18, 3)], labels, "BINARY", organs, *ids)
    made.save_as("seg.dcm")
    image = SimpleITK.ReadImage("seg.dcm")
    values = SimpleITK.GetArrayFromImage(image)
    by_itk = {}
    for k, plane in enumerate(values):
        by_itk[round(image.TransformIndexToPhysicalPoint((0, 0, k))[2], 3)] = int((plane > 0).sum())
    volume = highdicom.seg.segread("seg.dcm").get_volume(combine_segments=True)
    right = {}
    for k, plane in enumerate(volume.array):
        right[round(float((volume.affine @ [k, 0, 0, 1])[2]), 3)] = int((plane > 0).sum())
    print(f"SimpleITK {by_itk}, labels {numpy.unique(values).tolist()}; highdicom {right}")
    return by_itk, dict(sorted(right.items()))


both, apart, whole = (numpy.zeros((6, 32, 24), numpy.uint8) for _ in range(3))
both[[1, 2, 4], 5:15, 5:15] = 1
both[[2, 3], 20:25, 5:15] = 2
apart[[0, 4], 5:15, 5:15] = 1
whole[[1, 2], 5:15, 5:15] = 1
found = [segmented(labels) for labels in (both, apart, whole)]
described = found == [
    ({12: 100, 13: 100, 14: 100, 15: 50, 16: 50}, {3: 100, 6: 150, 9: 50, 12: 100}),
    ({12: 100, 0: 100}, {0: 100, 3: 0, 6: 0, 9: 0, 12: 100}),
    ({6: 100, 3: 100}, {3: 100, 6: 100}),
]
print("as described" if described else "they behave otherwise now")
sys.exit(not described)
PROGRAM
