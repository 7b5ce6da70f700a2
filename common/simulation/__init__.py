"""Head phantoms: anatomy from a seed, CT and MR rendering, simulated scanners, phantom datasets on disk."""

from .ct import render_ct, render_ct_pair
from .head import Anatomy, head_anatomy
from .mr import render_pd_t2, render_t1

__all__ = [
    "Anatomy",
    "head_anatomy",
    "render_ct",
    "render_ct_pair",
    "render_pd_t2",
    "render_t1",
]
