"""Folder layouts of public data sets."""
