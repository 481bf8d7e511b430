"""Differences of texts as hunks of lines. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Any

Line = dict[str, Any]
Hunk = dict[str, Any]

#: Of a line that is shown.
LINE_CHARS = 2000
#: Lines of one file that are shown.
LINES = 5000
_HEADER = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@(.*)", re.DOTALL)


def read_hunks(data: bytes) -> tuple[list[Hunk], bool]:
    """The hunks of one file in a unified diff, and whether there are more than are shown."""
    hunks: list[Hunk] = []
    old = new = shown = 0
    # not splitlines: only git's own line ends count
    for raw in data.decode("utf-8", "replace").split("\n"):
        header = _HEADER.fullmatch(raw)
        if header is not None:
            old, new = int(header[1]), int(header[3])
            hunks.append(_hunk(raw, old, int(header[2] or 1), new, int(header[4] or 1)))
        elif not hunks or not raw:
            continue
        elif raw[0] == "\\":
            hunks[-1]["lines"][-1]["no_newline"] = True
        elif raw[0] in " +-":
            if shown >= LINES:
                return hunks, True
            shown += 1
            hunks[-1]["lines"].append(_line(raw[0], raw[1:], old, new))
            old += raw[0] != "+"
            new += raw[0] != "-"
    return hunks, False


def whole(data: bytes, sign: str = "+") -> tuple[list[Hunk], bool]:
    """A file that is new, or gone, as one hunk."""
    text = data.decode("utf-8", "replace")
    lines = text.split("\n")
    ends = lines[-1] == ""
    lines = lines[:-1] if ends else lines
    if not lines:
        return [], False
    count = len(lines)
    hunk = _hunk("", 0, 0, 1, count) if sign == "+" else _hunk("", 1, count, 0, 0)
    hunk["header"] = (
        f"@@ -{hunk['old_start']},{hunk['old_lines']} +{hunk['new_start']},{hunk['new_lines']} @@"
    )
    hunk["lines"] = [_line(sign, line, number, number) for number, line in enumerate(lines[:LINES], start=1)]
    if not ends and count <= LINES:
        hunk["lines"][-1]["no_newline"] = True
    return [hunk], count > LINES


def compare(old: Sequence[str], new: Sequence[str], most: int = LINES) -> list[Line]:
    """All lines of two texts, the common ones once."""
    lines: list[Line] = []
    matcher = difflib.SequenceMatcher(a=old, b=new, autojunk=len(old) + len(new) > 2000)
    for tag, a, b, c, d in matcher.get_opcodes():
        if tag == "equal":
            lines += [_line(" ", old[i], i + 1, c + i - a + 1) for i in range(a, b)]
        else:
            lines += [_line("-", old[i], i + 1, 0) for i in range(a, b)]
            lines += [_line("+", new[i], 0, i + 1) for i in range(c, d)]
        if len(lines) > most:
            break
    return lines[:most]


def _hunk(header: str, old_start: int, old_lines: int, new_start: int, new_lines: int) -> Hunk:
    return {
        "header": header[:LINE_CHARS],
        "old_start": old_start,
        "old_lines": old_lines,
        "new_start": new_start,
        "new_lines": new_lines,
        "lines": [],
    }


def _line(sign: str, text: str, old: int, new: int) -> Line:
    line: Line = {
        "sign": sign,
        "text": text[:LINE_CHARS],
        "old": old if sign != "+" else None,
        "new": new if sign != "-" else None,
    }
    if len(text) > LINE_CHARS:
        line["cut"] = True
    return line
