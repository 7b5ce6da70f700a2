"""Names among the options of a command and of a program: taken as they were typed, or refused."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest
from bundle_commands import Bundle
from monai.bundle import run

from common.config.files import outside_installation
from common.errors import ConfigError, user_error_in

TAKEN = """
inference:
- "%prepare"
- "$open({record!r}, 'w').write(repr([str(@dataset_dir), str(@demo_data), str(@predictions_dir), @output::suffix]))"
"""
PATHS = ("dataset_dir", "demo_data", "predictions_dir")
NAMES = ["$__import__('os').system('touch x')", "@seed", "Patient #2", "a::b", "a,b", "trail ", "out_\u00b5", "e\u0301",
         "=1+1", "back\\slash", "[x]", "{'a': 1}", "007", "1e3", "x@::y"]  # fmt: skip


@pytest.fixture
def bundle() -> Bundle:
    return Bundle("mr2ct_pix2pix")


@pytest.fixture
def shown(tmp_path: Path) -> tuple[Path, Path]:
    """An overlay whose inference writes the names that it got, and the file that has them then."""
    overlay, record = tmp_path / "taken.yaml", tmp_path / "taken.json"
    overlay.write_text(TAKEN.format(record=str(record)))
    return overlay, record


@pytest.mark.parametrize("names", [NAMES[k : k + len(PATHS)] for k in range(0, len(NAMES), len(PATHS))])
def test_a_command_takes_paths_byte_for_byte(bundle: Bundle, shown: tuple[Path, Path], names: list[str]) -> None:
    overlay, record = shown
    given = {**dict(zip(PATHS, names, strict=True)), "output::suffix": "1.50"}
    done = bundle.run("inference", ["inference", str(overlay)], cwd=overlay.parent, **given)
    assert done.returncode == 0, done.stderr
    assert ast.literal_eval(record.read_text()) == [*names, "1.50"]
    assert sorted(path.name for path in overlay.parent.iterdir()) == ["taken.json", "taken.yaml"]


@pytest.mark.parametrize("name", ["source", "data::source"])
@pytest.mark.parametrize("typed", ["t1,t2", "t1, t2", "fa,2"])
def test_several_names_of_files_are_one_text(tmp_path: Path, name: str, typed: str) -> None:
    overlay = tmp_path / "taken.yaml"
    overlay.write_text(f'training: ["%prepare", "$print([@{name}])"]\n')
    done = Bundle("mr2ct_pix2pix").run("training", ["train", str(overlay)], cwd=tmp_path, **{name: typed})
    assert done.returncode == 0, done.stderr
    assert ast.literal_eval(done.stdout.splitlines()[-1]) == [typed.replace(" ", "")]


def test_the_name_of_a_file_that_monai_would_read_is_refused(bundle: Bundle, shown: tuple[Path, Path]) -> None:
    overlay, record = shown
    done = bundle.run("inference", ["inference", str(overlay)], cwd=overlay.parent, suffix="ct#2")
    assert done.returncode == 2
    assert done.stderr.endswith(
        "error: --suffix is ct#2, a name with #, :: or a leading $, @ or %: choose another one\n"
    )
    assert not record.exists()


@pytest.mark.parametrize("name", ["$__import__('os').system('touch x')", "@seed", "a#b"])
def test_a_program_is_as_safe(
    bundle: Bundle, shown: tuple[Path, Path], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    overlay, record = shown
    monkeypatch.chdir(overlay.parent)
    monkeypatch.setattr(sys, "path", [*sys.path])  # to which MONAI adds the bundle
    files = [*bundle.files("inference"), str(overlay)]
    run(run_id="inference", config_file=files, dataset_dir=name)
    taken, *_, suffix = ast.literal_eval(record.read_text())
    assert (taken, suffix) == (name, "synthetic_ct")
    assert not Path("x").exists()
    with pytest.raises(RuntimeError) as caught:
        run(run_id="inference", config_file=files, variant="a#b")
    assert isinstance(user_error_in(caught.value), ConfigError)


def test_an_installed_bundle_writes_into_the_current_folder_but_for_what_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shipped = {"output_dir": "@bundle_root", "demo_data": "$@bundle_root + '/demo_data'", "dataset_dir": "@demo_data"}
    run = str(tmp_path / "mr2ct_pix2pix")
    own = {"output_dir": run, "demo_data": "$@output_dir + '/demo_data'", "dataset_dir": "@demo_data"}
    assert outside_installation(shipped, "/site-packages/bundles/mr2ct_pix2pix") == own
    given = {**shipped, "output_dir": "/runs/one"}
    assert outside_installation(given, "/site-packages/bundles/mr2ct_pix2pix") == {**own, "output_dir": "/runs/one"}
    assert shipped["output_dir"] == "@bundle_root"
