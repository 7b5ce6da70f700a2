"""K-space that weights are not for is refused: other accelerations, masks, planes and several coils."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import in_process
import nibabel as nib
import numpy as np
import pytest
import torch
from mri_dagan.input_sampling import SamplingCheck
from mri_dagan.kspace_files import write_kspace
from mri_dagan.kspace_scan import KspaceScan

from common.errors import DataError
from common.simulation.corruptions.masks import sampling_mask
from common.simulation.corruptions.undersampling import Undersampled
from common.trust.record import read_record
from common.weights.shipped import shipped_weights
from medical_image_synthesis.catalogue import bundle_named

SHAPE = (36, 40)
FOR = ", where these weights are for whole lines of one coil, 3 to 10 times undersampled"


def engine(kind: str, acceleration: float, coils: int = 1, axis: int = 2, refuses: bool = True) -> SimpleNamespace:
    """Of a scan of three slices."""
    mask = sampling_mask(kind, SHAPE, acceleration)
    rng = np.random.default_rng(0)
    samples = rng.standard_normal((3, coils, *SHAPE)) + 1j * rng.standard_normal((3, coils, *SHAPE))
    scan = KspaceScan((samples * mask).astype(np.complex64), mask, np.eye(4), axis)
    image = torch.from_numpy(scan.channels() * 2 - 1)[None]
    return SimpleNamespace(state=SimpleNamespace(batch={"case": ["head"], "image": image}), refuses=refuses)


def check(folder: Path, **more: list[float]) -> SamplingCheck:
    about = {"schema_version": 1, "bundle": "mri_dagan", "settings": {}, "trained_on": {}, "sha256": "0", **more}
    (folder / "model.json").write_text(json.dumps(about))
    return SamplingCheck(str(folder / "model.pt"), "axial")


@pytest.mark.parametrize("kind", ["cartesian", "equispaced"])
@pytest.mark.parametrize("acceleration", [3, 4, 10])
def test_lines_as_in_the_training_pass(tmp_path: Path, kind: str, acceleration: float) -> None:
    check(tmp_path, accelerations=[3, 10])(engine(kind, acceleration))


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (("cartesian", 2), "20 of 40 lines"),
        (("cartesian", 20), "2 of 40 lines"),
        (("poisson", 4), "k-space without whole lines in axial slices"),
        (("cartesian", 4, 3), "3 coils"),
        (("cartesian", 4, 1, 0), "k-space without whole lines in axial slices"),
    ],
)
def test_other_kspace_is_refused(tmp_path: Path, given: tuple, found: str) -> None:
    limited = check(tmp_path, accelerations=[3, 10])
    with pytest.raises(DataError) as caught:
        limited(engine(*given))
    assert str(caught.value).startswith(f"head: {found}{FOR}")
    limited(engine(*given, refuses=False))
    check(tmp_path)(engine(*given))


def test_the_shipped_weights_reconstruct_fourfold_and_refuse_twofold_scans(tmp_path: Path) -> None:
    """A box with a bright band, whose error is at most half of the zero-filled image's; it is no head, which the
    calibration would refuse."""
    shipped = shipped_weights(bundle_named("mri").folder)
    assert read_record(shipped).data == "simulated heads, no patient"
    for path in (shipped, shipped.with_suffix(".json")):
        shutil.copy(path, tmp_path)
    volume = np.zeros((48, 64, 4), np.float32)
    volume[10:38, 8:56] = 400
    volume[18:30, 24:28] = 1000
    done = {}
    for acceleration in (4, 2):
        scan = Undersampled("cartesian", acceleration).scan(volume, np.random.default_rng(0))
        write_kspace(tmp_path / f"{acceleration}.h5", scan, np.eye(4), 2)
        made = tmp_path / f"{acceleration}.nii.gz"
        given = ["--weights", str(tmp_path / shipped.name)]
        done[acceleration] = in_process.synthesize("mri", tmp_path / f"{acceleration}.h5", "-o", made, *given)
        if acceleration == 4:
            errors = [np.abs(each - volume).mean() for each in (nib.load(made).get_fdata(), scan.volume)]
    assert [done[acceleration].returncode for acceleration in (4, 2)] == [0, 1]
    assert errors[0] < errors[1] / 2
    assert f"24 of 48 lines{FOR}" in done[2].stderr
