"""The queue of trainings of shipped weights, and the cases of low-dose CT and fast MR."""
