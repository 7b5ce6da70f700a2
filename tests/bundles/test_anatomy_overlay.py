"""The overlay that compares tissues: its weight beside L1, laid over the published training and over ``resenc``."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch
from bundle_commands import Bundle, ok

from common.losses import AnatomicalL1

WEIGHTS = {"mr2ct_pix2pix": 40, "pd2t2_dcgan_acm": 1382.4}
"""Of the demos: a tenth of the 400 of L1, and of an L1 that is summed over 24^3 voxels of a patch."""

FALL = {"mr2ct_pix2pix": 0.9, "pd2t2_dcgan_acm": 1.0}
"""Of 48 steps; a stage of the second is a deep stack of narrow convolutions, which hardly begins to learn in 12."""


@pytest.fixture(scope="module", params=WEIGHTS)
def bundle(request: pytest.FixtureRequest) -> Bundle:
    return Bundle(request.param)


def test_it_weighs_a_tenth_of_l1(bundle: Bundle) -> None:
    parser = bundle.parser("train", "demo", "anatomy")
    assert parser.get_parsed_content("losses::anatomy::weight") == pytest.approx(WEIGHTS[bundle.name])
    loss = parser.get_parsed_content("losses::anatomy::function")
    assert isinstance(loss, AnatomicalL1)
    is_ct = bundle.name == "mr2ct_pix2pix"
    assert (len(loss.network.windows), loss.scale is None) == ((2, False) if is_ct else (1, True))
    over = bundle.parser(
        "train", "demo", "resenc", "anatomy", variant="resenc_anatomy", **{"losses::anatomy::weight": 0.1}
    )
    assert {name: loss["weight"] for name, loss in over.get_parsed_content("losses").items()} == {
        "l1": 1,
        "anatomy": 0.1,
    }


def test_air_and_bone_are_those_of_the_window() -> None:
    parser = Bundle("mr2ct_pix2pix").parser("train", "anatomy", target_window=[-1000, 2000])
    loss = parser.get_parsed_content("losses::anatomy::function")
    torch.testing.assert_close(loss.scale.unscaled(torch.tensor([-1.0, 0, 1])), torch.tensor([-1000.0, 500, 2000]))


@pytest.mark.slow
def test_a_training_lowers_it_over_both(bundle: Bundle, tmp_path: Path) -> None:
    data = tmp_path / "data"
    bundle.parser("train", **{"phantoms::cases": 6, "phantoms::spacing": 6}).get_parsed_content("phantoms")(data)
    sizes = {"pad_size": 48, "crop_size": 32} if "crop_size" in bundle.raw("train") else bundle.small_patches
    own = {"dataset_dir": data, "output_dir": tmp_path / "out", "batch_size": 2, "samples_per_epoch": 24, **sizes}
    own |= {"max_epochs": 4, "constant_epochs": 4, "decay_epochs": 0, "val_interval": 4}
    ok(bundle.run("training", ["train", "demo", "anatomy"], **own))
    over = {"variant": "resenc_anatomy", "losses::anatomy::weight": 0.1}
    ok(bundle.run("training", ["train", "demo", "resenc", "anatomy"], **own, **over))
    for name in ("anatomy", "resenc_anatomy"):
        with (tmp_path / "out" / "variants" / name / "log.csv").open(newline="") as log:
            losses = [float(row["anatomy"]) for row in csv.DictReader(log)]
        assert min(losses[1:]) < FALL[bundle.name] * losses[0], (name, losses)
