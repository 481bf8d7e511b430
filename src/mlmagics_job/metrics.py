"""Metrics of a run: numbers with a step, which the job's readers can draw."""

from __future__ import annotations

from mlmagics_job import state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def log(step: float | None = None, **values: Any) -> None:
    """Record ``values`` of this run, such as ``log(step=3, rmse=0.4)``; outside a job print them in one line.

    Parameters
    ----------
    step : number, optional
        Where the values belong: a step, an epoch, a fraction of one. One that is not finite is left out.
    **values
        Numbers, or arrays and tensors of one element. What is not finite is recorded as "nan", "inf" or "-inf".

    Raises
    ------
    TypeError
        When a value is neither a number nor one element of an array, or there is none at all.
    """
    if not values:
        raise TypeError("log() needs at least one value, for example log(step=3, rmse=0.4)")
    numbers = {name: _number(name, value) for name, value in values.items()}
    step = None if step is None else _step(step)
    job = state.current
    if job is not None:
        job.channel.send({"type": "metric", "values": numbers, "step": step}, wait=False)
        return
    text = " ".join("%s=%s" % item for item in numbers.items())
    print(text if step is None else "step %s: %s" % (step, text), flush=True)  # noqa: T201


def _step(value: Any) -> Any:
    number = _number("step", value)
    try:
        return None if isinstance(number, str) or float(number) - float(number) else number
    except OverflowError:  # an integer beyond all floats
        return None


def _number(name: str, value: Any) -> Any:
    if isinstance(value, (bool, int)) and type(value) in (bool, int):
        return value
    item = getattr(value, "item", None)  # one element of NumPy, PyTorch, JAX, ...
    try:
        value = item() if callable(item) else value
        if type(value) in (bool, int):
            return value
        value = float(value) if not isinstance(value, str) else None
    except (TypeError, ValueError, RuntimeError):
        value = None
    if value is None:
        raise TypeError("log(%s=...) takes a number" % name)
    return value if value - value == 0 else repr(value)
