"""``synthesize app``: a page in the browser for those who type no commands, and the same jobs by HTTP."""
