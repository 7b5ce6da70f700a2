"""Release zips of bundles: ``python tools/pack.py [bundle ...] [--overlay demo]``; see docs/releasing.md."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from packing import archive
from packing.contents import MODEL_INFO, release

from common.errors import UserError

ROOT = Path(__file__).resolve().parents[1]


def pack(root: Path, bundle: str, out: Path, overlay: str | None = None) -> Path:
    """Build one bundle's release and return its zip, ``<bundle>_v<version>.zip``.

    Args:
        root: of the repository: holds ``common``, ``bundles/<bundle>``, ``setup.cfg``, ``requirements.txt``.
        bundle: the bundle's name.
        out: the folder of the zip; one of the same name is replaced.
        overlay: merged into train and inference configs, such as ``demo``; see :func:`packing.contents.release`.

    Raises:
        UserError: where something is missing, weights and configs do not match, or the zip cannot be written.
    """
    files = release(root, bundle, overlay)
    path = out / f"{bundle}_v{json.loads(files[MODEL_INFO])['version']}.zip"
    archive.write(path, bundle, files)
    return path


def main(arguments: list[str] | None = None) -> int:
    """Build the zips that the command line names, all bundles where it names none."""
    parser = argparse.ArgumentParser(prog="python tools/pack.py", description=__doc__)
    parser.add_argument("bundles", nargs="*", help="names of folders under bundles; all of them by default")
    parser.add_argument("--overlay", help="overlay that is merged into train and inference, such as demo")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder of the zips")
    given = parser.parse_args(arguments)
    every = sorted(path.parents[1].name for path in ROOT.glob("bundles/*/configs/train.yaml"))
    try:
        for bundle in given.bundles or every:
            print(pack(ROOT, bundle, given.out, given.overlay), flush=True)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
