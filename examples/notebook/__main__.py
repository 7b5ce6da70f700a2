"""Runs the notebook again and writes it with its outputs: ``python -m examples.notebook``."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

NOTEBOOK = Path(__file__).with_name("mr_to_ct.ipynb")
EXECUTED = "executed_sha256"
"""Key of the notebook's metadata: the hash of the code that gave the outputs."""
LIMIT_S = 900


def read() -> NotebookNode:
    """The notebook as it lies on disk."""
    return nbformat.read(NOTEBOOK, as_version=4)


def code_hash(notebook: NotebookNode) -> str:
    """SHA-256 of the code cells."""
    code = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    return hashlib.sha256(code.encode()).hexdigest()


def executed(notebook: NotebookNode) -> NotebookNode:
    """The notebook with new outputs, run in its folder on one thread, and the hash of the code that made them.

    Raises:
        CellExecutionError: a cell fails.
    """
    os.environ["OMP_NUM_THREADS"] = "1"  # numbers depend on the number of threads
    place = {"metadata": {"path": str(NOTEBOOK.parent)}}
    NotebookClient(notebook, timeout=LIMIT_S, record_timing=False, resources=place).execute()
    notebook.metadata[EXECUTED] = code_hash(notebook)
    return notebook


if __name__ == "__main__":
    nbformat.write(executed(read()), NOTEBOOK)
