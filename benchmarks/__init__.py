"""Speed through the real product, each figure as a ratio to a bare process in the same run: ``make bench``."""
