"""Checks of a bundle, the faults that they find, and the verdict that follows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple


class Fault(NamedTuple):
    """What is wrong, with its place and what was found, and what to do."""

    fault: str
    remedy: str

    def __str__(self) -> str:
        return " ".join(f"{self.fault}: {self.remedy}".split())


def expect(holds: object, fault: str, remedy: str) -> Fault | None:
    """A fault where a rule does not hold."""
    return None if holds else Fault(fault, remedy)


class NotApplicableError(Exception):
    """Raised by a check that has nothing to look at; the message says why."""


Faults = Iterable[Fault | None]
"""What a check yields: faults; None where a rule holds."""


class Check(NamedTuple):
    """One rule, by name, in words, and the function that finds what breaks it in a bundle."""

    id: str
    meaning: str
    find: Callable[[Any], Faults]


def check(name: str) -> Callable[[Callable[[Any], Faults]], Check]:
    """Make a function a :class:`Check`, whose meaning is the first line of its docstring."""
    return lambda find: Check(name, (find.__doc__ or "").splitlines()[0].rstrip("."), find)


class Verdict(NamedTuple):
    """The faults that a check found, or why it was skipped."""

    check: Check
    faults: list[Fault]
    skipped: str = ""


def verdict_of(check: Check, bundle: Any) -> Verdict:
    """What a check finds in a bundle. Whatever it raises is a fault, too."""
    try:
        return Verdict(check, [fault for fault in check.find(bundle) if fault is not None])
    except NotApplicableError as reason:
        return Verdict(check, [], str(reason))
    except Exception as error:  # such as a file that cannot be read
        fault = f"the check failed ({type(error).__name__}: {one_line(error)})"
        return Verdict(check, [Fault(fault, "fix what raises it")])


def one_line(text: object, length: int = 400) -> str:
    """The beginning of a text, on one line."""
    return " ".join(str(text).split())[:length]
