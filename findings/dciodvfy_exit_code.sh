#!/bin/sh
# dciodvfy of Debian 12's dicom3tools prints errors and exits with 0: whoever asks its exit code misses them.
#
# It exits with 1 for most errors, such as a value that is missing, so that a script seems to be able to rely on it. For
# a ReferencedSeriesSequence without a reference elsewhere, and for an attribute that its dictionary lacks, it prints
# "Error" and exits with 0. SyntheticData (0008,001C) is such an attribute: it is in today's standard, and younger than
# the dictionary. Count the lines that begin with "Error" instead, and allow those that are none.
#
# Seen with Debian 12, dicom3tools 1.00~20220618093127-2, pydicom 3.0.1:
#   as it is: no error, 0      no PixelSpacing: 1 error, 1      ReferencedSeriesSequence: 1 error, 0
#   SyntheticData: 1 error, 0
#
# sh findings/dciodvfy_exit_code.sh      exit code 0: as described; 1: it behaves otherwise now. On Debian 12, no root
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pydicom==3.0.1
chmod 755 "$folder"
cd "$folder"
apt-get download -qq dicom3tools=1.00~20220618093127-2 2>&1 | grep -v unsandboxed || true
dpkg-deb -x dicom3tools_*.deb tools
PATH="$folder/tools/usr/bin:$PATH" "$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import copy
import subprocess
import sys

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

EMPTY = (
    "PatientName PatientID PatientBirthDate PatientSex StudyDate StudyTime AccessionNumber StudyID Manufacturer "
    "ReferringPhysicianName PositionReferenceIndicator KVP AcquisitionNumber"
)
sound = Dataset()
for keyword in EMPTY.split():
    setattr(sound, keyword, None)
sound.SOPClassUID, sound.SOPInstanceUID, sound.Modality = CTImageStorage, "1.2.3.1", "CT"
sound.StudyInstanceUID, sound.SeriesInstanceUID, sound.FrameOfReferenceUID = "1.2.3.2", "1.2.3.3", "1.2.3.4"
sound.ImageType, sound.PatientPosition, sound.BodyPartExamined = ["ORIGINAL", "PRIMARY", "AXIAL"], "HFS", "HEAD"
sound.SeriesNumber, sound.InstanceNumber = 1, 1
sound.ImagePositionPatient, sound.ImageOrientationPatient = [0, 0, 0], [1, 0, 0, 0, 1, 0]
sound.PixelSpacing, sound.SliceThickness = [1, 1], 1
sound.Rows = sound.Columns = 2
sound.SamplesPerPixel, sound.PhotometricInterpretation, sound.PixelRepresentation = 1, "MONOCHROME2", 1
sound.BitsAllocated, sound.BitsStored, sound.HighBit = 16, 16, 15
sound.RescaleIntercept, sound.RescaleSlope, sound.RescaleType = 0, 1, "HU"
sound.PixelData = bytes(8)


def checked(change):
    """Errors that are printed, and the exit code."""
    header = copy.deepcopy(sound)
    change(header)
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.save_as("slice.dcm", enforce_file_format=True)
    done = subprocess.run(["dciodvfy", "slice.dcm"], capture_output=True, text=True)
    return sum(line.startswith("Error") for line in done.stderr.splitlines()), done.returncode


def refer(header):
    instance, series = Dataset(), Dataset()
    instance.ReferencedSOPClassUID, instance.ReferencedSOPInstanceUID = CTImageStorage, "1.2.3.5"
    series.SeriesInstanceUID, series.ReferencedInstanceSequence = "1.2.3.6", [instance]
    header.ReferencedSeriesSequence = [series]


changes = {
    "as it is": lambda header: None,
    "no PixelSpacing": lambda header: header.__delattr__("PixelSpacing"),
    "ReferencedSeriesSequence": refer,
    "SyntheticData": lambda header: header.add_new(0x0008001C, "CS", "YES"),
}
print("pydicom", pydicom.__version__)
found = {name: checked(change) for name, change in changes.items()}
for name, (errors, code) in found.items():
    print(f"{name}: lines of errors: {errors}, exit code {code}")
described = list(found.values()) == [(0, 0), (1, 1), (1, 0), (1, 0)]
print("as described" if described else "it behaves otherwise now")
sys.exit(not described)
PROGRAM
