"""The check before training: what it finds in a case, and what it lets pass."""

from __future__ import annotations

import logging
import re
import sys
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from common.data.checks.before_training import check_cases, require_clean
from common.data.layouts.data_sets import find_cases
from common.errors import ConfigError, DataError, Finding
from common.io import VolumeReader

SHAPE = (24, 26, 28)
OPEN_MS = Path(__file__).parents[5] / "shared" / "data" / "open_ms"
AFFINE = np.diag([1.0, 1.0, 2.0, 1.0])


def texture() -> np.ndarray:
    values = gaussian_filter(np.random.default_rng(0).normal(size=SHAPE), 2)
    return ((values - values.min()) / np.ptp(values)).astype(np.float32)


def save(path: Path, values: np.ndarray, affine: np.ndarray = AFFINE) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(np.asarray(values, dtype=np.float32), affine), path)
    return str(path)


def case(folder: Path, **replaced: Any) -> dict[str, Any]:
    """A sound case: MR from 0 to 2000, CT from -1000 to 1000 HU, a mask; ``key=(values, affine)`` replaces a file."""
    mr = texture() * 2000
    files = {"image": (mr, AFFINE), "label": (1000 - mr, AFFINE), "mask": (mr > 500, AFFINE)} | replaced
    return {"case": "c1", "patient": "p1"} | {
        key: save(folder / f"{key}.nii.gz", *file) if isinstance(file, tuple) else file for key, file in files.items()
    }


def found(item: dict[str, Any], **options: Any) -> list[Finding]:
    reading = {name: options.pop(name) for name in ("channels", "nan_fill", "resample") if name in options}
    return check_cases({"training": [item]}, VolumeReader(**reading), **options)


def test_a_sound_case_has_no_findings(tmp_path: Path) -> None:
    item = case(tmp_path)
    options: dict[str, Any] = {"source_range": (0, 2e3), "target_range": (-600, 1e3), "channels": 1}
    assert found(item, **options) == []
    del item["label"], item["mask"]
    assert found(item, **options) == []


MR = texture() * 2000
BOX = np.zeros(SHAPE)
BOX[6:18, 6:20, 8:20] = 1
CT = {"target_range": (-600, 1400)}
WARNED = {"full mask", "narrow source", "wide target", "misregistered"}
"""Of these findings the others are errors."""
FINDINGS: dict[str, tuple[dict, dict, str]] = {
    "nan": ({"image": (np.where(MR < 100, np.nan, MR), AFFINE)}, {}, "image.nii.gz.*voxels are not finite"),
    "constant": ({"image": (MR * 0 + 3, AFFINE)}, {}, r"image.nii.gz.*volume is constant \(3 every"),
    "shape": ({"label": ((1000 - MR)[1:], AFFINE)}, {}, r"label.*\(23, 26, 28\), .* instead of .*\(24, .*resample"),
    "affine": ({"mask": (MR > 500, np.diag([1, 1, 2.5, 1]))}, {}, r"mask.*affine .*0 0 2.5 0\] instead of .*0 0 2 0\]"),
    "lesion's grid": ({"lesion": (MR[..., 2:] > 9, AFFINE)}, {}, "lesion.nii.gz.*grid is not the image's"),
    "full mask": ({"mask": (MR * 0 + 1, AFFINE)}, {}, "the mask covers the whole volume; draw it again"),
    "empty mask": ({"mask": (MR * 0, AFFINE)}, {}, "mask is empty"),
    "CT as mask": ({"mask": (MR - 300, AFFINE)}, {}, "mask has values below 0, or several above, as an image has"),
    "inverted mask": (
        {"mask": (1.0 - BOX, AFFINE), "image": ((BOX + 0.01) * MR, AFFINE), "label": (1000 * BOX + MR / 100, AFFINE)},
        {},
        "mask marks the air around something brighter; invert it",
    ),
    "CT with an offset": ({"label": (2024 - MR, AFFINE)}, CT, r"label.*below -200 .*\(24 to 2024\); convert it to HU"),
    "CT masked with water": (
        {"label": (4 * BOX * (1000 - MR), AFFINE), "mask": (BOX, AFFINE)},
        CT,
        r"label.nii.gz.*outside is 0 HU, as water \(100% of an outer face\); set what lies outside .* to -1000 HU",
    ),
    "narrow source": ({}, {"source_range": (0, 12000)}, r"image.nii.gz.*from the window \[0, 12000"),
    "wide target": ({}, {"target_range": (0, 1)}, r"label.nii.gz.*magnitude from the window \[0, 1\]"),
    "misregistered": (
        {"label": (np.roll(1000 - MR, -4, axis=1), AFFINE)},
        {},
        r"label.nii.gz.*look misregistered \(.*shifted by \+4 voxels along its axis 1\); look at the pair",
    ),
}


@pytest.mark.parametrize("name", FINDINGS)
def test_findings(name: str, tmp_path: Path) -> None:
    replaced, options, message = FINDINGS[name]
    findings = found(case(tmp_path, **replaced), **options)
    assert [finding.severity for finding in findings] == ["warning" if name in WARNED else "error"]
    assert re.search(message, str(findings[0]))


def test_one_face_of_water_is_enough_and_a_few_voxels_are_not(tmp_path: Path) -> None:
    """26 x 28 voxels of a face: 182 of them, a quarter, may be 0 HU."""
    for count, faults in ((182, []), (183, ["the outside is 0 HU, as water"])):
        ct = 1000 - MR
        ct[-1].reshape(-1)[:count] = 0
        findings = found(case(tmp_path, label=(ct, AFFINE)), target_range=(-600, 1400))
        assert [finding.fault for finding in findings if finding.severity == "error"] == faults


def test_bounds_of_the_plausible_range(tmp_path: Path) -> None:
    """A ramp from 0 to 1000 spans 990 between its 0.5 and 99.5 percentiles: a fifth of 4950, five times 198."""
    ramp = np.linspace(0, 1000, np.prod(SHAPE)).reshape(SHAPE)
    item = case(tmp_path, image=(ramp, AFFINE), label=(ramp, AFFINE))
    assert [len(found(item, source_range=(0, width))) for width in (4940, 4960, 200, 196)] == [0, 1, 0, 1]


def test_a_shifted_affine_within_tolerance_is_the_same_grid(tmp_path: Path) -> None:
    near, far = AFFINE.copy(), AFFINE.copy()
    near[0, 3], far[0, 3] = 0.09, 0.11
    assert found(case(tmp_path / "near", mask=(MR > 500, near))) == []
    assert len(found(case(tmp_path / "far", mask=(MR > 500, far)))) == 1


@pytest.mark.parametrize("name", ["shape", "affine", "lesion's grid"])
def test_another_grid_is_a_warning_where_it_will_be_resampled(name: str, tmp_path: Path) -> None:
    replaced, _, message = FINDINGS[name]
    (finding,) = found(case(tmp_path, **replaced), resample=True)
    assert finding.severity == "warning"
    assert re.search(message.removesuffix(".*resample"), str(finding))
    assert str(finding).endswith("; it will be resampled to the image's grid")


def test_the_same_world_in_another_order_of_axes_is_the_same_grid(tmp_path: Path) -> None:
    item = case(tmp_path)
    for key, axes in (("label", "LPS"), ("mask", "SAR")):
        image = nib.load(item[key])
        nib.save(image.as_reoriented(nib.orientations.axcodes2ornt(axes)), item[key])
        assert not np.array_equal(nib.load(item[key]).affine, AFFINE)
    assert found(item, source_range=(0, 2e3), target_range=(-600, 1e3)) == []


def test_volumes_on_two_grids_are_not_compared_voxel_by_voxel(tmp_path: Path) -> None:
    """Label and lesion of the same shape on a grid that begins 6 mm further: in place, not misregistered."""
    flipped = AFFINE @ np.array([[1, 0, 0, 6], [0, -1, 0, SHAPE[1] - 1], [0, 0, 1, 0], [0, 0, 0, 1]])
    replaced = {"label": ((1000 - MR)[:, ::-1], flipped), "lesion": (lesion(95, 5)[:, ::-1], flipped)}
    findings = found(case(tmp_path, **replaced), resample=True)
    assert [(f.severity, f.file, f.fault[:8]) for f in findings] == [
        ("warning", "label.nii.gz", "the grid"),
        ("warning", "lesion.nii.gz", "the grid"),
    ]


def test_less_than_half_of_the_image_cannot_be_resampled(tmp_path: Path) -> None:
    """26 voxels along y: shifted by 13 a mask covers half of the image, by 14 the share 12 / 26."""
    shifted = AFFINE.copy()
    shifted[1, 3] = 13
    assert [f.severity for f in found(case(tmp_path, mask=(MR > 500, shifted)), resample=True)] == ["warning"]
    shifted[1, 3] = 14
    (finding,) = found(case(tmp_path, mask=(MR > 500, shifted)), resample=True)
    assert finding.severity == "error"
    assert re.search(
        r"c1 \(mask.nii.gz\): it covers less than 50% of the image's voxels \(46%, shape \(24, 26, 28\), affine "
        r"\[1 0 0 0; 0 1 0 14; 0 0 2 0\] instead of .*; correct its affine, or exclude the case",
        str(finding),
    )


def test_a_window_with_the_higher_number_first_is_refused(tmp_path: Path) -> None:
    item = case(tmp_path)
    with pytest.raises(ConfigError, match=r"--target_range is \[5, 5\], not two numbers, the lower first"):
        found(item, target_range=(5, 5))


def test_several_channels(tmp_path: Path) -> None:
    second = save(tmp_path / "fa.nii.gz", texture())
    item = case(tmp_path)
    item["image"] = [item["image"], second]
    assert found(item, channels=2, source_range=[(0, 2000), (0, 1)]) == []
    assert [f.file for f in found(item, source_range=(0, 2000))] == ["fa.nii.gz"]
    (finding,) = found(item, channels=3)
    assert "the image has 2 files for 3 channels; give one file per channel" in str(finding)
    (finding,) = found(item, source_range=[(0, 1)] * 3)
    assert "3 source windows for 2 channels; give one window, or one per channel" in str(finding)
    item["image"][1] = save(tmp_path / "fa.nii.gz", texture()[1:])
    assert ["the grid is not the image's" in str(f) for f in found(item)] == [True]
    item = case(tmp_path, image=(np.stack([MR, MR * 0 + 7], axis=-1), AFFINE))
    assert found(item, channels=2) == []
    assert found(item | {"image": [item["image"]]}, channels=2) == []
    assert ["wrong length of the fourth dimension (2 instead of 1" in str(f) for f in found(item)] == [True]


MAPS = {"mtr": (60, (0, 100)), "fa": (0.9, (0, 1)), "rd": (2.5, (0, 3)), "ad": (3, (0, 4))}
"""The magnitude of each map, and its window: MTR in percent, diffusivities in 10^-3 mm^2/s."""


def maps(folder: Path, *names: str, **factors: float) -> dict[str, Any]:
    scaled = {name: texture() * MAPS[name][0] * factors.get(name, 1) for name in names}
    files = [save(folder / f"{name}.nii.gz", values) for name, values in scaled.items()]
    return case(folder) | {"image": files}


WINDOWS = [window for _, window in MAPS.values()]


def test_a_wrong_order_of_channels_is_found(tmp_path: Path) -> None:
    assert found(maps(tmp_path / "right", "mtr", "fa", "rd", "ad"), source_range=WINDOWS) == []
    assert found(maps(tmp_path / "alike", "mtr", "fa", "ad", "rd"), source_range=WINDOWS) == [], "similar windows"
    for first, second in (("mtr", "fa"), ("fa", "rd"), ("mtr", "ad")):
        names = [{first: second, second: first}.get(name, name) for name in MAPS]
        findings = found(maps(tmp_path / first / second, *names), source_range=WINDOWS)
        assert [finding.severity for finding in findings] == ["error", "error"]
        assert {finding.file for finding in findings} == {f"{first}.nii.gz", f"{second}.nii.gz"}
    # the last: AD stands first, where MTR is wanted
    assert re.search(
        r"^c1 \(ad.nii.gz\): the channel does not fit its window \[0, 100\] \(.*, in channel 1, fits \[0, 4\] better\);"
        r" list the channels in the order",
        str(findings[0]),
    )


def test_a_channel_of_another_unit_is_named_with_its_number_and_one_that_is_absent(tmp_path: Path) -> None:
    item = maps(tmp_path, "mtr", "fa", "rd", "ad", fa=1000)
    (finding,) = found(item, source_range=WINDOWS)
    assert (finding.severity, finding.file, finding.case) == ("warning", "fa.nii.gz", "c1")
    assert re.search(
        r"magnitude from the window \[0, 1\] \(.*, in channel 2\); give another window \(--source_window\)",
        str(finding),
    )
    Path(item["image"][2]).unlink()
    (finding,) = found(item, source_range=WINDOWS, channels=4)
    assert (finding.severity, finding.file, finding.case) == ("error", "rd.nii.gz", "c1")


def lesion(inside: int, outside: int) -> np.ndarray:
    """So many voxels inside and outside the mask of a case, MR > 500."""
    marked = np.zeros(SHAPE)
    marked[tuple(axis[:inside] for axis in np.nonzero(MR > 500))] = 1
    marked[tuple(axis[:outside] for axis in np.nonzero(MR <= 500))] = 1
    return marked


def test_a_lesion_lies_inside_the_mask_but_for_a_twentieth(tmp_path: Path) -> None:
    assert found(case(tmp_path / "a", lesion=(lesion(95, 5), AFFINE))) == []
    assert found(case(tmp_path / "b", lesion=(lesion(0, 0), AFFINE))) == []
    (finding,) = found(case(tmp_path / "c", lesion=(lesion(94, 6), AFFINE)))
    expected = "c1 (lesion.nii.gz): over 5% of the lesion lies outside the mask (6%); look"
    assert str(finding).startswith(expected)
    assert finding.severity == "error"
    without = case(tmp_path / "d", lesion=(lesion(0, 6), AFFINE))
    del without["mask"]
    assert found(without) == []


def test_warnings_of_a_header_are_findings_and_nan_fill_opts_in(tmp_path: Path) -> None:
    item = case(tmp_path, image=(np.where(MR < 100, np.nan, MR), AFFINE))
    assert found(item, nan_fill=0) == []
    image = nib.Nifti1Image(MR, None)
    image.set_sform(AFFINE, 1)
    image.set_qform(np.eye(4), 1)
    nib.save(image, item["image"])
    assert [(f.severity, f.fault) for f in found(item)] == [("warning", "sform and qform differ")]


def test_one_bad_case_does_not_stop_the_check(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good, late = case(tmp_path / "a"), case(tmp_path / "b"), case(tmp_path / "c", label=(MR * 0, AFFINE))
    Path(bad["image"]).write_bytes(b"")
    bad["case"], late["case"] = "bad", "late"
    findings = check_cases({"training": [bad, good], "test": [late]})
    assert [finding.case for finding in findings] == ["bad", "late"]
    assert capsys.readouterr().err == "", "a bar is for a terminal"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    check_cases({"training": [bad]})
    assert "checking: 100%" in capsys.readouterr().err


def test_a_target_of_other_channels_than_most_is_an_error(tmp_path: Path) -> None:
    rng, items = np.random.default_rng(0), []
    for name, shape in (("a", (24, 24, 3)), ("b", (24, 24, 3)), ("c", (24, 24))):
        (tmp_path / name).mkdir()
        for key in ("image", "label"):
            Image.fromarray(rng.integers(0, 255, shape, np.uint8)).save(tmp_path / name / f"{key}.png")
        items.append({"case": name} | {key: str(tmp_path / name / f"{key}.png") for key in ("image", "label")})
    errors = check_cases({"training": items}, VolumeReader(pictures=True))
    assert [str(each) for each in errors if each.severity == "error"] == [
        "c: the target has other channels than most (1 instead of 3); save all alike, grey or RGB"
    ]


def test_require_clean_lists_every_error_and_logs_warnings(caplog: pytest.LogCaptureFixture) -> None:
    warning = Finding("c3", "mr.nii", "is not so", "this", "look", "warning")
    with caplog.at_level(logging.WARNING):
        require_clean([warning])
    assert "c3 (mr.nii): is not so (this); look" in caplog.text
    errors = [Finding("c1", "mr.nii", "is not A", "a", "pad it"), Finding("c1", "ct.nii", "is not B", "b", "cut it")]
    expected = (
        r"the data check found 2 errors in 1 cases; fix or exclude: "
        r"c1 \(mr.nii\): is not A \(a\); pad it \| c1 \(ct.nii\): is not B \(b\); cut it$"
    )
    with pytest.raises(DataError, match=expected):
        require_clean([*errors, warning])


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.skipif(not OPEN_MS.is_dir(), reason="real scans are not at hand")
def test_real_scans_pass_and_shifted_ones_are_reported(tmp_path: Path) -> None:
    items = find_cases(OPEN_MS, "folders", "t1,t2", "flair", "lesions")
    assert [item["case"] for item in items] == ["patient07", "patient19", "patient26"]
    assert check_cases({"test": items}, VolumeReader(channels=2)) == []
    flair = nib.Nifti1Image.from_filename(items[0]["label"])
    shifted = np.roll(np.asarray(flair.dataobj, dtype=np.float32), 3, axis=0)
    items[0]["label"] = save(tmp_path / "flair.nii.gz", shifted, flair.affine)
    (finding,) = check_cases({"test": items[:1]})
    assert finding.severity == "warning"
    assert "along its axis 0" in finding.value
