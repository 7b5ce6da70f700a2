"""Value validation of pydicom, switched off while the headers of files that may be damaged are read."""

from __future__ import annotations

import logging
import warnings
from contextlib import ContextDecorator
from functools import cache
from threading import Lock

from pydicom import config


class _WithoutValidation(ContextDecorator):
    """Counts the threads inside: pydicom has one mode for the whole process, and a thread may read while one writes."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._inside = 0
        self._mode = config.WARN

    def __enter__(self) -> None:
        with self._lock:
            _silence()
            if self._inside == 0:
                self._mode = config.settings.reading_validation_mode
                config.settings.reading_validation_mode = config.IGNORE
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                config.settings.reading_validation_mode = self._mode


@cache
def _silence() -> None:
    """Keep a patient's values out of logs from the first reading on: pydicom's messages about damaged files quote them.

    Filters of warnings cannot be taken back safely while other threads run, and headers are converted lazily.
    """
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module=r"pydicom\b")


without_validation = _WithoutValidation()
"""Context manager and decorator: pydicom neither refuses nor reports values that break the standard.

Its reports quote the values, which can be a patient's. pydicom converts an element when it is first used, so that the
use of a header belongs inside as well as its reading. The previous mode is restored when the last thread leaves.
"""
