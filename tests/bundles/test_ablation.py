"""The published variants side by side: which ones ``make ablation`` trains, and that it prints them as one table."""

from __future__ import annotations

import json
import re
import subprocess

import forked_commands
import pandas as pd
import pytest
from bundle_commands import Bundle

from tools import ablation

PUBLISHED = {
    "mri2pet_sketcher_refiner": {
        "no_adversarial": 2, "sketcher": 1, "sketcher_weighted": 1, "unet": 1, "unet_weighted": 1, "voxel_mlp": 1,
    },
    "pd2t2_dcgan_acm": {"adv": 1, "adv_gdl": 1, "no_adversarial": 2, "resgan": 1},
}  # fmt: skip
"""The variants of each bundle beside its default, with the stages that each one trains."""
SHORT = {
    "phantoms::cases": 4, "phantoms::spacing": 5, "samples_per_epoch": 4, "batch_size": 2, "patch_size": [16, 16, 16],
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_rows_are_trained(name: str) -> None:
    assert ablation.variants_of(name) == sorted(PUBLISHED[name])


def test_the_default_is_not_trained_twice() -> None:
    for name, default in {"pd2t2_dcgan_acm": "resgan_acm", "mri2pet_sketcher_refiner": "refiner"}.items():
        assert default in Bundle(name).variants
        assert default not in ablation.variants_of(name)


def test_other_overlays_are_no_variants() -> None:
    found = {name: ablation.variants_of(name) for name in ("mr2ct_pix2pix", "cect2ct_rescyclegan")}
    assert all("no_adversarial" in names for names in found.values())
    others = {"demo", "evaluate", "inference", "multi_gpu_train", "train"}
    assert not others.intersection(*found.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pd2t2_dcgan_acm"])
def test_one_command_trains_all_and_prints_one_table(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, tmp_path
) -> None:
    """One epoch a stage of two steps, on four small phantoms; a row and a column's name for every variant.

    The commands that it starts are forked, as a user's would not be.
    """
    bundle, variants = Bundle(name), PUBLISHED[name]
    places = {"output_dir": tmp_path / "out", "demo_data": tmp_path / "data"}
    words = [str(word) for key, value in {**SHORT, **places}.items() for word in (f"--{key}", value)]

    def forked(step: list[str], cwd: str, check: bool) -> subprocess.CompletedProcess[str]:
        done = forked_commands.run(step, cwd, bundle.environment(), timeout=300)
        print(done.stdout, done.stderr[-3000:] if done.returncode else "")
        return done

    monkeypatch.setattr("tools.demo.subprocess.run", forked)
    assert ablation.main(name, "--short", *words) == 0, capsys.readouterr().out[-3000:]
    monkeypatch.undo()
    printed = capsys.readouterr().out

    summary = json.loads((tmp_path / "out" / "evaluation" / "summary.json").read_text())
    assert summary.keys() == {"model", bundle.baseline, *variants}
    errors = [scores["mae"]["mean"] for scores in summary.values()]  # an adversary changes little in two steps
    assert len(set(errors)) == len(errors), "each row is of another network"
    for variant, stages in {**variants, "": bundle.stages}.items():
        folder = tmp_path / "out" / "variants" / variant if variant else tmp_path / "out"
        assert pd.read_csv(folder / "log.csv")["stage"].tolist() == list(range(1, stages + 1)), variant
    table = printed[printed.index("held-out cases") :]
    for row in summary:
        assert re.search(rf"^\W*{row}\b.*\d", table, re.MULTILINE), row
    assert re.search(rf"^ablation of {name}, {len(variants) + 1} trainings: \d+ s$", printed, re.MULTILINE)
