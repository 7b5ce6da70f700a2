"""Executes the example notebook: ``python -m tools.notebook`` writes it again with its outputs."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

from tools.repository import ROOT

NOTEBOOK = ROOT / "examples" / "notebook" / "mr_to_ct.ipynb"
EXECUTED = "executed_sha256"
"""Key of the notebook's metadata: the hash of the code that gave the outputs."""
LIMIT_S = 900


def read(path: Path = NOTEBOOK) -> NotebookNode:
    """The notebook as it lies on disk."""
    return nbformat.read(path, as_version=4)


def code_hash(notebook: NotebookNode) -> str:
    """SHA-256 of the code cells."""
    code = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    return hashlib.sha256(code.encode()).hexdigest()


def executed(notebook: NotebookNode) -> NotebookNode:
    """The notebook with new outputs, run in its folder on one thread, and the hash of the code that made them.

    Raises:
        CellExecutionError: where a cell fails.
    """
    os.environ["OMP_NUM_THREADS"] = "1"  # numbers depend on the number of threads
    client = NotebookClient(
        notebook, timeout=LIMIT_S, record_timing=False, resources={"metadata": {"path": str(NOTEBOOK.parent)}}
    )
    client.execute()
    notebook.metadata[EXECUTED] = code_hash(notebook)
    return notebook


def main() -> int:
    """Write the notebook with new outputs."""
    nbformat.write(executed(read()), NOTEBOOK)
    return 0


if __name__ == "__main__":
    sys.exit(main())
