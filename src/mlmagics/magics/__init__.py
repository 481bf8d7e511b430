"""The magics: words, options, one module for each group of commands, and their registration."""
