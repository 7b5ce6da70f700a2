"""The pool of earlier synthetic images follows its definition."""

from __future__ import annotations

import pytest
import torch

from common.errors import ConfigError
from common.training.methods.image_pool import ImagePool


def numbered(first: int, count: int) -> torch.Tensor:
    return torch.arange(first, first + count, dtype=torch.float32).reshape(count, 1, 1, 1)


def test_a_filling_pool_stores_and_returns_every_image():
    pool = ImagePool(4)
    assert torch.equal(pool(numbered(0, 3)), numbered(0, 3))
    assert pool(numbered(3, 1)).item() == 3
    assert pool.images.flatten().tolist() == [0, 1, 2, 3]
    assert pool.filled == 4


def test_a_full_pool_exchanges_half_of_the_images():
    torch.manual_seed(0)
    pool = ImagePool(50)
    pool(numbered(0, 50))
    given = numbered(50, 4000)
    returned = pool(given)
    kept = (returned == given).float().mean().item()
    assert kept == pytest.approx(0.5, abs=4 * 0.5 / 4000**0.5)
    # whatever came in was given back once or is still held: nothing is lost and nothing invented
    everything = torch.cat([returned.flatten(), pool.images.flatten()]).sort().values
    assert torch.equal(everything, torch.arange(4050.0))


def test_stored_images_are_chosen_evenly():
    torch.manual_seed(1)
    pool = ImagePool(4)
    pool(numbered(0, 4))
    places = []
    for step in range(2000):
        before = pool.images.clone()
        pool(numbered(100 + step, 1))
        places += torch.nonzero((pool.images != before).flatten()).flatten().tolist()
    shares = torch.bincount(torch.tensor(places), minlength=4) / len(places)
    assert shares.tolist() == pytest.approx([0.25] * 4, abs=0.06)


def test_it_carries_no_gradient_and_size_zero_holds_nothing():
    image = torch.ones(1, 1, 2, 2, requires_grad=True)
    assert not ImagePool(2)(image).requires_grad
    pool = ImagePool(0)
    assert torch.equal(pool(image), image)
    assert pool.images.numel() == 0


def test_an_unused_pool_is_restored_unused():
    pool = ImagePool(3)
    pool.load_state_dict(ImagePool(3).state_dict())
    assert torch.equal(pool(numbered(7, 1)), numbered(7, 1))


def test_images_of_another_size_are_refused():
    pool = ImagePool(2)
    pool(torch.zeros(1, 1, 4, 4))
    with pytest.raises(
        ConfigError, match=r"images have the shape \(1, 8, 8\), those of the pool \(1, 4, 4\): keep --crop_size"
    ):
        pool(torch.zeros(1, 1, 8, 8))
