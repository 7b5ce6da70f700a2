"""Scans of held-out heads: their grid, what each contrast shows, the scores of a perfect and of a poor result."""

from __future__ import annotations

import label_maps
import numpy as np
import pytest

from tools.checks.real.heads import ct_scores, scans, t2_scores
from tools.checks.real.physics import CONTRASTS


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    maps = label_maps.write(tmp_path_factory.mktemp("maps"), count=5)
    return {thickness: list(scans(maps, thickness)) for thickness in (1, 5)}


def test_every_held_out_head_has_every_contrast_on_one_grid(found):
    for thickness, own in found.items():
        assert [scan.head for scan in own] == ["head_02", "head_03", "head_04"]
        for scan in own:
            assert list(scan.mr) == list(CONTRASTS)
            for part in (*scan.mr.values(), scan.mask, *scan.regions.values()):
                assert part.shape == scan.ct.shape
            assert scan.spacing == (1, 1, thickness)
    assert found[5][0].ct.shape[2] == found[1][0].ct.shape[2] // 5


def test_fluid_is_dark_in_t1_and_flair_and_bright_in_t2(found):
    for scan in found[1]:
        for contrast, dark in (("T1", True), ("FLAIR", True), ("T2", False)):
            fluid, white = (np.median(scan.mr[contrast][scan.regions[name]]) for name in ("csf", "white"))
            assert bool(fluid < white) is dark, contrast


def test_the_true_ct_is_perfect_and_one_without_bone_is_not(found):
    scan = found[1][0]
    perfect = ct_scores(scan.ct, scan, "T1")
    assert (perfect["mae"], perfect["csf_mae"], perfect["bone_dice"], perfect["air_dice"]) == (0, 0, 1, 1)
    assert perfect["white"] == pytest.approx(28, abs=1)
    assert perfect["grey"] == pytest.approx(38, abs=1.5)
    assert perfect["line_mae"] > 50
    flat = ct_scores(np.minimum(scan.ct, 40), scan, "T1")
    assert flat["bone_dice"] == 0
    rim = ct_scores(np.where(scan.mask, scan.ct, scan.ct + 50), scan, "T1")
    assert (rim["mae"], rim["mae_outside"]) == (0, pytest.approx(50, abs=1e-3))
    assert flat["mae"] == pytest.approx(np.clip(scan.ct[scan.mask] - 40, 0, None).mean(), rel=1e-5)


def test_a_t2_of_another_grey_scale_is_perfect_and_the_source_is_its_line(found):
    scan = found[5][1]
    perfect, copied = t2_scores(7 - 3 * scan.mr["T2"], scan, "PD"), t2_scores(scan.mr["PD"], scan, "PD")
    assert perfect["mae"] == pytest.approx(0, abs=1e-5)
    assert perfect["ssim"] == pytest.approx(1, abs=1e-5)
    for name in ("mae", "psnr", "ssim"):
        assert copied[name] == copied[f"line_{name}"]
