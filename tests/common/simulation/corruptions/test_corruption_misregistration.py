"""Misregistration on purpose: its amount in mm on any grid, what it depends on, and what it leaves alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Orientation
from scipy import ndimage

from common.errors import ConfigError, DataError
from common.simulation.corruptions.misregistration import Misregisterd

ANISOTROPIC = np.array([[1.0, 0, 0, -20], [0, -2.0, 0, 30], [0, 0, 4.0, 7], [0, 0, 0, 1]])
OBLIQUE = np.array([[0.8, -1.2, 0, 30], [0.6, 1.6, 0, -20], [0, 0, 2.5, -11], [0, 0, 0, 1]])


def block(affine: np.ndarray = ANISOTROPIC) -> MetaTensor:
    """A block of 900 in a background of -1000, in the middle of 48 x 40 x 24 voxels."""
    values = torch.full((1, 48, 40, 24), -1000.0)
    values[0, 16:32, 12:28, 8:16] = 900
    return MetaTensor(values, affine=torch.from_numpy(affine))


def place_mm(volume: MetaTensor) -> np.ndarray:
    """Centre of mass of what is above the background, in mm."""
    centre = ndimage.center_of_mass(np.asarray(volume[0]) + 1000)
    affine = np.asarray(volume.affine)
    return affine[:3, :3] @ centre + affine[:3, 3]


def made(transform: Misregisterd, case: str = "case_1", **volumes: MetaTensor) -> dict:
    return transform({"case": case, **volumes})


@pytest.mark.parametrize("affine", [ANISOTROPIC, OBLIQUE], ids=["anisotropic", "oblique"])
@pytest.mark.parametrize("shift", [1.0, 2.0, 5.5])
def test_a_block_moves_by_the_shift_in_mm(affine: np.ndarray, shift: float) -> None:
    result = made(Misregisterd("label", shift=shift), label=block(affine))["label"]
    assert np.linalg.norm(place_mm(result) - place_mm(block(affine))) == pytest.approx(shift, abs=1e-3)
    assert float(result.sum()) == pytest.approx(float(block().sum()), rel=1e-4)


def test_the_direction_is_the_same_for_every_length_and_a_warp_adds() -> None:
    near, far, both, warp = (
        Misregisterd("label", shift=shift, warp=warp).displacement("case_1", (12, 10, 8), ANISOTROPIC)
        for shift, warp in ((1.5, 0), (4.5, 0), (1.5, 1), (0, 1))
    )
    np.testing.assert_allclose(3 * near, far, atol=1e-9)
    np.testing.assert_allclose(both, near + warp, atol=1e-9)


def test_the_warp_has_its_mean_square_and_no_mean_and_is_smooth() -> None:
    shape, step = (48, 40, 24), Misregisterd("label", shift=0, warp=1.5, smoothness=20)
    field = np.einsum("ij,jxyz->ixyz", ANISOTROPIC[:3, :3], step.displacement("case_1", shape, ANISOTROPIC))
    assert np.sqrt((field**2).sum(axis=0).mean()) == pytest.approx(1.5)
    np.testing.assert_allclose(field.mean(axis=(1, 2, 3)), 0, atol=1e-12)
    slopes = [np.diff(field, axis=axis + 1) / mm for axis, mm in enumerate((1, 2, 4))]
    assert max(np.abs(slope).max() for slope in slopes) < 0.3  # of mm per mm: nothing folds


def test_the_same_head_moves_alike_on_another_grid() -> None:
    """Coarser voxels of the same box, and the box stored along other axes: in mm it is one field."""
    step = Misregisterd("label", shift=2, warp=1)
    fine = step.displacement("case_1", (45, 45, 45), np.diag([1.0, 1, 1, 1]))
    coarse = 3 * step.displacement("case_1", (15, 15, 15), np.diag([3.0, 3, 3, 1]))
    assert np.abs(fine[:, 1::3, 1::3, 1::3] - coarse).max() < 0.05
    turned = Orientation("PIL", labels=None)(block())
    back = Orientation("LAS", labels=None)(made(step, label=turned)["label"])
    straight = Orientation("LAS", labels=None)(made(step, label=block())["label"])
    np.testing.assert_allclose(back, straight, atol=0.01)


def test_it_belongs_to_the_case_and_the_seed() -> None:
    first, again, other_case, other_seed = (
        made(Misregisterd("label", shift=2, warp=1, seed=seed), case, label=block())["label"]
        for seed, case in ((0, "case_1"), (0, "case_1"), (0, "case_2"), (1, "case_1"))
    )
    assert torch.equal(first, again)
    for other in (other_case, other_seed):
        assert np.linalg.norm(place_mm(first) - place_mm(other)) > 0.2


def test_all_keys_move_together_and_masks_stay_binary() -> None:
    mask = MetaTensor((block() > 0).float(), affine=block().affine)
    result = made(Misregisterd(["label", "mask", "lesion"], shift=3, warp=1), label=block(), mask=mask)
    assert set(result["mask"].unique().tolist()) == {0, 1}
    assert float(((result["label"] > -50) != (result["mask"] > 0)).float().mean()) < 0.005
    assert "lesion" not in result


def test_the_image_the_geometry_and_the_input_stay() -> None:
    image, label = block(), block()
    assert made(Misregisterd("label", shift=0, warp=0), label=label)["label"] is label
    result = made(Misregisterd("label", shift=3, warp=1), image=image, label=label)
    assert result["image"] is image
    assert torch.equal(label, block())
    assert (result["label"].shape, result["label"].dtype) == (label.shape, torch.float32)
    np.testing.assert_array_equal(result["label"].affine, ANISOTROPIC)
    assert result["label"].applied_operations == label.applied_operations


def test_the_border_is_filled_with_the_background_of_each_channel() -> None:
    """A shift far beyond the volume leaves background alone; a small one makes no value that was not there."""
    channels = torch.cat([block(), block() / 2 + 7])
    label = MetaTensor(channels, affine=torch.from_numpy(ANISOTROPIC))
    gone = made(Misregisterd(["label", "mask"], shift=1000), label=label, mask=block())
    assert gone["label"].amax(dim=(1, 2, 3)).tolist() == gone["label"].amin(dim=(1, 2, 3)).tolist() == [-1000, -493]
    assert gone["mask"].unique().tolist() == [0]
    positive = MetaTensor(torch.rand(1, 20, 20, 20) + 5, affine=torch.eye(4))
    moved = made(Misregisterd("label", shift=4, warp=2), label=positive)["label"]
    assert float(positive.min()) <= float(moved.min()) <= float(moved.max()) <= float(positive.max())
    assert float((moved == positive.min()).float().mean()) > 0.1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shift": -1}, "shift is -1, not 0 or more mm: pass"),
        ({"shift": float("nan")}, "shift is nan, not 0 or more mm: pass"),
        ({"shift": 1, "warp": float("inf")}, "warp is inf, not 0 or more mm: pass"),
        ({"shift": 1, "warp": 16}, r"warp is 16 mm, over 0.5 of its smoothness \(30 mm\), and might fold: lower it"),
        ({"shift": 1, "smoothness": 1}, "smoothness is 1, not 5 or more mm: pass"),
    ],
)
def test_wrong_amounts_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Misregisterd("label", **settings)


def test_items_without_a_case_and_volumes_without_an_affine_are_refused() -> None:
    with pytest.raises(DataError, match="an item has no case, .*: add its key case"):
        Misregisterd("label", shift=1)({"label": block()})
    with pytest.raises(DataError, match="case_1: label has no affine, which scales millimetres to voxels: load it"):
        Misregisterd("label", shift=1)({"label": torch.zeros(1, 3, 3, 3), "case": "case_1"})
