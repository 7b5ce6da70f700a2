"""Heads of individuals from label maps: whole, sharp, with folds, sinuses and skull base, and what can go wrong."""

from .heads import IndividualHeads, heads_of

__all__ = ["IndividualHeads", "heads_of"]
