from report_pages import make_report, make_rows

from common.evaluation.report.page_tables import (
    TableCell,
    comparison_rows,
    flattened,
    headings,
    per_case,
    summary_cells,
    too_few_cases,
)
from common.evaluation.report.ranking import ranked
from common.evaluation.report.significance import compare


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


def test_mean_and_std_have_the_same_decimals(tmp_path):
    rows = [{"case": str(index), "method": "model", "mae": value} for index, value in enumerate((40.0, 43.0))]
    cell = summary_cells(make_report(tmp_path, rows=rows))["model"][0]
    assert (cell.mean, cell.std, cell.n, cell.best) == ("41.50", "2.12", 2, False)  # 3 / sqrt 2; nothing to be best of


def test_rows_of_a_case_stand_together_the_worst_case_first(tmp_path):
    keys = [("b", "model"), ("a", "model"), ("b", "copy_input")]
    rows = [{"case": case, "method": method, "mae": 2.0 if case == "a" else 1.0} for case, method in keys]
    table = per_case(make_report(tmp_path, rows=rows), ranked(rows))
    assert [(row["case"], row["method"], row["span"]) for row in table] == [
        ("a", "model", 1), ("b", "model", 2), ("b", "copy_input", 0)
    ]  # fmt: skip


def test_nested_settings_have_dotted_names():
    settings = {"a": {"b": {"c": 1}, "d": "text"}, "e": [1, {"f": None}], "g": {}}
    assert flattened(settings) == {"a.b.c": "1", "a.d": "text", "e": '[1, {"f": null}]', "g": "{}"}


def test_tests_of_further_measures_are_folded(tmp_path):
    rows = [{**row, "hfen": 0.5, "bias": 1.0, "mse": 9.0} for row in make_rows(7)]
    report = make_report(tmp_path, rows=rows)
    tests = comparison_rows(report, compare(rows))
    assert [test["key"] for test in tests if not test["folded"]] == [heading.key for heading in headings(report)][:6]
    assert {test["key"] for test in tests if test["folded"]} == {"hfen", "bias", "mse"}
    assert tests[4]["metric"] == "Sharpness, distance to 1"


def test_the_sentence_for_few_cases_depends_on_n_and_on_the_methods():
    few, enough = compare(make_rows(5)), compare(make_rows(6))
    assert too_few_cases(few).startswith("n = 5 is too small")
    assert too_few_cases(enough) == ""  # 2 / 2^6 < 0.05
    third = [{**row, "method": "other"} for row in make_rows(6) if row["method"] == "model"]
    assert too_few_cases(compare([*make_rows(6), *third])).startswith("n = 6")  # Holm: 2 * 2 / 2^6 > 0.05
    assert too_few_cases([]) == ""
