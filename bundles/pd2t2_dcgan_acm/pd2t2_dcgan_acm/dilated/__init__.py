"""Dilated 3-D convolutions in the frequency domain and on interleaved grids."""
