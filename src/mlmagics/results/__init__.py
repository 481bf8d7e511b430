"""Results of jobs from bytes to Python, by the format that they were kept in. Nothing in them is ever run."""
