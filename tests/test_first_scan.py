"""The first run: its commands on its scan, where that is at hand, give what the page says."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import shutil
from pathlib import Path

import in_process
import nibabel as nib
import numpy as np
import pytest

from tools.repository import ROOT

PAGE = (ROOT / "docs" / "getting-started" / "first-run.md").read_text()
SCAN = ROOT.parent / "shared" / "data" / "spm_templates" / "t2.nii"

pytestmark = [
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.skipif(not SCAN.is_file(), reason=f"no scan at {SCAN}"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the page's commands on the one scan were run."""
    place = tmp_path_factory.mktemp("first_scan")
    shutil.copy(SCAN, place / "t2.nii")
    for line in re.findall(r"^synthesize (\w+ t2\.nii .*)$", PAGE, flags=re.MULTILINE):
        done = in_process.synthesize(*shlex.split(line), cwd=place)
        if "wrong" in line:
            assert (done.returncode, list(place.glob("wrong*"))) == (1, [])
            assert f"`{done.stderr.splitlines()[-1]}`" in PAGE
        else:
            assert done.returncode == 0, done.stderr[-3000:]
    return place


def test_the_scan_is_that_of_the_page() -> None:
    assert hashlib.sha256(SCAN.read_bytes()).hexdigest() in PAGE


def test_what_it_says_of_itself_is_what_the_page_shows(folder: Path) -> None:
    (shown,) = re.findall(r"^```json\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    told, expected = (json.loads(text) for text in ((folder / "ct.json").read_text(), shown))
    quality, page = told.pop("Quality"), expected.pop("Quality")
    made, shown_made = told.pop("MadeFrom"), expected.pop("MadeFrom")
    assert (made.keys(), made["SourceSha256"]) == (shown_made.keys(), shown_made["SourceSha256"])  # others change
    assert told == expected
    quality["reasons"], page["reasons"] = (re.sub(r"[\d.]+", "", str(each.pop("reasons"))) for each in (quality, page))
    assert quality == page


def test_the_volume_lies_on_the_scan(folder: Path) -> None:
    made, source = (nib.nifti1.load(folder / name) for name in ("ct.nii.gz", "t2.nii"))
    assert made.shape == source.shape
    np.testing.assert_allclose(made.affine, source.affine)
    assert made.header["descrip"].item().decode() in PAGE
    brain = np.asarray(made.dataobj)[40:50, 50:60, 40:50]
    assert 10 < np.median(brain) < 45
