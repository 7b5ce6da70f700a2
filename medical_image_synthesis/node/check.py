"""``synthesize node CONFIG --check``: whether the archives answer, and a phantom comes through to them."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from datetime import datetime
from ipaddress import ip_network
from pathlib import Path

import numpy as np
from pydicom.uid import generate_uid

from common.errors import CasesFailedError
from common.io.dicom.writing.derived import derived_slices, write_slices
from common.io.dicom.writing.source_reference import reference_of_file
from common.io.dicom.writing.template import SYNTHETIC_DATA, Synthesis
from common.simulation.ct import render_ct
from common.simulation.dataset import save_nifti
from common.simulation.head import head_anatomy
from common.simulation.mr import render_pd_t2
from medical_image_synthesis.node.command import Node, loaded
from medical_image_synthesis.node.delivery import NotDeliveredError, deliver, echo
from medical_image_synthesis.node.settings import LOCAL, Archive, Caller, NodeSettings, Route

PHANTOMS = {"MR": "arbitrary unit", "CT": "HU"}
"""Units of the images of a simulated head, by modality."""
HEAD, SPACING = 1, 2.5
"""Seed and voxels in mm of a head whose T2-weighted MR the shipped weights of mr2ct accept."""
PATIENT = "PHANTOM^CHECK"
NOISE = 20.0
"""Of the simulated CT, its standard deviation in HU: that of a low dose."""
CALLER = "CHECK"
LONGEST = 1800.0
"""Seconds that a phantom may take."""


def check(settings: NodeSettings) -> int:
    """Ask every destination, and send a phantom through every route to its destination; what happened is printed.

    Raises:
        CasesFailedError: something did not work.
        UserError: see :class:`Node`.
    """
    if settings.tls is not None:
        settings.tls.context(server=True)
    failed = [name for name in settings.destinations if not _answers(name, settings)]
    with tempfile.TemporaryDirectory(prefix="synthesize-check-") as temporary:
        folder = Path(temporary)
        routes = tuple(
            replace(route, conditions={}, called=f"{CALLER}{number}") for number, route in enumerate(settings.routes, 1)
        )
        own = replace(
            settings, spool=folder / "spool", host=LOCAL, port=0, health_port=0, tls=None, routes=routes,
            callers=(Caller(settings.ae_title, ip_network(LOCAL)),), quiet_seconds=0.5,
        )  # fmt: skip
        node = Node(own, loaded(own))
        try:
            for number, route in enumerate(routes, 1):
                if route.to not in failed and not _comes_through(node, route, number, folder):
                    failed.append(f"route {number}")
        finally:
            node.close()
    if failed:
        raise CasesFailedError(f"the check failed for {', '.join(failed)}", "see the lines above")
    return 0


def _answers(name: str, settings: NodeSettings) -> bool:
    try:
        echo(settings.destinations[name], settings)
    except NotDeliveredError as error:
        print(f"destination {name}: {error}", flush=True)
        return False
    print(f"destination {name}: answers", flush=True)
    return True


def _comes_through(node: Node, route: Route, number: int, folder: Path) -> bool:
    """Whether the phantom of a route came to its end, and not only its inference."""
    (source,) = route.bundle.sources
    named = f"route {number}, {route.bundle.short} to {route.to}"
    if source not in PHANTOMS:
        print(f"{named}: there is no phantom of {source}, not tried", flush=True)
        return True
    files = _phantom(source, folder / str(number))
    before = node.spool.counts()
    begun = time.monotonic()
    door = Archive("the node", route.called, LOCAL, node.receiver.port)
    try:
        deliver(files, door, node.settings)
    except NotDeliveredError as error:
        print(f"{named}: {error}", flush=True)
        return False
    while time.monotonic() - begun < LONGEST:
        counts = node.spool.counts()
        ended = [name for name in ("sent", "refused", "failed", "unrouted") if counts[name] > before[name]]
        if ended or route.to in node.pipeline.away:
            break
        time.sleep(0.2)
    told = "; ".join(str(each["message"]) for each in node.spool.faults(1)) if ended != ["sent"] else ""
    outcome = ended[0] if ended else "not delivered"
    took = f"{len(files)} instances, {time.monotonic() - begun:.0f} s"
    print(f"{named}: a phantom ({took}) was {outcome}{f': {told}' if told else ''}", flush=True)
    if outcome == "sent":
        print(f"  its study is in {route.to} as patient {PATIENT}: delete it there", flush=True)
    return outcome in ("sent", "refused")


def _phantom(modality: str, folder: Path) -> list[Path]:
    """The DICOM files of a simulated head, as a scanner would send them, in a study of its own for each route."""
    anatomy, rng = head_anatomy(HEAD, SPACING), np.random.default_rng(HEAD)
    if modality == "MR":
        _, values = render_pd_t2(anatomy, rng)
    else:
        values = render_ct(anatomy, rng, NOISE)
    place = folder / modality
    place.mkdir(parents=True)
    path = folder / "head.nii.gz"
    save_nifti(path, np.rint(values).astype(np.int16), anatomy.affine)
    reference = reference_of_file(path)
    reference.items.PatientName = reference.items.PatientID = PATIENT
    reference.items.StudyInstanceUID = generate_uid()
    about = Synthesis(modality, PHANTOMS[modality], "phantom 1", "0" * 64, datetime.now())
    slices, _ = derived_slices(np.rint(values), anatomy.affine, reference, about, False, "the phantom")
    series = generate_uid()
    for each in slices:
        del each[SYNTHETIC_DATA]  # a node leaves alone what is synthetic
        each.SeriesInstanceUID, each.SOPInstanceUID = series, generate_uid()
        each.SeriesDescription, each.BodyPartExamined = "simulated head", "HEAD"
    write_slices(slices, place)
    return sorted(place.iterdir())
