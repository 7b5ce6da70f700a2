"""Pairs with a misregistered target: what moves, what stays, and what is written of the headers."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from named_volumes import write_named
from scipy import ndimage

from common.errors import ConfigError, OutputError
from common.simulation.misregistered_pairs import write_misregistered

RAS = np.array([[2.0, 0, 0, -60], [0, 2, 0, -50], [0, 0, 3, 20], [0, 0, 0, 1]])


def block(value: float, outside: float = 0.0) -> np.ndarray:
    volume = np.full((32, 28, 20), outside)
    volume[12:20, 10:18, 7:13] = value
    return volume


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for case, axcodes in (("one", "RAS"), ("two", "SPL")):
        for name, volume in (("mr", block(500)), ("ct", block(40, -1000)), ("mask", block(1))):
            write_named(tmp_path / "data" / case / f"{name}.nii.gz", volume, RAS, axcodes)
    return tmp_path / "data"


def place_mm(image: nib.Nifti1Image) -> np.ndarray:
    values = image.get_fdata()
    return image.affine[:3, :3] @ ndimage.center_of_mass(values - values.min()) + image.affine[:3, 3]


def test_the_target_and_its_mask_move_by_the_shift_and_the_source_stays(data, tmp_path):
    assert write_misregistered(data, tmp_path / "pairs", "mr", "ct", shift=4, seed=3) == 2
    moves = []
    for case in ("one", "two"):
        given = {name: nib.load(data / case / f"{name}.nii.gz") for name in ("mr", "ct", "mask")}
        made = {name: nib.load(tmp_path / "pairs" / case / f"{name}.nii.gz") for name in given}
        np.testing.assert_array_equal(made["mr"].get_fdata(), given["mr"].get_fdata())
        moves.append(place_mm(made["ct"]) - place_mm(given["ct"]))
        assert np.linalg.norm(moves[-1]) == pytest.approx(4, abs=1e-3)
        np.testing.assert_allclose(place_mm(made["mask"]) - place_mm(given["mask"]), moves[-1], atol=1.6)
        for name, image in made.items():
            np.testing.assert_array_equal(image.affine, given[name].affine)
            assert image.get_data_dtype() == (np.uint8 if name == "mask" else np.float32)
            assert b"DOE" not in image.header.binaryblock
        assert made["ct"].header["descrip"].item().startswith(b"SIMULATED misregistration: shift 4 mm, warp 0 mm")
    assert np.linalg.norm(moves[0] - moves[1]) > 0.5  # each case has a direction of its own
    record = json.loads((tmp_path / "pairs" / "two" / "misregistered.json").read_text())
    assert (record["case"], record["image"], record["label"]) == ("two", "mr", "ct")
    assert (record["shift"], record["warp"], record["smoothness"], record["seed"]) == (4, 0, 30, 3)


def test_cases_are_replaced_on_request_and_amounts_are_checked_first(data, tmp_path):
    write_misregistered(data, tmp_path / "pairs", "mr", "ct")
    with pytest.raises(OutputError, match="already exists: pass --overwrite"):
        write_misregistered(data, tmp_path / "pairs", "mr", "ct")
    assert write_misregistered(data, tmp_path / "pairs", "mr", "ct", warp=1, overwrite=True) == 2
    with pytest.raises(ConfigError, match="shift is .*, not 0 or more mm"):
        write_misregistered(data, tmp_path / "other", "mr", "ct", shift=-1)
    assert not (tmp_path / "other").exists()
