"""End-to-end test of the bundles in MONAI Label: ``make label-test``; see docs/monai-label.md.

Packs the bundles as the demo trains them, downloads them from a server on loopback into Label's app ``monaibundle``,
starts the server, and makes the requests of its clients. A line a request; the exit code is 1 where one is not as it
should be.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

from tools.label.dicomweb import dicomweb
from tools.label.environment import ensure
from tools.label.inputs import pairs, series
from tools.label.requests import Requests
from tools.label.servers import environment, monai_label, serving
from tools.repository import ROOT

METADATA = {path.parents[1].name: json.loads(path.read_text()) for path in ROOT.glob("bundles/*/configs/metadata.json")}
BUNDLES = sorted(METADATA)
TRANSLATION = [name for name in BUNDLES if METADATA[name]["traits"]["translation"]]
PAIRED = [name for name in BUNDLES if METADATA[name]["traits"]["trained_on_pairs"]]
UNCONDITIONAL = next(name for name in BUNDLES if name not in TRANSLATION)
DICOM = "mr2ct_pix2pix"
ONE_SERIES = {"cect2ct_rescyclegan": "CT", "pd2t2_dcgan_acm": "MR"}
"""The other bundles whose source is one series, and its modality; four channels are no series."""

DOWNLOAD = """
import sys
from monai.bundle import download
folder, address, *zips = sys.argv[1:]
for name in zips:
    download(name=name.rsplit("_v", 1)[0], url=f"{address}/{name}", bundle_dir=folder)
"""
"""What ``python -m monai.bundle download`` runs, for all zips in one process."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all requests; 0 where each is as it should be."""
    parser = argparse.ArgumentParser(prog="python -m tools.label", description=__doc__)
    parser.add_argument("--environment", type=Path, default=ROOT / ".label-venv", help="MONAI Label's environment")
    parser.add_argument(
        "--work", type=Path, help="new folder to keep zips, app, data and logs in; else a temporary one"
    )
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # the server is stopped then, too
    python = ensure(given.environment)
    start = time.monotonic()
    work = (given.work or Path(tempfile.mkdtemp(prefix="label-test-"))).resolve()
    try:
        requests = _requests(python, work)
    finally:
        if given.work is None:
            shutil.rmtree(work)
    print(f"{len(requests.failed)} of {requests.made} requests not as they should be; {_seconds(start)} in all")
    return 1 if requests.failed else 0


def _requests(python: Path, work: Path) -> Requests:
    """Make all requests; those that change weights last."""
    app = _app(python, _zips(work / "dist"), work)
    requests = Requests(app, work)
    data = {bundle: pairs(ROOT / "bundles" / bundle, work / "data" / bundle) for bundle in TRANSLATION}
    image = data[DICOM][0].image
    files = series(image, work / "data" / "series")
    with (
        dicomweb(files) as (studies, uid),
        monai_label(python, app, studies, [DICOM], work / "dicomweb.log") as address,
    ):
        requests.dicomweb(address, DICOM, uid, files)
    (work / "studies").mkdir()
    with monai_label(python, app, str(work / "studies"), BUNDLES, work / "label.log") as address:
        print(f"MONAI Label answers at {address} with {len(BUNDLES)} bundles", flush=True)
        for bundle in TRANSLATION:
            requests.nifti(address, bundle, data[bundle][0].image)
        requests.series(address, DICOM, files)
        requests.uploads(address, DICOM, files)
        for bundle, modality in ONE_SERIES.items():
            folder = work / "data" / f"{bundle}_series"
            requests.series(address, bundle, series(data[bundle][0].image, folder, modality))
        requests.label_client(address, DICOM, image)
        requests.unconditional(address, UNCONDITIONAL, image)
        for bundle in PAIRED:
            requests.training(address, bundle, data[bundle])
        requests.other_weights(address, DICOM, image)
    return requests


def _zips(dist: Path) -> Path:
    """Packed bundles as the demo trains them; one that was not trained yet is."""
    for bundle in BUNDLES:
        if not Path(ROOT, "bundles", bundle, "models", "model.pt").is_file():
            files = ",".join(f"'bundles/{bundle}/configs/{name}.yaml'" for name in ("train", "demo"))
            words = [sys.executable, "-W", "ignore", "-m", "monai.bundle", "run", "training"]
            subprocess.run([*words, "--config_file", f"[{files}]"], cwd=ROOT, check=True)
    pack = [sys.executable, "-W", "ignore", "-m", "tools.pack", "--overlay", "demo", "--out", str(dist)]
    subprocess.run(pack, cwd=ROOT, check=True)
    return dist


def _app(python: Path, dist: Path, work: Path) -> Path:
    """The app ``monaibundle`` with every bundle, downloaded over HTTP as a user would."""
    label = [str(python), "-m", "monailabel.main", "apps", "--download", "--name", "monaibundle", "--output", str(work)]
    subprocess.run(label, env=environment(python), cwd=work, check=True, stdout=subprocess.DEVNULL)
    app = work / "monaibundle"
    _pretend_dcmqi(app)
    with serving(SimpleHTTPRequestHandler, directory=str(dist)) as address:
        start, zips = time.monotonic(), sorted(path.name for path in dist.glob("*.zip"))
        words = [str(python), "-W", "ignore", "-c", DOWNLOAD, str(app / "model"), address, *zips]
        done = subprocess.run(words, env=environment(python), cwd=work, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"monai.bundle.download of {', '.join(zips)}\n{done.stderr[-2000:]}")
        print(f"monai.bundle.download of {', '.join(zips)}: {_seconds(start)}", flush=True)
    return app


def _pretend_dcmqi(app: Path) -> None:
    """Keep Label from fetching dcmqi, which writes segmentations, from the internet for a DICOMweb datastore."""
    tool = app / "bin" / "itkimage2segimage"
    tool.parent.mkdir(exist_ok=True)
    tool.touch(mode=0o755)


def _seconds(start: float) -> str:
    return f"{time.monotonic() - start:.0f} s"


if __name__ == "__main__":
    sys.exit(main())
