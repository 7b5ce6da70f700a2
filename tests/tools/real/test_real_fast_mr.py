"""Fast MR on real MR: every patient is tested by networks of the others."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import torch

from common.weights.checkpoints import sha256
from common.weights.info import read_info, save
from tools.real import fast_mr
from tools.real.fast_mr import PATIENTS, TASKS, fold, main, pairs, scans


def test_each_patient_is_left_out_of_its_own_training(tmp_path) -> None:
    for held_out in PATIENTS:
        listed = fold(TASKS["thick"], tmp_path / "pairs", held_out, tmp_path / held_out / "cases.json")
        lists = json.loads(listed.read_text())
        assert [item["case"] for item in lists["test"]] == [held_out]
        assert {item["case"] for item in lists["training"]} == set(PATIENTS) - {held_out}
        assert lists["test"][0]["image"] == str(tmp_path / "pairs" / held_out / "thick.nii.gz")


def test_pairs_of_a_task_have_its_degradation_and_the_lesions(tmp_path) -> None:
    rng = np.random.default_rng(0)
    for name in PATIENTS:
        folder = tmp_path / "data" / "open_ms" / name
        folder.mkdir(parents=True)
        for file, values in (
            ("flair", rng.uniform(0, 100, (16, 16, 12))),
            ("lesions", np.eye(16)[..., None] > [0.0] * 12),
        ):
            nib.save(nib.Nifti1Image(values.astype(np.float32), np.eye(4)), folder / f"{file}.nii.gz")
    made = pairs(TASKS["thick"], scans(tmp_path / "data", tmp_path / "scans"), tmp_path / "pairs")
    assert sorted(path.name for path in made.iterdir()) == list(PATIENTS)
    thick, given = (nib.load(made / "patient07" / f"{name}.nii.gz").get_fdata() for name in ("thick", "mr"))
    assert np.abs(np.diff(thick, axis=2)).mean() < 0.3 * np.abs(np.diff(given, axis=2)).mean()
    assert nib.load(made / "patient07" / "lesion.nii.gz").get_fdata().sum() == 16 * 12
    before = (made / "patient07" / "mr.nii.gz").stat().st_mtime_ns
    assert pairs(TASKS["thick"], tmp_path / "scans", made) == made
    assert (made / "patient07" / "mr.nii.gz").stat().st_mtime_ns == before


def test_pretrained_weights_give_two_more_rows_of_undersampled_tasks(tmp_path, monkeypatch) -> None:
    weights = tmp_path / "pretrained.pt"
    save({"weight": torch.ones(1)}, weights, {"bundle": "mri_dagan", "settings": {}, "trained_on": {}})
    (tmp_path / "data" / "open_ms").mkdir(parents=True)
    monkeypatch.setattr(fast_mr, "WEIGHTS", weights)
    monkeypatch.setattr(fast_mr, "scans", lambda data, folder: folder)
    monkeypatch.setattr(fast_mr, "pairs", lambda task, given, folder: folder)
    rows = []

    def compared(words: list[str]) -> int:
        rows.append(words[words.index("--rows") + 1 : words.index("--options")])
        return 7  # a failure, after which nothing more is tried

    monkeypatch.setattr(fast_mr.compare, "main", compared)
    assert main(["--data", str(tmp_path / "data"), "--out", str(tmp_path), "--tasks", "8x"]) == 7
    assert main(["--data", str(tmp_path / "data"), "--out", str(tmp_path), "--tasks", "thick"]) == 7
    assert main(["--data", str(tmp_path / "data"), "--out", str(tmp_path), "--tasks", "4x", "--rows", "train"]) == 7
    assert rows == [["train", "no_adversarial", "fine_tuned"], ["train", "no_adversarial"], ["train", "fine_tuned"]]
    models = tmp_path / "8x" / PATIENTS[0] / "mri_dagan" / "seed_0" / "variants" / "simulated" / "models"
    assert read_info(models / "model.pt").sha256 == sha256(weights)
    assert not (tmp_path / "thick" / PATIENTS[0] / "mri_dagan").exists()


def test_without_the_scans_nothing_is_done(tmp_path, capsys) -> None:
    assert main(["--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    assert "skipped, since there are no scans" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()
