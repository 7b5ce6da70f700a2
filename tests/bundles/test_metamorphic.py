"""The whole path of an inference: the same voxels however a source is stored, placed and computed.

Here for one bundle of slices and one of patches, several channels and stages; ``make metamorphic`` has every bundle.
"""

from __future__ import annotations

import numpy as np
import pytest

from tools.checks.metamorphic.copies import BASE, Copy, back, write_copies
from tools.checks.metamorphic.runs import infer, inference_settings, training_settings, volumes, write_weights
from tools.checks.metamorphic.sources import channels_of
from tools.checks.metamorphic.table import COMPUTED, SPACING, STORED, rows_of

SHOWN = ("mr2ct_pix2pix", pytest.param("mri2pet_sketcher_refiner", marks=pytest.mark.longest))
pytestmark = [pytest.mark.slow, pytest.mark.parametrize("bundle", SHOWN, indirect=True)]

MIRRORED = Copy("mirrored", world=np.diag([-1.0, 1, 1, 1]))
"""The same voxels, but of a head whose left is right."""


def test_only_storage_place_and_batches_change_and_no_voxel_does(bundle, tmp_path):
    rows = rows_of(bundle.name, tmp_path)
    counts = {family: sum(row.family == family for row in rows) for family in (STORED, SPACING, COMPUTED)}
    several = "," in bundle.raw("train")["source"]  # channels, which one file may hold too
    assert counts == {STORED: 22 + several, SPACING: 22, COMPUTED: 7 + ("patch_size" in bundle.raw("train"))}
    assert [row for row in rows if not row.holds] == []
    assert all(row.mean < 1 for row in rows if row.unit == "HU" and row.family != COMPUTED)


def test_small_weights_on_an_image_with_distinct_left_and_right(bundle, tmp_path):
    """Otherwise the table would say nothing."""
    trained, modality = training_settings(bundle.name), inference_settings(bundle.name)["data"]["source_modality"]
    channels = channels_of(trained["source"].split(","), modality, trained.get("source_window"))
    write_weights(bundle.name, tmp_path / "model.pt")
    write_copies([BASE, MIRRORED], channels, tmp_path / "data")
    places = {"dataset_dir": tmp_path / "data", "weights": tmp_path / "model.pt", "predictions_dir": tmp_path / "out"}
    made = volumes(infer(bundle.name, **places)[0])
    base, affine = made[BASE.case]
    mirrored, _ = back(*made[MIRRORED.case], base.shape, MIRRORED.world @ affine)
    inside = channels[0].values > np.median(channels[0].values)
    assert base[inside].std() > 0.1 * np.ptp(base)
    assert np.abs(mirrored - base)[inside].mean() > 0.05 * base[inside].std()
    assert abs(np.corrcoef(base[inside], channels[0].values[inside])[0, 1]) < 0.99, "not the source itself"
