"""The offline validator of bundles and releases: MONAI's specification and this collection's contract."""
