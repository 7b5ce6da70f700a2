#!/bin/sh
# dcmjs 0.52.2: slices joined by Normalizer.normalizeToDataset become an enhanced CT whose every pixel is 0.
#
# naturalizeDataset gives PixelData as a list of one buffer. The normaliser asks that list for its byteLength, which
# is passed on to the buffer, so that sizes are right, and then copies it by new Uint16Array(list), which of a list of
# one buffer is [0]. Nothing is said, the object is written and valid. With slice.PixelData = slice.PixelData[0] before,
# the pixels are there. RescaleType, HU in the slices, is US in either.
#
# Seen with node 20.20.2, dcmjs 0.52.2, Python 3.11.7, pydicom 3.0.2:
#   slices of 1000 to 1003: enhanced CT of 0 to 0; of PixelData[0]: 1000 to 1003; RescaleType US
#
# sh findings/dcmjs_normaliser_zeros.sh      exit code 0: as described; 1: dcmjs behaves otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pydicom==3.0.2 numpy==2.3.5
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts dcmjs@0.52.2
"$folder/venv/bin/python" - <<'PROGRAM'
from pathlib import Path

import numpy
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

series = generate_uid()
Path("ct").mkdir()
for number in range(4):
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    image = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    image.StudyInstanceUID = image.FrameOfReferenceUID = image.SeriesInstanceUID = series
    image.PatientName, image.PatientID, image.StudyDate, image.StudyTime = "none", "none", "20250101", "120000"
    image.Modality, image.InstanceNumber, image.ImageType = "CT", number + 1, ["ORIGINAL", "PRIMARY", "AXIAL"]
    image.PixelSpacing, image.SliceThickness = [1, 1], 3
    image.ImageOrientationPatient, image.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 3 * number]
    image.Rows = image.Columns = 8
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 16, 15, 1
    image.RescaleSlope, image.RescaleIntercept, image.RescaleType = 1, 0, "HU"
    image.PixelData = numpy.full((8, 8), 1000 + number, "<i2").tobytes()
    image.save_as(f"ct/{number}.dcm", enforce_file_format=True)
PROGRAM
cat >join.cjs <<'PROGRAM'
const fs = require('fs')
const dcmjs = require('dcmjs')
const { DicomMessage, DicomMetaDictionary, datasetToBuffer } = dcmjs.data

console.log('node', process.versions.node, 'dcmjs', require('./node_modules/dcmjs/package.json').version)
for (const [name, asBuffer] of [['list', false], ['buffer', true]]) {
  const slices = fs.readdirSync('ct').sort().map((file) => {
    const bytes = Uint8Array.from(fs.readFileSync(`ct/${file}`))
    const slice = DicomMetaDictionary.naturalizeDataset(DicomMessage.readFile(bytes.buffer).dict)
    if (asBuffer) slice.PixelData = slice.PixelData[0]
    return Object.assign(slice, { _meta: {} })
  })
  const joined = dcmjs.normalizers.Normalizer.normalizeToDataset(slices)
  fs.writeFileSync(`${name}.dcm`, Buffer.from(datasetToBuffer(joined)))
}
PROGRAM
node join.cjs
"$folder/venv/bin/python" - <<'PROGRAM'
import sys
from importlib.metadata import version

import numpy
import pydicom

print("python", sys.version.split()[0], "pydicom", version("pydicom"))
found = []
for name in ("list", "buffer"):
    image = pydicom.dcmread(f"{name}.dcm")
    kind = image.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence[0].RescaleType
    pixels = numpy.frombuffer(image.PixelData, "<i2")
    found.append((int(image.NumberOfFrames), len(pixels), int(pixels.min()), int(pixels.max()), kind))
    print(f"PixelData a {name}: {found[-1][0]} frames of {pixels.min()} to {pixels.max()}, RescaleType {kind}")
described = found == [(4, 256, 0, 0, "US"), (4, 256, 1000, 1003, "US")]
print("as described" if described else "dcmjs behaves otherwise now")
sys.exit(not described)
PROGRAM
