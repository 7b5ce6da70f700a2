"""Build backend of ``pyproject.toml``: that of setuptools, which tells ``setup.py`` of an editable installation."""

from __future__ import annotations

import os
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import build_sdist, build_wheel, prepare_metadata_for_build_wheel

from tools.release.pack.wheel import EDITABLE

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]


def prepare_metadata_for_build_editable(*args: Any, **kwargs: Any) -> str:
    """As setuptools does, for the packages as they lie in the repository."""
    os.environ[EDITABLE] = "1"
    return build_meta.prepare_metadata_for_build_editable(*args, **kwargs)


def build_editable(*args: Any, **kwargs: Any) -> str:
    """As setuptools does, for the packages as they lie in the repository."""
    os.environ[EDITABLE] = "1"
    return build_meta.build_editable(*args, **kwargs)
