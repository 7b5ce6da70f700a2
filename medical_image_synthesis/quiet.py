"""What a call from Python does to its process: nothing that stays, and errors without traces of the machinery."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

OPTION = re.compile(r"synthesize [^,;:]*|--([a-z_][\w:]*)(?: (true|false|all|[A-Z]+\b|[\d.]+))?")
"""A command in a message, which keeps its options, or an option of the command line."""
WORDS = {"true": "True", "false": "False", "all": '"all"'}


@contextmanager
def quiet(device: Any) -> Iterator[None]:
    """Leave random numbers and threads as they are, and show no warnings of libraries.

    Meanwhile PyTorch has no more threads than cores are idle.

    Args:
        device: whose generator is left alone too.
    """
    import torch

    from common.devices import threads_to_use

    kind = torch.device(device).type
    devices = list(range(torch.accelerator.device_count())) if kind not in ("cpu", "mps") else []
    options = {"device_type": kind} if devices else {}
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=devices, **options), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if (fewer := threads_to_use(threads)) < threads:
                torch.set_num_threads(fewer)
            yield
        finally:
            if torch.get_num_threads() != threads:
                torch.set_num_threads(threads)


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

        mistake = mistake_in(error)
        if mistake is None:
            raise
        mistake.args = (in_python(str(mistake)),)
        raise mistake.with_traceback(None) from None


def in_python(message: str) -> str:
    """A message with the options of the command line as arguments: ``--refuse false`` is ``refuse=False``."""

    def argument(found: re.Match[str]) -> str:
        if found[1] is None:
            return found[0]
        name, value = found[1].replace("::", "__"), found[2]
        return name if value is None else f"{name}={WORDS.get(value, value)}"

    return OPTION.sub(argument, message)
