"""The classification study: what synthetic patches add to a classifier."""
