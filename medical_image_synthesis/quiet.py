"""What a call from Python does to its process: nothing that stays, and errors without traces of the machinery."""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

OPTION = re.compile(
    r"(synthesize [a-z][^,;:()]*)|--([a-z_][\w:]*)(?: (true|false|all|[A-Z]+\b|[\d.]+))?|\bSOURCE(?=\)|$| )"
)
"""What a message has of the command line: a whole command, an option, or the word for the source."""
WORDS = {"true": "True", "false": "False", "all": '"all"'}
TURN = threading.RLock()
"""Random numbers and filters of warnings belong to the process: threads that leave them as they are take turns."""


@contextmanager
def quiet(device: Any) -> Iterator[None]:
    """Leave random numbers and threads as they are, and show no warnings of libraries.

    Meanwhile PyTorch has no more threads than cores are idle, and its own default type and device.

    Args:
        device: whose generator is left alone too.
    """
    import torch

    from common.devices import threads_to_use

    kind = torch.device(device).type
    devices = list(range(torch.accelerator.device_count())) if kind not in ("cpu", "mps") else []
    options = {"device_type": kind} if devices else {}
    with TURN, own_device(), torch.random.fork_rng(devices=devices, **options), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
        try:
            torch.set_default_dtype(torch.float32)
            if (fewer := threads_to_use(threads)) < threads:
                torch.set_num_threads(fewer)
            yield
        finally:
            torch.set_default_dtype(dtype)
            if torch.get_num_threads() != threads:
                torch.set_num_threads(threads)


@contextmanager
def own_device() -> Iterator[None]:
    """Give PyTorch its own default device, in place of the one that the program has set."""
    import torch

    device = torch.get_default_device()
    torch.set_default_device(None)
    was_set = torch.get_default_device() != device  # otherwise it is the CPU, or that of a block around the call
    try:
        yield
    finally:
        if was_set:
            torch.set_default_device(device)


@contextmanager
def without_traces() -> Iterator[None]:
    """Raise a mistake of the user as a user error that names arguments as Python has them.

    Raises:
        UserError: in place of the error that it is in.
    """
    try:
        yield
    except Exception as error:
        from common.config.mistakes import mistake_in
        from common.errors import chain_of

        mistake = mistake_in(error)
        if mistake is None:
            raise
        mistake.args = (in_python(str(mistake)),)
        for each in chain_of(error):  # their frames hold networks and volumes for as long as somebody keeps the mistake
            each.__traceback__ = each.__cause__ = each.__context__ = None
        raise mistake from None


def in_python(message: str) -> str:
    """A message with options as arguments: ``--refuse false`` is ``refuse=False``; whole commands are left."""

    def argument(found: re.Match[str]) -> str:
        if found[1] or not found[2]:
            return found[1] or "source"
        name, value = found[2].replace("::", "__"), found[3]
        return name if value is None else f"{name}={WORDS.get(value, value)}"

    return OPTION.sub(argument, message)
