"""Asynchronous writing of checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.utils import _pytree

from ...weights import checkpoints


class AsyncSaver:
    """Writes checkpoints in a background thread, one at a time, from copies in main memory.

    A copy is as large as the checkpoint; the next one waits until it is written.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._writing: Future[None] | None = None

    def save(self, content: Mapping[str, Any], path: Path) -> None:
        """Write as :func:`common.weights.checkpoints.save` does, but return when the copy is made.

        Raises:
            OutputError: where the previous checkpoint could not be written.
        """
        self.settle()
        copied = _pytree.tree_map_only(Tensor, lambda tensor: tensor.detach().to("cpu", copy=True), dict(content))
        self._writing = self._thread.submit(checkpoints.save, copied, path)

    def settle(self) -> None:
        """Wait until the last checkpoint is written.

        Raises:
            OutputError: where it could not be written.
        """
        if self._writing is not None:
            writing, self._writing = self._writing, None
            writing.result()
