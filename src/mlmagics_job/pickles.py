"""Values that have no plain form: pickled with cloudpickle, large buffers apart."""

from __future__ import annotations

import pickle
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Tuple

    Made = Tuple[Dict[str, Any], bytes, List[Any]]


def packed(value: Any) -> Made:
    """Info, pickle and buffers of ``value``, as :func:`mlmagics_job.packing.pieces` takes them."""
    cloudpickle = borrowed()
    buffers: list[Any] = []
    data = cloudpickle.dumps(value, protocol=5, buffer_callback=lambda buffer: _aside(buffer, buffers))
    return about(cloudpickle), data, buffers


def _aside(buffer: Any, buffers: list[Any]) -> bool:
    """Keep a contiguous buffer apart; another stays in the pickle."""
    try:
        buffers.append(buffer.raw())
    except BufferError:
        return True
    return False


def about(cloudpickle: Any) -> dict[str, Any]:
    """What made a pickle."""
    version = "%d.%d.%d" % sys.version_info[:3]
    return {"python": version, "cloudpickle": getattr(cloudpickle, "__version__", "")}


def borrow() -> None:
    """Let cloudpickle be found: that of the job's environment, or else the agent's, which lies in the kit."""
    from mlmagics_job.state import LENT

    if LENT not in sys.path:
        sys.path.append(LENT)


def borrowed() -> Any:
    """The cloudpickle that is found."""
    borrow()
    import cloudpickle

    return cloudpickle


def loads(pickled: Any, buffers: list[Any]) -> Any:
    """The value of a packed pickle."""
    return pickle.loads(pickled, buffers=buffers)  # noqa: S301 - of the job's own author
