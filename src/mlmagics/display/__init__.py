"""What a job showed, as a value (``view``), and everything that draws it."""
