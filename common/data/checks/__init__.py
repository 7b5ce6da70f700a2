"""Data check: every case is read and checked before training."""
