"""Quality of a synthetic volume without a truth: a predicted mean absolute error, and one of three verdicts."""
