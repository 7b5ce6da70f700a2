"""``synthesize export``: the weights of a pretraining become those that a bundle ships."""

from __future__ import annotations

import argparse

from common.errors import path_option
from medical_image_synthesis.options import add_bundle

EXAMPLES = """examples:
  synthesize train mr2ct --overlay pretrain --label_maps MAPS
  synthesize export mr2ct
  synthesize calibrate mr2ct --simulated --label_maps MAPS"""


def add(command: argparse.ArgumentParser, _: str) -> None:
    """Add the options of the command."""
    command.epilog = EXAMPLES
    add_bundle(command)
    about = "folder of the pretraining (default: BUNDLE/pretraining)"
    command.add_argument("--run", metavar="DIR", dest="folder", type=path_option, help=about)
    command.add_argument("--name", help="file name of the weights (default: shipped_weights of the bundle)")
    command.set_defaults(run=export)


def export(options: argparse.Namespace) -> int:
    """Write the two files."""
    from medical_image_synthesis import shipping

    folder = options.bundle.folder
    path = shipping.export(folder, options.folder or folder / "pretraining", options.name)
    print(f"written: {path} ({path.stat().st_size / 1e6:.2f} MB) and {path.with_suffix('.json').name}")
    return 0
