"""Start of a command: its settings are checked, random numbers seeded, mistakes of the user end it with one line."""

from common.settings.start import prepare, require_run_id

__all__ = ["prepare", "require_run_id"]
