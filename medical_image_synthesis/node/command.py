"""``synthesize node``: a DICOM node that translates what it is sent, and sends the result to an archive."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
import warnings
from typing import TYPE_CHECKING, Any

from common.errors import ConfigError, UserError, path_option

if TYPE_CHECKING:
    from medical_image_synthesis.node.settings import NodeSettings
    from medical_image_synthesis.worker_process import WorkerProcess

EXAMPLE = """\
  callers:
    - {ae_title: PACS, address: 10.1.2.3}
  destinations:
    pacs: {ae_title: PACS, host: 10.1.2.3, port: 104}
  routes:
    - {modality: MR, body_part: HEAD|BRAIN, bundle: mr2ct, to: pacs, refused: image}
"""
NEEDS = 'pip install "medical-image-synthesis-bundles[node]"'


def add(command: argparse.ArgumentParser, _: str) -> None:
    """Add the options of the node."""
    command.add_argument("config", metavar="CONFIG", type=path_option, help="file .yaml: callers, routes, destinations")
    about = "ask every destination, send a phantom through, and end"
    command.add_argument("--check", action="store_true", help=about)
    examples = "examples:\n  synthesize node node.yaml --check\n  synthesize node node.yaml"
    command.epilog = f"{examples}\n\nnode.yaml:\n{EXAMPLE}\nCtrl-C ends it; started again it goes on."
    command.set_defaults(run=serve)


def serve(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM.

    Raises:
        UserError: a package is missing, or a setting, a bundle or the address is not to be had.
    """
    try:
        import dicomweb_client  # noqa: F401
        import pynetdicom  # noqa: F401
    except ModuleNotFoundError as error:
        raise UserError("synthesize node needs pynetdicom and dicomweb-client", NEEDS) from error
    from medical_image_synthesis.node.settings import LOCAL, settings_in

    os.umask(0o077)
    warnings.simplefilter("ignore")  # those of pydicom quote values, which can be a patient's
    settings = settings_in(options.config)
    logging.basicConfig(
        level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr, force=True
    )
    logging.getLogger(__package__).setLevel(logging.INFO)
    if options.check:
        from medical_image_synthesis.node.check import check

        return check(settings)
    worker = loaded(settings)
    ended = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: ended.set())
    node = Node(settings, worker)
    try:
        health = f"http://{LOCAL}:{node.health.port}/health"
        place = f"{settings.host}:{node.receiver.port}"
        print(f"listening on {place} as {settings.ae_title}, health on {health}", flush=True)
        print("For research; not for clinical use. Ctrl-C ends it.", flush=True)
        ended.wait()
    finally:
        node.close()
    return 0


def loaded(settings: NodeSettings) -> WorkerProcess:
    """A worker with the models of the routes, so that a mistake in their options is found before anything listens.

    Raises:
        UserError: one of them cannot be loaded.
    """
    from medical_image_synthesis.node.pipeline import MODELS
    from medical_image_synthesis.worker_process import WorkerProcess

    different = {
        (route.bundle, tuple(sorted(route.options.items()))): number for number, route in enumerate(settings.routes, 1)
    }
    worker = WorkerProcess(min(len(different), MODELS))
    try:
        worker.start()
        for (bundle, options), number in different.items():
            logging.getLogger(__name__).info("loading %s", bundle.name)
            try:
                worker.ask("load", {"bundle": bundle.folder, "options": dict(options)}, lambda *_: None)
            except UserError as error:
                raise ConfigError(f"routes: entry {number}: {error}") from error
    except BaseException:
        worker.close()
        raise
    return worker


class Node:
    """A node that works: its door, its spool, its threads, its health.

    Args:
        settings: of the node.
        worker: with its models; closed with the node.

    Raises:
        UserError: the spool is in use, or an address is not to be had.
    """

    def __init__(self, settings: NodeSettings, worker: WorkerProcess) -> None:
        from medical_image_synthesis.node.health import Health
        from medical_image_synthesis.node.pipeline import Pipeline
        from medical_image_synthesis.node.receiver import Receiver
        from medical_image_synthesis.node.spool import GB, Spool

        limits = settings.limits
        self.settings, self.worker = settings, worker
        try:
            self.spool = Spool(settings.spool, limits.spool_gb * GB, limits.free_gb * GB)
            self.receiver = Receiver(settings, self.spool)
            self.pipeline = Pipeline(settings, self.spool, self.receiver, worker)
            self.health = Health(settings.health_port, self.state)
        except BaseException:
            worker.close()
            raise

    def state(self) -> dict[str, Any]:
        """What ``/health`` answers."""
        from medical_image_synthesis.info import version

        fault = self.pipeline.fault
        return {
            "status": fault or "ok", "version": version(), "ae_title": self.settings.ae_title,
            "counts": self.spool.counts(), "destinations_away": dict(self.pipeline.away),
            "last_faults": self.spool.faults(),
        }  # fmt: skip

    def close(self) -> None:
        """End it; what is in the spool is gone on with at the next start."""
        self.receiver.close()
        self.pipeline.close()
        self.health.close()
        self.worker.close()
        self.spool.close()
