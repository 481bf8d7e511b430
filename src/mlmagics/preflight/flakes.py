"""pyflakes, as a cell needs it; importing this imports pyflakes."""

from __future__ import annotations

from pyflakes import messages as messages
from pyflakes.checker import Checker


class CellChecker(Checker):  # type: ignore[misc]  # pyflakes has no types
    """Looks at names; knows ``await`` outside of functions, which it otherwise does not look into."""

    AWAIT = Checker.handleChildren
