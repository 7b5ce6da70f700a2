"""The benchmark of the memory of a training at toy size."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools.bench import training_memory


@pytest.mark.slow
def test_a_row_has_the_memory_of_a_training_and_what_it_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_memory, "SHAPE", (40, 36, 32))
    monkeypatch.setattr(training_memory, "STEPS", 2)
    row = training_memory.row(2, 1, tmp_path)
    assert row.case == "mr2ct, 2 of 40x36x32, 1 process"
    assert row.before == pytest.approx(11 * 2 * 40 * 36 * 32 / 1e9)
    assert row.after is not None
    assert 0.2 < row.after < 5
    said = r"[\d.]+ GB of files mapped; exit 0; training volumes of 2 cases: about [\d.e-]+ GB in memory"
    assert re.fullmatch(said, row.note), row.note
    assert not list(tmp_path.iterdir())
