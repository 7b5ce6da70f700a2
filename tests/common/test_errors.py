"""Errors say what is wrong and what to do on one line, and survive pickling and worker processes."""

from __future__ import annotations

import pickle
import threading
import time
from dataclasses import replace
from multiprocessing.pool import ThreadPool
from pathlib import Path

import pytest
import torch
from monai.utils import optional_import
from torch.utils.data import DataLoader, Dataset

from common import errors
from common.config.mistakes import end_command

KINDS = [
    errors.UserError,
    errors.ConfigError,
    errors.DataError,
    errors.CheckpointError,
    errors.OutputError,
    errors.TrainingError,
]


@pytest.mark.parametrize(
    ("names", "remedy"), [("", "omit it"), ("A", "choose A"), ("AB", "choose A or B"), ("ABC", "choose A, B or C")]
)
def test_the_remedy_for_an_unknown_name(names: str, remedy: str) -> None:
    assert errors.choose(names) == remedy


def test_message_is_the_fault_and_the_remedy_on_one_line() -> None:
    assert str(errors.DataError("case_07 has shape (8, 9), not (9, 9)", "pad it")) == (
        "case_07 has shape (8, 9), not (9, 9): pad it"
    )
    assert str(errors.DataError("case\n07 is a\ttext\nover  lines", "write\r\nit again")) == (
        "case 07 is a text over lines: write it again"
    )
    assert str(errors.OutputError("--output must differ from SOURCE")) == "--output must differ from SOURCE"


@pytest.mark.parametrize("kind", [*KINDS, errors.CasesFailedError])
def test_pickling_keeps_type_and_message(kind: type[errors.UserError]) -> None:
    error = kind("case_1 has NaN", "restore it")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert str(copy) == "case_1 has NaN: restore it"


class _Broken(Dataset):
    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> None:
        raise errors.DataError("case_1 has NaN", "restore it")


def test_a_worker_process_hands_the_error_on() -> None:
    with pytest.raises(errors.DataError, match=r"case_1 has NaN: restore it"):
        next(iter(DataLoader(_Broken(), num_workers=1)))


def test_a_message_from_a_worker_process_loses_its_stack_trace():
    trace = (
        'Caught DataError in DataLoader worker process 0.\nOriginal Traceback (most recent call last):\n  File "x.py"\n'
    )
    assert str(errors.DataError(trace + "common.errors.DataError: case_1 has NaN: restore it")) == (
        "case_1 has NaN: restore it"
    )


def test_a_path_that_the_system_refuses_ends_a_command_in_one_line(
    capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    @errors.exit_code_of_user_errors
    def main(path: Path) -> int:
        Path(path).stat()
        return 0

    assert main(tmp_path) == 0
    assert main(tmp_path / "gone") == 2
    assert main("n" * 5000) == 2
    gone, long = capsys.readouterr().err.splitlines()
    assert gone == f"error: cannot read or write {tmp_path}/gone (No such file or directory): check the path"
    assert long == f"error: cannot read or write {'n' * 200}... (File name too long): check the path"


def test_too_many_open_files_are_no_fault_of_the_path() -> None:
    mistake = errors.user_error_in(OSError(24, "Too many open files", "mr.nii.gz"))
    limit = "raise the limit (ulimit -n 4096), or lower --num_workers"
    assert str(mistake) == f"cannot read or write mr.nii.gz (Too many open files): {limit}"


def test_an_error_of_the_system_without_a_path_is_none_of_the_user(capsys: pytest.CaptureFixture) -> None:
    @errors.exit_code_of_user_errors
    def main() -> int:
        raise BrokenPipeError(32, "Broken pipe")

    with pytest.raises(BrokenPipeError):
        main()


FAULT = errors.Finding("case_07", "mr", "uneven slice spacing", "gaps from 2.5 to 82.5 mm", "find the missing slice")


@pytest.mark.parametrize(
    ("value", "summary"),
    [
        ("gaps from 2.5 to 82.5 mm", "uneven slice spacing (gaps from 2.5 to 82.5 mm)"),
        ("", "uneven slice spacing"),
    ],
)
def test_a_finding_states_the_fault_then_the_remedy(value: str, summary: str) -> None:
    finding = replace(FAULT, value=value)
    assert (finding.summary, str(finding)) == (summary, f"case_07 (mr): {summary}; find the missing slice")


@pytest.mark.parametrize(
    ("module", "package"), [("SimpleITK", "SimpleITK"), ("skimage.filters", "scikit-image"), ("PIL", "pillow")]
)
def test_a_package_that_is_not_installed_ends_a_command_in_one_line(
    capsys: pytest.CaptureFixture, module: str, package: str
) -> None:
    @errors.exit_code_of_user_errors
    def main() -> int:
        raise ModuleNotFoundError(f"No module named '{module}'", name=module)

    assert main() == 2
    missing = module.partition(".")[0]
    assert capsys.readouterr().err == f"error: {missing} is not installed: pip install {package}\n"


def test_so_is_one_that_monai_misses_where_it_is_used() -> None:
    """The name is in the text alone, and MONAI's instantiation wraps the error."""
    layer, _ = optional_import("not_there.layers", name="Layer")
    with pytest.raises(ImportError) as caught:
        layer(3)
    wrapped = RuntimeError("Failed to instantiate")
    wrapped.__cause__ = caught.value
    assert str(errors.user_error_in(wrapped)) == "not_there is not installed: pip install not_there"


class TestFailure:
    MANIFEST = Path("out", "manifest.json")

    def test_names_each_failed_case_once_with_its_reason(self) -> None:
        reasons = {"broken": str(replace(FAULT, case="broken")), "far": "out of memory: far needs 9.1 GB"}
        error = errors.failure(reasons, 3, self.MANIFEST)
        assert error.exit_code == 1
        assert str(error) == (
            "2 of 3 cases failed: broken (uneven slice spacing (gaps from 2.5 to 82.5 mm); find the missing slice), "
            "far (out of memory: far needs 9.1 GB)"
        )

    def test_cases_with_one_reason_share_it(self) -> None:
        reasons = {"a": "NaN", "b": "b (mr): empty; copy it again", "c": "NaN"}
        expected = "3 of 4 cases failed: a, c (NaN), b (empty; copy it again)"
        assert str(errors.failure(reasons, 4, self.MANIFEST)) == expected

    @pytest.mark.parametrize(("cases", "code"), [(1, 2), (2, 2), (3, 1)])
    def test_a_missing_package_is_a_mistake_where_nothing_could_be_done(self, cases: int, code: int) -> None:
        reasons = {f"c{number}": "SimpleITK is not installed: pip install it" for number in range(min(cases, 2))}
        assert errors.failure(reasons, cases, self.MANIFEST).exit_code == code


def test_a_command_ends_after_the_case_that_a_thread_is_loading() -> None:
    """Where Python ends in the middle of it, PyTorch aborts the process."""
    started, loaded = threading.Event(), []

    def load(case: int) -> None:
        if case == 0:
            started.wait(60)
            raise errors.DataError("case 0 is empty", "write it again")
        started.set()
        time.sleep(0.3)
        loaded.append(case)

    with pytest.raises(errors.DataError) as broken, ThreadPool(2) as pool:
        list(pool.imap(load, range(2)))
    with pytest.raises(SystemExit):
        end_command(errors.DataError, broken.value, None)
    assert loaded == [1]


def test_an_interrupt_is_no_mistake_of_the_settings(capsys: pytest.CaptureFixture[str]) -> None:
    error = RuntimeError("Failed to instantiate component 'data'")
    error.__cause__ = KeyboardInterrupt()
    with pytest.raises(SystemExit) as ended:
        end_command(RuntimeError, error, None)
    assert (ended.value.code, capsys.readouterr().err) == (130, "")


@pytest.mark.parametrize(
    ("cause", "fault", "remedy"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), "out of memory (CUDA out of memory.)", "lower --batch_size "),
        (RuntimeError("unable to allocate shared memory(shm)"), "/dev/shm is too small", "or pass --num_workers 0"),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "), "was stopped", "lower --num_workers"),
    ],
)
def test_memory_that_ends_is_one_line(
    cause: Exception, fault: str, remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """MONAI's last line of it says that an expression fails: ``Failed to evaluate ConfigExpression``."""
    error = RuntimeError("Failed to evaluate ConfigExpression")
    error.__cause__ = cause
    with pytest.raises(SystemExit) as ended:
        end_command(RuntimeError, error, None)
    line = capsys.readouterr().err.strip()
    assert ended.value.code == 2
    assert line.startswith("error: ")
    assert "\n" not in line
    assert fault in line
    assert remedy in line
