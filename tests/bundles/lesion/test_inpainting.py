"""Patches with a hole: what the network gets, and what is compared."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import torch
from lesion_dcgan_aug.inpainting import (
    Contexts,
    InpaintingGan,
    holed,
    noise,
    rim_l1,
    with_class,
)
from lesion_dcgan_aug.networks import Inpainter
from monai.transforms import Compose, SqueezeDimd

from common.errors import ConfigError, DataError
from common.losses import AdversarialLoss
from common.metrics.kid import ClassKid
from common.transforms import LoadVolumed

CLASSES = ["cyst", "metastasis", "hemangioma"]


def point(side: int = 33) -> torch.Tensor:
    """A lesion of one pixel in the middle."""
    lesion = torch.zeros(1, side, side)
    lesion[0, side // 2, side // 2] = 1
    return lesion


def as_it_is(patches: torch.Tensor, _: object) -> torch.Tensor:
    return patches


@pytest.fixture
def items(tmp_path):
    """Two patches of the value 0.5 with a lesion of 4 x 4 pixels."""
    mask = np.zeros((64, 64, 1), np.uint8)
    mask[30:34, 30:34] = 1
    for name, values in (("image", np.full((64, 64, 1), 0.5, np.float32)), ("lesion", mask)):
        nib.save(nib.Nifti1Image(values, np.eye(4)), tmp_path / f"{name}.nii.gz")
    paths = {key: str(tmp_path / f"{key}.nii.gz") for key in ("image", "lesion")}
    return [{"case": name, "class": name, **paths} for name in CLASSES[:2]]


LOAD = Compose([LoadVolumed(keys=["image", "lesion"]), SqueezeDimd(keys=["image", "lesion"], dim=-1)])


def test_the_hole_reaches_six_pixels_beyond_the_lesion_and_holds_noise():
    patch, grain = torch.full((1, 33, 33), 0.25), torch.full((1, 33, 33), 9.0)
    source = holed(patch, point(), grain)
    assert source.shape == (3, 33, 33)
    assert source[1].sum() == 13**2
    assert (source[0, 10:23, 10:23] == 9).all()
    assert (source[0] == 0.25).sum() == 33**2 - 13**2
    assert source[2].sum() == 1


def test_the_lesion_is_in_the_channel_of_its_class():
    source = holed(torch.zeros(1, 33, 33), point(), torch.ones(1, 33, 33))
    image = with_class(source, 2, 3)
    assert image.shape == (5, 33, 33)
    assert image[2:].sum((1, 2)).tolist() == [0, 0, 1]
    assert torch.equal(with_class(torch.stack([source, source]), 2, 3)[1], image), "likewise in a batch"


def test_an_item_has_the_real_patch_the_rim_and_the_source(items):
    contexts = Contexts(items, LOAD, CLASSES, as_it_is, seed=3, views=2)
    assert len(contexts) == 4
    item = contexts[(0, 1)]
    assert item["case"] == "metastasis"
    assert item["image"].shape == (5, 64, 64)
    assert item["image"][2:].sum((1, 2)).tolist() == [0, 16, 0]
    assert item["rim"].sum() == 16**2 - 4**2
    assert (item["label"] == 0.5).all()
    assert (item["image"][0][item["image"][1] == 0] == 0.5).all()
    assert torch.equal(item["image"], contexts[(0, 1)]["image"])
    assert not torch.equal(item["image"], contexts[(1, 1)]["image"]), "other noise in the next epoch"
    sources = contexts.seeded([7, 8, 7])
    assert sources.shape == (3, 3, 64, 64)
    assert torch.equal(sources[0], sources[2])
    assert contexts.labelled(sources, 0).shape == (3, 5, 64, 64)


def test_patches_without_masks_are_refused(items):
    del items[1]["lesion"]
    with pytest.raises(DataError, match="1 patches have no mask of their lesion, first metastasis: cut the patches"):
        Contexts(items, LOAD, CLASSES, as_it_is)


def test_the_network_changes_the_hole_alone():
    torch.manual_seed(0)
    network = Inpainter(3, 2).eval()
    source = with_class(holed(torch.full((1, 64, 64), 0.3), point(64), noise(64, 0)), 0, 3)[None]
    made = network(source)
    assert made.shape == (1, 1, 64, 64)
    inside = source[:, 1:2] > 0
    assert (made[~inside] == 0.3).all()
    assert not torch.isclose(made[inside], source[:, :1][inside]).any()
    assert made.abs().max() <= 1
    with pytest.raises(ConfigError, match="an inpainting network fills holes of patches: pass --weights of another"):
        network(torch.zeros(2, 103))


def test_the_discriminator_does_not_see_the_noise():
    seen = []

    class Discriminator(torch.nn.Module):
        def forward(self, x):
            seen.append(x)
            return x.mean((1, 2, 3))

    losses = {"adversarial": {"weight": 1}}
    method = InpaintingGan(Inpainter(3, 2), Discriminator(), losses, AdversarialLoss())
    source = torch.stack([torch.full((64, 64), float(n)) for n in range(5)])[None]
    batch = {"image": source, "label": torch.full((1, 1, 64, 64), 9.0)}
    method.discriminator_losses(batch, {"pred": batch["label"]})
    assert [x[0, :, 0, 0].tolist() for x in seen] == [[1, 2, 3, 4, 9]] * 2


def test_the_rim_is_compared_by_its_mean_difference():
    rim = torch.tensor([0, 1.0, 1.0, 0]).reshape(1, 1, 2, 2)
    prediction, target = torch.tensor([9, 1.0, 4.0, 9]).reshape(1, 1, 2, 2), torch.zeros(1, 1, 2, 2)
    assert rim_l1(prediction, target, rim) == pytest.approx((1 + 4) / 2)
    assert rim_l1(prediction, target, 0 * rim) == 0


def test_kid_finds_the_class_of_sources_with_channels():
    patches = torch.rand(4, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    sources = [with_class(holed(patch, point(64), patch), k, 3) for patch, k in zip(patches, (0, 0, 2, 2), strict=True)]
    metric = ClassKid(3)
    metric.reset()
    metric.update((list(patches), list(patches), sources))
    assert [k for k, _, _ in metric._seen] == [0, 0, 2, 2]
