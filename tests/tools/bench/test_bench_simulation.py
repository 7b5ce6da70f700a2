"""The benchmark of simulated samples at toy size."""

from __future__ import annotations

from pathlib import Path

import label_maps
import pytest

from tools.bench import simulation

TOY = {
    "width": 4, "depth": 4, "crop_size": 32, "pad_size": 32, "batch_size": 2, "phantoms::cases": 3,
    "phantoms::spacing": 5, "validate::dataset::cases": 1, "train::dataset::samples_per_case": 4,
}  # fmt: skip
HEADS = {"_target_": "common.simulation.label_heads.heads_of", "label_maps": "@label_maps", "spacings_mm": [8.0]}


def test_every_bundle_with_a_pretraining_is_measured() -> None:
    assert {"cect2ct_rescyclegan", "mr2ct_pix2pix", "pd2t2_dcgan_acm"} <= set(simulation.BUNDLES)
    assert "lesion_dcgan_aug" not in simulation.BUNDLES


@pytest.mark.parametrize("maps", [False, True])
def test_a_row_has_the_seconds_of_one_sample(tmp_path: Path, maps: bool) -> None:
    """A case is drawn for every four samples."""
    folder = label_maps.write(tmp_path / "maps", count=4) if maps else None
    row = simulation.samples_of("mr2ct_pix2pix", tmp_path, folder, 1, 1, **TOY, **{"simulation::heads": HEADS})
    assert row.before is not None
    assert row.after is not None
    case = float(row.note.split("takes ")[1].split()[0])
    assert row.after == pytest.approx(case / 4, rel=0.06)
    assert ("label maps" in row.case) is maps
