"""Values that only a pickle holds: reading one runs whatever its sender has put into it."""

from __future__ import annotations

import pickle
from typing import Any

from mlmagics_job.packing import taken_apart


def from_pickle(data: Any) -> Any:
    """The value of a pickle, which must be trusted.

    Raises
    ------
    ValueError
        When there is none in it, or something that it needs is not here.
    """
    info, pickled, buffers = taken_apart(data)
    try:
        return pickle.loads(pickled, buffers=buffers)  # noqa: S301 - the caller was told to trust it
    except ImportError:
        raise
    except Exception as error:  # noqa: BLE001 - it may raise anything
        made = f"it was made by Python {info.get('python')} and cloudpickle {info.get('cloudpickle')}"
        raise ValueError(f"{type(error).__name__}: {error}; {made}") from None
