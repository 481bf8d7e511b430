"""Finds tokens, keys and passwords in what is about to leave: a cell that is sent, commits that are pushed.

Nothing is asked of anybody to find out whether what was found is valid.
"""

from mlmagics.secrets.scanning import Found as Found
from mlmagics.secrets.scanning import scan_text as scan_text
