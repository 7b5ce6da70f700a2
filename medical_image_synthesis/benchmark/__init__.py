"""``synthesize benchmark``: a row beside published numbers, from a public data set and a recipe that is data."""
