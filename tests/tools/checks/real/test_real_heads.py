"""Scans of held-out heads: their grid, what each contrast shows, and the scores of a perfect and of a poor CT."""

from __future__ import annotations

import label_maps
import numpy as np
import pytest

from tools.checks.real import heads
from tools.checks.real.heads import SEQUENCES, VALIDATION_MAPS, findings, scans, scores


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    maps = label_maps.write(tmp_path_factory.mktemp("maps"), count=5)
    out = tmp_path_factory.mktemp("out")
    return {(pixel, thick): list(scans(maps, pixel, thick, out)) for pixel, thick in ((2.0, 1), (1.5, 2))}


def test_every_held_out_head_has_every_contrast_on_one_grid(found):
    for (pixel, thick), own in found.items():
        assert [scan.contrast for scan in own] == [*SEQUENCES] * VALIDATION_MAPS
        assert sorted({scan.head for scan in own}) == ["head_02", "head_03", "head_04"]
        for scan in own:
            assert scan.mr.shape == scan.ct.shape == scan.mask.shape == scan.regions["csf"].shape
            assert scan.spacing.tolist() == [pixel, pixel, thick * pixel]
            assert scan.ct.shape[2] * thick * pixel == pytest.approx(200, abs=thick * pixel)


def test_fluid_is_dark_in_t1_and_bright_in_t2(found):
    for scan in found[2.0, 1]:
        fluid, white = (np.median(scan.mr[scan.regions[name]]) for name in ("csf", "white"))
        assert bool(fluid < white) is (scan.contrast == "T1"), scan.contrast


def test_the_true_ct_is_perfect_and_one_without_bone_is_not(found):
    scan = found[2.0, 1][0]
    perfect = scores(scan.ct, scan)
    assert (perfect["mae"], perfect["bone_dice"], perfect["ordered"]) == (0, 1, 1)
    assert perfect["line_mae"] > 50
    flat = scores(np.minimum(scan.ct, 40), scan)
    assert flat["bone_dice"] == 0
    assert flat["mae"] == pytest.approx(np.clip(scan.ct[scan.mask] - 40, 0, None).mean(), rel=1e-5)


def test_each_scan_is_scored_by_the_prediction_of_its_name(found, tmp_path, monkeypatch):
    """The true CT moved by 10 HU, by 200 HU in T2: a command a thickness, a row a contrast."""
    runs = []

    def moved(bundle, source, out, weights):
        runs.append(sorted(path.name for path in source.iterdir()))
        own = found[list(found)[len(runs) - 1]]
        return {f"{one.head}_{one.contrast}": one.ct + (200 if one.contrast == "T2" else 10) for one in own}, []

    monkeypatch.setattr(heads, "infer", moved)
    monkeypatch.setattr(heads, "SLICES_MM", tuple(found))
    monkeypatch.setattr(heads, "scans", lambda label_maps, pixel, thick, out: iter(found[pixel, thick]))
    rows = list(findings(tmp_path, tmp_path / "out", tmp_path / "model.pt"))
    assert [len(names) for names in runs] == [9, 9]
    assert runs[0][0] == "head_02_PD.nii.gz"
    assert [row.case for row in rows] == [f"{name}, slices of {mm} mm" for mm in (2, 3) for name in SEQUENCES]
    assert [row.passed for row in rows] == [True, False, True] * 2
    assert " mae 10," in rows[0].measured
