"""Shares of several processes, and the collectives of two real ones."""

from __future__ import annotations

import math
import os
import socket
from pathlib import Path

import pytest
import torch

from common import devices
from common.errors import ConfigError


def _pretend(monkeypatch: pytest.MonkeyPatch, rank: int, world: int) -> None:
    monkeypatch.setattr(devices, "rank", lambda: rank)
    monkeypatch.setattr(devices, "world_size", lambda: world)


def test_alone_everything_is_ones_own() -> None:
    assert (devices.rank(), devices.world_size()) == (0, 1)
    assert devices.shard(["a", "b", "c"]) == ["a", "b", "c"]
    values = torch.tensor([1.0, 2.0])
    devices.average([values])
    devices.broadcast([values])
    assert devices.gather(["a", "b"]) == ["a", "b"]
    assert devices.from_first(lambda: {"a": [1]}) == {"a": [1]}
    devices.leave()
    assert values.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("name", ["mps", "meta", "xla:0", "cpu:3"])
def test_a_device_that_pytorch_knows_and_the_machine_has_not(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(devices, "single_device", lambda: torch.device("cpu"))
    with pytest.raises(ConfigError, match=f"^--device {name} is not available on this machine: pass cpu, or omit it$"):
        devices.require(name)
    for own in ("cpu", "cpu:0"):
        devices.require(own)
    monkeypatch.setattr(devices, "single_device", lambda: torch.device("mps"))
    devices.require("mps:0")


@pytest.mark.parametrize(("rank", "mine"), [(0, [0, 3, 6]), (1, [1, 4]), (2, [2, 5])])
def test_seven_cases_over_three_processes(monkeypatch: pytest.MonkeyPatch, rank: int, mine: list[int]) -> None:
    _pretend(monkeypatch, rank, 3)
    assert devices.shard(range(7)) == mine


def test_as_many_cases_as_processes_gives_one_each(monkeypatch: pytest.MonkeyPatch) -> None:
    _pretend(monkeypatch, 1, 2)
    assert devices.shard(["a", "b"]) == ["b"]


def test_with_too_few_cases_each_process_takes_all(monkeypatch: pytest.MonkeyPatch) -> None:
    _pretend(monkeypatch, 2, 3)
    assert devices.shard(["a", "b"]) == ["a", "b"]


def test_outside_torchrun_the_distributed_device_is_the_single_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert devices.distributed_device() == devices.single_device()
    assert devices.world_size() == 1


def test_processes_that_never_come_are_logged_and_given_up(monkeypatch, caplog):
    """Variables that an earlier torchrun left in the environment."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    there = {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    for name, value in there.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(devices, "PATIENCE_S", 0.01)
    monkeypatch.setattr(devices, "TIMEOUT_S", 1)
    with pytest.raises(ConfigError, match="cannot join the processes of WORLD_SIZE=2, RANK=0, MASTER_ADDR=127.0.0.1"):
        devices.distributed_device()
    assert "waiting for the processes of WORLD_SIZE=2, RANK=0" in caplog.text
    assert "unset these variables to run alone" in caplog.text
    monkeypatch.delenv("RANK")
    with pytest.raises(ConfigError, match=r"RANK expected, but not set\): start all of them by torchrun, or unset"):
        devices.distributed_device()


@pytest.mark.parametrize(
    ("threads", "cores", "load", "quota", "expected"),
    [
        (2, 2, 0.3, float("inf"), 2),
        (2, 2, 1.2, float("inf"), 1),  # another training
        (2, 2, 7.0, float("inf"), 1),
        (8, 16, 6.0, float("inf"), 8),  # the load leaves ten cores
        (8, 16, 11.0, float("inf"), 5),
        (8, 16, 0.0, 2.5, 3),  # in a container
    ],
)
def test_threads_are_as_many_as_cores_are_idle(threads, cores, load, quota, expected) -> None:
    assert devices.idle_cores(threads, cores, load, quota) == expected


@pytest.mark.parametrize(
    ("content", "quota"), [("max 100000", float("inf")), ("250000 100000", 2.5), ("", float("inf"))]
)
def test_quota_of_a_container(monkeypatch, tmp_path, content, quota) -> None:
    monkeypatch.setattr(devices, "QUOTA", tmp_path / "cpu.max")
    assert devices._quota() == float("inf")
    devices.QUOTA.write_text(content)
    assert devices._quota() == quota


@pytest.mark.parametrize("variables", [{}, {"OMP_NUM_THREADS": "2"}])
def test_a_busy_machine_leaves_one_thread_unless_a_number_is_set(monkeypatch, caplog, variables) -> None:
    taken: list[int] = []
    caplog.set_level("INFO")
    for name in devices.OWN_THREADS:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(devices.os, "getloadavg", lambda: (9.0, 0.0, 0.0))
    monkeypatch.setattr(devices.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(torch, "set_num_threads", taken.append)
    devices.share_cores()
    assert taken == ([] if variables else [1])
    line = "threads: 1, not 2, at a load of 9.0; OMP_NUM_THREADS sets another number"
    assert caplog.messages == ([] if variables else [line])


def test_without_a_way_to_ask_memory_is_no_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(devices, "CGROUPS", [])
    monkeypatch.delattr(os, "sysconf")  # as on Windows
    assert devices.total_memory() == devices.free_memory() == math.inf


def test_a_container_has_less_memory_than_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "CGROUPS", [])
    assert devices.free_memory() > 0
    (tmp_path / "max").write_text("3000000\n")
    (tmp_path / "current").write_text("1000000\n")
    monkeypatch.setattr(devices, "CGROUPS", [(tmp_path / "max", tmp_path / "current")])
    assert devices.free_memory() == 2_000_000
    (tmp_path / "max").write_text("max\n")
    assert devices.free_memory() > 3_000_000
