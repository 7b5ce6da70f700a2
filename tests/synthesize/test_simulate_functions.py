"""Corruptions as functions of a volume: the voxels that the command writes, for volumes of any kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from dicom_phantom import Grid, write_series
from named_volumes import write_named

from common.errors import ConfigError, DataError
from medical_image_synthesis import simulate
from medical_image_synthesis.command import main as synthesize
from medical_image_synthesis.volumes import Volume, as_volume

RAS = np.array([[4.0, 0, 0, -60], [0, 4, 0, -50], [0, 0, 2.5, 20], [0, 0, 0, 1]])


def ct() -> np.ndarray:
    """Water with a spine in air, (32, 30, 12)."""
    x, y = np.ogrid[-16:16, -15:15]
    axial = np.where((x / 12) ** 2 + (y / 9) ** 2 < 1, 0.0, -1000.0)
    axial[14:18, 8:12] = 700
    return np.repeat(axial[..., None], 12, 2)


def mr() -> np.ndarray:
    """A head brighter in its upper half, (32, 30, 12)."""
    return np.where(ct() > -500, 600.0 + 20 * np.arange(12), 0.0)


KINDS: dict[str, tuple[Callable[..., Volume], list[str], dict[str, Any], str]] = {
    "low-dose": (simulate.low_dose, ["--dose", "0.1", "--views", "60"], {"dose": 0.1, "views": 60}, "ldct"),
    "undersample": (
        simulate.undersample, ["--mask", "radial", "--coils", "2"], {"mask": "radial", "coils": 2}, "zero_filled",
    ),
    "thicken": (simulate.thicken, ["--thickness", "6", "--gap", "1"], {"thickness": 6, "gap": 1}, "thick"),
    "noise": (simulate.noise, ["--level", "0.2"], {"level": 0.2}, "noisy"),
    "motion": (simulate.motion, ["--degrees", "5", "--plane", "coronal"], {"degrees": 5, "plane": "coronal"}, "moved"),
}  # fmt: skip


def test_the_default_device_of_the_program_changes_nothing() -> None:
    def made() -> list[np.ndarray]:
        views = simulate.radiograph((ct(), RAS), [0.0], detector=(16, 16), pixel_mm=20)
        return [simulate.undersample((mr(), RAS)).array, simulate.low_dose((ct(), RAS)).array, views[0].array]

    wanted = made()
    torch.set_default_device("meta")
    try:
        changed = made()
        assert torch.get_default_device().type == "meta"
    finally:
        torch.set_default_device(None)
    assert all(np.array_equal(one, other) for one, other in zip(changed, wanted, strict=True))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("given", ["chosen", "defaults"])
def test_voxels_are_those_of_the_command(kind: str, given: str, tmp_path: Path) -> None:
    function, words, settings, name = KINDS[kind]
    scan, values = ("ct", ct()) if kind == "low-dose" else ("mr", mr())
    source = tmp_path / "data" / "one" / f"{scan}.nii.gz"
    write_named(source, values, RAS, "SPL")
    if given == "defaults":
        words, settings = (["--dose", "0.25"] if kind == "low-dose" else []), {}
    drawn = {} if kind == "thicken" else {"seed": 3, "case": "one"}
    place = ["--dataset_dir", str(tmp_path / "data"), "--out", str(tmp_path / "out"), "--seed", "3"]
    assert synthesize(["simulate", kind, *place, *words]) == 0
    written = nib.load(tmp_path / "out" / "one" / f"{name}.nii.gz")

    volume = function(source, **settings, **drawn)
    np.testing.assert_array_equal(volume.array, written.get_fdata(dtype=np.float32))
    assert written.header["descrip"].item().decode() == volume.description[:79]
    saved = nib.load(volume.save(tmp_path / "own.nii.gz"))
    np.testing.assert_array_equal(saved.affine, written.affine)
    np.testing.assert_array_equal(saved.dataobj, written.dataobj)
    assert saved.header["descrip"] == written.header["descrip"]


def test_volumes_in_memory_are_those_of_files(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(mr(), RAS), tmp_path / "mr.nii.gz")
    expected = simulate.noise(tmp_path / "mr.nii.gz", seed=1)
    for given in ((mr(), RAS), nib.Nifti1Image(mr(), RAS), (torch.from_numpy(mr())[None], torch.from_numpy(RAS))):
        np.testing.assert_array_equal(simulate.noise(given, seed=1).array, expected.array)
    assert (simulate.noise((mr(), RAS), seed=2).array != expected.array).any()
    assert (simulate.noise((mr(), RAS), seed=1, case="two").array != expected.array).any()


def test_a_series_is_a_ct_and_its_result_is_corrupted_further(tmp_path: Path) -> None:
    write_series(tmp_path / "ct", Grid((32, 30, 12), (4.0, 4.0, 2.5)), slope=1, values=ct())
    thick = simulate.thicken(simulate.low_dose(tmp_path / "ct", 0.1, views=60), 5, profile="box")
    assert (thick.unit, thick.name) == ("HU", "ct")
    assert thick.description == "SIMULATED CT of 5 mm slices on thin ones, cubic: not a scan"


def test_the_given_array_and_the_random_state_stay() -> None:
    given, state = mr().astype(np.float32), np.random.get_state()[1].copy()  # type: ignore[union-attr]
    before = given.copy()
    for function in (simulate.undersample, simulate.thicken, simulate.noise, simulate.motion):
        assert (function((given, RAS)).array != before).any()
    np.testing.assert_array_equal(given, before)
    np.testing.assert_array_equal(np.random.get_state()[1], state)


MISTAKES: dict[str, Callable[[], object]] = {
    "ct: values do not reach below -200 and above 200 HU": lambda: simulate.low_dose((mr(), RAS)),
    "ct is in SUV, not in HU: convert it to HU": lambda: simulate.low_dose(
        Volume(ct().astype(np.float32), RAS, unit="SUV")
    ),
    "mr has values from -1000 to 700, and magnitude images": lambda: simulate.noise((ct(), RAS)),
    "mr has 2 channels: give one volume": lambda: simulate.motion((np.stack([mr(), mr()]), RAS)),
    "slices are 2.5 mm apart, not closer than thickness=2 mm: raise": lambda: simulate.thicken((mr(), RAS), 2),
    "dose is 2, not a fraction": lambda: simulate.low_dose((ct(), RAS), 2),
    "seed is -1, below 0": lambda: simulate.noise((mr(), RAS), seed=-1),
    "no file or folder gone.nii.gz (mr): check the path": lambda: simulate.noise("gone.nii.gz"),
}


@pytest.mark.parametrize("message", MISTAKES)
def test_mistakes_say_what_and_where(message: str) -> None:
    with pytest.raises((ConfigError, DataError)) as error:
        MISTAKES[message]()
    assert message in str(error.value)


def test_a_volume_is_taken_as_it_is() -> None:
    volume = as_volume((mr(), RAS))
    assert as_volume(volume) is volume
