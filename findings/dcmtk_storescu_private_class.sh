#!/bin/sh
# dcmtk's storescu stops at an object of a private SOP class that the receiver takes; with --no-halt it exits with 0.
#
# It proposes only the classes of its own list, or those of the files that are in it, never a private one such as
# Siemens' CSA Non-Image Storage, which lies in many MR studies. So the images that follow it in the folder are not sent
# (exit code 1), with --required none is. --no-halt sends them, leaves the object out and exits with 0, so that a script
# does not see that something is missing. dcmsend of the same package proposes the class and sends all.
#
# Seen with Debian 12, dcmtk 3.6.7-9~deb12u4, pydicom 3.0.2; stored of an image, a private object and an image:
#   storescu 1, exit code 1       storescu --required 0, exit code 1
#   storescu --no-halt 2, exit code 0      dcmsend 3, exit code 0
#
# sh findings/dcmtk_storescu_private_class.sh      exit code 0: as described; 1: it behaves otherwise now. No root
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pydicom==3.0.2
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
import socket
import subprocess
import sys
import time
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

CSA_NON_IMAGE = "1.3.12.2.1107.5.9.1"
files = []
for number, kind in enumerate([MRImageStorage, CSA_NON_IMAGE, MRImageStorage], 1):
    each = Dataset()
    each.SOPClassUID, each.SOPInstanceUID = kind, f"1.2.3.{number}"
    each.StudyInstanceUID, each.SeriesInstanceUID = "1.2.3", f"1.2.3.{0 if kind == MRImageStorage else 9}.1"
    each.PatientName = each.PatientID = "none"
    each.Modality, each.InstanceNumber = "MR", number
    each.file_meta = FileMetaDataset()
    each.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    each.save_as(f"{number}.dcm", enforce_file_format=True)
    files.append(f"{number}.dcm")

with socket.create_server(("127.0.0.1", 0)) as free:
    port = str(free.getsockname()[1])
kept = Path("kept")
kept.mkdir()
receiver = subprocess.Popen(["storescp", "--promiscuous", "--output-directory", kept, port])
try:
    for _ in range(100):
        if subprocess.run(["echoscu", "127.0.0.1", port], capture_output=True).returncode == 0:
            break
        time.sleep(0.1)
    found = []
    for words in ("storescu", "storescu --required", "storescu --no-halt", "dcmsend"):
        code = subprocess.run([*words.split(), "127.0.0.1", port, *files], capture_output=True).returncode
        time.sleep(0.5)
        found.append((len(list(kept.iterdir())), code))
        print(f"{words}: {found[-1][0]} of 3 stored, exit code {code}")
        for path in kept.iterdir():
            path.unlink()
finally:
    receiver.terminate()
    receiver.wait()
described = found == [(1, 1), (0, 1), (2, 0), (3, 0)]
print("as described" if described else "it behaves otherwise now")
sys.exit(not described)
PROGRAM
