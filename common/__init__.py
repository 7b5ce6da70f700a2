"""The shared package of the medical image synthesis bundles; it knows no bundle."""
