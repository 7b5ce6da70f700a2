#!/bin/sh
# dcm2niix 1.0.20260724 by default gives a Philips MR in other values than its RescaleSlope, which SimpleITK applies.
#
# Where Philips' private scale slope (2005,100E) is there, dcm2niix divides what RescaleSlope gives by both slopes
# (-p y): comparable between scans, but 1 / (RescaleSlope x scale slope) times the values of readers of DICOM, a factor
# of its own for each series. A table of values made of one is wrong for the other; -p n gives the same.
#
# Seen with Python 3.11.7, SimpleITK 2.5.7, stored 400, RescaleSlope 2.5, scale slope .01:
#   dcm2niix 40000      dcm2niix -p n 1000      SimpleITK 1000
#
# sh findings/dcm2niix_philips_values.sh      exit code 0: as described; 1: they behave otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pydicom==3.0.2 SimpleITK==2.5.7 \
    dcm2niix==1.0.20260724 nibabel==5.4.2 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PROGRAM'
import subprocess
import sys
from pathlib import Path

import dcm2niix
import nibabel
import numpy
import SimpleITK
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

study, series, frame = (generate_uid() for _ in range(3))
Path("series").mkdir()
for number in range(3):
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = MRImageStorage
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    made.StudyInstanceUID, made.SeriesInstanceUID, made.FrameOfReferenceUID = study, series, frame
    made.Modality, made.Manufacturer, made.PatientName, made.PatientID = "MR", "Philips Medical Systems", "A", "1"
    made.StudyDate, made.StudyTime, made.SeriesNumber, made.InstanceNumber = "20260101", "100000", 2, number + 1
    made.ImageType = ["ORIGINAL", "PRIMARY", "M_FFE", "M", "FFE"]
    made.ScanningSequence, made.SequenceVariant = "GR", "SK"
    made.MRAcquisitionType, made.EchoTime, made.RepetitionTime, made.EchoTrainLength = "3D", 3, 8, 1
    made.ScanOptions, made.PatientPosition, made.AcquisitionNumber = "", "HFS", 1
    made.PixelSpacing, made.SliceThickness = [1, 1], 2
    made.ImageOrientationPatient, made.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 2 * number]
    made.Rows = made.Columns = 4
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 12, 11, 0
    made.RescaleSlope, made.RescaleIntercept, made.RescaleType = 2.5, 0, "US"
    private = made.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
    private.add_new(0x0D, "FL", 0.0)
    private.add_new(0x0E, "FL", 0.01)
    made.PixelData = numpy.full((4, 4), 400, numpy.uint16).tobytes()
    made.save_as(f"series/{number}.dcm", enforce_file_format=True)
found = {}
for name, words in (("dcm2niix", []), ("dcm2niix -p n", ["-p", "n"])):
    subprocess.run([dcm2niix.bin, *words, "-f", name, "-o", ".", "series"], check=True, capture_output=True)
    (file,) = Path(".").glob(f"{name.replace(' ', '*')}.nii")
    found[name] = float(nibabel.load(file).get_fdata().max())
    file.unlink()
image = SimpleITK.ReadImage([str(path) for path in sorted(Path("series").iterdir())])
found["SimpleITK"] = float(SimpleITK.GetArrayFromImage(image).max())
print("python", sys.version.split()[0], found)
described = numpy.allclose(list(found.values()), [40000, 1000, 1000], rtol=1e-6)
print("as described" if described else "they behave otherwise now")
sys.exit(not described)
PROGRAM
