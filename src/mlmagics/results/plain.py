"""JSON as jobs write it: exact, with tags for what JSON lacks (``mlmagics_job.plain`` is the writer)."""

from __future__ import annotations

import base64
import datetime
import decimal
import fractions
import json
import uuid
import zoneinfo
from collections.abc import Callable
from typing import Any, NoReturn

from mlmagics_job.plain import TAG, VALUE


def from_json(data: Any) -> Any:
    """The value of JSON without tags.

    Raises
    ------
    ValueError
        When it is none.
    """
    return json.loads(bytes(data).decode("utf-8"), parse_constant=_refuse)


def from_tagged(data: Any) -> Any:
    """The value of JSON with tags.

    Raises
    ------
    ValueError
        When it is none.
    """
    return untagged(from_json(data))


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def untagged(found: Any) -> Any:
    """The value that JSON with tags stands for.

    Raises
    ------
    ValueError
        When a tag is not known here, or its value is none.
    """
    if isinstance(found, list):
        return [untagged(item) for item in found]
    if not isinstance(found, dict):
        return found
    if TAG not in found:
        return {key: untagged(item) for key, item in found.items()}
    tag = found[TAG]
    if set(found) != {TAG, VALUE} or not isinstance(tag, str) or tag not in _MAKERS:
        raise ValueError(f"it has the tag {str(tag)[:40]!r}, which this mlmagics does not know")
    try:
        return _MAKERS[tag](untagged(found[VALUE]))
    except (TypeError, KeyError, ArithmeticError, zoneinfo.ZoneInfoNotFoundError) as error:
        raise ValueError(f"what it has for a {tag} is none: {error}") from None


def _zoned(value: Any, zone: str | None, fold: int) -> Any:
    value = value.replace(fold=fold)
    return value if zone in (None, "offset", "UTC") else value.replace(tzinfo=zoneinfo.ZoneInfo(str(zone)))


def _datetime(parts: list[Any]) -> datetime.datetime:
    text, zone, fold = parts
    found: datetime.datetime = _zoned(datetime.datetime.fromisoformat(text), zone, fold)
    return found


def _time(parts: list[Any]) -> datetime.time:
    text, zone, fold = parts
    found: datetime.time = _zoned(datetime.time.fromisoformat(text), zone, fold)
    return found


def _timestamp(parts: list[Any]) -> Any:
    value, unit, zone = parts
    import pandas

    found = pandas.Timestamp(value, unit=unit).as_unit(unit)
    if zone is None:
        return found
    if zone == "offset":
        raise ValueError("a time stamp with an offset and no time zone")
    return found.tz_localize("UTC").tz_convert(zone)


def _timedelta64(parts: list[Any]) -> Any:
    import pandas

    value, unit = parts
    return pandas.Timedelta(value, unit=unit).as_unit(unit)


def _nothing(name: str) -> Callable[[Any], Any]:
    def make(_: Any) -> Any:
        import pandas

        return pandas.NA if name == "NAType" else pandas.NaT

    return make


def _npy(data: Any) -> Any:
    from mlmagics.results.arrays import from_npy

    # writable, as one's own arrays are
    return from_npy(bytearray(base64.b64decode(data, validate=True)))


def _arrow(data: Any) -> Any:
    from mlmagics.results.frames import from_arrow

    return from_arrow(base64.b64decode(data, validate=True))


def _integer(value: Any) -> int:
    if type(value) is not int:
        raise ValueError("a number that is not whole")
    return value


#: The value for each tag, out of what stands behind it.
_MAKERS: dict[str, Callable[[Any], Any]] = {
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "dict": dict,
    "float": float,
    "complex": lambda parts: complex(*parts),
    "range": lambda parts: range(*map(_integer, parts)),
    "bytes": lambda text: base64.b64decode(text, validate=True),
    "bytearray": lambda text: bytearray(base64.b64decode(text, validate=True)),
    "datetime": _datetime,
    "date": datetime.date.fromisoformat,
    "time": _time,
    "timedelta": lambda parts: datetime.timedelta(*parts),
    "decimal": decimal.Decimal,
    "fraction": lambda parts: fractions.Fraction(*map(_integer, parts)),
    "uuid": uuid.UUID,
    "timestamp": _timestamp,
    "timedelta64": _timedelta64,
    "NAType": _nothing("NAType"),
    "NaTType": _nothing("NaTType"),
    "npy": _npy,
    "arrow": _arrow,
}
