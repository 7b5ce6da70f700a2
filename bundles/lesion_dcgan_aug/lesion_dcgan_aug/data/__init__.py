"""Lesion patch data: extraction from volumes, classes, checks, splits and folds by patient."""
