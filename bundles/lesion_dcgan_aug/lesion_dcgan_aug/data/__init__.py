"""Lesion patches on disk: cutting, classes, checks, splits and folds by patient."""
