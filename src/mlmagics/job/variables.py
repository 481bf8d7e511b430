"""Which names a value from a job can have in a notebook. Pure."""

from __future__ import annotations

import keyword
import re
import unicodedata

#: those that Python and IPython need themselves: with another value in them no cell could run any more
_TAKEN = re.compile(r"__\w*__|_{1,3}|_i{1,3}|_[ido]h|_i?\d+|In|Out|get_ipython|exit|quit")


def variable_name(text: str) -> str | None:
    """``text`` as Python reads it, which takes some letters for others; None where it cannot name a value."""
    name = unicodedata.normalize("NFKC", text)
    if not name.isidentifier() or keyword.iskeyword(name) or _TAKEN.fullmatch(name):
        return None
    return name
