"""A command reads its settings before anything costs time, and a mistake ends it with one line."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import in_process
import pytest
import torch
from monai.bundle import ConfigParser, run

from common.config import prepare
from common.config.checks import check
from common.config.files import BundleFiles, require_of_bundle
from common.errors import ConfigError


@pytest.fixture
def bundle(tmp_path):
    """A folder with configs as a bundle has them."""
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "train.yaml").write_text(
        f"""
bundle_root: {tmp_path}
seed: 0
max_epochs: 5
record: null
prepare: {{_target_: common.config.prepare, bundle_root: "@bundle_root"}}
fault: "$__import__('fractions').Fraction(1, 0)"
part: {{_target_: common.data.origins.Origin, dataset_dir: a, demo_data: a, phantoms: null, record: "@record"}}
run: ["%prepare"]
with_part: ["%prepare", "@part"]
with_fault: ["%prepare", "@fault"]
"""
    )
    (tmp_path / "configs" / "overlay.yaml").write_text("+extra: 1\ntrain::depth: 3\nchecking: ['%prepare']\n")
    (tmp_path / "configs" / "metadata.json").write_text('{"version": "0"}')
    return tmp_path


class TestPrepare:
    def parsed(self, bundle: Path, **overrides) -> ConfigParser:
        parser = ConfigParser()
        parser.read_config(bundle / "configs" / "train.yaml")
        parser.update(overrides)
        return parser

    def test_known_are_the_keys_of_all_files_but_the_metadata(self, bundle):
        self.parsed(bundle, extra=2, train={}).get_parsed_content("prepare")
        with pytest.raises(RuntimeError) as wrapped:
            self.parsed(bundle, version="1").get_parsed_content("prepare")
        assert isinstance(wrapped.value.__cause__, ConfigError)

    def test_seeds_the_initial_weights(self, bundle):
        self.parsed(bundle, seed=5).get_parsed_content("prepare")
        drawn = torch.rand(3)
        torch.manual_seed(5)
        torch.testing.assert_close(drawn, torch.rand(3), rtol=0, atol=0)

    def test_a_library_keeps_its_own_excepthook(self, bundle):
        before = sys.excepthook
        prepare(str(bundle))
        assert sys.excepthook is before


@pytest.mark.parametrize("as_list", [False, True])
def test_a_key_given_twice(bundle, monkeypatch, as_list):
    monkeypatch.setenv("MONAI_FAIL_ON_DUPLICATE_CONFIG", "0")
    monkeypatch.setattr(sys, "path", [*sys.path])  # to which MONAI adds the bundle
    path = bundle / "configs" / "train.yaml"
    given = [str(path)] if as_list else str(path)
    run(config_file=given, seed=3)
    assert torch.initial_seed() == 3
    monkeypatch.setenv("MONAI_FAIL_ON_DUPLICATE_CONFIG", "0")
    path.write_text(path.read_text() + "max_epochs: 6\n")
    with pytest.raises(RuntimeError) as wrapped:
        run(config_file=given)
    assert re.search("train.yaml has a setting twice .*max_epochs.*: remove one", str(wrapped.value.__cause__))


def command(bundle: Path, *arguments: str) -> subprocess.CompletedProcess:
    config = str(bundle / "configs" / "train.yaml")
    return in_process.run("monai.bundle", "run", *arguments, "--config_file", config, cwd=bundle)


class TestCommand:
    def test_so_do_settings_that_refer_to_each_other(self, bundle):
        done = command(bundle, "--max_epochs", "@seed", "--seed", "@max_epochs")
        assert (done.returncode, "Traceback" in done.stderr) == (2, False)
        assert " refers to itself through " in done.stderr.splitlines()[-1]

    @pytest.mark.parametrize("words", [("--max_epochs", "None"), ("--max_epohcs=None",)])
    def test_none_which_monai_drops(self, bundle, words):
        done = command(bundle, *words)
        assert done.returncode == 2
        name = words[0].partition("=")[0]
        fault = f"{name} is None, which MONAI ignores"
        assert done.stderr.splitlines()[-1] == f"error: {fault}: write null, or omit it"

    def test_so_does_a_part_of_the_configuration_as_task(self, bundle):
        assert command(bundle, "with_part").returncode == 0
        done = command(bundle, "part")
        assert (done.returncode, "Traceback" in done.stderr) == (2, False)
        tasks = "choose run, with_part or with_fault"
        assert done.stderr.splitlines()[-1] == f"error: part is no task, so nothing would run: {tasks}"

    def test_any_other_error_keeps_its_traceback(self, bundle):
        result = command(bundle, "with_fault")
        assert result.returncode == 1
        assert "Traceback (most recent call last)" in result.stderr
        assert "ZeroDivisionError: Fraction(1, 0)" in result.stderr


def test_a_component_may_be_replaced_by_what_it_would_make():
    """Servers give the device by its name and the bundle's folder as a path."""
    made = {"_target_": "common.devices.single_device"}
    files = BundleFiles({"train.yaml": {"device": made, "bundle_root": made, "check": {"low": 0}}})
    check({"device": "cpu", "bundle_root": "/srv/bundle"}, files)
    with pytest.raises(ConfigError, match="--check is 'cpu', not a section: pass --check::NAME VALUE"):
        check({"check": "cpu"}, files)


def test_a_config_of_another_bundle_is_refused_and_one_in_no_bundle_is_not(tmp_path):
    for folder, metadata in (("a", '{"name": "A"}'), ("b", '{"name": "B"}'), ("own", None), ("list", "[]")):
        (tmp_path / folder).mkdir()
        if metadata:
            (tmp_path / folder / "metadata.json").write_text(metadata)
    files = [tmp_path / folder / "train.yaml" for folder in ("a", "own", "list", "b")]
    require_of_bundle(files[:3], tmp_path / "a")
    require_of_bundle(files, tmp_path / "own")
    with pytest.raises(ConfigError, match=re.escape(f"{files[3]} is a config of another bundle (B) than this one (A)")):
        require_of_bundle(files, tmp_path / "a")
