"""Imports of an inference without the libraries that it does not use."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

UNUSED = ("IPython", "h5py", "itk", "matplotlib", "pandas", "scipy.signal", "skimage", "sklearn", "tensorboard")
"""Libraries that MONAI imports where they are installed, for what no shipped inference does."""
SHARDED = "torch.distributed.optim"
"""Imported by Ignite to recognise one optimiser of several processes."""


@contextmanager
def without_unused() -> Iterator[None]:
    """Let MONAI and Ignite be imported as where these libraries are not installed: 2 of 4 s of a start [measured].

    They can be imported again afterwards; what MONAI does by them cannot be used in this process.
    """
    optimisers = ModuleType(SHARDED)
    optimisers.ZeroRedundancyOptimizer = type("ZeroRedundancyOptimizer", (), {})  # type: ignore[attr-defined]
    absent = {SHARDED: optimisers, **dict.fromkeys(UNUSED)}
    absent = {name: module for name, module in absent.items() if name not in sys.modules}
    sys.modules.update(absent)  # type: ignore[arg-type]  # None: not found
    try:
        yield
    finally:
        for name, module in absent.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]
