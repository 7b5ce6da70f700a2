"""Termination signals, recorded while a run trains so that it can save before it exits."""

from __future__ import annotations

import signal
from typing import Any


class TerminationSignals:
    """Records the first SIGTERM or SIGINT in ``received``; a second one goes to the earlier handler."""

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[int, Any] = {}

    def catch(self) -> None:
        """Record the signals from now on; outside the main thread nothing is changed."""
        try:
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._record)
        except ValueError:  # not the main thread: a server that trains in a thread keeps its own handlers
            self._before = {}

    def restore(self) -> None:
        """Restore the earlier handlers."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _record(self, number: int, frame: Any) -> None:
        self.received = number
        signal.signal(number, self._before[number])  # a second one ends the process at once
