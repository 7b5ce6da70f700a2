"""``--show_config true`` prints what would run, and each value with where it comes from; nothing is built."""

from __future__ import annotations

from pathlib import Path

import yaml
from bundle_commands import Bundle, ok

from common.config import read_config

ONE = Bundle("mr2ct_pix2pix")


def printed(out: str) -> tuple[dict, list[str]]:
    """The document behind the lines that are logged, and its lines."""
    lines = out.splitlines()
    lines = lines[next(number for number, line in enumerate(lines) if line.startswith("bundle_root:")) :]
    return yaml.safe_load("\n".join(lines)), [line.strip() for line in lines]


def test_an_inference_with_shipped_weights(tmp_path: Path) -> None:
    done = ok(ONE.run("inference", ["inference"], cwd=tmp_path, show_config="true", spacing=[2, 2, 2], report="true"))
    config, lines = printed(done.stdout)
    assert config["network_def"]["_target_"] == "monai.networks.nets.BasicUNet", "that of the weights, not the file's"
    assert "report: true  # option" in lines
    assert "spacing: [2, 2, 2]  # option" in lines
    assert "_target_: monai.networks.nets.BasicUNet  # weights" in lines
    assert "target_window: [-1024, 2000]  # weights" in lines
    assert "output_format: nifti" in lines, "the file's own has no comment"
    assert "spacing: [2, 2, 2] is used, but" in done.stdout, "warnings are as in the command"
    assert list(tmp_path.iterdir()) == []
    expected = read_config(ONE.files("inference"), spacing=[2, 2, 2], report=True)
    assert config == {key: expected[key] for key in config}


def test_a_training_with_an_overlay_and_any_run_id(tmp_path: Path) -> None:
    overlay = tmp_path / "mine.yaml"
    overlay.write_text("depth: 3\noptimizer::lr: 1.0e-3\n")
    done = ok(ONE.run("training", ["train", "demo", str(overlay)], cwd=tmp_path, show_config="true", clip_norm=1.5))
    config, lines = printed(done.stdout)
    assert "depth: 3  # overlay mine.yaml" in lines
    assert "width: 16  # overlay demo.yaml" in lines
    assert "lr: 0.001  # overlay mine.yaml" in lines
    assert "clip_norm: 1.5  # option" in lines
    assert config["optimizer"]["lr"] == 1.0e-3
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]
