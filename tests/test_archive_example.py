"""The example of an archive over several machines: a Slurm array, and Dask with two workers, one of them killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import medical_image_synthesis as mis
from common.simulation.mr_ct_pairs import write_mr2ct
from examples.archive import __main__ as program

ROOT = Path(__file__).resolve().parents[1]
PYTHON = Path(os.environ.get("INTEROP_VENV", ROOT / "build" / "interop-venv")).absolute() / "bin" / "python"
CASES = [f"case_{number}" for number in range(5)]


class Model:
    """Writes the name of a case; that of one is refused."""

    def cases(self, folder: Path) -> list[dict[str, Any]]:
        return [{"case": name} for name in CASES]

    def infer(self, item: dict[str, Any]) -> Any:
        self.name = item["case"]
        if self.name == "case_3":
            raise mis.Refused("it is unlike")
        return self

    def save(self, path: Path) -> None:
        path.write_text(self.name)


def test_each_case_is_done_by_one_task_of_an_array_and_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(program, "model_of", lambda *settings: Model())
    monkeypatch.setattr("sys.argv", ["examples.archive", str(tmp_path), str(tmp_path)])
    monkeypatch.setenv("SLURM_ARRAY_TASK_COUNT", "2")
    printed = []
    for task in (0, 1, 0):
        monkeypatch.setenv("SLURM_ARRAY_TASK_ID", str(task))
        program.main()
        printed.append([line.partition(":")[::2] for line in capsys.readouterr().out.splitlines()])
    assert [[name for name, _ in lines] for lines in printed] == [CASES[0::2], CASES[1::2], CASES[0::2]]
    assert {said for _, said in printed[2]} == {" there already"}
    assert "it is unlike" in dict(printed[1])["case_3"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{name}.nii.gz" for name in CASES if name != "case_3"]


def test_without_dask_a_line_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(program, "model_of", lambda *settings: Model())
    monkeypatch.setattr("sys.argv", ["examples.archive", str(tmp_path), str(tmp_path)])
    monkeypatch.delenv("SLURM_ARRAY_TASK_ID", raising=False)
    monkeypatch.setitem(sys.modules, "dask.distributed", None)
    assert program.main() == 2
    assert capsys.readouterr().err.splitlines() == [
        "error: no package distributed, Dask's, which examples.archive needs here: "
        "pip install distributed, or start it as a task of a Slurm array"
    ]


@pytest.mark.slow
def test_the_case_of_a_killed_worker_is_done_by_the_other(tmp_path):
    if not PYTHON.is_file():
        pytest.skip(f"no environment with Dask at {PYTHON}: make interop-test installs it")
    write_mr2ct(tmp_path / "cases", cases=6, spacing=5, seed=0)
    (tmp_path / "out").mkdir()
    words = [str(PYTHON), "-W", "ignore", str(ROOT / "tests" / "interop" / "killed_worker.py"), str(tmp_path)]
    paths = [str(ROOT), *map(str, ROOT.glob("bundles/*/"))]
    own = {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(words, env=os.environ | own, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    said = json.loads(done.stdout.splitlines()[-1])
    names = [f"phantom_{number:03}" for number in range(6)]
    assert sorted(said["workers"]) == names
    assert said["workers"][said["case"]] == said["other"]
    assert said["lines"] == {name: f"{name}: {tmp_path}/out/{name}.nii.gz" for name in names}
    assert sorted(path.name for path in tmp_path.glob("out/*.nii.gz")) == [f"{name}.nii.gz" for name in names]
