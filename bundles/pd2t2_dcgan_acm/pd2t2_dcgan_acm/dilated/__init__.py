"""Fast dilated 3-D convolutions: in the frequency domain, and as dense convolutions on interleaved grids."""
