"""Reader studies: a page of blinded real and synthetic images for human readers, and scores of their answers."""
