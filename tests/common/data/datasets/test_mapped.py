"""Volumes in codes and in files: not a bit is lost, each case is made once a machine, and no file stays."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from sample_checks import assert_workers_draw_the_same
from test_processes import said_by_two

from common import devices
from common.data.datasets import mapped
from common.data.datasets.patches import VolumePatchDataset
from common.data.datasets.slices import SliceDataset
from common.errors import DataError
from common.transforms import LoadVolumed, ScaleWindowd, WorkingSpacingd

SHAPE = (6, 7, 8)


def scan() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(-1024, 3000, (1, 40, 40, 50)).astype(np.float32))


@pytest.mark.parametrize(
    ("volume", "codes"),
    [
        (scan() / 2012 * 2 - 1, 1),
        (torch.cat([scan() / 7, scan() * 3 + 1]), 2),
        (torch.full((1, 2, 3, 4), 5.0), 1),
        (torch.rand(1, 50, 50, 50), 0),  # of more than 65,536 values
        (torch.tensor([0.0, -0.0, 1.0, 2.0]).reshape(1, 1, 2, 2), 0),
        (torch.tensor([torch.nan, torch.inf, 1.0, 2.0]).reshape(1, 1, 2, 2), 0),
        (scan() > 0, 0),
    ],
    ids=["window", "channels", "constant", "many", "zeros", "nan", "region"],
)
def test_codes_lose_no_bit(volume: torch.Tensor, codes: int) -> None:
    kept = mapped.packed(volume)
    assert [(part.dtype, part.element_size()) for part, table in kept if table is not None] == [
        (torch.int16, 2)
    ] * codes
    found = mapped.cut(kept, lambda channel: channel[:, :, 1:])
    assert found.dtype == volume.dtype
    assert found.numpy().tobytes() == volume[:, :, 1:].numpy().tobytes()


def write_cases(folder: Path, shapes: dict[str, tuple[int, ...]]) -> list[dict[str, Any]]:
    """A case of each name, of the values of its shape."""
    chance = np.random.default_rng(1)
    for name, shape in shapes.items():
        values = chance.integers(1, 900, shape).astype(np.int16)
        nib.save(nib.Nifti1Image(values, np.diag([2.0, 2.0, 2.0, 1.0])), folder / f"{name}.nii")
    return [{"case": name, **dict.fromkeys(KEYS, str(folder / f"{name}.nii"))} for name in shapes]


KEYS = ("image", "label", "mask")


def slices(folder: Path, **settings: Any) -> SliceDataset:
    steps = [LoadVolumed(KEYS), ScaleWindowd("image", [0, 700])]
    return SliceDataset(write_cases(folder, {"a": SHAPE, "b": SHAPE}), steps, neighbours=3, **settings)


def patches(folder: Path, **settings: Any) -> VolumePatchDataset:
    steps = [LoadVolumed(KEYS), ScaleWindowd("image", [0, 700])]
    own = {"patch_size": (3, 4, 9), "patches_per_case": 8, "regions": ["mask"], **settings}
    samples = VolumePatchDataset(write_cases(folder, {"a": SHAPE, "b": SHAPE}), steps, **own)
    samples.set_context(lambda image: image / 3)
    return samples


@pytest.mark.parametrize("make", [slices, patches])
def test_samples_from_files_are_those_from_memory(
    make: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    files = Path(tempfile.mkdtemp())  # short enough for the sockets of workers, which that of a test may not be
    request.addfinalizer(lambda: shutil.rmtree(files))
    in_memory = make(tmp_path)
    monkeypatch.setattr(mapped, "LITTLE", 0)
    monkeypatch.setenv("TMPDIR", str(files))
    monkeypatch.setattr(mapped.tempfile, "tempdir", None)
    in_files = make(tmp_path)
    assert mapped.folder() == files
    assert str(files) in Path("/proc/self/maps").read_text()
    assert not list(files.iterdir()), "they have no names, so that a killed process leaves none"
    for index in range(len(in_memory)):
        one, other = in_memory[2, index], in_files[2, index]
        assert one.keys() == other.keys()
        for key in one.keys() - {"case"}:
            assert torch.equal(one[key], other[key])
    count = len(in_memory)
    shape = (count, 3, 7, 8) if make is slices else (count, 1, 3, 4, 9)
    assert_workers_draw_the_same(lambda: make(tmp_path), 4, shape)


@pytest.mark.parametrize("spacing", [None, [1.0, 1.0, 1.0]])
def test_the_memory_of_all_is_known_from_their_headers_and_the_first(
    spacing: list[float] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The first of three volumes has 240 voxels, the others 240 and 1920, before they are resampled."""
    cases = write_cases(tmp_path, {"a": (6, 5, 8), "b": (8, 6, 5), "c": (12, 10, 16)})
    steps = [LoadVolumed(KEYS), WorkingSpacingd(KEYS, spacing)]
    monkeypatch.setattr(mapped, "GB", 1)
    monkeypatch.setattr(mapped, "_bytes", lambda case: 2 * case["images"]["image"][0][0].numel())
    with caplog.at_level(logging.INFO):
        samples = SliceDataset(cases, steps, keys=["image"])
    needs = sum(2 * case["images"]["image"][0][0].numel() for case in samples._cache)
    assert (needs == 2 * 10 * 240) == (spacing is None)
    assert f"training volumes of 3 cases: about {needs:.3g} GB in memory" in caplog.messages


Usage = namedtuple("Usage", ["free"])


@pytest.mark.parametrize(
    ("memory", "disk", "place"),
    [(100, 9, "memory"), (100, 1, "memory"), (7, 9, "files"), (7, 1, None)],
    ids=["little", "no disk", "no memory", "neither"],
)
def test_where_cases_go_and_that_neither_place_has_room(
    memory: float, disk: float, place: str | None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Three cases of 4 GB in all; one process may take half of the free memory."""
    monkeypatch.setattr(mapped, "GB", 1)
    monkeypatch.setattr(mapped, "LITTLE", 5)
    monkeypatch.setattr(mapped, "folder", lambda: Path("/disk"))
    monkeypatch.setattr(mapped.shutil, "disk_usage", lambda _: Usage(disk))
    monkeypatch.setattr(devices, "free_memory", lambda: memory)
    monkeypatch.setattr(mapped, "mapped", lambda case, peers: [["file", case]])
    made: list[int] = []

    def make(number: int) -> torch.Tensor:
        made.append(number)
        return torch.zeros(number + 1, dtype=torch.uint8)

    if place is None:
        fault = "volumes of 3 cases: about 4 GB, but 7 GB of memory and 1 GB in /disk are free: set TMPDIR to a folder"
        with pytest.raises(DataError, match=fault):
            mapped.made_once(make, [10, 10, 20], "volumes")
        assert made == [0]
        return
    with caplog.at_level(logging.INFO):
        cases = mapped.made_once(make, [10, 10, 20], "volumes")
    assert made == [0, 1, 2]
    assert isinstance(cases[0], list) == (place == "files")
    ends = {"memory": "in memory", "files": "in memory-mapped files in /disk, where 9 GB are free"}
    assert caplog.messages == [f"volumes of 3 cases: about 4 GB {ends[place]}"]


SHARED = """
import os, torch
from common import devices
from common.data.datasets.mapped import made_once
devices.distributed_device()
made = []
def make(number):
    made.append(number)
    return {"case": f"c{number}", "values": [torch.full((2000,), float(number))]}
cases = made_once(make, [1] * 5, "volumes")
inodes = sorted({line.split()[4] for line in open("/proc/self/maps") if os.environ["TMPDIR"] in line})
print(made, [(case["case"], float(case["values"][0].sum())) for case in cases], inodes, sep="|")
devices.barrier()
devices.leave()
"""


@pytest.mark.slow
def test_two_processes_make_each_case_once_and_map_the_same_files(tmp_path: Path) -> None:
    first, second = (said.splitlines()[-1].split("|") for said in said_by_two(SHARED, TMPDIR=str(tmp_path)))
    assert (first[0], second[0]) == ("[0, 2, 4]", "[1, 3]")
    assert first[1] == second[1] == str([(f"c{number}", 2000.0 * number) for number in range(5)])
    assert first[2] == second[2] != "[]"
    assert not list(tmp_path.iterdir())
