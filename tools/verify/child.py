"""The process in which a bundle's own code runs: offline, on a copy, with a limit to the time of each check.

Reads a request (JSON) on stdin and writes a line of JSON for each check that begins or ends, into the file of its first
argument: stdout belongs to the bundle's code.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tools.verify import checks, offline
from tools.verify.bundle import Bundle
from tools.verify.networks import Network, all_networks
from tools.verify.verdicts import FAIL, Fault, Found, judge


def _finder(key: str, subject: str, bundle: Bundle, networks: dict[str, Network]) -> Callable[[], Found]:
    if subject:
        of_network = next(check for check in checks.OF_NETWORKS if check.id == key)
        return lambda: of_network.find(networks[subject])
    of_bundle = next(check for check in checks.of_code() if check.id == key)
    return lambda: of_bundle.find(bundle)


def _offline_only(finding: dict[str, Any]) -> dict[str, Any]:
    """A finding that also says who tried to reach the network, even if the code went on without."""
    tried = sorted(set(offline.attempts()))
    faults = [Fault("the bundle's code", "reaches no network", what, "ship what it fetches") for what in tried]
    if faults:
        finding = {**finding, "outcome": FAIL, "faults": [*finding["faults"], *(fault.fields() for fault in faults)]}
    return finding


def main(report: Path) -> None:
    """Run the checks of the request, one after the other."""
    request = json.load(sys.stdin)
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    offline.block()
    bundle = Bundle(Path(request["folder"]), request["overlay"])
    networks = {network.name: network for network in all_networks(bundle)}
    with open(report, "a", encoding="utf-8") as file:

        def tell(**line: Any) -> None:
            file.write(json.dumps(line) + "\n")
            file.flush()

        for step, (key, subject) in request["steps"]:
            tell(step=step)
            faulthandler.dump_traceback_later(request["limit"], exit=True)  # also ends what hangs in C
            finding = _offline_only(judge(_finder(key, subject, bundle, networks)))
            faulthandler.cancel_dump_traceback_later()
            tell(step=step, finding=finding)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
