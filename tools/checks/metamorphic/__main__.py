"""Print how far each output moves when its source is stored, placed or computed in another way.

``python -m tools.checks.metamorphic [BUNDLE ...]``; exit code 1 if anything moves by more than its tolerance.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tools.bench.inference import BUNDLES
from tools.checks.metamorphic.table import rows_of, shown


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.checks.metamorphic", description=__doc__)
    parser.add_argument("bundles", nargs="*", metavar="BUNDLE", help=f"some of {', '.join(BUNDLES)} (default: all)")
    options = parser.parse_args(arguments)
    if unknown := set(options.bundles) - set(BUNDLES):
        parser.error(f"no bundle {', '.join(sorted(unknown))}: choose from {', '.join(BUNDLES)}")
    rows = {}
    for bundle in options.bundles or BUNDLES:
        with tempfile.TemporaryDirectory() as folder:
            rows[bundle] = rows_of(bundle, Path(folder))
    print(shown(rows))
    return 0 if all(row.holds for own in rows.values() for row in own) else 1


if __name__ == "__main__":
    sys.exit(main())
