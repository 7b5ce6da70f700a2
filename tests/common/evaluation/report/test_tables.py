from __future__ import annotations

import json
import math

import pandas as pd
import pytest
from report_pages import LOG

from common.errors import DataError
from common.evaluation.report import by_group, write_groups
from common.evaluation.report.curves import read_curves
from common.evaluation.report.tables import format_table, summarise, worse_than_baseline, write_tables

NAN, INF = float("nan"), float("inf")
ROWS = [
    {"case": "a", "method": "model", "mae": 1.0, "psnr": 30.0},
    {"case": "a", "method": "copy_input", "mae": 10.0},
    {"case": "b", "method": "model", "mae": 2.0, "psnr": NAN},
    {"case": "b", "method": "copy_input", "mae": NAN},
    {"case": "c", "method": "model", "mae": 6.0, "psnr": INF},
]


def test_summary_by_hand():
    summary = summarise(ROWS)
    # mae of model: mean 9 / 3 = 3, squares 4 + 1 + 9 = 14, std sqrt(14 / 2) = sqrt 7
    assert summary["model"]["mae"] == pytest.approx({"mean": 3.0, "std": math.sqrt(7), "n": 3})
    # the NaN does not count, the perfect case does
    assert summary["model"]["psnr"] == pytest.approx({"mean": INF, "std": NAN, "n": 2, "infinite": 1}, nan_ok=True)
    assert summary["copy_input"] == {"mae": {"mean": 10.0, "std": 0.0, "n": 1}}
    assert list(summary) == ["model", "copy_input"]


def test_files_hold_the_rows_and_the_summary(tmp_path):
    write_tables(tmp_path / "evaluation", ROWS, summarise(ROWS))
    lines = (tmp_path / "evaluation" / "metrics.csv").read_text().splitlines()
    assert lines[:3] == ["case,method,mae,psnr", "a,model,1.0,30.0", "a,copy_input,10.0,nan"]
    assert len(lines) == 6
    summary = json.loads((tmp_path / "evaluation" / "summary.json").read_text())
    assert summary["copy_input"]["mae"] == {"mean": 10.0, "std": 0.0, "n": 1}
    assert sorted(file.name for file in (tmp_path / "evaluation").iterdir()) == ["metrics.csv", "summary.json"]


def test_csv_keeps_all_digits_and_quotes_names(tmp_path):
    row = {"case": 'x, "1"', "method": "model", "mae": 1 / 3}
    write_tables(tmp_path, [row], summarise([row]))
    frame = pd.read_csv(tmp_path / "metrics.csv", float_precision="round_trip")
    assert frame.to_dict("records") == [row]


def test_a_spreadsheet_computes_no_case(tmp_path):
    rows = [{"case": case, "method": "model", "-mae": -1.5} for case in ("=1+1", "-3")]
    write_tables(tmp_path, rows, summarise(rows))
    assert (tmp_path / "metrics.csv").read_text() == "case,method,'-mae\n'=1+1,model,-1.5\n-3,model,-1.5\n"


def test_a_mean_without_the_worst_case_is_not_written(tmp_path):
    rows = [{"case": case, "method": "model", "hd95": value} for case, value in (("a", 2.0), ("b", INF))]
    summary = summarise(rows)
    write_tables(tmp_path, rows, summary)
    cell = {"mean": None, "std": None, "n": 2, "infinite": 1}
    assert json.loads((tmp_path / "summary.json").read_text()) == {"model": {"hd95": cell}}
    assert format_table(summary).splitlines() == ["method  n            hd95", "model   2  lost in 1 of 2"]


def test_json_has_null_for_a_mean_of_nothing(tmp_path):
    rows = [{"case": "a", "method": "model", "sharpness": NAN}]
    write_tables(tmp_path, rows, summarise(rows))
    summary = json.loads((tmp_path / "summary.json").read_text())
    reason = "the truth is constant inside the mask"
    assert summary == {"model": {"sharpness": {"mean": None, "std": None, "n": 0, "reason": reason}}}
    assert format_table(summarise(rows)).splitlines()[-1] == f"no sharpness: {reason}"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "no row of metrics"),
        ([{"case": "a", "mae": 1.0}], "a row of metrics has no case or method, only case, mae"),
        ([ROWS[0], ROWS[0]], "case a has two rows of method model"),
        ([{"case": "a", "method": "model", "mae": "good"}], "metric mae has a value that is not a number"),
    ],
)
def test_unusable_rows_are_named(rows, message):
    with pytest.raises(DataError, match=message):
        summarise(rows)


def test_terminal_table():
    assert format_table(summarise(ROWS)).splitlines() == [
        "method        n    mae               psnr",
        "model       2-3  3.000  perfect in 1 of 2",
        "copy_input    1  10.00                  –",
        "n as a range: not every metric has a value in every case, such as the Dice of bone where there is none",
    ]


def test_terminal_table_has_six_columns_the_most_telling_first():
    """The Dice of bone is not shown: its two cases leave n as it is."""
    values = {"mse": 4, "ms_ssim": 1, "bone_dice": 1, "mae_bone": 3, "ssim": 1, "psnr": 30, "mae": 2}
    rows = [{"case": case, "method": "model", **values} for case in "abc"]
    rows[0]["bone_dice"] = NAN
    assert format_table(summarise(rows)).splitlines() == [
        "method  n    mae   psnr   ssim  mae_bone",
        "model   3  2.000  30.00  1.000     3.000",
    ]


@pytest.mark.parametrize(
    ("mae", "sentence"),
    [
        (1.11, "worse than the linear-fit baseline (MAE 1.110 against 0.4500 z)"),
        (0.45001, None),  # the same in four digits
        (0.3, None),
        (NAN, None),
    ],
)
def test_worse_than_its_baseline(mae, sentence):
    errors = {"model": mae, "other": 9.0, "linear_fit": 0.45}
    summary = summarise([{"case": "a", "method": method, "mae": error} for method, error in errors.items()])
    expected = {} if sentence is None else {"model": sentence}
    assert worse_than_baseline(summary, ["model"], "linear_fit", "z") == expected


BY_CENTRE = [
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
    groups = by_group(BY_CENTRE, items)
    means = {key: {name: cells["mae"]["mean"] for name, cells in table.items()} for key, table in groups.items()}
    assert means == {
        "centre": {"A, model": 35, "A, linear_fit": 50, "B, model": 20, "B, linear_fit": 50},
        "body_part": {"thorax, model": 15, "thorax, linear_fit": 40, "unknown, model": 60, "unknown, linear_fit": 70},
    }
    write_groups(tmp_path, groups)
    assert json.loads((tmp_path / "groups.json").read_text())["centre"]["A, model"]["mae"]["n"] == 2
    write_groups(tmp_path, {})
    assert not (tmp_path / "groups.json").exists()


def test_curves_leave_epochs_without_value_out(tmp_path):
    (tmp_path / "log.csv").write_text(LOG)
    loss, mae, _ = read_curves(tmp_path / "log.csv")
    assert (loss.name, loss.values.tolist(), loss.best) == ("generator_l1", [3.0, 2.0, 1.5, 1.4], None)
    assert (mae.epochs.tolist(), mae.values.tolist(), mae.best) == ([2, 4], [50.0, 55.0], 2)


def test_unusable_log_is_named(tmp_path):
    with pytest.raises(DataError, match=r"cannot read training log .*none\.csv \(.*: train first"):
        read_curves(tmp_path / "none.csv")
    (tmp_path / "log.csv").write_text("step,loss\n1,2\n")
    with pytest.raises(DataError, match="has no column epoch, only step, loss: add it"):
        read_curves(tmp_path / "log.csv")
