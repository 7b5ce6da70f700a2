"""A real CT of abdomen and pelvis through the contrast removal, trained on phantoms alone and for a few steps."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from bundle_commands import ROOT, ok

SCAN = ROOT.parent / "shared" / "data" / "totalsegmentator" / "example_ct.nii.gz"

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.skipif(not SCAN.is_file(), reason=f"no scan at {SCAN}")]


@pytest.mark.parametrize("bundle", ["cect2ct_rescyclegan"], indirect=True)
def test_geometry_is_kept_and_outside_the_window_only_air_around_the_body_changes(bundle, tiny_run, tmp_path):
    places = {"dataset_dir": SCAN, "output_dir": tiny_run, "predictions_dir": tmp_path}
    ok(bundle.run("inference", ["inference"], **places))
    source, made = nib.load(SCAN), nib.load(tmp_path / "example_ct_synthetic_ct.nii.gz")
    assert made.shape == source.shape
    assert np.array_equal(made.affine, source.affine)
    given, values = np.rint(source.get_fdata()), made.get_fdata()
    low, high = bundle.parser("inference").get_parsed_content("source_window")
    outside = (given < low) | (given > high)
    assert 0.2 < outside.mean() < 0.95
    changed = outside & (values != given)
    assert set(values[changed]) <= {-1000.0}, "the air around the body"
    assert given[changed].max(initial=low) <= low
    assert not np.array_equal(values, given)
