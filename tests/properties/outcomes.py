"""What any input may end in: a sound result, or one line of the project's; files other than the output as they were."""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from common.config.mistakes import end_command
from medical_image_synthesis.command import main

T = TypeVar("T")
MESSAGE = re.compile(r"(?!.* is [:;] )(.+[:;] .+|.+ must .+)")
"""Fault and remedy, or a fault that says what must be; no empty value."""
FOREIGN = re.compile(
    r"out of range$|has no attribute|not subscriptable|unsupported operand|'NoneType'|is not iterable|not callable"
    r"|unexpected keyword|positional argument|<[\w.]+ object at 0x|<function |<class '|referenced before|recursion"
    r"|^\w*(Error|Exception): |: KeyError|bad operand|can't convert|not supported between|cannot unpack|invalid literal"
)
"""What an error of a program says that met what its author had not thought of."""
OF_COMPONENT = re.compile(r": \S+ refuses the settings of --")
"""Before the words of a component that a user may choose."""
PLACES = st.sampled_from(range(97))
"""All that is drawn is drawn among fewer than 100: Hypothesis takes larger numbers from the modules that are loaded, so
that other tests would decide what this one does."""


def examples(number: int) -> settings:
    """The same examples everywhere and every time, however long one takes."""
    return settings(
        max_examples=number, derandomize=True, deadline=None, database=None, print_blob=False,
        phases=(Phase.explicit, Phase.generate, Phase.shrink), suppress_health_check=list(HealthCheck),
    )  # fmt: skip


@contextlib.contextmanager
def box() -> Iterator[Path]:
    """A folder with ``in``, ``out`` and the current folder, in which nothing but ``out`` may change after a yield."""
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        for part in ("in", "out", "here", "tmp"):
            Path(name, part).mkdir()
        patch.chdir(Path(name, "here"))
        patch.setattr(tempfile, "tempdir", str(Path(name, "tmp")))
        yield Path(name)


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


def run_command(words: list[str], root: Path) -> None:
    """Run ``synthesize`` with these words in this process; ``{box}`` in them is the folder."""
    before, out, err, code = _contents(root), io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), contextlib.suppress(SystemExit):  # --help
        code = main([word.replace("{box}", str(root)) for word in words])
    assert _contents(root) == before, "an input was changed, or a file written outside of the output folder"
    said = out.getvalue() + err.getvalue()
    lines = [line for line in said.splitlines() if line.startswith("error: ")]
    assert code == (2 if lines else 0), said
    for line in lines:
        require_message(line.removeprefix("error: "))


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
