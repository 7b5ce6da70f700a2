"""Folders of small images for reader studies, and readers with prescribed answers."""

import nibabel as nib
import numpy as np
import pandas as pd

CLASSES = ("cyst", "hemangioma", "metastasis")
AFFINE = np.diag([2.0, 2, 2, 1])


def save(path, values, affine=AFFINE):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values.astype(np.float32), affine), path)


def head(number):
    """Air of 0 around a box of 100 to 140, another one for every number."""
    values = np.zeros((14, 16, 12))
    values[3:11, 3:13, 2:10] = 100 + np.random.default_rng(number).integers(0, 41, (8, 10, 8))
    return values


def write_heads(root, cases=6):
    """Real heads ``case_0`` and on, and their synthetic images, 5 higher."""
    for k in range(cases):
        save(root / "real" / f"case_{k}.nii.gz", head(k))
        save(root / "synthetic" / f"case_{k}_synthetic_ct.nii.gz", head(k) + 5)
    return root / "real", root / "synthetic"


def write_patches(root, real=4, synthetic=9, size=8):
    """Real patches by class, and stacks of synthetic ones with the JSON file of samples."""
    rng = np.random.default_rng(0)
    for name in CLASSES:
        for k in range(real):
            save(root / "real" / name / f"liver_{k}.nii.gz", rng.normal(50, 20, (8, 8, 1)))
        save(root / "synthetic" / f"{name}_synthetic.nii.gz", rng.normal(50, 20, (size, size, synthetic)), np.eye(4))
        (root / "synthetic" / f"{name}_synthetic.json").write_text(f'{{"Class": "{name}", "Seeds": [1, 2]}}')
    return root / "real", root / "synthetic"


def answers_csv(path, key, choose, reader="A"):
    """Answers of a reader, in 0 s, 1 s and so on; ``choose`` takes trial and place, from 0, and returns the answer."""
    rows = [[key["study"], reader, k + 1, choose(trial, k), float(k)] for k, trial in enumerate(key["trials"])]
    pd.DataFrame(rows, columns=["study", "reader", "position", "answer", "seconds"]).to_csv(path, index=False)
    return path


def right(trial, k):
    return trial["answer"]
