#!/bin/sh
# k-wave-python 0.6.2 downloads two executables when it is imported, and cannot be imported where that fails.
#
# The default back end ("python") is NumPy alone and needs none of them. There is no setting: kwave/__init__.py calls
# install_binaries() at the end of the import. A download that times out is caught and the import goes on; a name that
# is not resolved (URLError), as without a network, is not.
#
# Seen with Python 3.11.7, k-wave-python 0.6.2, the network refused in the program itself:
#   import kwave, no network: URLError, after asking for .../kspaceFirstOrder-OMP
#   import kwave, download timed out: imported, no file in kwave/bin
#
# sh findings/kwave_import_downloads.sh      exit code 0: as described; 1: k-Wave behaves otherwise now
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check k-wave-python==0.6.2
cd "$folder"
"$folder/venv/bin/python" - <<'PROGRAM'
import logging
import sys
import urllib.error
import urllib.request
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

print("python", sys.version.split()[0], "k-wave-python", version("k-wave-python"))
logging.disable(logging.CRITICAL)
asked = []


def refused(error):
    def urlretrieve(url, *rest):
        asked.append(url)
        raise error

    return urlretrieve


urllib.request.urlretrieve = refused(urllib.error.URLError("no network"))
try:
    import kwave

    first = "imported"
except urllib.error.URLError:
    first = "URLError"
print(f"import kwave, no network: {first}, after asking for {asked[0] if asked else 'nothing'}")
for name in [each for each in sys.modules if each.split(".")[0] == "kwave"]:
    del sys.modules[name]
urllib.request.urlretrieve = refused(TimeoutError())
try:
    import kwave

    second = "imported"
except Exception as error:
    second = type(error).__name__
files = [path for path in (Path(find_spec("kwave").origin).parent / "bin").rglob("*") if path.is_file()]
print(f"import kwave, download timed out: {second}, files in kwave/bin: {len(files)}")
described = (first, second, len(files)) == ("URLError", "imported", 0)
print("as described" if described else "k-Wave behaves otherwise now")
sys.exit(not described)
PROGRAM
