"""``synthesize benchmark``: data checked, networks trained and scored as a public benchmark has it."""

from __future__ import annotations

import argparse
import hashlib
import json
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.errors import CheckpointError, OutputError, UserError, path_option
from medical_image_synthesis.benchmark.recipe import Recipe, read_recipe, recipe_names
from medical_image_synthesis.options import settings_of

if TYPE_CHECKING:
    from common.data.datalist import Item
    from medical_image_synthesis.training import Run

RESULT, ROW, DATALIST, TRAINED, MINE = "result.json", "row.md", "datalist.json", "trained.json", "weights"
GIGABYTES_A_RUN = 1
"""Weights, checkpoints and report of one run, at most about."""
EXAMPLES = """examples:
  synthesize benchmark synthrad2023_brain --root DATA --dry_run
  synthesize benchmark ixi_pd2t2 --root IXI --out OUT --num_workers 4
  synthesize benchmark ldct --root DATA --weights OUT/models/model.pt

Further options are settings of every training and evaluation, which the row names as changed."""


def add(command: argparse.ArgumentParser, _: str) -> None:
    """Add the options of the command."""
    command.epilog = EXAMPLES
    add = command.add_argument
    add("name", metavar="NAME", help=f"{', '.join(recipe_names())}, or a recipe of your own (.yaml)")
    add("--root", type=path_option, required=True, metavar="DATA", help="folder of the data as they are unpacked")
    add("--out", type=path_option, metavar="DIR", help="receives runs and rows; continued there (default: NAME)")
    add("--weights", type=path_option, metavar="FILE", help="score these weights and train nothing")
    add("--dry_run", action="store_true", help="check the data, print steps, disk and time, and write nothing")
    command.set_defaults(takes_settings=True, run=benchmark)


def benchmark(options: argparse.Namespace, words: Sequence[str]) -> int:
    """Check the data, then train and score what is not done yet, and write the row."""
    recipe, changed = read_recipe(options.name), settings_of(words)
    print(f"{recipe.title}\nlicence of the data: {recipe.licence}\nfrom: {recipe.url}", flush=True)
    if options.weights:
        require_weights(options.weights, recipe.bundle)
    from medical_image_synthesis.benchmark.tree import cases_of, sections

    root = options.root.absolute()
    out = (options.out or Path(recipe.name)).absolute()
    items = cases_of(recipe, root)
    lists = sections(recipe, items, root)
    print(f"data: complete, {', '.join(f'{len(own)} {name}' for name, own in lists.items())} cases", flush=True)
    runs = {MINE: {}} if options.weights else recipe.runs
    if options.dry_run:
        _show(recipe, runs, lists, out, options.weights)
        return 0
    from common.data.datalist import write_datalist

    results = _begun(recipe, lists, out)
    if recipe.prepare:
        _require_settings(recipe, runs, out, changed)
        from medical_image_synthesis.benchmark.prepare import prepared

        lists = prepared(recipe.prepare, lists, out / "data")
    write_datalist(lists, out / DATALIST, benchmark=recipe.name)
    for name in runs:
        key = {"changed": changed, "weights": _hash(options.weights) if options.weights else None}
        if name in results["runs"] and results["runs"][name]["key"] == key:
            print(f"{name}: done before")
            continue
        run = _given(recipe, out, options.weights) if options.weights else _trained(recipe, name, out, changed)
        results["runs"][name] = _scored(recipe, run, out, lists["test"], changed) | {"key": key}
        _write(out / RESULT, results)
    from common.files import write_text
    from medical_image_synthesis.benchmark.table import markdown

    write_text(out / ROW, row := markdown(recipe, results))
    print(f"{row}written to {out / RESULT} and {out / ROW}")
    return 0


def require_weights(weights: Path, bundle: str) -> None:
    """Refuse weights of which nothing is known, and those of another bundle.

    Raises:
        CheckpointError: there is no file of them, or of what is known, or it names another bundle.
    """
    about = weights.with_suffix(".json")
    if lacking := [path for path in (weights, about) if not path.is_file()]:
        raise CheckpointError(f"no file {lacking[0]} (from --weights)", "pass model.pt of a run, beside its model.json")
    from common.weights.info import read_info

    if (own := read_info(weights).bundle) != bundle:
        raise CheckpointError(f"{weights} is of {own} (from --weights)", f"pass weights of {bundle}")


def _require_settings(recipe: Recipe, runs: Mapping[str, Any], out: Path, changed: Mapping[str, str]) -> None:
    """Refuse settings that no training takes before cases are prepared, which may take hours.

    Raises:
        ConfigError: a setting is unknown, or out of range.
    """
    from medical_image_synthesis.catalogue import bundle_named
    from medical_image_synthesis.configured import from_texts, run_files, started
    from medical_image_synthesis.options import config_files
    from medical_image_synthesis.runs import FILES, RUN_IDS

    for name in runs.keys() & recipe.runs.keys():
        overlays = overlays_of(recipe, name, out)
        _write_yaml(Path(overlays[-1]), settings_of_run(recipe, name))
        files = config_files(bundle_named(recipe.bundle), FILES["train"], [Path(each) for each in overlays])
        started(run_files(files, from_texts({"output_dir": str(out / name), **changed})), RUN_IDS["train"])


def _begun(recipe: Recipe, lists: Mapping[str, list[Item]], out: Path) -> dict[str, Any]:
    """The results so far, of the same recipe and cases.

    Raises:
        OutputError: the folder has those of others.
    """
    from medical_image_synthesis.info import version

    about = json.loads(json.dumps(asdict(recipe)))
    cases = {section: [str(item["case"]) for item in own] for section, own in lists.items()}
    path = out / RESULT
    if not path.is_file():
        _write(path, made := {"version": version(), "recipe": about, "cases": cases, "runs": {}})
        return made
    known = _known(path, "recipe", "cases", "runs", "version")
    if (known["recipe"], known["cases"]) != (about, cases):
        raise OutputError(f"{path} is of another recipe, or of other cases", "choose another --out")
    return known


def _trained(recipe: Recipe, name: str, out: Path, changed: Mapping[str, str]) -> Run:
    """The run of a recipe, trained, or continued where it was interrupted.

    Raises:
        OutputError: it was trained so far with other settings.
    """
    from medical_image_synthesis.catalogue import bundle_named
    from medical_image_synthesis.training import Run, train

    overlays, folder = overlays_of(recipe, name, out), out / name
    _write_yaml(Path(overlays[-1]), settings_of_run(recipe, name))
    done, resume = folder / TRAINED, any(folder.glob("**/last_checkpoint.pt"))
    known = _known(done, "changed") if done.is_file() else {}
    if known and known["changed"] != dict(changed) and (resume or "folder" in known):
        before = " ".join(f"--{setting} {value}" for setting, value in known["changed"].items())
        fault = f"{folder} was trained with {before or 'the settings of the recipe alone'}"
        raise OutputError(fault, f"pass {'these again' if before else 'no others'}, or choose another --out")
    if "folder" in known:
        return Run(bundle_named(recipe.bundle), Path(known["folder"]), overlays)
    _write(done, {"changed": dict(changed)})
    print(f"{name}: {'goes on' if resume else 'trains'}", flush=True)
    settings = {"datalist": out / DATALIST, "resume": resume, **changed}
    run = train(recipe.bundle, output_dir=folder, overlay=overlays, progress=_say, **settings)
    _write(done, {"folder": str(run.folder), "changed": dict(changed)})
    return Run(run.bundle, run.folder, overlays)


def _given(recipe: Recipe, out: Path, weights: Path) -> Run:
    """A folder with the given weights, and what is known of them, in the place of a run."""
    from common.weights.checkpoints import WEIGHTS_NAME
    from medical_image_synthesis.catalogue import bundle_named
    from medical_image_synthesis.training import Run

    folder = out / MINE / "models"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(weights, folder / WEIGHTS_NAME)
    shutil.copy(weights.with_suffix(".json"), (folder / WEIGHTS_NAME).with_suffix(".json"))
    return Run(bundle_named(recipe.bundle), out / MINE)


def _scored(recipe: Recipe, run: Run, out: Path, items: Sequence[Item], changed: Mapping[str, str]) -> dict[str, Any]:
    """Measures of a run on the test cases."""
    from medical_image_synthesis.benchmark.table import summary_of

    settings = run.folder / "evaluation.yaml"
    _write_yaml(settings, recipe.evaluation)
    print(f"{run.folder.name}: {len(items)} test cases", flush=True)
    scored = run._replace(overlay=(*run.overlay, str(settings)))
    rows = scored.evaluate(progress=_say, datalist=out / DATALIST, **changed)
    return {
        "folder": str(run.folder.relative_to(out)),
        "weights": _hash(run.weights),
        "overlays": [Path(each).name for each in run.overlay],
        "changed": dict(changed),
        "methods": summary_of(recipe, rows, items),
    }


def overlays_of(recipe: Recipe, name: str, out: Path) -> tuple[str, ...]:
    """Overlays of a run: those of its bundle, and the file of the recipe's settings."""
    return (*recipe.runs[name].get("overlay", []), str(out / name / "settings.yaml"))


def settings_of_run(recipe: Recipe, name: str) -> dict[str, Any]:
    """What the recipe sets in a run, which lies in its own folder."""
    return {**recipe.settings, **recipe.runs[name].get("settings", {}), "variant": ""}


def _show(
    recipe: Recipe, runs: Mapping[str, Any], lists: Mapping[str, list[Item]], out: Path, weights: Path | None
) -> None:
    """Print the steps, and what they take of disk and time."""
    every = [item for own in lists.values() for item in own]
    steps = [f"split of {len(every)} cases to {out / DATALIST}"]
    made = len(every) * recipe.prepare["megabytes_a_case"] / 1e3 if recipe.prepare else 0.0
    if recipe.prepare:
        steps.append(f"{recipe.prepare['function']} each case to {out / 'data'}, about {made:.0f} GB")
    for name in runs:
        if weights is None:
            words = [word for each in overlays_of(recipe, name, out) for word in ("--overlay", each)]
            words += ["--datalist", str(out / DATALIST), "--output_dir", str(out / name)]
            command = shlex.join(["synthesize", "train", recipe.bundle, *words])
            steps.append(f"{name}: {command}; {duration(recipe, name, len(lists['training']))}")
        steps.append(f"{name}: {', '.join(recipe.measures)} of {len(lists['test'])} test cases")
    steps.append(f"row beside {len(recipe.published)} published to {out / ROW}")
    for number, step in enumerate(steps, 1):
        print(f"{number}. {step}")
    there = next(path for path in (out, *out.parents) if path.exists())
    needed, free = made + GIGABYTES_A_RUN * len(runs), shutil.disk_usage(there).free / 1e9
    print(f"disk: about {needed:.0f} GB in {out}, where {free:.0f} GB are free; the data stay as they are")


def duration(recipe: Recipe, name: str, cases: int) -> str:
    """Steps of a training, and their time where a step was measured."""
    run, settings = recipe.runs[name], settings_of_run(recipe, name)
    samples = settings.get("samples_per_epoch") or cases * settings["patches_per_case"]
    steps = -(-samples // settings["batch_size"]) * settings["max_epochs"] * run.get("stages", 1)
    if "milliseconds" not in run:
        return f"{steps:,} steps of {settings['batch_size']}, whose time was not measured"
    return f"{steps:,} steps of {settings['batch_size']}, {steps * run['milliseconds'] / 3.6e6:.1f} h on one H200"


def _say(line: str, share: float | None) -> None:
    if not line.startswith(UserError.label):  # which ends this command too
        print(f"  {line}" if share is None else f"  {line} ({share:.0%})", flush=True)


def _known(path: Path, *fields: str) -> dict[str, Any]:
    """What a benchmark wrote.

    Raises:
        OutputError: something else did, or it is damaged.
    """
    from common.files import parse_json

    try:
        content = parse_json(path.read_text("utf-8"))
    except ValueError:
        content = None
    if not isinstance(content, dict) or not content.keys() >= {*fields}:
        raise OutputError(f"{path} is damaged, or of another program", "remove it, or choose another --out")
    return content


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def _write(path: Path, content: Any) -> None:
    from common.files import write_text

    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _write_yaml(path: Path, content: Mapping[str, Any]) -> None:
    import yaml

    from common.files import write_text

    write_text(path, yaml.safe_dump(dict(content), sort_keys=False))
