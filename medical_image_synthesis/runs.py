"""``synthesize train``, ``evaluate``, ``calibrate`` and ``config``: run ids of a bundle, with any setting as option."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from common.errors import ConfigError, DataError, path_option
from medical_image_synthesis.catalogue import Bundle
from medical_image_synthesis.options import add_bundle, add_run_options, config_files, require_none, settings_of
from medical_image_synthesis.process import become_bundle

FILES = {"train": ("train",), "inference": ("inference",), "evaluate": ("train", "evaluate")}
"""Configs of a run, in their order."""
RUN_IDS = {"train": "training", "inference": "inference", "evaluate": "evaluating"}
SETTINGS = """Any setting is an option, such as --max_epochs, --batch_size, --learning_rate, --spacing, --seed,
--pretrained true or --resume true; synthesize config prints all, docs/reference/settings.md says what each does."""
EXAMPLES = {
    "train": (
        "mr2ct --dataset_dir DATA --output_dir OUT",
        "mr2ct --datalist datalist.json --output_dir OUT --overlay resenc --max_epochs 100",
        "mr2ct --dataset_dir DATA --output_dir OUT --resume true",
    ),
    "evaluate": ("mr2ct --output_dir OUT", "mr2ct --output_dir OUT --datalist others.json"),
    "calibrate": (
        "mr2ct --output_dir OUT",
        "mr2ct --output_dir OUT --check",
        "mr2ct --simulated --label_maps MAPS",
    ),
    "config": ("mr2ct", "mr2ct --of inference --weights OUT/models/model.pt", "mr2ct --overlay resenc"),
}


def add(command: argparse.ArgumentParser, name: str) -> None:
    """Add the options of one of these commands."""
    add_bundle(command)
    add_run_options(command)
    command.set_defaults(takes_settings=True, run={"calibrate": calibrate, "config": config}.get(name, run), of=name)
    if name == "calibrate":
        _add_calibrate(command)
    if name == "config":
        command.add_argument("--of", choices=FILES, default="train", help="run to print (default: %(default)s)")
    shown = [f"  synthesize {name} {words}" for words in EXAMPLES[name]]
    command.epilog = "\n".join(["examples:", *shown, "", SETTINGS])


def _add_calibrate(command: argparse.ArgumentParser) -> None:
    command.add_argument("--check", action="store_true", help="report coverage on the test cases instead")
    group = command.add_argument_group("weights that the bundle ships")
    add = group.add_argument
    add("--simulated", action="store_true", help="calibrate the shipped weights on simulated heads")
    add("--heads", type=int, default=16, help="number of heads (default: %(default)s)")
    add("--label_maps", metavar="DIR", type=path_option, help="folder of label maps (default: the average head)")
    add("--spacing", type=float, help="pixel size in mm with --check (default: that of the simulation)")
    add("--name", help="file name of the weights (default: shipped_weights of the bundle)")


def run(options: argparse.Namespace, words: Sequence[str]) -> int:
    """Train or evaluate a bundle."""
    return _run(options.bundle, RUN_IDS[options.of], FILES[options.of], options, words)


def config(options: argparse.Namespace, words: Sequence[str]) -> int:
    """Print the settings of a run."""
    return _run(options.bundle, RUN_IDS[options.of], FILES[options.of], options, [*words, "--show_config", "true"])


def calibrate(options: argparse.Namespace, words: Sequence[str]) -> int:
    """Calibrate the weights of a run on its held-out cases, or check how well that holds."""
    if options.simulated:
        require_none(words)
        return _calibrate_simulated(options)
    run_id = "checking" if options.check else "calibrating"
    if options.label_maps:
        words = [*words, "--label_maps", str(options.label_maps)]
    return _run(options.bundle, run_id, FILES["evaluate"], options, words)


def _calibrate_simulated(options: argparse.Namespace) -> int:
    if options.label_maps is not None and not options.label_maps.is_dir():
        raise DataError(f"no folder {options.label_maps} (from --label_maps)", "check the path")
    from medical_image_synthesis.simulated_heads import calibrate as calibrate_heads
    from medical_image_synthesis.simulated_heads import check

    given = (options.bundle.folder, options.label_maps, options.heads, options.name)
    if options.check:
        check(*given, options.spacing)
    else:
        print(f"inferences with the shipped weights use it from now on: {calibrate_heads(*given)}")
    return 0


def _run(bundle: Bundle, run_id: str, names: Sequence[str], options: argparse.Namespace, words: Sequence[str]) -> int:
    settings = settings_of(words)
    files = config_files(bundle, names, options.overlay)
    if not bundle.has_run(run_id, names):
        raise ConfigError(f"{bundle.name} has no run id {run_id}", "see its model card")
    return become_bundle(bundle, run_id, files, settings, options.verbose)
