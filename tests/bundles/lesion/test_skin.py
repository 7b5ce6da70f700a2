"""Progressive growing by hand, drawn skin, and RGB patches on the path of the others."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import pytest
import torch
from bundle_commands import Bundle, ok
from lesion_dcgan_aug.latent import Latent
from lesion_dcgan_aug.method import Progressive
from lesion_dcgan_aug.networks import ClassDiscriminators, ClassGenerators
from lesion_dcgan_aug.progressive import (
    BatchDeviation,
    Equalised,
    PixelNorm,
    ProgressiveDiscriminator,
    ProgressiveGenerator,
    grown_at,
)
from lesion_dcgan_aug.samples import SampleExporter
from lesion_dcgan_aug.skin import write_skin_lesions
from PIL import Image
from torch import nn
from torch.nn import functional as F

from common.data.sample_requests import requests
from common.losses import AdversarialLoss

LESION = Bundle("lesion_dcgan_aug")


def test_each_level_fades_in_and_stays_as_long() -> None:
    steps = (0, 9, 10, 15, 20, 29, 30, 35, 40, 1000)
    assert [grown_at(step, 10, 3) for step in steps] == [0, 0, 0, 0.5, 1, 1, 1, 1.5, 2, 2]


def test_layers_by_hand() -> None:
    layer = Equalised(nn.Linear(4, 1))
    layer.layer.weight.data.fill_(3.0)
    layer.layer.bias.data.fill_(1.0)
    assert layer(torch.ones(1, 4)).item() == pytest.approx(1 + 4 * 3 * (2 / 4) ** 0.5)
    assert PixelNorm()(torch.tensor([[[3.0]], [[4.0]]]).reshape(1, 2, 1, 1)).flatten() == pytest.approx(
        torch.tensor([3.0, 4.0]) / 12.5**0.5
    )
    batch = torch.tensor([1.0, 3.0]).reshape(2, 1, 1, 1).expand(2, 1, 4, 4)
    assert BatchDeviation()(batch)[:, 1] == pytest.approx(torch.ones(2, 4, 4))


@torch.no_grad()
def test_growing_is_continuous_and_starts_from_the_level_before() -> None:
    generator, critic = ProgressiveGenerator(8, 4, levels=3), ProgressiveDiscriminator(4, levels=3)
    z = torch.rand(2, 9)
    images = {}
    for grown in (0.0, 1.0, 1.0001, 1.5, 2.0):
        generator.grown.fill_(grown)
        images[grown] = generator(z)
        assert images[grown].shape == (2, 3, 16, 16)
    coarse = F.avg_pool2d(images[0.0], 4)
    assert F.interpolate(coarse, scale_factor=4.0) == pytest.approx(images[0.0], abs=1e-6)  # 4 x 4 pixels, enlarged
    assert images[1.0001] == pytest.approx(images[1.0], abs=1e-2)
    assert images[1.5] == pytest.approx((images[1.0] + images[2.0]) / 2, abs=1e-5)
    x = torch.rand(2, 3, 16, 16)
    critic.grown.fill_(1.0)
    before = critic(F.avg_pool2d(x, 2))
    critic.grown.fill_(1.0001)
    assert critic(x) == pytest.approx(before, abs=1e-3)
    assert not torch.equal(images[2.0], generator(torch.rand(2, 9)))
    other = torch.cat([z[:, :8], torch.rand(2, 1)], dim=1)
    assert torch.equal(generator(other), images[2.0])  # the class is not used


def test_steps_alone_say_how_far_a_method_has_grown() -> None:
    generator, critic = ProgressiveGenerator(8, 4, levels=3), ProgressiveDiscriminator(4, levels=3)
    losses = {"adversarial": {"weight": 1}, "feature_matching": {"weight": 0}}
    method = Progressive(
        10, generator=generator, discriminator=critic, latent=Latent(8, 1), classes=["lesion"], losses=losses,
        adversarial_loss=AdversarialLoss("wasserstein", gradient_penalty=10),
    )  # fmt: skip
    batch = {"image": torch.rand(4, 3, 16, 16)}
    for step, grown, trained in ((1, 0, 1), (16, 0.5, 2), (100, 2, 3)):
        method.begin_step(step)
        assert (float(generator.grown), float(critic.grown)) == (grown, grown)
        fakes = method.generate(batch)
        named = method.discriminator_losses(batch, fakes)
        assert set(named) == {"discriminator_lesion", "discriminator_penalty"}
        method.zero_grad()
        method.loss("adversarial", batch, fakes).backward()
        reached = [any(p.grad is not None for p in block.parameters()) for block in generator.blocks]
        assert sum(reached) == trained
    coarse = F.interpolate(F.avg_pool2d(batch["image"], 4), scale_factor=4.0)
    method.begin_step(1)  # as a run that is resumed at its start
    torch.manual_seed(0)
    one = method.discriminator_losses(batch, fakes)
    torch.manual_seed(0)
    other = method.discriminator_losses({"image": coarse}, fakes)  # 4 x 4 pixels are all that it sees
    assert one["discriminator_lesion"].item() == pytest.approx(other["discriminator_lesion"].item(), abs=1e-5)


@torch.no_grad()
def test_the_dcgan_has_a_layer_more_for_128_pixels_and_as_many_channels_as_colours() -> None:
    generator = ClassGenerators(1, 100, width=2, channels=3, side=128)
    critic = ClassDiscriminators(1, width=2, channels=3, side=128)
    made = generator(torch.rand(2, 101))
    assert made.shape == (2, 3, 128, 128)
    assert critic(made).shape == (2, 1)
    assert critic.discriminators[0](made)[:, 0] == pytest.approx(critic(made)[:, 0])


def test_samples_in_colour_are_a_marked_picture_and_a_stack(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(b"weights")
    exporter = SampleExporter(
        classes=["lesion"], unit="HU", output_dir=str(tmp_path / "out"), data=requests(["lesion"], 1, 0),
        window=[0, 255], bundle="lesion 1", weights=str(tmp_path / "model.pt"),
    )  # fmt: skip
    pred = torch.zeros(3, 8, 6)  # 8 columns, 6 rows from above
    pred[0, 7, 0] = 300.0
    pred[2, 0, 5] = 40.0
    engine: Any = SimpleNamespace(state=SimpleNamespace(output=[{"pred": pred}]))
    exporter.require_free(engine)
    exporter(engine)
    exporter.write(engine)
    picture = Image.open(tmp_path / "out" / "lesion_synthetic.png")
    assert (picture.mode, picture.size) == ("RGB", (8, 6))
    assert picture.getpixel((7, 0)) == (255, 0, 0)
    assert picture.getpixel((0, 5)) == (0, 0, 40)
    assert picture.text["Description"] == "SYNTHETIC lesion 1, not for clinical use"
    assert nib.load(tmp_path / "out" / "lesion_synthetic.nii.gz").shape == (8, 6, 1, 3)
    assert json.loads((tmp_path / "out" / "lesion_synthetic.json").read_text())["Unit"] == "levels"


def test_patches_in_colour_train_are_scored_by_scale_and_sampled(tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    write_skin_lesions(data, cases=12)
    settings = {"dataset_dir": data, "output_dir": out, "width": 2, "batch_size": 4}
    short = {"max_epochs": 1, "constant_epochs": 1, "samples_per_epoch": 16, "val_interval": 1}
    done = ok(LESION.run("training", ["train", "skin"], **settings, **short, **{"method::grow_steps": 1}))
    assert "validation kid" in done.stderr + done.stdout
    assert float(torch.load(out / "models" / "model.pt", weights_only=True)["grown"]) == 1.0
    ok(LESION.run("evaluating", ["train", "evaluate", "skin"], samples=4, **settings))
    rows = json.loads((out / "evaluation" / "summary.json").read_text())
    assert {"kid", "diversity", "swd_128", "swd_64", "swd_32", "swd_16"} <= rows["model"].keys()
    assert rows["real_floor"]["swd_128"]["mean"] < rows["noise"]["swd_128"]["mean"]
    weights = {"weights": out / "models" / "model.pt", "predictions_dir": tmp_path / "made", "samples": 2}
    ok(LESION.run("inference", ["inference"], **weights))
    assert Image.open(tmp_path / "made" / "lesion_synthetic.png").size == (257, 128)
