#!/bin/sh
# Orthanc 1.10.1: the job of Lua's SendToModality is a "Success" when its instance was never sent, and it is not retried.
#
# The function is what Orthanc's sample of auto-routing uses. Where the modality does not answer, the operation writes a
# line to the log and hands nothing on; the job ends as if all went well, so that whoever watches /jobs, or resubmits
# the jobs that failed, loses images while an AE is away. The same by /modalities/NAME/store is a "Failure" that can be
# resubmitted, and a Lua script can ask for it: RestApiPost(uri, DumpJson({Resources={ID}, Asynchronous=true}, true)).
#
# Seen with Debian 12, orthanc 1.10.1+dfsg-2+deb12u1, pydicom 3.0.1, a modality at a port that nothing listens on:
#   SendToModality: Success      /modalities/away/store: Failure, Error in the network protocol
#
# sh findings/orthanc_lua_job_success.sh      exit code 0: as described; 1: it behaves otherwise now. On Debian 12, no root
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pydicom==3.0.1
chmod 755 "$folder"
cd "$folder"
libraries="libboost-filesystem1.74.0 libboost-iostreams1.74.0 libboost-locale1.74.0 libboost-regex1.74.0
    libboost-thread1.74.0 libbrotli1 libcivetweb1 libcurl4 libdcmtk17 libdeflate0 libgssapi-krb5-2 libicu72 libjbig0
    libjpeg62-turbo libjsoncpp25 libk5crypto3 libkeyutils1 libkrb5-3 libkrb5support0 libldap-2.5-0 liblerc4 liblua5.3-0
    libnghttp2-14 libnsl2 libpng16-16 libpsl5 libpugixml1v5 librtmp1 libsasl2-2 libsqlite3-0 libssh2-1 libssl3 libtiff6
    libtirpc3 libuuid1 libwebp7 libwrap0 libxml2"
# shellcheck disable=SC2086
apt-get download -qq orthanc=1.10.1+dfsg-2+deb12u1 $libraries 2>&1 | grep -v unsandboxed || true
for package in *.deb; do dpkg-deb -x "$package" root; done
LD_LIBRARY_PATH=$(echo "$folder"/root/usr/lib/*-linux-gnu) DCMDICTPATH="$folder/root/usr/share/libdcmtk17/dicom.dic" \
    "$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import io
import json
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
http, dicom, away = [each.getsockname()[1] for each in sockets]
for each in sockets:
    each.close()
Path("route.lua").write_text("function OnStoredInstance(id, tags, metadata) SendToModality(id, 'away') end\n")
Path("orthanc.json").write_text(json.dumps({
    "HttpPort": http, "DicomPort": dicom, "RemoteAccessAllowed": False, "LuaScripts": ["route.lua"],
    "StorageDirectory": "storage", "IndexDirectory": "storage",
    "DicomModalities": {"away": ["AWAY", "127.0.0.1", away]},
}))  # fmt: skip


def ask(path, body=None):
    with urllib.request.urlopen(f"http://127.0.0.1:{http}{path}", body, timeout=10) as answer:
        return json.load(answer)


def ended(kind):
    """State and description of the error of the one job of a kind."""
    for _ in range(300):
        jobs = [job for job in ask("/jobs?expand") if job["Type"] == kind]
        if jobs and jobs[0]["State"] not in ("Pending", "Running"):
            return jobs[0]["State"], jobs[0]["ErrorDescription"]
        time.sleep(0.2)
    return "no such job", ""


image = Dataset()
image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, "1.2.3.1"
image.StudyInstanceUID, image.SeriesInstanceUID = "1.2.3.2", "1.2.3.3"
image.PatientID, image.Modality = "1", "CT"
image.file_meta = FileMetaDataset()
image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
content = io.BytesIO()
image.save_as(content, enforce_file_format=True)

server = subprocess.Popen(["root/usr/sbin/Orthanc", "--verbose", "orthanc.json"], stderr=open("log", "w"))
try:
    for _ in range(100):
        try:
            version = ask("/system")["Version"]
            break
        except OSError:
            time.sleep(0.2)
    stored = ask("/instances", content.getvalue())["ID"]
    ask("/modalities/away/store", json.dumps({"Resources": [stored], "Asynchronous": True}).encode())
    lua, rest = ended("SequenceOfOperations"), ended("DicomModalityStore")
finally:
    server.terminate()
    server.wait()
unable = sum("Unable to send instance" in line for line in open("log"))
print("Orthanc", version, "pydicom", pydicom.__version__)
print(f"SendToModality: job {lua[0]}, {lua[1]}; lines of the log that say it was not sent: {unable}")
print(f"/modalities/away/store: job {rest[0]}, {rest[1]}")
described = (lua[0], unable, rest[0]) == ("Success", 1, "Failure")
print("as described" if described else "it behaves otherwise now")
sys.exit(not described)
PROGRAM
