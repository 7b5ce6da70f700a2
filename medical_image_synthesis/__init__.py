"""Synthetic images by bundles, from Python and by the command ``synthesize``; for research, not for clinical use.

.. code-block:: python

    import medical_image_synthesis as mis

    mr2ct = mis.load("mr2ct")
    ct = mr2ct("T1.nii.gz")
    ct.save("ct.nii.gz")

- :func:`load`: a bundle with its weights, to be called with a scan
- :func:`batch`: every case of a folder
- :func:`train`: weights of one's own, and their evaluation
- :func:`score`, :func:`attenuation`: errors of a synthetic volume, of any program
- ``simulate``: corruptions of a scan
- :class:`UserError`: a mistake, :class:`Refused`: a case without a result

What needs PyTorch is imported when it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from common.errors import Refused, UserError

if TYPE_CHECKING:
    from medical_image_synthesis import simulate
    from medical_image_synthesis.model import SynthesisModel, batch, load
    from medical_image_synthesis.result import QualityVerdict, SyntheticVolume, VoxelInterval
    from medical_image_synthesis.scoring import attenuation, score
    from medical_image_synthesis.training import Run, train

WHERE = {
    "load": "model", "batch": "model", "SynthesisModel": "model",
    "SyntheticVolume": "result", "QualityVerdict": "result", "VoxelInterval": "result",
    "train": "training", "Run": "training", "score": "scoring", "attenuation": "scoring",
}  # fmt: skip
"""Modules of what is imported when it is used first."""
__all__ = [
    "Refused", "Run", "SynthesisModel", "SyntheticVolume", "UserError", "QualityVerdict", "VoxelInterval",
    "attenuation", "batch", "load", "score", "simulate", "train",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import what is asked for."""
    if name == "simulate":
        return import_module(f"{__name__}.simulate")
    if name == "__version__":
        return import_module(f"{__name__}.info").version()
    if name not in WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{WHERE[name]}"), name)


def __dir__() -> list[str]:
    """What is for use, and what Python keeps of a module."""
    return sorted({*(name for name in globals() if name.startswith("__")), *__all__})
