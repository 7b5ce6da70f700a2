"""Training of the segmenters on simulated heads: the samples, the file, and bad options."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from common.segmenter import NAMES
from common.segmenter.network import TissueSegmenter
from common.simulation.simulate import UNCLASSED
from common.weights import checkpoints
from tools.tissue_segmenter import training
from tools.tissue_segmenter.__main__ import main
from tools.tissue_segmenter.training import SIDE, Settings, scaling, simulated, training_slices


def test_samples_are_slices_with_the_class_of_each_pixel() -> None:
    slices = training_slices(Settings("CT", None, 1))
    samples = [slices[place] for place in range(12)]
    for sample in samples:
        assert sample["image"].shape == sample["label"].shape == (1, SIDE, SIDE)
        assert set(sample["label"].unique().int().tolist()) <= {*range(len(NAMES)), UNCLASSED}
    images, labels = (torch.cat([sample[key] for sample in samples]) for key in ("image", "label"))
    median = {name: float(images[labels == number].median()) for number, name in enumerate(NAMES)}
    rising = [median[name] for name in ("air", "fat", "white", "grey", "marrow", "bone")]  # fluid is thin
    assert rising == sorted(rising), median
    assert median["air"] < -900
    assert median["bone"] > 600
    again = training_slices(Settings("CT", None, 1))[5]
    assert torch.equal(again["image"], samples[5]["image"]), "a function of seed and index"


def test_mr_is_given_in_z_scores_inside_the_head() -> None:
    case = simulated(Settings("MR", None, 1), "training")(3)
    done = scaling("MR")({"image": torch.from_numpy(case["image"])[None], "case": "a"})
    inside = done["mask"] > 0
    assert float(done["image"][inside].mean()) == pytest.approx(0, abs=1e-4)
    assert float(done["image"][inside].std()) == pytest.approx(1, abs=1e-3)
    assert case["label"].shape == case["image"].shape
    assert case["label"].dtype == np.float32


def test_the_command_writes_weights_that_the_package_reads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "SPACINGS_MM", (5.0,))
    path = tmp_path / "own.pt"
    assert main(["--modality", "MR", "--steps", "2", "--cases", "1", "--out", str(path)]) == 0
    assert "white   Dice" in capsys.readouterr().out
    about = json.loads(path.with_suffix(".json").read_text())
    assert (about["modality"], about["steps"], about["seed"], about["label_maps"]) == ("MR", 2, 0, {})
    weights, network = checkpoints.load(path), TissueSegmenter("MR", len(NAMES))
    checkpoints.load_weights(network, path)
    name = "network.final_conv.bias"
    assert weights[name].dtype == torch.float16
    torch.testing.assert_close(network.state_dict()[name], weights[name].float())


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--steps", "0"], "--steps is 0, below 1"),
        (["--cases", "0"], "--cases is 0, below 1"),
        (["--label_maps", "nowhere"], "nowhere"),
    ],
)
def test_mistakes_are_named(options: list[str], named: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--modality", "CT", "--out", "own.pt", *options]) == 2
    assert named in capsys.readouterr().err
