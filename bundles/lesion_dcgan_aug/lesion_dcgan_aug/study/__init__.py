"""The classification study: cross-validated gain of a lesion classifier from synthetic patches."""
