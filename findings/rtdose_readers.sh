#!/bin/sh
# An RT dose is not in Gy for SimpleITK, dcm2niix and MONAI, and lies elsewhere in each of them.
#
# Values of RTDOSE are stored numbers times DoseGridScaling, planes are where GridFrameOffsetVector says: upwards or
# downwards, at one distance or several. SimpleITK 2.5.7 and dcm2niix 1.0.20260724, which apply RescaleSlope to a CT,
# give the stored numbers. dcm2niix puts planes 1 mm apart where SliceThickness is empty, and always upwards, so that a
# dose with falling offsets is upside down; it advises to check both, and exits with 0. SimpleITK takes the first
# distance for all, and MONAI 1.6.1's PydicomReader mixes the axes: (rows, frames, columns), under an affine of
# (columns, rows, frames). Neither says anything. pymedphys 0.41.0 reads these two right (run once, not here).
#
# Shown with 4 planes of 5 x 6 pixels of 1000, 2000, 3000 and 4000, scaling 0.001, the first plane at z = 30.
# Seen with Python 3.11.7, pydicom 3.0.2, nibabel 5.4.2; z of 1, 2, 3 and 4 Gy, the largest value, and MONAI's shape:
#   offsets 0, 2.5, 5, 10:       SimpleITK 30, 32.5, 35, 37.5    dcm2niix 30, 31, 32, 33    4000 in both    5 x 4 x 6
#   offsets 0, -2.5, -5, -7.5:   SimpleITK 30, 27.5, 25, 22.5    dcm2niix 30, 31, 32, 33    4000 in both    5 x 4 x 6
#
# sh findings/rtdose_readers.sh      exit code 0: as described; 1: they behave otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pydicom==3.0.2 SimpleITK==2.5.7 \
    dcm2niix==1.0.20260724 nibabel==5.4.2 monai==1.6.1 torch==2.13.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import subprocess
import sys
from pathlib import Path

import dcm2niix
import nibabel
import numpy
import SimpleITK
from monai.transforms import LoadImage
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RTDoseStorage, generate_uid


def written(folder, offsets):
    folder.mkdir()
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
    dose.PixelSpacing, dose.Rows, dose.Columns = [2, 3], 5, 6
    dose.NumberOfFrames, dose.FrameIncrementPointer, dose.GridFrameOffsetVector = 4, 0x3004000C, offsets
    dose.SamplesPerPixel, dose.PhotometricInterpretation, dose.PixelRepresentation = 1, "MONOCHROME2", 0
    dose.BitsAllocated, dose.BitsStored, dose.HighBit = 32, 32, 31
    dose.DoseUnits, dose.DoseType, dose.DoseSummationType, dose.DoseGridScaling = "GY", "PHYSICAL", "PLAN", 0.001
    dose.PixelData = numpy.repeat(numpy.arange(1000, 5000, 1000, dtype=numpy.uint32), 30).tobytes()
    dose.save_as(folder / "dose.dcm", enforce_file_format=True)
    return str(folder / "dose.dcm")


found = {}
for number, offsets in enumerate(((0, 2.5, 5, 10), (0, -2.5, -5, -7.5))):
    name = written(Path(f"dose{number}"), list(offsets))
    itk = SimpleITK.ReadImage(name)
    by_itk = {itk[0, 0, k]: itk.TransformIndexToPhysicalPoint((0, 0, k))[2] for k in range(4)}
    command = [dcm2niix.bin, "-f", f"dose{number}", "-o", ".", str(Path(name).parent)]
    subprocess.run(command, check=True, capture_output=True)
    nifti = nibabel.load(f"dose{number}.nii")
    by_dcm2niix = {int(nifti.get_fdata()[0, 0, k]): float((nifti.affine @ [0, 0, k, 1])[2]) for k in range(4)}
    monai = LoadImage(image_only=True, reader="PydicomReader")(name)
    found[offsets] = by_itk, by_dcm2niix, tuple(monai.shape), numpy.diag(monai.affine)[:3].tolist()
    print(f"offsets {offsets}, value: z\n  SimpleITK {by_itk}\n  dcm2niix {by_dcm2niix}")
    print(f"  MONAI: shape {found[offsets][2]}, affine's diagonal {found[offsets][3]}")
mixed = ((5, 4, 6), [-3, -2, 1])
one_apart = {1000: 30, 2000: 31, 3000: 32, 4000: 33}
described = list(found.values()) == [
    ({1000: 30, 2000: 32.5, 3000: 35, 4000: 37.5}, one_apart, *mixed),
    ({1000: 30, 2000: 27.5, 3000: 25, 4000: 22.5}, one_apart, *mixed),
]
print("as described" if described else "they behave otherwise now")
sys.exit(not described)
PROGRAM
