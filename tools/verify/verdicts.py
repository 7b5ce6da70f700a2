"""What a check is, what it finds, and the verdict that follows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tools.verify.bundle import Bundle
    from tools.verify.networks import Network

GROUPS = {
    "zoo": "MONAI's bundle specification and what the model zoo's CI runs",
    "sound": "what no bundle can do without, though nobody else checks it",
    "label": "what MONAI Label and MONAI Deploy need",
    "house": "the contract of this collection",
}
CONTRACT = "the contract of this collection"
PASS, FAIL, SKIP = "pass", "fail", "skip"


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: what, which rule it breaks, what was found, and what to do."""

    name: str
    rule: str
    value: object
    remedy: str

    def __str__(self) -> str:
        return " ".join(f"{self.name}: {self.rule}, but got {self.value}; {self.remedy}".split())

    def fields(self) -> dict[str, str]:
        """The four parts as texts."""
        return {"name": self.name, "rule": self.rule, "value": str(self.value), "remedy": self.remedy}


class NotApplicableError(Exception):
    """Raised by a check that has nothing to look at; the message says why."""


Found = Iterable[Fault | str]
"""What a check yields: faults, and notes (plain texts) on what it measured."""


@dataclass(frozen=True)
class Check:
    """One rule.

    Args:
        id: ``subject.rule``.
        meaning: what holds for a bundle that passes.
        source: where the rule comes from.
        group: one of ``GROUPS``.
        find: looks at a bundle.
        executes: whether it runs the bundle's own code, hence in a process of its own.
    """

    id: str
    meaning: str
    source: str
    group: str
    find: Callable[[Bundle], Found]
    executes: bool = False


@dataclass(frozen=True)
class NetworkCheck:
    """One rule for each network; see :class:`Check`."""

    id: str
    meaning: str
    source: str
    group: str
    find: Callable[[Network], Found]


@dataclass(frozen=True)
class Verdict:
    """Whether a check passed.

    Args:
        check: the rule.
        outcome: ``pass``, ``fail`` or ``skip``.
        subject: the network, where the rule is for networks.
        faults: why it failed.
        notes: why it was skipped, or what was measured.
    """

    check: Check | NetworkCheck
    outcome: str
    subject: str = ""
    faults: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, check: Check | NetworkCheck, finding: dict[str, Any], subject: str = "") -> Verdict:
        """From what :func:`judge` returns."""
        faults = [Fault(**fields) for fields in finding["faults"]]
        return cls(check, finding["outcome"], subject, faults, finding["notes"])


def judge(find: Callable[[], Found]) -> dict[str, Any]:
    """Let a check look, as plain data: ``outcome``, ``faults``, ``notes``. Whatever it raises is a finding, too."""
    faults: list[Fault] = []
    notes: list[str] = []
    try:
        for found in find():
            if isinstance(found, Fault):
                faults.append(found)
            else:
                notes.append(found)
    except NotApplicableError as reason:
        return {"outcome": FAIL if faults else SKIP, "faults": [f.fields() for f in faults], "notes": [str(reason)]}
    except (Exception, SystemExit) as error:  # whatever foreign code does
        faults.append(crash(error))
    return {"outcome": FAIL if faults else PASS, "faults": [fault.fields() for fault in faults], "notes": notes}


def crash(error: BaseException) -> Fault:
    """An exception as a fault, with the deepest cause, since MONAI wraps what goes wrong while it instantiates."""
    cause = error
    while cause.__cause__ is not None or (cause.__context__ is not None and not cause.__suppress_context__):
        cause = cause.__cause__ or cause.__context__ or cause
    told = " ".join(str(cause).split())[:400]
    return Fault("the check", "runs to its end", f"{type(cause).__name__}: {told}", "mend what raises it")
