"""Make a new bundle from an existing one: its configs without overlays, the modules that they need, its licence and a
skeleton of its card, all renamed.
"""

from __future__ import annotations

import argparse
import keyword
import sys
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from common.errors import ConfigError, OutputError, exit_code_of_user_errors
from common.files import write_whole_folder
from tools.new_bundle import scaffold
from tools.repository import ROOT, bundle_names, write_files

NEXT = """{folder} is made from {like}. Next, in that folder:

1. {name}/*.py: networks, losses and phantoms of your method
2. configs/*.yaml: the first lines (method, paper, time, result), then settings; train and inference share theirs
3. configs/metadata.json: task, description, data_source, references, tensors of each network
4. docs/README.md: the model card, with what differs from the paper
5. from the repository's root: make test, which installs the package; make demo BUNDLE={name};
   python -m tools.release.verify bundles/{name}
6. a row in README.md and docs/README.md, the paper in CITATION.cff, and an entry in the table of tests that
   names each bundle: ODD in tests/bundles/test_trained_settings.py
7. comments of settings word for word as in the others; then python -m tools.docs.settings, and with records in
   docs/results/{name}.json python -m tools.docs.results
"""


def new_bundle(root: Path, name: str, like: str) -> Path:
    """Write ``bundles/<name>`` and return the folder.

    Raises:
        ConfigError: for a name that cannot be a package, or that another module has; for an unknown ``like``.
        OutputError: where the folder exists or cannot be written.
    """
    folder = root / "bundles" / name
    if not (name.isidentifier() and name.isascii()) or keyword.iskeyword(name):
        fault = f"NAME {name} cannot be the name of a Python package"
        raise ConfigError(fault, "use letters, digits and underscores, such as t1_to_t2_unet")
    if folder.exists():
        raise OutputError(f"{folder} exists", "choose another name or remove it")
    if name in sys.stdlib_module_names or find_spec(name) is not None:
        raise ConfigError(f"NAME {name} is a module that can be imported already", "choose another name")
    if like not in bundle_names(root):
        raise ConfigError(f"no bundle {like} (from --like)", f"choose one of {', '.join(bundle_names(root))}")
    content = scaffold.files(root / "bundles" / like, name)
    write_whole_folder(folder, partial(write_files, content), is_own=lambda existing: False)
    (folder / "common").symlink_to("../../common", target_is_directory=True)  # found from any current folder
    return folder


@exit_code_of_user_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """Make the bundle and print what to do next."""
    parser = argparse.ArgumentParser(prog="python -m tools.new_bundle", description=__doc__)
    parser.add_argument("name", metavar="NAME", help="name of the bundle and its package, an identifier of Python")
    parser.add_argument("--like", required=True, help="bundle to copy, such as mr2ct_pix2pix")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository (%(default)s)")
    given = parser.parse_args(arguments)
    folder = new_bundle(given.root, given.name, given.like)
    print(NEXT.format(folder=folder, like=given.like, name=given.name), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
