"""Which form a value is kept in: the first plain one that holds it exactly; none of them runs when it is read."""

from __future__ import annotations

import sys

from mlmagics_job import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Optional, Tuple

    Form = Tuple[str, int, Callable[[Any], None]]

#: JSON goes through the control channel, and is read as a whole.
MAX_JSON_BYTES = 2**26
#: Modules whose values may have a binary form, by what has them.
_BINARY = {
    "frames": frozenset(("pandas", "pyarrow")),
    "models": frozenset(("xgboost", "lightgbm", "sklearn", "matplotlib")),
}


def binary_form(value: Any) -> Optional[Form]:
    """Format, bytes (about) and writer of a value that is kept as bytes; None when there is no such form.

    Raises
    ------
    plain.Refused
        When its kind has such a form and this value does not fit into it.
    """
    homes = {base.__module__.partition(".")[0] for base in type.mro(type(value))}
    if homes & _BINARY["frames"]:
        from mlmagics_job import frames

        found = frames.form_of(value)
        if found is not None:
            return found
    if homes & _BINARY["models"]:
        from mlmagics_job import models

        try:
            found = models.form_of(value)
        except models.Missing as missing:
            raise plain.Refused("cannot be kept in a plain format: %s" % missing) from None
        if found is not None:
            return found
    if "numpy" in sys.modules:
        from mlmagics_job import arrays

        return arrays.form_of(value)
    return None


def json_form(value: Any, room: int = MAX_JSON_BYTES) -> Tuple[str, Any]:
    """Format and JSON of a value that has one.

    Raises
    ------
    plain.Refused, plain.TooLarge
        When it has none, or more than ``room`` bytes.
    """
    made = plain.Plain(room, _small)
    found = made.of(value)
    return ("tagged" if made.tagged else "json"), found


def _small(value: Any, room: int) -> Optional[Tuple[str, bytes]]:
    """An array or frame within a list or dict."""
    form = binary_form(value)
    if form is None or form[0] not in ("npy", "arrow"):
        return None
    if form[1] > room:
        raise plain.TooLarge
    if form[0] == "npy":
        from mlmagics_job import arrays

        return "npy", arrays.npy(value)
    from mlmagics_job import frames

    return "arrow", frames.arrow(value)
