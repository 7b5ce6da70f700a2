"""The unrolled network and its input: consistency with the measured samples, size, start, files, simulations."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import in_process
import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
from bundle_commands import Bundle
from kspace_phantom import SHAPE, scanned, truth
from monai.apps.reconstruction.networks.nets.utils import sensitivity_map_expand, sensitivity_map_reduce
from monai.data import MetaTensor
from monai.transforms import Orientation
from mri_dagan.classical import tv_reconstruction
from mri_dagan.kspace_files import write_kspace
from mri_dagan.kspace_scan import channels_of
from mri_dagan.phantoms import write_dagan
from mri_dagan.reader import DataConsistencyd, KspaceReader, LoadKspaced
from mri_dagan.simulation import AnyUndersampling
from mri_dagan.unrolled import UnrolledNetwork, mask_of
from torch import Tensor, nn

from common.errors import VolumeError
from common.simulation.corruptions.kspace import to_kspace
from common.simulation.corruptions.masks import sampling_mask
from common.simulation.corruptions.undersampling import Undersampled
from common.simulation.head import head_anatomy
from common.simulation.mr import render_t1
from common.transforms import head_mask

BUNDLE = Bundle("mri_dagan")
KINDS = pytest.mark.parametrize("kind", ["cartesian", "radial"])


def trained(width: int = 2) -> UnrolledNetwork:
    """A network whose U-Nets change the image."""
    torch.manual_seed(0)
    network = UnrolledNetwork(2, width).eval()
    for cascade in network.cascades:
        nn.init.normal_(cascade.model.unet.final_conv.weight, std=0.5)
    return network


def given(kspace: np.ndarray, mask: np.ndarray) -> Tensor:
    """A slice (1, C, rows, columns) as the network takes it."""
    channels = channels_of(kspace[None] / 1000, mask)
    return torch.from_numpy(channels)[:, 0][None] * 2 - 1


def complex_(pairs: Tensor) -> np.ndarray:
    return torch.view_as_complex(pairs.detach().contiguous()).numpy()


def test_the_parameters_are_those_of_five_unets_and_their_weights() -> None:
    convolutions = [(2, 8), (8, 8), (8, 16), (16, 16), (16, 32), (32, 32), (32, 64), (64, 64), (64, 64), (64, 64)]
    convolutions += [(96, 64), (64, 64), (64, 32), (32, 32), (32, 16), (16, 16), (24, 8), (8, 8)]
    unet = sum(9 * a * b + b + 2 * b for a, b in convolutions)  # with biases, and scales and shifts of the norms
    unet += sum(4 * a * b + b for a, b in [(64, 32), (64, 32), (32, 16), (16, 16)]) + 8 * 2 + 2
    network = UnrolledNetwork()
    assert sum(value.numel() for value in network.parameters()) == 5 * (unet + 1) == 1_487_215


@pytest.mark.parametrize("coils", [1, 3])
@KINDS
def test_the_network_starts_as_the_zero_filled_image(coils: int, kind: str) -> None:
    mask = sampling_mask(kind, SHAPE, 3)
    x = given(scanned(coils, mask)[0], mask)
    made = UnrolledNetwork(2, 2)(x)
    assert made.shape == (1, 1, *SHAPE)
    if coils == 1:
        torch.testing.assert_close(made, x[:, :1], rtol=0, atol=1e-5)


@pytest.mark.parametrize("coils", [1, 3])
@KINDS
def test_measured_samples_stay_and_others_do_not(coils: int, kind: str) -> None:
    mask = sampling_mask(kind, SHAPE, 3)
    kspace, _ = scanned(coils, mask)
    made = complex_(trained().kspace(given(kspace, mask))[0])[0]
    np.testing.assert_allclose(made[:, mask], kspace[:, mask] / 1000, atol=1e-5)
    assert np.abs(made[:, ~mask]).max() > 0.1


def test_a_slice_without_mask_is_changed_everywhere_and_an_empty_one_stays_empty() -> None:
    network, x = trained(), torch.zeros(2, 5, *SHAPE)
    x[:, :2] = torch.from_numpy(truth() / 1000).float()
    x[1] = 0
    made = network(x * 2 - 1)
    assert (made[0] - (x[0, :1] * 2 - 1)).abs().max() > 0.1
    torch.testing.assert_close(made[1], torch.full((1, *SHAPE), -1.0), rtol=0, atol=1e-6)


def test_an_empty_slice_has_finite_slopes() -> None:
    network = trained()
    network(torch.full((1, 5, *SHAPE), -1.0)).sum().backward()
    assert all(torch.isfinite(value.grad).all() for value in network.parameters())


def test_the_restored_slice_has_the_brightness_of_the_slice() -> None:
    mask = sampling_mask("cartesian", SHAPE, 3)
    x, network = given(scanned(1, mask)[0], mask), trained()
    torch.testing.assert_close(network((x + 1) * 3 - 1) + 1, 3 * (network(x) + 1), rtol=0, atol=1e-4)


@pytest.mark.parametrize("coils", [1, 3])
def test_the_image_of_coils_is_the_adjoint_of_their_kspace(coils: int) -> None:
    mask = sampling_mask("cartesian", SHAPE, 3)
    _, sensitivities = trained().kspace(given(scanned(coils, mask)[0], mask))
    np.testing.assert_allclose((np.abs(complex_(sensitivities)) ** 2).sum(1), 1, atol=1e-4)
    image, kspace = torch.randn(1, 1, *SHAPE, 2), torch.randn(1, coils, *SHAPE, 2)
    there = np.vdot(complex_(sensitivity_map_expand(image, sensitivities)), complex_(kspace))
    back = np.vdot(complex_(image), complex_(sensitivity_map_reduce(kspace, sensitivities)))
    np.testing.assert_allclose(there, back, rtol=1e-4)


@pytest.mark.parametrize("shape", [(48, 40), (45, 39)])
@KINDS
def test_a_flipped_or_turned_slice_has_the_mask_of_its_own_kspace(shape: tuple[int, int], kind: str) -> None:
    mask = sampling_mask(kind, shape, 3)
    kspace = to_kspace(np.random.default_rng(0).random(shape)) * mask
    x = torch.from_numpy(channels_of(kspace[None, None], mask))[:, 0]
    for turned in (x, x.flip(1), x.flip(2), x.flip(1, 2), x.transpose(1, 2)):
        image, point = (torch.stack([turned[n], turned[n + 2]], -1)[None, None] for n in (1, 2))
        found, own = mask_of(point)[0, 0, ..., 0].numpy(), np.abs(to_kspace(complex_(image)[0, 0]))
        assert found.sum() == mask.sum()
        assert own[~found].max() < 1e-5 < own[found].min()


def test_files_of_kspace_have_phase_and_mask_whatever_their_axes(tmp_path: Path) -> None:
    """Phase and mask turn with the image: no sample lies outside the mask, in the axes that the network takes."""
    volume = np.random.default_rng(0).random((14, 18, 5)).astype(np.float32) + 1
    made = Undersampled("cartesian", 2.5).scan(volume, np.random.default_rng(0))
    affine = np.array([[0, 0, 2.0, -9], [-3, 0, 0, 30], [0, 4, 0, -20], [0, 0, 0, 1]])  # axes P, S, R
    write_kspace(tmp_path / "scan.h5", made, affine, 2)
    load = LoadKspaced("image", KspaceReader(), complex_input=True)
    loaded = load({"case": "one", "image": str(tmp_path / "scan.h5")})["image"]
    assert isinstance(loaded, MetaTensor)
    turned = Orientation("RAS", labels=None)(loaded)
    assert turned.shape == (5, 14, 18, 5)
    np.testing.assert_allclose(turned[0], made.volume, atol=1e-5)
    torch.testing.assert_close(torch.hypot(turned[1], turned[3]), turned[0], rtol=1e-4, atol=1e-4)
    image, point = (torch.stack([turned[n], turned[n + 2]], -1).movedim(2, 0)[:, None].as_tensor() for n in (1, 2))
    found = mask_of(point)[:, 0, ..., 0].numpy()
    assert (found.sum((1, 2)) == made.mask.sum()).all()
    assert np.abs(to_kspace(complex_(image)[:, 0]))[~found].max() < 1e-4

    pred = loaded[:1] * 2
    assert DataConsistencyd("pred")({"image": loaded, "pred": pred})["pred"] is pred, "the network did it"


def test_files_of_images_are_refused(tmp_path: Path) -> None:
    volume = np.random.default_rng(0).random((6, 7, 5)).astype(np.float32)
    nib.save(nib.Nifti1Image(volume, np.eye(4)), tmp_path / "mr.nii.gz")
    item = {"case": "one", "image": str(tmp_path / "mr.nii.gz")}
    with pytest.raises(VolumeError, match=r"^one \(mr.nii.gz\): the network takes k-space, not a magnitude image"):
        LoadKspaced("image", KspaceReader(), complex_input=True)(item)
    assert LoadKspaced("image", KspaceReader())(item)["image"].shape == (1, *volume.shape)


def test_demo_data_of_a_network_of_kspace_have_it_and_a_folder_of_such_files_is_inferred(tmp_path: Path) -> None:
    small = {"phantoms::cases": 4, "phantoms::spacing": 8.0, "demo_data": str(tmp_path / "demo")}
    lists = BUNDLE.parser("train", "demo", "unrolled", output_dir=str(tmp_path), **small).get_parsed_content("data")
    images = {item["case"]: Path(item["image"]) for items in lists.values() for item in items}
    assert [path.name for path in images.values()] == ["zero_filled.h5"] * 4
    write_dagan(tmp_path / "magnitudes", 4, 8.0)
    (tmp_path / "scans").mkdir()
    for case, path in images.items():
        rounded = nib.load(tmp_path / "magnitudes" / case / "zero_filled.nii.gz").get_fdata()
        np.testing.assert_allclose(KspaceReader().read(path, case).values, rounded, atol=0.51)
        shutil.copy(path, tmp_path / "scans" / f"{case}.h5")
    given = {"dataset_dir": str(tmp_path / "scans"), "predictions_dir": str(tmp_path / "out")}
    found = BUNDLE.parser("inference", "demo", **given).get_parsed_content("data")
    assert [Path(item["image"]).name for item in found] == [f"phantom_{number:03d}.h5" for number in range(4)]


@pytest.mark.parametrize(("plane", "axis"), [("axial", 2), ("sagittal", 0)])
def test_simulated_slices_have_masks_of_their_own(plane: str, axis: int) -> None:
    volume = np.random.default_rng(0).random((40, 40, 40)).astype(np.float32)
    way = AnyUndersampling(plane=plane, noise=(0, 0), complex_input=True)
    made = np.moveaxis(way(volume, [1, 1, 1], np.random.default_rng(3)), axis + 1, 1)
    assert made.shape == (5, 40, 40, 40)
    assert made.dtype == np.float32
    np.testing.assert_allclose(np.hypot(made[1], made[3]), made[0], atol=1e-5)
    points = torch.from_numpy(np.stack([made[2], made[4]], -1))[:, None]
    masks = mask_of(points)[:, 0, ..., 0].numpy()
    assert len(np.unique(masks.sum((1, 2)))) > 3, "accelerations differ"
    measured = to_kspace(made[1] + 1j * made[3])
    assert np.abs(measured)[~masks].max() < 1e-4


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a pretraining of two steps, resumed once."""
    folder = tmp_path_factory.mktemp("pretraining")
    heads = {"_target_": "common.simulation.simulate.AverageHeads", "spacings_mm": [8.0], "turn_probability": 0}
    small = {"num_workers": 0, "samples_per_epoch": 2, "val_interval": 1, "width": 2, "simulation::heads": heads}
    small |= {"train::dataset::samples_per_case": 2, "validate::dataset::cases": 1, "device": torch.device("cpu")}
    for more in ({"max_epochs": 1}, {"max_epochs": 2, "resume": True}):
        parser = BUNDLE.parser("train", "pretrain", "unrolled", output_dir=str(folder), **small, **more)
        parser.get_parsed_content("training")
    return folder / "pretraining"


def test_inference_and_evaluation_need_the_weights_alone(pretrained: Path, tmp_path: Path) -> None:
    assert len((pretrained / "log.csv").read_text().splitlines()) == 3
    anatomy = head_anatomy(3, 8.0)
    volume = render_t1(anatomy, np.random.default_rng(0))
    scan = Undersampled("cartesian", 2.5).scan(volume.astype(np.float32), np.random.default_rng(0))
    write_kspace(tmp_path / "scan.h5", scan, anatomy.affine, 2)
    item = {"case": "scan", "image": str(tmp_path / "scan.h5")}
    (tmp_path / "cases.json").write_text(json.dumps({"test": [item]}))
    given = {"weights": str(pretrained / "models" / "model.pt"), "datalist": str(tmp_path / "cases.json")}
    BUNDLE.parser(
        "inference", **given, predictions_dir=str(tmp_path / "out"), device=torch.device("cpu")
    ).get_parsed_content("inference")
    made = nib.load(tmp_path / "out" / "scan_synthetic_mr.nii.gz").get_fdata()
    assert made.shape == scan.volume.shape
    assert np.isfinite(made).all()
    network, state = UnrolledNetwork(width=2).eval(), torch.load(given["weights"])
    network.load_state_dict(state)
    brightness = np.percentile(scan.volume[head_mask(scan.volume, None, axial=2, case="scan")], 99.5)
    channels = KspaceReader().kspace(tmp_path / "scan.h5", "scan").channels() / brightness
    with torch.no_grad():
        expected = (
            (network(torch.from_numpy(channels).movedim(3, 0) * 2 - 1)[:, 0].movedim(0, 2).numpy() + 1) / 2 * brightness
        )
    np.testing.assert_allclose(made, expected, atol=1e-3 * brightness)

    nib.save(nib.Nifti1Image(volume.astype(np.float32), anatomy.affine), tmp_path / "mr.nii.gz")
    pair = {**item, "label": str(tmp_path / "mr.nii.gz")}
    (tmp_path / "cases.json").write_text(json.dumps({"training": [], "test": [pair]}))
    words = [str(tmp_path / "scan.h5"), "-o", str(tmp_path / "mr_of_scan.nii.gz"), "--weights", given["weights"]]
    assert in_process.synthesize("mri", *words).returncode == 0
    alone = nib.load(tmp_path / "mr_of_scan.nii.gz").get_fdata()
    np.testing.assert_allclose(alone, made, atol=1e-3 * brightness)

    places = {"output_dir": str(pretrained), "datalist": str(tmp_path / "cases.json"), "device": torch.device("cpu")}
    BUNDLE.parser("train", "evaluate", **places).get_parsed_content("evaluating")
    rows = pd.read_csv(pretrained / "evaluation" / "metrics.csv").set_index(["case", "method"])
    inside = head_mask(volume.astype(np.float32), None, axial=2, case="mr")
    sparse = KspaceReader().kspace(tmp_path / "scan.h5", "scan").reconstructed(tv_reconstruction)
    images = {"model": expected, "copy_input": scan.volume, "compressed_sensing": sparse}
    for method, image in images.items():
        error = np.abs(image - volume)[inside].mean()
        assert rows.loc[("scan", method), "mae"] == pytest.approx(error, rel=1e-3)
