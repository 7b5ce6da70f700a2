"""A study of MR and CT: sent by ``storescu`` and by Orthanc itself, translated, and back in Orthanc."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
import pytest
import returned_series as returned
from real_servers import Node, Orthanc, missing, send, storescu, until
from sent_series import Study, compressed, cylinder_ct, head_mr, noise_mr

import medical_image_synthesis as mis

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason=f"not installed: {', '.join(missing())}")]
ROUTES = [
    {"modality": "MR", "body_part": "HEAD", "description": "t2|noise", "bundle": "mr2ct", "to": "pacs",
     "refused": "image"},
    {"modality": "MR", "description": "silence", "bundle": "mr2ct", "to": "pacs"},
    {"modality": "CT", "description": "low dose", "bundle": "ldct", "to": "pacs"},
    {"modality": "CT", "description": "for the web", "bundle": "ldct", "to": "web"},
]  # fmt: skip
COMPRESSIONS = {"RLE": ("dcmcrle", "-xr"), "JPEG lossless": ("dcmcjpeg", "-xs"), "JPEG-LS": ("dcmcjpls", "-xt")}
"""Program of dcmtk, and the option of its ``storescu``."""
LONG = 300.0
"""Seconds for an MR of a head on two busy cores."""


class Sent(NamedTuple):
    """Orthanc, node, the study and the series that are in it, each with its folder."""

    orthanc: Orthanc
    node: Node
    study: Study
    series: dict[str, str]
    folders: Path

    def back(self, name: str, seconds: float = LONG) -> dict[str, Any]:
        """The synthetic series of the series of a name, once all its slices are there."""
        count = len(list((self.folders / name).iterdir()))

        def there() -> dict[str, Any] | None:
            for uid in returned.derived_of(self.orthanc).get(self.series[name], []):
                series = self.orthanc.series()[uid]
                if len(series["instances"]) == count:
                    return series
            return None

        return until(there, f"the synthetic series of {name}", seconds, lambda: self.node.log)


@pytest.fixture(scope="module")
def sent(started: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Sent:
    """A study whose CT was sent by ``storescu``, which sends it to Orthanc as a scanner does."""
    orthanc = started(Orthanc)
    node = started(Node, orthanc, ROUTES)
    orthanc.knows_node(node.port)
    study, folders = Study(), tmp_path_factory.mktemp("study")
    series = {"ct": study.write(folders / "ct", "CT", cylinder_ct(1), (1.5, 1.5, 3.0), "Head low dose")}
    for port, called in ((orthanc.dicom_port, "ORTHANC"), (node.port, "SYNTHESIZE")):
        send(port, folders / "ct", called=called)
    return Sent(orthanc, node, study, series, folders)


def require_result(sent: Sent, name: str, bundle: str, folder: Path, conformance_errors: Any, closest: float) -> None:
    """Hold all that is asked of a synthetic series in Orthanc, read by REST, QIDO-RS and WADO-RS.

    ``closest`` is by how many HU a voxel may differ from what the Python interface makes of the same series.
    """
    series = sent.back(name)
    files = returned.downloaded(sent.orthanc, series, folder)
    assert conformance_errors(folder) == []
    assert sent.orthanc.read(f"/instances/{series['instances'][0]}/preview").startswith(b"\x89PNG")
    (frame,) = {each.FrameOfReferenceUID for each in files}
    (study,) = {each.StudyInstanceUID for each in files}
    assert (study, frame) == (sent.study.uid, sent.study.frame)
    assert {each[returned.SYNTHETIC].value for each in files} == {"YES"}

    web = sent.orthanc.dicomweb()
    found = web.search_for_series(sent.study.uid, search_filters={"SeriesInstanceUID": series["SeriesInstanceUID"]})
    (number,) = (each["00201209"]["Value"][0] for each in found)
    assert int(number) == len(files)
    retrieved = web.retrieve_series(sent.study.uid, series["SeriesInstanceUID"])
    read = returned.volume(retrieved)
    made = mis.load(bundle, device="cpu")(sent.folders / name)
    expected = nib.as_closest_canonical(nib.Nifti1Image(made.array, made.affine))
    np.testing.assert_allclose(read.affine, expected.affine, atol=1e-4)
    assert np.abs(read.get_fdata() - expected.get_fdata()).max() <= closest
    written = returned.volume(returned.spooled(sent.node, series["SeriesInstanceUID"]))
    np.testing.assert_array_equal(read.get_fdata(), written.get_fdata())
    if made.verdict is not None:
        assert str(made.verdict) in files[0].SeriesDescription


def test_a_ct_sent_by_storescu_is_back_in_its_study(
    sent: Sent, tmp_path: Path, conformance_errors: Any, tell: Callable[[str], None]
) -> None:
    require_result(sent, "ct", "ldct", tmp_path / "ct", conformance_errors, 0)
    tell(f"CT {sent.back('ct')['SeriesDescription']!r}: conforms, found by QIDO-RS, HU by WADO-RS as written")


@pytest.mark.longest
def test_an_mr_forwarded_by_orthanc_is_back_as_ct(
    sent: Sent, tmp_path: Path, conformance_errors: Any, tell: Callable[[str], None]
) -> None:
    t2 = head_mr()
    uid = sent.series["mr"] = sent.study.write(sent.folders / "mr", "MR", t2, (2.5, 2.5, 2.5), "T2 tra")
    send(sent.orthanc.dicom_port, sent.folders / "mr", called="ORTHANC")
    answer = sent.orthanc.send("/modalities/NODE/store", [sent.orthanc.series()[uid]["id"]])
    assert (answer["InstancesCount"], answer["FailedInstancesCount"]) == (t2.shape[2], 0)
    require_result(sent, "mr", "mr2ct", tmp_path / "mr", conformance_errors, 1)
    tell(f"MR -> {sent.back('mr')['SeriesDescription']!r}: conforms, found by QIDO-RS, HU by WADO-RS as written")


@pytest.mark.longest
def test_a_result_by_stow_is_the_same_as_by_c_store(
    sent: Sent, tmp_path: Path, conformance_errors: Any, tell: Callable[[str], None]
) -> None:
    web = sent.study.write(sent.folders / "web", "CT", cylinder_ct(2), (1.5, 1.5, 3.0), "Head for the web")
    sent.series["web"] = web
    send(sent.orthanc.dicom_port, sent.folders / "web", called="ORTHANC")
    send(sent.node.port, sent.folders / "web")
    require_result(sent, "web", "ldct", tmp_path / "web", conformance_errors, 0)
    tell("CT by STOW-RS: the same")


@pytest.mark.longest
def test_a_compressed_series_has_the_result_of_the_plain_one(
    sent: Sent, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    plain = returned.volume(returned.downloaded(sent.orthanc, sent.back("ct"), tmp_path / "plain"))
    for name, (program, syntax) in COMPRESSIONS.items():
        sent.series[name] = compressed(sent.folders / "ct", program, sent.folders / name)
        assert storescu(sent.orthanc.dicom_port, sent.folders / name, called="ORTHANC", words=[syntax]) == 0
        assert storescu(sent.node.port, sent.folders / name, words=[syntax]) == 0
        made = returned.volume(returned.downloaded(sent.orthanc, sent.back(name), tmp_path / name))
        np.testing.assert_array_equal(made.get_fdata(), plain.get_fdata())
    tell(f"CT in {', '.join(COMPRESSIONS)}: the same HU")


@pytest.mark.longest
def test_a_refused_series_gives_a_page_that_says_why_or_nothing(
    sent: Sent, tmp_path: Path, conformance_errors: Any, tell: Callable[[str], None]
) -> None:
    before = sent.orthanc.series()
    for name in ("noise", "silence"):
        sent.series[name] = sent.study.write(sent.folders / name, "MR", noise_mr(), (4.0, 4.0, 4.0), name)
    send(sent.node.port, sent.folders / "silence", sent.folders / "noise")
    sent.node.reaches(LONG, refused=2)
    pages = [
        series
        for uid, series in sent.orthanc.series().items()
        if uid not in before and returned.headers(sent.orthanc, series)[0]["0008,0016"] == returned.SECONDARY_CAPTURE
    ]
    (series,) = pages
    (page,) = returned.downloaded(sent.orthanc, series, tmp_path / "page")
    assert conformance_errors(tmp_path / "page") == []
    assert page.StudyInstanceUID == sent.study.uid
    assert sent.orthanc.read(f"/instances/{series['instances'][0]}/preview").startswith(b"\x89PNG")
    tell(f"noise: one page in the study, {page.SeriesDescription!r}; without `refused: image` nothing")


@pytest.mark.longest
def test_the_check_of_the_command_comes_through_to_orthanc(sent: Sent, tell: Callable[[str], None]) -> None:
    before = sent.orthanc.series()
    lines = sent.node.check()
    for line in lines:
        tell(line)
    assert sum("answers" in line for line in lines) == 2
    assert sum("was sent" in line for line in lines) == len(ROUTES)
    descriptions = [each["SeriesDescription"] for uid, each in sent.orthanc.series().items() if uid not in before]
    assert sum("accept" in each for each in descriptions) == 2
    assert len(descriptions) == len(ROUTES)
