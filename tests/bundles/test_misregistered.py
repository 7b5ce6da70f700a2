"""Overlays for pairs that are not registered: what is moved, by how much, and that nothing but training sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bundle_commands import Bundle
from scipy import ndimage

from common.errors import ConfigError
from common.losses import TolerantL1

FILES = {"mr2ct_pix2pix": ("mr", "ct"), "pd2t2_dcgan_acm": ("pd", "t2")}
"""Source and target of a case."""
SHIFT = 10.0
"""In mm: two voxels of the phantoms."""


@pytest.fixture(scope="module", params=FILES)
def bundle(request: pytest.FixtureRequest) -> Bundle:
    return Bundle(request.param)


@pytest.fixture(scope="module")
def case(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root: Path = tmp_path_factory.mktemp(bundle.name) / "one"
    bundle.parser("train", **{"phantoms::cases": 1, "phantoms::spacing": 5}).get_parsed_content("phantoms")(root)
    (folder,) = (path for path in root.iterdir() if path.is_dir())
    names = dict(zip(("image", "label"), FILES[bundle.name], strict=True)) | {"mask": "mask"}
    return {"case": folder.name, **{key: str(folder / f"{name}.nii.gz") for key, name in names.items()}}


def made(bundle: Bundle, case: dict[str, str], section: str, *configs: str, **amounts: float) -> dict[str, Any]:
    settings = {f"misregistration::{name}": amount for name, amount in amounts.items()}
    return bundle.parser("train", *configs, **settings).get_parsed_content(f"{section}::preprocessing")(case)


def test_the_target_moves_by_the_shift_in_training_alone(bundle: Bundle, case: dict[str, str]) -> None:
    plain = made(bundle, case, "train")
    seen = made(bundle, case, "train", "misregistered", shift=SHIFT, warp=0.0)
    scored = made(bundle, case, "validate", "misregistered", shift=SHIFT, warp=0.0)
    assert torch.equal(seen["image"], plain["image"])
    for key in ("image", "label", "mask"):
        assert torch.equal(scored[key], plain[key])
    step = bundle.parser("train", "misregistered", **{"misregistration::shift": SHIFT, "misregistration::warp": 0.0})
    move = step.get_parsed_content("train::preprocessing::transforms::4")
    voxels = move.displacement(case["case"], (3, 3, 3), np.diag([5.0, 5, 5, 1]))[:, 1, 1, 1]
    assert np.linalg.norm(5 * voxels) == pytest.approx(SHIFT)
    label = np.asarray(plain["label"][0])
    expected = ndimage.shift(label, voxels, order=1, mode="constant", cval=label.min())
    assert np.corrcoef(np.asarray(seen["label"][0]).ravel(), expected.ravel())[0, 1] > 0.99
    assert np.corrcoef(label.ravel(), expected.ravel())[0, 1] < 0.97
    # the head is that of the CT in MR to CT, and that of the source in PD to T2
    assert torch.equal(seen["mask"], plain["mask"]) == (bundle.name == "pd2t2_dcgan_acm")


def test_amounts_of_0_are_the_training_without_it_bit_by_bit(bundle: Bundle, case: dict[str, str]) -> None:
    plain, seen = made(bundle, case, "train"), made(bundle, case, "train", "misregistered", shift=0.0, warp=0.0)
    assert seen.keys() == plain.keys()
    for key in ("image", "label", "mask"):
        assert torch.equal(seen[key], plain[key])


def test_the_tolerant_overlay_gives_the_method_its_distance(bundle: Bundle) -> None:
    settings = {"device": torch.device("cpu"), "width": 1, "losses::l1::function::radius": 2}
    method = bundle.parser("train", "demo", "tolerant", **settings).get_parsed_content("method")
    losses = [each.losses["l1"].function for each in _stages(method)]
    assert [(type(loss), loss.radius) for loss in losses] == [(TolerantL1, 2)] * len(losses)
    assert not method.loss_weights.get("gdl")  # it compares edges voxel by voxel


def _stages(method: Any) -> list[Any]:
    return getattr(method, "methods", [method])


def test_a_wrong_amount_names_its_setting(bundle: Bundle, case: dict[str, str]) -> None:
    with pytest.raises(RuntimeError) as error:
        made(bundle, case, "train", "misregistered", shift=-1.0)
    chain = error.value
    while chain.__cause__ is not None:
        chain = chain.__cause__
    assert isinstance(chain, ConfigError)
    assert str(chain).startswith("shift is -1.0, not 0 or more mm: pass")
