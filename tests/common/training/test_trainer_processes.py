"""Two processes train as one with twice the batch."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from same_state import assert_same
from torch import nn
from toy_training import Toy, loader, regression, train

from common.weights import checkpoints

PROCESS = """
import sys, torch
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from test_trainer_processes import shared_method
from toy_networks import Scale
from toy_training import Toy, loader, regression, train
from common import devices
from common.weights import checkpoints
device = devices.distributed_device()
torch.manual_seed(devices.rank())
method = shared_method()
trainer = train(method, loader(regression(6)), epochs=2)
content = {"networks": method.state_dict(), "metrics": trainer.state.metrics}
normalised = train(Toy(torch.nn.BatchNorm2d(1), Scale(1.0), l1=1), loader(regression(6)), ema_decay=0.5)
with normalised.deployed_weights() as network:
    content["statistics"] = {name: value.clone() for name, value in network.named_buffers()}
checkpoints.save(content, Path(sys.argv[1], f"{devices.rank()}.pt"))
torch.distributed.destroy_process_group()
"""


def shared_method() -> Toy:
    """Batch-independent networks, so that averaged gradients are those of the joint batch."""
    convolution = partial(nn.Conv2d, 1, 1, 3, padding=1)
    return Toy(convolution(), convolution(), adversarial=1, l1=5)


@pytest.mark.slow
def test_two_processes_equal_one_with_twice_the_batch(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    here = Path(__file__).parent
    folders = [str(here), str(here.parents[1])]  # of this module and of what it imports
    started = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(tmp_path), *folders],
            env=os.environ | shared | {"RANK": str(rank), "LOCAL_RANK": str(rank), "CUDA_VISIBLE_DEVICES": ""},
        )
        for rank in range(2)
    ]
    try:
        assert [process.wait(timeout=600) for process in started] == [0, 0]
    finally:
        for process in started:
            process.kill()
    torch.manual_seed(0)  # the first process's weights are everybody's
    method = shared_method()
    alone = train(method, loader(regression(6), 2), epochs=2)
    both = [checkpoints.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    for found in both:
        torch.testing.assert_close(found["networks"], dict(method.state_dict()), rtol=1e-5, atol=1e-6)
        assert found["metrics"] == pytest.approx(alone.state.metrics, rel=1e-5)
    assert_same(both[0]["statistics"], both[1]["statistics"], "batch statistics of the deployed average")
