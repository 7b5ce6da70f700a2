"""t-SNE of features: groups that are apart stay apart, and the table and the figure hold all of them."""

import io

import numpy as np
import pandas as pd
import pytest
import torch
from lesion_dcgan_aug.study.classifier import LesionClassifier
from lesion_dcgan_aug.study.embedding import coordinates, embedding_png, read_table, tsne, write_table
from PIL import Image

CLASSES = ["cyst", "metastasis"]


def groups(apart=8.0, count=20, features=12):
    """Three groups of features around centres that lie apart along an axis each."""
    noise = np.random.default_rng(0).normal(0, 1, (3 * count, features))
    return noise + apart * np.eye(features)[np.repeat(np.arange(3), count)], np.repeat(np.arange(3), count)


def neighbours_of_another_group(places, labels):
    """Share of points whose nearest neighbour belongs to another group."""
    distances = np.linalg.norm(places[:, None] - places[None], axis=-1)
    np.fill_diagonal(distances, np.inf)
    return (labels[distances.argmin(1)] != labels).mean()


def test_separate_groups_are_shown_apart_and_equal_ones_are_not():
    features, labels = groups()
    places = tsne(features, seed=0)
    assert places.shape == (60, 2)
    assert neighbours_of_another_group(places, labels) == 0
    same, labels = groups(apart=0)
    assert neighbours_of_another_group(tsne(same, seed=0), labels) > 0.4


def test_the_same_seed_gives_the_same_picture():
    features, _ = groups(count=5)
    assert np.array_equal(tsne(features, seed=1), tsne(features, seed=1))
    assert tsne(features[:4], seed=0).shape == (4, 2), "of fewer patches than t-SNE's usual perplexity"


def table():
    torch.manual_seed(0)
    real = torch.rand(6, 1, 64, 64), torch.tensor([0, 0, 0, 1, 1, 1])
    synthetic = torch.rand(4, 1, 64, 64), torch.tensor([0, 0, 1, 1])
    return coordinates(LesionClassifier(2, 2), {"real": real, "synthetic": synthetic}, CLASSES, seed=3)


def test_the_table_names_kind_and_class_of_every_patch():
    found = table()
    assert found["kind"].tolist() == ["real"] * 6 + ["synthetic"] * 4
    assert found["class"].tolist() == [*["cyst"] * 3, *["metastasis"] * 3, *["cyst"] * 2, *["metastasis"] * 2]
    assert set(found["seed"]) == {3}
    assert np.isfinite(found[["x", "y"]].to_numpy()).all()


def test_the_table_of_these_classifiers_is_read_again_and_no_other(tmp_path):
    assert read_table(tmp_path, ["classic 5"], 3) is None
    written = table().assign(augmentation="classic 5")
    write_table(tmp_path, written)
    found = read_table(tmp_path, ["classic 5"], 3)
    assert found[["x", "y"]].to_numpy() == pytest.approx(written[["x", "y"]].to_numpy())
    assert read_table(tmp_path, ["classic 7"], 3) is None
    assert read_table(tmp_path, ["classic 5"], 4) is None


def test_the_figure_has_a_panel_for_each_classifier():
    one, two = table().assign(augmentation="a"), table().assign(augmentation="b")
    (narrow, _), (wide, _) = (
        Image.open(io.BytesIO(embedding_png(rows, CLASSES))).size for rows in (one, pd.concat([one, two]))
    )
    assert wide == pytest.approx(2 * narrow, abs=2)
    pixels = np.asarray(Image.open(io.BytesIO(embedding_png(one, CLASSES))).convert("RGB")).reshape(-1, 3).tolist()
    assert [0x1F, 0x5A, 0x8A] in pixels, "cysts"
    assert [0xB5, 0x52, 0x1B] in pixels, "metastases"
