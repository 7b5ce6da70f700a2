"""The benchmark of a U-Net by its levels compares the same volume."""

from __future__ import annotations

from tools.bench import stitching


def test_levels_give_the_voxels_of_windows() -> None:
    row = stitching.levels((256, 16, 16), repeats=1)
    assert row.case == "256x16x16, max_voxels 61440: 2 windows, levels"  # 240 * 16 * 16; 240 and 16 more
    assert row.ratio is not None
    assert float(row.note.removeprefix("difference ")) < 1e-5
