"""What tests of several folders share: which are slow, and the validators of DICOM."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

pytest_plugins = ["chromium_browser", "phantom_heads", "scored_phantom", "tiny_models"]

ALLOWED = ("Element=<Laterality>", "(0x0008,0x001c)")
"""What dciodvfy (2024 and before) calls an error and is none: SyntheticData is younger than its dictionary, and a body
part that is not known has no side."""
DEMONSTRATED = "mr2ct_pix2pix"
"""The bundle on which ``make test`` shows what takes long on every bundle: ``make test-slow`` has the others."""
DEMOS_LEFT_OUT = ("cect2ct_rescyclegan", "mri2pet_sketcher_refiner", "pd2t2_dcgan_acm")
"""Bundles whose demo is too long for ``.ci/run``: four to eight minutes of a core."""
REPEATED = 2
"""Bundles with which ``.ci/run`` runs a slow test of every bundle, that of ``make test`` included."""


def pytest_configure() -> None:
    """A shell lets what it starts in the background ignore Ctrl-C, and so would commands that the tests start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    """Tests of a whole demo or of all commands are slow, those marked so for all bundles but one.

    Of the slow ones the demos that take longest, and all repetitions but ``REPEATED``, are marked ``longest``.
    """
    repeated: dict[str, dict[str, dict[str, list[pytest.Item]]]] = {}
    for item in items:
        bundle = bundle_of(item)
        long = {"demo_run", "command_run"} & set(item.fixturenames)
        elsewhere = item.get_closest_marker("slow_elsewhere") and bundle not in (None, DEMONSTRATED)
        if long or elsewhere:
            item.add_marker(pytest.mark.slow)
        if "demo_run" in item.fixturenames and bundle in DEMOS_LEFT_OUT:
            item.add_marker(pytest.mark.longest)
        elif bundle is not None and item.get_closest_marker("slow"):
            shared = "command_run" if "command_run" in item.fixturenames else item.path.name
            test = repeated.setdefault(shared, {}).setdefault(item.nodeid.split("[")[0], {})
            test.setdefault(bundle, []).append(item)
    for shared, tests in repeated.items():
        names = sorted({bundle for of_bundles in tests.values() for bundle in of_bundles})
        start = zlib.crc32(shared.encode()) % len(names)  # others in each file, so that each has its share
        names = names[start:] + names[:start]
        if shared == "test_demos.py":
            names.sort(key=lambda name: name != os.environ.get("MADE_DEMO"))  # the one that costs nothing comes first
        for of_bundles in tests.values():
            elsewhere = any(
                item.get_closest_marker("slow_elsewhere") for items in of_bundles.values() for item in items
            )
            shown = [name for name in names[: REPEATED - elsewhere] if name in of_bundles] or [next(iter(of_bundles))]
            for item in (item for name in of_bundles if name not in shown for item in of_bundles[name]):
                item.add_marker(pytest.mark.longest)


def bundle_of(item: pytest.Item) -> str | None:
    """The bundle of a test that is repeated for several."""
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    found = parameters.get("bundle") or parameters.get("release")
    return found if isinstance(found, str) else None


@pytest.fixture(autouse=True)
def _same_random_weights() -> None:
    """A test that draws weights or images without a seed of its own draws the same ones in every run."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def once(tmp_path_factory) -> Callable[[str, Callable[[Path], object]], Path]:
    """Makes a folder of a name where no process of this test run has made it, and gives it."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own

    def folder(name: str, make: Callable[[Path], object]) -> Path:
        with open(shared / f"{name}.lock", "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not os.fstat(lock.fileno()).st_size:  # what another process wrote while this one waited counts
                make(shared / name)
                lock.write("made")
        return shared / name

    return folder


@pytest.fixture(scope="session")
def conformance_errors() -> Callable[[Path], list[str]]:
    """The errors that dciodvfy finds in each slice of a folder, and dcentvfy between them, bar the allowed ones."""
    for tool in ("dciodvfy", "dcentvfy"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not on PATH: install dicom3tools")

    def errors(folder: Path) -> list[str]:
        files = [str(path) for path in sorted(folder.glob("*.dcm"))]
        assert files, f"no slices in {folder}"
        said = [subprocess.run(["dciodvfy", file], capture_output=True, text=True).stderr for file in files]
        said.append(subprocess.run(["dcentvfy", *files], capture_output=True, text=True).stderr)
        # the exit codes do not tell
        found = {line for text in said for line in text.splitlines() if line.startswith("Error")}
        return sorted(line for line in found if not any(allowed in line for allowed in ALLOWED))

    return errors
