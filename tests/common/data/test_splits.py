"""Numbers of patients by count; those by fraction are tested through the split, in test_datalist.py."""

from __future__ import annotations

import pytest

from common.data.splits import require_counts, sizes_by_fraction
from common.errors import ConfigError, DataError


def test_counts_are_kept_as_they_are() -> None:
    assert require_counts(89, (60, 3, 26)) == [60, 3, 26]
    assert require_counts(500, (60, 3, 26)) == [60, 3, 26]
    assert require_counts(5, (5, 0, 0)) == [5, 0, 0]


def test_too_few_patients() -> None:
    expected = r"88 patients are fewer than 60 \+ 3 \+ 26 = 89 for training, validation and test: lower"
    with pytest.raises(DataError, match=expected):
        require_counts(88, (60, 3, 26))


@pytest.mark.parametrize("counts", [(60, 29), (60, -3, 26), (0, 0, 0), (0.7, 0.15, 0.15)])
def test_counts_that_cannot_be(counts: tuple) -> None:
    with pytest.raises(ConfigError, match="--counts is .*: pass the patients .* whole numbers and not all 0"):
        require_counts(100, counts)


def test_fractions_by_hand() -> None:
    # one each, then 7 more: training lacks 6 and takes 6; validation and test lack 0.5 each, and the first takes it
    assert sizes_by_fraction(10, (0.7, 0.15, 0.15)) == [7, 2, 1]
