"""Value validation is off inside the context alone, whichever thread leaves it first."""

from __future__ import annotations

from threading import Event, Thread

import pytest
from dicom_phantom import write_series
from pydicom import config

from common.errors import VolumeError
from common.io.dicom.reading.volume import load_series
from common.io.dicom.validation import without_validation


def test_a_thread_that_leaves_first_does_not_end_it_for_another(monkeypatch):
    monkeypatch.setattr(config.settings, "_reading_validation_mode", config.WARN)
    inside, leave = Event(), Event()

    def other():
        with without_validation:
            inside.set()
            leave.wait(600)

    thread = Thread(target=other)
    with without_validation:
        thread.start()
        assert inside.wait(600)
    assert config.settings.reading_validation_mode == config.IGNORE
    leave.set()
    thread.join()
    assert config.settings.reading_validation_mode == config.WARN


def test_reading_leaves_the_mode_as_it_was_also_where_it_fails(tmp_path, monkeypatch):
    """Strict validation outside does not reach our reading: the accession number is longer than its 16 characters."""
    monkeypatch.setattr(config.settings, "_reading_validation_mode", config.WARN)

    def long(header, number):
        header["AccessionNumber"]._value = "1" * 40

    write_series(tmp_path / "ct", change=long)
    monkeypatch.setattr(config.settings, "_reading_validation_mode", config.RAISE)
    load_series(tmp_path / "ct", "a")
    with pytest.raises(VolumeError):
        load_series(tmp_path / "absent", "a")
    assert config.settings.reading_validation_mode == config.RAISE
