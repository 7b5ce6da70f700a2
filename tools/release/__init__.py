"""Releases: packed and validated."""
