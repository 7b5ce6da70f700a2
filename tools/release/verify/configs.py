"""Checks of configs: syntax, references, what they have in common, layout."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tools.release.verify.bundle import EVALUATED, WHOLE, ValidatedBundle, all_leaves, leaves, read
from tools.release.verify.verdicts import Fault, Faults, NotApplicableError, check, expect, one_line
from tools.repository import base_of

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
TASKS = {"train": "training", "inference": "inference", "evaluate": "evaluating"}
"""Configs with a task of their own, which they run by default."""
NEEDED = ("bundle_root", "data", "dataset_dir", "device", "network_def", "output_dir", "seed")
"""Keys of train and inference."""
OWN_TO_EACH_TASK = {"acceleration", "data", "device", "run", "shipped_weights"}
"""Keys that stand in train and inference and may differ: what is read, what runs by default, with which weights, how
fast, and where (an inference is shared out among processes, a training needs its overlay)."""
COLUMNS = 120
COMMAND = r"python -m monai\.bundle run|torchrun .*-m monai\.bundle run|make demo"
CLEVER = r"lambda| for | if |import"
REMEDY = "see CONTRIBUTING.md"


@check("configs.readable")
def readable(bundle: ValidatedBundle) -> Faults:
    """Every config can be read and names every key once."""
    for path in bundle.config_files:
        try:
            read(path)
        except Exception as error:  # broken YAML, broken JSON, a duplicate key
            fault = f"cannot read configs/{path.name} ({one_line(error, 300)})"
            yield Fault(fault, "write a mapping in YAML or JSON with every key once")


@check("configs.numbers")
def numbers(bundle: ValidatedBundle) -> Faults:
    """No number is read as a text, as YAML 1.1 reads 1e-4."""
    for name, value in all_leaves(bundle):
        text = isinstance(value, str) and NUMBER.fullmatch(value) and not name.endswith("version")
        yield expect(not text, f"{name} is the text {value!r}, no number", "write 1.0e-4, not 1e-4, in YAML")


@check("configs.references")
def references(bundle: ValidatedBundle) -> Faults:
    """Every @ and % refers to what exists; train and inference are each complete in one file."""
    stems = [path.stem for path in bundle.config_files if path.suffix == ".yaml"]
    places = [place for place in (*((stem,) for stem in WHOLE), EVALUATED) if set(place) <= set(stems)]
    bases = {place: _missing(bundle, *place) for place in places}
    for stem in stems:
        stacks = [bases.get((stem,)) or _missing(bundle, stem)]
        if (stem,) not in bases:  # an overlay: only what its base does not lack already
            over = ((_missing(bundle, *base, stem), lacking) for base, lacking in bases.items())
            if (base := base_of(bundle.config(stem))) not in bases:
                stacks.append(_missing(bundle, *base, stem))
            stacks += [{key: found[key] for key in found.keys() - lacking.keys()} for found, lacking in over]
        for reference, name in min(stacks, key=len).items():
            remedy = "define it in the same file" if (stem,) in bases else "define it, or correct the reference"
            yield Fault(f"configs/{stem}.yaml {name} cannot be resolved ({reference})", remedy)


def _missing(bundle: ValidatedBundle, *stems: str) -> dict[str, str]:
    """What MONAI cannot resolve in a stack of configs, with the first id that needs it; nothing is instantiated."""
    try:
        parser = bundle.parser(*stems)
        parser.parse(True)
    except Exception as error:
        return {one_line(error, 200): "a macro (%) or file"}
    found: dict[str, str] = {}
    for name in parser.get():
        try:
            parser.get_parsed_content(name, instantiate=False, eval_expr=False)
        except Exception as error:
            reference = re.search(r"@[\w:]+", str(error))
            found.setdefault(reference.group() if reference else one_line(error, 200), name)
    return found


@check("configs.tasks")
def tasks(bundle: ValidatedBundle) -> Faults:
    """Configs have the keys of their task, run it by default, and find the bundle by its package."""
    for stem, task in TASKS.items():
        content = bundle.whole(stem)
        for key in (task, "run", *(NEEDED if stem != "evaluate" else ())):
            yield expect(key in content, f"configs/{stem} has no {key}", REMEDY)
        run = content.get("run")
        yield expect(run in (f"%{task}", f"@{task}"), f"configs/{stem} run is {run}", f"write %{task}")
        if stem != "evaluate":
            root, package = content.get("bundle_root"), bundle.packages[0] if bundle.packages else bundle.name
            remedy = "write {_target_: <package>.bundle_root}; '.' is wherever the command was started"
            own = root == {"_target_": f"{package}.bundle_root"}
            yield expect(own, f"configs/{stem} bundle_root is {root}", remedy)


@check("configs.common_parts")
def common_parts(bundle: ValidatedBundle) -> Faults:
    """Train and inference agree on what is in both."""
    train, inference = bundle.whole("train"), bundle.whole("inference")
    for key in sorted((train.keys() & inference.keys()) - OWN_TO_EACH_TASK):
        fault = f"configs: {key} is {train[key]} in train and {inference[key]} in inference"
        yield expect(train[key] == inference[key], fault, REMEDY)


@check("configs.overlays")
def overlaid(bundle: ValidatedBundle) -> Faults:
    """Overlays hold differences alone, variants are named as their files, the demo has plain settings of train."""
    train = bundle.whole("train")
    for path in [path for path in bundle.config_files if path.suffix == ".yaml" and path.stem not in WHOLE]:
        parser = bundle.parser(*base_of(path))
        for key, value in bundle.contents[path].items():
            name = f"configs/{path.name} {key}"
            # others may agree with what a release has merged into train
            differs = bundle.model_info.get("overlay") or key not in parser or parser[key] != value
            yield expect(differs, f"{name} is {value}, as in {base_of(path)[-1]}", "remove the line")
            named = key != "variant" or value in (None, "", path.stem)
            yield expect(named, f"{name} is {value}, not {path.stem}", "name it as its file")
            component = isinstance(value, dict) and "_target_" in value or isinstance(value, str) and value[:1] in "$@%"
            plain = path.stem != "demo" or key in train and not component
            yield expect(plain, f"{name} is {value}, no plain setting of train", REMEDY)


@check("configs.twins")
def twins(bundle: ValidatedBundle) -> Faults:
    """A config in YAML and in JSON has the same content."""
    pairs = [(path, path.with_suffix(".json")) for path in bundle.config_files if path.suffix == ".yaml"]
    if not any(twin.is_file() for _, twin in pairs):
        raise NotApplicableError("no config in both YAML and JSON")
    for path, twin in pairs:
        same = not twin.is_file() or read(path) == read(twin)
        yield expect(same, f"configs/{twin.name} differs from {path.name}", "pack it again")


@check("configs.layout")
def layout(bundle: ValidatedBundle) -> Faults:
    """Configs open with what, how and how long, and have narrow lines."""
    for path in bundle.configs.glob("*.yaml"):
        name, lines = f"configs/{path.name}", path.read_text(encoding="utf-8").splitlines()
        yield from _head(name, [*lines[:4], "", "", "", ""])
        widest = max(map(len, lines), default=0)
        narrow = widest <= COLUMNS or bundle.packed  # a package's name is longer
        yield expect(narrow, f"{name} has {widest} columns, {COLUMNS} are allowed", "break the line")


def _head(name: str, head: list[str]) -> Iterator[Fault | None]:
    if [line[:2] == "# " for line in head[:4]] != [True, True, True, False]:
        yield Fault(f"{name} does not begin with three lines of comment ({head[0]})", "state what, how, how long")
        return
    yield expect(re.search(COMMAND, head[1]), f"{name} has no command in its second line ({head[1]})", "write it out")
    fault = f"{name} has no hardware, time and result in its third line ({head[2]})"
    yield expect(len(head[2].split()) > 3, fault, "measure them")


@check("configs.plain")
def plain(bundle: ValidatedBundle) -> Faults:
    """Behaviour is in Python, not in configs."""
    for name, value in all_leaves(bundle):
        clever = isinstance(value, str) and value[:1] == "$" and re.search(CLEVER, value)
        fault = f"{name} has a lambda, loop, condition or import ({value})"
        yield expect(not clever, fault, "write a class or function in Python")


def targets(config: Any) -> Iterator[str]:
    """Every class or function that a config names by ``_target_``."""
    return (str(value) for name, value in leaves(config) if name.endswith("_target_"))
