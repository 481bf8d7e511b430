"""How people write durations and sizes, and how they are shown. Pure; used by both ends."""

from __future__ import annotations

import datetime
import re
import time

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|min|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([KMGT])(?:i?B)?", re.IGNORECASE)
_BYTES = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def parse_duration(text: str) -> float:
    """Seconds in ``text``, such as ``90s``, ``30m``, ``8h``, ``2d`` or ``1h30m``.

    Raises
    ------
    ValueError
        When there is no unit (minutes to some, seconds to others) or the text is not a duration.
    """
    stripped = text.strip().lower()
    if re.fullmatch(r"\d+(\.\d+)?", stripped):
        raise ValueError(f"{text!r} has no unit: write {stripped}s, {stripped}m or {stripped}h")
    if not re.fullmatch(rf"(?:{_DURATION.pattern}\s*)+", stripped):
        raise ValueError(f"{text!r} is not a duration: write for example 90s, 30m, 8h or 2d")
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _DURATION.findall(stripped))
    if seconds <= 0:
        raise ValueError(f"{text!r} is not a duration above zero")
    return seconds


def parse_size(text: str) -> int:
    """Bytes in ``text``, such as ``16G``, ``16GB``, ``16GiB`` or ``512M``; all are powers of 1024.

    Raises
    ------
    ValueError
        When there is no unit or the text is not a size.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a size with a unit: write for example 512M or 16G")
    size = int(float(match[1]) * _BYTES[match[2].upper()])
    if size <= 0:
        raise ValueError(f"{text!r} is not a size above zero")
    return size


def parse_size_or_none(text: str) -> int:
    """As :func:`parse_size`, but ``0`` is one, too."""
    return 0 if text.strip() == "0" else parse_size(text)


def parse_moment(text: str, now: float) -> float:
    """Unix seconds of the moment in ``text`` on this machine's clock.

    ``18:00`` is the next one, ``2026-11-22`` its first minute, ``2026-11-22 18:00`` that one; ``2h`` is in two
    hours.

    Raises
    ------
    ValueError
        When it is none of these.
    """
    stripped = text.strip()
    try:
        if re.fullmatch(r"\d{1,2}:\d{2}", stripped):
            clock = datetime.datetime.strptime(stripped, "%H:%M").time()
            day = datetime.datetime.fromtimestamp(now).date()
            at = datetime.datetime.combine(day, clock).timestamp()
            later = datetime.datetime.combine(day + datetime.timedelta(days=1), clock).timestamp()
            return at if at > now else later
        if re.match(r"\d{4}-", stripped):
            return datetime.datetime.fromisoformat(stripped).timestamp()
        return now + parse_duration(stripped)
    except ValueError:
        raise ValueError(
            f"{text!r} is not a moment: write for example 18:00, 2026-11-22 18:00 or 2h"
        ) from None


def format_duration(seconds: float) -> str:
    """``seconds`` as people say it: ``0.4 s``, ``14 s``, ``2 min 5 s``, ``4 h``, ``1 d 6 h``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s" if seconds != int(seconds) else f"{int(seconds)} s"
    left = round(seconds)
    parts = []
    for name, length in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, length)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts[:2])


def format_size(size: float) -> str:
    """``size`` bytes with a binary unit and at most one decimal: ``0 B``, ``14.2 MiB``, ``64 GiB``."""
    unit = "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024 or unit == "TiB":
            break
        size /= 1024
    return f"{size:.1f}".removesuffix(".0") + f" {unit}"


def format_clock(at: float, now: float) -> str:
    """The moment ``at`` on this machine's clock: ``14:20 UTC``, on another day ``22 Nov 14:20 UTC``."""
    there, here = time.localtime(at), time.localtime(now)
    if there[:3] == here[:3]:
        return time.strftime("%H:%M %Z", there)
    return f"{there.tm_mday} {time.strftime('%b %H:%M %Z', there)}"
