"""What metadata name is read as the zoo reads it; the commands that are run on a release. Nothing is installed."""

from __future__ import annotations

from pathlib import Path

import pytest
from packed_copies import Released, unpack

from tools.checks.environment import main, pins, pins_of, use


def test_versions_are_pinned_unless_they_have_an_operator() -> None:
    metadata = {
        "version": "0.1.0",
        "numpy_version": "2.2.6",
        "pytorch_version": "2.13.0",
        "required_packages_version": {"nibabel": "5.4.2", "scipy": ">=1.13,<1.18"},
        "optional_packages_version": {"pydicom": "3.0.2"},
    }
    assert pins(metadata) == ["torch==2.13.0", "numpy==2.2.6", "pydicom==3.0.2", "nibabel==5.4.2", "scipy>=1.13,<1.18"]


def test_a_release_names_what_its_bundle_names(released: Released) -> None:
    shared, lesion = (set(pins_of(released(bundle))) for bundle in ("mr2ct_pix2pix", "lesion_dcgan_aug"))
    assert {"monai==1.6.1", "numpy==2.2.6", "PyYAML==6.0.3"} <= shared
    assert lesion - shared == {"pillow==12.3.0"}


def test_released_weights_are_used_before_a_training_replaces_them(released: Released, tmp_path: Path) -> None:
    folder = unpack(released("pd2t2_dcgan_acm"), tmp_path)
    steps = dict(use(folder, Path("DATA")))
    assert list(steps) == ["inference, released weights", "training, one epoch", "inference, weights of this training"]
    assert steps["training, one epoch"][-2:] == ["--patch_size", "[16,16,16]"]
    (folder / "models" / "model.pt").unlink()
    assert list(dict(use(folder, Path("DATA")))) == list(steps)[1:]


def test_a_release_without_a_source_is_asked_for_samples(released: Released, tmp_path: Path) -> None:
    steps = dict(use(unpack(released("lesion_dcgan_aug"), tmp_path), Path("DATA")))
    assert steps["inference, released weights"][-2:] == ["--samples", "4"]
    assert "DATA" in steps["training, one epoch"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "error: no release zips in dist/: run make dist first"),
        (["dist/none.zip"], "error: no release zip dist/none.zip: run make dist first"),
    ],
)
def test_zips_are_demanded(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert capsys.readouterr().err.strip() == message
