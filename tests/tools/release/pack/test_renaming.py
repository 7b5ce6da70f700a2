"""Modules, configs and prose get the new names of their modules, and nothing else in them changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.errors import ConfigError, DataError
from tools.release.pack.renaming import Renaming, package_name

RENAMING = Renaming(
    {"toy": "toy_v0_1_0", "common": "toy_v0_1_0.common"}, {"toy": {"networks", "bundle_root"}, "common": {"data"}}
)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from common.data import cases\n", "from toy_v0_1_0.common.data import cases\n"),
        ("from common import data\n", "from toy_v0_1_0.common import data\n"),
        ("import common.io.nifti.reading as common\n", "import toy_v0_1_0.common.io.nifti.reading as common\n"),
        ("import os, toy.networks as n, re\n", "import os, toy_v0_1_0.networks as n, re\n"),
        ("if True:\n    from toy.networks import (\n        A,\n    )\n",
         "if True:\n    from toy_v0_1_0.networks import (\n        A,\n    )\n"),
        ("é = 'ü'; from common import data\n", "é = 'ü'; from toy_v0_1_0.common import data\n"),
        ('x = f"{{python -m common.data {y}}} common/data"\n',
         'x = f"{{python -m toy_v0_1_0.common.data {y}}} toy_v0_1_0/common/data"\n'),
        ("import common.data\n", "import toy_v0_1_0.common.data\n"),
        ("common = 1\nprint(common.real, 'common.real')\n", "common = 1\nprint(common.real, 'common.real')\n"),
        ("from .common import data\nfrom commonly import x\n", "from .common import data\nfrom commonly import x\n"),
        ("x = 'python -m common.data'  # see common/data\n",
         "x = 'python -m toy_v0_1_0.common.data'  # see toy_v0_1_0/common/data\n"),
        ('def f():\n    """See :class:`~common.data.Case`."""\n',
         'def f():\n    """See :class:`~toy_v0_1_0.common.data.Case`."""\n'),
    ],
)  # fmt: skip
def test_imports_strings_and_comments_of_code_are_renamed(source: str, expected: str) -> None:
    assert RENAMING.python(source, "module.py") == expected


@pytest.mark.parametrize("source", ["import common.data\ncommon.data.f()\n", "import os, common\nx = [common]\n"])
def test_code_that_uses_the_old_name_is_refused(source: str) -> None:
    with pytest.raises(DataError, match=r"module\.py has import .*, a module of this project without from or as"):
        RENAMING.python(source, "module.py")


def test_targets_and_expressions_of_configs_are_renamed_and_the_layout_is_kept() -> None:
    config = (
        "# python -m common.data; bundles/toy/configs/train.yaml\n"
        "root:   {_target_: toy.bundle_root}   # kept\n"
        "\n"
        'net: {_target_: "toy.networks.Net", name: toy.networks, size: "$toy.networks.size(@a)"}\n'
        "other: {_target_: commonly.data, bundle: toy 0.1.0}\n"
        "list:\n  - {_target_: common.data.Cases,\n     a: 1.0e-3}\n"
    )
    assert RENAMING.config(config) == (
        "# python -m toy_v0_1_0.common.data; configs/train.yaml\n"
        "root:   {_target_: toy_v0_1_0.bundle_root}   # kept\n"
        "\n"
        'net: {_target_: "toy_v0_1_0.networks.Net", name: toy.networks, size: "$toy_v0_1_0.networks.size(@a)"}\n'
        "other: {_target_: commonly.data, bundle: toy 0.1.0}\n"
        "list:\n  - {_target_: toy_v0_1_0.common.data.Cases,\n     a: 1.0e-3}\n"
    )


@pytest.mark.parametrize(
    ("prose", "expected"),
    [
        ("`bundles/toy/toy/networks.py`", "`toy_v0_1_0/networks.py`"),
        ("`toy/networks.py` and bundles/toy/configs", "`toy_v0_1_0/networks.py` and configs"),
        ("what they have in common. toys", "what they have in common. toys"),
        ("`common/data/cases.py`, common/else", "`toy_v0_1_0/common/data/cases.py`, common/else"),
    ],
)
def test_prose_names_files_as_seen_from_the_unpacked_folder(prose: str, expected: str) -> None:
    assert RENAMING.text(prose) == expected


def test_members_are_modules_packages_and_what_the_package_defines(tmp_path: Path) -> None:
    (tmp_path / "__init__.py").write_text("def bundle_root(): ...\nclass Net: ...\nVALUE = 1\n")
    for name in ("networks.py", "deep/__init__.py", "deep/inner.py", "no_package/inner.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    renaming = Renaming.of("toy_v2", {"toy": tmp_path, "common": tmp_path})
    assert renaming.packages == {"toy": "toy_v2", "common": "toy_v2.common"}
    assert renaming.members["toy"] == {"bundle_root", "Net", "VALUE", "networks", "deep"}


@pytest.mark.parametrize(("version", "expected"), [("0.1.0", "toy_v0_1_0"), ("2.0.0rc1", "toy_v2_0_0rc1")])
def test_the_package_is_named_by_bundle_and_version(version: str, expected: str) -> None:
    assert package_name("toy", version) == expected


@pytest.mark.parametrize("version", ["0.1_0", "0-1", "", "latest", "../0"])
def test_a_version_that_could_be_mistaken_for_another_is_refused(version: str) -> None:
    with pytest.raises(ConfigError, match="version .* of toy is not like 0.2.0"):
        package_name("toy", version)
