"""Functions of single voxels, part by part."""

import pytest
import torch

from common.transforms import intensity
from common.transforms.intensity import for_each_slab


@pytest.mark.parametrize("shape", [(7,), (5, 3), (1, 9, 2), (2, 1, 6, 11), (0, 4)])
@pytest.mark.parametrize("at_once", [1, 4, 1000])
def test_parts_give_what_the_whole_gives(monkeypatch, shape, at_once):
    monkeypatch.setattr(intensity, "SLAB_VOXELS", at_once)
    values = torch.arange(float(torch.Size(shape).numel())).reshape(shape)
    sizes = []

    def double(part):
        sizes.append(part.numel())
        return part * 2 + 1

    made = torch.full_like(values, -1)
    assert for_each_slab(double, values, made) is made
    assert torch.equal(made, values * 2 + 1)
    assert len(shape) == 1 or max(sizes, default=0) <= max(at_once, shape[-1])
    for_each_slab(double, values, values)
    assert torch.equal(values, made)
