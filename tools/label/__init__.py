"""MONAI Label for real: its environment, the servers, the requests and what the answers are compared with."""
