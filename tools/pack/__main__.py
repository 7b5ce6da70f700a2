"""Release zips of bundles: ``python -m tools.pack [bundle ...] [--run DIR] [--overlay demo]``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from common.errors import ConfigError, exit_code_of_mistakes
from tools.pack.release import pack
from tools.repository import ROOT, bundle_names


@exit_code_of_mistakes
def main(arguments: list[str] | None = None) -> int:
    """Build the zips that the command line names, all bundles where it names none."""
    parser = argparse.ArgumentParser(prog="python -m tools.pack", description=__doc__)
    parser.add_argument("bundles", nargs="*", help="names of folders under bundles; all of them by default")
    parser.add_argument("--overlay", help="overlay that is merged into train and inference, such as demo")
    parser.add_argument("--run", type=Path, help="folder of the training whose weights are packed, of one bundle")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder of the zips")
    given = parser.parse_args(arguments)
    if given.run is not None and len(given.bundles) != 1:
        raise ConfigError("--run", "is of one bundle", f"{len(given.bundles)} names", "name the bundle")
    for bundle in given.bundles or bundle_names(ROOT):
        print(pack(ROOT, bundle, given.out, given.overlay, given.run), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
