"""Checks, the faults they find, and the verdict that follows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

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
        return " ".join(f"{self.name}: {self.rule}, but got {self.value}; {self.remedy}".split())


class NotApplicableError(Exception):
    """Raised by a check that has nothing to look at; the message says why."""


Found = Iterable[Fault | str]
"""What a check yields: faults, and notes (plain texts) on what it measured."""


@dataclass(frozen=True)
class Check:
    """One rule.

    Args:
        id: ``subject.rule``.
        group: one of ``GROUPS``.
        source: where the rule comes from.
        runs: what it needs: ``files`` alone, ``code`` of the bundle, or each ``network``.
        meaning: what holds for a bundle that passes.
        find: looks at a bundle, or at a network.
    """

    id: str
    group: str
    source: str
    runs: str
    meaning: str
    find: Callable[[Any], Found]


def check(name: str, group: str, source: str, runs: str = "files") -> Callable[[Callable[[Any], Found]], Check]:
    """Make a function a :class:`Check`, whose meaning is the first line of its docstring."""

    def made(find: Callable[[Any], Found]) -> Check:
        meaning = (find.__doc__ or "").splitlines()[0].rstrip(".")
        return Check(name, group, source, runs, meaning, find)

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
    plain = [fault._asdict() | {"value": str(fault.value)} for fault in faults]
    return {"outcome": FAIL if faults else passed, "faults": plain, "notes": notes}


def deepest(error: BaseException) -> str:
    """An exception's deepest cause as a text, since MONAI wraps what goes wrong while it instantiates."""
    while cause := error.__cause__ or (None if error.__suppress_context__ else error.__context__):
        error = cause
    return f"{type(error).__name__}: {' '.join(str(error).split())[:400]}"
