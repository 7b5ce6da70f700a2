"""``synthesize info`` and ``--version``: what a report of a bug needs, and no name of a person."""

from __future__ import annotations

import json
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest
import torch

from common.weights import checkpoints
from common.weights.shipped import shipped_weights
from medical_image_synthesis import catalogue, info
from medical_image_synthesis.command import main as synthesize
from tools.repository import ROOT, bundle_names

ONE = "mr2ct_pix2pix"


def version() -> str:
    parser = ConfigParser(interpolation=None)
    parser.read(ROOT / "setup.cfg")
    return parser["metadata"]["version"]


def test_the_version_needs_no_pytorch() -> None:
    program = "import sys; from medical_image_synthesis.command import main\n"
    program += "try: main(['--version'])\nfinally: print([name for name in ('torch', 'numpy') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd="/")
    assert (done.returncode, done.stdout.splitlines()) == (0, [f"synthesize {version()}", "[]"])


def test_versions_devices_and_weights_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert synthesize(["info", "--json"]) == 0
    about = json.loads(capsys.readouterr().out)
    assert about["version"] == version()
    installed = about["packages"]["torch"]
    assert torch.__version__ in (installed, f"{installed}+cu{str(torch.version.cuda).replace('.', '')}")
    computing = about["computing"]
    assert computing["threads"] == torch.get_num_threads()
    assert computing["devices"]["cpu"].endswith(torch.backends.cpu.get_cpu_capability())
    assert computing["memory_gb"] >= computing["free_memory_gb"] > 0
    assert [each["name"] for each in about["bundles"]] == bundle_names()
    one = next(each for each in about["bundles"] if each["name"] == ONE)
    shipped = checkpoints.sha256(shipped_weights(ROOT / "bundles" / ONE))
    assert one["weights"] == f"pretrained_mr2ct_basicunet.pt, SHA-256 {shipped[:12]}"
    metadata = json.loads((ROOT / "bundles" / ONE / "configs" / "metadata.json").read_text())
    assert one["version"] == metadata["version"]

    assert synthesize(["info"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"synthesize {version()}")
    assert f"torch {torch.__version__.partition('+')[0]}" in text
    assert f"{ONE} {metadata['version']}: {one['folder']}, {one['weights']}\n" in text


def test_the_name_of_the_user_is_in_no_path(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The repository lies in the home folder."""
    monkeypatch.setenv("HOME", str(ROOT.parent))
    assert synthesize(["info", "--json"]) == 0
    printed = capsys.readouterr().out
    assert str(ROOT.parent) not in printed
    assert json.loads(printed)["folder"] == f"~/{ROOT.name}/medical_image_synthesis"


def test_a_broken_pytorch_is_reported(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken() -> dict[str, object]:
        raise OSError(f"{Path.home()}/libtorch.so: cannot open shared object file")

    monkeypatch.setattr(info, "_computing", broken)
    assert synthesize(["info"]) == 0
    assert "PyTorch cannot be used: OSError: ~/libtorch.so: cannot open" in capsys.readouterr().out


def test_weights_that_differ_from_their_record_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source, models = ROOT / "bundles" / ONE, tmp_path / "bundles" / ONE / "models"
    configs = models.with_name("configs")
    for folder in (models, configs):
        folder.mkdir(parents=True)
    for name in ("inference.yaml", "metadata.json"):
        (configs / name).write_bytes((source / "configs" / name).read_bytes())
    weights = shipped_weights(source)
    (models / weights.name).write_bytes(b"other")
    (models / f"{weights.stem}.json").write_bytes(weights.with_suffix(".json").read_bytes())
    monkeypatch.setattr(catalogue, "PLACES", (tmp_path / "bundles",))
    assert synthesize(["info"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert f"{weights.name}: " in last
    assert f"restore the file that {weights.stem}.json describes" in last
