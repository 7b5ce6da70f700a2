"""The signals that end a job: noted while a run trains, so that it can save before it leaves."""

from __future__ import annotations

import signal
from typing import Any


class EndSignals:
    """Notes the first SIGTERM or SIGINT in ``received``; a second one meets the handler from before."""

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[int, Any] = {}

    def catch(self) -> None:
        """Note the signals from now on."""
        try:
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._note)
        except ValueError:  # not the main thread: a server that trains in a thread keeps its own handlers
            self._before = {}

    def give_back(self) -> None:
        """Restore the handlers from before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _note(self, number: int, frame: Any) -> None:
        self.received = number
        signal.signal(number, self._before[number])  # a second one ends the process at once
