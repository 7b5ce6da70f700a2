"""Versions of the software that results depend on."""

from __future__ import annotations

import monai
import numpy as np
import torch


def software_versions() -> dict[str, str]:
    """Versions of the libraries that compute, for records and reports."""
    return {"monai": monai.__version__, "torch": torch.__version__, "numpy": np.__version__}
