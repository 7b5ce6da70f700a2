"""``synthesize list``: the bundles that are there."""

from __future__ import annotations

import argparse

from medical_image_synthesis.catalogue import bundles


def add(command: argparse.ArgumentParser, _: str) -> None:
    """The command has no options."""
    command.set_defaults(run=listing)


def listing(_: argparse.Namespace) -> int:
    """Print the bundles: name, version, what they do, their weights or how to train them, and where they lie."""
    for bundle in bundles():
        about = bundle.metadata
        print(f"{bundle.short:9}{bundle.name} {about['version']}: {about['task']}")
        print(f"{'':9}{bundle.network}{'' if bundle.weights else f': {bundle.training}'}")
        if bundle.error:
            print(f"{'':9}{bundle.error}")
        print(f"{'':9}{bundle.folder}")
    print("For research; not for clinical use.")
    return 0
