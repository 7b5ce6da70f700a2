"""Means by centre and body part."""

from __future__ import annotations

import json

from common.evaluation.report import by_group, write_groups

ROWS = [
    {"case": case, "method": method, "mae": mae}
    for case, maes in {"a": (10.0, 30.0), "b": (20.0, 50.0), "c": (60.0, 70.0)}.items()
    for method, mae in zip(("model", "linear_fit"), maes, strict=True)
]


def test_each_centre_and_body_part_has_its_own_means(tmp_path):
    items = [
        {"case": "a", "centre": "A", "body_part": "thorax"},
        {"case": "b", "centre": "B", "body_part": "thorax"},
        {"case": "c", "centre": "A"},
    ]
    groups = by_group(ROWS, items)
    means = {key: {name: cells["mae"]["mean"] for name, cells in table.items()} for key, table in groups.items()}
    assert means == {
        "centre": {"A, model": 35, "A, linear_fit": 50, "B, model": 20, "B, linear_fit": 50},
        "body_part": {"thorax, model": 15, "thorax, linear_fit": 40, "unknown, model": 60, "unknown, linear_fit": 70},
    }
    write_groups(tmp_path, groups)
    assert json.loads((tmp_path / "groups.json").read_text())["centre"]["A, model"]["mae"]["n"] == 2
    write_groups(tmp_path, {})
    assert not (tmp_path / "groups.json").exists()


def test_one_group_is_that_of_all_cases():
    assert by_group(ROWS, [{"case": case, "centre": "A"} for case in "abc"]) == {}
    assert by_group(ROWS, [{"case": case} for case in "abc"]) == {}
