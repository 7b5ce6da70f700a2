#!/bin/sh
# Orthanc of Debian 12 acknowledges a corrected instance with "success", and keeps the old one.
#
# A C-STORE of an instance whose SOPInstanceUID it has, of the same patient, study and series, gets status 0x0000 and a
# log without a word; pixels and header stay those that came first, however the new ones differ. STOW-RS of its plugin
# lists the instance as stored, too. Only its own REST interface says "AlreadyStored". OverwriteInstances: true in its
# configuration changes that. So a result that is made again with other values needs UIDs of its own, for instance
# derived from its pixels, or the archive shows the first one for ever.
#
# Seen with Debian 12, Orthanc 1.10.1+dfsg-2+deb12u1, Python 3.11.7, pynetdicom 3.0.4:
#   first 0x0000, second 0x0000, kept: first; by REST: AlreadyStored, kept: first
#   with OverwriteInstances: first 0x0000, second 0x0000, kept: second
#
# sh findings/orthanc_keeps_old_instance.sh      exit code 0: as described; 1: it behaves otherwise now. No root
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pydicom==3.0.2 pynetdicom==3.0.4
chmod 755 "$folder"
cd "$folder"
needed=$(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
    --no-enhances orthanc | grep '^lib' | grep -v '^libc6\|^libc-bin\|^libcrypt1' | sort -u)
for package in orthanc=1.10.1+dfsg-2+deb12u1 $needed; do
    apt-get download -qq "$package" 2>&1 | grep -v 'unsandboxed\|^[WE]:' || true  # virtual packages have no file
done
for package in ./*.deb; do dpkg-deb -x "$package" tools; done
export LD_LIBRARY_PATH="$folder/tools/usr/lib/$(uname -m)-linux-gnu:$folder/tools/lib/$(uname -m)-linux-gnu"
PATH="$folder/tools/usr/sbin:$PATH" "$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import json
import socket
import subprocess
import sys
import time
import urllib.request
from io import BytesIO

import pydicom
import pynetdicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage
from pynetdicom import AE


def instance(description):
    """A small image; only its description and its pixels differ."""
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = SecondaryCaptureImageStorage, "1.2.3.1"
    made.StudyInstanceUID, made.SeriesInstanceUID, made.Modality = "1.2.3.2", "1.2.3.3", "OT"
    made.PatientName = made.PatientID = "none"
    made.SeriesDescription = description
    made.Rows = made.Columns = 2
    made.SamplesPerPixel, made.PhotometricInterpretation, made.PixelRepresentation = 1, "MONOCHROME2", 0
    made.BitsAllocated, made.BitsStored, made.HighBit = 8, 8, 7
    made.PixelData = bytes([len(description)] * 4)
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return made


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def stored(port, made):
    """The status of a C-STORE."""
    entity = AE()
    entity.add_requested_context(SecondaryCaptureImageStorage, ExplicitVRLittleEndian)
    association = entity.associate("127.0.0.1", port)
    status = association.send_c_store(made).Status
    association.release()
    return f"0x{status:04X}"


def tried(overwrite):
    dicom, http = free_port(), free_port()
    url = f"http://127.0.0.1:{http}"

    def ask(path, data=None):
        with urllib.request.urlopen(url + path, data, timeout=30) as answer:
            return answer.read()

    def kept():
        (only,) = json.loads(ask("/instances"))
        return str(pydicom.dcmread(BytesIO(ask(f"/instances/{only}/file"))).SeriesDescription)

    place = f"storage-{overwrite}"
    settings = {
        "StorageDirectory": place, "IndexDirectory": place, "HttpPort": http, "DicomPort": dicom,
        "RemoteAccessAllowed": False, "AuthenticationEnabled": False, "OverwriteInstances": overwrite,
    }
    with open(f"{place}.json", "w") as file:
        json.dump(settings, file)
    server = subprocess.Popen(["Orthanc", f"{place}.json"], stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            try:
                version = json.loads(ask("/system"))["Version"]
                break
            except OSError:
                time.sleep(0.2)
        said = [stored(dicom, instance("first")), stored(dicom, instance("second")), kept()]
        if not overwrite:
            file = BytesIO()
            instance("second").save_as(file, enforce_file_format=True)
            said += [json.loads(ask("/instances", file.getvalue()))["Status"], kept()]
    finally:
        server.terminate()
        server.wait()
    print(f"Orthanc {version}, OverwriteInstances {overwrite}: {', '.join(said)}")
    return said


print("pynetdicom", pynetdicom.__version__)
described = tried(False) == ["0x0000", "0x0000", "first", "AlreadyStored", "first"]
described &= tried(True) == ["0x0000", "0x0000", "second"]
print("as described" if described else "it behaves otherwise now")
sys.exit(not described)
PROGRAM
