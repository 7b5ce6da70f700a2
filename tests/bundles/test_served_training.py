"""Training as MONAI Label starts it: with data, epochs, device and handlers of its own put into train.yaml."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import monai.bundle
import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
from bundle_commands import BUNDLES, Bundle

from common.weights import checkpoints

PAIRED = [name for name in BUNDLES if Bundle(name).traits["trained_on_pairs"]]
FEW = {"val_interval": 1, "batch_size": 2, "samples_per_epoch": 4}


STAGED = "pd2t2_dcgan_acm"
OTHERS = [
    pytest.param(name, marks=[pytest.mark.slow, *([] if name == STAGED else [pytest.mark.longest])])
    for name in PAIRED[1:]
]
"""Of which continuous integration runs one cascade, whose stages share the epochs of a server."""


@pytest.fixture(params=[PAIRED[0], *OTHERS])
def served(request, tiny_data_of, tmp_path) -> Served:
    return Served(Bundle(request.param), tiny_data_of, tmp_path)


@pytest.fixture
def pix2pix(tiny_data_of, tmp_path) -> Served:
    return Served(Bundle("mr2ct_pix2pix"), tiny_data_of, tmp_path)


class Served:
    """A bundle in the folder of a server, and three pairs as it knows them: a file of the source and one of the target.

    Channels of the source lie along a fourth dimension of its file.
    """

    def __init__(self, bundle: Bundle, data_of: Callable[[Bundle], Path], root: Path) -> None:
        self.bundle = bundle
        self.folder = root / bundle.name
        self.weights = self.folder / "models" / "model.pt"
        shutil.copytree(bundle.configs, self.folder / "configs")
        data, config = shutil.copytree(data_of(bundle), root / "data"), bundle.raw("train")
        sources, target = config["source"].split(","), config["target"]
        cases = sorted(path for path in data.iterdir() if path.is_dir())[:3]
        self.pairs = [{"image": _stacked(case, sources), "label": str(case / f"{target}.nii.gz")} for case in cases]

    def train(self, epochs: int, pretrained: bool = False) -> pd.DataFrame:
        """Two pairs to train on and one to validate; returns the log."""
        handlers = self.bundle.raw("train")["train"]["handlers"]
        loader = {"_target_": "CheckpointLoader", "load_path": str(self.weights), "strict": False}
        loader["load_dict"] = {"model": "$@network"}
        assert "CheckpointLoader" not in [handler.get("_target_") for handler in handlers], "the server asks each"
        overrides: dict[str, Any] = {
            "bundle_root": str(self.folder),
            "train#trainer#max_epochs": epochs,
            "train#dataset#data": self.pairs[:2],
            "device": "cpu",
            "train#handlers": [*([loader] if pretrained else []), *handlers],
            "validate#dataset#data": self.pairs[2:],
        }
        small = self.bundle.own("demo") | FEW | self.bundle.small_patches
        monai.bundle.run(
            run_id="run",
            meta_file=str(self.folder / "configs" / "metadata.json"),
            config_file=str(self.folder / "configs" / "train.yaml"),
            **{key: value for key, value in small.items() if key != "max_epochs"} | overrides,
        )
        return pd.read_csv(self.folder / "log.csv")


def _stacked(case: Path, sources: list[str]) -> str:
    """The path of the channels in one file."""
    channels = [nib.load(case / f"{name}.nii.gz") for name in sources]
    values = np.stack([np.asarray(channel.dataobj) for channel in channels], axis=-1).astype(np.float32)
    nib.save(nib.Nifti1Image(np.squeeze(values), channels[0].affine), case / "image.nii.gz")
    return str(case / "image.nii.gz")


def test_two_epochs_are_trained_on_the_data_of_the_server(served):
    log = served.train(epochs=2)
    assert log["epoch"].tolist() == [1, 2]
    (validated,) = (log[name] for name in log if name.startswith("val_"))
    assert np.isfinite(validated).all()
    if "stages" in served.bundle.raw("train"):
        assert log["stage"].tolist() == [1, 2]
    network = served.bundle.parser("train", "demo").get_parsed_content("network_def")
    checkpoints.load_weights(network, served.weights)
    assert json.loads((served.folder / "run.json").read_text())["config"]["device"] == "cpu"
    assert not (served.folder / "datalist.json").exists(), "no data but those of the server are looked for"
    assert not (served.folder / "demo_data").exists()
    told = json.loads((served.folder / "models" / "model.json").read_text())["trained_on"]
    assert (told["data"], told["cases"]) == ("images", {"training": 2})


def test_a_training_begins_with_the_weights_that_were_served(pix2pix):
    pix2pix.train(epochs=1)
    first = checkpoints.load(pix2pix.weights)["decoder.4.1.weight"].clone()
    pix2pix.train(epochs=1)
    pix2pix.train(epochs=1, pretrained=True)
    anew, after = (
        checkpoints.load(path)["decoder.4.1.weight"]
        for path in (pix2pix.folder / "models" / "previous" / "model.pt", pix2pix.weights)
    )
    torch.testing.assert_close(anew, first, rtol=0, atol=0)  # without them the same run is repeated
    assert 0 < (after - first).abs().max() < 0.02, "a few steps of Adam at 1.0e-3 away, unlike fresh weights"
