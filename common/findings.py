"""What a check found wrong with a case, and the error that carries it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from common.errors import DataError


@dataclass(frozen=True)
class Finding:
    """What is wrong with one file of one case, and what to do about it."""

    case: str
    file: str
    rule: str
    value: str
    remedy: str
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        name = f"{self.case} ({self.file})" if self.file else self.case
        return " ".join(f"{name}: {self.rule}, but got {self.value}; {self.remedy}".split())


class VolumeError(DataError):
    """A volume that cannot be used; ``finding`` keeps the parts of the message for reports."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(str(finding))
        self.finding = finding

    def __reduce__(self) -> tuple:
        return type(self), (self.finding,)


Where = Callable[..., Finding]
"""A finding whose case and file are filled in already; rule, value and remedy are to come."""
