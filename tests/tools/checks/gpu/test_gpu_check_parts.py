"""Parts of the check of a GPU at toy size on the CPU, and what each requires, by hand."""

from __future__ import annotations

from pathlib import Path

import in_process
import pytest
import torch

from tools.checks.gpu import stitching, training
from tools.checks.gpu.__main__ import NO_GPU
from tools.checks.gpu.parts import stitched
from tools.checks.gpu.recipes import PHANTOMS, TOY, GpuRecipe
from tools.checks.gpu.recorded import compared, recorded

SMALL = {**{name: TOY[name] for name in ("width", "depth", "crop_size", "pad_size")}, **PHANTOMS}
BUNDLE = "mr2ct_pix2pix"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("phantoms")


# ---- recorded steps --------------------------------------------------------------------------------------------------


def test_two_eager_runs_on_a_cpu_are_equal_and_no_recording_is_a_failure(data: Path) -> None:
    (row,) = recorded(GpuRecipe(BUNDLE, "unpaired"), data)
    assert (row.case, row.measured, row.passed) == (f"{BUNDLE}, unpaired", "0 recorded, 0.0e+00", False)
    assert row.note == "two eager runs 0.0e+00"


START = {"w": torch.tensor([0.0, 0.0])}
EAGER = {"w": torch.tensor([3.0, 4.0])}


@pytest.mark.parametrize(
    ("again", "replayed", "recordings", "passed"),
    [
        ([3.0, 4.0], [3.0, 4.0], 1, True),
        ([3.0, 4.0], [3.0, 4.0], 0, False),  # equal, since it was never recorded
        ([3.0, 4.0], [3.0, 4.001], 1, False),  # 2e-4 where eager steps repeat
        ([3.0, 4.001], [3.0, 4.003], 1, True),  # three times the noise
        ([3.0, 4.001], [3.0, 4.005], 1, False),  # five times
        ([3.0, 4.5], [3.0, 4.5], 1, False),  # a tenth of the way: too far apart to tell
        ([3.0, 4.0], [float("nan"), 4.0], 1, False),
    ],
)
def test_recorded_steps_are_as_close_as_eager_ones(
    again: list[float], replayed: list[float], recordings: int, passed: bool
) -> None:
    ends = [{"w": torch.tensor(each)} for each in (again, replayed)]
    assert compared("case", START, EAGER, *ends, recordings).passed is passed


# ---- speed and learning ----------------------------------------------------------------------------------------------


def test_steps_of_each_precision_are_timed(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "MEASURED_S", 0.0)
    found = training.speed(BUNDLE, "demo", data, **SMALL)
    assert [each.case for each in found] == [f"{BUNDLE}, demo, {precision}" for precision in ("fp32", "bf16")]
    assert all(" ms -> " in each.measured for each in found)
    assert all(each.note.startswith("peak memory") and each.note.endswith("GiB, 0 recorded") for each in found)


@pytest.mark.parametrize(
    ("eager", "recorded", "recordings", "passed"),
    [(0.2, 0.1, 1, True), (0.95, 1.0, 1, True), (0.9, 1.0, 1, False), (0.2, 0.1, 0, False)],
)
def test_recorded_steps_are_no_slower(eager: float, recorded: float, recordings: int, passed: bool) -> None:
    assert training.faster("case", eager, recorded, 1.0, 1.0, recordings).passed is passed


def test_a_bundle_learns_on_its_own_data_path(data: Path) -> None:
    (row,) = training.learning(BUNDLE, "demo", data, 4, limit_s=60, **SMALL, batch_size=2)
    assert row.measured.startswith("l1: ")
    assert row.measured.endswith(" in 4 steps")
    (row,) = training.learning(BUNDLE, "demo", data, 4, limit_s=0, **SMALL, batch_size=2)
    assert row.measured.endswith(" in 1 steps")


@pytest.mark.parametrize(
    ("losses", "passed"),
    [
        ({"l1": [4.0, 4, 3, 3, 2, 2, 2, 2, 1, 1], "adversarial": [1.0] * 10}, True),
        ({"l1": [4.0] * 10, "discriminator": [9.0, 8, 7, 6, 5, 4, 3, 2, 1, 0]}, False),  # distances decide
        ({"discriminator_a": [2.0, 1], "discriminator_b": [1.0, 1.5], "cycle": [0.0, 9]}, True),  # 3 to 2.5
        ({"discriminator": [1.0, 0.99]}, False),
        ({"l1": [4.0, 3, float("nan"), 2, 1]}, False),
    ],
)
def test_the_watched_loss_falls(losses: dict[str, list[float]], passed: bool) -> None:
    assert training.falling("case", losses).passed is passed


# ---- stitching -------------------------------------------------------------------------------------------------------


def test_small_volumes_equal_monais_and_large_ones_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stitching, "FILTERS", (2,) * len(stitching.FILTERS))
    found = stitched((32, 32, 32), (32, 32, 48), stride=16, batch_size=2)
    assert [each.passed for each in found] == [True, None, None]
    assert found[2].case == "32x32x48, 2 windows: faithful, fast"


# ---- parts as processes ----------------------------------------------------------------------------------------------


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_the_last_line_says_so(tmp_path: Path) -> None:
    done = in_process.run("tools.checks.gpu", "--out", tmp_path / "out")
    assert done.returncode == NO_GPU
    last = done.stdout.splitlines()[-1]
    assert last.startswith("gpu-check: nothing was checked")
    assert last.endswith("finds no GPU here")
    assert not (tmp_path / "out").exists()
