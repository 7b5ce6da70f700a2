"""Every part of the check of a GPU, run on the CPU at toy size; what a part requires, by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import in_process
import pytest
import torch
from torch import nn

from tools.bench.clock import Timing
from tools.checks.findings import CheckFinding
from tools.checks.gpu import parts, stitching, training
from tools.checks.gpu.__main__ import NO_GPU, rounds, run_part
from tools.checks.gpu.parts import agrees, marked, run_tests, stitched
from tools.checks.gpu.recipes import PHANTOMS, TOY, GpuRecipe, recipes
from tools.checks.gpu.recorded import compared, pad_by_zeros, recorded
from tools.repository import ROOT, bundle_names

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


def test_reflection_padding_is_replaced_by_zeros_of_the_same_size() -> None:
    network = nn.Sequential(nn.ReflectionPad2d(1), nn.Sequential(nn.Identity(), nn.ReflectionPad2d((2, 0, 1, 0))))
    pad_by_zeros(network)
    assert not any(isinstance(layer, nn.ReflectionPad2d) for layer in network.modules())
    assert network(torch.ones(1, 1, 4, 4)).shape == (1, 1, 7, 8)
    assert network(torch.ones(1, 1, 4, 4)).sum() == 16


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


def test_steps_that_change_nothing_fail() -> None:
    assert compared("case", START, START, START, START, 1).passed is False


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


def test_another_result_than_monais_fails() -> None:
    assert agrees(Timing("case", 1.0, 1.0, "difference 2.0e-05"), 1e-4).passed is True
    assert agrees(Timing("case", 1.0, 1.0, "difference 2.0e-04"), 1e-4).passed is False
    assert agrees(Timing("case", 1.0, 1.0, "difference nan"), 1e-4).passed is False


# ---- tests that need a GPU -------------------------------------------------------------------------------------------


def test_every_test_that_needs_a_gpu_is_found() -> None:
    assert ROOT / "tests/common/runs/test_acceleration.py" in marked()
    unmarked = [
        path.name
        for path in (ROOT / "tests").rglob("test_*.py")
        if "needs a CUDA device" in path.read_text() and path not in marked() and path != Path(__file__)
    ]
    assert unmarked == []


def ended(report: str, said: str) -> Callable[..., CompletedProcess[str]]:
    """A pytest that leaves this report and says so much."""

    def run(words: list[str], **_: object) -> CompletedProcess[str]:
        if report:
            Path(next(word for word in words if "xml" in word).partition("=")[2]).write_text(report)
        return CompletedProcess(words, 1, said, "")

    return run


REPORT = """<testsuites><testsuite>
<testcase classname="tests.test_three" name="test_a" />
<testcase classname="tests.test_three" name="test_b"><failure message="assert 1 == 2">...</failure></testcase>
<testcase classname="tests.test_three" name="test_c"><skipped message="needs a CUDA device">...</skipped></testcase>
</testsuite></testsuites>"""
"""As pytest writes it."""


def test_passed_failed_and_skipped_tests_are_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts.subprocess, "run", ended(REPORT, "2 failed"))
    found = {each.case: each for each in run_tests([], tmp_path / "report.xml")}
    results = {name: (row.measured, row.passed) for name, row in found.items()}
    assert results == {
        "test_three::test_a": ("passed", True),
        "test_three::test_b": ("failure", False),
        "test_three::test_c": ("skipped", False),
    }
    assert found["test_three::test_c"].note == "needs a CUDA device"


def test_a_pytest_that_finds_nothing_is_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts.subprocess, "run", ended("", "no tests ran in 0.01s"))
    (row,) = run_tests([], tmp_path / "report.xml")
    assert (row.case, row.passed) == ("pytest", False)
    assert "no tests ran" in row.note


# ---- parts as processes ----------------------------------------------------------------------------------------------


def test_a_job_that_fails_is_a_row_and_the_next_one_runs(tmp_path: Path) -> None:
    good = CheckFinding("speed", "good", "1", "2", True)

    def fails() -> list[CheckFinding]:
        raise RuntimeError("out of memory\nlong story")

    parts.run_jobs("speed", [("bad", fails), ("good", lambda: [good])], tmp_path / "speed.jsonl")
    bad, read = parts.read_rows(tmp_path / "speed.jsonl")
    assert (bad.case, bad.passed, bad.note) == ("bad", False, "RuntimeError: out of memory")
    assert read == good
    with (tmp_path / "speed.jsonl").open("a") as file:
        file.write('["speed", "cut')
    assert len(parts.read_rows(tmp_path / "speed.jsonl")) == 2


@pytest.mark.parametrize(
    ("program", "limit_s", "reason"),
    [("sleep 600", 0.5, "stopped after 0.5 s"), ("exit 7", 60, "exit code 7")],
)
def test_a_part_that_does_not_end_well_keeps_its_rows(
    program: str, limit_s: float, reason: str, tmp_path: Path
) -> None:
    good = CheckFinding("speed", "good", "1", "2", True)
    parts.run_jobs("speed", [("good", lambda: [good])], tmp_path / "speed.jsonl")
    read, last = run_part("speed", ["sh", "-c", program], tmp_path / "speed.jsonl", limit_s)
    assert read == good
    assert (last.check, last.case, last.passed, last.note) == ("speed", "speed after 1 rows", False, reason)


def test_a_part_that_ends_well_has_its_rows_alone(tmp_path: Path) -> None:
    assert run_part("speed", ["true"], tmp_path / "speed.jsonl", 60) == []


def test_the_parts_cover_every_bundle_and_variant_within_four_minutes(tmp_path: Path) -> None:
    jobs = {name: [case for case, _ in parts.jobs_of(name, tmp_path)] for name in parts.PARTS}
    assert jobs["recorded"] == [*map(str, recipes()), *bundle_names()]
    assert jobs["speed"] == jobs["learning"] == bundle_names()
    by_bundle = [case for bundle in bundle_names() for case, _ in parts.jobs_of("recorded", tmp_path, bundle)]
    assert sorted(by_bundle) == sorted(jobs["recorded"])
    assert set(parts.LIMITS_S) == set(parts.PARTS)
    limits = [max(parts.LIMITS_S[one[0]] for one in together) for together in rounds(list(parts.PARTS))]
    assert sum(limits) <= 240


def test_nothing_runs_while_steps_are_timed() -> None:
    first, *others = rounds(["tests", "recorded", "speed", "stitching"])
    assert first == [("tests",), *(("recorded", bundle) for bundle in bundle_names())]
    assert others == [[("speed",)], [("stitching",)]]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_the_last_line_says_so(tmp_path: Path) -> None:
    done = in_process.run("tools.checks.gpu", "--out", tmp_path / "out")
    assert done.returncode == NO_GPU
    last = done.stdout.splitlines()[-1]
    assert last.startswith("gpu-check: nothing was checked")
    assert last.endswith("finds no GPU here")
    assert not (tmp_path / "out").exists()
