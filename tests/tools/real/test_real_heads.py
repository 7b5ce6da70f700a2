"""Scans of held-out heads: their grid, what each contrast shows, and the scores of a perfect and of a poor CT."""

from __future__ import annotations

import label_maps
import numpy as np
import pytest

from tools.real import heads
from tools.real.heads import SEQUENCES, VALIDATION_MAPS, judged, scans, scores, verdict_of


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


def test_each_scan_is_judged_by_the_prediction_of_its_name(found, tmp_path, monkeypatch):
    runs = []

    def copied(recipe, source, out, weights):
        runs.append(source)
        return {path.name.split(".")[0]: path for path in source.glob("*.nii.gz")}, ""

    monkeypatch.setattr(heads, "inferred", copied)
    monkeypatch.setattr(heads, "scans", lambda label_maps, pixel, thick, out: iter(found[pixel, thick]))
    answers = list(judged(tmp_path, list(found), tmp_path / "out", tmp_path / "model.pt"))
    assert len(runs) == 2, "a command a thickness"
    assert [one.scan for one in answers] == [scan for own in found.values() for scan in own]
    for one in answers:
        assert np.corrcoef(one.made.ravel(), one.scan.mr.ravel())[0, 1] > 0.9999
        assert one.scores == scores(one.made, one.scan)


def test_the_verdict_of_a_manifest_is_one_of_three_columns():
    assert verdict_of({"case": "a"}) == {}
    assert verdict_of({"quality": {"verdict": "look"}}) == {"accept": 0, "look": 1, "refuse": 0}


def test_a_table_has_the_shares_of_the_verdicts_where_the_weights_are_calibrated(found, tmp_path, monkeypatch):
    answers = []
    for number, scan in enumerate(found[2.0, 1][:3]):
        told = {"quality": {"verdict": ("accept", "look")[number == 2]}}
        answers.append(heads.Judged(scan, scan.ct + number, scores(scan.ct + number, scan), verdict_of(told)))
    monkeypatch.setattr(heads, "judged", lambda *given: iter(answers))
    shown = heads.table(tmp_path, tmp_path, tmp_path / "page.html", tmp_path / "model.pt")
    (line,) = [words for words in map(str.split, shown.splitlines()) if words[:1] == ["PD"]]
    assert line[-3:] == ["0.0", "1.0", "0.0"]
