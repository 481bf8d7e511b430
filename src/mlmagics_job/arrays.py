"""Arrays of numpy and scipy in numpy's own formats, which hold numbers and text and nothing that runs."""

from __future__ import annotations

import io
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Optional, Tuple

    #: format, bytes (about), and what writes them to an open file
    Form = Tuple[str, int, Callable[[Any], None]]

_HEAD_BYTES = 128
_SPARSE = frozenset(("csr", "csc", "coo", "bsr", "dia"))


def form_of(value: Any) -> Optional[Form]:
    """How an array is kept; None when ``value`` is none that can be."""
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return None
    if type(value) is numpy.ndarray and not value.dtype.hasobject:
        return "npy", _HEAD_BYTES + value.nbytes, lambda file: _save(numpy, file, value)
    if type(value) is numpy.ma.MaskedArray and not value.dtype.hasobject:
        return "npz", 2 * _HEAD_BYTES + 2 * value.nbytes, lambda file: _save_masked(numpy, file, value)
    if _is_sparse(value):
        return "npz", _sparse_bytes(value), lambda file: _save_sparse(file, value)
    arrays = _arrays_in(numpy, value)
    if arrays is not None:
        size = sum(_HEAD_BYTES + array.nbytes for array in arrays.values())
        return "npz", size, lambda file: _save_many(numpy, file, value, arrays)
    return None


def npy(value: Any) -> bytes:
    """An array as the bytes of a npy file."""
    file = io.BytesIO()
    _save(sys.modules["numpy"], file, value)
    return file.getvalue()


def _save(numpy: Any, file: Any, value: Any) -> None:
    numpy.lib.format.write_array(file, value, allow_pickle=False)


def _save_masked(numpy: Any, file: Any, value: Any) -> None:
    parts = {
        "data": value.data,
        "mask": numpy.ma.getmaskarray(value),
        "fill": numpy.asarray(value.fill_value),
    }
    numpy.savez(file, **{"is masked": numpy.empty(0, bool)}, **parts)


def _is_sparse(value: Any) -> bool:
    sparse = sys.modules.get("scipy.sparse")
    return (
        sparse is not None
        and sparse.issparse(value)
        and value.format in _SPARSE
        and not value.dtype.hasobject
    )


def _sparse_bytes(value: Any) -> int:
    parts = ("data", "indices", "indptr", "row", "col", "offsets")
    return sum(_HEAD_BYTES + getattr(getattr(value, part, None), "nbytes", 0) for part in parts)


def _save_sparse(file: Any, value: Any) -> None:
    sys.modules["scipy.sparse"].save_npz(file, value, compressed=False)


def _arrays_in(numpy: Any, value: Any) -> Optional[dict[str, Any]]:
    """The arrays of a list, tuple or dict that holds nothing else."""
    if type(value) in (list, tuple):
        named = {str(number): item for number, item in enumerate(value)}
    elif type(value) is dict and all(type(key) is str and key for key in value):
        named = {str(number): item for number, item in enumerate(value.values())}
    else:
        return None
    if not named or not all(
        type(item) is numpy.ndarray and not item.dtype.hasobject for item in named.values()
    ):
        return None
    return named


def _save_many(numpy: Any, file: Any, value: Any, arrays: dict[str, Any]) -> None:
    marks = {"is %s" % type(value).__name__: numpy.empty(0, bool)}
    if type(value) is dict:
        marks["keys"] = numpy.array(list(value), dtype=str)
    numpy.savez(file, **marks, **arrays)
