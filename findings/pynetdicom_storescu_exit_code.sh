#!/bin/sh
# pip install pynetdicom puts another storescu before dcmtk's on PATH, which exits with 0 though nothing was stored.
#
# pynetdicom 3 installs storescu, storescp, echoscu, findscu, getscu, movescu, echoscp and qrscp, names of dcmtk's
# programs. In an active environment they come first. storescu has other options (-r, no +sd: that is taken for a file
# that is not there), and its exit code is that of the association alone: 0 where the peer refuses every instance, and
# where it found no file and called nobody. dcmtk 3.6.7 exits with 167 after a refusal, and sends the subfolder. A script
# that works outside of the environment loses images inside it: call /usr/bin/storescu. Files (FOLDER/*) both take.
#
# Seen with Python 3.11.7, pynetdicom 3.0.4, pydicom 3.0.2:
#   stored: 0      refused with A700: 0      +sd +r STUDY, its files in a subfolder: 0, nothing sent
#
# sh findings/pynetdicom_storescu_exit_code.sh      exit code 0: as described; 1: it behaves otherwise now. No root
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pydicom==3.0.2 pynetdicom==3.0.4
cd "$folder"
PATH="$folder/venv/bin:$PATH" python -W ignore - <<'PROGRAM'
import shutil
import subprocess
import sys
from pathlib import Path

import pydicom
import pynetdicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage
from pynetdicom import AE, evt

image = Dataset()
image.SOPClassUID, image.SOPInstanceUID = SecondaryCaptureImageStorage, "1.2.3.1"
image.StudyInstanceUID, image.SeriesInstanceUID = "1.2.3.2", "1.2.3.3"
image.PatientName = image.PatientID = "none"
image.Modality = "OT"
image.file_meta = FileMetaDataset()
image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
Path("study/series").mkdir(parents=True)
image.save_as("study/series/1.dcm", enforce_file_format=True)

came = []


def sent(status, *words):
    """Exit code of storescu, and instances that a peer got that answers with a status."""

    def answer(event):
        came.append(event.request.AffectedSOPInstanceUID)
        return status

    came.clear()
    peer = AE("PEER")
    peer.add_supported_context(SecondaryCaptureImageStorage)
    server = peer.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, answer)])
    port = server.socket.getsockname()[1]
    command = [PROGRAM, "-aec", "PEER", "127.0.0.1", str(port), *words]
    done = subprocess.run(command, capture_output=True, timeout=60)
    server.shutdown()
    return done.returncode, len(came)


PROGRAM = sys.argv[1] if len(sys.argv) > 1 else shutil.which("storescu")
print("Python", sys.version.split()[0], "pynetdicom", pynetdicom.__version__, "pydicom", pydicom.__version__)
print("storescu of the environment:", Path(PROGRAM).parent == Path(sys.executable).parent)
found = [sent(0x0000, "study/series/1.dcm"), sent(0xA700, "study/series/1.dcm"), sent(0x0000, "+sd", "+r", "study")]
for name, (code, count) in zip(("stored", "refused with A700", "+sd +r STUDY"), found, strict=True):
    print(f"{name}: exit code {code}, instances that reached the peer: {count}")
described = Path(PROGRAM).parent == Path(sys.executable).parent and found == [(0, 1), (0, 1), (0, 0)]
print("as described" if described else "it behaves otherwise now")
sys.exit(not described)
PROGRAM
