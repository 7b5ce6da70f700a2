"""Folders of small images for reader studies, and readers with prescribed answers."""

import csv
import json
import re
from base64 import b64decode
from io import BytesIO

import nibabel as nib
import numpy as np
from PIL import Image

COLUMNS = ("study", "page", "reader", "position", "trial", "answer", "confidence", "seconds", "answered")
CLASSES = ("cyst", "hemangioma", "metastasis")


def save(path, values, affine=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values.astype(np.float32), np.diag([2.0, 2, 2, 1]) if affine is None else affine), path)
    return path


def head(number, shape=(14, 16, 12)):
    """Air of 0 around a box of 100 to 140, another one for every number."""
    values = np.zeros(shape)
    values[3:11, 3:13, 2:10] = 100 + np.random.default_rng(number).integers(0, 41, (8, 10, 8))
    return values


def write_heads(root, cases=6, shape=(14, 16, 12)):
    """Real heads ``case_0`` and on, and their synthetic images, 5 higher."""
    for k in range(cases):
        save(root / "real" / f"case_{k}.nii.gz", head(k, shape))
        save(root / "synthetic" / f"case_{k}_synthetic_ct.nii.gz", head(k, shape) + 5)
    return root / "real", root / "synthetic"


def patch(number, size=8):
    return np.random.default_rng(number).normal(50, 20, (size, size))


def write_patches(root, count=6, synthetic=6, classes=CLASSES, size=8):
    """Real patches by class, and stacks of synthetic ones with the JSON file of samples."""
    for c, name in enumerate(classes):
        for k in range(count):
            save(root / "real" / name / f"liver_{k}_{name}_1.nii.gz", patch(100 * c + k)[:, :, None])
        stack = np.stack([patch(1000 + 100 * c + k, size) for k in range(synthetic)], axis=2)
        save(root / "synthetic" / f"{name}_synthetic.nii.gz", stack, np.eye(4))
        about = {"SyntheticData": True, "Class": name, "Seeds": list(range(synthetic))}
        (root / "synthetic" / f"{name}_synthetic.json").write_text(json.dumps(about))
    return root / "real", root / "synthetic"


def page_data(page):
    """What the page's script reads, and the page without it."""
    text = page.read_text()
    data = re.search(r'<script type="application/json" id="study">(.*?)</script>', text, re.DOTALL)[1]
    return json.loads(data), text.replace(data, "")


def picture(address):
    """Bytes and grey levels of an image of the page."""
    png = b64decode(address.removeprefix("data:image/png;base64,"))
    return png, np.asarray(Image.open(BytesIO(png)))


def answers_csv(path, key, choose, reader="A", page=1, seconds=None, confidence=""):
    """Answers of a reader; ``choose`` takes trial and position, from 0, and returns the answer; A takes 2 s each."""
    seconds = seconds or (lambda k: 2.0 + (ord(reader[0]) - ord("A")) / 100)  # nobody is as fast as another one
    rows = [
        [key["study"], page, reader, k + 1, trial["trial"], choose(trial, k), confidence, seconds(k), ""]
        for k, trial in enumerate(key["pages"][page - 1])
    ]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    return path


def right(trial, k):
    return trial["answer"]


def wrong(choices):
    """The choice after the correct one."""
    return lambda trial, k: choices[(choices.index(trial["answer"]) + 1) % len(choices)]


def plain_key(count, choices=("left", "right"), cases=None, repeats=()):
    """Key of a two-alternative study of ``count`` trials on real and synthetic images, the answers taking turns."""

    def trial(number, name, repeat):
        answer = choices[number % len(choices)]
        case = f"case_{number if cases is None else number % cases}"
        images = [{"kind": "real", "class": "", "case": case, "slice": 0},
                  {"kind": "synthetic", "class": "", "case": "other", "slice": 0}]  # fmt: skip
        images = images if answer == choices[0] else images[::-1]
        return {"trial": name, "item": number, "answer": answer, "mirrored": False, "repeat": repeat, "images": images}

    trials = [trial(k, f"t{k}", False) for k in range(count)] + [trial(k, f"again{k}", True) for k in repeats]
    return {"study": "abc", "question": "Which image is real?", "choices": list(choices), "confidence": [],
            "design": "two-alternative", "about": "real", "pages": [trials]}  # fmt: skip
