#!/bin/sh
# C-STORE of Debian 12's dcmtk (and Orthanc) and of pynetdicom waits some 40 ms for each instance, whatever its size.
#
# Command and data set of a C-STORE go out as two writes. Neither toolkit sets TCP_NODELAY, so that Nagle's algorithm
# holds the second back until the first is acknowledged, which the receiver delays by 40 ms on Linux; where the answer
# is two writes as well, as dcmtk's, it waits as long again. 300 slices take half a minute instead of two seconds, on
# the fastest network. dcmtk and Orthanc take TCP_NODELAY=1 in their environment; pynetdicom needs a handler of
# EVT_CONN_OPEN that sets the option of event.assoc.dul.socket.socket.
#
# Seen with Debian 12, dcmtk 3.6.7-9~deb12u4, Python 3.11.7, pynetdicom 3.0.4, ms for each of 40 instances of 32 kB:
#   storescu 46 to 53, with TCP_NODELAY=1 4 to 8; pynetdicom 50 to 66, with the option 5 to 9
#
# sh findings/dicom_store_waits_for_ack.sh      exit code 0: as described; 1: it behaves otherwise now. No root
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pydicom==3.0.2 pynetdicom==3.0.4
chmod 755 "$folder"
cd "$folder"
needed=$(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
    --no-enhances dcmtk | grep '^lib' | grep -v '^libc6\|^libc-bin\|^libcrypt1' | sort -u)
for package in dcmtk=3.6.7-9~deb12u4 $needed; do
    apt-get download -qq "$package" 2>&1 | grep -v 'unsandboxed\|^[WE]:' || true  # virtual packages have no file
done
for package in ./*.deb; do dpkg-deb -x "$package" tools; done
export LD_LIBRARY_PATH="$folder/tools/usr/lib/$(uname -m)-linux-gnu:$folder/tools/lib/$(uname -m)-linux-gnu"
export DCMDICTPATH="$folder/tools/usr/share/libdcmtk17/dicom.dic"
PATH="$folder/tools/usr/bin:$PATH" "$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pynetdicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid
from pynetdicom import AE, evt

COUNT = 40
Path("images").mkdir()
images = []
for number in range(COUNT):
    image = Dataset()
    image.SOPClassUID, image.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    image.StudyInstanceUID = image.SeriesInstanceUID = "1.2.3"
    image.PatientName = image.PatientID = "none"
    image.Modality, image.InstanceNumber = "OT", number
    image.Rows = image.Columns = 180
    image.SamplesPerPixel, image.PhotometricInterpretation, image.PixelRepresentation = 1, "MONOCHROME2", 0
    image.BitsAllocated, image.BitsStored, image.HighBit = 8, 8, 7
    image.PixelData = bytes(180 * 180)
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.save_as(f"images/{number}.dcm", enforce_file_format=True)
    images.append(image)


def at_once(event):
    event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


receiver = AE()
receiver.add_supported_context(SecondaryCaptureImageStorage, ExplicitVRLittleEndian)
server = receiver.start_server(
    ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, lambda _: 0), (evt.EVT_CONN_OPEN, at_once)]
)
port = server.server_address[1]


def by_dcmtk(**environment):
    begun = time.monotonic()
    words = ["storescu", "--required", "--propose-little", "127.0.0.1", str(port), "--scan-directories", "images"]
    subprocess.run(words, check=True, env=os.environ | environment)
    return 1000 * (time.monotonic() - begun) / COUNT


def by_pynetdicom(*handlers):
    sender = AE()
    sender.add_requested_context(SecondaryCaptureImageStorage, ExplicitVRLittleEndian)
    association = sender.associate("127.0.0.1", port, evt_handlers=list(handlers))
    begun = time.monotonic()
    assert all(association.send_c_store(image).Status == 0 for image in images)
    took = time.monotonic() - begun
    association.release()
    return 1000 * took / COUNT


version = subprocess.run(["storescu", "--version"], capture_output=True, text=True).stdout.split("\n")[0]
print(version, "pynetdicom", pynetdicom.__version__)
found = {
    "storescu": (by_dcmtk(), by_dcmtk(TCP_NODELAY="1")),
    "pynetdicom": (by_pynetdicom(), by_pynetdicom((evt.EVT_CONN_OPEN, at_once))),
}
server.shutdown()
for name, (plain, once) in found.items():
    print(f"{name}: {plain:.0f} ms an instance, with TCP_NODELAY {once:.0f} ms")
described = all(plain > 35 and once < plain / 2 for plain, once in found.values())
print("as described" if described else "it behaves otherwise now")
sys.exit(not described)
PROGRAM
