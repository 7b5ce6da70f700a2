"""Low dose from real CT: the intervals of differences to the input."""

from __future__ import annotations

import pandas as pd
import pytest

from tools.real.low_dose import differences


def test_differences_are_paired_by_case_with_the_interval_of_student() -> None:
    errors = {"copy_input": [10.0, 20.0, 30.0, 40.0], "model": [9.0, 18.0, 27.0, 36.0], "nlm": [12.0, 20.0, 30.0, 40.0]}
    rows = [
        {"case": f"c{number}", "method": name, "mae": value}
        for name, values in errors.items()
        for number, value in enumerate(values)
    ]
    found = differences(pd.DataFrame(rows[::-1]), "mae")
    assert list(found.index) == ["model", "nlm"]
    # -1, -2, -3, -4: mean -2.5, deviation 1.29099, of four; t(3, 97.5 %) = 3.18245
    assert found.loc["model"].tolist() == pytest.approx([-2.5, -2.5 - 2.05426, -2.5 + 2.05426], abs=1e-4)
    assert found.loc["nlm"].tolist() == pytest.approx([0.5, 0.5 - 1.59122, 0.5 + 1.59122], abs=1e-4)
