#!/bin/sh
# dcm2niix 1.0.20260724 gives a DICOM parametric map its stored numbers, no units, and closes a gap between its slices.
#
# A map of ADC, T1 or Hounsfield units in whole numbers states its unit in RealWorldValueMapping; a parametric map has
# no RescaleSlope, which dcm2niix applies to other images. So it writes what is stored: a synthetic CT with an intercept
# of -1024 comes 1024 too high. Where a slice in between has no frame, as outside of an organ, slices get the mean of
# their distances and come to lie elsewhere, in one file, with no warning of either. highdicom, which wrote the map,
# reads its units, and refuses to make a volume of the one with a gap.
#
# Shown with a CT of five slices 3 mm apart from z = 30 whose values are their z, whole and without the third slice.
# Seen with Python 3.11.7, dcm2niix 1.0.20260724, highdicom 0.28.2, pydicom 3.0.2, nibabel 5.4.2; value at z:
#   highdicom 30 at 30 ... 42 at 42      dcm2niix 1054 at 30 ... 1066 at 42      gap: 1054 at 30, 1057 at 34, 1063 at 38
#
# sh findings/parametric_map_dcm2niix.sh      exit code 0: as described; 1: they behave otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check dcm2niix==1.0.20260724 highdicom==0.28.2 \
    pydicom==3.0.2 nibabel==5.4.2 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import dcm2niix
import highdicom
import nibabel
import numpy
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

NAMES = ("dcm2niix", "highdicom", "pydicom", "nibabel", "numpy")
print("python", sys.version.split()[0], *(f"{name} {version(name)}" for name in NAMES))
study, series, frame_of_reference = (generate_uid() for _ in range(3))


def ct_slice(number):
    ct = Dataset()
    ct.file_meta = FileMetaDataset()
    ct.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ct.SOPClassUID, ct.SOPInstanceUID, ct.Modality = CTImageStorage, generate_uid(), "CT"
    ct.StudyInstanceUID, ct.SeriesInstanceUID, ct.FrameOfReferenceUID = study, series, frame_of_reference
    ct.PatientName, ct.PatientID, ct.PatientBirthDate, ct.PatientSex = "A^B", "1", "", ""
    ct.StudyDate, ct.StudyTime, ct.StudyID, ct.AccessionNumber = "20200101", "101010", "1", ""
    ct.ReferringPhysicianName, ct.PositionReferenceIndicator, ct.BodyPartExamined = "", "", "HEAD"
    ct.SeriesNumber, ct.InstanceNumber, ct.SliceThickness = 1, number + 1, 3
    ct.ImagePositionPatient, ct.ImageOrientationPatient = [-10, -20, 30 + 3 * number], [1, 0, 0, 0, 1, 0]
    ct.PixelSpacing, ct.Rows, ct.Columns, ct.PixelRepresentation = [1, 1], 8, 10, 0
    ct.SamplesPerPixel, ct.PhotometricInterpretation = 1, "MONOCHROME2"
    ct.BitsAllocated, ct.BitsStored, ct.HighBit = 16, 16, 15
    return ct


def parametric_map(path, numbers):
    mapping = highdicom.pm.RealWorldValueMapping(
        "HU", "CT", codes.UCUM.HounsfieldUnit, value_range=(0, 4095), slope=1.0, intercept=-1024.0
    )
    stored = numpy.stack([numpy.full((8, 10), 1024 + 30 + 3 * each, numpy.uint16) for each in numbers])
    about = (generate_uid(), 2, generate_uid(), 1, "maker", "model", "1", "1", False, [mapping], 0.0, 100.0)
    path.mkdir()
    made = highdicom.pm.ParametricMap([ct_slice(each) for each in numbers], stored, *about)
    made.save_as(path / "map.dcm", enforce_file_format=True)


def by_dcm2niix(folder):
    made = subprocess.run([dcm2niix.bin, "-f", "out", "-o", folder, folder], check=True, capture_output=True, text=True)
    warnings = [line for line in made.stdout.splitlines() if "arning" in line and "Patient Position" not in line]
    (path,) = folder.glob("*.nii")
    image = nibabel.load(path)
    places = [float((image.affine @ [0, 0, each, 1])[2]) for each in range(image.shape[2])]
    return dict(zip(map(float, image.get_fdata()[0, 0]), places)), warnings


def by_highdicom(folder):
    try:
        volume = highdicom.imread(folder / "map.dcm").get_volume(apply_real_world_transform=True)
    except RuntimeError as error:
        return str(error)
    places = [float((volume.affine @ [each, 0, 0, 1])[2]) for each in range(volume.shape[0])]
    return dict(zip(map(float, volume.array[:, 0, 0]), places))


found = []
for name, numbers in (("whole", (0, 1, 2, 3, 4)), ("gap", (0, 1, 3, 4))):
    parametric_map(Path(name), numbers)
    found.append((*by_dcm2niix(Path(name)), by_highdicom(Path(name))))
    print("{}, value: z\n  dcm2niix {}, warnings {}\n  highdicom {}".format(name, *found[-1]))
whole = {1054: 30, 1057: 33, 1060: 36, 1063: 39, 1066: 42}
described = found == [
    (whole, [], {each: each for each in whole.values()}),
    ({1054: 30, 1057: 34, 1063: 38, 1066: 42}, [], "Frame positions do not form a regularly-spaced volume."),
]
print("as described" if described else "they behave otherwise now")
sys.exit(not described)
PROGRAM
