#!/bin/sh
# dicom2nifti 2.6.2 turns an enhanced MR upside down whose frames are stored from the top down: voxels up, affine down.
#
# The standard lets frames stand in any order; PlanePositionSequence and InStackPositionNumber say where each one lies.
# dicom2nifti puts the slices in the order of InStackPositionNumber and takes the affine from the positions of the first
# and the last frame in the file. Where those orders differ, each slice has the place of its mirror image: head and
# feet change ends, left and right in a sagittal series. The size and the spacing are right, and nothing is said.
#
# Shown with 8 frames of 5 mm, stored from below and from above; the frame of the value 101 lies at z = 5 mm of 0 to 35.
# Seen with Python 3.11.7, dicom2nifti 2.6.2, SimpleITK 2.5.7, dcm2niix 1.0.20260724, nibabel 5.4.2:
#   from below: all three have 101 at z = 5      from above: dicom2nifti at z = 30, SimpleITK and dcm2niix at z = 5
#
# sh findings/dicom2nifti_enhanced_upside_down.sh      exit code 0: as described; 1: they behave otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check dicom2nifti==2.6.2 pydicom==3.0.2 SimpleITK==2.5.7 \
    dcm2niix==1.0.20260724 nibabel==5.4.2 numpy==2.4.6 scipy==1.17.1
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import logging
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import dcm2niix
import dicom2nifti
import nibabel
import numpy
import SimpleITK
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian, generate_uid

logging.disable()
NAMES = ("dicom2nifti", "SimpleITK", "dcm2niix", "nibabel")
print("python", sys.version.split()[0], *(f"{name} {version(name)}" for name in NAMES))


def one(**elements):
    made = Dataset()
    for name, value in elements.items():
        setattr(made, name, value)
    return [made]


def enhanced(folder, order):
    """Frames of slices upwards from z = 0, stored in this order."""
    Path(folder).mkdir()
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    made.StudyInstanceUID, made.SeriesInstanceUID, made.FrameOfReferenceUID = (generate_uid() for _ in range(3))
    made.Modality, made.Manufacturer, made.PatientName, made.PatientID = "MR", "A", "A", "1"
    made.StudyDate, made.StudyTime, made.SeriesNumber, made.InstanceNumber = "20260101", "100000", 2, 1
    made.ImageType, made.PatientPosition = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"], "HFS"
    made.Rows = made.Columns = made.NumberOfFrames = 8
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 12, 11, 0
    organisation = generate_uid()
    made.DimensionOrganizationSequence = one(DimensionOrganizationUID=organisation)
    made.DimensionIndexSequence = [
        one(
            DimensionIndexPointer=tag_for_keyword(keyword),
            FunctionalGroupPointer=tag_for_keyword("FrameContentSequence"),
            DimensionOrganizationUID=organisation,
        )[0]
        for keyword in ("StackID", "InStackPositionNumber")
    ]
    made.SharedFunctionalGroupsSequence = one(
        PixelMeasuresSequence=one(PixelSpacing=[1, 1], SliceThickness=5, SpacingBetweenSlices=5),
        PlaneOrientationSequence=one(ImageOrientationPatient=[1, 0, 0, 0, 1, 0]),
        PixelValueTransformationSequence=one(RescaleSlope=1, RescaleIntercept=0, RescaleType="US"),
    )
    made.PerFrameFunctionalGroupsSequence = [
        one(
            FrameContentSequence=one(
                StackID="1", InStackPositionNumber=place + 1, DimensionIndexValues=[1, place + 1]
            ),
            PlanePositionSequence=one(ImagePositionPatient=[0, 0, 5 * place]),
        )[0]
        for place in order
    ]
    made.PixelData = numpy.repeat(numpy.array(order, numpy.uint16) + 100, 64).tobytes()
    made.save_as(f"{folder}/all.dcm", enforce_file_format=True)


def height(image):
    index = numpy.argwhere(image.get_fdata() == 101)[0]
    return float((image.affine @ [*index[:3], 1])[2])


found = {}
for name, order in {"below": range(8), "above": range(7, -1, -1)}.items():
    enhanced(name, order)
    image = dicom2nifti.dicom_series_to_nifti(name, f"{name}_1.nii", reorient_nifti=False)["NII"]
    subprocess.run([dcm2niix.bin, "-f", f"{name}_2", "-o", ".", name], check=True, capture_output=True)
    itk = SimpleITK.ReadImage(f"{name}/all.dcm")
    index = numpy.argwhere(SimpleITK.GetArrayFromImage(itk) == 101)[0, ::-1].tolist()
    found[name] = height(image), itk.TransformIndexToPhysicalPoint(index)[2], height(nibabel.load(f"{name}_2.nii"))
    print("from {}: 101 lies at {:g} for dicom2nifti, {:g} for SimpleITK, {:g} for dcm2niix".format(name, *found[name]))
described = found == {"below": (5, 5, 5), "above": (30, 5, 5)}
print("as described" if described else "they behave otherwise now")
sys.exit(not described)
PROGRAM
