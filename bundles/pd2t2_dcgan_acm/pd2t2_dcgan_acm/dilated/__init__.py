"""Fast dilated 3-D convolutions, in the frequency domain."""
