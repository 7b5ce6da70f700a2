"""Mutations of options: their names and values, at any depth of the configuration, and of overlay files."""

from __future__ import annotations

import ast
import os
import random
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser

from tests.fuzz.mutation import Mutation, Rule, Target
from tests.fuzz.scenes import BOX

VALUES = (
    "many", "", "[]", "{}", "[1,2]", "[[1,2],[3,4]]", "[None]", "None", "null", "true", "True", "yes", "0", "-1", "1.5",
    "1e999", "nan", "-0.5", "1e-30", "1e30", str(2**70), str(-(2**70)), "x" * 5000, "größe µ😀", "../..", "/dev/null",
    "@missing", "%missing", "@", "{'a':1}", "('a',)", "a,b", "007", "'quoted'", '"', "--", "-", "\t", "a b", "[1,",
    "no.such.Thing", "NoSuchTransform", "[nan,1]", "['a','b']", "[0,0,0]", "[-1,-1,-1]", "[1e9,1e9,1e9]", "[1]",
    "cuda", "cuda:99", "mps", "auto", "inf",
)  # fmt: skip
PLACES = ("dataset_dir", "datalist", "predictions_dir", "output_dir", "weights", "root", "out", "pred", "mask")
OUTPUTS = ("predictions_dir", "output_dir", "out", "run_dir", "output")
"""Options that say where a command writes; what a mutation names there is its output folder."""
PATHS = (
    f"{BOX}/in", f"{BOX}/in/gone", f"{BOX}/in/run/models/model.pt", f"{BOX}/cwd", f"{BOX}", f"{BOX}/größe µ 😀",
    f"{BOX}/" + "n" * 300, f"{BOX}/in/data", "", ".", "..", "relative", "/proc/self/mem", "/dev/null", "/dev/null/x",
    f"{BOX}/in/run", "~", "a\nb",
)  # fmt: skip
NOT_CHANGED = ("bundle_root", "demo_data", "prepare", "training", "evaluating", "inference", "run", "_target_")
"""Settings by which a command would be another one, or write where its user says, outside of its folder."""
TEXTS = (
    "a: [1, 2\n", "a: 1\na: 2\n", "\tseed: 1\n", "", "7\n", "- 1\n- 2\n", "seed: 1e-4\n", "<<: {seed: 1}\n",
    "seed: @missing\n", 'seed: "@missing"\n', "seed: &a 1\nmax_epochs: *b\n", "unknown: 3\n", "train: 5\n",
    "network_def: {_target_: no.such.Thing}\n", "network_def: {_target_: builtins.dict}\n", "reader: null\n",
    "preprocessing: null\n", "seed: !!python/object/apply:os.getpid []\n", "\x00", "seed: " + "[" * 3000 + "\n",
    "device: [1]\n", "run_dir: 5\n", '"seed": "-1"\n', "seed: 2024-01-01\n", "seed: .nan\n", "? [a, b]\n: 1\n",
    "größe: µ\n", "handlers: 5\n", "evaluator::resume: 7\n", "train::trainer: null\n", "::: 1\n", "'': 1\n", "1: 2\n",
)  # fmt: skip


def mutate(rng: random.Random, target: Target) -> Mutation:
    """Misspell an option, give one another value, or add one that stands somewhere in the configuration."""
    how = rng.choices((_misspelt, _other_value, _number, _place, _words, _program), (10, 16, 8, 4, 2, 1))[0]
    return how(rng, target)


def _mutation(target: Target, kind: str, name: str, value: str, rule: Rule, **more: Any) -> Mutation:
    if value.startswith("%"):  # MONAI looks a macro up before it builds anything
        more["of_monai"] = True
    options = {**target.options, name: value}
    given = value.replace("\n", " ")
    what = f"--{name} {given if len(given) < 80 else f'{given[:60]}... ({len(given)} characters)'}"
    return Mutation(f"option {kind}", what, rule, named=_parts(name), options=options, **more)


def _parts(name: str) -> tuple[str, ...]:
    """How a warning may name an option: in full, or by its last part."""
    return name, name.rpartition("::")[2]


def _misspelt(rng: random.Random, target: Target) -> Mutation:
    """A name that no setting has, at the top or within a section; options of the command itself are misspelt too."""
    settings = leaves(target)
    own = [name for name in target.options if len(name) > 3]
    name = rng.choice([*settings, *own]) if rng.random() < 0.8 else rng.choice(own)
    head, mark, last = name.rpartition("::")
    wrong = _typo(last, rng)
    if mark and rng.random() < 0.3:
        head = _typo(head, rng)
        wrong = last
    wrong = f"{head}{mark}{wrong}"
    options = {key: value for key, value in target.options.items() if key != name}
    value = target.options.get(name, str(settings.get(name, "7")))
    mutated = Target(target.scene, target.box, target.prepared, options)
    return _mutation(mutated, "misspelt", wrong, value, Rule.REFUSED, of_monai="::" in wrong)


def _typo(text: str, rng: random.Random) -> str:
    """A text with a letter left out, doubled, exchanged or added, that is no other text of two letters."""
    at = rng.randrange(max(len(text) - 1, 1))
    how = 3 if text.isdigit() else rng.randrange(4)  # 00 is the first part of a list, as 0 is
    if how == 0 and len(text) > 4:
        changed = text[:at] + text[at + 1 :]
    elif how == 1 and len(text) > 1 and text[at] != text[at + 1]:
        changed = text[:at] + text[at + 1 : at + 2] + text[at : at + 1] + text[at + 2 :]
    elif how == 2:
        changed = text[:at] + text[at : at + 1] + text[at:]
    else:
        changed = f"{text}x"
    return changed


def _other_value(rng: random.Random, target: Target) -> Mutation:
    """A value of any kind for any setting, be it a section, or one that the command has not been given."""
    settings = leaves(target)
    name = rng.choice(list(settings) or list(target.options))
    if rng.random() < 0.3:  # short, as users type it
        name = name.rpartition("::")[2]
    if name.isdigit() or name in NOT_CHANGED or (name not in settings and name in OUTPUTS):
        name = rng.choice(list(target.options))
    return _given(rng, target, name, rng.choice(VALUES), "value")


def _number(rng: random.Random, target: Target) -> Mutation:
    """A number near or far from the one that a setting has."""
    numbers = {name: value for name, value in leaves(target).items() if type(value) in (int, float)}
    if not numbers:
        return _other_value(rng, target)
    name = rng.choice(list(numbers))
    value = numbers[name]
    values = (-value, 0, value + 0.5, value * 2 + 1, value - 1, -1e9, 1e9, 2**31, 0.1, f"[{value}]", f"'{value}'")
    return _given(rng, target, name, str(rng.choice(values)), "number")


def _given(rng: random.Random, target: Target, name: str, value: str, kind: str) -> Mutation:
    if name in PLACES or name in OUTPUTS:
        return _at(target, name, value)
    is_training = target.scene.name.startswith(("training", "resumed"))
    return _mutation(target, kind, name, value, Rule.FINITE if is_training else Rule.SAME, of_monai="::" in name)


def _place(rng: random.Random, target: Target) -> Mutation:
    """A path that is no such file or folder, or an input."""
    named = [name for name in target.options if name in PLACES or name in OUTPUTS]
    name = rng.choice(named or list(target.options))
    return _at(target, name, rng.choice(PATHS))


def _at(target: Target, name: str, value: str) -> Mutation:
    writes: tuple[Path, ...] = ()
    if name in OUTPUTS:
        place = Path(value.replace(BOX, str(target.box)).partition("\n")[0] or ".")
        writes = (Path(os.path.normpath(target.box / "cwd" / place)),)
    return _mutation(target, "place", name, value, Rule.SAME, writes=writes)


def _words(rng: random.Random, target: Target) -> Mutation:
    """What is no option and value: an option without a value, twice, without a name."""
    name, value = rng.choice(
        (("", "7"), ("=", "7"), ("-", "7"), ("seed=", "7"), ("help-me", ""), ("::", "7"), ("seed::", "7"), ("#", "7"),
         ("seed::deep", "7"), ("1", "2"), ("seed seed", "1"), ("größe", "1"), ("~seed", "5"))
    )  # fmt: skip
    return _mutation(target, "words", name, value, Rule.SAME, of_monai=True)


def _program(rng: random.Random, target: Target) -> Mutation:
    """Another task, or config files that are none, of a command of MONAI; a misspelt command of the others."""
    if not target.scene.configs:
        at = rng.randrange(2, len(target.scene.program))
        program = (*target.scene.program[:at], f"{target.scene.program[at]}x", *target.scene.program[at + 1 :])
        return Mutation("option program", f"{program[at]}", Rule.REFUSED, program=program)
    *first, task, name, files = target.scene.program
    places = ("{box}/in/gone.yaml", "{box}/in", "{box}/in/run/models/model.pt", "", "[]", "5", "{'a': 1}", "['{box}']")
    task, files = rng.choice([(f"{task}x", files), ("", files), *((task, place) for place in places)])
    program = (*first, *filter(None, [task]), name, files)
    rule = Rule.REFUSED if task or files != target.scene.program[-1] else Rule.SAME
    return Mutation("option program", f"{task} {name} {files[:80]}", rule, program=program, of_monai=True)


def leaves(target: Target) -> dict[str, Any]:
    """Every setting of the command's configuration at any depth, sections among them."""
    if not target.scene.configs:
        return dict(target.options)
    return dict(_leaves(target.scene.configs))


@cache
def _leaves(files: Sequence[Path]) -> dict[str, Any]:
    parser = ConfigParser()
    parser.read_config([str(path) for path in files])
    found: dict[str, Any] = {}

    def collect(place: str, value: Any) -> None:
        if place.rpartition("::")[2] in NOT_CHANGED:
            return
        found[place] = value
        parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, part in parts:
            collect(f"{place}::{key}", part)

    for key, value in parser.get().items():
        if key != ConfigParser.meta_key:
            collect(key, value)
    return found


def mutate_overlay(rng: random.Random, target: Target) -> Mutation:
    """A config file of the user besides those of the bundle."""
    text, path = rng.choice(TEXTS), target.inputs / "mine.yaml"
    path.write_text(text)
    return Mutation("overlay", f"mine.yaml: {text[:60]!r}", Rule.SAME, options=dict(target.options), of_monai=True)


def with_overlay(words: Sequence[str], overlay: Path) -> list[str]:
    """The words of a command with one more config file, which must follow ``--config_file``."""
    given = list(words)
    at = given.index("--config_file") + 1
    files = ast.literal_eval(given[at]) if given[at].startswith("[") else [given[at]]
    given[at] = "[" + ",".join(f"'{file}'" for file in [*files, str(overlay)]) + "]"
    return given
