"""Ablation study of a bundle: its published variants trained at demo size on phantoms, all in one table."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tools.demo import command, run_all
from tools.repository import own_settings, trained_overlays

EPOCHS = ("max_epochs", "constant_epochs", "decay_epochs")
OTHERS = ("flow", "misregistered", "resenc", "resenc_3d", "tolerant")
"""Overlays that are no variants of the published method."""
SHORT = ("--max_epochs", "1", "--constant_epochs", "1", "--decay_epochs", "0", "--val_interval", "1")


def variants_of(bundle: str) -> list[str]:
    """Overlays that train a variant of the method; one that at demo size is the default itself is not trained twice.

    Other methods and other data, ``OTHERS``, are compared elsewhere.
    """
    same = {"variant", *(key for key, value in own_settings(bundle, "demo").items() if value is None)}
    own_variants = {name: own for name, own in trained_overlays(bundle).items() if own.get("variant")}
    return [name for name, own in own_variants.items() if name not in OTHERS and not own.keys() <= same]


def _epochs(bundle: str) -> list[str]:
    demo = own_settings(bundle, "demo")
    return [word for name in EPOCHS if name in demo for word in (f"--{name}", str(demo[name]))]


def main(bundle: str, *options: str) -> int:
    """Train the bundle and every variant of it, then evaluate them together.

    All have the epochs of the demo, whatever a variant's own are. ``--short`` stands for one epoch of each, to show
    that all of them run; other options go to every command.
    """
    start = time.monotonic()
    short = "--short" in options
    given = [*(SHORT if short else _epochs(bundle)), *(option for option in options if option != "--short")]
    trained = [["train", "demo"], *(["train", "demo", variant] for variant in variants_of(bundle))]
    if "--output_dir" not in given:
        given += ["--output_dir", str(Path("bundles", bundle, "demo"))]
    steps = [command(bundle, "training", configs, *given) for configs in trained]
    code = run_all([*steps, command(bundle, "evaluating", ["train", "evaluate"], *given)])
    if not code:
        print(f"ablation of {bundle}, {len(trained)} trainings: {time.monotonic() - start:.0f} s")
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
