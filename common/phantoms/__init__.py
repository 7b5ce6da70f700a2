"""Synthetic heads that look like what they stand for: anatomy from a seed, rendered per modality, written as files."""

from common.phantoms.anatomy import Anatomy, head_anatomy
from common.phantoms.render import render_cect, render_ct, render_ct_pair, render_t1
from common.phantoms.write import write_mr2ct
from common.phantoms.write_cect import write_cect2ct

__all__ = [
    "Anatomy",
    "head_anatomy",
    "render_cect",
    "render_ct",
    "render_ct_pair",
    "render_t1",
    "write_cect2ct",
    "write_mr2ct",
]
