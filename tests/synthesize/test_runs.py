"""``synthesize train``, ``evaluate``, ``calibrate`` and ``config``: the run of a bundle that each becomes."""

from __future__ import annotations

from pathlib import Path

import in_process
import pytest

from common.config.files import files_of, read_file
from medical_image_synthesis import runs
from medical_image_synthesis.catalogue import Bundle
from medical_image_synthesis.command import main
from medical_image_synthesis.configured import fitting
from tools.repository import ROOT

CONFIGS = ROOT / "bundles" / "mr2ct_pix2pix" / "configs"


@pytest.fixture
def became(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[object, ...]]:
    """What the process would have become, where O is the folder of a run."""
    (tmp_path / "O").mkdir()
    monkeypatch.chdir(tmp_path)
    found: list[tuple[object, ...]] = []

    def note(bundle: Bundle, run_id: str, files: list[str], options: dict[str, str], _: bool) -> int:
        found.append((bundle.name, run_id, [Path(file) for file in files], options))
        return 0

    monkeypatch.setattr(runs, "become_bundle", note)
    return found


@pytest.mark.parametrize(
    ("words", "run_id", "configs", "options"),
    [
        ("train mr2ct --dataset-dir D --max-epochs=3", "training", ["train"], {"dataset_dir": "D", "max_epochs": "3"}),
        ("train mr2ct_pix2pix --overlay demo --overlay resenc", "training", ["train", "demo", "resenc"], {}),
        ("evaluate mr2ct --output_dir O", "evaluating", ["train", "evaluate"], {"output_dir": "O"}),
        ("calibrate mr2ct --output_dir O", "calibrating", ["train", "evaluate"], {"output_dir": "O"}),
        ("calibrate mr2ct --output_dir O --check", "checking", ["train", "evaluate"], {"output_dir": "O"}),
        ("config mr2ct --width 8", "training", ["train"], {"width": "8", "show_config": "true"}),
        ("config mr2ct --of inference", "inference", ["inference"], {"show_config": "true"}),
    ],
)
def test_the_run_of_a_command(
    became: list[tuple[object, ...]], words: str, run_id: str, configs: list[str], options: dict[str, str]
) -> None:
    main(words.split())
    assert became == [("mr2ct_pix2pix", run_id, [CONFIGS / f"{name}.yaml" for name in configs], options)]


def test_an_overlay_is_a_file_or_a_config_of_the_bundle(
    became: list[tuple[object, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("demo.yaml").write_text("seed: 1")
    main(["train", str(CONFIGS.parent), "--overlay", "demo.yaml", "--overlay", "demo"])
    assert became[0][2] == [CONFIGS / "train.yaml", Path("demo.yaml"), CONFIGS / "demo.yaml"]


def test_what_a_bundle_does_not_have_is_refused(
    became: list[tuple[object, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["calibrate", "lesion", "--output_dir", "O"]) == 2
    assert capsys.readouterr().err == "error: lesion_dcgan_aug has no run id calibrating: see its model card\n"
    assert main(["train", "mr2ct", "--overlay", "nothing"]) == 2
    assert capsys.readouterr().err.startswith("error: mr2ct has no overlay nothing: name one of its configs")
    assert main(["train", "mr2ct", "--overlay", "resnc"]) == 2
    assert capsys.readouterr().err == "error: mr2ct has no overlay resnc: did you mean resenc?\n"
    assert became == []


def test_a_setting_that_reaches_into_nothing_ends_with_one_line() -> None:
    words = ["train", "mr2ct", "--overlay", "demo", "--losses::gdl::weight", "1"]
    done = in_process.synthesize(*words)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    message = "error: --losses::gdl::weight reaches into losses::gdl, which this configuration does not have: choose "
    assert done.stderr.splitlines()[-1].startswith(message)


@pytest.mark.parametrize("word", ["--config_file", "--run_id", "--logging_file"])
def test_options_of_monais_command_that_the_command_sets_itself_are_refused(word: str) -> None:
    message = f"error: {word} is not an option here: "
    assert in_process.synthesize("train", "mr2ct", word, "x").stderr.splitlines()[-1].startswith(message)


def test_an_overlay_of_network_and_loss_fits_an_inference_too() -> None:
    own = {"network_def": {"_target_": "my_networks.Two"}, "losses::l1::function": "$len", "seed": 3}
    known = files_of(CONFIGS)
    fitted = {}
    for name in ("train", "inference"):
        files = {name: read_file(CONFIGS / f"{name}.yaml"), "own": own}
        fitted[name] = fitting(files, known)
        assert fitted[name][name] == files[name]
        typo = {**files, "own": {"losess::l1": 1}}  # a mistake, which is not left out
        assert fitting(typo, known) == typo
    assert fitted["train"]["own"] == own
    assert fitted["inference"]["own"] == {"network_def": {"_target_": "my_networks.Two"}, "seed": 3}
