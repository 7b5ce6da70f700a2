"""The door of a node: C-ECHO and C-STORE of those who may call; an instance is acknowledged when it is on disk."""

from __future__ import annotations

import hashlib
import logging
import socket
import sqlite3
import ssl
import threading
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from io import BytesIO
from socketserver import BaseServer
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.pixels import get_decoder
from pydicom.uid import (
    JPEG2000,
    UID,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from pynetdicom import AE, AllStoragePresentationContexts, evt, register_uid
from pynetdicom.service_class import StorageServiceClass
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]
from pynetdicom.transport import ThreadedAssociationServer

from common.errors import ConfigError, UserError
from medical_image_synthesis.node.connection import MOST_PDU, bound, cut
from medical_image_synthesis.node.settings import POLL, NodeSettings
from medical_image_synthesis.node.spool import FullError, Instance, Spool, short_hash

log = logging.getLogger(__name__)
SUCCESS, NO_RESOURCES, CANNOT_UNDERSTAND = 0x0000, 0xA700, 0xC000
"""Status of a C-STORE (PS3.4, B.2.3)."""
CALLED_UNKNOWN, CALLING_UNKNOWN = (0x01, 0x01, 0x07), (0x01, 0x01, 0x03)
"""Result, source and reason of a rejected association (PS3.8, 9.3.4)."""
HANDSHAKE = 10.0
"""Seconds for that of TLS, and for the request of an association."""
UNCOMPRESSED = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
COMPRESSED = (JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless, RLELossless, JPEGBaseline8Bit, JPEG2000)
PRIVATE = (
    "1.2.840.113619.4.2", "1.2.840.113619.4.3", "1.2.840.113619.4.26", "1.2.840.113619.4.27", "1.2.840.113619.4.30",
    "1.3.12.2.1107.5.9.1", "1.3.12.2.1107.5.99.3.10", "1.3.12.2.1107.5.99.3.11",
    *(f"1.3.46.670589.{end}" for end in ("2.4.1.1", "2.5.1.1", "2.8.1.1", "2.11.1.1")),
    *(f"1.3.46.670589.5.0.{end}" for end in ("1", "1.1", "2", "2.1", "3", "3.1", "4", "7", "8", "8.1", "9", "10")),
    *(f"1.3.46.670589.5.0.{end}" for end in ("11", "11.1", "12", "13", "14")),
    *(f"1.3.46.670589.11.0.0.12.{end}" for end in range(1, 5)),
)  # fmt: skip
"""SOP classes of GE, Siemens and Philips that lie in studies: a sender to whom one is refused keeps back the images."""
POSITION, NUMBER = 0x00200032, 0x00200013
"""Tags of ImagePositionPatient and InstanceNumber."""
OF_PLACE = frozenset({0x00080054, 0x00080056, 0x00080005, 0x00083001, 0x00880130, 0x00880140, 0xFFFCFFFC})
"""Elements that say where an instance lies or how it is encoded, not what it shows."""

for _number, _kind in enumerate(PRIVATE):  # before any association: the dictionary may not change under one
    register_uid(_kind, f"PrivateStorage{_number}", StorageServiceClass)


class Receiver:
    """Listens, and puts what comes into the spool.

    Args:
        settings: who may call, and what is taken at most.
        spool: that receives.

    Raises:
        ConfigError: the address is not to be had.
    """

    def __init__(self, settings: NodeSettings, spool: Spool) -> None:
        self.settings, self.spool = settings, spool
        self._lock = threading.Lock()
        self._sent: dict[Any, set[str]] = defaultdict(set)
        self._read: dict[Any, int] = defaultdict(int)
        self._refused: dict[str, set[str]] = defaultdict(set)
        for name in ("pydicom", "pynetdicom"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # their messages can quote what a peer has sent
        limits = settings.limits
        entity = AE(ae_title=settings.ae_title)
        entity.require_calling_aet = sorted({each.ae_title for each in settings.callers})
        entity.maximum_associations = limits.associations
        entity.maximum_pdu_size = MOST_PDU
        entity.acse_timeout = min(HANDSHAKE, limits.timeout_seconds)
        entity.dimse_timeout = entity.network_timeout = limits.timeout_seconds
        entity.add_supported_context(Verification)
        syntaxes = list(_syntaxes())
        for kind in (*(context.abstract_syntax or "" for context in AllStoragePresentationContexts), *PRIVATE):
            entity.add_supported_context(kind, syntaxes)
        handlers: list[Any] = [
            (evt.EVT_REQUESTED, self._requested), (evt.EVT_C_ECHO, lambda _: SUCCESS), (evt.EVT_C_STORE, self._store),
            (evt.EVT_DATA_RECV, self._count), (evt.EVT_DIMSE_RECV, self._counted),
            (evt.EVT_RELEASED, self._released), (evt.EVT_CONN_OPEN, bound),
        ]  # fmt: skip
        encryption = None if settings.tls is None else settings.tls.context(server=True)
        try:
            self._server = entity.make_server(
                (settings.host, settings.port),
                ssl_context=encryption,
                evt_handlers=handlers,
                server_class=_Door,
                settings=settings,
            )
        except OSError as error:
            fault = f"cannot listen on {settings.host}:{settings.port} ({error.strerror or error})"
            raise ConfigError(fault, "choose another host or port") from error
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, args=(POLL,), name="receiver", daemon=True).start()

    @property
    def still_open(self) -> frozenset[str]:
        """Series of which an open association has sent."""
        with self._lock:
            for of_associations in (self._sent, self._read):
                for ended in [each for each in of_associations if not each.is_alive()]:
                    del of_associations[ended]
            return frozenset(series for sent in self._sent.values() for series in sent)

    def lacks_some(self, series: str) -> bool:
        """Whether an instance of a series was refused, and has not come since."""
        with self._lock:
            return bool(self._refused.get(series))

    def close(self) -> None:
        """Take nothing more."""
        BaseServer.shutdown(self._server)  # that of pynetdicom takes only a server that it has started itself
        self._server.server_close()
        for association in self._server.active_associations:
            cut(association)

    def _requested(self, event: evt.Event) -> None:
        """Reject who may not call from there, and who calls somebody else."""
        asked: Any = event.assoc.requestor.primitive
        address = str(event.assoc.requestor.address)
        calling, called = str(asked.calling_ae_title).strip(), str(asked.called_ae_title).strip()
        if not self.settings.admits(calling, address):
            title, what, reason = calling, "may not call from there", CALLING_UNKNOWN
        elif called not in self.settings.titles:
            title, what, reason = called, "is no AE title of this node", CALLED_UNKNOWN
        else:
            return
        log.warning("rejected an association from %s: %r %s", address, title, what)
        event.assoc.acse.send_reject(*reason)
        event.assoc.kill()

    def _store(self, event: evt.Event) -> int:
        try:
            instance = instance_of(event.encoded_dataset())
        except Exception as error:  # damaged bytes raise many types; their texts may quote values
            log.warning("refused an instance that cannot be read (%s)", type(error).__name__)
            return CANNOT_UNDERSTAND
        with self._lock:
            self._sent[event.assoc].add(instance.series)
        asked: Any = event.assoc.requestor.primitive
        status = self._stored(instance, str(asked.called_ae_title).strip())
        with self._lock:
            if status != SUCCESS:
                self._refused[instance.series].add(instance.name)
            elif instance.series in self._refused:
                self._refused[instance.series].discard(instance.name)
        return status

    def _stored(self, instance: Instance, called: str) -> int:
        """Put an instance into the spool; the status of its C-STORE."""
        try:
            self.spool.receive(instance, called, self.settings.limits.instances)
        except FullError as error:
            log.error("refused an instance: %s", error)
            return NO_RESOURCES
        except UserError as error:
            log.warning("refused an instance: %s", error)
            return CANNOT_UNDERSTAND
        except (OSError, sqlite3.Error) as error:
            log.error("cannot store an instance (%s)", getattr(error, "strerror", None) or error)
            return NO_RESOURCES
        return SUCCESS

    def _count(self, event: evt.Event) -> None:
        """End a connection that sends an instance larger than any that is taken, before it fills the memory."""
        with self._lock:
            self._read[event.assoc] += len(event.data)
            read = self._read[event.assoc]
        if read > self.settings.limits.instance_mb * 1e6:
            log.warning("ended an association: an instance has over %g MB", self.settings.limits.instance_mb)
            cut(event.assoc)

    def _counted(self, event: evt.Event) -> None:
        with self._lock:
            self._read.pop(event.assoc, None)

    def _released(self, event: evt.Event) -> None:
        with self._lock:
            sent = sorted(self._sent.pop(event.assoc, ()))
        if sent:
            with suppress(sqlite3.Error):  # they count as interrupted
                self.spool.released(sent)
        log.info(
            "an association from %s ended; it sent instances of %d series", event.assoc.requestor.address, len(sent)
        )


class _Door(ThreadedAssociationServer):
    """A server that lets in addresses of the list alone, not more than a number at once, and none that only waits."""

    request_queue_size = 64

    def __init__(self, *given: Any, settings: NodeSettings, **more: Any) -> None:
        self.node = settings
        self._handshakes = threading.BoundedSemaphore(settings.limits.associations)
        super().__init__(*given, **more)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection; that of TLS is negotiated by its own thread."""
        assert self.socket is not None
        return self.socket.accept()

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether a connection is from an address of the list, and there is a place for it."""
        if not self.node.knows(str(client_address[0])):
            log.warning("refused a connection from %s", client_address[0])
            return False
        return len(self.active_associations) < 2 * self.node.limits.associations

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Negotiate TLS where it is wanted, and go on."""
        if self.ssl_context is not None:
            if not self._handshakes.acquire(blocking=False):
                self.shutdown_request(request)
                return
            try:
                request.settimeout(HANDSHAKE)
                request = self.ssl_context.wrap_socket(request, server_side=True)
            except (OSError, ssl.SSLError) as error:
                log.warning("refused a connection from %s: no TLS (%s)", client_address[0], type(error).__name__)
                self.shutdown_request(request)
                return
            finally:
                self._handshakes.release()
        super().process_request_thread(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say in the log that a connection failed, without what it has sent."""
        log.warning("a connection from %s failed", client_address[0])


def _syntaxes() -> Iterable[UID]:
    """Transfer syntaxes that can be read here: whoever has another one sends it uncompressed."""
    yield from UNCOMPRESSED
    for syntax in COMPRESSED:
        with suppress(NotImplementedError):
            if get_decoder(syntax).is_available:
                yield syntax


def instance_of(data: bytes) -> Instance:
    """What the spool keeps of a DICOM file.

    Args:
        data: of the whole file.

    Raises:
        AttributeError: it lacks a UID; pydicom raises others for damaged bytes.
    """
    header = dcmread(BytesIO(data))
    # some series have one UID for all slices; as bytes, since a damaged number must not keep an instance out
    place = [str(getattr(header.get_item(tag), "value", None)) for tag in (POSITION, NUMBER)]
    study, series, own = (
        str(header[name].value) for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    )
    if not study or not series or not own:
        raise AttributeError("a UID is empty")
    content = hashlib.sha256()
    _add(content, header)
    return Instance(short_hash(study, series), short_hash(own, *place), content.hexdigest(), _announced(header), data)


def _announced(header: Dataset) -> int | None:
    """The number of instances of a series; None where it is not known."""
    with suppress(Exception):  # one that is no number must not keep an instance out
        return int(header.NumberOfSeriesRelatedInstances)
    return None


def _add(content: Any, items: Dataset) -> None:
    """Add what a dataset says to a hash, however it is encoded; without private items, whose type may be unknown."""
    for tag in sorted(items.keys()):
        if tag.is_private or tag in OF_PLACE or tag.element == 0:
            continue
        content.update(f"{tag:08x}".encode())
        try:
            item = items[tag]
        except Exception:  # not of its type, which must not keep an instance out
            content.update(bytes(items.get_item(tag).value or b""))
            continue
        if item.VR == "SQ":
            for part in item.value:
                _add(content, part)
        else:
            content.update(item.value if isinstance(item.value, bytes) else repr(item.value).encode())
