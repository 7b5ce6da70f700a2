"""Two Dask workers of ``examples.archive``, one killed within a case: as JSON who did which case, and said what.

Runs in an environment with Dask.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from dask.distributed import Client, LocalCluster, as_completed

from examples.archive.__main__ import model_of, synthesise

SETTINGS = ("mr2ct", False)


def noted(item: dict[str, Any], folder: Path) -> tuple[int, str]:
    """The process that did a case, and its line."""
    return os.getpid(), synthesise(item, folder, *SETTINGS)


def at_work(dask_worker: Any) -> list[str]:
    """The case that a worker computes."""
    return [str(name) for name, task in dask_worker.state.tasks.items() if task.state == "executing"]


def main(folder: Path) -> None:
    """Kill the first worker that is at work once a case is done."""
    items, said = model_of(*SETTINGS).cases(folder / "cases"), {}
    killed, case = 0, ""
    with LocalCluster(n_workers=0) as cluster, Client(cluster) as client:
        words = [sys.executable, "-m", "distributed.cli.dask_worker", cluster.scheduler_address]
        started = [subprocess.Popen([*words, "--nthreads", "1", "--no-nanny"]) for _ in range(2)]
        client.wait_for_workers(2)
        processes = client.run(os.getpid)
        tasks = as_completed([client.submit(noted, item, folder / "out", key=item["case"]) for item in items])
        for task in tasks:
            said[task.key] = task.result()
            while not killed:
                for address, names in client.run(at_work).items():
                    if names:
                        killed, case = processes[address], names[0]
                        os.kill(killed, signal.SIGKILL)
                        break
                time.sleep(0.05)
    for worker in started:
        worker.wait()
    (other,) = set(processes.values()) - {killed}
    workers, lines = ({name: each[part] for name, each in said.items()} for part in (0, 1))
    print(json.dumps({"other": other, "case": case, "workers": workers, "lines": lines}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
