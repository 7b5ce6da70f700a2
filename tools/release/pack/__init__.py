"""Release zips: renamed code, adapted configs and texts, a reproducible archive."""
