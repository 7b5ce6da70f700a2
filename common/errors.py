"""The errors a user can cause. Each message says name, rule, value and remedy on one line."""

from __future__ import annotations

import re


def _last_line(message: str) -> str:
    """The message alone, where PyTorch hands it on from a worker process at the end of that one's stack trace."""
    if "Traceback" not in message:
        return message
    own = re.escape(__name__.rpartition(".")[0])  # the package has another name in a release
    return re.sub(rf"^{own}\.[\w.]+: ", "", message.strip().splitlines()[-1])


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
        message = _last_line(name) if rule is None else f"{name}: {rule}, but got {value}; {remedy}"
        super().__init__(" ".join(message.split()))


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
