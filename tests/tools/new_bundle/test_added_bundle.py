"""An added bundle, made by ``tools.new_bundle``, with a network and a loss of its own in a few lines."""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from bundle_commands import Bundle, ok

from tools.new_bundle.__main__ import main
from tools.release.verify.__main__ import main as verify
from tools.repository import ROOT

NAME, LIKE = "added_charbonnier", "mr2ct_pix2pix"
NETWORKS = '''"""A residual stack of plain convolutions, and the patch discriminator of Isola et al. 2017."""

from torch import Tensor, nn

from common.networks.patch_discriminator import PatchGanDiscriminator
from common.networks.strict_loading import refuse_other_weights

__all__ = ["PatchGanDiscriminator", "ResidualStack"]


class ResidualStack(nn.Module):
    """``depth`` residual blocks at full resolution; (B, C, H, W) to (B, 1, H, W) in [-1, 1]."""

    def __init__(
        self, in_channels: int = 1, out_channels: int = 1, depth: int = 8, width: int = 64, norm: str = ""
    ) -> None:
        super().__init__()
        self.first = nn.Conv2d(in_channels, width, 3, padding=1)
        convolutions = [nn.Conv2d(width, width, 3, padding=1) for _ in range(depth)]
        self.blocks = nn.ModuleList(nn.Sequential(nn.ReLU(), convolution) for convolution in convolutions)
        self.last = nn.Conv2d(width, out_channels, 3, padding=1)
        refuse_other_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """Synthesise the target slice."""
        y = self.first(x)
        for block in self.blocks:
            y = y + block(y)
        return self.last(y).tanh()
'''
LOSSES = '''"""The Charbonnier loss (Charbonnier et al. 1994)."""

from torch import Tensor


def charbonnier(pred: Tensor, target: Tensor) -> Tensor:
    """The smooth absolute difference."""
    return ((pred - target).square() + 1e-6).sqrt().mean()
'''
L1 = "{_target_: common.losses.l1, _mode_: callable}"
RENAMED = {
    "UNetGenerator": "ResidualStack",
    " l1:": " charbonnier:",
    "::l1::": "::charbonnier::",
    L1: f"{{_target_: {NAME}.losses.charbonnier, _mode_: callable}}",
}
"""In its configs."""


@pytest.fixture(scope="module")
def added(tmp_path_factory) -> Bundle:
    """A copy of the repository with the added bundle."""
    root = tmp_path_factory.mktemp("repository")
    left_out = shutil.ignore_patterns("__pycache__", "models", "demo", "demo_data", "predictions", "evaluation")
    for part in ("common", "tests", f"bundles/{LIKE}"):
        shutil.copytree(ROOT / part, root / part, ignore=left_out)
    shutil.copytree(ROOT / "tools", root / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("setup.cfg", "README.md", ".gitignore"):
        shutil.copy(ROOT / file, root)
    subprocess.run(["git", "init", "--quiet", str(root)], check=True)
    assert main([NAME, "--like", LIKE, "--root", str(root)]) == 0
    shutil.rmtree(root / "bundles" / LIKE)
    bundle = Bundle(NAME, root)
    (bundle.folder / NAME / "networks.py").write_text(NETWORKS)
    (bundle.folder / NAME / "losses.py").write_text(LOSSES)
    for path in bundle.configs.glob("*.yaml"):
        text = path.read_text()
        for old, new in RENAMED.items():
            text = text.replace(old, new)
        path.write_text(text)
        if any(name not in NETWORKS for name in re.findall(rf"{NAME}\.networks\.(\w+)", text)):
            path.unlink()  # a variant of the other bundle
    return bundle


@pytest.mark.slow
def test_it_keeps_the_contract(added: Bundle) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(added.root), str(added.folder)])}
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/bundles/test_contract.py"]
    done = subprocess.run(words, cwd=added.root, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-3000:]
    assert int(re.findall(r"(\d+) passed", done.stdout)[-1]) >= 12
    assert verify([str(added.folder)]) == 0


@pytest.mark.slow
def test_it_trains_on_phantoms_and_its_loss_falls(added: Bundle, tmp_path: Path) -> None:
    small = {"phantoms::cases": 4, "phantoms::spacing": 5, "width": 8, "depth": 2, "pad_size": 40, "crop_size": 32}
    settings = {"max_epochs": 3, "val_interval": 1, "samples_per_epoch": 64, "output_dir": tmp_path / "out"}
    places = {"demo_data": tmp_path / "data", "losses::adversarial::weight": 0}
    ok(added.run("training", ["train", "demo"], cwd=added.root, **small, **settings, **places))
    with open(tmp_path / "out" / "log.csv", newline="") as file:
        losses = [float(row["charbonnier"]) for row in csv.DictReader(file)]
    assert losses[-1] < 0.7 * losses[0]
    used = {"width": 8, "depth": 2, "output_dir": tmp_path / "out", "demo_data": tmp_path / "data"}
    ok(added.run("inference", ["inference"], cwd=added.root, **used))
    assert list((tmp_path / "out" / "predictions").glob("*.nii.gz"))
