"""The example notebook: ten cells, executed as they stand, with outputs that name no machine; slow: executed again."""

from __future__ import annotations

import re

import pytest
from nbformat import NotebookNode

from examples.notebook.__main__ import EXECUTED, NOTEBOOK, code_hash, executed, read

CALLS = ["mis.train(", "mis.load(", "mr2ct(", "run.evaluate("]
COLUMNS = ["mae", "psnr", "ssim", "sharpness", "bone_dice"]


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """Those that run."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def kinds(notebook: NotebookNode) -> list[list[str]]:
    """What each code cell put out, but for messages on stderr."""
    return [
        sorted(kind for output in cell.outputs for kind in (*output.get("data", {}), output.get("name", "")) if kind)
        for cell in code_cells(notebook)
    ]


def scores(notebook: NotebookNode) -> dict[str, dict[str, float]]:
    """The table of the last code cell by method and metric."""
    head, _, *rows = code_cells(notebook)[-1].outputs[-1].data["text/plain"].splitlines()
    return {name: dict(zip(head.split(), map(float, values), strict=True)) for name, *values in map(str.split, rows)}


def test_ten_cells_train_infer_and_evaluate() -> None:
    notebook = read()
    assert len(notebook.cells) == 10
    code = "\n".join(cell.source for cell in code_cells(notebook))
    assert sorted(map(code.index, CALLS)) == [code.index(each) for each in CALLS]
    assert "subprocess" not in code


def test_outputs_are_those_of_the_code() -> None:
    notebook = read()
    assert notebook.metadata[EXECUTED] == code_hash(notebook), "run python -m examples.notebook"
    assert [cell.execution_count for cell in code_cells(notebook)] == [1, 2, 3, 4, 5]
    assert kinds(notebook) == [
        [],
        ["text/html", "text/plain"],
        ["image/png", "text/plain"],
        ["text/plain"],
        ["text/html", "text/plain"],
    ]
    assert scores(notebook)["model"]["mae"] < 0.8 * scores(notebook)["linear_fit"]["mae"]


def test_outputs_are_small_and_name_no_machine() -> None:
    text = NOTEBOOK.read_text()
    assert len(text) < 200_000
    assert re.findall(r"/(?:tmp|home|root|usr|work)/|\d\d:\d\d:\d\d", re.sub(r'"image/png": "[^"]*"', "", text)) == []


SHORTER = ("small = {", 'small = {"max_epochs": 1, ')
"""The training in a twelfth of its time: how well the demo learns is asked of the demo."""


@pytest.mark.slow
def test_it_runs_again() -> None:
    before, again = read(), read()
    for cell in again.cells:
        cell.source = cell.source.replace(*SHORTER)
    assert again != before
    after = executed(again)
    assert kinds(after) == kinds(before)
    assert list(scores(after)["model"]) == COLUMNS
    assert scores(after)["linear_fit"] == pytest.approx(scores(before)["linear_fit"], rel=0.01), "the data are the same"
