"""Releases without Python: whose classes they name, and that stock MONAI makes of them what the bundles make."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import monai
import nibabel as nib
import numpy as np
import pytest
import torch
from packed_copies import monai_bundle, unpack

from common.errors import ConfigError
from common.stitching import PlaneInferer
from common.transforms import ScaleWindowd, StandardiseHeadd, ToUnitd
from tools.release.pack import __main__ as command
from tools.release.pack.release import pack, write_zip
from tools.release.python_free import networks
from tools.release.python_free.release import FOLDER, NETWORK, python_free, translates_volumes
from tools.release.verify import schema
from tools.repository import ROOT, bundle_names

SHIPPING = [name for name in bundle_names() if translates_volumes(ROOT, name)]
SCALES = {"ldct_wgan_vgg": 4000.0, "mr2ct_pix2pix": 3024.0, "pd2t2_dcgan_acm": 1.0}
"""HU of the window; the unit of the training targets."""


def head(shape: tuple[int, int, int]) -> np.ndarray:
    x, y, z = np.ogrid[tuple(slice(-1, 1, 1j * n) for n in shape)]
    inside = (x / 0.7) ** 2 + (y / 0.8) ** 2 + ((z + 0.4) / 1.1) ** 2 < 1
    texture = np.random.default_rng(0).uniform(0.6, 1, shape) * (1 + 0.5 * np.cos(9 * x) * np.cos(7 * y + z))
    return np.where(inside, 900 * texture, 20 * texture)


def leaves(value: Any) -> Iterator[tuple[str, Any]]:
    for key, part in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(part, dict | list):
            yield from leaves(part)
        else:
            yield str(key), part


@pytest.mark.parametrize("cval", [-1.0, None])
def test_slabs_are_those_of_the_bundles(cval: float | None) -> None:
    volume = torch.rand(1, 9, 13, 11) + 1
    for axis, plane in enumerate(("sagittal", "coronal", "axial")):
        network = torch.nn.Conv2d(3, 1, 5, padding=2)
        traced = torch.jit.trace(network, torch.rand(2, 3, 32, 32))
        found = torch.jit.script(networks.Slabs(traced, axis, 3, 4, 16, cval))(volume)
        inferer = PlaneInferer(plane, 3, batch_size=4, multiple_of=16, cval=cval, progress=False)
        torch.testing.assert_close(found[None], inferer(volume[None], network), atol=1e-5, rtol=0)


def test_intensities_are_those_of_the_bundles() -> None:
    scan = torch.from_numpy(head((24, 28, 20))).float()[None]
    model = torch.jit.script(networks.MrToCt(torch.nn.Identity(), [0.5, 99.5], [2.0, 2.0, 2.0]))
    expected = ScaleWindowd("image", percentiles=[0.5, 99.5])({"image": scan.clone()})["image"]
    torch.testing.assert_close(model(scan[None])[0, :1], expected, atol=1e-5, rtol=0)
    flat = torch.full_like(scan, 7.0)
    assert (model(flat[None])[0, 0] == -1).all()

    model = torch.jit.script(networks.Standardised(torch.nn.Identity(), [5.0, 2.0]))
    expected = StandardiseHeadd("image")({"image": scan.clone()})["image"]
    torch.testing.assert_close(model(scan[None])[0], expected * 2 + 5, atol=1e-5, rtol=0)


def test_units_are_those_of_the_bundles_and_air_is_outside() -> None:
    scaled = torch.linspace(-1.2, 1.2, 60).view(1, 3, 4, 5)
    unit = ToUnitd("pred", window=[-1024, 2000], points=[[-300, -0.75], [300, 0.55]], air=-1000)
    heights = [(x + 1) / 2 * 3024 - 1024 for x in unit.piecewise.even]
    model = torch.jit.script(networks.ToUnit(unit.piecewise.bent, heights, -1000.0, 3.0))
    made = model(torch.cat([scaled, torch.full_like(scaled, 3.0)]))
    torch.testing.assert_close(made, unit({"pred": scaled})["pred"].round(), atol=1e-2, rtol=0)
    assert (model(torch.cat([scaled, torch.full_like(scaled, 3.1)])) == -1000).all()


@pytest.mark.parametrize("bundle", SHIPPING)
def test_names_only_classes_of_monai_and_pytorch(bundle: str) -> None:
    files = python_free(ROOT, bundle)
    assert not [place for place in files if place.endswith((".py", ".pt"))]
    config = json.loads(files["configs/inference.json"])
    targets = {value for key, value in leaves(config) if key == "_target_"}
    known = (monai.transforms, monai.data, monai.inferers, monai.engines)
    assert [name for name in targets if not any(hasattr(module, name) for module in known)] == []
    assert config["imports"] == ["$import glob", "$import nibabel", "$import torch"]
    for word in ("common.", bundle + "."):
        assert word not in json.dumps(config)
    metadata = json.loads(files["configs/metadata.json"])
    assert list(schema.faults("metadata", metadata, "metadata_zoo", "")) == []
    info = json.loads(files["model_info.json"])
    held = {place: hashlib.sha256(data).hexdigest() for place, data in files.items() if place != "model_info.json"}
    assert info["sha256"] == held
    card = files["docs/README.md"].decode()
    assert "Not for clinical use" in card
    assert "verdicts" in card


def test_bundles_without_weights_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert sorted(SHIPPING) == sorted(SCALES)
    with pytest.raises(ConfigError, match="lesion_dcgan_aug has no weights: train it, or choose a bundle that ships"):
        python_free(ROOT, "lesion_dcgan_aug")
    assert command.main(["--python_free", "--zoo", "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err == "error: --python_free with --zoo or --overlay: omit one\n"


def test_the_command_packs_one(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert command.main(["mr2ct_pix2pix", "--python_free", "--out", str(tmp_path)]) == 0
    (path,) = map(Path, capsys.readouterr().out.split())
    assert path.parent == tmp_path / FOLDER
    assert str(ROOT).encode() not in path.read_bytes()
    network, _, extra = monai.bundle.load(
        "mr2ct_pix2pix", bundle_dir=unpack(path, tmp_path).parent, load_ts_module=True, device="cpu",
        config_files=("inference.json",),
    )  # fmt: skip
    assert isinstance(network, torch.jit.ScriptModule)
    assert json.loads(extra["inference.json"]) == json.loads(
        (tmp_path / "mr2ct_pix2pix" / "configs" / "inference.json").read_text()
    )
    assert (tmp_path / "mr2ct_pix2pix" / NETWORK).is_file()


@pytest.mark.slow
@pytest.mark.parametrize("bundle", SHIPPING)
def test_stock_monai_makes_what_the_bundle_makes(bundle: str, tmp_path: Path) -> None:
    """From a scan whose axes run left, posterior, superior, with other spacings than the network's."""
    affine = np.diag([-2.0, -2.0, 2.5, 1])
    (tmp_path / "scans").mkdir()
    scan = head((44, 50, 16)).astype(np.float32) - (1000 if bundle == "ldct_wgan_vgg" else 0)
    nib.save(nib.Nifti1Image(scan, affine), tmp_path / "scans" / "case.nii.gz")
    own = unpack(pack(ROOT, bundle, tmp_path / "dist"), tmp_path / "own")
    free = unpack(write_zip(python_free(ROOT, bundle), tmp_path / "dist" / FOLDER), tmp_path / "free")
    made = [
        monai_bundle(
            own, "run", "--config_file", "configs/inference.yaml", "--dataset_dir", str(tmp_path / "scans/case.nii.gz"),
            "--predictions_dir", str(tmp_path / "expected"), "--refuse", "false", "--output_dtype", "float32",
        ),
        monai_bundle(
            free, "run", "--config_file", "configs/inference.json", "--dataset_dir", str(tmp_path / "scans"),
            "--output_dir", str(tmp_path / "found"),
        ),
    ]  # fmt: skip
    assert [done.returncode for done in made] == [0, 0], [done.stderr[-2000:] for done in made]
    expected, found = (nib.load(next((tmp_path / name).glob("*.nii.gz"))) for name in ("expected", "found"))
    np.testing.assert_allclose(found.affine, expected.affine, atol=1e-4)
    assert found.header["descrip"] == expected.header["descrip"]
    assert found.header["xyzt_units"] == 2  # mm
    difference = abs(found.get_fdata() - expected.get_fdata())
    rounding = 0.0 if bundle == "pd2t2_dcgan_acm" else 0.5
    assert np.std(expected.get_fdata()) > 0.02 * SCALES[bundle]
    assert difference.max() <= 1e-3 * SCALES[bundle] + rounding
