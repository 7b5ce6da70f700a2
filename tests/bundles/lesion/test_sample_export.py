"""The files of samples and of strips between two: one a class by its name, nothing replaced that is not theirs."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from bundle_commands import snapshot
from lesion_dcgan_aug.samples import SampleExporter

from common.data.sample_requests import requests
from common.errors import ConfigError, OutputError
from common.io.reader import VolumeReader
from common.reader_study.image_folders import find_images
from common.reader_study.slices import patches_of


@pytest.fixture
def make(tmp_path):
    (tmp_path / "model.pt").write_bytes(b"weights")

    def exporter(classes=("cyst", "met"), **settings):
        data = requests(classes, 2, 0)
        fixed = {"window": [-60, 200], "unit": "HU", "bundle": "lesion 1", "weights": str(tmp_path / "model.pt")}
        places = {"output_dir": str(tmp_path / "out"), "data": data}
        return SampleExporter(classes=classes, **{**places, **fixed, **settings})

    return exporter


def export(exporter) -> None:
    """A run of the exporter: sample n has the value n everywhere."""
    engine: Any = SimpleNamespace(state=SimpleNamespace())
    exporter.require_free(engine)
    engine.state.output = [{"pred": torch.full((1, 3, 3), float(n))} for n in range(len(exporter.data))]
    exporter(engine)
    exporter.write(engine)


def test_files_are_those_that_were_checked_whatever_dots_the_classes_have(make, tmp_path):
    exporter = make(["site.a", "site.b"])
    export(exporter)
    names = [f"site.{each}_synthetic{end}" for each in "ab" for end in (".json", ".nii.gz", ".png")]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["manifest.json", *names]
    assert {path.name for path in exporter.files()} == {*names}
    for number, each in enumerate("ab"):
        about = json.loads((tmp_path / "out" / f"site.{each}_synthetic.json").read_text())
        assert about["Class"] == f"site.{each}"
        assert about["Seeds"] == [item["seed"] for item in exporter.data if item["label"] == number]


@pytest.mark.parametrize("name", ["../cyst", "/tmp/cyst", "a/b", "..", "", "a\0", "x" * 220])
def test_a_class_that_leads_out_of_the_folder_is_refused(make, tmp_path, name):
    with pytest.raises(ConfigError, match="^--classes '.* (cannot name a file: give|bytes, over 231: shorten)"):
        export(make(["cyst", name]))
    assert snapshot(tmp_path) == {"model.pt": b"weights"}


@pytest.mark.parametrize("names", [("cyst", "Cyst"), ("cyst", "cyst")])
def test_classes_with_the_same_files_are_refused(make, tmp_path, names):
    with pytest.raises(OutputError, match="and 'cyst_synthetic.png' are one file where .*: rename one"):
        export(make(names))
    assert snapshot(tmp_path) == {"model.pt": b"weights"}


def test_weights_are_no_output(make, tmp_path):
    weights = tmp_path / "out" / "cyst_synthetic.json"
    weights.parent.mkdir()
    weights.write_bytes(b"weights")
    with pytest.raises(OutputError, match="cyst_synthetic.json would replace .*, an input of the same run"):
        export(make(weights=str(weights), overwrite=True))
    assert weights.read_bytes() == b"weights"


def test_what_is_not_the_run_s_is_kept(make, tmp_path):
    (tmp_path / "out" / "cyst_synthetic.png").mkdir(parents=True)
    with pytest.raises(OutputError, match="cyst_synthetic.png is a folder, and a file is to be written"):
        export(make(overwrite=True))
    (tmp_path / "out" / "cyst_synthetic.png").rmdir()
    (tmp_path / "out" / "manifest.json").write_text("{}")
    with pytest.raises(OutputError, match="manifest.json is not the manifest of an earlier run"):
        export(make())
    assert snapshot(tmp_path / "out") == {"manifest.json": b"{}"}
    export(make(overwrite=True))
    export(make(overwrite=True))


def test_samples_can_be_shown_in_a_reader_study(make, tmp_path):
    export(make())
    found = find_images(tmp_path / "out", "synthetic")
    slides = [slide for image in found for slide in patches_of(image, VolumeReader())]
    assert [(slide.image.label, slide.place, slide.pixels.tolist(), slide.aspect) for slide in slides] == [
        (label, value % 2, [[value] * 3] * 3, 1) for label, value in (("cyst", 0), ("cyst", 1), ("met", 2), ("met", 3))
    ]
