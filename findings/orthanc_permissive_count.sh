#!/bin/sh
# Orthanc 1.10.1: a "Permissive" store tells of no failed instance, though the modality does not take the class of one.
#
# Without Permissive, /modalities/NAME/store of a study ends at the first instance whose class the modality rejects,
# with "Cannot transcode ... to one of [ ]" (error 500), and the images that follow are not sent. With it they are, and
# the answer is 200 with FailedInstancesCount 0 and InstancesCount that of all: whoever asks these does not see that an
# instance is missing. Count what has arrived, or let the modality take the class.
#
# Seen with Debian 12, orthanc 1.10.1+dfsg-2+deb12u1, pydicom 3.0.2, pynetdicom 3.0.4, a study of three MR images and
# one object of Siemens' CSA Non-Image Storage, to a modality that takes MR alone:
#   Permissive: status 200, InstancesCount 4, FailedInstancesCount 0, 3 have arrived; otherwise status 500
#
# sh findings/orthanc_permissive_count.sh      exit code 0: as described; 1: it behaves otherwise now. No root
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pydicom==3.0.2 pynetdicom==3.0.4
chmod 755 "$folder"
cd "$folder"
libraries="libboost-filesystem1.74.0 libboost-iostreams1.74.0 libboost-locale1.74.0 libboost-regex1.74.0
    libboost-thread1.74.0 libbrotli1 libcivetweb1 libcurl4 libdcmtk17 libdeflate0 libgssapi-krb5-2 libicu72 libjbig0
    libjpeg62-turbo libjsoncpp25 libk5crypto3 libkeyutils1 libkrb5-3 libkrb5support0 libldap-2.5-0 liblerc4 liblua5.3-0
    libnghttp2-14 libnsl2 libpng16-16 libpsl5 libpugixml1v5 librtmp1 libsasl2-2 libsqlite3-0 libssh2-1 libssl3 libtiff6
    libtirpc3 libuuid1 libwebp7 libwrap0 libxml2"
# shellcheck disable=SC2086
apt-get download -qq orthanc=1.10.1+dfsg-2+deb12u1 $libraries 2>&1 | grep -v unsandboxed || true
for package in *.deb; do dpkg-deb -x "$package" tools; done
LD_LIBRARY_PATH=$(echo "$folder"/tools/usr/lib/*-linux-gnu) DCMDICTPATH="$folder/tools/usr/share/libdcmtk17/dicom.dic" \
    "$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import io
import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pydicom
import pynetdicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage
from pynetdicom import AE, evt

CSA_NON_IMAGE = "1.3.12.2.1107.5.9.1"
arrived = set()


def store(event):
    arrived.add(event.dataset.SOPInstanceUID)
    return 0


receiver = AE(ae_title="MODALITY")
receiver.add_supported_context(MRImageStorage, ExplicitVRLittleEndian)
server = receiver.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
http, dicom = [each.getsockname()[1] for each in sockets]
for each in sockets:
    each.close()
Path("orthanc.json").write_text(json.dumps({
    "HttpPort": http, "DicomPort": dicom, "RemoteAccessAllowed": False,
    "StorageDirectory": "storage", "IndexDirectory": "storage",
    "DicomModalities": {"modality": ["MODALITY", "127.0.0.1", server.server_address[1]]},
}))  # fmt: skip


def ask(path, body=None):
    # status and content of the answer
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{http}{path}", body, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


with open("log", "wb") as log:
    orthanc = subprocess.Popen(["tools/usr/sbin/Orthanc", "orthanc.json"], stdout=log, stderr=log)
try:
    for _ in range(100):
        try:
            version = ask("/system")[1]["Version"]
            break
        except OSError:
            time.sleep(0.2)
    print("orthanc", version, "pydicom", pydicom.__version__, "pynetdicom", pynetdicom.__version__)
    for number, kind in enumerate([MRImageStorage, CSA_NON_IMAGE, MRImageStorage, MRImageStorage], 1):
        each = Dataset()
        each.SOPClassUID, each.SOPInstanceUID = kind, f"1.2.3.{number}"
        each.StudyInstanceUID, each.SeriesInstanceUID = "1.2.3", "1.2.3.10" if kind == MRImageStorage else "1.2.3.11"
        each.PatientName = each.PatientID = "none"
        each.Modality, each.InstanceNumber = "MR", number
        each.file_meta = FileMetaDataset()
        each.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        each.save_as(file := io.BytesIO(), enforce_file_format=True)
        ask("/instances", file.getvalue())
    study = ask("/studies")[1][0]
    plain, _ = ask("/modalities/modality/store", study.encode())
    arrived.clear()
    status, told = ask("/modalities/modality/store", json.dumps({"Resources": [study], "Permissive": True}).encode())
finally:
    orthanc.terminate()
    orthanc.wait()
    server.shutdown()
found = (plain, status, told.get("InstancesCount"), told.get("FailedInstancesCount"), len(arrived))
print("without Permissive: status {}; with it: status {}, InstancesCount {}, failed {}, arrived {}".format(*found))
described = found == (500, 200, 4, 0, 3)
print("as described" if described else "it behaves otherwise now")
sys.exit(not described)
PROGRAM
