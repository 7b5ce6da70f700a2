"""k-Wave, imported so that it fetches nothing."""

from __future__ import annotations

import logging
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from unittest import mock

from common.errors import ConfigError


def require_environment() -> None:
    """Refuse an environment without k-Wave, before anything is read.

    Raises:
        ConfigError: it is missing.
    """
    if find_spec("kwave") is None:
        remedy = "pip install -r examples/ultrasound/requirements.txt, in an environment of its own"
        raise ConfigError("no package k-wave-python, which examples.ultrasound needs", remedy)


def kwave(module: str) -> ModuleType:
    """A module of k-Wave, such as ``kgrid``.

    The first import of k-wave-python 0.6.2 downloads two executables, and fails where it cannot
    (``findings/kwave_import_downloads.sh``). The NumPy back end needs none of them.
    """
    level = logging.root.level
    logging.root.setLevel(logging.ERROR)  # the import warns that the download it was refused timed out
    try:
        with mock.patch("urllib.request.urlretrieve", side_effect=TimeoutError):
            return import_module(f"kwave.{module}")
    finally:
        logging.root.setLevel(level)
