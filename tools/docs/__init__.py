"""Pages of the documentation that are generated, and the site."""
