"""Arrays out of numpy's own formats. Pickles in them are refused."""

from __future__ import annotations

import io
import math
import zipfile
from typing import Any

_MAGIC = b"\x93NUMPY"


def from_npy(data: Any) -> Any:
    """The array in the bytes of a npy file; it uses them as its memory where it can.

    Raises
    ------
    ValueError
        When they hold no array, a pickle, or not all of an array.
    """
    import numpy as np
    from numpy.lib import format as npy

    view = memoryview(data)
    file = io.BytesIO(bytes(view[: 2**16]))
    version = npy.read_magic(file)
    if version == (1, 0):
        shape, fortran, dtype = npy.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, fortran, dtype = npy.read_array_header_2_0(file)
    else:
        # one with names of fields that are not Latin: rare, and small
        return np.load(io.BytesIO(bytes(view)), allow_pickle=False)
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which only a pickle can")
    count = math.prod(shape)
    if count * dtype.itemsize != view.nbytes - file.tell():
        raise ValueError("it has other bytes than its head says")
    if not dtype.itemsize:
        return np.empty(shape if math.prod(shape) < 2**31 else 0, dtype)
    array = np.frombuffer(view, dtype, count, file.tell())
    return array.reshape(shape[::-1]).transpose() if fortran else array.reshape(shape)


def from_npz(data: Any) -> Any:
    """The masked array, sparse matrix, list, tuple or dict of arrays in a npz file.

    Raises
    ------
    ValueError
        When it holds none, or a pickle.
    """
    view = memoryview(data)
    _check_archive(view)
    import numpy as np

    with np.load(io.BytesIO(view), allow_pickle=False) as parts:
        names = set(parts.files)
        if "is masked" in names:
            return np.ma.MaskedArray(parts["data"], parts["mask"], fill_value=parts["fill"][()])
        if "format" in names:
            return _sparse(view)
        if "is dict" in names:
            keys = [str(key) for key in parts["keys"]]
            return {key: parts[str(number)] for number, key in enumerate(keys)}
        arrays = [parts[str(number)] for number in range(len(names) - 1)]
    return tuple(arrays) if "is tuple" in names else arrays


def _sparse(view: memoryview) -> Any:
    import scipy.sparse

    return scipy.sparse.load_npz(io.BytesIO(view))


def _check_archive(view: memoryview) -> None:
    """Refuse members that would become more than they are."""
    try:
        with zipfile.ZipFile(io.BytesIO(view)) as archive:
            members = archive.infolist()
    except zipfile.BadZipFile as error:
        raise ValueError(str(error)) from None
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise ValueError("its arrays are compressed")
    if sum(member.file_size for member in members) > view.nbytes:
        raise ValueError("its arrays overlap")
