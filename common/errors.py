"""The errors a user can cause. Each message says name, rule, value and remedy on one line."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Literal, ParamSpec

Arguments = ParamSpec("Arguments")


def _last_line(message: str) -> str:
    """The message alone, where PyTorch hands it on from a worker process at the end of that one's stack trace."""
    if "Traceback" not in message:
        return " ".join(message.split())
    own = re.escape(__name__.rpartition(".")[0])  # the package has another name in a release
    return re.sub(rf"^{own}\.[\w.]+: ", "", message.strip().splitlines()[-1])


def explain(name: str, rule: str, value: object, remedy: str | None) -> str:
    """The one form of every message: what is wrong, what must hold, what was found, what to do; on one line."""
    return " ".join(f"{name}: {rule}, but got {value}; {remedy}".split())


def users_mistake(error: BaseException) -> UserError | None:
    """The mistake of the user in a chain of errors, which MONAI wraps while it instantiates, if there is one."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, UserError):
        cause = cause.__cause__ or cause.__context__
    return cause


class UserError(ValueError):
    """A mistake the user can mend; a command that meets one ends with ``exit_code`` and this line on stderr.

    Args:
        name: what is wrong: a case, a file, a setting.
        rule: what must hold for it.
        value: what was found instead.
        remedy: what to do about it.

    A single argument is taken as the finished message, so that the error survives the trip from a worker process.
    """

    exit_code = 2

    def __init__(self, name: str, rule: str | None = None, value: object = None, remedy: str | None = None) -> None:
        super().__init__(_last_line(name) if rule is None else explain(name, rule, value, remedy))


def exit_code_of_mistakes(main: Callable[Arguments, int]) -> Callable[Arguments, int]:
    """A command that meets a mistake of the user prints it as one line on stderr and returns its exit code."""

    @wraps(main)
    def command(*args: Arguments.args, **kwargs: Arguments.kwargs) -> int:
        try:
            return main(*args, **kwargs)
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            return error.exit_code

    return command


class ConfigError(UserError):
    """A setting that is unknown, of the wrong type or out of range."""


class DataError(UserError):
    """A file, case or datalist that cannot be used as it is."""


class CheckpointError(UserError):
    """Weights or a checkpoint that are missing, damaged, not finite or of another network."""


class OutputError(UserError):
    """An output that exists already, cannot be written or would lose values."""


class TrainingError(UserError):
    """Training that cannot go on, such as a loss that is not finite."""


class CasesFailedError(UserError):
    """Some cases of a batch failed; the others are done and the manifest lists the failures."""

    exit_code = 1


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
        return explain(name, self.rule, self.value, self.remedy)


class VolumeError(DataError):
    """A volume that cannot be used; ``finding`` keeps the parts of the message for reports."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(str(finding))
        self.finding = finding

    def __reduce__(self) -> tuple:
        return type(self), (self.finding,)


Where = Callable[..., Finding]
"""A finding whose case and file are filled in already; rule, value and remedy are to come."""
