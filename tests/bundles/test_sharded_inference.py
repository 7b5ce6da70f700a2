"""Inference shared out among processes, as torchrun starts it: no case replaces another's input; after a kill the rest.

That each case is written once, and as by one process, is in ``test_invariance.py``.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from bundle_commands import ROOT, Bundle, snapshot

from common.raw_settings import settings_of
from common.weights import info

pytestmark = pytest.mark.slow

CASES = [f"case_{number}" for number in range(5)]
BUNDLE = Bundle("mr2ct_pix2pix")


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """Five phantoms without their CT, and a network of random weights."""
    root = tmp_path_factory.mktemp("sharded")
    phantoms = BUNDLE.parser("train", **{"phantoms::cases": 5, "phantoms::spacing": 5}).get_parsed_content("phantoms")
    phantoms(root / "phantoms")
    folder = root / "data"
    folder.mkdir()
    for name, case in zip(CASES, sorted(path for path in (root / "phantoms").iterdir() if path.is_dir()), strict=True):
        (case / "mr.nii.gz").rename(folder / f"{name}.nii.gz")
    parser = BUNDLE.parser("train", "demo")
    network, about = parser.get_parsed_content("network_def"), info.described(settings_of(parser), BUNDLE.name)
    info.save(network.state_dict(), root / "model.pt", about)
    return {"dataset_dir": folder, "weights": root / "model.pt"}


def launch(settings, **more) -> subprocess.Popen[str]:
    """Two processes by torchrun."""
    arguments = BUNDLE.arguments(None, ["inference"], {**settings, **more})
    words = [sys.executable, "-W", "ignore", "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    return subprocess.Popen(
        [*words, *arguments],
        cwd=ROOT,
        env=BUNDLE.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finished(process: subprocess.Popen[str]) -> str:
    said, _ = process.communicate(timeout=600)
    assert process.returncode == 0, said[-3000:]
    return said


def manifest(folder) -> list[tuple[str, str]]:
    return [(one["case"], one["status"]) for one in json.loads((folder / "manifest.json").read_text())]


def written(folder) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.nii.gz")}


def test_an_output_that_is_the_input_of_the_other_process_s_case_is_refused(settings, tmp_path):
    """The first process has case_0 and case_1, the second what case_0 would replace."""
    for name in ("case_0", "case_0_synthetic_ct", "case_1"):
        shutil.copy(settings["dataset_dir"] / "case_0.nii.gz", tmp_path / f"{name}.nii.gz")
    before = snapshot(tmp_path)
    process = launch(settings, dataset_dir=tmp_path, predictions_dir=tmp_path, overwrite="true")
    said, _ = process.communicate(timeout=600)
    assert process.returncode != 0
    assert f"error: {tmp_path}/case_0_synthetic_ct.nii.gz would replace {tmp_path}" in said
    assert snapshot(tmp_path) == before


def test_after_a_kill_the_rest_only_is_done(settings, tmp_path):
    process = launch(settings, predictions_dir=tmp_path)
    deadline = time.monotonic() + 600
    while not list(tmp_path.glob("*_synthetic_ct.json")) and time.monotonic() < deadline:
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    done = {path.name.removesuffix("_synthetic_ct.json") for path in tmp_path.glob("*_synthetic_ct.json")}
    assert done
    before = written(tmp_path)
    finished(launch(settings, predictions_dir=tmp_path, resume="true"))
    assert manifest(tmp_path) == [(case, "kept" if case in done else "done") for case in CASES]
    after = written(tmp_path)
    assert len(after) == 5
    for case in done:
        name = f"{case}_synthetic_ct.nii.gz"
        assert after[name] == before[name]
