"""What only processes show: collectives of two, a stdout that takes nothing, a kill while writing, what is imported."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from same_state import assert_same
from torch import nn
from toy_training import Toy, loader, regression, train

from common.files import write_whole_folder
from common.simulation.head import head_anatomy
from common.simulation.mr import render_t1
from common.weights import checkpoints
from tools.repository import ROOT


def python(program: str, *words: object, **streams: int) -> subprocess.Popen[str]:
    """A Python in the repository's folder that runs a program."""
    command = [sys.executable, "-W", "ignore", "-c", program, *map(str, words)]
    return subprocess.Popen(command, cwd=ROOT, text=True, **streams)  # type: ignore[call-overload]


def said_by_two(program: str, *words: object, **variables: str) -> list[str]:
    """What each of two processes of one group prints, as torchrun starts them."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    started = []
    for rank in map(str, range(2)):
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {**shared, "CUDA_VISIBLE_DEVICES": "", "RANK": rank, "LOCAL_RANK": rank}.items():
                patch.setenv(name, value)
            for name, value in variables.items():
                patch.setenv(name, value)
            started.append(python(program, *words, stdout=subprocess.PIPE))
    try:
        said = [process.communicate(timeout=600)[0] for process in started]
    finally:
        for process in started:
            process.kill()
    assert [process.returncode for process in started] == [0, 0]
    return said


# ---- two processes --------------------------------------------------------------------------------------------------


COLLECTIVES = """
import json, os, torch
from common import devices
from common.errors import ConfigError
assert devices.distributed_device().type == "cpu"
rank = devices.rank()
single = torch.tensor([[1.0 + 2 * rank, 10.0], [0.0, -4.0 * rank]])
scalar = torch.tensor(float(rank), dtype=torch.float64)
counts = torch.tensor([rank, rank])
parameter = torch.nn.Parameter(torch.full((3,), 6.0 * rank))
column = torch.arange(6.0).reshape(2, 3).add(rank).t()
devices.average([single, scalar, counts, parameter, column])
start = torch.nn.Parameter(torch.full((2,), 5.0 + rank))
steps = torch.tensor(7 + rank)
devices.broadcast([start, steps])
devices.barrier()
print(json.dumps({
    "rank": rank, "local": os.environ["LOCAL_RANK"], "world": devices.world_size(),
    "single": single.tolist(), "scalar": float(scalar),
    "counts": counts.tolist(), "parameter": parameter.tolist(), "column": column.tolist(), "start": start.tolist(),
    "steps": int(steps), "shard": devices.shard("abcde"), "gathered": devices.gather(devices.deal("abcde")),
    "first": devices.from_first(lambda: {"made by": [rank, {"case": "a"}]}),
}))
devices.leave()
assert devices.world_size() == 1
"""


@pytest.mark.slow
def test_two_processes_average_and_broadcast() -> None:
    """By torchrun within a SLURM job, which is torchrun's affair alone."""
    found = [json.loads(said.splitlines()[-1]) for said in said_by_two(COLLECTIVES, SLURM_JOB_ID="1")]
    for rank, seen in enumerate(found):
        assert (seen["rank"], seen["local"], seen["world"]) == (rank, str(rank), 2)
        assert seen["single"] == [[2.0, 10.0], [0.0, -2.0]]
        assert seen["scalar"] == 0.5
        assert seen["counts"] == [rank, rank], "whole numbers are not averaged"
        assert seen["parameter"] == [3.0, 3.0, 3.0]
        assert seen["column"] == [[0.5, 3.5], [1.5, 4.5], [2.5, 5.5]]
        assert "".join(seen["gathered"]) == "abcde"
        assert seen["first"] == {"made by": [0, {"case": "a"}]}
        assert (seen["start"], seen["steps"]) == ([5.0, 5.0], 7)
    assert [seen["shard"] for seen in found] == [["a", "c", "e"], ["b", "d"]]


TRAINING = """
import sys, torch
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_processes import shared_method
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
def test_two_processes_train_as_one_with_twice_the_batch(tmp_path: Path) -> None:
    said_by_two(TRAINING, tmp_path, Path(__file__).parent)
    torch.manual_seed(0)  # the first process's weights are everybody's
    method = shared_method()
    alone = train(method, loader(regression(6), 2), epochs=2)
    both = [checkpoints.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    for found in both:
        torch.testing.assert_close(found["networks"], dict(method.state_dict()), rtol=1e-5, atol=1e-6)
        assert found["metrics"] == pytest.approx(alone.state.metrics, rel=1e-5)
    assert_same(both[0]["statistics"], both[1]["statistics"], "batch statistics of the deployed average")


# ---- streams and signals --------------------------------------------------------------------------------------------


OWN = """
import sys
from common.errors import exit_code_of_user_errors
@exit_code_of_user_errors
def main():
    print("result")
    return 0
sys.exit(main())
"""
OF_MONAI = """
import sys
from common.config.mistakes import end_command
sys.excepthook = end_command
try:
    print("result", flush=True)
except OSError as error:
    raise RuntimeError("Failed to evaluate ConfigExpression") from error
"""


@pytest.mark.parametrize("program", [OWN, OWN.replace('"result"', '"result", flush=True'), OF_MONAI])
@pytest.mark.parametrize("place", ["/dev/full", "closed"])
def test_a_standard_output_that_takes_nothing_is_one_line(place: str, program: str) -> None:
    mode = os.O_RDONLY if place == "closed" else os.O_WRONLY
    stdout = os.open(os.devnull if place == "closed" else place, mode)
    process = python(program, stdout=stdout, stderr=subprocess.PIPE)
    _, said = process.communicate(timeout=600)
    os.close(stdout)
    reason = {"closed": "Bad file descriptor", "/dev/full": "No space left on device"}[place]
    assert said.lstrip() == f"error: cannot write to stdout ({reason}): files already written stay\n"
    assert process.returncode == 2


WRITING = """
import sys, time; from pathlib import Path; from common.files import write_whole_folder
from common.simulation.head import head_anatomy
from common.simulation.mr import render_t1
def write(folder):
    (folder / 'IM0001.dcm').touch(); print('begun', flush=True); time.sleep(60)
write_whole_folder(Path(sys.argv[1]), write, lambda path: False)
"""


def test_kill_while_writing_leaves_nothing_at_the_name(tmp_path: Path) -> None:
    with python(WRITING, tmp_path / "case", stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGKILL)
    assert not (tmp_path / "case").exists()
    write_whole_folder(tmp_path / "case", lambda folder: (folder / "IM0001.dcm").write_text("again"), lambda _: True)
    assert (tmp_path / "case" / "IM0001.dcm").read_text() == "again"


# ---- imports --------------------------------------------------------------------------------------------------------


def test_the_command_lists_bundles_without_pytorch_and_monai() -> None:
    program = "import sys; from medical_image_synthesis import command; command.main(['list']); print(*sys.modules)"
    said, _ = python(program, stdout=subprocess.PIPE).communicate(timeout=600)
    assert {"torch", "monai", "numpy", "yaml"}.isdisjoint(said.splitlines()[-1].split())


INFERENCE = """
import sys
from medical_image_synthesis import command
assert command.main(sys.argv[1:]) == 0
own = ("common", "medical_image_synthesis", "mr2ct_pix2pix")
print(*sorted(name for name in sys.modules if name.split(".")[0] in own))
"""
MOST = 155
"""Modules of the project that an inference imports, with those of the command."""


def test_an_inference_imports_few_modules_and_none_of_a_training(tmp_path: Path) -> None:
    head = head_anatomy(0, spacing=4.0)
    scan = render_t1(head, np.random.default_rng(0))
    nib.save(nib.Nifti1Image(scan.astype(np.int16), head.affine), tmp_path / "t1.nii.gz")
    words = ["mr2ct", str(tmp_path / "t1.nii.gz"), "-o", str(tmp_path / "out"), "--refuse", "false"]
    said, _ = python(INFERENCE, *words, stdout=subprocess.PIPE).communicate(timeout=600)
    assert (tmp_path / "out" / "t1_synthetic_ct.nii.gz").is_file()
    modules = said.splitlines()[-1].split()
    assert len(modules) <= MOST, modules
    assert not any(name.startswith("common.training") for name in modules)


def test_an_import_changes_no_validation_of_pydicom() -> None:
    program = "import common.io; from pydicom import config; print(config.settings.reading_validation_mode)"
    said, _ = python(program, stdout=subprocess.PIPE).communicate(timeout=600)
    assert said == "1\n", "a warning"
