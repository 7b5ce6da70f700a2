"""Synthetic heads that look like what they stand for: anatomy from a seed, rendered per modality, written as files."""

from common.phantoms.anatomy import Anatomy, head_anatomy
from common.phantoms.render import render_ct, render_t1
from common.phantoms.write import write_mr2ct

__all__ = ["Anatomy", "head_anatomy", "render_ct", "render_t1", "write_mr2ct"]
