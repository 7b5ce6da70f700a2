"""Release zips of bundles: ``python -m tools.release.pack [BUNDLE ...] [--run DIR] [--overlay demo] [--zoo]``.

With ``--python_free`` zips without Python code, of bundles with weights, in the folder of that name.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from common.errors import ConfigError, exit_code_of_user_errors
from tools.release.artefacts import describe
from tools.release.pack.release import origin_of_weights, release, write_zip
from tools.release.python_free.release import translates_volumes, written
from tools.release.zoo import write_layouts
from tools.repository import ROOT, bundle_names


@exit_code_of_user_errors
def main(arguments: list[str] | None = None) -> int:
    """Build the zips that the command line names, all bundles where it names none."""
    parser = argparse.ArgumentParser(prog="python -m tools.release.pack", description=__doc__)
    parser.add_argument("bundles", nargs="*", help="names of folders under bundles; all of them by default")
    parser.add_argument("--overlay", help="overlay that is merged into train and inference, such as demo")
    parser.add_argument("--run", type=Path, help="folder of the training whose weights are packed, of one bundle")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder of the zips")
    parser.add_argument("--zoo", action="store_true", help="folders for the model zoo and the Hugging Face Hub instead")
    parser.add_argument("--python_free", action="store_true", help="zips of TorchScript and MONAI's classes instead")
    parser.add_argument("--url", help="public address under which the folder large_files will lie")
    given = parser.parse_args(arguments)
    if given.run is not None and len(given.bundles) != 1:
        raise ConfigError(f"--run is of one bundle, {len(given.bundles)} are named", "name the bundle")
    if given.python_free and (given.zoo or given.overlay):
        raise ConfigError("--python_free with --zoo or --overlay", "omit one")
    if given.python_free:
        names = given.bundles or [name for name in bundle_names(ROOT) if translates_volumes(ROOT, name)]
        print(*written(ROOT, names, given.run, given.out), sep="\n", flush=True)
    for bundle in () if given.python_free else given.bundles or bundle_names(ROOT):
        files = release(ROOT, bundle, given.overlay, given.run)
        made = write_layouts(files, given.out, given.url) if given.zoo else [write_zip(files, given.out)]
        print(*made, sep="\n", flush=True)
        print(f"{bundle}: {origin_of_weights(files)}", file=sys.stderr, flush=True)
    describe(given.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
