"""What other software reads of the project's volumes, and the project of its: the table of the page, tried."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from nibabel.affines import apply_affine
from written_volumes import LPS_TO_RAS, Sample, given_volumes, outputs

from common.errors import DataError
from medical_image_synthesis.volumes import as_volume
from tools.docs.readers import TOOLS, Otherwise, Tool
from tools.docs.readers import outcomes as by_kind

pytestmark = [pytest.mark.slow, pytest.mark.longest]
HERE = Path(__file__).parent
ENVIRONMENT = Path(os.environ.get("INTEROP_VENV", HERE.parents[1] / "build" / "interop-venv")).absolute()
NODE = ("NiiVue", "dcmjs")
ENDINGS = {"NIfTI": ".nii.gz", "MetaImage": ".mha", "NRRD": ".nrrd"}


class Found(NamedTuple):
    """Versions by tool, and outcomes of each source by tool, direction and kind."""

    versions: dict[str, str]
    outcomes: dict[tuple[str, str, str], dict[str, str]]


def run(words: list[str], jobs: list[dict[str, object]], folder: Path) -> dict:
    (folder / "jobs.json").write_text(json.dumps(jobs))
    own = {"OMP_NUM_THREADS": "1", "PYTHONPATH": "", "CUDA_VISIBLE_DEVICES": ""}
    words = [*words, str(folder / "jobs.json"), str(folder / "answers.json")]
    done = subprocess.run(words, cwd=ENVIRONMENT, env=os.environ | own, capture_output=True, text=True, timeout=800)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads((folder / "answers.json").read_text())


def ours(path: Path, sample: Sample, added: float) -> str:
    """What the project's reader makes of a volume that another tool wrote."""
    try:
        volume = as_volume(path)
    except DataError as error:
        return str(error)
    to_lps = LPS_TO_RAS @ volume.affine
    voxels = np.rint(apply_affine(np.linalg.inv(to_lps), sample.points)).astype(int)
    return sample.outcome(apply_affine(to_lps, voxels), volume.array[tuple(voxels.T)] - added)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    if not (ENVIRONMENT / ".ready").is_file():
        pytest.skip(f"no environment with readers at {ENVIRONMENT}: make interop-test installs it")
    folder = tmp_path_factory.mktemp("interop")
    (folder / "ours").mkdir()
    (folder / "theirs").mkdir()
    written, given = list(outputs(folder / "ours")), given_volumes(folder / "theirs")
    jobs: list[tuple[tuple[str, str, str], str, Sample, dict[str, object]]] = []
    for tool in TOOLS:
        for kind, source, sample in written:
            if kind in by_kind(tool.reads):
                job = {"path": str(sample.path), "points": sample.points.tolist()}
                jobs.append(((tool.name, "reads", kind), source, sample, job))
        for kind in by_kind(tool.writes):
            for name, (paths, sample) in given.items():
                out = folder / "theirs" / tool.name.replace(" ", "_") / kind.replace(" ", "_") / name
                out.parent.mkdir(parents=True, exist_ok=True)
                job = {"kind": kind, "out": f"{out}{ENDINGS.get(kind, '')}", **paths}
                jobs.append(((tool.name, "writes", kind), name, sample, job))
    shutil.copy(HERE / "node_tools.mjs", ENVIRONMENT)
    python = [str(ENVIRONMENT / "bin" / "python"), "-W", "ignore", str(HERE / "python_tools.py")]
    result = Found({}, defaultdict(dict))
    for words, in_node in ((python, False), (["node", "node_tools.mjs"], True)):
        asked = [job for job in jobs if (job[0][0] in NODE) == in_node]
        answered = run(words, [{"tool": key[0], **job} for key, _, _, job in asked], folder)
        result.versions.update(answered["versions"])
        for (key, source, sample, job), answer in zip(asked, answered["answers"], strict=True):
            if "error" in answer:
                outcome = answer["error"]
            elif key[1] == "reads":
                outcome = sample.outcome(answer["points"], answer["values"], per_step=key[2] == "MR")
            else:
                outcome = ours(Path(str(job["out"])), sample, answer["added"])
            result.outcomes[key][source] = outcome
    return result


def differing(outcomes: dict[str, str], expected: str | Otherwise) -> dict[str, str]:
    """The outcomes that are not the expected one."""
    if not isinstance(expected, Otherwise):
        return {source: said for source, said in outcomes.items() if said != expected}
    return {source: said for source, said in outcomes.items() if not re.search(expected.pattern, said)}


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_a_tool_does_what_the_page_says(tool: Tool, found: Found) -> None:
    version = found.versions.get(tool.name.split()[0])
    if version is None:
        pytest.skip(f"no {tool.name} on PATH: install Debian's package of it")
    assert version == tool.version, "try the table again, then python -m tools.docs.readers"
    expected = {("reads", kind): outcome for kind, outcome in by_kind(tool.reads).items()}
    expected |= {("writes", kind): outcome for kind, outcome in by_kind(tool.writes).items()}
    assert [key[1:] for key in found.outcomes if key[0] == tool.name] == list(expected)
    wrong = {key: differing(found.outcomes[(tool.name, *key)], outcome) for key, outcome in expected.items()}
    assert {key: said for key, said in wrong.items() if said} == {}
