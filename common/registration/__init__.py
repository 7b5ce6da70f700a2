"""Registration of pairs: rigid and B-spline alignment, quality gate, and a folder of registered cases."""
