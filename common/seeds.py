"""Derived random seeds: one for each part of a run, so that any part can be repeated alone."""

from __future__ import annotations

_MASK = 0xFFFFFFFFFFFFFFFF


def derive(*numbers: int) -> int:
    """One 63-bit seed from several; neighbouring inputs give unrelated seeds (splitmix64, Steele et al. 2014)."""
    mixed = 0
    for number in numbers:
        mixed = (mixed + number + 0x9E3779B97F4A7C15) & _MASK
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        mixed ^= mixed >> 31
    return mixed >> 1
