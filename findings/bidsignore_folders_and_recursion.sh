#!/bin/sh
# bids-validator-deno 3.0.2: a pattern of .bidsignore that ends in a slash leaves the folder itself an error, and with
# --recursive the .bidsignore of a data set under derivatives/ is not read.
#
# .bidsignore is described as written like .gitignore, where "ct/" is all of a folder. Here its files are ignored, and the
# folder is reported: NOT_INCLUDED, exit code 16; "ct" ignores both. With --recursive the derivatives, which pass when
# they are validated alone, have the errors that their .bidsignore names.
#
# Seen with Python 3.11.7, bids-validator-deno 3.0.2:
#   ct/: NOT_INCLUDED /sub-01/ct/      ct: none      ct, from above with --recursive: the folder and both files
#
# sh findings/bidsignore_folders_and_recursion.sh      exit code 0: as described; 1: the validator behaves otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check bids-validator-deno==3.0.2
cd "$folder"
PATH="$folder/venv/bin:$PATH" "$folder/venv/bin/python" - <<'PROGRAM'
import gzip
import json
import struct
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

print("python", sys.version.split()[0], "bids-validator-deno", version("bids-validator-deno"))
header = struct.pack("<i36x8h14x2h2x8f2f2x2B", 348, 3, 2, 2, 2, 1, 1, 1, 1, 4, 16, 1, 1, 1, 1, 0, 0, 0, 0, 352, 1, 0, 2)
image = gzip.compress(header.ljust(344, b"\0") + b"n+1\0" + bytes(4 + 16))
inner = Path("raw/derivatives/made")
for root, kind, file in ((Path("raw"), "raw", "anat/sub-01_T1w"), (inner, "derivative", "ct/sub-01_desc-made_ct")):
    (root / "sub-01" / file).parent.mkdir(parents=True)
    (root / "sub-01" / f"{file}.nii.gz").write_bytes(image)
    (root / "sub-01" / f"{file}.json").write_text("{}")
    about = {"Name": kind, "BIDSVersion": "1.10.0", "DatasetType": kind, "GeneratedBy": [{"Name": "made"}]}
    (root / "dataset_description.json").write_text(json.dumps(about))
    (root / "README.md").write_text("A data set of one image, to show what is ignored.\n")


def errors(*words):
    done = subprocess.run(["bids-validator-deno", *words, "--format", "json"], capture_output=True, text=True)
    read = json.loads(done.stdout)
    every = [read, *read.get("derivativesSummary", {}).values()]
    found = [issue for each in every for issue in each["issues"]["issues"] if issue["severity"] == "error"]
    return sorted(f"{issue['code']} {issue['location']}" for issue in found)


(inner / ".bidsignore").write_text("ct/\n")
with_slash = errors(str(inner))
(inner / ".bidsignore").write_text("ct\n")
without = errors(str(inner))
above = errors("raw", "--recursive")
for name, found in (("ct/", with_slash), ("ct", without), ("ct, with --recursive from above", above)):
    print(f"{name}: {found or 'no error'}")
named = [f"NOT_INCLUDED /sub-01/ct/{each}" for each in ("", "sub-01_desc-made_ct.json", "sub-01_desc-made_ct.nii.gz")]
described = (with_slash, without, above) == (named[:1], [], named)
print("as described" if described else "the validator behaves otherwise now")
sys.exit(not described)
PROGRAM
