import numpy as np
import pytest
from scipy.stats import wilcoxon

from common.evaluation.report.significance import compare, holm, signed_rank_p

MODEL = [10.0, 12.0, 9.0, 14.0, 11.0, 13.0, 8.5]
OTHER = [11.0, 14.5, 9.5, 13.25, 15.0, 16.5, 14.5]


def rows_of(metric, **methods):
    return [
        {"case": f"case_{index}", "method": method, metric: value}
        for method, values in methods.items()
        for index, value in enumerate(values)
    ]


def test_holm_by_hand():
    # sorted 0.01, 0.02, 0.04 times 3, 2, 1: 0.03, 0.04, 0.04
    assert holm([0.04, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    # 3 x 0.01, then 2 x 0.012 = 0.024 is raised to 0.03; the last stays
    assert holm([0.01, 0.012, 0.5]) == pytest.approx([0.03, 0.03, 0.5])


def test_holm_ends_at_one_and_leaves_missing_tests_out():
    assert holm([0.6, 0.7]) == pytest.approx([1.0, 1.0])
    assert holm([0.02, np.nan, 0.04]) == pytest.approx([0.04, np.nan, 0.04], nan_ok=True)


def test_p_is_that_of_scipy():
    (test,) = compare(rows_of("mae", model=MODEL, copy_input=OTHER))
    assert test.p == wilcoxon(MODEL, OTHER, alternative="two-sided").pvalue
    # ranks of |differences| 1 2.5 .5 .75 4 3.5 6: only 0.75 (rank 2) has the other sign; of 2^7 sign patterns the rank
    # sums 0, 1 and 2 come from one each, so p = 2 x 3 / 128
    assert test.p == pytest.approx(6 / 128)
    assert test.n == 7
    assert test.difference == pytest.approx(np.mean(MODEL) - np.mean(OTHER))
    assert test.verdict == "model better"


def test_holm_runs_over_the_methods_of_a_metric():
    worse = [value + 1 for value in OTHER]
    tests = compare(rows_of("mae", model=MODEL, copy_input=OTHER, plain=worse))
    assert [test.other for test in tests] == ["copy_input", "plain"]
    assert [test.p_holm for test in tests] == pytest.approx(holm([test.p for test in tests]))
    assert tests[0].p_holm > tests[0].p or tests[1].p_holm > tests[1].p


def test_higher_is_better_for_psnr():
    (test,) = compare(rows_of("psnr", model=OTHER, copy_input=[value - 3.5 for value in MODEL]))
    assert test.difference > 0
    assert test.verdict == "model better"
    (test,) = compare(rows_of("psnr", model=[value - 3.5 for value in MODEL], copy_input=OTHER))
    assert test.difference < 0
    assert test.verdict == "model worse"


def test_sharpness_is_compared_by_its_distance_to_one():
    model = [1.1, 0.9, 1.05, 0.94, 1.03, 0.98, 1.01]
    other = [0.6, 1.5, 0.55, 1.7, 0.48, 0.65, 1.2]
    (test,) = compare(rows_of("sharpness", model=model, copy_input=other))
    expected = np.abs(np.array(model) - 1) - np.abs(np.array(other) - 1)
    assert test.difference == pytest.approx(expected.mean())
    assert test.p == pytest.approx(2 / 128)
    assert test.verdict == "model better"


def test_five_pairs_say_that_they_are_too_few():
    (test,) = compare(rows_of("mae", model=[1, 2, 3, 4, 5], copy_input=[2, 4, 6, 8, 10]))
    assert test.p == pytest.approx(0.0625)
    assert test.verdict == "n = 5 too small for p < 0.05 (at best 0.0625)"


def test_equal_pairs_do_not_count():
    same = [*MODEL[:5], 99.0, 98.0]
    (test,) = compare(rows_of("mae", model=MODEL, copy_input=same))
    assert test.verdict == "2 of 7 pairs differ, which is too small for p < 0.05 (at best 0.5)"
    assert signed_rank_p(np.zeros(8)) == 1.0


def test_lost_structures_count_as_worst():
    """Six better cases alone would give p = 2 / 2^6, "model better"; three lost ones have ranks 7 to 9."""
    six, lost = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [np.inf] * 3
    model, other = [*six, *lost, np.inf], [*(2 * value for value in six), 9.0, 9.0, 9.0, np.inf]
    (test,) = compare(rows_of("hd95", model=model, copy_input=other))
    assert (test.n, test.difference) == (10, np.inf)
    assert test.verdict == "no significant difference"
    (test,) = compare(rows_of("hd95", model=[np.inf] * 7, copy_input=OTHER))
    assert test.p == pytest.approx(2 / 128)
    assert test.verdict == "model worse"
    (test,) = compare(rows_of("psnr", model=[np.inf] * 7, copy_input=OTHER))
    assert test.verdict == "model better"
