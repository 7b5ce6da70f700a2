"""Modules, configs and prose get the new names of their modules, and nothing else in them changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.errors import ConfigError
from tools.release.pack.packages import Packages, package_name


@pytest.fixture
def packages(tmp_path: Path) -> Packages:
    """Of a repository with the modules that the texts below name."""
    for place in (
        "bundles/toy/toy/networks.py",
        "common/data/cases.py",
        "common/data/names.json",
        "common/scratch.log",
    ):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text("from common import data\n")
    (tmp_path / "setup.cfg").write_text("[options.package_data]\n* = *.json\n")
    return Packages(tmp_path, "toy", "toy_v0_1_0")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from common.data import cases\n", "from toy_v0_1_0.common.data import cases\n"),
        ("from common import data\n", "from toy_v0_1_0.common import data\n"),
        ("import os, toy.networks as n, re\n", "import os, toy_v0_1_0.networks as n, re\n"),
        ("if True:\n    from toy.networks import (\n", "if True:\n    from toy_v0_1_0.networks import (\n"),
        ('x = f"{{python -m common.data {y}}} common/data"\n',
         'x = f"{{python -m toy_v0_1_0.common.data {y}}} toy_v0_1_0/common/data"\n'),
        ("from .common import data\nfrom commonly import x\n", "from .common import data\nfrom commonly import x\n"),
        ('"""See :class:`~common.data.Case`."""\n', '"""See :class:`~toy_v0_1_0.common.data.Case`."""\n'),
        ("# bundles/toy/configs/train.yaml\nroot:   {_target_: toy.bundle_root}   # kept\n",
         "# configs/train.yaml\nroot:   {_target_: toy_v0_1_0.bundle_root}   # kept\n"),
        ('size: "$toy.networks.size(@a)", by: toy 0.1', 'size: "$toy_v0_1_0.networks.size(@a)", by: toy 0.1'),
        ("`bundles/toy/toy/networks.py`", "`toy_v0_1_0/networks.py`"),
        ("`toy/networks.py` and bundles/toy/configs", "`toy_v0_1_0/networks.py` and configs"),
        ("what they have in common. toys", "what they have in common. toys"),
        ("`common/data/cases.py`, common/else", "`toy_v0_1_0/common/data/cases.py`, common/else"),
    ],
)  # fmt: skip
def test_code_configs_and_prose_name_what_the_release_has(packages: Packages, text: str, expected: str) -> None:
    assert packages.text(text) == expected


@pytest.mark.parametrize("version", ["0.1_0", "0-1", "", "latest", "../0"])
def test_a_version_that_could_be_mistaken_for_another_is_refused(version: str) -> None:
    with pytest.raises(ConfigError, match="version .* of toy is not like 0.2.0"):
        package_name("toy", version)
