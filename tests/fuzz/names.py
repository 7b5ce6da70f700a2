"""Mutations of names: whatever a file, a folder, an output or a case is called, the result is the same, or refused."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.fuzz.mutation import Mutation, Rule, Target
from tests.fuzz.options import OUTPUTS
from tests.fuzz.scenes import BOX

NAMES = (
    "$__import__('os').system('touch pwned')", "$print(1)", "@seed", "%seed", "%gone.yaml", "Patient #2", "a#b",
    "a::b", "a,b", "it's", 'say "hi"', "[1,2]", "{a: 1}", "(x)", "{case}", "%s", "-x", "--seed", "a=b", "=1+1", " lead",
    "trail ", "two  spaces", "µ", "e\u0301", "患者", "\u202eabc", "true", "null", "1e5", "007", "1_000", "a\\b",
    "a\tb", "a\nb", "~", "*", "?", "a;b", "a&b", "$HOME", "`x`", "!x", ".hidden", "a..b", "a.nii", "x" * 100, "\x07",
)  # fmt: skip
"""Each is a name that a file system takes, and that some reader of text takes as something else."""


def mutate(rng: random.Random, target: Target) -> Mutation:
    """Give an input, the output, or both cases a name of :data:`NAMES`."""
    name = rng.choice(NAMES)
    ways: list[Callable[[random.Random, Target, str], Mutation]] = [_input] if _inputs(target) else []
    ways += [_output] if _outputs(target) else []
    ways += [_cases] if not target.scene.whole and len(_folders(target)) > 1 else []
    return rng.choice(ways)(rng, target, name)


def _inputs(target: Target) -> list[str]:
    """Files and folders at the top of the inputs that the command's words name, and no datalist."""
    words = [*target.options.values(), *target.scene.program]
    inside = f"{BOX}/in/"
    named = {word.removeprefix(inside).partition("/")[0] for word in words if word.startswith(inside)}
    return sorted(named - ({"data"} if (target.inputs / "list.json").exists() else set()))


def _outputs(target: Target) -> list[str]:
    """Options that name the output, where nothing lies there before the command."""
    return [] if target.scene.out else [name for name in OUTPUTS if f"{BOX}/out" in target.options.get(name, "")]


def _folders(target: Target) -> list[Path]:
    return sorted({path.parent for path in target.volumes()} - {target.inputs}) if target.scene.volumes else []


def _input(rng: random.Random, target: Target, name: str) -> Mutation:
    old = rng.choice(_inputs(target))
    stem, dot, ending = old.partition(".")
    new = f"{name}{dot}{ending}"
    (target.inputs / old).rename(target.inputs / new)

    def exchanged(word: str) -> str:
        return word.replace(f"{BOX}/in/{old}", f"{BOX}/in/{new}")

    options = {key: exchanged(value) for key, value in target.options.items()}
    program = tuple(map(exchanged, target.scene.program))
    return _mutation(f"in/{old}", new, {name: stem}, options=options, program=program)


def _output(rng: random.Random, target: Target, name: str) -> Mutation:
    option = rng.choice(_outputs(target))
    old = target.options[option]
    _, _, file = old.removeprefix(f"{BOX}/").partition("/")
    stem, dot, ending = file.partition(".")
    new = f"out/{name}{dot}{ending}" if file else name
    options = {**target.options, option: f"{BOX}/{new}"}
    writes = () if file else (target.box / name,)
    return _mutation(f"--{option}", new, {name: stem} if file else {}, options=options, writes=writes)


def _cases(rng: random.Random, target: Target, name: str) -> Mutation:
    """Rename the folders of all cases, which differ by a number before or behind the name alone."""
    folders = _folders(target)
    first = rng.random() < 0.5
    names = {folder.name: f"{number}{name}" if first else f"{name}{number}" for number, folder in enumerate(folders)}
    for folder in folders:
        folder.rename(folder.with_name(names[folder.name]))
    listed = target.inputs / "list.json"
    if listed.exists():
        datalist = json.loads(listed.read_text())
        for item in datalist["test"]:
            old, new = item["case"], names[item["case"]]
            item.update(case=new, **{key: value.replace(old, new) for key, value in item.items() if key != "case"})
        listed.write_text(json.dumps(datalist))
    return _mutation("cases", name, {new: old for old, new in names.items()})


def _mutation(what: str, new: str, renamed: dict[str, str], **more: Any) -> Mutation:
    return Mutation("name", f"{what} called {new!r}", Rule.EQUAL, renamed=renamed, of_monai=True, **more)
