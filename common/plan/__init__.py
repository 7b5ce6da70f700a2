"""Plan of a training from the fingerprint of its data: an overlay of settings, each with the number that decided it.

After nnU-Net (Isensee et al. 2021, Nature Methods 18, 203-211): fixed rules, no search and no training.
"""
