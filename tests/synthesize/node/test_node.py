"""A node between a sender and an archive: each series once, whatever happens to the three of them."""

from __future__ import annotations

import json
import logging
import shutil
import socket
import stat
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pydicom
import pytest
from dicom_phantom import PATIENT
from pydicom.uid import RawDataStorage, SecondaryCaptureImageStorage
from pynetdicom import AE
from pynetdicom.sop_class import Verification

from common.errors import CasesFailedError, ConfigError, OutputError
from medical_image_synthesis.node import delivery
from medical_image_synthesis.node.check import check
from medical_image_synthesis.node.command import Node
from medical_image_synthesis.node.delivery import NotDeliveredError
from medical_image_synthesis.node.receiver import instance_of
from medical_image_synthesis.node.settings import Archive, Certificates, NodeLimits, NodeSettings
from medical_image_synthesis.node.spool import Spool
from tests.synthesize.node.conftest import Pacs, route, scan, send, wait

Start = Callable[..., Node]


def test_a_series_comes_back_once_and_is_known_when_it_comes_again(start: Start, pacs: Pacs, tmp_path: Path) -> None:
    node, files = start(), scan(tmp_path / "scan", SeriesDescription="T1")
    send(node, files)
    wait(node, sent=1)
    assert pacs.series() == {"T1": 4}
    send(node, list(reversed(files)))
    assert wait(node, duplicate=1)["sent"] == 1
    assert set(pacs.times.values()) == {1}


def test_the_same_content_in_another_encoding_is_no_other_one(start: Start, tmp_path: Path) -> None:
    node, files = start(), scan(tmp_path / "scan")
    send(node, files)
    wait(node, sent=1)
    for file in files:
        header = pydicom.dcmread(file)
        header.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
        header.RetrieveAETitle = "PACS"
        header.save_as(file, implicit_vr=True, little_endian=True)
    send(node, files)
    assert wait(node, duplicate=1)["sent"] == 1


def test_a_changed_patient_is_another_content(start: Start, tmp_path: Path) -> None:
    node, files = start(), scan(tmp_path / "scan")
    send(node, files)
    wait(node, sent=1)
    for file in files:
        header = pydicom.dcmread(file)
        header.PatientID = "CORRECTED"
        header.save_as(file)
    send(node, files)
    wait(node, sent=2)


def test_slices_that_share_one_uid_are_all_kept(start: Start, tmp_path: Path) -> None:
    node, files = start(routes=(route(do="wait"),)), scan(tmp_path / "scan", SOPInstanceUID="1.2.840.99.5")
    send(node, files)
    wait(node, running=1)
    kept = {float(pydicom.dcmread(each).ImagePositionPatient[2]) for each in (tmp_path / "spool").rglob("*.dcm")}
    assert len(kept) == 4
    (tmp_path / "spool" / "go").touch()
    wait(node, sent=1)
    send(node, files)
    wait(node, duplicate=1)


def test_an_instance_that_comes_late_gives_the_whole_series(start: Start, pacs: Pacs, tmp_path: Path) -> None:
    node, files = start(routes=(route(do="wait"),)), scan(tmp_path / "scan", SeriesDescription="T1")
    send(node, files[:3])
    wait(node, running=1)
    send(node, files[3:])
    (tmp_path / "spool" / "go").touch()
    assert wait(node, sent=1)["superseded"] == 1
    assert pacs.series() == {"T1": 4}


def test_an_image_does_not_wait_for_the_acknowledgement_of_its_command(settings: NodeSettings) -> None:
    association = delivery._associated(settings.destinations["pacs"], settings, [(Verification, None)])
    assert association.dul.socket.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
    association.release()


def test_a_series_is_complete_when_its_announced_count_is_there(start: Start, tmp_path: Path) -> None:
    node = start(quiet_seconds=600.0)
    files = scan(tmp_path / "scan", NumberOfSeriesRelatedInstances=4)
    send(node, files[:3])
    assert wait(node, receiving=1)["queued"] == 0
    send(node, files[3:])
    wait(node, sent=1)


def test_an_archive_that_is_away_gets_its_result_later(
    start: Start, pacs: Pacs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medical_image_synthesis.node.pipeline.FIRST_WAIT", 0.2)
    pacs.status = 0xA700
    node = start()
    send(node, scan(tmp_path / "scan"))
    wait(node, sending=1)
    while "pacs" not in (state := node.state())["destinations_away"]:
        pass
    assert state["destinations_away"] == {"pacs": "pacs did not store an instance (status 0xA700)"}
    assert state["status"] == "ok"
    pacs.status = 0x0000
    wait(node, sent=1)
    assert len(pacs.stored) == 4
    assert node.state()["destinations_away"] == {}


def test_a_delivery_is_given_up_after_some_days(start: Start, pacs: Pacs, tmp_path: Path) -> None:
    pacs.status = 0xC000
    node = start(retry_days=0)
    send(node, scan(tmp_path / "scan"))
    wait(node, failed=1)
    assert node.spool.faults()[0]["message"] == "not delivered: pacs did not store an instance (status 0xC000)"


def test_the_next_node_goes_on_where_the_one_before_was_killed(start: Start, pacs: Pacs, tmp_path: Path) -> None:
    """The state of a killed node is what lies on disk: a copy of its spool in the middle of the work."""
    node = start(routes=(route(do="wait"),))
    send(node, scan(tmp_path / "first", SeriesDescription="first"))
    wait(node, running=1)
    send(node, scan(tmp_path / "second", SeriesDescription="second"))
    wait(node, queued=1)
    shutil.copytree(tmp_path / "spool", tmp_path / "after")
    (tmp_path / "after" / "incoming" / ".part-0").write_bytes(b"half of an instance")
    again = start(spool=tmp_path / "after")
    wait(again, sent=2)
    assert pacs.series() == {"first": 4, "second": 4}
    assert set(pacs.times.values()) == {1}
    assert [path.name for path in (tmp_path / "after" / "incoming").glob(".part-*")] == []


@pytest.mark.parametrize(("refused", "pages"), [("image", 1), ("nothing", 0)])
def test_a_refused_case_sends_a_page_that_says_why_or_nothing(
    start: Start, pacs: Pacs, tmp_path: Path, refused: str, pages: int
) -> None:
    node = start(routes=(route(refused, do="refuse"),))
    send(node, scan(tmp_path / "scan"))
    wait(node, refused=1)
    assert pacs.series() == ({"No synthetic series: refused": 1} if pages else {})
    for page in pacs.stored.values():
        assert (page.Modality, page.PatientID, page.Rows) == ("OT", PATIENT["PatientID"], 768)
        assert "The head of UID is cut." in page.ImageComments
        assert max(page.PixelData) == 255


def test_a_failed_case_says_why_without_paths_and_is_tried_when_it_comes_again(start: Start, tmp_path: Path) -> None:
    node, files = start(routes=(route(do="fail"),)), scan(tmp_path / "scan")
    send(node, files)
    wait(node, failed=1)
    assert node.spool.faults()[0]["message"] == "the series: a gap at instance 2; pass the option resample_tilt: true"
    (tmp_path / "spool" / "go").touch()
    send(node, files)
    assert wait(node, sent=1)["duplicate"] == 0


def test_a_worker_that_ends_is_started_again_three_times(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medical_image_synthesis.node.pipeline.FIRST_WAIT", 0.1)
    node = start(routes=(route(do="die"),))
    send(node, scan(tmp_path / "scan"))
    wait(node, failed=1)
    (fault,) = node.spool.faults()
    assert (fault["attempts"], fault["message"].partition(":")[0]) == (
        2,
        "the inference ended unexpectedly (exit code 3)",
    )


def test_what_no_route_takes_what_is_synthetic_and_pages_go_nowhere(start: Start, tmp_path: Path) -> None:
    node = start(routes=(replace(route(), called="OTHER"),))
    send(node, scan(tmp_path / "scan"))
    wait(node, unrouted=1)
    own = scan(tmp_path / "synthetic")
    for file in own:
        header = pydicom.dcmread(file)
        header.add_new(0x0008001C, "CS", "YES")
        header.save_as(file)
    send(node, own, called="OTHER")
    wait(node, unrouted=2, queued=0, sent=0)
    page, *_ = scan(tmp_path / "pages")
    header = pydicom.dcmread(page)
    header.SOPClassUID = header.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    header.save_as(page)
    send(node, [page], called="OTHER")
    wait(node, unrouted=3, queued=0, sent=0)
    send(node, scan(tmp_path / "scout", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]), called="OTHER")
    wait(node, unrouted=4, queued=0, sent=0)


@pytest.mark.parametrize("kind", [RawDataStorage, "1.3.12.2.1107.5.9.1", "1.3.46.670589.11.0.0.12.2"])
def test_an_object_without_an_image_neither_stops_a_study_nor_is_translated(
    start: Start, pacs: Pacs, tmp_path: Path, kind: str
) -> None:
    node, files = start(routes=(route("image"),)), scan(tmp_path / "scan", SeriesDescription="T1")
    other = pydicom.dcmread(files[0])
    other.SOPClassUID = other.file_meta.MediaStorageSOPClassUID = kind
    other.SeriesInstanceUID = other.SOPInstanceUID = other.file_meta.MediaStorageSOPInstanceUID = "1.2.840.99.5"
    del other.PixelData, other.BitsAllocated
    other.save_as(tmp_path / "other.dcm")
    send(node, [files[0], tmp_path / "other.dcm", *files[1:]])
    wait(node, sent=1, unrouted=1)
    assert pacs.series() == {"T1": 4}


def test_a_series_with_an_object_without_an_image_takes_the_route_of_its_images(start: Start, tmp_path: Path) -> None:
    node, files = start(), scan(tmp_path / "scan")
    first = min(files, key=lambda file: instance_of(file.read_bytes()).name)  # by its name in the spool
    header = pydicom.dcmread(first)
    header.SOPClassUID = header.file_meta.MediaStorageSOPClassUID = RawDataStorage
    del header.PixelData
    header.save_as(first)
    send(node, files)
    wait(node, sent=1)


def test_what_came_and_went_is_deleted_after_its_time_and_remembered(start: Start, tmp_path: Path) -> None:
    node, files = start(), scan(tmp_path / "scan")
    send(node, files)
    wait(node, sent=1)
    spool = tmp_path / "spool"
    assert len(list(spool.rglob("*.dcm"))) == 8
    assert node.spool.empty(3600) == 0
    assert node.spool.empty(0) == 1
    assert list(spool.rglob("*.dcm")) == []
    send(node, files)
    assert wait(node, duplicate=1)["sent"] == 1


def test_a_full_disk_takes_nothing_and_loses_nothing(start: Start, tmp_path: Path) -> None:
    node, files = start(limits=NodeLimits(spool_gb=3e-6)), scan(tmp_path / "scan")
    with pytest.raises(NotDeliveredError, match="status 0xA700"):
        send(node, files)
    free = start(spool=tmp_path / "other", limits=NodeLimits(free_gb=1e9))
    with pytest.raises(NotDeliveredError, match="status 0xA700"):
        send(free, files)
    assert "is full" in free.state()["status"]


def test_a_series_of_which_an_instance_was_refused_is_not_translated_before_it_comes(
    start: Start, pacs: Pacs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, files = start(), scan(tmp_path / "scan", SeriesDescription="T1")
    send(node, files[:3])
    with monkeypatch.context() as full:
        full.setattr(node.spool, "most_bytes", 0)
        with pytest.raises(NotDeliveredError, match="status 0xA700"):
            send(node, files[3:])
    wait(node, unrouted=1, queued=0)
    send(node, files[3:])
    wait(node, sent=1)
    assert pacs.series() == {"T1": 4}


def test_what_is_in_a_full_spool_is_still_translated(start: Start, tmp_path: Path) -> None:
    files = scan(tmp_path / "scan")
    node = start(limits=NodeLimits(spool_gb=sum(file.stat().st_size for file in files) / 1e9 + 1e-7))
    send(node, files)
    wait(node, sent=1)


def test_a_case_waits_for_a_disk_that_is_full(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medical_image_synthesis.node.pipeline.FIRST_WAIT", 0.1)
    with monkeypatch.context() as full:
        full.setattr("medical_image_synthesis.node.pipeline.NEEDED", 10**18)
        node = start()
        send(node, scan(tmp_path / "scan"))
        while not (faults := node.spool.faults()):
            time.sleep(0.05)
        assert faults[0]["message"] == "the disk is full"
        assert "is full" in node.state()["status"]
    wait(node, sent=1)


def test_a_series_that_cannot_be_queued_keeps_no_other_one(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medical_image_synthesis.node.pipeline.FIRST_WAIT", 0.1)
    node = start()
    damaged: list[str] = []

    def queue(series: str, *given: str) -> bool:
        damaged.append(series)
        if series == damaged[0]:
            raise OSError(5, "Input/output error")
        return Spool.queue(node.spool, series, *given)

    monkeypatch.setattr(node.spool, "queue", queue)
    for name in ("first", "another"):
        send(node, scan(tmp_path / name))
    assert wait(node, sent=1)["receiving"] == 1


def test_a_spool_that_is_gone_is_told_by_health(start: Start, tmp_path: Path) -> None:
    node = start()
    shutil.move(tmp_path / "spool", tmp_path / "moved")
    assert node.state()["status"] == "the spool is gone (No such file or directory)"
    with pytest.raises(NotDeliveredError, match="status 0xA700"):
        send(node, scan(tmp_path / "scan"))
    shutil.move(tmp_path / "moved", tmp_path / "spool")
    node.spool.close()
    with pytest.raises(urllib.error.HTTPError, match="503"):
        urllib.request.urlopen(f"http://127.0.0.1:{node.health.port}/health")


def test_a_reason_is_kept_where_its_page_cannot_be_made(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def notice(*_: object) -> None:
        raise OutputError("the header cannot be read", "export the series again")

    monkeypatch.setattr("medical_image_synthesis.node.pipeline.notice", notice)
    node = start(routes=(route("image", do="refuse"),))
    send(node, scan(tmp_path / "scan"))
    wait(node, refused=1)
    assert node.spool.faults()[0]["message"] == "the head of UID is cut"


def test_only_those_of_the_list_may_call_and_only_by_the_names_of_the_node(start: Start, tmp_path: Path) -> None:
    node, files = start(), scan(tmp_path / "scan")
    for ae_title, called in (("STRANGER", "SYNTHESIZE"), ("SCANNER", "STRANGER")):
        with pytest.raises(NotDeliveredError, match=f"the node rejects {ae_title}"):
            send(node, files, ae_title, called)
    send(node, files)
    far = replace(node.settings.callers[0], network=ip_network("10.0.0.0/8"))
    elsewhere = start(spool=tmp_path / "other", callers=(far,))
    with pytest.raises(NotDeliveredError):
        send(elsewhere, files)


def test_what_is_too_much_is_refused(start: Start, tmp_path: Path) -> None:
    node, files = start(limits=NodeLimits(instances=3, instance_mb=0.1)), scan(tmp_path / "scan")
    with pytest.raises(NotDeliveredError, match="status 0xC000"):
        send(node, files)
    large = pydicom.dcmread(files[0])
    large.ImageComments = "x" * 200_000
    large.save_as(tmp_path / "large.dcm")
    with pytest.raises(NotDeliveredError, match="ended the association"):
        send(node, [tmp_path / "large.dcm"])


def test_no_more_associations_than_allowed(start: Start) -> None:
    node = start(limits=NodeLimits(associations=2))
    entity = AE(ae_title="SCANNER")
    entity.add_requested_context("1.2.840.10008.1.1")
    opened = [entity.associate("127.0.0.1", node.receiver.port, ae_title="SYNTHESIZE") for _ in range(3)]
    assert [each.is_established for each in opened] == [True, True, False]
    assert opened[0].send_c_echo().Status == 0
    for each in opened[:2]:
        each.release()


def test_log_database_and_health_hold_no_value_of_a_patient(
    start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    node = start(routes=(route("image", do="refuse"),))
    send(node, scan(tmp_path / "scan"))
    wait(node, refused=1)
    with urllib.request.urlopen(f"http://127.0.0.1:{node.health.port}/health") as answer:
        said = answer.read()
    assert json.loads(said)["counts"]["refused"] == 1
    spool = tmp_path / "spool"
    kept = b"".join(path.read_bytes() for path in spool.glob("node.sqlite3*"))
    names = "".join(str(path.relative_to(spool)) for path in spool.rglob("*"))
    for secret in (*PATIENT.values(), "1.2.840.99"):
        assert secret.encode() not in said + kept
        assert secret not in caplog.text + names


def test_only_its_owner_reads_the_spool_and_only_one_node_uses_it(start: Start, tmp_path: Path) -> None:
    start()
    assert stat.S_IMODE((tmp_path / "spool").stat().st_mode) == 0o700
    with pytest.raises(ValueError, match="is in use, or damaged"):
        Spool(tmp_path / "spool", 1e9, 0)


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl on this machine")
    words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    subprocess.run(
        ["openssl", *words.split(), "-keyout", tmp_path / "key.pem", "-out", tmp_path / "node.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    return Certificates(tmp_path / "node.pem", tmp_path / "key.pem", tmp_path / "node.pem")


def test_with_tls_only_those_with_a_certificate_are_heard(
    start: Start, settings: NodeSettings, certificates: Certificates, tmp_path: Path
) -> None:
    node, files = start(tls=certificates), scan(tmp_path / "scan")
    with pytest.raises(NotDeliveredError):
        send(node, files)
    send(node, files, tls=certificates)
    wait(node, sent=1)


def test_the_check_sends_a_phantom_through_whatever_the_certificate_of_the_node_names(
    settings: NodeSettings, certificates: Certificates, pacs: Pacs, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr("medical_image_synthesis.node.check.SPACING", 8.0)
    away = {**settings.destinations, "away": Archive("away", "PACS", "no such host", 104)}
    named = replace(certificates, key=certificates.certificate)
    with pytest.raises(ConfigError, match="tls: a file cannot be used"):
        check(replace(settings, tls=named))
    with pytest.raises(CasesFailedError, match="the check failed for away"):
        check(replace(settings, tls=certificates, destinations=away))
    said = capsys.readouterr().out
    assert "destination pacs: answers" in said
    assert "destination away: away: no host no such host" in said
    assert "was sent" in said
    assert set(pacs.series()) == {"simulated head"}
