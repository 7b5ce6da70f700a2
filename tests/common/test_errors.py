"""Errors say name, rule, value and remedy on one line and survive pickling and worker processes."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from torch.utils.data import DataLoader, Dataset

from common import errors

KINDS = [
    errors.UserError,
    errors.ConfigError,
    errors.DataError,
    errors.CheckpointError,
    errors.OutputError,
    errors.TrainingError,
]


def test_message_has_the_four_parts_in_order() -> None:
    error = errors.DataError("case_07", "has shape (9, 9)", (8, 9), "pad it")
    assert str(error) == "case_07: has shape (9, 9), but got (8, 9); pad it"


def test_message_is_one_line() -> None:
    error = errors.DataError("case\n07", "is a\tvolume", "text\nover  lines", "mend\r\nit")
    assert str(error) == "case 07: is a volume, but got text over lines; mend it"


def test_a_value_of_none_is_still_reported() -> None:
    assert str(errors.ConfigError("source_range", "is a pair", None, "give two numbers")) == (
        "source_range: is a pair, but got None; give two numbers"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_exit_codes_tell_a_mistake_from_failed_cases(kind: type[errors.UserError]) -> None:
    assert kind("a", "b", "c", "d").exit_code == 2
    assert errors.CasesFailedError("a", "b", "c", "d").exit_code == 1
    assert issubclass(kind, ValueError)


@pytest.mark.parametrize("kind", [*KINDS, errors.CasesFailedError])
def test_pickling_keeps_type_and_message(kind: type[errors.UserError]) -> None:
    error = kind("case_1", "is finite", "NaN", "restore it")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert str(copy) == "case_1: is finite, but got NaN; restore it"


class _Broken(Dataset):
    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> None:
        raise errors.DataError("case_1", "is finite", "NaN", "restore it")


def test_a_worker_process_hands_the_error_on() -> None:
    with pytest.raises(errors.DataError, match=r"case_1: is finite, but got NaN; restore it"):
        next(iter(DataLoader(_Broken(), num_workers=1)))


def test_a_message_from_a_worker_process_loses_its_stack_trace():
    trace = (
        'Caught DataError in DataLoader worker process 0.\nOriginal Traceback (most recent call last):\n  File "x.py"\n'
    )
    assert str(errors.DataError(trace + "common.errors.DataError: case_1: is finite, but got NaN; mend it")) == (
        "case_1: is finite, but got NaN; mend it"
    )


def test_a_path_that_the_system_refuses_ends_a_command_in_one_line(
    capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    @errors.exit_code_of_mistakes
    def main(path: Path) -> int:
        Path(path).stat()
        return 0

    assert main(tmp_path) == 0
    assert main(tmp_path / "gone") == 2
    assert main("n" * 5000) == 2
    gone, long = capsys.readouterr().err.splitlines()
    assert gone == f"error: {tmp_path}/gone: can be read or written, but got No such file or directory; check the path"
    assert long == f"error: {'n' * 200}...: can be read or written, but got File name too long; check the path"


def test_an_error_of_the_system_without_a_path_is_none_of_the_user(capsys: pytest.CaptureFixture) -> None:
    @errors.exit_code_of_mistakes
    def main() -> int:
        raise BrokenPipeError(32, "Broken pipe")

    with pytest.raises(BrokenPipeError):
        main()
