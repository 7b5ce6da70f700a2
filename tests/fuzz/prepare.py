"""What all fuzzed commands begin from: phantoms, series, weights of trainings of two steps, unmutated results."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from pydicom.uid import generate_uid

from common.config import read_config
from tests.common.io.dicom.dicom_phantom import Grid, write_series
from tests.fuzz.running import run
from tests.fuzz.scenes import CASES, ROOT, SOURCES, TRAINED, TRAINING, Scene, baseline, config_files, scenes

PHANTOMS = {"phantoms::cases": 4, "phantoms::spacing": 6}
MODIFIED = ("common", "bundles", "medical_image_synthesis", "tests/fuzz")
PARTS = (".py", ".yaml", ".json", ".j2", ".pt")


def code_hash() -> str:
    """A hash of the code and the weights that the results of commands depend on."""
    digest = hashlib.sha256()
    for folder in MODIFIED:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in PARTS and "__pycache__" not in path.parts and path.is_file():
                digest.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def prepare(folder: Path, jobs: int, keep: bool = False) -> Path:
    """Make what is not there yet for this state of the code, and give its folder; ``keep`` takes that of any state."""
    prepared = folder / f"prepared-{code_hash()}"
    complete = [prepared, *folder.glob("prepared-*")] if keep else [prepared]
    for earlier in complete:
        if (earlier / "complete").exists():
            return earlier
    for earlier in folder.glob("prepared-*"):
        shutil.rmtree(earlier)
    for name in TRAINING:
        phantoms = read_config(config_files(name, "train"), **PHANTOMS).get_parsed_content("phantoms")
        phantoms(prepared / "data" / name)
    _write_files(prepared)
    _write_series(prepared / "series")
    every = scenes()
    trainings = [scene for scene in every if scene.name.startswith("training ")]
    later = [scene for scene in every if any("baselines" in place for place in scene.out.values())]
    between = [scene for scene in every if scene not in (*trainings, *later)]
    with ThreadPoolExecutor(jobs) as pool:
        for group in (trainings, between, later):
            list(pool.map(lambda scene: make_baseline(prepared, scene), group))
            if group is trainings:
                for scene in trainings:
                    target = prepared / "runs" / scene.name.removeprefix("training ")
                    shutil.copytree(baseline(prepared, scene) / "out", target)
    (prepared / "complete").touch()
    return prepared


def make_baseline(prepared: Path, scene: Scene) -> None:
    """Run the command as it stands, which must end well, and keep its outputs and what it said."""
    box = baseline(prepared, scene)
    scene.lay_out(prepared, box)
    done = run(scene.words(scene.options, box), box)
    if done.returncode != 0:
        raise RuntimeError(f"{scene.name} ends with {done.returncode} unmutated:\n{done.text[-3000:]}")
    for name in ("in", "cwd", "home", "tmp"):
        shutil.rmtree(box / name)
    (box / "out").mkdir(exist_ok=True)
    about = {"text": done.text.replace(str(box), "{box}"), "stdout": done.stdout.replace(str(box), "{box}")}
    (box / "said.json").write_text(json.dumps(about))


def _write_files(prepared: Path) -> None:
    files = prepared / "files"
    files.mkdir()
    for name in TRAINING:
        for path in (prepared / "data" / name).rglob("dataset.json"):
            path.unlink()  # of the phantoms' writer; users have none
        if SOURCES[name].isalpha():
            packed = prepared / "data" / name / CASES[0] / f"{SOURCES[name]}.nii.gz"
            (files / f"{name}.nii").write_bytes(gzip.decompress(packed.read_bytes()))
    names = {"image": "mr", "label": "ct", "mask": "mask"}
    items = [{"case": case} | {key: f"data/{case}/{name}.nii.gz" for key, name in names.items()} for case in CASES]
    (files / "list.json").write_text(json.dumps({"seed": 0, "training": [], "test": items}, indent=1))


def _write_series(folder: Path) -> None:
    """An axial MR series and a CT series of one phantom each, without anything random."""
    for modality, bundle, name in (("MR", TRAINED, "mr"), ("CT", "cect2ct_rescyclegan", "cect")):
        image: Any = nib.load(folder.parent / "data" / bundle / CASES[0] / f"{name}.nii.gz")
        values = np.rint(np.asarray(image.dataobj, dtype=np.float64)[::-1, ::-1])  # from RAS to LPS
        grid = Grid(shape=values.shape, spacing=(6.0, 6.0, 6.0))
        series = generate_uid(entropy_srcs=["fuzz", modality])

        def name_slice(header: Any, number: int, series: str = series) -> None:
            header.SOPInstanceUID = generate_uid(entropy_srcs=[series, str(number)])
            header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID

        low = min(float(values.min()), 0.0)
        write_series(folder / modality.lower(), grid, modality, 1.0, low, name_slice, series, values=values)
