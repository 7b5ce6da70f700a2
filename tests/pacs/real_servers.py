"""Servers of the tests on 127.0.0.1: Debian's Orthanc with its DICOMweb plugin, and the node; ``storescu`` sends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from dicomweb_client import DICOMwebClient

from tools.repository import ROOT

ORTHANC = shutil.which("Orthanc", path=os.pathsep.join(["/usr/sbin", os.environ.get("PATH", "")]))
PLUGINS = (Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so"), Path("/usr/lib/orthanc/libOrthancDicomWeb.so"))
"""Where Debian and others have the plugin."""
PLUGIN = next((path for path in PLUGINS if path.exists()), None)
STORESCU = shutil.which("storescu", path=os.pathsep.join(["/usr/bin", os.environ.get("PATH", "")]))
"""Of dcmtk: an active environment has pynetdicom's, with other options, before it."""
AT_ONCE = {"TCP_NODELAY": "1"}
"""For dcmtk and Orthanc, which otherwise wait 40 to 90 ms for each instance."""
SECONDS = 120.0
"""How long a server or a result is waited for, unless said; two busy cores take half of it."""


def missing() -> list[str]:
    """What the machine lacks of what the tests need, in words."""
    lacks = [] if ORTHANC else ["Orthanc"]
    lacks += [] if PLUGIN else ["its DICOMweb plugin"]
    lacks += [] if STORESCU else ["storescu of dcmtk"]
    return lacks + ([] if shutil.which("dciodvfy") else ["dciodvfy of dicom3tools"])


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nothing listens on, different ones."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def until(condition: Callable[[], Any], what: str, seconds: float = SECONDS, log: Callable[[], str] = str) -> Any:
    """The first true value of a condition, asked for again and again.

    Raises:
        AssertionError: it stayed false; says what was waited for, and the log.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.1)
    raise AssertionError(f"waited {seconds:.0f} s in vain for {what}\n{log()[-6000:]}")


class Server:
    """A process with its log, ended by :meth:`stop` or at once by :meth:`kill`."""

    def __init__(self, words: Sequence[str | Path], folder: Path, name: str) -> None:
        self._words = [str(word) for word in words]
        self.log_path = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """All that it has said, from every start."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def _start(self, **environment: str) -> None:
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self._words, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT, env=os.environ | environment
            )

    def start_on(self, port: int, **environment: str) -> None:
        """Start it, and wait until it listens on a port of this machine."""

        def listens() -> bool:
            assert self.runs, f"{self._words[0]} ended:\n{self.log}"
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                return True
            return False

        self._start(**environment)
        until(listens, self._words[0], log=lambda: self.log)

    def stop(self) -> None:
        """Ask it to end, and wait for it."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it by SIGKILL."""
        self._end(signal.SIGKILL)

    def _end(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(60)
            self._process = None

    @property
    def runs(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None


class Orthanc(Server):
    """A PACS that takes instances from STORESCU and SYNTHESIZE of this machine alone.

    Args:
        folder: of its configuration, its storage and its log.
        lua: a script that it runs.

    Attributes:
        dicom_port: of C-STORE, as ORTHANC.
        url: of its REST interface; ``/dicom-web/`` below it is DICOMweb.
    """

    def __init__(self, folder: Path, lua: str = "") -> None:
        self.dicom_port, http_port = free_ports(2)
        self.url = f"http://127.0.0.1:{http_port}"
        settings = {
            "Name": "PACS",
            "StorageDirectory": str(folder / "storage"),
            "IndexDirectory": str(folder / "storage"),
            "Plugins": [str(PLUGIN)],
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
            "HttpPort": http_port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomAet": "ORTHANC",
            "DicomPort": self.dicom_port,
            "DicomCheckCalledAet": True,
            "DicomAlwaysAllowStore": False,
            "DicomCheckModalityHost": True,
            "SyncStorageArea": False,
            "LuaScripts": [str(folder / "forward.lua")],
            "DicomModalities": {name: [name, "127.0.0.1", 104] for name in ("STORESCU", "SYNTHESIZE")},
        }
        (folder / "storage").mkdir(parents=True)
        (folder / "forward.lua").write_text(lua)
        (folder / "orthanc.json").write_text(json.dumps(settings, indent=1))
        super().__init__([ORTHANC or "Orthanc", folder / "orthanc.json"], folder, "orthanc")

    def start(self) -> Orthanc:
        """Start it, again too, and wait until it answers."""
        self._start(**AT_ONCE)
        until(self._answers, "Orthanc", log=lambda: self.log)
        return self

    def _answers(self) -> bool:
        assert self.runs, f"Orthanc ended:\n{self.log}"
        try:
            return bool(self.get("/system"))
        except OSError:
            return False

    def get(self, path: str) -> Any:
        """What REST says of a path."""
        return json.loads(self.read(path))

    def read(self, path: str) -> bytes:
        """The bytes of a path."""
        with urllib.request.urlopen(self.url + path, timeout=60) as answer:
            return bytes(answer.read())

    def send(self, path: str, content: Any, method: str = "POST") -> Any:
        """Ask REST for something, by JSON."""
        request = urllib.request.Request(self.url + path, json.dumps(content).encode(), method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            said = answer.read()
        return json.loads(said) if said else None

    def knows_node(self, port: int) -> None:
        """Let it send to the node, as modality NODE."""
        self.send("/modalities/NODE", {"AET": "SYNTHESIZE", "Host": "127.0.0.1", "Port": port}, "PUT")

    def series(self) -> dict[str, dict[str, Any]]:
        """Its series by SeriesInstanceUID: tags, and Orthanc's own ids of each and of its ``instances``."""
        found = self.get("/series?expand")
        return {
            each["MainDicomTags"]["SeriesInstanceUID"]: {
                **each["MainDicomTags"],
                "id": each["ID"],
                "instances": each["Instances"],
            }
            for each in found
        }

    def dicomweb(self) -> DICOMwebClient:
        """A client of its QIDO-RS, WADO-RS and STOW-RS."""
        return DICOMwebClient(f"{self.url}/dicom-web")


class Node(Server):
    """``synthesize node``, from the configuration of its contract.

    Attributes:
        port: of C-STORE, as SYNTHESIZE.
        folder: of its configuration and spool.
    """

    def __init__(self, folder: Path, orthanc: Orthanc, routes: Sequence[Mapping[str, Any]], **settings: Any) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.port, self._health_port = free_ports(2)
        config = {
            "port": self.port,
            "health_port": self._health_port,
            "spool": "spool",
            "quiet_seconds": 2,
            "callers": [{"ae_title": name, "address": "127.0.0.1"} for name in ("STORESCU", "ORTHANC")],
            "destinations": {
                "pacs": {"ae_title": "ORTHANC", "host": "127.0.0.1", "port": orthanc.dicom_port},
                "web": {"url": f"{orthanc.url}/dicom-web/"},
            },
            "routes": list(routes),
            **settings,
        }
        self.config = folder / "node.yaml"
        self.config.write_text(yaml.safe_dump(config, sort_keys=False))
        words = [sys.executable, "-W", "ignore", "-m", "medical_image_synthesis", "node", self.config]
        super().__init__(words, folder, "node")

    def start(self) -> Node:
        """Start it, again too, and wait until it listens."""
        before = len(self.log)
        self._start(OMP_NUM_THREADS="1", CUDA_VISIBLE_DEVICES="")
        line = f"listening on 127.0.0.1:{self.port} as SYNTHESIZE"
        until(lambda: self._said(line, before), "the node", log=lambda: self.log)
        return self

    def _said(self, line: str, start: int) -> bool:
        assert self.runs, f"the node ended:\n{self.log}"
        return line in self.log[start:]

    def health(self) -> dict[str, Any]:
        """What it says of itself by HTTP."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._health_port}/health", timeout=30) as answer:
            return dict(json.loads(answer.read()))

    def counts(self) -> dict[str, int]:
        """Series by state."""
        return dict(self.health()["counts"])

    def reaches(self, seconds: float = SECONDS, **counts: int) -> None:
        """Wait until each of these counts is there."""

        def there() -> bool:
            now = self.counts()
            return all(now.get(name, 0) >= wanted for name, wanted in counts.items())

        until(there, f"{counts}", seconds, lambda: f"{self.counts()}\n{self.log}")

    def check(self) -> list[str]:
        """The lines of ``synthesize node CONFIG --check``, which must end well."""
        own = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
        done = subprocess.run([*self._words, "--check"], cwd=ROOT, env=own, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.splitlines()

    def kept_bytes(self) -> dict[str, bytes]:
        """Its log and its database, by name."""
        files = [self.log_path, *sorted((self.folder / "spool").glob("node.sqlite3*"))]
        return {path.name: path.read_bytes() for path in files}


def storescu(
    port: int,
    *paths: Path,
    called: str = "SYNTHESIZE",
    calling: str = "STORESCU",
    words: Sequence[str | Path] = (),
) -> int:
    """Send files and folders by dcmtk in one association; the exit code, 0 if every instance was acknowledged."""
    command = [STORESCU, "-aet", calling, "-aec", called, *words, "+sd", "127.0.0.1", port, *paths]
    done = subprocess.run([*map(str, command)], env=os.environ | AT_ONCE, capture_output=True, timeout=300)
    return done.returncode


def send(port: int, *paths: Path, called: str = "SYNTHESIZE") -> None:
    """Send as :func:`storescu` does, which must be acknowledged."""
    assert storescu(port, *paths, called=called) == 0, f"not all of {', '.join(map(str, paths))} was acknowledged"
