"""The end of a command by a mistake of the user: one line, with the place of the setting that a component refuses."""

from __future__ import annotations

import re
import signal
import sys
import threading
from multiprocessing.dummy import DummyProcess
from traceback import walk_tb
from typing import Any

import torch
from monai.bundle import ConfigComponent, ConfigExpression
from monai.utils.misc import MONAIEnvVars

from ..errors import ConfigError, TrainingError, UserError, chain_of, of_stdout, user_error_in
from .checks import require_located

PATIENCE_S = 60.0
"""How long a thread that loads a case is waited for."""
CIRCLE = re.compile(r"^detected circular references '(.+)' for id='(.+)' in")


def end_command(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """Print a user error as one line and exit with its code, that of a component while it is built as well.

    An interrupt exits with the code of its signal. Other errors are printed as usual, and with ``MONAI_DEBUG=1`` that
    of a component too.
    """
    if any(isinstance(each, KeyboardInterrupt) for each in chain_of(error)):
        raise SystemExit(128 + signal.SIGINT)
    mistake = (None if user_error_in(error) else of_stdout(error)) or mistake_in(error)
    if mistake is None:
        sys.__excepthook__(kind, error, trace)
        return
    sys.stdout.flush()
    print(f"\n{mistake.label}{mistake}", file=sys.stderr, flush=True)  # a progress bar may not have ended its line
    wait_for_loaders()
    raise SystemExit(mistake.exit_code)


def wait_for_loaders() -> None:
    """Wait for threads that load the next case: PyTorch aborts if Python ends meanwhile."""
    for thread in threading.enumerate():
        if isinstance(thread, DummyProcess):
            thread.join(PATIENCE_S)


def mistake_in(error: BaseException) -> UserError | None:
    """The mistake of a user that an error is, with the place of the setting; None for other errors.

    With ``MONAI_DEBUG=1`` None for that of a component while it is built too.
    """
    causes = [error]
    while (cause := causes[-1].__cause__) is not None and cause not in causes:
        causes.append(cause)
    if mistake := user_error_in(error):
        return _with_place(mistake, causes)
    if stopped := _of_the_machine(error):
        return stopped
    circle = _circle(causes)
    return circle if circle or MONAIEnvVars.debug() else _of_a_component(causes)


def out_of_memory(error: BaseException) -> str | None:
    """What a chain of exceptions says of memory that ended; None for others."""
    for cause in chain_of(error):
        if isinstance(cause, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(cause):
            return " ".join(str(cause).split())[:200] or "nothing is left"
    return None


def _of_the_machine(error: BaseException) -> TrainingError | None:
    """Memory that ended, or that stopped a process of a loader; None for other errors."""
    if words := out_of_memory(error):
        return TrainingError(f"out of memory ({words})", "lower --batch_size or --inference_batch, or free memory")
    for cause in chain_of(error):
        if "shared memory" in str(cause):
            fault = "/dev/shm is too small for the processes of --num_workers"
            return TrainingError(fault, "enlarge it (docker run --shm-size 8g), or pass --num_workers 0")
        if str(cause).startswith("DataLoader worker"):
            fault = f"a process of --num_workers was stopped ({str(cause).strip(' .')}), mostly since memory ended"
            return TrainingError(fault, "lower --num_workers, and go on with --resume true")
    return None


def _built(causes: list[BaseException]) -> tuple[ConfigComponent | ConfigExpression | None, bool]:
    """The component or expression that was being built, None elsewhere, and whether its own text failed."""
    frames = [frame for cause in causes for frame, _ in walk_tb(cause.__traceback__)]
    owners = [frame.f_locals.get("self") for frame in frames]
    found = [owner for owner in owners if isinstance(owner, ConfigComponent | ConfigExpression)]
    return (found[-1] if found else None), bool(frames) and frames[-1].f_code.co_filename == "<string>"


def _with_place(mistake: UserError, causes: list[BaseException]) -> UserError:
    """A mistake in a component, ``overlap is 2``, with the place of the setting: ``--stitching::overlap is 2``."""
    (found, _), name = _built(causes), re.match(r"(\w+) is ", str(mistake))
    if name is None or not isinstance(found, ConfigComponent) or name[1] not in found.get_config():
        return mistake
    return type(mistake)(f"--{found.get_id()}::{mistake}")


def _of_a_component(causes: list[BaseException]) -> ConfigError | None:
    """What stopped a component from being built from its settings, or an expression; None for errors elsewhere."""
    (found, is_own_text), innermost = _built(causes), causes[-1]
    if isinstance(innermost, ModuleNotFoundError) and isinstance(found, ConfigComponent):
        try:
            require_located(str(found.get_id()), found.get_config(), found.locator)
        except ConfigError as unlocated:
            return unlocated
    reason = f"{type(innermost).__name__}: {' '.join(str(innermost).split())[:200]}"
    remedy = "change its settings (MONAI_DEBUG=1 shows where it failed)"
    if isinstance(found, ConfigComponent):
        target, place = found.get_config()["_target_"], found.get_id()
        return ConfigError(f"{target} refuses the settings of --{place} ({reason})", remedy)
    if found is not None and is_own_text:
        written = re.sub(r"__local_refs\['([^']+)'\]", r"@\1", str(found.get_config()))
        return ConfigError(f"--{found.get_id()} is an expression that fails, {written} ({reason})", remedy)
    return None


def _circle(causes: list[BaseException]) -> ConfigError | None:
    """MONAI's error for settings that refer to each other."""
    circle = next((CIRCLE.search(str(each)) for each in causes if isinstance(each, ValueError)), None)
    return circle and ConfigError(f"--{circle[2]} refers to itself through {circle[1]}", "give one of them a value")
