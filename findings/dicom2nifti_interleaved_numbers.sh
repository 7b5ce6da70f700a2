#!/bin/sh
# dicom2nifti 2.6.2 makes two volumes of half the slices of one MR whose InstanceNumbers follow the acquisition.
#
# An interleaved MR takes slices 1, 3, 5 and so on, and then those between them; InstanceNumber may count them in that
# order, and the standard promises none. dicom2nifti goes through the slices in the order of InstanceNumber and begins
# another point in time where their direction changes: at the step back. The result is a 4-D image of "two times", each
# at twice the distance of slices, and the second lies one slice too low. With an odd number of slices it says
# MISSING_DICOM_FILES. SimpleITK and dcm2niix sort by position.
#
# Shown with 8 slices of 5 mm, numbered from below and interleaved; the slice of the value 101 lies at z = 5 mm.
# Seen with Python 3.11.7, dicom2nifti 2.6.2, SimpleITK 2.5.7, dcm2niix 1.0.20260724, nibabel 5.4.2:
#   from below    dicom2nifti 8 x 8 x 8, 5 mm             all three have 101 at z = 5
#   interleaved   dicom2nifti 8 x 8 x 4 x 2, 10 mm, 101 at z = 0       SimpleITK and dcm2niix at z = 5
#
# sh findings/dicom2nifti_interleaved_numbers.sh      exit code 0: as described; 1: they behave otherwise now
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
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

logging.disable()
NAMES = ("dicom2nifti", "SimpleITK", "dcm2niix", "nibabel")
print("python", sys.version.split()[0], *(f"{name} {version(name)}" for name in NAMES))


def series(folder, order):
    """Slices from z = 0 upwards, numbered in this order."""
    Path(folder).mkdir()
    study, uid, frame = (generate_uid() for _ in range(3))
    for number, place in enumerate(order):
        made = Dataset()
        made.file_meta = FileMetaDataset()
        made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = MRImageStorage
        made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        made.StudyInstanceUID, made.SeriesInstanceUID, made.FrameOfReferenceUID = study, uid, frame
        made.Modality, made.Manufacturer, made.PatientName, made.PatientID = "MR", "A", "A", "1"
        made.StudyDate, made.StudyTime, made.SeriesNumber = "20260101", "100000", 2
        made.InstanceNumber, made.AcquisitionNumber = number + 1, 1
        made.ImageType = ["ORIGINAL", "PRIMARY", "M", "NONE"]
        made.ScanningSequence, made.SequenceVariant, made.ScanOptions = "GR", "SK", ""
        made.MRAcquisitionType, made.EchoTime, made.RepetitionTime, made.EchoTrainLength = "2D", 3, 800, 1
        made.PatientPosition, made.PixelSpacing, made.SliceThickness = "HFS", [1, 1], 5
        made.ImageOrientationPatient, made.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 5 * place]
        made.Rows = made.Columns = 8
        made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
        made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 12, 11, 0
        made.PixelData = numpy.full((8, 8), 100 + place, numpy.uint16).tobytes()
        made.save_as(f"{folder}/{number}.dcm", enforce_file_format=True)


def height(image):
    index = numpy.argwhere(image.get_fdata() == 101)[0]
    return float((image.affine @ [*index[:3], 1])[2])


found = {}
for name, order in {"below": range(8), "interleaved": [0, 2, 4, 6, 1, 3, 5, 7]}.items():
    series(name, order)
    image = dicom2nifti.dicom_series_to_nifti(name, f"{name}_1.nii", reorient_nifti=False)["NII"]
    subprocess.run([dcm2niix.bin, "-f", f"{name}_2", "-o", ".", name], check=True, capture_output=True)
    files = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(name)
    itk = SimpleITK.ReadImage(files)
    index = numpy.argwhere(SimpleITK.GetArrayFromImage(itk) == 101)[0, ::-1].tolist()
    others = itk.TransformIndexToPhysicalPoint(index)[2], height(nibabel.load(f"{name}_2.nii"))
    found[name] = (image.shape, float(image.header.get_zooms()[2]), height(image), *others)
    print("{}: dicom2nifti {}, {:g} mm, 101 at {:g}; SimpleITK {:g}, dcm2niix {:g}".format(name, *found[name]))
described = found == {"below": ((8, 8, 8), 5, 5, 5, 5), "interleaved": ((8, 8, 4, 2), 10, 0, 5, 5)}
print("as described" if described else "they behave otherwise now")
sys.exit(not described)
PROGRAM
