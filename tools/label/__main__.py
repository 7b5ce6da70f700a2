"""End-to-end test of the bundles in MONAI Label: ``make label-test``; see docs/how-to/deployment.md.

Trains the demo's networks for a few steps, packs them, downloads the releases from a server on loopback into Label's
app ``monaibundle``, starts the server, and makes the requests of its clients. A line a request; the exit code is 1
where one is not as it should be.
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
from collections.abc import Mapping, Sequence
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import torch

from tools.demo import command
from tools.label.dicomweb import dicomweb
from tools.label.inputs import Pair, pairs, series
from tools.label.requests import Client, Request
from tools.label.servers import ensure, environment, monai_label, serving
from tools.release.pack.release import pack
from tools.repository import ROOT

METADATA = {path.parents[1].name: json.loads(path.read_text()) for path in ROOT.glob("bundles/*/configs/metadata.json")}
BUNDLES = sorted(METADATA)
TRANSLATION = [name for name in BUNDLES if METADATA[name]["traits"]["translation"]]
PAIRED = [name for name in BUNDLES if METADATA[name]["traits"]["trained_on_pairs"]]
UNCONDITIONAL = next(name for name in BUNDLES if name not in TRANSLATION)
TRANSLATION = [name for name in TRANSLATION if not METADATA[name]["traits"].get("pictures")]  # served as volumes
DICOM = "mr2ct_pix2pix"
ONE_SERIES = {
    DICOM: "MR",
    "cect2ct_rescyclegan": "CT",
    "ldct_wgan_vgg": "CT",
    "mri_dagan": "MR",
    "pd2t2_dcgan_acm": "MR",
}
"""The bundles whose source is one series, and its modality; four channels are no series."""

SHORT = ("--max_epochs", "1", "--samples_per_epoch", "64", "--val_interval", "1")
SHORT_PHANTOMS = ("--phantoms::cases", "4", "--phantoms::spacing", "5.0")
"""What is checked is whether answers are those of the bundle's own inference, whatever its weights are."""

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
    parser.add_argument("--work", type=Path, help="new folder for zips, app, data and logs; else a temporary one")
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # the server is stopped then, too
    python, start = ensure(given.environment), time.monotonic()
    work = (given.work or Path(tempfile.mkdtemp(prefix="label-test-"))).resolve()
    try:
        client = _run(python, work)
    finally:
        if given.work is None:
            shutil.rmtree(work)
    print(f"{len(client.failed)} of {client.made} requests not as they should be; {time.monotonic() - start:.0f} s")
    return 1 if client.failed else 0


def _run(python: Path, work: Path) -> Client:
    """Make all requests; those that change weights last."""
    app = _app(python, work)
    client = Client(app, work)
    data = {bundle: pairs(ROOT / "bundles" / bundle, work / "data" / bundle) for bundle in TRANSLATION}
    scans = {
        bundle: series(data[bundle][0].image, work / "data" / f"{bundle}_series", modality)
        for bundle, modality in ONE_SERIES.items()
    }
    with (
        dicomweb(scans[DICOM]) as (studies, uid),
        monai_label(python, app, studies, [DICOM], work / "dicomweb.log") as address,
    ):
        client.infer(address, Request("series of a DICOMweb server", DICOM, uid, scans[DICOM][0].parent))
    (work / "studies").mkdir()
    with monai_label(python, app, str(work / "studies"), BUNDLES, work / "label.log") as address:
        print(f"MONAI Label answers at {address} with {len(BUNDLES)} bundles", flush=True)
        for request in _requests(data, scans, work):
            client.infer(address, request)
        client.documented(address, DICOM, data[DICOM][0].image)
        for bundle in PAIRED:
            client.train(address, bundle, data[bundle])
        torch.save({"layers.0.weight": torch.zeros(1)}, app / "model" / DICOM / "models" / "model.pt")
        client.infer(address, Request("weights of another network", DICOM, str(data[DICOM][0].image), None))
    return client


def _requests(data: Mapping[str, list[Pair]], scans: Mapping[str, list[Path]], work: Path) -> list[Request]:
    """Every request that changes nothing: its question, its bundle, and the input of the bundle's own inference."""
    images = {bundle: data[bundle][0].image for bundle in TRANSLATION}
    image, files = images[DICOM], scans[DICOM]
    folder = files[0].parent
    packed = Path(shutil.make_archive(str(work / "series"), "zip", folder))
    # a client for segmentations asks for a label map, and gets values all the same
    label_map = {"result_dtype": "uint8", "result_extension": ".nii.gz"}
    return [
        *(Request("NIfTI", bundle, str(source), source) for bundle, source in images.items()),
        *(
            Request(f"DICOM folder of {len(paths)}", bundle, str(paths[0].parent), paths[0].parent)
            for bundle, paths in scans.items()
        ),
        Request(f"PUT /session of {len(files)} DICOM files", DICOM, "", folder, upload=files),
        Request("PUT /session of a zip of DICOM", DICOM, "", folder, upload=[packed]),
        Request("asked for uint8", DICOM, str(image), image, params=label_map),
        Request("which has no source", UNCONDITIONAL, str(image), None),
    ]


def _app(python: Path, work: Path) -> Path:
    """The app ``monaibundle`` with a trained release of every bundle, downloaded over HTTP as a user would."""
    for bundle in BUNDLES:
        run, phantoms = work / "runs" / bundle, work / "data" / bundle / "phantoms"
        words = command(bundle, "training", ["train", "demo"], "--output_dir", str(run), "--demo_data", str(phantoms))
        subprocess.run([*words, *SHORT_PHANTOMS, *SHORT], cwd=ROOT, check=True)
        print(pack(ROOT, bundle, work / "dist", "demo", run), flush=True)
    label = [str(python), "-m", "monailabel.main", "apps", "--download", "--name", "monaibundle", "--output", str(work)]
    subprocess.run(label, env=environment(python), cwd=work, check=True, stdout=subprocess.DEVNULL)
    app, start = work / "monaibundle", time.monotonic()
    _pretend_dcmqi(app)
    zips = sorted(path.name for path in (work / "dist").glob("*.zip"))
    with serving(SimpleHTTPRequestHandler, directory=str(work / "dist")) as address:
        words = [str(python), "-W", "ignore", "-c", DOWNLOAD, str(app / "model"), address, *zips]
        done = subprocess.run(words, env=environment(python), cwd=work, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"monai.bundle.download of {', '.join(zips)}\n{done.stderr[-2000:]}")
    print(f"monai.bundle.download of {', '.join(zips)}: {time.monotonic() - start:.0f} s", flush=True)
    return app


def _pretend_dcmqi(app: Path) -> None:
    """Keep Label from fetching dcmqi, which writes segmentations, from the internet for a DICOMweb datastore."""
    tool = app / "bin" / "itkimage2segimage"
    tool.parent.mkdir(exist_ok=True)
    tool.touch(mode=0o755)


if __name__ == "__main__":
    sys.exit(main())
