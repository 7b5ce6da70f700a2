"""An archive over several machines; see docs/how-to/deployment.md."""
