"""Memory of a training of large volumes with a narrow network."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np

from tools.bench.clock import Timing
from tools.bench.memory import environment
from tools.repository import config_path

SHAPE = (256, 256, 200)
IN_MEMORY = 11
"""Bytes a voxel of a case, with its mask, where all are kept in memory as they are."""
SETTINGS = {"depth": 5, "width": 2, "max_epochs": 1, "constant_epochs": 1, "decay_epochs": 0, "batch_size": 1}
STEPS = 200
HEADS = ("all GB", "own GB")
"""Of volumes in memory as they are; and of the memory that the processes have, volumes in files not counted."""


def row(volumes: int, processes: int, data: Path) -> Timing:
    """Memory of a training of mr2ct on some volumes, with one more for its validation."""
    with tempfile.TemporaryDirectory(dir=data) as folder:
        log = Path(folder, "log")
        options = {
            "config_file": [str(config_path("mr2ct_pix2pix", name)) for name in ("train", "multi_gpu_train")],
            "datalist": _write_cases(Path(folder), volumes),
            "output_dir": Path(folder, "out"),
            "data_check": False,
            "samples_per_epoch": STEPS * processes,
            **SETTINGS,
        }
        words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
        start = ["-m", "torch.distributed.run", f"--nproc_per_node={processes}"] if processes > 1 else []
        command = [sys.executable, "-W", "ignore", *start, "-m", "monai.bundle", "run", "training", *words]
        own, mapped = 0, 0
        with log.open("w") as output:
            process = subprocess.Popen(command, env=environment(), stdout=output, stderr=output)
            while process.poll() is None:
                taken = [_taken(pid) for pid in _family(process.pid)]
                own, mapped = max(own, sum(each[0] for each in taken)), max(mapped, sum(each[1] for each in taken))
                time.sleep(0.2)
        said = "; ".join(re.findall(r"training volumes.*", log.read_text())) or log.read_text()[-2000:]
    name = f"mr2ct, {volumes} of {'x'.join(map(str, SHAPE))}, {processes} process{'es' * (processes > 1)}"
    note = f"{mapped / 1e9:.2f} GB of files mapped; exit {process.returncode}; {said}"
    return Timing(name, IN_MEMORY * volumes * np.prod(SHAPE) * processes / 1e9, own / 1e9, note)


def _write_cases(folder: Path, volumes: int) -> Path:
    """Balls of varied values, of other ones in each case, and the datalist of them."""
    grid = np.meshgrid(*(np.linspace(-1, 1, side, dtype=np.float32) for side in SHAPE), indexing="ij", sparse=True)
    ball = sum(axis**2 for axis in grid) < 0.98
    grain = np.random.default_rng(0).integers(0, 600, SHAPE, np.int16)
    cases = []
    for number in range(volumes + 1):
        case = folder / f"case_{number}"
        case.mkdir()
        for name, air in (("mr", 0), ("ct", -1000)):
            image = nib.Nifti1Image(np.where(ball, grain + np.int16(number), np.int16(air)), np.eye(4))
            nib.save(image, case / f"{name}.nii")
        cases.append({"case": case.name, "image": f"{case.name}/mr.nii", "label": f"{case.name}/ct.nii"})
    (folder / "datalist.json").write_text(json.dumps({"training": cases[1:], "validation": cases[:1]}))
    return folder / "datalist.json"


def _family(pid: int) -> Iterator[int]:
    """A process and those that it started."""
    yield pid
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:  # it has ended
        return
    for child in children:
        yield from _family(int(child))


def _taken(pid: int) -> tuple[int, int]:
    """Bytes of a process in memory: its own ones with shared memory, and those of mapped files, shared ones divided."""
    try:
        rows = dict(re.findall(r"(\w+): +(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text()))
    except OSError:
        return 0, 0
    own = int(rows.get("Pss_Anon", 0)) + int(rows.get("Pss_Shmem", 0))
    return own * 1024, int(rows.get("Pss_File", 0)) * 1024


def rows(data: Path, counts: list[int]) -> list[Timing]:
    """A row for each number of volumes, and one of two processes."""
    return [*(row(count, 1, data) for count in counts), row(counts[0], 2, data)]
