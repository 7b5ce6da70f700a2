"""The node's example: its settings are a node's, Orthanc forwards by them, containers and service may do little."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pydicom
import pytest
import yaml
from dicom_phantom import write_series

from medical_image_synthesis.node.settings import settings_in
from tests.pacs.real_servers import ORTHANC, Server, free_ports, until
from tools.repository import ROOT

EXAMPLE = ROOT / "examples" / "node"
UNIT = EXAMPLE / "synthesize-node.service"
DOCKERFILE = ROOT / "docker" / "Dockerfile"


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return yaml.safe_load((EXAMPLE / "compose.yaml").read_text())


def orthanc() -> dict[str, Any]:
    return json.loads((EXAMPLE / "orthanc.json").read_text())


def test_the_settings_are_of_a_node_that_knows_this_orthanc_alone(services: dict[str, Any]) -> None:
    node = settings_in(EXAMPLE / "node.yaml")
    (network,) = services["networks"]["pacs"]["ipam"]["config"]
    inside = next(ip_network(network["subnet"]).hosts())
    assert node.admits("ORTHANC", str(inside))
    assert not node.admits("STORESCU", str(inside))
    assert not node.admits("ORTHANC", str(ip_address("172.30.113.1")))
    pacs, there = node.destinations["pacs"], orthanc()
    assert (pacs.ae_title, pacs.port) == (there["DicomAet"], there["DicomPort"])
    assert pacs.host in services["services"]
    assert there["DicomModalities"] == {"synthesize": [node.ae_title, "node", node.port]}
    (route,) = node.routes
    assert route.matches("SYNTHESIZE", {"modality": "MR", "body_part": "Head"})
    assert not route.matches("SYNTHESIZE", {"modality": "MR", "body_part": "HEADNECK"})


def test_the_container_of_the_node_may_write_its_spool_and_nothing_else(services: dict[str, Any]) -> None:
    node = services["services"]["node"]
    assert (node["user"], node["read_only"], node["cap_drop"]) == ("1000", True, ["ALL"])
    written = [volume for volume in node["volumes"] if not volume.endswith(":ro")]
    assert written == ["spool:/var/lib/synthesize"]
    assert settings_in(EXAMPLE / "node.yaml").spool == Path("/var/lib/synthesize/spool")
    assert "ports" not in node
    assert all(port.startswith("127.0.0.1:") for port in services["services"]["orthanc"]["ports"])
    # a new volume has the owner of the image's folder
    assert "install --directory --owner=synthesis --mode=700 /var/lib/synthesize" in DOCKERFILE.read_text()


def test_the_service_is_valid_and_confined(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze on this platform")
    unit = tmp_path / UNIT.name
    unit.write_text(re.sub(r"(?<=ExecStart=)\S+", sys.executable, UNIT.read_text()))
    verified = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")
    security = ["systemd-analyze", "security", "--offline=true", "--threshold=15", unit]
    done = subprocess.run(security, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout  # exposure of at most 1.5 of 10


@pytest.mark.slow
@pytest.mark.skipif(ORTHANC is None or shutil.which("storescp") is None, reason="no Orthanc or dcmtk on this machine")
def test_orthanc_forwards_series_of_mr_and_not_what_the_node_sent(tmp_path: Path) -> None:
    dicom, http, node = free_ports(3)
    settings = orthanc() | {
        "DicomPort": dicom, "HttpPort": http, "StableAge": 1, "RemoteAccessAllowed": False,
        "LuaScripts": [str(EXAMPLE / "route.lua")],
        "DicomModalities": {"synthesize": ["SYNTHESIZE", "127.0.0.1", node]},
        "StorageDirectory": str(tmp_path / "archive"), "IndexDirectory": str(tmp_path / "archive"),
    }  # fmt: skip
    (tmp_path / "orthanc.json").write_text(json.dumps(settings))
    received = tmp_path / "received"
    received.mkdir()
    for name, modality in (("mr", "MR"), ("ct", "CT"), ("returned", "MR")):
        write_series(tmp_path / name, modality=modality)
    archive = Server([str(ORTHANC), tmp_path / "orthanc.json"], tmp_path, "orthanc")
    scp = Server(["storescp", "-aet", "SYNTHESIZE", "-od", received, str(node)], tmp_path, "storescp")
    try:
        archive.start_on(dicom, ORTHANC_PASSWORD="of the test")
        scp.start_on(node)
        for name, title in (("ct", "STORESCU"), ("returned", "SYNTHESIZE"), ("mr", "STORESCU")):
            send = ["storescu", "-aet", title, "-aec", "ORTHANC", "127.0.0.1", str(dicom), "+sd", str(tmp_path / name)]
            subprocess.run(send, check=True, timeout=60)
        until(lambda: len(list(received.iterdir())) >= 4, "the series of MR")
        time.sleep(3)  # anything more, of the series that came before, would be there now
    finally:
        archive.stop()
        scp.stop()
    sent, found = ({str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID) for path in folder.iterdir()}
                   for folder in (tmp_path / "mr", received))  # fmt: skip
    assert (found, len(found)) == (sent, 4)
