"""A folder of cases over several machines: the tasks of a Slurm array, or the workers of a Dask cluster.

Volumes that are there stay, so that the same command goes on where one was stopped.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import medical_image_synthesis as mis
from common.errors import ConfigError, exit_code_of_user_errors


@lru_cache(maxsize=1)
def model_of(bundle: str, refuse: bool) -> mis.SynthesisModel:
    """The model, loaded once in each process."""
    return mis.load(bundle, refuse=refuse)


def synthesise(item: dict[str, Any], folder: Path, bundle: str, refuse: bool) -> str:
    """Write the volume of a case, which appears when it is complete; what became of the case."""
    made = folder / f"{item['case']}.nii.gz"
    if made.exists():
        return f"{item['case']}: there already"
    try:
        model_of(bundle, refuse).infer(item).save(made)
    except mis.UserError as error:
        return f"{item['case']}: {error}"
    return f"{item['case']}: {made}"


def of_array(items: list[dict[str, Any]], *settings: Any) -> Iterator[str]:
    """This task's share of the cases, every n-th one; its array counts from 0."""
    task, tasks = (int(os.environ[f"SLURM_ARRAY_TASK_{name}"]) for name in ("ID", "COUNT"))
    for item in items[task::tasks]:
        yield synthesise(item, *settings)


def of_dask(items: list[dict[str, Any]], scheduler: str | None, *settings: Any) -> Iterator[str]:
    """Each case by the next free worker; Dask gives the case of one that died to another."""
    try:
        from dask.distributed import Client, as_completed
    except ImportError as error:
        remedy = "pip install distributed, or start it as a task of a Slurm array"
        raise ConfigError("no package distributed, Dask's, which examples.archive needs here", remedy) from error
    local = {} if scheduler else {"n_workers": 2, "threads_per_worker": 1}
    with Client(scheduler, **local) as client:
        tasks = [client.submit(synthesise, item, *settings, key=item["case"]) for item in items]
        for task in as_completed(tasks):
            yield task.result()


@exit_code_of_user_errors
def main() -> int:
    """Print a line for each case."""
    parser = argparse.ArgumentParser(prog="python -m examples.archive", description=__doc__)
    parser.add_argument("cases", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--bundle", default="mr2ct")
    parser.add_argument("--scheduler", help="address of a Dask cluster's; without, two workers here")
    parser.add_argument("--write_refused", action="store_true", help="write a volume that the verdict refuses")
    options = parser.parse_args()
    settings = options.output.resolve(), options.bundle, not options.write_refused
    items = model_of(*settings[1:]).cases(options.cases.resolve())
    is_array = "SLURM_ARRAY_TASK_ID" in os.environ
    for line in of_array(items, *settings) if is_array else of_dask(items, options.scheduler, *settings):
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
