"""Fast MR in the grey scale of its source, and simulated pairs."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from bundle_commands import Bundle
from mri_dagan.phantoms import write_dagan
from mri_dagan.simulation import AnyUndersampling

from common.simulation.corruptions.undersampling import Undersampled

BUNDLE = Bundle("mri_dagan")


def test_seven_times_the_input_gives_seven_times_the_output(tmp_path: Path) -> None:
    write_dagan(tmp_path / "heads", 1, 5.0, 7)
    small = {"depth": 2, "width": 4, "device": torch.device("cpu")}
    parser = BUNDLE.parser("inference", "demo", **small)
    network = parser.get_parsed_content("network").eval()
    torch.manual_seed(0)
    torch.nn.init.normal_(network.unet.decoder[-1][1].weight, std=0.1)
    prepare, restore = (parser.get_parsed_content(name) for name in ("preprocessing", "postprocessing"))
    source = nib.load(tmp_path / "heads" / "phantom_000" / "zero_filled.nii.gz")
    made = []
    for factor in (1, 7):
        path = tmp_path / f"{factor}.nii.gz"
        nib.save(nib.Nifti1Image(source.get_fdata(dtype=np.float32) * factor, source.affine), path)
        item = prepare({"case": "a", "image": str(path)})
        item["pred"] = parser.get_parsed_content("inferer")(item["image"][None], network)[0]
        made.append(np.asarray(restore(item)["pred"])[0])
    assert np.abs(made[0] - source.get_fdata()).max() > 1, "the network changes the source"
    np.testing.assert_allclose(made[1], 7 * made[0], rtol=1e-4, atol=1e-2)


def test_an_acceleration_and_noise_of_one_value_are_those_of_plain_undersampling() -> None:
    """After the three numbers that are drawn: kind of mask, acceleration, noise."""
    volume = np.random.default_rng(0).random((40, 24, 3)).astype(np.float32)
    made = AnyUndersampling(("equispaced",), (4, 4), (0.01, 0.01))(volume, [1, 1, 1], np.random.default_rng(5))
    rng = np.random.default_rng(5)
    rng.choice(["equispaced"])
    rng.random(2)
    np.testing.assert_array_equal(made, Undersampled("equispaced", 4, noise=0.01)(volume, [1, 1, 1], rng))
