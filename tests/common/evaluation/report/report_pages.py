"""Reports of small volumes, and what their pages hold."""

import json
import re

import numpy as np

from common.evaluation.report import ExtraImage, Panel, Report, summarise, write_report

LOG = "epoch,generator_l1,val_mae,val_ssim\n1,3.0,,\n2,2.0,50.0,0.7\n3,1.5,,\n4,1.4,55.0,0.8\n"


def make_rows(cases=7):
    random = np.random.default_rng(1)
    return [
        {"case": f"case_{index}", "method": method, "mae": base + random.random(), "psnr": 30 - base / 10,
         "ssim": 0.8 + random.random() / 10, "sharpness": 0.7, "contrast": 1.2, "mae_bone": 2 * base}
        for index in range(cases)
        for method, base in (("model", 40.0), ("copy_input", 90.0))
    ]  # fmt: skip


def make_panel(case="case_0", method="model"):
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, n) for n in (24, 28, 20)], indexing="ij")
    truth = np.where(x**2 + y**2 + z**2 < 0.8, 40.0, -1000.0)
    return Panel(
        case=case, method=method, source=truth + 1000, synthetic=truth + 10 * x, truth=truth, mask=truth > 0,
        extras=[ExtraImage("Residual", x, "HU")], spacing=(1.0, 1.0, 2.0), source_unit="a.u.", unit="HU",
        window=(-160, 240),
    )  # fmt: skip


def make_report(tmp_path, **changes):
    (tmp_path / "log.csv").write_text(LOG)
    rows = changes.pop("rows", make_rows())
    fields = {
        "title": "MR to CT", "bundle": "mr2ct_pix2pix", "version": "0.1.0", "unit": "HU", "value_range": (-1024, 3000),
        "mask_description": "head, from the CT", "rows": rows, "summary": summarise(rows), "panels": [make_panel()],
        "log_csv": tmp_path / "log.csv", "settings": {"losses": {"l1": {"weight": 100}}, "window_hu": [-600, 1400]},
        "versions": {"torch": "2.6.0"}, "notes": ["Weights sha256 " + 64 * "f"],
    }  # fmt: skip
    return Report(**(fields | changes))


def written(tmp_path, **changes):
    write_report(tmp_path / "report.html", make_report(tmp_path, **changes))
    return (tmp_path / "report.html").read_text(encoding="utf-8")


def viewer_of(page):
    """What the script of a page reads."""
    return json.loads(re.search(r'id="viewer-data">(.*?)</script>', page, re.DOTALL)[1])
