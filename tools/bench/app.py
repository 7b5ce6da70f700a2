"""How fast the app answers while a scan is inferred: wall time, since waiting is what its user notices."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests

from common.simulation.mr_ct_pairs import write_mr2ct
from tools.bench.clock import Timing

REQUESTS = 50
AT_ONCE = 5
WANTED_MS = 200
"""A page that answers within that time feels immediate."""


def rows(data: Path) -> list[Timing]:
    """Median and largest seconds of ``REQUESTS`` answers, without an inference and beside one."""
    write_mr2ct(data / "app", cases=1, spacing=1.25, seed=0)
    scan = next((data / "app").glob("*/mr.nii.gz"))
    command = [sys.executable, "-W", "ignore", "-m", "medical_image_synthesis", "app", "--no_browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address, _, token = server.stdout.readline().strip().partition("/?token=")
        with requests.Session() as session:
            session.headers["Authorization"] = f"Bearer {token}"
            session.get(f"{address}/cases", timeout=60)
            idle = _answers(session, address)
            with scan.open("rb") as file:
                posted = session.post(f"{address}/cases", data={"bundle": "mr2ct"}, files={"file": file}, timeout=60)
            case = posted.json()["id"]
            while session.get(f"{address}/cases/{case}", timeout=60).json()["status"] == "queued":
                time.sleep(0.1)
            busy = _answers(session, address)
            running = session.get(f"{address}/cases/{case}", timeout=60).json()["status"] == "running"
        server.terminate()
    note = f"{max(busy) * 1000:.0f} ms at most, wanted {WANTED_MS}" + ("" if running else "; the inference had ended")
    return [
        Timing("answer, median", statistics.median(idle), statistics.median(busy)),
        Timing("answer, slowest", max(idle), max(busy), note),
    ]


def _answers(session: requests.Session, address: str) -> list[float]:
    """Seconds of answers to the page and to the list of cases in turn, some at a time."""

    def one(number: int) -> float:
        begun = time.perf_counter()
        session.get(f"{address}/{'cases' if number % 2 else 'page/app.js'}", timeout=60).raise_for_status()
        return time.perf_counter() - begun

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(one, range(REQUESTS)))
