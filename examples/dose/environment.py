"""What the example needs besides the bundles' own requirements."""

from __future__ import annotations

from importlib.util import find_spec

from common.errors import ConfigError, some

NEEDED = ("pyRadPlan", "pymedphys", "SimpleITK")


def require_environment() -> None:
    """Refuse an environment without the packages of ``examples/dose``, before anything is read.

    Raises:
        ConfigError: naming what is missing.
    """
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        remedy = "make an environment by the commands of examples/dose/README.md"
        raise ConfigError(f"no package {some(missing)}, which examples.dose needs", remedy)
