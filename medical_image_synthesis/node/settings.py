"""The configuration of a node: a YAML file of plain values, checked before anything listens."""

from __future__ import annotations

import ipaddress
import json
import re
import ssl
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from common.errors import CheckpointError, ConfigError, choose
from common.files import require_bounded
from medical_image_synthesis.catalogue import Bundle, bundle_named

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
AE_TITLE = re.compile(r"[ -\[\]-~]{1,16}")
"""Printable ASCII without a backslash (PS3.5, 6.2)."""
LOCAL = "127.0.0.1"
POLL = 0.1
"""Seconds between two looks of a server whether it is to end."""
IMAGE, NOTHING = "image", "nothing"
"""What is sent of a refused case: a Secondary Capture that says why, or nothing."""
HEADERS = ("modality", "body_part", "description")
"""Conditions of a route, regular expressions: of the whole value of the first two, of a part of the last."""


@dataclass(frozen=True)
class Caller:
    """Who may send: an AE title from an address, or from one of a network."""

    ae_title: str
    network: Network


@dataclass(frozen=True)
class Archive:
    """Where results go: an AE by C-STORE, or a ``url`` by STOW-RS.

    Attributes:
        tls: certificates with which C-STORE is encrypted; HTTP is by an address ``https:``.
        password: of HTTP's basic authentication.
        authority: file of the authority of the server's certificate; None for those of this machine.
    """

    name: str
    ae_title: str = ""
    host: str = ""
    port: int = 0
    tls: Certificates | None = None
    url: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    authority: Path | None = None


@dataclass(frozen=True)
class Route:
    """Which series are translated, by what, and where the result goes.

    Attributes:
        conditions: patterns by ``modality``, ``body_part`` and ``description``; a series must match all of them.
        called: AE title by which the node was called; empty where any will do.
        bundle: with its weights.
        options: settings of its inference, as texts.
        to: name of a destination.
        refused: what is sent of a refused case, ``image`` or ``nothing``.
    """

    bundle: Bundle
    to: str
    conditions: Mapping[str, re.Pattern[str]]
    called: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    refused: str = NOTHING

    @property
    def key(self) -> str:
        """What a result depends on besides its series."""
        weights = self.bundle.weights if "weights" not in self.options else Path(self.options["weights"])
        changed = weights.stat().st_mtime_ns if weights is not None and weights.exists() else None
        return json.dumps([str(self.bundle.folder), sorted(self.options.items()), self.to, changed])

    def matches(self, called: str, headers: Mapping[str, str]) -> bool:
        """Whether a series with these headers, sent to an AE title, is one of the route."""
        if self.called and self.called != called:
            return False
        searches = {name: pattern.search if name == "description" else pattern.fullmatch
                    for name, pattern in self.conditions.items()}  # fmt: skip
        return all(search(headers.get(name, "").strip()) for name, search in searches.items())


@dataclass(frozen=True)
class NodeLimits:
    """What is taken at most: associations at once, instances of a series, MB of an instance, GB of the spool.

    ``free_gb`` is what the disk keeps free, and ``timeout_seconds`` how long a peer may be silent.
    """

    associations: int = 25
    instances: int = 4000
    instance_mb: float = 512
    spool_gb: float = 50
    free_gb: float = 1
    timeout_seconds: float = 60


@dataclass(frozen=True)
class Certificates:
    """Of the node: its certificate and key, and the authorities of those who call it, and whom it calls."""

    certificate: Path
    key: Path
    authorities: Path

    def context(self, server: bool) -> ssl.SSLContext:
        """Of TLS 1.2 or later; both sides show a certificate.

        Raises:
            ConfigError: a file is none.
        """
        purpose = ssl.Purpose.CLIENT_AUTH if server else ssl.Purpose.SERVER_AUTH
        try:
            context = ssl.create_default_context(purpose, cafile=str(self.authorities))
            context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                f"tls: a file cannot be used ({error})", "give PEM files, the key without a password"
            ) from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.verify_mode = ssl.CERT_REQUIRED
        return context


@dataclass(frozen=True)
class NodeSettings:
    """Of a node; see ``docs/how-to/pacs.md``.

    Attributes:
        quiet_seconds: after which a series without an open association is complete.
        keep_hours: after which the files of a finished case are deleted.
        retry_days: for which an archive that is away is tried.
    """

    spool: Path
    callers: tuple[Caller, ...]
    destinations: Mapping[str, Archive]
    routes: tuple[Route, ...]
    ae_title: str = "SYNTHESIZE"
    host: str = LOCAL
    port: int = 11112
    health_port: int = 8112
    quiet_seconds: float = 10
    keep_hours: float = 24
    retry_days: float = 7
    tls: Certificates | None = None
    limits: NodeLimits = field(default_factory=NodeLimits)

    @cached_property
    def titles(self) -> frozenset[str]:
        """AE titles by which the node may be called."""
        return frozenset({self.ae_title, *(route.called for route in self.routes if route.called)})

    def admits(self, ae_title: str, address: str) -> bool:
        """Whether an AE may call from an address."""
        return ae_title in self._titles_at(address)

    def knows(self, address: str) -> bool:
        """Whether anybody may call from an address."""
        return bool(self._titles_at(address))

    def _titles_at(self, address: str) -> set[str]:
        there = ipaddress.ip_address(address.partition("%")[0])
        there = getattr(there, "ipv4_mapped", None) or there  # which a socket of IPv6 shows as part of one of its own
        return {each.ae_title for each in self.callers if there in each.network}


def settings_in(path: Path) -> NodeSettings:
    """The settings in a file; paths in it are relative to its folder.

    Raises:
        ConfigError: what is wrong, with its place in the file.
        CheckpointError: a bundle of a route has no weights.
    """
    return _Reading(path).settings()


class _Reading:
    """Reads the sections of a file, each with its place for messages."""

    def __init__(self, path: Path) -> None:
        import yaml

        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError) as error:
            reason = " ".join(str(getattr(error, "strerror", None) or error).split())
            raise ConfigError(f"cannot read {path} ({reason})", "check the path, or correct the YAML") from error
        require_bounded(content, str(path))
        self.path, self.folder = path, path.resolve().parent
        self.content = self.section(content, [each.name for each in fields(NodeSettings)], "")

    def fault(self, place: str, fault: str, remedy: str) -> ConfigError:
        return ConfigError(f"{self.path}: {place}{': ' if place else ''}{fault}", remedy)

    def section(self, given: Any, known: Collection[str], place: str, needed: Collection[str] = ()) -> dict[str, Any]:
        """A section with known keys alone, without those that are null."""
        if not isinstance(given, dict):
            raise self.fault(place, "no settings NAME: VALUE", f"give {', '.join(needed or known)}")
        for name in given:
            if name not in known:
                raise self.fault(place, f"unknown setting {name}", choose(sorted(known)))
        found = {name: value for name, value in given.items() if value is not None}
        for name in needed:
            if name not in found:
                raise self.fault(place, f"{name} is missing", "add it")
        return found

    def listed(self, name: str, remedy: str) -> list[Any]:
        given = self.content.get(name)
        if not isinstance(given, list) or not given:
            raise self.fault(name, "no list with an entry", remedy)
        return given

    def number(
        self, section: Mapping[str, Any], name: str, place: str, least: float, most: float, whole: bool = False
    ) -> Any:
        value = section[name]
        fits = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
        if not fits or not least <= value <= most:
            kind = "a whole number" if whole else "a number"
            remedy = "write it without quotes" if isinstance(value, str) else "correct it"
            raise self.fault(f"{place}{name}", f"{value!r} is not {kind} from {least:g} to {most:g}", remedy)
        return value

    def text(self, section: Mapping[str, Any], name: str, place: str) -> str:
        value = section.get(name, "")
        if not isinstance(value, str):
            raise self.fault(place, f"{name} is {value!r}, no text", "put it in quotes")
        return value

    def named(self, section: Mapping[str, Any], name: str, place: str) -> str:
        """A text that is not empty: an empty host would be every address of this machine."""
        text = self.text(section, name, place)
        if not text:
            raise self.fault(place, f"{name} is empty", "give one, or omit it")
        return text

    def title(self, section: Mapping[str, Any], name: str, place: str) -> str:
        title = self.text(section, name, place).strip()
        if not AE_TITLE.fullmatch(title):
            remedy = "give 1 to 16 characters of ASCII, without a backslash"
            raise self.fault(place, f"{name} {title!r} is no AE title", remedy)
        return title

    def file(self, section: Mapping[str, Any], name: str, place: str) -> Path:
        path = self.folder / self.text(section, name, place)
        if not path.is_file():
            raise self.fault(place, f"no file {path} ({name})", "check the path")
        return path

    def settings(self) -> NodeSettings:
        content = self.content
        plain: dict[str, Any] = {}
        if "ae_title" in content:
            plain["ae_title"] = self.title(content, "ae_title", "")
        if "host" in content:
            plain["host"] = self.named(content, "host", "")
        for name, least, most in (("quiet_seconds", 0.1, 3600), ("keep_hours", 0, 10_000), ("retry_days", 0, 365)):
            if name in content:
                plain[name] = self.number(content, name, "", least, most)
        for name in ("port", "health_port"):
            if name in content:
                plain[name] = self.number(content, name, "", 0, 65535, whole=True)
        if "tls" in content:
            parts = ("certificate", "key", "authorities")
            section = self.section(content["tls"], parts, "tls", parts)
            plain["tls"] = Certificates(*(self.file(section, part, "tls") for part in parts))
        destinations = self.destinations(plain.get("tls"))
        spool = self.folder / (self.text(content, "spool", "") or "spool")
        callers = tuple(self.callers())
        routes = tuple(self.routes(destinations))
        return NodeSettings(spool, callers, destinations, routes, limits=self.limits(), **plain)

    def limits(self) -> NodeLimits:
        known = [each.name for each in fields(NodeLimits)]
        section = self.section(self.content.get("limits", {}), known, "limits")
        whole = ("associations", "instances")
        return NodeLimits(**{
            name: self.number(section, name, "limits: ", 1 if name in whole else 0.001, 1e9, name in whole)
            for name in section
        })  # fmt: skip

    def callers(self) -> list[Caller]:
        found = []
        for number, given in enumerate(
            self.listed("callers", "say who may send: {ae_title: PACS, address: 10.1.2.3}"), 1
        ):
            place = f"callers: entry {number}"
            section = self.section(given, ("ae_title", "address"), place, ("ae_title", "address"))
            try:
                network = ipaddress.ip_network(self.text(section, "address", place))
            except ValueError as error:
                remedy = "give one such as 10.1.2.3, or a network such as 10.1.2.0/24"
                raise self.fault(place, f"address {section['address']!r} is no IP address", remedy) from error
            found.append(Caller(self.title(section, "ae_title", place), network))
        return found

    def destinations(self, tls: Certificates | None) -> dict[str, Archive]:
        given = self.content.get("destinations")
        if not isinstance(given, dict) or not given:
            remedy = "name one: pacs: {ae_title: PACS, host: 10.1.2.3, port: 104}"
            raise self.fault("destinations", "no destination", remedy)
        return {str(name): self.destination(str(name), section, tls) for name, section in given.items()}

    def destination(self, name: str, given: Any, tls: Certificates | None) -> Archive:
        place = f"destinations: {name}"
        if isinstance(given, dict) and "url" in given:
            section = self.section(given, ("url", "username", "password_file", "authority"), place)
            url = self.text(section, "url", place)
            if not re.match(r"https?://[^/\s]+", url):
                raise self.fault(place, f"url {url!r} is no address of HTTP", "give that of the DICOMweb server")
            password = ""
            if "password_file" in section:
                password = self.password(self.file(section, "password_file", place), place)
            authority = self.file(section, "authority", place) if "authority" in section else None
            return Archive(
                name, url=url, username=self.text(section, "username", place), password=password, authority=authority
            )
        section = self.section(given, ("ae_title", "host", "port", "tls"), place, ("ae_title", "host", "port"))
        encrypted = section.get("tls", False)
        if not isinstance(encrypted, bool):
            raise self.fault(place, f"tls is {encrypted!r}", "choose true or false")
        if encrypted and tls is None:
            raise self.fault(place, "tls without a certificate of the node", "add a section tls")
        port = self.number(section, "port", f"{place}: ", 1, 65535, whole=True)
        return Archive(
            name,
            self.title(section, "ae_title", place),
            self.named(section, "host", place),
            port,
            tls if encrypted else None,
        )

    def password(self, file: Path, place: str) -> str:
        try:
            return file.read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            raise self.fault(place, f"cannot read {file}", "give a text file of UTF-8") from error

    def routes(self, destinations: Collection[str]) -> list[Route]:
        known = (*HEADERS, "called", "bundle", "options", "to", "refused")
        found = []
        for number, given in enumerate(
            self.listed("routes", "say what is translated: {modality: MR, bundle: mr2ct, to: pacs}"), 1
        ):
            place = f"routes: entry {number}"
            section = self.section(given, known, place, ("bundle", "to"))
            to = str(section["to"])  # as their names are
            if to not in destinations:
                raise self.fault(place, f"no destination {to}", choose(destinations))
            refused = section.get("refused", NOTHING)
            if refused not in (IMAGE, NOTHING):
                raise self.fault(place, f"refused is {refused!r}", choose((IMAGE, NOTHING)))
            conditions = {name: self.pattern(section, name, place) for name in HEADERS if name in section}
            called = self.title(section, "called", place) if "called" in section else ""
            if not conditions and not called:
                raise self.fault(place, "no condition, so that it takes every series", f"give {', '.join(known[:4])}")
            options = self.options(section, place)
            bundle = self.bundle(self.text(section, "bundle", place), options, place)
            if "accept_modality" not in options:  # called alone would take reports and screen saves too
                conditions.setdefault("modality", re.compile(bundle.sources[0]))
            found.append(Route(bundle, to, conditions, called, options, refused))
        return found

    def pattern(self, section: Mapping[str, Any], name: str, place: str) -> re.Pattern[str]:
        text = self.text(section, name, place)
        try:
            return re.compile(text, re.IGNORECASE)
        except re.error as error:
            raise self.fault(place, f"{name} {text!r} is no regular expression ({error})", "correct it") from error

    def options(self, section: Mapping[str, Any], place: str) -> dict[str, str]:
        given = section.get("options", {})
        if not isinstance(given, dict) or not all(isinstance(name, str) for name in given):
            raise self.fault(place, "options are no settings NAME: VALUE", "write them as of synthesize")
        try:
            options = {name: value if isinstance(value, str) else json.dumps(value) for name, value in given.items()}
        except TypeError as error:  # a date
            raise self.fault(place, "options hold what is neither text, number nor list", "put it in quotes") from error
        if "weights" in options:
            options["weights"] = str(self.folder / options["weights"])
        if options.get("refuse", "true") != "true":
            raise self.fault(place, "refuse: false, but a refused case is never sent", "omit it")
        return options

    def bundle(self, name: str, options: Mapping[str, str], place: str) -> Bundle:
        bundle = bundle_named(name)
        own = {"weights", "output_dir"} & options.keys()
        reason = bundle.unservable
        if reason is not None and not (own and bundle.weights is None and bundle.reads_volumes):
            raise CheckpointError(f"{self.path}: {place}: {bundle.name} cannot be used here", reason)
        return bundle
