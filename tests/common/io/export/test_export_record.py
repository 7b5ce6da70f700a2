"""What a volume was made from, in hashes."""

from __future__ import annotations

from pathlib import Path

from common.io.export.record import Provenance, content_of, settings_hash


def test_content_of_a_series_is_that_of_every_slice_by_its_name_and_channels_have_an_order(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        for number in range(3):
            (tmp_path / folder / f"{number}.dcm").write_bytes(bytes([number]))
    whole = content_of([tmp_path / "a"])
    assert whole == content_of([tmp_path / "b"])
    (tmp_path / "b" / "2.dcm").unlink()
    assert content_of([tmp_path / "b"]) != whole
    (tmp_path / "b" / "2.dcm").write_bytes(b"another")
    assert content_of([tmp_path / "b"]) != whole
    one, other = (tmp_path / "a" / f"{number}.dcm" for number in (0, 1))
    assert content_of([one, other]) != content_of([other, one])


def test_a_source_that_is_replaced_after_it_was_read_was_not_used(tmp_path: Path) -> None:
    source = tmp_path / "mr.nii"
    source.write_bytes(b"read")
    run = Provenance("mr2ct 1.2.3")
    run.sources = {"a": [str(source)]}
    run.note_source({"case": "a"})
    source.write_bytes(b"another")
    recorded = run.of("a", [])
    later = Provenance("mr2ct 1.2.3")
    later.sources = run.sources
    assert later.changed(recorded, "a", []) == "changed since: source"
    source.write_bytes(b"read")
    assert later.changed(recorded, "a", []) == ""


def test_settings_that_say_where_or_how_have_no_effect() -> None:
    plain = settings_hash({"spacing": [1, 2], "evaluator": {"resume": False, "refuse": True}})
    assert settings_hash({"made": object()}) == settings_hash({"made": object()})
    assert plain == settings_hash(
        {"spacing": [1, 2], "evaluator": {"resume": True, "refuse": True}, "weights": Path("x#1"), "device": "cpu"}
    )
    assert plain != settings_hash({"spacing": [1, 2], "evaluator": {"resume": False, "refuse": False}})
