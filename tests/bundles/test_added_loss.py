"""A loss of MONAI's in every bundle of pairs: one line of an overlay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from bundle_commands import BUNDLES, TINY, Bundle
from ignite.engine import Events
from monai.losses import SSIMLoss

from common.config import read_config

WINDOW = 7
"""Voxels; it fits into the patches of 16 of the 3-D bundles."""


PAIRED = pytest.mark.parametrize(
    "bundle", [name for name in BUNDLES if Bundle(name).traits["trained_on_pairs"]], indirect=True
)


def added(bundle: Bundle) -> tuple[str, dict[str, Any]]:
    """The one setting: its id and value."""
    place = "losses::sketcher::ssim" if "sketcher" in bundle.raw("train")["losses"] else "losses::ssim"
    dimensions = 3 if bundle.small_patches else 2
    function = {"_target_": "SSIMLoss", "spatial_dims": dimensions, "data_range": 2.0, "win_size": WINDOW}
    return place, {"weight": 0.5, "function": function}


@PAIRED
def test_one_line_of_an_overlay_adds_its_value_to_the_sum(
    bundle: Bundle, noise: dict[str, Any], tmp_path: Path
) -> None:
    place, value = added(bundle)
    overlay = tmp_path / "ssim.yaml"
    overlay.write_text(f"{place}: {value}\n")
    settings = {**noise, "output_dir": str(tmp_path), "device": "cpu", **TINY}
    files = [*bundle.files("train", "demo"), str(overlay)]
    trainer = read_config(files, **settings, **bundle.small_patches).get_parsed_content("train::trainer")
    independent = SSIMLoss(3 if bundle.small_patches else 2, data_range=2.0, win_size=WINDOW)
    seen = []

    def compare(engine: Any) -> None:
        output = engine.state.output
        seen.append(float(output["ssim"]))
        assert seen[-1] == pytest.approx(float(independent(output["pred"], output["label"])))
        weights = engine.method.loss_weights
        terms = [weight * float(output[name]) for name, weight in weights.items() if weight]
        assert float(output["loss"]) == pytest.approx(sum(terms), rel=1e-4)
        engine.terminate()

    trainer.add_event_handler(Events.ITERATION_COMPLETED(once=1), compare)
    torch.manual_seed(0)
    trainer.run()
    assert len(seen) == 1
