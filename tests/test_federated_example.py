"""The federated example in the simulator of NVIDIA FLARE, where an environment has it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigParser
from torch import Tensor

from common.weights import checkpoints

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "federated"
CONFIGS = ROOT / "bundles" / "mr2ct_pix2pix" / "configs"
PYTHON = Path(os.environ.get("FEDERATED_PYTHON", ROOT / "build" / "federated-venv" / "bin" / "python"))
SITES = ("site-1", "site-2")
pytestmark = pytest.mark.slow


def federate(output: Path, *options: str, example: Path = EXAMPLE) -> subprocess.CompletedProcess[str]:
    """Run the job on phantoms of 5 mm, on the CPU."""
    if not PYTHON.is_file():
        pytest.skip(f"no environment with NVIDIA FLARE at {PYTHON}: make federated-test installs it")
    own = {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "PYTHONPATH": "", "PYTHONDONTWRITEBYTECODE": "1"}
    words = [str(PYTHON), "-W", "ignore", str(example / "job.py"), str(output), "--spacing", "5", *options]
    return subprocess.run(words, env=os.environ | own, capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two rounds leave."""
    output = tmp_path_factory.mktemp("federation") / "out"
    done = federate(output, "--rounds", "2")
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return output


@pytest.fixture(scope="module")
def made(federation: Path) -> dict[str, Tensor]:
    """The global model after the last round."""
    server = federation / "simulation" / "mr2ct_fedavg" / "server" / "simulate_job" / "app_server"
    return checkpoints.load(server / "FL_global_model.pt")["model"]


def of_site(federation: Path, name: str) -> list[dict[str, Any]]:
    """What each site last received or sent."""
    return [checkpoints.load(federation / "sites" / site / "run" / name) for site in SITES]


def furthest(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """The largest difference between convolution weights."""
    return max(float((one[name] - other[name]).abs().max()) for name in one if one[name].dim() == 4)


def test_the_global_model_is_the_mean_of_the_sites_weighted_by_their_steps(
    federation: Path, made: dict[str, Tensor]
) -> None:
    first, second = of_site(federation, "sent.pt")
    assert first["steps"] > second["steps"] > 0  # three heads and two
    share = first["steps"] / (first["steps"] + second["steps"])
    assert made.keys() == first["weights"].keys() == second["weights"].keys()
    for name, value in made.items():
        one, other = (answer["weights"][name].double() for answer in (first, second))
        torch.testing.assert_close(value.double(), share * one + (1 - share) * other, rtol=1e-5, atol=1e-6)


def test_the_global_model_is_neither_site_nor_their_unweighted_mean(federation: Path, made: dict[str, Tensor]) -> None:
    first, second = (answer["weights"] for answer in of_site(federation, "sent.pt"))
    halves = {name: (first[name] + second[name]) / 2 for name in first}
    assert min(furthest(made, other) for other in (first, second, halves)) > 1e-4


def test_the_second_round_starts_at_both_sites_from_one_mean_that_is_not_the_start(federation: Path) -> None:
    first, second = of_site(federation, "received.pt")
    start = checkpoints.load(federation / "start.pt")
    assert all(torch.equal(first[name], second[name]) for name in start)
    assert furthest(first, start) > 1e-3


def test_the_weights_of_all_networks_travel_and_nothing_else(federation: Path) -> None:
    start = checkpoints.load(federation / "start.pt")
    assert {name.split(".")[0] for name in start} == {"generators", "discriminators"}
    for received, sent in zip(of_site(federation, "received.pt"), of_site(federation, "sent.pt"), strict=True):
        for weights in (received, sent["weights"]):
            assert {name: value.shape for name, value in weights.items()} == {
                name: value.shape for name, value in start.items()
            }


def test_no_head_is_at_two_sites_and_no_image_is_outside_them(federation: Path) -> None:
    mr = [path for site in SITES for path in (federation / "sites" / site / "data").glob("*/mr.nii.gz")]
    assert len(mr) == 5 + 4
    assert len({checkpoints.sha256(path) for path in mr}) == 9
    assert list((federation / "simulation").rglob("*.nii.gz")) == []


def test_the_bundle_s_network_takes_the_deployed_part(federation: Path, made: dict[str, Tensor]) -> None:
    parser = ConfigParser()
    parser.read_config([str(CONFIGS / f"{name}.yaml") for name in ("inference", "demo")])
    network = parser.get_parsed_content("network_def").eval()
    checkpoints.load_weights(network, federation / "model.pt")
    own = network.state_dict()
    deployed = {name: value for name, value in made.items() if name.startswith("generators.")}
    assert len(deployed) == len(own)
    for name, value in deployed.items():
        mine = own[name.split(".", 2)[2]]
        assert torch.equal(mine, value.to(mine.dtype)), name
    image = torch.linspace(-1, 1, 96).expand(1, 1, 96, 96)
    with torch.no_grad():
        assert float(network(image).std()) > 1e-3


def test_an_output_that_holds_files_or_has_a_blank_in_its_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("kept")
    done = federate(tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == f"error: {tmp_path} holds files: choose an empty or new OUTPUT"
    done = federate(tmp_path / "of mine")
    assert done.returncode == 2
    assert "of mine has a blank in its name: choose another place" in done.stderr.splitlines()[-1]
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_site_that_fails_ends_the_job_with_one_line_and_no_model(tmp_path: Path) -> None:
    example = shutil.copytree(EXAMPLE, tmp_path / "example")
    with open(example / "site.yaml", "a") as settings:
        settings.write("batch_size: 100000\n")
    done = federate(tmp_path / "out", "--rounds", "1", example=example)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: mr2ct_fedavg failed (Simulation failed")
    logs = [path.read_text() for path in (tmp_path / "out" / "simulation").rglob("error_log.txt")]
    assert any("more than the samples of an epoch" in text for text in logs)
    assert not (tmp_path / "out" / "model.pt").exists()
