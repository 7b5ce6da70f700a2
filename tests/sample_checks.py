"""What holds for the samples of every data set that is drawn from: they follow from seed, epoch and index alone."""

from __future__ import annotations

from collections.abc import Callable

import torch
from monai.data import CacheDataset, DataLoader

from common.data.samplers import EpochSampler


def assert_samples_follow_from_seed_epoch_and_index(make: Callable[..., CacheDataset], count: int) -> None:
    """``make`` gives a data set of at least ``count`` samples anew; its argument is ``seed``."""
    first, second = make(), make()
    wanted = [(epoch, index) for epoch in (1, 2) for index in range(count)]
    drawn = {key: first[key]["image"] for key in wanted}
    for key in reversed(wanted):  # whatever came before
        torch.testing.assert_close(second[key]["image"], drawn[key], rtol=0, atol=0)
    assert any(not torch.equal(drawn[1, index], drawn[2, index]) for index in range(count))
    other = make(seed=1)
    assert any(not torch.equal(drawn[1, index], other[1, index]["image"]) for index in range(count))
    torch.testing.assert_close(first[3]["image"], first[0, 3]["image"])


def assert_workers_draw_the_same(make: Callable[[], CacheDataset], batch_size: int, shape: tuple[int, ...]) -> None:
    """Two epochs of two workers are those of none; ``shape`` is of all images of an epoch."""

    def epochs(num_workers: int) -> list[torch.Tensor]:
        samples = make()
        sampler = EpochSampler(samples, seed=3)
        loader = DataLoader(samples, batch_size=batch_size, sampler=sampler, num_workers=num_workers)
        images = []
        for epoch in (1, 2):
            sampler.set_epoch(epoch)
            images.append(torch.cat([batch["image"] for batch in loader]))
        return images

    for alone, shared in zip(epochs(0), epochs(2), strict=True):
        assert alone.shape == shape
        torch.testing.assert_close(alone, shared, rtol=0, atol=0)
