"""The server of the app: choices, cases from upload to download, cancelled and failed ones, and what is left."""

from __future__ import annotations

import gzip
import io
import json
import signal
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import nibabel as nib
import numpy as np
import pydicom
import pytest
from starlette.testclient import TestClient

import medical_image_synthesis as mis
from common.simulation.mr_ct_pairs import write_mr2ct
from medical_image_synthesis.app import case_queue
from medical_image_synthesis.app.case_queue import CaseQueue, UploadedCase
from medical_image_synthesis.app.server import app_of
from medical_image_synthesis.worker_process import WorkerProcess

NAME = "Doe^Jane <img src=x onerror=alert(1)>.nii.gz"


@pytest.fixture(scope="module")
def mr(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantoms") / "data"
    write_mr2ct(folder, cases=1, spacing=8.0, seed=0)
    return next(folder.glob("*/mr.nii.gz"))


@pytest.fixture
def server() -> Iterator[TestClient]:
    queue = CaseQueue()
    app = app_of(queue, "t", 8000, most_bytes=10**8)
    with TestClient(app, base_url="http://127.0.0.1:8000", headers={"Authorization": "Bearer t"}) as client:
        client.root, client.queue = queue.root, queue  # type: ignore[attr-defined]
        yield client
    assert not queue.root.exists()


def post(server: TestClient, path: Path, name: str = NAME, **choices: str) -> Any:
    with path.open("rb") as file:
        return server.post("/cases", files={"file": (name, file)}, data={"bundle": "mr2ct", **choices})


def ended(server: TestClient, case_id: str) -> dict[str, Any]:
    """The last state of a case, as the events have it."""
    with server.stream("GET", f"/cases/{case_id}/events") as events:
        states = [json.loads(line[6:]) for line in events.iter_lines() if line.startswith("data: ")]
    assert states[-1]["status"] in case_queue.ENDED
    return dict(states[-1])


def test_a_volume_of_freesurfer_is_shown_where_it_lies(server: TestClient, mr: Path, tmp_path: Path) -> None:
    """MGZ, which the viewer is given as NIfTI: values and scanner coordinates of the file."""
    image = nib.load(mr)
    nib.save(nib.MGHImage(np.asarray(image.get_fdata(), np.float32), image.affine), tmp_path / "T1.mgz")
    case = post(server, tmp_path / "T1.mgz", "T1.mgz", refuse="false", device="cpu").json()
    state = ended(server, case["id"])
    assert (state["status"], state["volumes"]) == ("done", ["source", "synthetic"])
    answer = server.get(f"/cases/{case['id']}/volumes/source.nii.gz")
    shown = nib.Nifti1Image.from_bytes(gzip.decompress(answer.content))
    np.testing.assert_allclose(shown.affine, image.affine, atol=1e-5)
    np.testing.assert_allclose(shown.get_fdata(), image.get_fdata(), rtol=1e-6)


def test_a_volume_goes_in_and_a_synthetic_one_comes_out(
    server: TestClient, mr: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    answer = post(server, mr, refuse="false", device="cpu")
    assert answer.status_code == 201
    case = answer.json()
    assert case["name"] == NAME
    assert "Doe" not in case["id"]
    state = ended(server, case["id"])
    assert (state["status"], state["unit"], state["volumes"]) == ("done", "HU", ["source", "synthetic"])
    assert state["quality"]["verdict"] in ("accept", "review", "refuse")
    assert state["results"] == ["json", "nifti"]
    result = server.get(f"/cases/{case['id']}/result")
    name = unquote(result.headers["content-disposition"])
    assert name == "attachment; filename*=utf-8''" + NAME.replace(".nii.gz", "_synthetic_ct.nii.gz")
    synthetic = nib.Nifti1Image.from_bytes(gzip.decompress(result.content))
    source = nib.load(mr)
    assert np.array_equal(synthetic.affine, source.affine)
    assert synthetic.shape == source.shape
    assert -1024 <= np.asarray(synthetic.dataobj).min() < -900
    about = server.get(f"/cases/{case['id']}/result?format=json").json()
    assert about["SyntheticData"] is about["NotForClinicalUse"] is True
    assert server.get(f"/cases/{case['id']}/volumes/source.nii.gz").content == mr.read_bytes()
    missing = server.get(f"/cases/{case['id']}/result?format=dicom")
    assert (missing.status_code, missing.json()["detail"]) == (
        404,
        "the case has no result as dicom; there is: json, nifti",
    )
    assert server.delete(f"/cases/{case['id']}").status_code == 204
    assert list(server.root.iterdir()) == []  # type: ignore[attr-defined]
    assert "Doe" not in "".join(capfd.readouterr())


SERIES = Path(__file__).resolve().parents[4] / "shared" / "data" / "dicom" / "mr_t2_axial.zip"


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.skipif(not SERIES.is_file(), reason=f"no series at {SERIES}")
def test_a_zip_of_dicom_becomes_a_zip_of_dicom_that_is_shown_as_nifti(server: TestClient) -> None:
    with SERIES.open("rb") as file:
        case = server.post("/cases", files={"file": ("series.zip", file)}).json()
    assert (case["status"], case["volumes"], case["bundle"]) == ("ready", ["source"], None)
    before = server.get(f"/cases/{case['id']}/volumes/source.nii.gz").content
    given = {"bundle": "mr2ct", "settings": "--resample_tilt=true"}
    assert server.post(f"/cases/{case['id']}/start", data=given).json()["bundle"] == "mr2ct"
    again = server.post(f"/cases/{case['id']}/start", data=given)
    assert (again.status_code, again.json()["detail"].endswith("not ready")) == (409, True)
    state = ended(server, case["id"])
    assert (state["status"], state["results"], state["message"]) == ("done", ["dicom", "json", "nifti"], "")
    assert state["volumes"] == ["source", "synthetic"]
    assert server.get(f"/cases/{case['id']}/volumes/source.nii.gz").content == before
    result = server.get(f"/cases/{case['id']}/result?format=dicom")
    assert result.headers["content-disposition"] == 'attachment; filename="series_synthetic_ct.zip"'
    with zipfile.ZipFile(io.BytesIO(result.content)) as archive:
        slices = [pydicom.dcmread(io.BytesIO(archive.read(name))) for name in archive.namelist()]
    assert len(slices) == 56
    assert {each.Modality for each in slices} == {"CT"}
    shown = [
        nib.Nifti1Image.from_bytes(gzip.decompress(server.get(f"/cases/{case['id']}/volumes/{name}.nii.gz").content))
        for name in ("source", "synthetic")
    ]
    assert shown[0].shape == shown[1].shape == (384, 512, 56)
    assert np.allclose(shown[0].affine, shown[1].affine, atol=1e-3)


@pytest.mark.slow
def test_a_failed_case_says_why_and_the_next_goes_on(server: TestClient, mr: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(mr.read_bytes()[:2000])
    first, second = post(server, broken).json(), post(server, mr, refuse="false").json()
    failed = ended(server, first["id"])
    assert failed["status"] == "failed"
    assert "scan" in failed["message"]
    assert str(server.root) not in failed["message"]  # type: ignore[attr-defined]
    assert "\n" not in failed["message"]
    state = ended(server, second["id"])
    assert (state["status"], state["message"]) == ("done", "")


def answered(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Let the worker answer each inference with a JSON file of this text alone."""

    def ask(queue: CaseQueue, worker: WorkerProcess, case: UploadedCase, job: str, **_: Any) -> Path:
        (case.folder / "scan_synthetic_ct.json").write_text(text)
        return case.folder / "scan_synthetic_ct.json"

    monkeypatch.setattr(CaseQueue, "_ask", ask)


def test_a_case_whose_record_cannot_be_read_fails_and_the_next_goes_on(
    server: TestClient, mr: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered(monkeypatch, "{")
    for _ in range(2):
        state = ended(server, post(server, mr).json()["id"])
        assert (state["status"], state["message"] != "") == ("failed", True)


def test_a_refused_case_has_its_verdict_and_json_alone(
    server: TestClient, mr: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quality = {"verdict": "refuse", "reasons": ["the head is tilted"]}
    answered(monkeypatch, json.dumps({"Unit": "HU", "Warnings": ["it is cut"], "Quality": quality}))
    state = ended(server, post(server, mr).json()["id"])
    assert (state["status"], state["message"], state["results"], state["volumes"]) == ("refused", "", ["json"], [])
    assert (state["quality"], state["warnings"]) == (quality, ["it is cut"])


def test_two_cases_of_a_bundle_share_a_process_and_are_those_of_python(server: TestClient, mr: Path) -> None:
    workers, made = [], []
    for _ in range(2):
        case = post(server, mr, refuse="false", device="cpu", settings="output_dtype float32").json()["id"]
        assert ended(server, case)["message"] == ""
        workers.append(server.queue._inference._process.pid)  # type: ignore[attr-defined]
        result = gzip.decompress(server.get(f"/cases/{case}/result").content)
        made.append(np.asarray(nib.Nifti1Image.from_bytes(result).dataobj))
    assert workers[0] == workers[1]
    model = mis.load("mr2ct", device="cpu", refuse=False, output_dtype="float32")
    expected = model(mr).array
    assert [np.array_equal(each, expected) for each in made] == [True, True]


def test_a_running_case_is_cancelled_and_leaves_no_process(server: TestClient, mr: Path) -> None:
    running, waiting = post(server, mr).json(), post(server, mr).json()
    deadline = time.monotonic() + 60
    while server.get(f"/cases/{running['id']}").json()["status"] != "running":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    for case in (waiting, running):
        assert server.post(f"/cases/{case['id']}/cancel").json()["status"] == "cancelled"
    process = server.queue._inference._process  # type: ignore[attr-defined]
    assert process is None or process.poll() == -signal.SIGKILL
    assert [ended(server, case["id"])["results"] for case in (running, waiting)] == [[], []]
    assert server.post("/cases/none/cancel").status_code == 404


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"bundle": "nothing"}, "no bundle 'nothing': choose brain3d"),
        ({"bundle": "cect2ct"}, "cect2ct_rescyclegan cannot be used here: no weights, train first"),
        ({"device": "file:///etc"}, "device is 'file:///etc': choose auto"),
        ({"device": "cuda:99"}, "device is 'cuda:99': choose auto"),
        ({"uncertainty": "maybe"}, "uncertainty is 'maybe': choose true or false"),
        ({"settings": "weights /etc/passwd"}, "the setting weights cannot be given here: choose accept_modality"),
        ({"settings": "phase"}, "the setting phase has no value: write it after the name"),
    ],
)
def test_choices_that_are_not_to_be_had_store_nothing(
    server: TestClient, mr: Path, choices: dict[str, str], said: str
) -> None:
    answer = post(server, mr, **choices)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(said)
    assert (server.get("/cases").json(), list(server.root.iterdir())) == ([], [])  # type: ignore[attr-defined]


def test_an_upload_without_room_is_refused(server: TestClient, mr: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medical_image_synthesis.app.server.has_room", lambda folder, size: False)
    assert post(server, mr).status_code == 507

    def full(*_: object) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("medical_image_synthesis.app.server.has_room", lambda folder, size: True)
    monkeypatch.setattr("medical_image_synthesis.app.server.stored", full)
    answer = post(server, mr)
    assert (answer.status_code, answer.json()["detail"]) == (507, "the disk of the server is full")
    assert list(server.root.iterdir()) == []  # type: ignore[attr-defined]


def test_folders_of_a_killed_server_are_removed_by_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    left = tmp_path / "synthesize-app-x"
    left.mkdir()
    (left / "scan.nii.gz").touch()
    running, other = CaseQueue(), CaseQueue()
    assert set(tmp_path.iterdir()) == {running.root, other.root}
    for queue in (running, other):
        queue.close()
    assert list(tmp_path.iterdir()) == []
