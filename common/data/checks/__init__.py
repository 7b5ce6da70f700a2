"""Data check: every case is read and checked before training."""

from .cases import check_cases, require_clean

__all__ = ["check_cases", "require_clean"]
