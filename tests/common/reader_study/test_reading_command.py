"""The whole way of ``synthesize reader-study``: from two folders over a reader's answers to the scores."""

import json

import pandas as pd
from reading_folders import answers_csv, right, write_heads

from medical_image_synthesis.command import main


def test_make_and_score(tmp_path, capsys):
    real, synthetic = write_heads(tmp_path)
    out, scores = tmp_path / "study", tmp_path / "scores"
    making = ["reader-study", "make", "--real", str(real), "--synthetic", str(synthetic), "--out", str(out)]
    making += ["--slices", "2", "--trials", "10", "--repeats", "2", "--window", "0", "200"]
    assert main(making) == 0
    assert capsys.readouterr().out.startswith("Which image is real? 12 trials, window 0 to 200\nfor readers: ")
    first, text = json.loads((out / "key.json").read_text()), (out / "for_readers" / "page.html").read_text()
    assert not any(word in text for word in ("case_", str(first["seed"]), str(tmp_path), "http:", "https:"))
    assert main(making) == 2
    assert "page.html exists (from --out): add --overwrite" in capsys.readouterr().err
    assert main([*making, "--overwrite"]) == 0
    key = json.loads((out / "key.json").read_text())
    assert first["seed"] != key["seed"]  # drawn
    files = [str(answers_csv(tmp_path / f"{name}.csv", key, right, name)) for name in "AB"]
    scoring = ["reader-study", "score", "--key", str(out / "key.json"), "--answers", *files, "--out", str(scores)]
    assert main(scoring) == 0
    assert "accuracy_over_cases" in capsys.readouterr().out
    table = pd.read_csv(scores / "scores.csv").set_index(["reader", "measure"])
    assert table.loc[("A", "accuracy"), ["value", "high", "n"]].tolist() == [1, 1, 10]
    assert table.loc[("(between)", "cohen: A, B"), "value"] == 1
    assert pd.read_csv(scores / "confusion.csv")[["left", "right"]].to_numpy().tolist() == [[5, 0], [0, 5]] * 2
    assert main(scoring) == 2
