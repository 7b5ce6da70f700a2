"""Checks, the faults they find, and the verdict that follows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from common.errors import explain

GROUPS = {
    "zoo": "MONAI's bundle specification and what the model zoo's CI runs",
    "sound": "what no bundle can do without, though nobody else checks it",
    "label": "what MONAI Label and MONAI Deploy need",
    "house": "the contract of this collection",
}
PASS, FAIL, SKIP = "pass", "fail", "skip"


class Fault(NamedTuple):
    """What is wrong, which rule it breaks, what was found, and what to do."""

    name: str
    rule: str
    value: object
    remedy: str

    def __str__(self) -> str:
        return explain(*self)


def expect(holds: object, name: str, rule: str, value: object, remedy: str) -> Fault | None:
    """A fault where a rule does not hold."""
    return None if holds else Fault(name, rule, value, remedy)


class NotApplicableError(Exception):
    """Raised by a check that has nothing to look at; the message says why."""


Found = Iterable[Fault | str | None]
"""What a check yields: faults, and notes (plain texts) on what it measured; None where a rule holds."""


class Check(NamedTuple):
    """One rule, of one of ``GROUPS``; it looks at ``files`` alone, runs ``code`` of the bundle, or each ``network``."""

    id: str
    group: str
    source: str
    runs: str
    meaning: str
    find: Callable[[Any], Found]


def check(name: str, group: str, source: str, runs: str = "files") -> Callable[[Callable[[Any], Found]], Check]:
    """Make a function a :class:`Check`, whose meaning is the first line of its docstring."""

    def made(find: Callable[[Any], Found]) -> Check:
        return Check(name, group, source, runs, (find.__doc__ or "").splitlines()[0].rstrip("."), find)

    return made


@dataclass(frozen=True)
class Verdict:
    """Whether a check passed, failed or was skipped, why, and what it measured; ``subject`` names a network."""

    check: Check
    outcome: str
    faults: list[dict[str, str]]
    notes: list[str]
    subject: str = ""


def judge(find: Callable[[], Found]) -> dict[str, Any]:
    """What a check finds, as plain data: ``outcome``, ``faults``, ``notes``. Whatever it raises is a fault, too."""
    faults: list[Fault] = []
    notes: list[str] = []
    passed = PASS
    try:
        for found in find():
            faults += [found] if isinstance(found, Fault) else []
            notes += [found] if isinstance(found, str) else []
    except NotApplicableError as reason:
        passed, notes = SKIP, [str(reason)]
    except (Exception, SystemExit) as error:  # whatever foreign code does
        faults.append(Fault("the check", "runs to its end", deepest(error), "fix what raises it"))
    return {"outcome": FAIL if faults else passed, "faults": [plain(fault) for fault in faults], "notes": notes}


def plain(fault: Fault) -> dict[str, str]:
    """A fault as JSON can hold it."""
    return fault._asdict() | {"value": str(fault.value)}


def one_line(text: object, length: int = 400) -> str:
    """The beginning of a text, on one line."""
    return " ".join(str(text).split())[:length]


def deepest(error: BaseException) -> str:
    """An exception's deepest cause as a text, since MONAI wraps what goes wrong while it instantiates."""
    while cause := error.__cause__ or (None if error.__suppress_context__ else error.__context__):
        error = cause
    return f"{type(error).__name__}: {one_line(error)}"
