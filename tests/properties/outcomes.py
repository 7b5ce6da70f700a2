"""What any input may end in: a sound result, or one line of the project's; files other than the output as they were."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from common.config.start import end_command
from medical_image_synthesis.command import main

T = TypeVar("T")
MESSAGE = re.compile(r"(?!.* (\(\)|is )[:;] )(.+[:;] .+|.+ must .+)")
"""Fault and remedy, or a fault that says what must be; no empty value."""
FOREIGN = re.compile(
    r"list index out of range|has no attribute|not subscriptable|unsupported operand|'NoneType'|is not iterable"
    r"|not callable|unexpected keyword|positional argument|<[\w.]+ object at 0x|<function |<class '|referenced before"
    r"|maximum recursion|^(\w+\.)*\w*(Error|Exception|Warning)\b: |: KeyError|\bbad operand|can't convert|not supported"
    r" between|cannot unpack|invalid literal|could not convert|incompatible function arguments"
)
"""What an error of a program says that met what its author had not thought of."""
OF_COMPONENT = re.compile(r": \S+ refuses the settings of --")
"""Before the words of a component that a user may choose."""
PLACES = st.sampled_from(range(97))
"""All that is drawn is drawn among fewer than 100: Hypothesis takes larger numbers from the modules that are loaded, so
that other tests would decide what this one does."""


class Ended(NamedTuple):
    """A command at its end."""

    code: int
    out: str
    err: str


def examples(number: int) -> settings:
    """The same examples everywhere and every time, however long one takes."""
    return settings(
        max_examples=number, derandomize=True, deadline=None, database=None, print_blob=False,
        phases=(Phase.explicit, Phase.generate, Phase.shrink), suppress_health_check=list(HealthCheck),
    )  # fmt: skip


@contextlib.contextmanager
def box() -> Iterator[Path]:
    """A folder with ``in``, ``out`` and the current folder, in which nothing but ``out`` may change after a yield."""
    here, temporary = Path.cwd(), tempfile.tempdir
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for part in ("in", "out", "here", "tmp"):
            (root / part).mkdir()
        os.chdir(root / "here")
        tempfile.tempdir = str(root / "tmp")
        try:
            yield root
        finally:
            os.chdir(here)
            tempfile.tempdir = temporary


def _contents(root: Path) -> dict[str, str]:
    found = {}
    for path in root.rglob("*"):
        name = str(path.relative_to(root))
        if not name.startswith("out"):
            is_file = path.is_file() and not path.is_char_device()
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest() if is_file else oct(path.lstat().st_mode)
    return found


def ended(work: Callable[[], T], root: Path) -> T | None:
    """The result, or None after an error that a command ends with in one line; all else fails."""
    before, result, err = _contents(root), None, io.StringIO()
    try:
        result = work()
    except Exception as error:
        with contextlib.redirect_stderr(err), contextlib.suppress(SystemExit):
            end_command(type(error), error, error.__traceback__)
        assert "Traceback" not in err.getvalue(), err.getvalue()
        require_message(err.getvalue().strip().removeprefix("error: "))
    assert _contents(root) == before, "an input was changed, or a file written outside of the output folder"
    return result


def require_message(text: str) -> None:
    """Fault and remedy in one line, in the project's words."""
    assert MESSAGE.fullmatch(text), text
    assert OF_COMPONENT.search(text) or not FOREIGN.search(text), text


def command(words: list[str], root: Path) -> Ended:
    """Run ``synthesize`` with these words in this process; ``{box}`` in them is the folder."""
    given = [word.replace("{box}", str(root)) for word in words]
    before, out, err = _contents(root), io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(given)
        except SystemExit as stop:  # --help
            code = int(stop.code or 0)
    assert _contents(root) == before, "an input was changed, or a file written outside of the output folder"
    done = Ended(code, out.getvalue(), err.getvalue())
    said = done.err if not done.out.startswith("error: ") else done.out
    lines = [line for line in said.splitlines() if line.startswith("error: ")]
    assert done.code in (0, 1, 2), done
    assert (done.code == 0) != bool(lines), done
    for line in lines:
        require_message(line.removeprefix("error: "))
    return done


@st.composite
def damaged(draw: Any, content: bytes) -> bytes:
    """Bytes with a bit flipped, cut off, left out, doubled, zeroed or added, or those of another kind of file."""
    at, more = draw(PLACES) * len(content) // 97, draw(st.sampled_from(range(1, 64)))
    ways = {
        "flipped": content[:at] + bytes([content[at] ^ 1 << more % 8]) + content[at + 1 :],
        "cut": content[:at],
        "left out": content[:at] + content[at + more :],
        "doubled": content[: at + more] + content[at:],
        "zeroed": content[:at] + bytes(more) + content[at + more :],
        "added": content + bytes(range(more)),
        "empty": b"",
        "a page": b"<html><body>404 not found</body></html>",
        "a pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
    }
    return ways[draw(st.sampled_from(sorted(ways)))]
