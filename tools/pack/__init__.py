"""What a release zip is made of: renamed code, adapted configs and texts, an archive with the same bytes each time."""
