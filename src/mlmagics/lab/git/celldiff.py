"""What differs between two notebooks, cell by cell; outputs as text and sizes, never as base64. Pure."""

from __future__ import annotations

import difflib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from mlmagics.lab.git.hunks import Line, compare

Cell = dict[str, Any]
Row = dict[str, Any]

_SOURCE_LINES = 1000
_OUTPUT_LINES = 60
#: Cells that are told.
_CELLS = 500
#: How alike two sources have to be to be one cell that was changed.
_ALIKE = 0.5
_TEXTS = ("text/plain", "text/markdown", "text/latex")


class Pair(NamedTuple):
    """Positions of a cell before and after; None where it is not."""

    old: int | None
    new: int | None


def compare_notebooks(old: dict[str, Any], new: dict[str, Any]) -> tuple[list[Row], list[Line], bool]:
    """Rows of cells, lines of the metadata, and whether there is more than that."""
    before, after = old["cells"], new["cells"]
    rows: list[Row] = []
    truncated = False
    for pair in pair_cells(before, after):
        row = _row(before, after, pair)
        if row["change"] == "same" and rows and rows[-1]["change"] == "same":
            rows[-1]["count"] += 1
        elif len(rows) < _CELLS:
            rows.append(row)
        else:
            truncated = True
    metadata = compare(_json_lines(_head(old)), _json_lines(_head(new)), _OUTPUT_LINES)
    return rows, [line for line in metadata if line["sign"] != " "], truncated


def pair_cells(before: Sequence[Cell], after: Sequence[Cell]) -> Iterator[Pair]:
    """Which cell became which: by their ids where they have them, else by their sources; in the order of both."""
    keys = [_keys(cells) for cells in (before, after)]
    matcher = difflib.SequenceMatcher(a=keys[0], b=keys[1], autojunk=False)
    for tag, a, b, c, d in matcher.get_opcodes():
        if tag == "equal":
            yield from (Pair(a + step, c + step) for step in range(b - a))
        else:
            yield from _pair_by_likeness(before, after, range(a, b), range(c, d))


def _keys(cells: Sequence[Cell]) -> list[Any]:
    ids = [cell.get("id") for cell in cells]
    if all(isinstance(name, str) for name in ids) and len(set(ids)) == len(ids):
        return ids
    return [(cell.get("cell_type"), source(cell)) for cell in cells]


def _pair_by_likeness(
    before: Sequence[Cell], after: Sequence[Cell], olds: range, news: range
) -> Iterator[Pair]:
    """In a stretch without common keys: those that are alike, one after the other."""
    waiting = list(olds)
    for new in news:
        found = next((old for old in waiting[:5] if _alike(before[old], after[new])), None)
        if found is None:
            yield Pair(None, new)
            continue
        while waiting[0] != found:
            yield Pair(waiting.pop(0), None)
        waiting.pop(0)
        yield Pair(found, new)
    yield from (Pair(old, None) for old in waiting)


def _alike(one: Cell, other: Cell) -> bool:
    if one.get("cell_type") != other.get("cell_type"):
        return False
    texts = source(one)[:2000], source(other)[:2000]
    if not any(texts):
        return True
    matcher = difflib.SequenceMatcher(a=texts[0], b=texts[1], autojunk=False)
    return matcher.real_quick_ratio() >= _ALIKE and matcher.ratio() >= _ALIKE


def _row(before: Sequence[Cell], after: Sequence[Cell], pair: Pair) -> Row:
    old = before[pair.old] if pair.old is not None else None
    new = after[pair.new] if pair.new is not None else None
    told = new if new is not None else old
    assert told is not None
    texts = [source(cell) if cell is not None else "" for cell in (old, new)]
    outputs = [_outputs(cell) for cell in (old, new)]
    metadata = [_json_lines(cell.get("metadata")) if cell is not None else [] for cell in (old, new)]
    if old is not None and new is not None:
        kinds = old.get("cell_type") == new.get("cell_type")
        if kinds and texts[0] == texts[1] and outputs[0] == outputs[1] and metadata[0] == metadata[1]:
            return {"change": "same", "count": 1}
    lines = [_lines(text) for text in texts]
    row: Row = {
        "change": "added" if old is None else "removed" if new is None else "changed",
        "type": str(told.get("cell_type")),
        "number_old": None if pair.old is None else pair.old + 1,
        "number_new": None if pair.new is None else pair.new + 1,
        "source": compare(lines[0], lines[1], _SOURCE_LINES),
        "outputs": None,
        "output_lines": [],
        "metadata": old is not None and new is not None and metadata[0] != metadata[1],
    }
    if outputs[0] != outputs[1]:
        row["outputs"] = _sentence(outputs[0], outputs[1])
        texts_out = [[line for out in side for line in out.lines] for side in outputs]
        told_lines = compare(texts_out[0], texts_out[1], _OUTPUT_LINES)
        row["output_lines"] = [line for line in told_lines if line["sign"] != " "]
    return row


class _Output(NamedTuple):
    """One output: what it is, and its text."""

    name: str
    lines: tuple[str, ...]
    #: what else it is compared by
    data: str


def _outputs(cell: Cell | None) -> list[_Output]:
    found = cell.get("outputs") if cell is not None else None
    return [_output(out) for out in found if isinstance(out, dict)] if isinstance(found, list) else []


def _output(out: dict[str, Any]) -> _Output:
    kind = out.get("output_type")
    if kind == "stream":
        return _Output("text", tuple(_lines(_text(out.get("text")))), str(out.get("name")))
    if kind == "error":
        return _Output("error", (f"{out.get('ename')}: {out.get('evalue')}",), _compact(out.get("traceback")))
    data = out.get("data")
    data = data if isinstance(data, dict) else {}
    text = next((_text(data[mime]) for mime in _TEXTS if mime in data), "")
    image = next((mime for mime in data if mime.startswith("image/")), None)
    name = (
        "image"
        if image
        else "table"
        if "text/html" in data and "<table" in _text(data["text/html"])
        else "text"
    )
    lines = [*_lines(text)]
    lines += [f"({mime}, {_size(data[mime])})" for mime in sorted(data) if mime not in _TEXTS]
    return _Output(name, tuple(lines), _compact(data))


def _sentence(old: Sequence[_Output], new: Sequence[_Output]) -> str:
    if not new:
        return f"outputs removed: {_counted(old)}"
    return f"outputs {'changed' if old else 'added'}: {_counted(new)}"


def _counted(outputs: Sequence[_Output]) -> str:
    counts = Counter(out.name for out in outputs)
    return ", ".join(f"{count} {name}{'s' if count > 1 else ''}" for name, count in counts.items())


def source(cell: Cell) -> str:
    """The text of a cell."""
    return _text(cell.get("source"))


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "".join(part for part in value if isinstance(part, str))
    return value if isinstance(value, str) else ""


def _lines(text: str) -> list[str]:
    return text.split("\n") if text else []


def _size(value: Any) -> str:
    size = len(_text(value)) or len(_compact(value))
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{max(1, size // 1000)} kB"


def _head(book: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in book.items() if name != "cells"}


def _compact(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _json_lines(value: Any) -> list[str]:
    return json.dumps(value, indent=1, sort_keys=True).split("\n") if value else []
