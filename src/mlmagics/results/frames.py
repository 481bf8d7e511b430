"""Frames, series, indexes and tables out of Arrow, as they were (``mlmagics_job.frames`` is the writer).

Extension types of Arrow are refused before Arrow sees them: what is registered for one may run code of the sender's.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable
from typing import Any

from mlmagics.results.plain import untagged
from mlmagics_job.frames import NOTES

_CONTINUES = b"\xff\xff\xff\xff"
_MAX_SCHEMA_BYTES = 2**26


def from_arrow(data: Any) -> Any:
    """The frame, series, index or table in an Arrow stream.

    Raises
    ------
    ValueError
        When there is none.
    ImportError
        When pyarrow or pandas is not installed here.
    """
    view = memoryview(data).cast("B")
    _refuse_extensions(view)
    import pyarrow as pa

    try:
        table = pa.ipc.open_stream(pa.py_buffer(view)).read_all()
        _check(pa, table)
    except pa.ArrowException as error:
        raise ValueError(str(error)) from None
    metadata = dict(table.schema.metadata or {})
    try:
        notes = json.loads(metadata.pop(NOTES, b"{}"))
        if notes.get("kind") == "Table":
            return table.replace_schema_metadata(metadata or None)
        return _Reader(table).value(notes)
    except ImportError:
        raise
    except (KeyError, TypeError, AttributeError, IndexError, NotImplementedError, pa.ArrowException) as error:
        raise ValueError(f"what it says of itself does not fit: {type(error).__name__}: {error}") from None


def _refuse_extensions(view: memoryview) -> None:
    if view.nbytes < 8 or bytes(view[:4]) != _CONTINUES:
        raise ValueError("it is no Arrow stream")
    length = struct.unpack("<i", view[4:8])[0]
    if not 0 < length <= min(_MAX_SCHEMA_BYTES, view.nbytes - 8):
        raise ValueError("it is no Arrow stream")
    if b"ARROW:extension" in bytes(view[8 : 8 + length]):
        raise ValueError("it has an extension type of Arrow")


def _check(pa: Any, table: Any) -> None:
    for field in table.schema:
        _check_type(pa, field.type)
    table.validate(full=True)


def _check_type(pa: Any, kind: Any) -> None:
    """Refuse types by which few bytes stand for any number of values."""
    of = pa.types
    if of.is_dictionary(kind):
        _check_type(pa, kind.value_type)
    empty = of.is_fixed_size_list(kind) and kind.list_size < 1
    empty = empty or (of.is_fixed_size_binary(kind) and kind.byte_width < 1)
    empty = empty or (of.is_struct(kind) and kind.num_fields < 1)
    if empty or of.is_null(kind) or of.is_run_end_encoded(kind) or isinstance(kind, pa.BaseExtensionType):
        raise ValueError(f"it has the type {kind}")
    for number in range(kind.num_fields):
        _check_type(pa, kind.field(number).type)


class _Reader:
    """Takes the columns of one table in turn."""

    def __init__(self, table: Any) -> None:
        import numpy as np
        import pandas as pd
        import pyarrow as pa

        self.np, self.pd, self.pa = np, pd, pa
        self._columns = iter(table.columns)

    def value(self, notes: dict[str, Any]) -> Any:
        """What the notes ``notes`` tell of."""
        kind = notes["kind"]
        if kind == "Index":
            return self.index(notes["index"])
        arrays = [self.column(note) for note in notes["columns"]]
        index = self.index(notes["index"])
        if kind == "Series":
            [array] = arrays
            found = self.pd.Series(array, index=index, name=untagged(notes["name"]), copy=False)
        elif kind == "DataFrame":
            found = self.pd.DataFrame(dict(enumerate(arrays)), index=index, copy=False)
            found.columns = from_arrow(base64.b64decode(notes["labels"], validate=True))
            if len(found) != notes["rows"]:
                raise ValueError("it has other rows than it says")
        else:
            raise ValueError(f"it is a {str(kind)[:40]!r}, which this mlmagics does not know")
        if "attrs" in notes:
            found.attrs = untagged(notes["attrs"])
        return found

    def index(self, notes: dict[str, Any]) -> Any:
        """The index that ``notes`` tell of."""
        pd, kind = self.pd, notes["kind"]
        names = [untagged(name) for name in notes["names"]]
        if kind == "range":
            return pd.RangeIndex(*notes["bounds"], name=names[0])
        levels = [self.column(note) for note in notes["levels"]]
        if kind == "multi":
            return pd.MultiIndex.from_arrays([self._index(level, None) for level in levels], names=names)
        index = self._index(levels[0], names[0])
        if notes.get("freq"):
            index.freq = str(notes["freq"])
        return index

    def _index(self, values: Any, name: Any) -> Any:
        # without a type, pandas looks at objects and may take them for something else
        return self.pd.Index(values, dtype=values.dtype, name=name)

    def column(self, note: dict[str, Any]) -> Any:
        """The next column, as the array that it was."""
        return self.array(next(self._columns), note)

    def array(self, column: Any, note: dict[str, Any]) -> Any:
        """A column of Arrow as the array that ``note`` tells of."""
        kind = note.get("kind")
        if kind is not None:
            make: Callable[..., Any] = getattr(self, f"_{_KINDS[kind]}")
            return make(column, note)
        dtype = note["dtype"]
        if dtype == "object":
            return self._objects(column, note["empty"])
        if dtype[0] in "<>|=":
            return self._numbers(column).astype(self.np.dtype(dtype), copy=False)
        return self.pd.api.types.pandas_dtype(dtype).__from_arrow__(self._whole(column))

    def _whole(self, column: Any) -> Any:
        """A column in one piece."""
        if not isinstance(column, self.pa.ChunkedArray):
            return column
        return column.chunk(0) if column.num_chunks == 1 else self._joined(column)

    def _joined(self, column: Any) -> Any:
        joined = column.combine_chunks()
        if not isinstance(joined, self.pa.ChunkedArray):
            return joined
        return self.pa.concat_arrays(joined.chunks) if joined.num_chunks else self.pa.array([], column.type)

    def _numbers(self, column: Any) -> Any:
        found = self._whole(column).to_numpy(zero_copy_only=False)
        # what is mapped or was received may be read only, and one's own arrays are not
        return found if found.flags.writeable else found.copy()

    def _objects(self, column: Any, empty: str) -> Any:
        cells = column.to_pylist()
        nothing = {"None": None, "nan": float("nan"), "NA": self.pd.NA, "NaT": self.pd.NaT}[empty]
        found: Any = self.np.empty(len(cells), dtype=object)
        found[:] = [nothing if cell is None else cell for cell in cells]
        return found

    def _cells(self, column: Any, note: dict[str, Any]) -> Any:
        cells = untagged(note["cells"])
        if len(cells) != len(column):
            raise ValueError("it has other cells than rows")
        found: Any = self.np.empty(len(cells), dtype=object)
        found[:] = cells
        return found

    def _complex(self, column: Any, note: dict[str, Any]) -> Any:
        return self._numbers(self._whole(column).flatten()).view(self.np.dtype(note["dtype"]))

    def _category(self, column: Any, note: dict[str, Any]) -> Any:
        array = self._whole(column)
        values = self.array(array.dictionary, note["categories"])
        categories = self._index(values, None)
        if note["index"]:
            categories = self.pd.RangeIndex(len(categories))
        codes = array.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        dtype = self.pd.CategoricalDtype(categories, ordered=bool(note["ordered"]))
        return self.pd.Categorical.from_codes(codes, dtype=dtype)

    def _zoned(self, column: Any, note: dict[str, Any]) -> Any:
        instants = (
            self._whole(column).cast(self.pa.timestamp(column.type.unit)).to_numpy(zero_copy_only=False)
        )
        dtype = self.pd.api.types.pandas_dtype(note["dtype"])
        return self.pd.DatetimeIndex(instants).tz_localize("UTC").tz_convert(dtype.tz).array

    def _string(self, column: Any, note: dict[str, Any]) -> Any:
        missing = self.pd.NA if note["missing"] == "NA" else self.np.nan
        try:
            dtype = self.pd.StringDtype(note["storage"], na_value=missing)
        except TypeError:
            dtype = self.pd.StringDtype(note["storage"])  # of a pandas before 2.3
        return dtype.__from_arrow__(column)

    def _period(self, column: Any, note: dict[str, Any]) -> Any:
        return self.pd.api.types.pandas_dtype(note["dtype"]).__from_arrow__(self._whole(column))

    def _interval(self, column: Any, note: dict[str, Any]) -> Any:
        array = self._whole(column)
        left, right = (self.array(array.field(number), side) for number, side in enumerate(note["sides"]))
        return self.pd.arrays.IntervalArray.from_arrays(left, right, closed=note["closed"])

    def _sparse(self, column: Any, note: dict[str, Any]) -> Any:
        dtype = self.pd.SparseDtype(self.np.dtype(note["subtype"]), untagged(note["fill"]))
        return self.pd.arrays.SparseArray(self.array(column, note["dense"]), dtype=dtype)

    def _arrow(self, column: Any, _note: dict[str, Any]) -> Any:
        return self.pd.arrays.ArrowExtensionArray(column)


#: What reads a column, by the kind in its note.
_KINDS = {
    kind: kind
    for kind in ("cells", "complex", "category", "zoned", "string", "period", "interval", "sparse", "arrow")
}
