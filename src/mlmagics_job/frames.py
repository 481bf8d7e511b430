"""Frames, series and indexes of pandas as Arrow, with all that Arrow does not know told beside it.

Each column becomes the Arrow array that is nearest; a note beside it says what it was, so that the reader
(``mlmagics.results.frames``) gives back the very same types, index and labels. The notes lie in the metadata of the
schema under ``mlmagics``, as JSON. No extension types of Arrow: reading such may run code.
"""

from __future__ import annotations

import io
import json
import sys

from mlmagics_job import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Optional, Tuple

    #: format, bytes (about), and what writes them to an open file
    Form = Tuple[str, int, Callable[[Any], None]]
    Note = dict[str, Any]

NOTES = b"mlmagics"
_CELL_BYTES = 60
_MAX_NOTES = 2**24
#: Of the cells of a column of objects: what Arrow gives back as it was.
_CELLS = frozenset(
    (
        "str",
        "bytes",
        "bool",
        "int",
        "float",
        "Decimal",
        "date",
        "datetime",
        "time",
        "timedelta",
        "list",
        "dict",
    )
)
_LOOKED_AT = frozenset(("list", "dict", "datetime", "time", "Decimal"))


def form_of(value: Any) -> Optional[Form]:
    """How a frame, series, index or table is kept; None when ``value`` is none.

    Raises
    ------
    plain.Refused
        When a column holds what Arrow cannot.
    """
    home = type(value).__module__.partition(".")[0]
    if home == "pyarrow" and type(value).__name__ == "Table":
        return "arrow", value.nbytes, lambda file: _write(file, _table(value))
    pandas = sys.modules.get("pandas")
    if home != "pandas" or pandas is None:
        return None
    if type(value) in (pandas.DataFrame, pandas.Series) or isinstance(value, pandas.Index):
        return "arrow", _bytes_of(pandas, value), lambda file: _write(file, table_of(pandas, value))
    return None


def arrow(value: Any) -> bytes:
    """A frame, series or index as the bytes of an Arrow stream."""
    file = io.BytesIO()
    _write(file, table_of(sys.modules["pandas"], value))
    return file.getvalue()


def _bytes_of(pandas: Any, value: Any) -> int:
    """About what it has, without a look at each cell."""
    frame = value.to_frame() if isinstance(value, pandas.Series) else value
    if isinstance(value, pandas.Index):
        return int(value.memory_usage(deep=False)) + _CELL_BYTES * len(value) * int(value.dtype.kind == "O")
    objects = sum(dtype.kind == "O" for dtype in frame.dtypes)
    return int(frame.memory_usage(deep=False).sum()) + int(_CELL_BYTES * len(frame) * objects)


def _write(file: Any, table: Any) -> None:
    import pyarrow

    sink = pyarrow.PythonFile(file, mode="w")
    with pyarrow.ipc.new_stream(sink, table.schema) as writer:
        # of a batch, also of one without rows, the categories travel; of a table without rows they do not
        writer.write(table)
    file.flush()


def _table(value: Any) -> Any:
    import pyarrow

    for field in value.schema:
        if _has_extension(pyarrow, field.type):
            raise plain.Refused("[%r] has the extension type %s" % (field.name, field.type))
    metadata = {key: item for key, item in (value.schema.metadata or {}).items() if key != NOTES}
    metadata[NOTES] = json.dumps({"kind": "Table"}).encode()
    return value.replace_schema_metadata(metadata)


def table_of(pandas: Any, value: Any) -> Any:
    """The Arrow batch of a frame, series or index, with its notes.

    Raises
    ------
    plain.Refused
        As :func:`form_of`.
    """
    try:
        import pyarrow
    except ImportError:
        raise plain.Refused("needs pyarrow, which is not installed in the job's environment") from None
    maker = _Maker(pandas, pyarrow)
    if isinstance(value, pandas.Index):
        notes: Note = {"kind": "Index", "index": maker.index(value)}
    elif type(value) is pandas.Series:
        notes = {"kind": "Series", "columns": [maker.column("value", value.array, "value")]}
        notes["name"] = _plain(value.name)
        notes["index"] = maker.index(value.index)
    else:
        names = _names(value.columns)
        columns = [
            maker.column(name, value.iloc[:, number].array, "[%.100r]" % (value.columns[number],))
            for number, name in enumerate(names)
        ]
        notes = {"kind": "DataFrame", "columns": columns, "index": maker.index(value.index)}
        notes["labels"] = plain._base64(arrow(value.columns))  # noqa: SLF001
        notes["rows"] = len(value)
    attrs = getattr(value, "attrs", None)
    if attrs:
        notes["attrs"] = _plain(attrs)
    fields = [pyarrow.field(name, array.type) for name, array in maker.arrays]
    schema = pyarrow.schema(fields, metadata={NOTES: json.dumps(notes).encode()})
    return pyarrow.RecordBatch.from_arrays([array for _, array in maker.arrays], schema=schema)


def _names(labels: Any) -> list[str]:
    """A name for each column: its label where that is a text of its own."""
    found: list[str] = []
    taken = set()
    for number, label in enumerate(labels):
        name = label if type(label) is str and label not in taken else "column %d" % number
        taken.add(name)
        found.append(name)
    return found


def _plain(value: Any) -> Any:
    try:
        return plain.Plain(_MAX_NOTES, lambda *_: None).of(value)
    except plain.TooLarge:
        raise plain.Refused("has more than 16 MiB of labels, or of cells of mixed types") from None


class _Maker:
    """Makes the arrays of one table, and the notes on each."""

    def __init__(self, pandas: Any, pyarrow: Any) -> None:
        self.pandas = pandas
        self.pyarrow = pyarrow
        #: name and Arrow array of each column so far
        self.arrays: list[tuple[str, Any]] = []

    def index(self, index: Any) -> Note:
        """The notes on ``index``; its levels become columns."""
        if type(index) is self.pandas.RangeIndex:
            bounds = [index.start, index.stop, index.step]
            return {"kind": "range", "bounds": bounds, "names": [_plain(index.name)]}
        many = isinstance(index, self.pandas.MultiIndex)
        levels = [index.get_level_values(number) for number in range(index.nlevels)] if many else [index]
        columns = [
            self.column("index %d" % number, level.array, "the index") for number, level in enumerate(levels)
        ]
        stepped = type(index) in (self.pandas.DatetimeIndex, self.pandas.TimedeltaIndex)
        freq = index.freqstr if stepped and index.freq is not None else None
        kind = "multi" if many else "index"
        return {
            "kind": kind,
            "levels": columns,
            "names": [_plain(name) for name in index.names],
            "freq": freq,
        }

    def column(self, name: str, values: Any, place: str) -> Note:
        """The notes on a column of ``values``, which becomes an array of the table."""
        try:
            array, note = self._array(values)
        except plain.Refused as refused:
            refused.place = place + refused.place
            raise
        except Exception as error:
            unknown = plain.Refused("holds what Arrow cannot: %s: %.200s" % (type(error).__name__, error))
            unknown.place = place
            raise unknown from None
        if isinstance(array, self.pyarrow.ChunkedArray):
            array = array.combine_chunks()
        if isinstance(array, self.pyarrow.ExtensionArray):
            array = array.storage
        self.arrays.append((name, array))
        return note

    def _array(self, values: Any) -> tuple[Any, Note]:
        dtype = values.dtype
        kind = type(dtype).__name__
        special = getattr(self, "_of_%s" % kind.lower(), None)
        if special is not None:
            array, note = special(values, dtype)
            return array, note
        numpy = sys.modules["numpy"]
        dtype = getattr(dtype, "numpy_dtype", dtype) if not hasattr(values, "_mask") else dtype
        if isinstance(dtype, numpy.dtype):
            return self._of_numpy(numpy, numpy.asarray(values), dtype)
        if type(dtype).__module__.startswith("pandas") and hasattr(values, "_mask"):
            return values.__arrow_array__(), {"dtype": str(dtype)}
        raise plain.Refused("has the type %.100s, which only pandas itself knows" % (dtype,))

    def _of_numpy(self, numpy: Any, values: Any, dtype: Any) -> tuple[Any, Note]:
        if dtype.kind == "O":
            return self._of_objects(values)
        if dtype.kind in "biufmM":
            return self.pyarrow.array(values, from_pandas=False), {"dtype": dtype.str}
        if dtype.kind == "c":
            pairs = numpy.ascontiguousarray(values).view("f%d" % (dtype.itemsize // 2))
            array = self.pyarrow.FixedSizeListArray.from_arrays(self.pyarrow.array(pairs), 2)
            return array, {"dtype": dtype.str, "kind": "complex"}
        raise plain.Refused("has the type %s" % dtype)

    def _of_objects(self, values: Any) -> tuple[Any, Note]:
        """Cells of any type: as Arrow has them when they are of one type, else as plain JSON beside it."""
        cells = values.tolist()
        gone = [missing is True for missing in self.pandas.isna(values).tolist()]
        empty = {_empty(cell) for cell, missing in zip(cells, gone) if missing}
        kinds = {type(cell) for cell, missing in zip(cells, gone) if not missing}
        note = {"dtype": "object", "empty": next(iter(empty), "None")}
        if len(kinds) == 1 and len(empty) <= 1 and None not in empty:
            array = self._of_one_kind(cells, gone, kinds.pop().__name__)
            if array is not None:
                return array, note
        elif not kinds and len(empty) == 1:
            return self.pyarrow.nulls(len(cells), self.pyarrow.bool_()), note
        return self.pyarrow.nulls(len(cells), self.pyarrow.bool_()), {"kind": "cells", "cells": _plain(cells)}

    def _of_one_kind(self, cells: Any, gone: Any, kind: str) -> Any:
        """The cells as Arrow has them; None when it would not give them back as they were."""
        if kind not in _CELLS:
            return None
        try:
            array = self.pyarrow.array(cells, from_pandas=True)
        except (self.pyarrow.ArrowException, OverflowError):
            return None
        back = array.to_pylist() if kind in _LOOKED_AT else cells
        for one, two, missing in zip(back, cells, gone):
            if not missing and (one != two or type(one) is not type(two)):
                return None
        return array

    def _of_categoricaldtype(self, values: Any, dtype: Any) -> tuple[Any, Note]:
        numpy = sys.modules["numpy"]
        codes = numpy.asarray(values.codes)
        inner = _Maker(self.pandas, self.pyarrow)
        note = inner.column("", dtype.categories.array, ", whose categories")
        indices = self.pyarrow.array(codes, mask=codes < 0)
        array = self.pyarrow.DictionaryArray.from_arrays(indices, inner.arrays[0][1])
        note = {
            "kind": "category",
            "categories": note,
            "ordered": bool(dtype.ordered),
            "codes": codes.dtype.str,
        }
        note["index"] = type(dtype.categories) is self.pandas.RangeIndex
        return array, note

    def _of_datetimetzdtype(self, values: Any, dtype: Any) -> tuple[Any, Note]:
        zone = str(dtype)
        try:
            known = self.pandas.api.types.pandas_dtype(zone) == dtype
        except Exception:
            known = False
        if not known:
            raise plain.Refused("has the time zone %.80r, which has no name" % (dtype.tz,))
        instants = values.tz_convert("UTC").tz_localize(None)
        array = self.pyarrow.array(sys.modules["numpy"].asarray(instants), from_pandas=False)
        return array.cast(self.pyarrow.timestamp(dtype.unit, "UTC")), {"dtype": zone, "kind": "zoned"}

    def _of_stringdtype(self, values: Any, dtype: Any) -> tuple[Any, Note]:
        missing = "nan" if dtype.na_value is not self.pandas.NA else "NA"
        return values.__arrow_array__(), {"kind": "string", "storage": dtype.storage, "missing": missing}

    def _of_perioddtype(self, values: Any, dtype: Any) -> tuple[Any, Note]:
        ordinals = self.pyarrow.array(values.asi8, mask=sys.modules["numpy"].asarray(values.isna()))
        return ordinals, {"dtype": str(dtype), "kind": "period"}

    def _of_intervaldtype(self, values: Any, dtype: Any) -> tuple[Any, Note]:
        inner = _Maker(self.pandas, self.pyarrow)
        sides = [inner.column(side, getattr(values, side).array, "") for side in ("left", "right")]
        arrays = [array for _, array in inner.arrays]
        note = {"kind": "interval", "sides": sides, "closed": dtype.closed}
        return self.pyarrow.StructArray.from_arrays(arrays, names=["left", "right"]), note

    def _of_sparsedtype(self, values: Any, dtype: Any) -> tuple[Any, Note]:
        numpy = sys.modules["numpy"]
        array, note = self._array(self.pandas.Series(numpy.asarray(values.to_dense())).array)
        fill = plain.Plain(_MAX_NOTES, lambda *_: None).of(dtype.fill_value)
        return array, {"kind": "sparse", "dense": note, "subtype": dtype.subtype.str, "fill": fill}

    def _of_arrowdtype(self, values: Any, dtype: Any) -> tuple[Any, Note]:
        if _has_extension(self.pyarrow, dtype.pyarrow_dtype):
            raise plain.Refused("has the extension type %s" % dtype)
        return values.__arrow_array__(), {"kind": "arrow"}


def _has_extension(pyarrow: Any, kind: Any) -> bool:
    if isinstance(kind, pyarrow.BaseExtensionType):
        return True
    if pyarrow.types.is_dictionary(kind):
        return _has_extension(pyarrow, kind.value_type)
    return any(_has_extension(pyarrow, kind.field(number).type) for number in range(kind.num_fields))


def _empty(cell: Any) -> Optional[str]:
    """Which of the values for nothing a missing cell is; None for one that cannot be told."""
    if cell is None:
        return "None"
    return {"float": "nan", "NAType": "NA", "NaTType": "NaT"}.get(type(cell).__name__)
