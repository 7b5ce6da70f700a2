"""The demo of a bundle, in the commands a user would type: train, infer, evaluate, on generated phantoms."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

from tools.repository import ROOT


def command(bundle: str, run_id: str, configs: list[str], *options: str) -> list[str]:
    """One ``python -m monai.bundle run`` on some of a bundle's configs."""
    files = [str(Path("bundles", bundle, "configs", f"{name}.yaml")) for name in configs]
    listed = "[" + ",".join(f"'{file}'" for file in files) + "]"
    return [sys.executable, "-W", "ignore", "-m", "monai.bundle", "run", run_id, "--config_file", listed, *options]


def run_all(steps: list[list[str]]) -> int:
    """Run commands in the repository, showing each; stop at the first that fails and return its exit code."""
    for step in steps:
        print(f"\n$ python {shlex.join(step[1:])}", flush=True)
        if code := subprocess.run(step, cwd=ROOT, check=False).returncode:
            return code
    return 0


def main(bundle: str) -> int:
    """Train, infer, run the study of a bundle that has one, evaluate: the last lines are a table and its report's path.

    All is written to the folder ``demo`` of the bundle, so that its own weights stay those that it ships.
    """
    out = str(Path("bundles", bundle, "demo"))
    steps = [
        command(bundle, "training", ["train", "demo"], "--output_dir", out),
        command(bundle, "inference", ["inference"], "--output_dir", out, "--overwrite", "true"),
        command(bundle, "evaluating", ["train", "evaluate"], "--output_dir", out),
    ]
    if Path(ROOT, "bundles", bundle, "configs", "study.yaml").is_file():
        steps.insert(2, command(bundle, "study", ["study", "demo", "study_demo"], "--output_dir", out))
    return run_all(steps)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
