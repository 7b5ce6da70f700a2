"""The order of an epoch's samples: complete, repeatable, resumable and shared among processes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from common import devices
from common.data.loader import LONGEST_TMPDIR, EpochLoader
from common.data.samplers import EpochSampler
from common.errors import ConfigError, DataError


def epoch(sampler: EpochSampler, number: int, skip: int = 0) -> list[int]:
    sampler.set_epoch(number, skip)
    drawn = list(sampler)
    assert {pair[0] for pair in drawn} <= {number}
    return [pair[1] for pair in drawn]


def as_process(monkeypatch, rank: int, world_size: int) -> None:
    monkeypatch.setattr(devices, "rank", lambda: rank)
    monkeypatch.setattr(devices, "world_size", lambda: world_size)


def test_each_sample_once_an_epoch_in_a_new_order():
    sampler = EpochSampler(range(20))
    orders = [epoch(sampler, number) for number in (1, 2, 3)]
    assert all(sorted(order) == list(range(20)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3
    assert list(range(20)) not in orders


def test_the_order_follows_from_seed_and_epoch_alone():
    first, second = EpochSampler(range(20), seed=4), EpochSampler(range(20), seed=4)
    for number in (1, 2):
        epoch(first, number)
    assert epoch(first, 3) == epoch(second, 3)
    assert epoch(second, 1) == epoch(first, 1)
    assert epoch(first, 1) != epoch(EpochSampler(range(20), seed=5), 1)


def test_skipped_samples_are_the_first_ones():
    sampler = EpochSampler(range(20))
    assert epoch(sampler, 2, skip=7) == epoch(sampler, 2)[7:]
    assert epoch(sampler, 2, skip=20) == []


def test_fewer_samples_are_the_first_and_more_begin_again_in_a_new_order():
    sampler = EpochSampler(range(20), samples_per_epoch=8)
    assert len(sampler) == 8
    assert epoch(sampler, 1) == epoch(EpochSampler(range(20)), 1)[:8]
    sampler = EpochSampler(range(5), samples_per_epoch=12)
    order = epoch(sampler, 1)
    assert len(sampler) == len(order) == 12
    assert sorted(order[:5]) == sorted(order[5:10]) == [0, 1, 2, 3, 4]
    assert order[:5] != order[5:10]
    assert order[10] != order[11]


@pytest.mark.parametrize("samples_per_epoch", [None, 8])
def test_two_processes_take_turns(monkeypatch, samples_per_epoch):
    whole = epoch(EpochSampler(range(10), samples_per_epoch=samples_per_epoch), 3)
    parts = []
    for rank in (0, 1):
        as_process(monkeypatch, rank, 2)
        sampler = EpochSampler(range(10), samples_per_epoch=samples_per_epoch)
        parts.append(epoch(sampler, 3))
        assert len(sampler) == len(whole) // 2
        assert epoch(sampler, 3, skip=2) == parts[-1][2:]
    assert not set(parts[0]) & set(parts[1])
    assert [index for pair in zip(*parts, strict=True) for index in pair] == whole


def test_processes_have_equally_many(monkeypatch):
    # 11 samples over 3 processes: 3 each, two skipped, or a process would wait for the others for ever
    counts = []
    for rank in range(3):
        as_process(monkeypatch, rank, 3)
        sampler = EpochSampler(range(11))
        counts.append((len(sampler), len(epoch(sampler, 1))))
    assert counts == [(3, 3)] * 3


@pytest.mark.parametrize(("samples_per_epoch", "processes"), [(0, 1), (-4, 1), (3, 4)])
def test_fewer_samples_than_processes(monkeypatch, samples_per_epoch, processes):
    as_process(monkeypatch, 0, processes)
    fault = f"--samples_per_epoch is {samples_per_epoch}, below {processes}, one per process"
    with pytest.raises(ConfigError, match=fault):
        EpochSampler(range(5), samples_per_epoch=samples_per_epoch)


@pytest.mark.parametrize("samples_per_epoch", [None, 10])
def test_an_empty_dataset(samples_per_epoch):
    with pytest.raises(DataError, match="no training samples: check cases and masks"):
        EpochSampler([], samples_per_epoch=samples_per_epoch)


TWO_WORKERS = """
import torch
from common.data.loader import EpochLoader
class Squares(torch.utils.data.Dataset):
    def __len__(self): return 4
    def __getitem__(self, item): return torch.tensor(item[1] ** 2)
print(sorted(torch.cat(list(EpochLoader(Squares(), 2, num_workers=2))).tolist()))
"""


def test_a_folder_of_temporary_files_that_workers_just_can_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """One character more, and a training would wait for ever: samples go through a socket in that folder."""
    outer = tempfile.mkdtemp()
    try:
        folder = Path(outer, "x" * (LONGEST_TMPDIR - len(outer) - 1))
        folder.mkdir()
        longest = os.environ | {"TMPDIR": str(folder)}
        done = subprocess.run(
            [sys.executable, "-c", TWO_WORKERS], env=longest, capture_output=True, text=True, check=False, timeout=300
        )
        assert done.stdout.splitlines()[-1:] == ["[0, 1, 4, 9]"], done.stderr
    finally:
        shutil.rmtree(outer)
    monkeypatch.setattr(tempfile, "tempdir", f"{folder}x")
    with pytest.raises(ConfigError, match="^TMPDIR .* has 76 characters, .* set TMPDIR to one of at most 75, or pass"):
        EpochLoader(range(4), num_workers=1)
    EpochLoader(range(4))
