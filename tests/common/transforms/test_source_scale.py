"""One scale for source and target: what it is, what it leaves, its inverse, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, Invertd

from common.errors import ConfigError, DataError
from common.transforms import ScaleBySourced

SHAPE = (8, 8, 4)


def case(factor: float = 1.0) -> dict[str, MetaTensor]:
    """A source whose head, a block of 4 x 4 x 4 voxels, has the values 1 to 64, and a target of 3 times as much."""
    source = torch.zeros(1, *SHAPE)
    source[0, 2:6, 2:6] = torch.arange(1.0, 65).reshape(4, 4, 4)
    return {"image": MetaTensor(factor * source), "label": MetaTensor(3 * factor * source)}


def test_both_are_divided_by_the_percentile_of_the_source_in_the_head() -> None:
    # the mean of the block is 32.5: the head begins at 33, so that its median is 48.5
    scaled = ScaleBySourced(["image", "label"], 50)(case())
    assert float(scaled["image"].max()) == pytest.approx(64 / 48.5)
    assert float(scaled["label"].max()) == pytest.approx(3 * 64 / 48.5)
    assert float(scaled["mask"].sum()) == 32
    mask = MetaTensor(2 * torch.ones(1, *SHAPE))
    assert ScaleBySourced("image")({**case(), "mask": mask})["mask"].unique().tolist() == [1]


@pytest.mark.parametrize("factor", [1.0, 7.0, 1e-3])
def test_the_unit_of_the_scanner_does_not_matter_and_comes_back(factor: float) -> None:
    scale = Compose([ScaleBySourced(["image", "label"])])
    scaled, given = scale(case(factor)), case(factor)
    torch.testing.assert_close(scaled["image"].as_tensor(), scale(case())["image"].as_tensor())
    restored = Invertd("pred", scale, "image")({**scaled, "pred": scaled["image"] + 1})["pred"]
    step = float((restored - given["image"]).mean())
    torch.testing.assert_close(restored.as_tensor(), given["image"].as_tensor() + step)
    assert step == pytest.approx(factor * np.percentile(np.arange(33, 65), 99.5), rel=1e-5)


def test_the_scale_is_that_of_the_head_whatever_is_around_it(mr: np.ndarray) -> None:
    affine = torch.diag(torch.tensor([2.5, 2.5, 2.5, 1.0]))
    scales = [
        float(scan.max() / ScaleBySourced("image")({"image": MetaTensor(scan[None], affine=affine)})["image"].max())
        for scan in (torch.from_numpy(mr), torch.from_numpy(np.pad(mr, ((30, 20), (5, 40), (8, 8)))))
    ]
    assert scales[1] == pytest.approx(scales[0], rel=1e-6)


def test_phases_and_empty_volumes_are_refused() -> None:
    phase = MetaTensor(torch.linspace(-torch.pi, torch.pi, 256).reshape(1, *SHAPE))
    with pytest.raises(
        DataError, match=r"a: image is not a magnitude image \(values down to -3.14.*\): pass the magnitude image"
    ):
        ScaleBySourced("image")({"case": "a", "image": phase})
    with pytest.raises(DataError, match="has no voxel above the head's threshold"):
        ScaleBySourced("image")({"image": MetaTensor(torch.zeros(1, *SHAPE))})
    with pytest.raises(DataError, match="has a 99.5th percentile of .* inside the head, not above 0"):
        ScaleBySourced("image")({"image": case()["image"] - 70})
    with pytest.raises(ConfigError, match="--scale_percentile is 0, not above 0 and at most 100"):
        ScaleBySourced("image", 0)
