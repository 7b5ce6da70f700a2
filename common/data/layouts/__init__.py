"""Folder layouts of data sets."""
