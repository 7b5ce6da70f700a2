"""A forked command is what the same command is in a Python of its own, but for the time that imports take."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import forked_commands
import pytest
from forked_commands import ForkedCommand

TESTS = Path(__file__).parent
PACKAGE = {
    "__init__.py": "",
    "fails.py": "def inner():\n    raise ValueError('wrong')\n\ninner()\n",
    "hooks.py": (
        "import sys\n"
        "def hook(kind, error, trace):\n    print('hooked', kind.__name__, error)\n    raise SystemExit(7)\n"
        "sys.excepthook = hook\nraise KeyError('lost')\n"
    ),
    "hands_on.py": "import sys\nsys.excepthook = lambda *about: sys.__excepthook__(*about)\n1 / 0\n",
    "ends.py": (
        "import atexit, threading, time\n"
        "atexit.register(print, 'registered')\n"
        "class Last:\n    def __del__(self):\n        print('deleted')\n"
        "last = Last()\n"
        "threading.Thread(target=lambda: (time.sleep(0.3), print('thread'))).start()\n"
        "print('unfinished line', end='')\n"
        "raise SystemExit(5)\n"
    ),
    "about.py": (
        "import json, os, sys, warnings\n"
        "spec = sys.modules['__main__'].__spec__\n"
        "print(json.dumps({'argv': sys.argv, 'orig_argv': sys.orig_argv, 'spec': spec.name, 'origin': spec.origin,\n"
        "    'name': __name__, 'file': __file__, 'package': __package__, 'cwd': os.getcwd(), 'env': dict(os.environ),\n"
        "    'path': sys.path, 'hash': hash('word'), 'bytecode': sys.dont_write_bytecode,\n"
        "    'options': sys.warnoptions, 'stdin': sys.stdin.read(), 'prefix': sys.prefix,\n"
        "    'own': [name for name in sys.modules if name.split('.')[0] in ('common', 'command_server')]}))\n"
    ),
    "warns.py": (
        "import warnings\n"
        "warnings.formatwarning = lambda message, kind, *place: f'{kind.__name__}: {message}\\n'  # MONAI has its own\n"
        "warnings.warn('beware')\nwarnings.warn('old', DeprecationWarning)\nprint('after')\n"
    ),
}
HERE = [sys.executable, "-m"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a package of small commands."""
    root = tmp_path_factory.mktemp("commands")
    (root / "acts").mkdir()
    for name, text in PACKAGE.items():
        (root / "acts" / name).write_text(text)
    return root


def environment(**more: str) -> dict[str, str]:
    """That of the server, without which the seed of the hashes differs from process to process."""
    return {**os.environ, **forked_commands.ONE_THREAD, **more}


def real(words: list[str], cwd: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL)


@pytest.mark.parametrize(
    "words",
    [
        [*HERE, "acts.fails"],
        [*HERE, "acts.hooks"],
        [*HERE, "acts.hands_on"],
        [*HERE, "acts.ends"],
        [*HERE, "acts.missing"],
        [*HERE, "acts"],
        [*HERE, "json.tool", "--wrong"],
        [*HERE, "acts.warns"],
        [sys.executable, "-W", "ignore", *HERE[1:], "acts.warns"],
        [sys.executable, "-W", "ignore", "-W", "error::DeprecationWarning", *HERE[1:], "acts.warns"],
        [sys.executable, "-c", "import sys; print(sys.argv, sys.path[0]); open('nothing')", "a", "b"],
        [sys.executable, "-c", "raise SystemExit('in words')"],
        [sys.executable, "-c", "raise SystemExit"],
        [sys.executable, "-c", "raise KeyboardInterrupt"],
        [sys.executable, "-c", "import os; os.abort()"],
        [sys.executable, "-c", "import os; print('lost'); os._exit(9)"],
        [sys.executable, "-c", "import multiprocessing as m; p = m.Process(target=print); p.start(); p.join()"],
    ],
    ids=lambda words: " ".join(words[1:])[:60],
)
def test_code_output_and_traceback_are_those_of_a_real_process(folder: Path, words: list[str]) -> None:
    expected = real(words, folder, environment())
    found = forked_commands.run(words, folder, environment())
    assert (found.returncode, found.stdout, found.stderr) == (expected.returncode, expected.stdout, expected.stderr)


@pytest.mark.slow
def test_a_bundle_s_mistakes_and_faults_end_alike(folder: Path) -> None:
    for option in ("nowhere.yaml", "[1"):
        words = [*HERE, "monai.bundle", "run", "--config_file", option]
        expected, found = (start(words, folder, environment()) for start in (real, forked_commands.run))
        assert found.returncode == expected.returncode == 1
        assert found.stderr.splitlines()[-1] == expected.stderr.splitlines()[-1]


def about(start: Callable, folder: Path, words: list[str], **env: str) -> dict:
    done = start(words, folder, environment(**env))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_command_knows_of_itself_what_a_real_one_knows(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    words = [sys.executable, "-W", "ignore", "-m", "acts.about", "one", "--two"]
    own = {"PYTHONPATH": f"{tmp_path}/elsewhere{os.pathsep}nowhere", "PYTHONDONTWRITEBYTECODE": "1", "NEW": "é\n"}
    found, expected = (about(start, folder, words, **own) for start in (forked_commands.run, real))
    differs = {"hash"} if "PYTHONHASHSEED" not in os.environ else set()
    assert {key: found[key] for key in found if key not in differs} == {
        key: expected[key] for key in expected if key not in differs
    }
    assert found["spec"] == "acts.about"
    assert found["argv"][1:] == ["one", "--two"]
    assert found["own"] == []
    without = about(forked_commands.run, folder, [*HERE, "acts.about"])
    assert (without["env"].get("NEW"), without["options"]) == (None, [])
    assert f"{tmp_path}/elsewhere" not in without["path"], "nothing is left of the command before"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_signals_end_a_command_as_they_end_a_real_process(tmp_path: Path, number: int) -> None:
    begun = tmp_path / "begun"
    program = f"import pathlib, time; pathlib.Path({str(begun)!r}).touch(); time.sleep(600)"
    words, codes, said = [sys.executable, "-c", program], [], []
    for start in (ForkedCommand, subprocess.Popen):
        begun.unlink(missing_ok=True)
        with open(tmp_path / "log", "w") as log:
            process = start(words, stderr=log)
        while not begun.exists():
            assert process.poll() is None
            time.sleep(0.01)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.05)
        process.send_signal(number)
        codes.append(process.wait(timeout=600))
        said.append((tmp_path / "log").read_text())
        assert process.poll() == process.returncode == codes[-1]
        process.kill()  # too late, and no error
    assert codes == [-number, -number]
    assert said[0].splitlines()[-1:] == said[1].splitlines()[-1:]


def test_the_server_has_one_thread_and_nothing_of_the_project() -> None:
    program = "import os, sys; print(len(os.listdir(f'/proc/{os.getppid()}/task')), 'torch' in sys.modules)"
    assert forked_commands.run([sys.executable, "-c", program]).stdout == "1 True\n"


@pytest.mark.parametrize(
    ("words", "env"),
    [
        (["python-of-another-kind", "-m", "json.tool"], {}),
        ([sys.executable, "-O", "-m", "json.tool"], {}),
        ([sys.executable, "-m", "json.tool"], {"PYTHONHASHSEED": "17"}),
        ([sys.executable, "-m", "json.tool"], {"OMP_NUM_THREADS": "4"}),
    ],
)
def test_what_only_a_python_of_its_own_can_do_is_refused(words: list[str], env: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="begin as|for a process of its own"):
        ForkedCommand(words, env=environment(**env))


def test_the_server_and_its_commands_end_with_their_client(tmp_path: Path) -> None:
    program = (
        "import os, sys, time\nsys.path.insert(0, sys.argv[1])\nfrom forked_commands import ForkedCommand\n"
        "process = ForkedCommand([sys.executable, '-c', "
        "'import os, time; print(os.getppid(), os.getpid(), flush=True); time.sleep(600)'])\n"
        "time.sleep(600)\n"
    )
    words = [sys.executable, "-c", program, str(TESTS)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        pids = client.stdout.readline().split()
        assert len(pids) == 2
        client.kill()
    assert all(gone(pid) for pid in pids)


def gone(pid: str) -> bool:
    """Whether a process is not there any more, or is not a little later."""
    end = time.monotonic() + 600
    while Path(f"/proc/{pid}").exists() and time.monotonic() < end:
        time.sleep(0.01)
    return not Path(f"/proc/{pid}").exists()
