"""The overlay that synthesises MR from label maps: channels, means of labels, phantoms, faults, a short training."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
from bundle_commands import TINY, Bundle, last_line, ok, voxels
from mr2ct_pix2pix.label_maps import CheckLabelsd, LabelChannelsd, LabelMeans, channel_count
from mr2ct_pix2pix.phantoms import labels_of, write_labelled
from torch.nn import functional as F

from common.errors import ConfigError, DataError
from common.networks.slabs import slabs
from common.simulation.head import Anatomy
from common.simulation.tissues import HOUNSFIELD

BUNDLE = Bundle("mr2ct_pix2pix")
NETWORK = {"width": 2, "spacing": None}
"""Settings of the overlay that others are given for, in its evaluation too."""
SMALL = {**TINY, **NETWORK, "crop_size": 32, "pad_size": 48}


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("labels") / "data"
    write_labelled(root, cases=4, spacing=5.0, seed=7)
    return root


@pytest.fixture(scope="module")
def run(written, tmp_path_factory) -> Path:
    """A training of a few steps."""
    folder = tmp_path_factory.mktemp("labels_run")
    ok(BUNDLE.run("training", ["train", "from_labels"], dataset_dir=written, output_dir=folder, **SMALL))
    return folder


def saved(path: Path, values: np.ndarray) -> str:
    nib.save(nib.Nifti1Image(values, np.eye(4)), path)
    return str(path)


def test_each_label_has_a_channel_and_the_background_has_none():
    made = LabelChannelsd("image", [7, 2])({"image": torch.tensor([[[0.0, 2.0], [7.0, 7.0]]])})["image"]
    assert made.tolist() == [[[-1, -1], [1, 1]], [[-1, 1], [-1, -1]]]
    assert made.dtype == torch.float32


def test_channels_of_a_slab_are_the_slab_of_the_channels():
    """Training makes them of a slab, validation and inference of a volume."""
    volume = torch.from_numpy(np.random.default_rng(0).integers(0, 4, (1, 3, 4, 5)).astype(np.float32))
    channels = LabelChannelsd("image", [1, 2, 3])
    of_slab = channels({"image": slabs(volume, 2, 3, range(1, 2))[0]})["image"]
    of_volume = slabs(channels({"image": volume})["image"], 2, 3, range(1, 2))[0]
    assert of_slab.shape == (9, 3, 4)
    torch.testing.assert_close(of_slab, of_volume)


def test_what_a_slice_is_padded_with_in_inference_is_background():
    made = LabelChannelsd("image", [1])({"image": torch.tensor([[[1.0, 0.0]]])})["image"]
    torch.testing.assert_close(F.pad(made[:, :, :1], (0, 1), value=-1), made)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "--labels is None, not a list of labels: pass those of the maps"),
        ([], "--labels is [], not a list of labels: pass those of the maps"),
        ([1, 0], "--labels has 0, not a whole number above 0: omit it; 0 is the background"),
        ([1, 0.5], "--labels has 0.5, not a whole number above 0: omit it"),
        ([1, 2, 1], "--labels is [1, 2, 1], with a label twice: list each label once"),
    ],
)
def test_missing_and_faulty_labels_are_refused(labels, message):
    with pytest.raises(ConfigError) as caught:
        channel_count(labels, 1)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0, 1, 5, 9], "case_07: source has labels that --labels lacks (5, 9): add them to --labels, or set them to"),
        ([0, 0.25, 1], "case_07: source has values that are no labels, such as 0.25: give a map of whole numbers"),
    ],
)
def test_a_source_that_is_no_map_of_the_labels_is_refused(values, message):
    item = {"case": "case_07", "image": torch.tensor([[values]], dtype=torch.float32)}
    with pytest.raises(DataError) as caught:
        CheckLabelsd("image", [1, 2])(item)
    assert message in str(caught.value)


def test_the_mean_of_a_label_is_over_all_training_cases_in_z_scores_of_each(tmp_path):
    """Means of the halves of a head of two tissues are one below and above its mean, whatever the scale."""
    labels = np.zeros((4, 4, 4), np.int16)
    labels[1:3, 1:3], labels[1:3, 3] = 1, 2
    items = []
    for number, (low, high) in enumerate([(100, 200), (1000, 5000)]):
        image = np.zeros(labels.shape, np.int16)
        image[labels == 1], image[labels == 2] = low, high
        folder = tmp_path / str(number)
        folder.mkdir()
        paths = {"image": saved(folder / "labels.nii", labels), "label": saved(folder / "mr.nii", image)}
        items.append({"case": str(number), **paths})
    means = LabelMeans({"training": items}, head_threshold=0)
    counted, deviation = 24, np.sqrt((16 * 1 / 9 + 8 * 4 / 9) / 23)  # 16 voxels at 0, 8 at 1, mean 1/3
    assert (labels > 0).sum() == counted
    made = means(np.array([[[1.0, 2.0, 7.0]]]))
    np.testing.assert_allclose(made, [[[-1 / 3 / deviation, 2 / 3 / deviation, 0.0]]], rtol=1e-5)


def test_a_voxel_has_the_label_of_the_tissue_that_it_has_most_of():
    shares = {"csf": [0.6, 0.0, 0.0, 0.0], "white": [0.4, 0.3, 0.0, 0.0], "stem": [0.0, 0.3, 0.0, 0.0],
              "grey": [0.0, 0.4, 0.0, 0.0], "lesion": [0.0, 0.0, 0.9, 0.0], "vessel": [0.0, 0.0, 0.1, 0.6],
              "background": [0.0, 0.0, 0.0, 0.4]}  # fmt: skip
    whole = {name: np.array(shares.get(name, [0.0] * 4), np.float32)[None, None] for name in HOUNSFIELD}
    assert labels_of(Anatomy(whole, np.eye(4), 1.0)).tolist() == [[[1, 2, 8, 9]]]


def test_labels_of_training_slices_are_never_interpolated(written):
    parser = BUNDLE.parser("train", "from_labels", dataset_dir=str(written), data_check=False, **SMALL)
    sample = parser.get_parsed_content("train::dataset")[0]
    assert sample["image"].shape == (27, 32, 32)
    assert set(sample["image"].unique().tolist()) == {-1.0, 1.0}
    assert (sample["image"].view(9, 3, 32, 32) > 0).sum(dim=0).max() == 1


def test_inference_takes_a_label_map_and_the_evaluation_has_the_mean_of_each_label(written, run):
    told = json.loads((run / "models" / "model.json").read_text())
    assert told["settings"]["labels"] == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    ok(BUNDLE.run("inference", ["inference"], output_dir=run, dataset_dir=written))
    made = voxels(run / "predictions" / "phantom_000_synthetic_mr.nii.gz")
    assert made.shape == (40, 48, 40)
    assert 0 < made.max() <= 1000
    ok(BUNDLE.run("evaluating", ["train", "evaluate", "from_labels"], output_dir=run, dataset_dir=written, **NETWORK))
    rows = pd.read_csv(run / "evaluation" / "metrics.csv").set_index("method")
    assert set(rows.index) == {"model", "linear_fit", "label_mean"}
    assert rows.loc["label_mean", "mae"] < rows.loc["linear_fit", "mae"]


def test_a_map_of_other_labels_ends_a_training_before_its_first_step(written, tmp_path):
    done = BUNDLE.run(
        "training", ["train", "from_labels"], dataset_dir=written, output_dir=tmp_path, labels="[1,2]", **SMALL
    )
    assert done.returncode == 2
    assert "source has labels that --labels lacks (3, 4, 5, 6, 7, 8" in last_line(done.stderr)
    assert not (tmp_path / "models").exists()
