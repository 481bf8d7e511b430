"""Values as JSON, exactly: what JSON has as it is, what it lacks as an object with a tag.

A tagged object is ``{"$": "tuple", "v": [1, 2]}``. Its reader is ``mlmagics.results.plain``.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

#: Lists and dicts within each other; readers take them apart by recursion.
_MAX_DEPTH = 100
#: Python itself reads no longer ones from text.
_MAX_INT_BITS = 13_000
_SCALARS = frozenset((type(None), bool, int, float, str))
TAG, VALUE = "$", "v"


class Refused(Exception):
    """A value has no plain form: ``why``, and its ``place`` as the author would write it."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why
        self.place = ""


class TooLarge(Exception):
    """A value has more bytes than there may be."""


class Plain:
    """Makes JSON of one value.

    Parameters
    ----------
    room
        Bytes that it may have at most: a list that holds itself many times over may grow without end.
    binary
        Gives the form and the bytes of an array or frame, or None for all else.
    """

    def __init__(self, room: int, binary: Callable[[Any, int], Any]) -> None:
        self.room = room
        #: whether there is a tag in it
        self.tagged = False
        self._binary = binary

    def of(self, value: Any, depth: int = 0) -> Any:
        """``value`` in types that JSON has.

        Raises
        ------
        Refused
            When it holds something that has no plain form.
        TooLarge
            When there is not enough room.
        """
        kind = type(value)
        self._take(len(value) if kind is str else 2)
        if kind in _SCALARS:
            return self._scalar(value)
        if depth >= _MAX_DEPTH:
            raise Refused("lies within %d lists and dicts, which is too deep" % depth)
        if kind is list:
            return self._items(value, depth)
        if kind is dict or (issubclass(kind, dict) and kind.__module__ == "collections"):
            return self._dict(value, depth)
        if kind is tuple:
            return self._tag("tuple", self._items(value, depth))
        if kind in (set, frozenset):
            return self._tag(kind.__name__, self._items(list(value), depth))
        return self._other(value, kind, depth)

    def _take(self, count: int) -> None:
        self.room -= count
        if self.room < 0:
            raise TooLarge

    def _tag(self, tag: str, value: Any) -> dict[str, Any]:
        self.tagged = True
        self._take(16)
        return {TAG: tag, VALUE: value}

    def _scalar(self, value: Any) -> Any:
        kind = type(value)
        if kind is float and value - value != 0:
            return self._tag("float", repr(value))
        if kind is int and value.bit_length() > _MAX_INT_BITS:
            raise Refused("is an integer of more than 3,900 digits")
        if kind is str and not _is_unicode(value):
            raise Refused("has half of a surrogate pair, which is no Unicode text")
        return value

    def _items(self, value: Any, depth: int) -> list[Any]:
        found: list[Any] = []
        try:
            for item in value:
                found.append(self.of(item, depth + 1))
        except Refused as refused:
            refused.place = "[%d]%s" % (len(found), refused.place)
            raise
        return found

    def _dict(self, value: Any, depth: int) -> Any:
        items = list(value.items())
        simple = all(type(key) is str for key, _ in items) and TAG not in value
        found = []
        for key, item in items:
            try:
                found.append((self.of(key, depth + 1), self.of(item, depth + 1)))
            except Refused as refused:
                refused.place = "[%.100r]%s" % (key, refused.place)
                raise
        return dict(found) if simple else self._tag("dict", [list(pair) for pair in found])

    def _other(self, value: Any, kind: type, depth: int) -> Any:
        home = kind.__module__.partition(".")[0]
        if home in ("builtins", "datetime", "decimal", "fractions", "uuid"):
            found = _STANDARD.get("%s.%s" % (home, kind.__qualname__))
            if found is not None:
                tag, parts = found(value)
                return self._tag(tag, self.of(parts, depth + 1))
        if home == "pandas":
            parts = _of_pandas(value, kind)
            if parts is not None:
                return self._tag(parts[0], self.of(parts[1], depth + 1))
        numpy = sys.modules.get("numpy")
        if numpy is not None and isinstance(value, numpy.generic) and type(value.item()) in _SCALARS:
            return self.of(value.item(), depth)
        binary = self._binary(value, self.room)
        if binary is not None:
            form, data = binary
            return self._tag(form, self.of(_base64(data), depth + 1))
        raise Refused("is of type %s" % kind.__name__)


def _base64(data: Any) -> str:
    import binascii

    return binascii.b2a_base64(data, newline=False).decode("ascii")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _zone(value: Any) -> Any:
    """The time zone of ``value`` as text; None without one.

    Raises
    ------
    Refused
        When its name does not say all of it.
    """
    zone = value.tzinfo
    if zone is None:
        return None
    key = getattr(zone, "key", None) or getattr(zone, "zone", None)
    if isinstance(key, str):
        return key
    if type(zone).__module__ == "datetime":
        return "UTC" if str(zone) == "UTC" else "offset"
    raise Refused("has the time zone %.80r, which has no name" % (zone,))


def _datetime(value: Any) -> tuple[str, Any]:
    return "datetime", [value.isoformat(), _zone(value), value.fold]


def _of_pandas(value: Any, kind: type) -> Any:
    if kind.__name__ == "Timestamp":
        return "timestamp", [value.asm8.view("i8").item(), value.unit, _zone(value)]
    if kind.__name__ == "Timedelta":
        return "timedelta64", [value.asm8.view("i8").item(), value.unit]
    if kind.__name__ in ("NAType", "NaTType"):
        return kind.__name__, None
    return None


#: By type: the tag and what it is made of.
_STANDARD: dict[str, Callable[[Any], tuple[str, Any]]] = {
    "builtins.bytes": lambda value: ("bytes", _base64(value)),
    "builtins.bytearray": lambda value: ("bytearray", _base64(value)),
    "builtins.complex": lambda value: ("complex", [value.real, value.imag]),
    "builtins.range": lambda value: ("range", [value.start, value.stop, value.step]),
    "datetime.datetime": _datetime,
    "datetime.date": lambda value: ("date", value.isoformat()),
    "datetime.time": lambda value: ("time", [value.isoformat(), _zone(value), value.fold]),
    "datetime.timedelta": lambda value: ("timedelta", [value.days, value.seconds, value.microseconds]),
    "decimal.Decimal": lambda value: ("decimal", str(value)),
    "fractions.Fraction": lambda value: ("fraction", [value.numerator, value.denominator]),
    "uuid.UUID": lambda value: ("uuid", str(value)),
}
