"""Errors that a user can cause; each message is one sentence: the fault, its place, and what to do."""

from __future__ import annotations

import argparse
import errno
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Literal, ParamSpec

Arguments = ParamSpec("Arguments")
SHOWN = 6
"""How many names a message lists."""
SHOWN_OF_PATH = 200
"""How many characters of a path that the system refuses are shown."""
NOT_INSTALLED = "is not installed"
"""In every message that names a missing package: a fault of the installation, whatever the package is needed for."""
PACKAGES = {"PIL": "pillow", "skimage": "scikit-image", "sklearn": "scikit-learn", "yaml": "PyYAML"}
"""Names by which pip knows modules that are called otherwise."""


def _last_line(message: str) -> str:
    """The message without the stack trace that PyTorch adds to errors of worker processes."""
    if "Traceback" not in message:
        return " ".join(message.split())
    own = re.escape(__name__.rpartition(".")[0])  # the package has another name in a release
    return re.sub(rf"^{own}\.[\w.]+: ", "", message.strip().splitlines()[-1])


def some(names: Sequence[str]) -> str:
    """The first of some names for a message, and how many more there are."""
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def choose(names: Iterable[str]) -> str:
    """The remedy for a name that is none of these: ``choose A, B or C``; ``omit it`` where there are none."""
    *others, last = [*names] or [""]
    if not last:
        return "omit it"
    return f"choose {', '.join(others)} or {last}" if others else f"choose {last}"


def user_error_in(error: BaseException) -> UserError | None:
    """The user error in a chain of exceptions, such as those of MONAI's instantiation; None without one.

    A path that the system refuses, such as one with too long a name, is a user error too, and so is a package that is
    not installed.
    """
    chain = chain_of(error)
    own = (each for each in chain if isinstance(each, UserError))
    refused = (_of_path(each) for each in chain if isinstance(each, OSError) and each.filename is not None)
    missing = (_of_package(name) for each in chain if isinstance(each, ImportError) and (name := _missing(each)))
    return next(own, None) or next(refused, None) or next(missing, None)


def chain_of(error: BaseException) -> list[BaseException]:
    """An exception, what caused it, and so on."""
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None and cause not in chain:
        chain.append(cause)  # one that was raised again is the cause of its own context
    return chain


def _of_path(error: OSError) -> UserError:
    name = str(error.filename)
    shown = name if len(name) <= SHOWN_OF_PATH else f"{name[:SHOWN_OF_PATH]}..."
    many = error.errno in (errno.EMFILE, errno.ENFILE)
    remedy = "raise the limit (ulimit -n 4096), or lower --num_workers" if many else "check the path"
    return UserError(f"cannot read or write {shown or 'an empty path'} ({error.strerror})", remedy)


def _missing(error: ImportError) -> str | None:
    """The module that is not installed; MONAI's ``OptionalImportError`` has its name in the text alone."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        return error.name
    found = re.search(r"No module named '([\w.]+)'", str(error))
    return found[1] if found else None


def _of_package(module: str) -> UserError:
    package = module.partition(".")[0]
    return UserError(f"{package} {NOT_INSTALLED}", f"pip install {PACKAGES.get(package, package)}")


def path_option(text: str) -> Path:
    """The path that an option of argparse gives; refuses an empty text, which pathlib takes for the working directory.

    Raises:
        argparse.ArgumentTypeError: for an empty text.
    """
    if not text:
        raise argparse.ArgumentTypeError("the path is empty")
    return Path(text)


class UserError(ValueError):
    """An error that the user can fix; a command ends with this message on stderr and ``exit_code``.

    The message is ``fault: remedy``, a sentence on one line: what is wrong, with its place and the values found, then
    what to do in the imperative. ``UserError("no weights at out/models/model.pt (from --output_dir)", "train there
    first, or pass --weights FILE")``. A fault that says itself what to do, ``--output must differ from SOURCE``, stands
    alone.

    Args:
        fault: what is wrong, with its place and values; the whole message without a remedy.
        remedy: for the user.
    """

    exit_code = 2
    label = "error: "
    """What the line begins with that ends a command."""

    def __init__(self, fault: str, remedy: str | None = None) -> None:
        super().__init__(_last_line(fault if remedy is None else f"{fault}: {remedy}"))


def exit_code_of_user_errors(main: Callable[Arguments, int]) -> Callable[Arguments, int]:
    """A command that meets a user error prints it as one line on stderr and returns its exit code."""

    @wraps(main)
    def command(*args: Arguments.args, **kwargs: Arguments.kwargs) -> int:
        try:
            code = main(*args, **kwargs)
            sys.stdout.flush()
            return code
        except (UserError, OSError, ModuleNotFoundError) as error:
            mistake = user_error_in(error) or of_stdout(error)
            if mistake is None:
                raise
            print(f"{mistake.label}{mistake}", file=sys.stderr)
            return mistake.exit_code

    return command


def of_stdout(error: BaseException) -> UserError | None:
    """The error of a standard output that is closed or full, which is not written to any more; None for others."""
    causes = [each for each in chain_of(error) if isinstance(each, OSError) and each.filename is None]
    if not causes:
        return None
    with suppress(OSError):  # a program's own stdout may have no descriptor
        descriptor = sys.stdout.fileno()
        try:
            os.write(descriptor, b"\n")
            return None
        except OSError:
            pass
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), descriptor)  # what is still buffered would fail at the end of Python
        return OutputError(f"cannot write to stdout ({causes[-1].strerror})", "files already written stay")
    return None


class ConfigError(UserError):
    """A setting that is unknown, of the wrong type or out of range."""


class DataError(UserError):
    """A file, case or datalist that cannot be used as it is."""


class CheckpointError(UserError):
    """Missing, damaged or non-finite weights, or weights of another network."""


class OutputError(UserError):
    """An output that already exists, cannot be written or would lose values."""


class TrainingError(UserError):
    """A training that cannot continue, such as after a loss that is not finite."""


class CasesFailedError(UserError):
    """Failure of some cases of a batch; the others are done, and the manifest lists the failures."""

    exit_code = 1


def failure(reasons: Mapping[str, str], cases: int, manifest: Path | str) -> UserError:
    """The error that ends a batch in which some cases failed; a missing package that fails all of them is its cause.

    Args:
        reasons: messages of the failed cases, by their names.
        cases: number of cases in the batch.
        manifest: what has all reasons, such as a file.
    """
    missing = len(reasons) == cases and all(NOT_INSTALLED in reason for reason in reasons.values())
    kind = ConfigError if missing else CasesFailedError
    if cases == 1:
        return kind(*reasons.values())
    alike: dict[str, list[str]] = {}
    for case, reason in reasons.items():
        alike.setdefault(_without_name(reason, case), []).append(case)
    groups = [f"{some(names)} ({reason})" for reason, names in alike.items()]
    rest = f"; all reasons are in {manifest}" if len(groups) > SHOWN else ""
    return kind(f"{len(reasons)} of {cases} cases failed: {some(groups)}{rest}")


def _without_name(reason: str, case: str) -> str:
    """A reason without the case and file that it begins with."""
    return re.sub(rf"^{re.escape(case)}( \([^()]*\))?(: | (?=is ))", "", reason)


class UnsuitedError(DataError):
    """A case that does not suit the weights, and is not inferred.

    Args:
        case: its name.
        reasons: why.
        remedy: for the user.
    """

    def __init__(self, case: str, reasons: Sequence[str], remedy: str) -> None:
        super().__init__(f"{case}: {'; '.join(reasons)}", remedy)
        self.reasons = tuple(reasons)


class Refused(CasesFailedError):  # noqa: N818  # the name that programs catch
    """The only case of an inference has no volume, by its verdict or since it does not suit the weights.

    Args:
        fault: the message, which begins with the verdict.
        reasons: of the refusal, in words.

    Attributes:
        record: what the JSON file of a case that is refused by its verdict says; None of one that is not inferred.
    """

    label = ""
    record: dict[str, Any] | None = None

    def __init__(self, fault: str, reasons: Sequence[str] = ()) -> None:
        super().__init__(fault)
        self.reasons = tuple(reasons)


@dataclass(frozen=True)
class Finding:
    """An error or warning about one file of one case: ``case_07 (mr.nii.gz): FAULT (VALUE); REMEDY``.

    ``fault`` is what is wrong, in words that cases alike share, so that they are reported together: "slices are
    unevenly spaced". ``value`` is what was found and differs from case to case, "gaps from 2.5 to 82.5 mm"; empty where
    the fault says all. ``remedy`` is what to do, in the imperative, or for a warning what was done.
    """

    case: str
    file: str
    fault: str
    value: str
    remedy: str
    severity: Literal["error", "warning"] = "error"

    @property
    def summary(self) -> str:
        """What is wrong, without place and remedy."""
        return f"{self.fault} ({self.value})" if self.value else self.fault

    def __str__(self) -> str:
        name = f"{self.case} ({self.file})" if self.file else self.case
        return " ".join(f"{name}: {self.summary}; {self.remedy}".split())


class VolumeError(DataError):
    """A volume that cannot be used; ``finding`` has the parts of the message for reports."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(str(finding))
        self.finding = finding

    def __reduce__(self) -> tuple[type[VolumeError], tuple[Finding]]:
        return type(self), (self.finding,)


@contextmanager
def naming_case(name: str) -> Iterator[None]:
    """Put the case in front of an error from code that knows no cases, such as a function of a volume.

    Raises:
        DataError, ConfigError: the error with the name in front.
    """
    try:
        yield
    except (ConfigError, DataError) as error:
        if isinstance(error, VolumeError):  # names its case
            raise
        raise type(error)(f"{name}: {error}") from error


Where = Callable[..., Finding]
"""Constructor of findings of one case and file, from fault, value, remedy and severity."""
