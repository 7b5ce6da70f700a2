"""Z-scores inside the head of the source, and the scale by which the target comes back."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from ignite.engine import Engine, Events
from monai.data import MetaTensor
from torch import nn

from common.data.datasets.patches import VolumePatchDataset
from common.errors import ConfigError, DataError
from common.stitching import TargetScaleInferer
from common.training.handlers import TargetScale
from common.transforms import StandardiseHeadd

DEVIATION = (20 / 3) ** 0.5
"""Of four values 2 apart: squares 9 + 1 + 1 + 9 over n - 1 = 3."""


def volume(*values: float) -> torch.Tensor:
    """(1, 8, 3, 1): the values along the middle row, 0 beside it."""
    voxels = torch.zeros(1, 8, 3, 1)
    voxels[0, :, 1, 0] = torch.tensor(values)
    return voxels


def middle(voxels: torch.Tensor, channel: int = 0) -> list[float]:
    return voxels[channel, :, 1, 0].tolist()


# the source's mean is 55 / 24 = 2.3: its head is 10 to 16, and 3 is apart from it
SOURCE = volume(0, 0, 10, 12, 14, 16, 0, 3)
TARGET = volume(90, 0, 1, 3, 5, 7, 0, -2)


def standardised(**items: Any) -> dict:
    return StandardiseHeadd(["image", "label"], allow_missing_keys=True)({"case": "c3", **items})


def test_z_scores_by_hand_of_both_over_the_head_of_the_source_which_becomes_the_mask():
    affine = torch.diag(torch.tensor([2.0, 2, 3, 1]))
    item = standardised(image=MetaTensor(SOURCE, affine=affine), label=TARGET)
    # of the target 1, 3, 5, 7: the bright voxel outside the source's head does not count
    for key, given, mean in (("image", SOURCE, 13), ("label", TARGET, 4)):
        assert middle(item[key]) == pytest.approx([(value - mean) / DEVIATION for value in middle(given)])
        assert item[f"{key}_scale"].tolist() == pytest.approx([mean, DEVIATION])
    assert item["image"].dtype == torch.float32
    assert item["image"][0, :, 0, 0].tolist() == pytest.approx([-13 / DEVIATION] * 8)
    torch.testing.assert_close(item["mask"].as_tensor(), volume(0, 0, 1, 1, 1, 1, 0, 0), rtol=0, atol=0)
    assert item["mask"].affine.diag().tolist() == [2, 2, 3, 1]
    torch.testing.assert_close(standardised(image=SOURCE)["image"], item["image"].as_tensor(), rtol=0, atol=0)


def test_what_lies_outside_the_head_becomes_the_background_in_source_and_target_alike():
    items = {"case": "c3", "image": SOURCE, "label": TARGET}
    item = StandardiseHeadd(["image", "label"], background=-3)(items)
    for key, mean in (("image", 13), ("label", 4)):
        kept = [(value - mean) / DEVIATION for value in middle(items[key])[2:6]]
        assert middle(item[key]) == pytest.approx([-3, -3, *kept, -3, -3])
        assert item[key][0, :, 0, 0].tolist() == [-3] * 8
        assert item[f"{key}_scale"].tolist() == pytest.approx([mean, DEVIATION])


def test_each_channel_over_the_head_of_the_first():
    second = volume(0, 500, 100, 120, 140, 160, 0, 0)
    item = standardised(image=torch.cat([SOURCE, second]))
    expected = [(value - 130) / (10 * DEVIATION) for value in (0, 500, 100, 120, 140, 160, 0, 0)]
    assert middle(item["image"], 1) == pytest.approx(expected)
    assert item["image_scale"].tolist() == pytest.approx([13, DEVIATION])


def test_cavities_of_an_axial_slice_belong_to_the_head():
    # a ring of 8 around a dark voxel: values 4 x 9, 4 x 11 and 0 have mean 80 / 9
    source = torch.zeros(1, 5, 5, 1)
    source[0, 1:4, 1:4, 0] = torch.tensor([[9.0, 11, 9], [11, 0, 11], [9, 11, 9]])
    assert standardised(image=source)["image_scale"][0] == pytest.approx(80 / 9)


def test_a_mask_that_is_there_is_kept_as_0_and_1_and_does_not_scale():
    item = standardised(image=SOURCE, mask=volume(0, 7, 0.5, 0, -1, 0, 0, 1))
    assert middle(item["mask"]) == [0, 1, 1, 0, 0, 0, 0, 1]
    assert item["image_scale"].tolist() == pytest.approx([13, DEVIATION])


def test_a_target_that_is_flat_inside_the_head_and_a_source_without_a_head_are_refused():
    message = "c3: label is 5 everywhere inside the head, and cannot be standardised: check the file"
    with pytest.raises(DataError, match=message):
        standardised(image=SOURCE, label=volume(0, 9, 5, 5, 5, 5, 0, 0))
    with pytest.raises(
        DataError, match=r"c3: the volume has no voxel above the head's threshold 4.0 \(its maximum is "
    ):
        standardised(image=torch.full((1, 4, 4, 4), 4.0))


def test_the_head_may_be_what_is_above_a_threshold():
    """Above 13 the source is 14 and 16, whose truth is 5 and 7."""
    item = StandardiseHeadd("label", threshold=13)({"case": "c3", "image": SOURCE, "label": TARGET})
    assert item["label_scale"].tolist() == pytest.approx([6, 2**0.5])
    assert middle(item["mask"]) == [0, 0, 0, 0, 1, 1, 0, 0]


def test_a_fixed_scale_takes_the_place_of_the_case_s_own_in_one_key():
    fixed = StandardiseHeadd(["image", "label"], fixed={"label": [-100, 50]})
    item = fixed({"case": "c3", "image": SOURCE, "label": TARGET})
    assert middle(item["label"]) == pytest.approx([3.8, 2, 2.02, 2.06, 2.1, 2.14, 2, 1.96])
    assert item["label_scale"].tolist() == [-100, 50]
    assert item["image_scale"].tolist() == pytest.approx([13, DEVIATION])
    for values in ([0, 0], [0, -500], [500], [0, float("nan")]):
        with pytest.raises(ConfigError, match="fixed scale of label is .*, not a mean and a positive deviation"):
            StandardiseHeadd(["image", "label"], fixed={"label": values})


class Scaled(nn.Module):
    """A network that keeps the scale of its targets."""

    def __init__(self, *scale: float) -> None:
        super().__init__()
        self.register_buffer("target_scale", torch.tensor(scale, dtype=torch.float32))


def run(dataset: Any, network: Scaled, completed: int = 0) -> list[list[float]]:
    """The network's scale in each step of epochs of one step up to the third."""
    seen: list[list[float]] = []
    engine = Engine(lambda _, batch: seen.append(network.target_scale.tolist()))
    TargetScale(dataset, network).attach(engine)
    # a later change of the cases' scales must not reach the network
    engine.add_event_handler(Events.EPOCH_COMPLETED, lambda: dataset.scales.update(late=torch.tensor([1e3, 1e3])))
    if completed:
        engine.load_state_dict({"epoch": completed, "max_epochs": 3, "epoch_length": 1})
    engine.run([0], max_epochs=3, epoch_length=1)
    return seen


def test_a_new_run_takes_the_mean_scale_of_its_cases_before_the_first_step():
    dataset = SimpleNamespace(scales={"a": torch.tensor([100.0, 10.0]), "b": torch.tensor([200.0, 30.0])})
    assert run(dataset, Scaled(0, 1)) == [[150, 20]] * 3


def test_a_resumed_run_keeps_the_scale_of_its_weights():
    dataset = SimpleNamespace(scales={"a": torch.tensor([100.0, 10.0])})
    assert run(dataset, Scaled(7, 2), completed=1) == [[7, 2]] * 2


def test_the_scales_are_those_that_the_data_set_of_patches_collects_and_targets_come_back_by_them():
    data = [{"case": "a", "image": SOURCE, "label": TARGET}, {"case": "b", "image": SOURCE, "label": 3 * TARGET + 8}]
    dataset = VolumePatchDataset(data, StandardiseHeadd(["image", "label"]), patch_size=(2, 2, 1), foreground_share=0)
    network = Scaled(0, 1)
    TargetScale(dataset, network)(Engine(lambda *_: None))
    # means 4 and 20, deviations d and 3 d
    assert network.target_scale.tolist() == pytest.approx([12, 2 * DEVIATION])
    restored = TargetScaleInferer(lambda image, network: image.clone())(TARGET, network)
    torch.testing.assert_close(restored, TARGET * 2 * DEVIATION + 12)
