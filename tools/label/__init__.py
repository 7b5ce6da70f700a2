"""End-to-end test of the bundles in MONAI Label: environment, servers, requests, expected answers."""
