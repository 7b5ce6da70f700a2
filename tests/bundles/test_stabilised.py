"""Every bundle trains with all that stabilises an adversary, and with a loss of MONAI's, by options alone."""

from __future__ import annotations

import pandas as pd
import pytest
from bundle_commands import ok

LOSS = {"kind": "wasserstein", "gradient_penalty": 10, "r1": 1}
NETWORK = {"norm": "instance", "spectral_norm": "true"}
TRAINER = {"critic_steps": 2, "discriminator_rate": 4.0e-4}
PAIRS = "cect2ct_rescyclegan"
CRITICS = {PAIRS: 3, "brain3d_alphagan": 2}


def options(bundle):
    """All settings as options of the bundle's training."""
    discriminators = ["discriminator_def", *(["discriminator_pair_def"] if bundle.name == PAIRS else [])]
    stages = [f"{name}::" for name, losses in bundle.raw("train")["losses"].items() if "weight" not in losses] or [""]
    return {
        **{f"adversarial_loss::{name}": value for name, value in LOSS.items()},
        **{f"{discriminator}::{name}": value for discriminator in discriminators for name, value in NETWORK.items()},
        **{f"train::trainer::{name}": value for name, value in TRAINER.items()},
        **{f"losses::{stage}feature_matching::weight": 10 for stage in stages},
        **(added_loss(bundle, stages[0]) if bundle.traits["trained_on_pairs"] else {}),
    }


def added_loss(bundle, stage):
    """A structural similarity, whose windows fit into the patches of 16 of the 3-D bundles."""
    dimensions = 3 if bundle.small_patches else 2
    function = {"_target_": "SSIMLoss", "spatial_dims": dimensions, "data_range": 2.0, "win_size": 7}
    return {f"losses::{stage}ssim": {"weight": 0.5, "function": function}}


@pytest.mark.slow_elsewhere
def test_all_settings_are_taken_and_train(bundle, tiny_data, tmp_path):
    small = {"max_epochs": 1, "val_interval": 1, "batch_size": 2, "samples_per_epoch": 8, **bundle.small_patches}
    places = {"dataset_dir": tiny_data, "output_dir": tmp_path / "out"}
    ok(bundle.run("training", ["train", "demo"], **places, **small, **options(bundle)))
    log = pd.read_csv(tmp_path / "out" / "log.csv")
    assert len(log) == bundle.stages
    penalties = [name for name in log if name.endswith("_penalty")]
    assert len(penalties) == CRITICS.get(bundle.name, 1)
    assert (log[[*penalties, "feature_matching"]] > 0).all().all()
    if bundle.traits["trained_on_pairs"]:
        assert log["ssim"].dropna().between(1e-3, 2).any()
    assert not [name for name in log if name.endswith("_accuracy")], "a critic has none"
