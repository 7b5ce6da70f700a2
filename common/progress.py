"""Progress of long loops: a bar at the terminal of a command, or a call of a function that a program names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from tqdm import tqdm

Listener = Callable[[str, float | None], None]
"""Takes a stage in words, and the share of it that is done, from 0 to 1; None where that is not known."""
_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def heard_by(listener: Listener) -> Iterator[None]:
    """Call a function, in place of the bars, with the progress of what this thread does."""
    before = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(before)


def tell(stage: str) -> None:
    """Say what begins, to a listener alone."""
    if (listener := _listener.get()) is not None:
        listener(stage, None)


@contextmanager
def advancing(stage: str, total: int, is_shown: bool = True) -> Iterator[Callable[[int], None]]:
    """What is to be called with the number of steps done since, of ``total``; a bar only where it is shown."""
    listener, done = _listener.get(), 0
    if listener is None:
        with tqdm(total=total, desc=stage, leave=False, disable=not is_shown or None) as bar:
            yield lambda steps: bar.update(steps) and None
        return

    def advance(steps: int) -> None:
        nonlocal done
        done += steps
        if is_shown:
            listener(stage, done / total)

    advance(0)
    yield advance
