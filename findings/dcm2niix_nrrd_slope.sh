#!/bin/sh
# dcm2niix 1.0.20260724 writes NRRD without the slope of a PET: whoever reads the file gets the stored numbers.
#
# Asked for NIfTI it puts slope and intercept in the header, where every reader applies them. Asked for NRRD (-e y) it
# stores the numbers of the pixels, and in "oldmin" and "oldmax" the range that they stand for. In NRRD those fields say
# what the values were before they were quantised; SimpleITK and pynrrd do not undo that. So for every slope but 1, as
# of PET and of MR by Philips, and for a CT of 16 unsigned bits with air in it, which is then 1024 HU too high.
#
# Seen with Python 3.11.7, dcm2niix 1.0.20260724, SimpleITK 2.5.7, pynrrd 1.1.3, nibabel 5.4.2:
#   PET of 1024 times 0.25: NIfTI by nibabel 256; NRRD by SimpleITK 1024, by pynrrd 1024
#   CT of 24 - 1024 HU: -1000; 24, 24
#
# sh findings/dcm2niix_nrrd_slope.sh      exit code 0: as described; 1: they behave otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check dcm2niix==1.0.20260724 pydicom==3.0.2 \
    SimpleITK==2.5.7 pynrrd==1.1.3 nibabel==5.4.2
cd "$folder"
"$folder/venv/bin/python" - <<'PROGRAM'
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import dcm2niix
import nibabel
import nrrd
import numpy
import SimpleITK
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    PositronEmissionTomographyImageStorage,
    generate_uid,
)

packages = ("dcm2niix", "SimpleITK", "pynrrd", "nibabel")
print("python", sys.version.split()[0], *(f"{name} {version(name)}" for name in packages))


def write(folder, modality, sop_class, stored, slope, intercept):
    series = generate_uid()
    Path(folder).mkdir()
    for number in range(4):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, sop_class
        meta.MediaStorageSOPInstanceUID = generate_uid()
        image = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
        image.SOPClassUID, image.SOPInstanceUID = sop_class, meta.MediaStorageSOPInstanceUID
        image.StudyInstanceUID = image.FrameOfReferenceUID = image.SeriesInstanceUID = series
        image.Modality, image.InstanceNumber, image.ImageType = modality, number + 1, ["ORIGINAL", "PRIMARY"]
        image.Manufacturer, image.SeriesNumber, image.PixelSpacing, image.SliceThickness = "none", 1, [1, 1], 3
        image.ImageOrientationPatient, image.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 3 * number]
        image.Rows = image.Columns = 8
        image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
        image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 16, 15, 0
        image.RescaleSlope, image.RescaleIntercept = slope, intercept
        image.PixelData = numpy.full((8, 8), stored, "<u2").tobytes()
        image.save_as(f"{folder}/{number}.dcm", enforce_file_format=True)


def found(folder):
    for name, to_nrrd in (("as_nifti", "n"), ("as_nrrd", "y")):
        words = [dcm2niix.bin, "-e", to_nrrd, "-b", "n", "-z", "n", "-f", f"{folder}_{name}", "-o", ".", folder]
        subprocess.run(words, check=True, capture_output=True)
    by_nibabel = float(nibabel.load(f"{folder}_as_nifti.nii").get_fdata()[0, 0, 0])
    by_simpleitk = SimpleITK.ReadImage(f"{folder}_as_nrrd.nrrd").GetPixel(0, 0, 0)
    values = (by_nibabel, by_simpleitk, int(nrrd.read(f"{folder}_as_nrrd.nrrd")[0][0, 0, 0]))
    print("%s: NIfTI by nibabel %g; NRRD by SimpleITK %g, by pynrrd %g" % (folder, *values))
    return values


write("PET", "PT", PositronEmissionTomographyImageStorage, 1024, 0.25, 0)
write("CT", "CT", CTImageStorage, 24, 1, -1024)
described = (found("PET"), found("CT")) == ((256, 1024, 1024), (-1000, 24, 24))
print("as described" if described else "they behave otherwise now")
sys.exit(not described)
PROGRAM
