"""Release zips of bundles: ``python -m tools.release.pack [BUNDLE ...] [--run DIR] [--overlay demo]``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from common.errors import ConfigError, exit_code_of_user_errors
from tools.release.pack.release import origin_of_weights, release, write_zip
from tools.repository import ROOT, bundle_names


@exit_code_of_user_errors
def main(arguments: list[str] | None = None) -> int:
    """Build the zips that the command line names, all bundles where it names none."""
    parser = argparse.ArgumentParser(prog="python -m tools.release.pack", description=__doc__)
    parser.add_argument("bundles", nargs="*", help="names of folders under bundles; all of them by default")
    parser.add_argument("--overlay", help="overlay that is merged into train and inference, such as demo")
    parser.add_argument("--run", type=Path, help="folder of the training whose weights are packed, of one bundle")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder of the zips")
    given = parser.parse_args(arguments)
    if given.run is not None and len(given.bundles) != 1:
        raise ConfigError(f"--run is of one bundle, {len(given.bundles)} are named", "name the bundle")
    for bundle in given.bundles or bundle_names(ROOT):
        files = release(ROOT, bundle, given.overlay, given.run)
        print(write_zip(files, given.out), flush=True)
        print(f"{bundle}: {origin_of_weights(files)}", file=sys.stderr, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
