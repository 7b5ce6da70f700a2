"""Synthetic heads that look like what they stand for: anatomy from a seed, rendered per modality, written as files."""

from common.phantoms.anatomy import Anatomy, head_anatomy
from common.phantoms.microstructure import Microstructure, brain_microstructure
from common.phantoms.render import render_cect, render_ct, render_ct_pair
from common.phantoms.render_microstructure import render_mtr_dti, render_pib
from common.phantoms.render_mr import render_pd_t2, render_t1
from common.phantoms.write_cect import write_cect2ct
from common.phantoms.write_liver import write_liver_lesions
from common.phantoms.write_mr2ct import write_mr2ct
from common.phantoms.write_mri2pet import write_mri2pet
from common.phantoms.write_pd2t2 import write_pd2t2

__all__ = [
    "Anatomy",
    "Microstructure",
    "brain_microstructure",
    "head_anatomy",
    "render_cect",
    "render_ct",
    "render_ct_pair",
    "render_mtr_dti",
    "render_pd_t2",
    "render_pib",
    "render_t1",
    "write_cect2ct",
    "write_liver_lesions",
    "write_mr2ct",
    "write_mri2pet",
    "write_pd2t2",
]
