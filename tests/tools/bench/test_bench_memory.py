"""The benchmark of peak memory at toy size."""

from __future__ import annotations

import re
from pathlib import Path

import in_process
import nibabel as nib
import numpy as np
import pytest

from tools.bench import memory
from tools.bench.__main__ import main
from tools.bench.clock import Timing
from tools.bench.volumes import write_source


def test_a_source_is_a_ball_in_air(tmp_path: Path) -> None:
    write_source(tmp_path / "a.nii.gz", (11, 12, 13), 2.0, 0.001)
    image = nib.load(tmp_path / "a.nii.gz")
    values = np.asarray(image.dataobj)
    assert values.shape == (11, 12, 13)
    assert image.get_data_dtype() == np.int16
    assert values[0, 0].max() == 0
    assert 0.6 <= values[5, 6, 6] <= 2


@pytest.mark.slow
def test_a_row_has_the_estimate_and_the_peak_of_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def peak_of(words: list[str], log: Path) -> tuple[int, float]:
        done = in_process.run(*words[1:])
        log.write_text(done.stdout + done.stderr)
        return done.returncode, 0.5

    monkeypatch.setattr(memory, "peak_of", peak_of)
    row = memory.row("mri2pet_sketcher_refiner", (40, 44, 36), tmp_path)
    assert row.before is not None
    assert row.after == 0.5
    assert re.fullmatch(r"limit [\d.]+ GB; exit 0", row.note)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("estimate", "peak", "code"), [(1.0, 2.0, 0), (1.0, 2.1, 1), (2.1, 1.0, 1), (None, None, 1)])
def test_an_estimate_of_less_than_half_or_more_than_twice_the_peak_fails(
    estimate: float | None, peak: float | None, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "rows", lambda *_: [Timing("a case", estimate, peak)])
    monkeypatch.setattr("sys.argv", ["tools.bench", "memory"])
    assert main() == code
