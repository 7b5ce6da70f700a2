"""Where a run lies."""

from __future__ import annotations

from pathlib import Path

from ..errors import ConfigError
from ..files import require_file_name


def run_dir(output_dir: str, variant: str = "", fold: int | None = None) -> str:
    """The folder of a run: ``output_dir`` itself, or ``output_dir/variants/<variant>`` for a variant of the method.

    Fold 1 and the following ones are variants of their own, ``<variant>_fold_1``.

    Raises:
        ConfigError: for a variant whose name cannot be that of a folder.
    """
    if variant:
        require_file_name(variant, "--variant", error=ConfigError)
    name = "_".join([variant] * bool(variant) + [f"fold_{fold}"] * bool(fold))
    return str(Path(output_dir, "variants", name) if name else Path(output_dir))
