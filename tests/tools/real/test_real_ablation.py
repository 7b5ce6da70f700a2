"""The ablation of the simulation: what its rows lack, and how their scores are averaged."""

from __future__ import annotations

import numpy as np
import pytest

from common.config import read_config
from tools.real.ablation import NARROW, means, rows, samples
from tools.real.heads import Judged, Scan
from tools.real.trainings import TO_CT

WHOLE = "whole simulation"


def simulation(row):
    files = [TO_CT.configs / "train.yaml", TO_CT.configs / "pretrain.yaml", *rows()[row]]
    return read_config(files, label_maps=None if row == "without individual heads" else "MAPS")


@pytest.mark.parametrize("row", rows())
def test_every_row_passes_the_checks_of_its_settings(row):
    assert simulation(row).get_parsed_content("prepare") is None


def test_each_row_changes_what_it_names_and_nothing_else():
    whole = simulation(WHOLE).config["simulation"]
    changed = {}
    for row in rows():
        own = simulation(row).config["simulation"]
        changed[row] = {name for name in {*whole, *own} if whole.get(name) != own.get(name)}
    assert changed == {
        WHOLE: set(),
        "without bias": {"scanner"},
        "without individual heads": set(),
        "without lesions": {"heads"},
        "without many heads": {"heads"},
        "without random contrast": {"source", "tissues"},
        "without resolution": {"scanner"},
    }
    assert simulation("without individual heads").config["label_maps"] is None
    assert rows()["without individual heads"][0] == NARROW


def test_steps_are_those_of_both_epochs():
    assert 2 * samples(1200) == 1200 * 8


def scan(contrast, thick):
    empty = np.zeros((1, 1, 1), np.float32)
    return Scan("a", contrast, empty, empty, empty > 0, {}, np.array([1.0, 1.0, thick]))


def test_means_are_of_all_scans_and_of_each_contrast_and_thickness():
    found = [
        Judged(scan(contrast, thick), np.zeros((1, 1, 1), np.float32), {"mae": mae})
        for contrast, thick, mae in (("T1", 1.5, 100.0), ("T1", 4.0, 120.0), ("T2", 1.5, 80.0), ("T2", 4.0, 60.0))
    ]
    assert means(found) == {
        "mae": 90, "mae of T1": 110, "mae of T2": 70, "mae of 1.5 mm": 90, "mae of 4 mm": 90,
    }  # fmt: skip
