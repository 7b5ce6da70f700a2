"""Results on their way: C-STORE or STOW-RS to an archive, and whether it answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import requests
from dicomweb_client.api import DICOMwebClient
from pydicom import dcmread
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]
from requests.adapters import HTTPAdapter

from medical_image_synthesis.node.connection import bound
from medical_image_synthesis.node.settings import Archive, NodeSettings

STORED = (0x0000, 0x0111, *range(0xB000, 0xC000))
"""Status of a C-STORE whose instance is in the archive: stored, perhaps with changes (PS3.4, B.2.3), or there before:
a UID of ours stands for its content."""


class NotDeliveredError(Exception):
    """An archive did not take all instances; its message names no instance."""


def deliver(files: Sequence[Path], to: Archive, settings: NodeSettings) -> None:
    """Send DICOM files. Those that are there already are sent again, with the same UIDs.

    Raises:
        NotDeliveredError: one of them was not stored, or the archive is away.
    """
    if to.url:
        _stow(files, to, settings.limits.timeout_seconds)
        return
    heads = [dcmread(file, stop_before_pixels=True, specific_tags=["SOPClassUID"]) for file in files]
    contexts = {(str(head.SOPClassUID), str(head.file_meta.TransferSyntaxUID)) for head in heads}
    association = _associated(to, settings, [(kind, [syntax]) for kind, syntax in sorted(contexts)])
    try:
        for file in files:
            answer = association.send_c_store(file)
            status = answer.get("Status")
            if status is None:
                raise NotDeliveredError(f"{to.name} ended the association")
            if status not in STORED:
                raise NotDeliveredError(f"{to.name} did not store an instance (status 0x{status:04X})")
    except ValueError as error:  # of pynetdicom: no accepted context
        raise NotDeliveredError(f"{to.name} does not take such images") from error
    finally:
        if association.is_established:
            association.release()


def echo(to: Archive, settings: NodeSettings) -> None:
    """Ask an archive whether it is there: by C-ECHO, or by a search for one study.

    Raises:
        NotDeliveredError: it is not.
    """
    if to.url:
        _by_http(to, settings.limits.timeout_seconds, lambda client: client.search_for_studies(limit=1))
        return
    association = _associated(to, settings, [(Verification, None)])
    answer = association.send_c_echo()
    association.release()
    if answer.get("Status") != 0:
        raise NotDeliveredError(f"{to.name} does not answer C-ECHO")


def _associated(to: Archive, settings: NodeSettings, contexts: Sequence[tuple[Any, Any]]) -> Association:
    entity = AE(ae_title=settings.ae_title)
    wait = settings.limits.timeout_seconds
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = entity.connection_timeout = wait
    for kind, syntaxes in contexts:
        entity.add_requested_context(kind, syntaxes)
    encrypted = None if to.tls is None else (to.tls.context(server=False), to.host)
    opened: Any = [(evt.EVT_CONN_OPEN, bound)]
    try:
        association = entity.associate(to.host, to.port, ae_title=to.ae_title, evt_handlers=opened, tls_args=encrypted)
    except OSError as error:
        raise NotDeliveredError(f"{to.name}: no host {to.host}") from error
    if association.is_established:
        return association
    if association.is_rejected:
        raise NotDeliveredError(f"{to.name} rejects {settings.ae_title}, which it may not know")
    if association.acceptor.primitive is not None:
        raise NotDeliveredError(f"{to.name} does not take such images")
    raise NotDeliveredError(f"{to.name} does not answer at {to.host}:{to.port}")


class _Patient(HTTPAdapter):
    """Waits for an answer so many seconds, where requests would wait for ever."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__()

    def send(self, request: Any, stream: bool = False, timeout: Any = None, *more: Any, **named: Any) -> Any:
        """Send a request."""
        return super().send(request, stream, timeout or self.seconds, *more, **named)


def _by_http(to: Archive, seconds: float, ask: Callable[[DICOMwebClient], Any]) -> Any:
    session = requests.Session()
    session.trust_env = False  # neither a proxy nor a password of the environment
    if to.username:
        session.auth = (to.username, to.password)
    if to.authority is not None:
        session.verify = str(to.authority)
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Patient(seconds))
    client = DICOMwebClient(to.url.rstrip("/"), session=session)
    client.set_http_retry_params(retry=False)  # the node tries again itself
    try:
        return ask(client)
    except requests.HTTPError as error:
        raise NotDeliveredError(f"{to.name} answers {error.response.status_code}") from error
    except Exception as error:  # away, or no DICOMweb: the client and its parsers raise many types
        raise NotDeliveredError(f"{to.name} does not answer ({type(error).__name__})") from error


def _stow(files: Sequence[Path], to: Archive, seconds: float) -> None:
    images = [dcmread(file) for file in files]
    answer = _by_http(to, seconds, lambda client: client.store_instances(images))
    failed = answer.get("FailedSOPSequence") or []
    stored = answer.get("ReferencedSOPSequence") or []
    if failed or len(stored) < len(files):
        raise NotDeliveredError(f"{to.name} stored {len(stored)} of {len(files)} instances")
