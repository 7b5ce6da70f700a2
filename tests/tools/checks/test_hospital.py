"""The made-up hospital: what its scanners store, the movement between them, and errors of transforms."""

from __future__ import annotations

import json
import re
from pathlib import Path

import label_maps
import numpy as np
import pytest

from tools.checks.hospital import main

itk = pytest.importorskip("SimpleITK")


@pytest.fixture(scope="module")
def hospital(tmp_path_factory) -> Path:
    """Two scans of the only label map, the second mirrored."""
    root = tmp_path_factory.mktemp("hospital")
    maps = label_maps.write(root / "maps")
    assert main(["--label_maps", str(maps), "--out", str(root / "out"), "--cases", "2"]) == 0
    return root / "out"


def image(hospital: Path, folder: str, name: str, case: str = "scan_01") -> itk.Image:
    return itk.ReadImage(str(hospital / folder / case / f"{name}.mha"))


def test_volumes_of_16_bits_on_their_grids(hospital):
    mr, ct, exact = (image(hospital, *which) for which in (("scanned", "mr"), ("scanned", "ct"), ("exact", "ct")))
    assert {each.GetPixelID() for each in (mr, ct, exact)} == {itk.sitkInt16}
    assert (mr.GetSpacing(), ct.GetSpacing()) == ((2, 2, 2), (1.5, 1.5, 3))
    for same in (exact, image(hospital, "by_headers", "ct"), image(hospital, "exact", "mr")):
        assert (same.GetSize(), same.GetOrigin(), same.GetSpacing()) == (mr.GetSize(), mr.GetOrigin(), mr.GetSpacing())
    for values in (itk.GetArrayFromImage(each) for each in (ct, exact)):
        assert np.percentile(values, 1) == pytest.approx(-1000, abs=60)
        assert np.percentile(values, 99) > 700


def test_scans_of_a_map_are_of_one_patient(hospital):
    rows = "case,patient\nscan_01,head_00\nscan_02,head_00\n"
    assert {path.read_text() for path in hospital.glob("*/patients.csv")} == {rows}
    assert list(json.loads((hospital / "movements.json").read_text())) == ["scan_01", "scan_02"]


def written_transform(hospital: Path, folder: Path, case: str) -> itk.CompositeTransform:
    """The transform that undoes the movement but for its warp, written as a registration writes it."""
    movement = json.loads((hospital / "movements.json").read_text())[case]
    x, y, z = np.radians(movement["degrees"]) * (-1, -1, 1)
    rigid = itk.Euler3DTransform()
    rigid.SetComputeZYX(True)
    rigid.SetRotation(x, y, z)
    rigid.SetTranslation((np.array(movement["shift"]) * (-1, -1, 1)).tolist())
    transform = itk.CompositeTransform([rigid.GetInverse()])
    (folder / case).mkdir(parents=True)
    itk.WriteTransform(transform, str(folder / case / "transform.h5"))
    return transform


def test_the_movement_is_that_of_the_scans_and_its_warp_is_left_as_error(hospital, tmp_path, capsys):
    transform = written_transform(hospital, tmp_path, "scan_01")
    exact, moved = image(hospital, "exact", "ct"), image(hospital, "scanned", "ct")
    back = itk.Resample(moved, exact, transform, itk.sitkLinear, -1000)
    truth, before, after = (
        itk.GetArrayFromImage(each).astype(float) for each in (exact, image(hospital, "by_headers", "ct"), back)
    )
    assert np.abs(after - truth).mean() < 0.7 * np.abs(before - truth).mean()
    assert main(["--out", str(hospital), "--registered", str(tmp_path)]) == 0
    before, _, rigid, _, whole, _ = map(float, re.findall(r"\d+\.\d+", capsys.readouterr().out))
    assert before > 5
    assert rigid == whole == pytest.approx(3, abs=0.6)


def test_a_folder_without_label_maps_is_refused(tmp_path, capsys):
    assert main(["--label_maps", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "no label maps in" in capsys.readouterr().err
