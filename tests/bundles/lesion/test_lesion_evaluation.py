import json
import logging
import re

import pytest
import torch
from bundle_commands import Bundle
from lesion_dcgan_aug.data.class_patches import load_patches
from lesion_dcgan_aug.evaluation import SampleEvaluation
from lesion_dcgan_aug.latent import Latent
from lesion_dcgan_aug.phantoms import write_liver_lesions
from torch import nn

from common.errors import DataError, OutputError
from common.weights import checkpoints

BUNDLE = Bundle("lesion_dcgan_aug")
CLASSES = ["cyst", "metastasis", "hemangioma"]


class Copying(nn.Module):
    """A generator that gives one of its training patches, with a little noise, by the first number of z."""

    def __init__(self, patches, noise):
        super().__init__()
        self.register_buffer("patches", patches)
        self.noise = noise

    def forward(self, x):
        classes = x[:, 100:].argmax(1)
        chosen = ((x[:, 0] + 1) / 2 * 0.999 * self.patches.shape[1]).long()
        grain = torch.randn(len(x), 1, 64, 64, generator=torch.Generator().manual_seed(0))
        return self.patches[classes, chosen] + self.noise * grain


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("evaluation") / "data"
    write_liver_lesions(root, 12, 4.0, seed=2)
    return root


@pytest.fixture(scope="module")
def parts(data, tmp_path_factory):
    places = {"dataset_dir": str(data), "output_dir": str(tmp_path_factory.mktemp("parts")), "width": 1}
    parser = BUNDLE.parser("train", **places)
    names = {"cases": "data", "preprocessing": "preprocessing"}
    return {argument: parser.get_parsed_content(name) for argument, name in names.items()}


@pytest.fixture(scope="module")
def training(parts):
    """As many training patches of each class as the smallest has, (K, N, 1, 64, 64)."""
    cases = parts["cases"]["training"]
    sets = [load_patches([i for i in cases if i["class"] == name], parts["preprocessing"]) for name in CLASSES]
    return torch.stack([own[: min(map(len, sets))] for own in sets])


def evaluate(parts, network, out, **settings):
    checkpoints.save(network.state_dict(), out / "models" / "model.pt")
    return SampleEvaluation(
        **{**parts, **settings},
        classes=CLASSES,
        network=network,
        latent=Latent(100, 3),
        device=torch.device("cpu"),
        output_dir=str(out),
        bundle="lesion_dcgan_aug 0.1.0",
        window=(-60, 200),
        samples=30,
    )


def test_a_generator_that_copies_is_found_out(parts, training, tmp_path, capsys, caplog):
    with caplog.at_level(logging.WARNING):
        summary = evaluate(parts, Copying(training, 0.02), tmp_path).run()
    assert summary["model"]["copied"]["mean"] > 0.9
    said = capsys.readouterr().out
    for name in CLASSES:
        assert re.search(rf"^model, {name}: COPIES training images: \d+% of samples", said, re.MULTILINE)
        assert f"model, {name}: COPIES" in caplog.text
    assert "COPIES training images" in (tmp_path / "evaluation" / "report.html").read_text()


def test_a_generator_that_collapsed_is_found_out(parts, training, tmp_path, capsys):
    mean = training.mean(1, keepdim=True)
    summary = evaluate(parts, Copying(mean, 0.02), tmp_path).run()
    assert summary["model"]["diversity"]["mean"] < 0.3
    assert summary["model"]["kid"]["mean"] > 4 * abs(summary["real_floor"]["kid"]["mean"])
    assert len(re.findall("^model, .*MODE COLLAPSE", capsys.readouterr().out, re.MULTILINE)) == 3


def test_real_patches_reach_the_floor(parts, training, tmp_path):
    """A generator of the very training patches is as near to the held-out ones as the floor, unlike noise."""
    summary = evaluate(parts, Copying(training, 0.0), tmp_path).run()
    kid = {method: cells["kid"]["mean"] for method, cells in summary.items()}
    assert abs(kid["model"] - kid["real_floor"]) < 0.2 * kid["noise"]
    assert 0.8 < summary["model"]["diversity"]["mean"] < 1.25
    saved = json.loads((tmp_path / "evaluation" / "summary.json").read_text())
    assert saved["model"]["kid"] == pytest.approx(summary["model"]["kid"])


def test_no_held_out_patches_are_refused(parts, training, tmp_path):
    cases = {**parts["cases"], "test": []}
    with pytest.raises(DataError, match="section test has no patches to compare samples with: add patients"):
        evaluate(parts, Copying(training, 0.0), tmp_path, cases=cases).run()


def test_an_evaluation_that_could_not_be_written_draws_no_samples(parts, tmp_path):
    (tmp_path / "evaluation").write_text("a file of another program")
    with pytest.raises(OutputError, match=r"cannot write .*evaluation \(File exists\): free space or choose another"):
        evaluate(parts, nn.Identity(), tmp_path).run()  # an identity makes no patches
