from report_pages import make_report

from common.evaluation.report.page_tables import (
    TableCell,
    summary_cells,
)


def test_best_mean_of_each_metric_is_marked(tmp_path):
    rows = [
        {"case": "a", "method": "model", "mae": 5.0, "psnr": 30.0, "bias": -2.0, "contrast": 1.0},
        {"case": "a", "method": "copy_input", "mae": 7.0, "psnr": 31.0, "bias": 1.0, "contrast": 2.0},
    ]
    cells = summary_cells(make_report(tmp_path, rows=rows))
    assert [cell.best for cell in cells["model"]] == [True, False, False, False]
    assert [cell.best for cell in cells["copy_input"]] == [False, True, True, False]
    assert (cells["model"][0].mean, cells["model"][0].std) == ("5.000", "")


def test_a_lost_structure_is_never_best(tmp_path):
    """Of distances in mm (2, infinite) and (11, 11), the second is better; of decibels (40, infinite), the first."""
    scores = {"model": [(2.0, 40.0), (float("inf"), float("inf"))], "copy_input": [(11.0, 50.0), (11.0, 50.0)]}
    rows = [
        {"case": case, "method": method, "hd95": hd95, "psnr": psnr}
        for method, values in scores.items()
        for case, (hd95, psnr) in zip("ab", values, strict=True)
    ]
    psnr, hd95 = zip(*summary_cells(make_report(tmp_path, rows=rows)).values(), strict=True)
    assert hd95 == (TableCell("lost in 1 of 2", "", 2, False), TableCell("11.00", "0.00", 2, True))
    assert psnr == (TableCell("perfect in 1 of 2", "", 2, True), TableCell("50.00", "0.00", 2, False))
    lost = [{**row, "hd95": float("inf")} for row in rows]
    assert [cells[1].best for cells in summary_cells(make_report(tmp_path, rows=lost)).values()] == [False, False]
