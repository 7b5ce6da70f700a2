"""The examples in the docstrings of what is public run as they stand."""

from __future__ import annotations

import inspect
import shutil
import textwrap
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest

from medical_image_synthesis import model

MODULES = ("model", "result", "training", "volumes", "scoring", "simulate")
LONG = ("train",)
PRINTED = {"mis.batch(": "a None\nb None\n", 'row["mae"]': "0.0 HU\n"}
"""What examples print that have these words; narrow networks have no calibration."""


def examples() -> Iterator[Any]:
    """The code of each example, by the name of what has it."""
    for name in MODULES:
        module = import_module(f"medical_image_synthesis.{name}")
        own = [each for each in vars(module).values() if getattr(each, "__module__", "") == module.__name__]
        inner = [each for kind in own if inspect.isclass(kind) for each in vars(kind).values() if callable(each)]
        for each in filter(callable, (*own, *inner)):
            _, found, code = (inspect.getdoc(each) or "").partition("Example::\n")
            if found and getattr(each, "__qualname__", "").split(".")[-1] == each.__name__:
                marks = [pytest.mark.slow] if each.__name__ in LONG else []
                yield pytest.param(textwrap.dedent(code), id=f"{name}.{each.__qualname__}", marks=marks)


@pytest.mark.parametrize("code", [*examples()])
def test_examples_run(code: str, scans, tiny_weights, tmp_path, monkeypatch, capsys) -> None:
    """With narrow networks, where an example does not load a run or a calibration."""
    shutil.copytree(scans, tmp_path / "here")
    (tmp_path / "here" / "truth.nii.gz").symlink_to("ct.nii.gz")
    (tmp_path / "here" / "SCANS").mkdir()
    for name in "ab":
        (tmp_path / "here" / "SCANS" / f"{name}.nii.gz").symlink_to("../T1.nii.gz")
    if "mis.train(" in code:
        from common.simulation.mr_ct_pairs import write_mr2ct

        write_mr2ct(tmp_path / "here" / "DATA", cases=4, spacing=5.0, seed=0)
    whole = model.model_of

    def narrow(bundle: Any, overlays: Any, options: dict[str, Any]) -> Any:
        is_own = options.keys() & {"weights", "uncertainty"}
        return whole(bundle, overlays, options if is_own else {**options, "weights": str(tiny_weights(bundle.short))})

    monkeypatch.setattr(model, "model_of", narrow)
    monkeypatch.chdir(tmp_path / "here")
    exec(compile(code, "the example", "exec"), {})
    printed = capsys.readouterr().out
    for word, said in PRINTED.items():
        assert word not in code or printed == said
