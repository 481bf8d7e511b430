"""What came with the cell: parameters, definitions, modules and values, in ``__main__`` before its first line."""

from __future__ import annotations

import mmap
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from mlmagics_job.state import Job

#: Its memory is read at once: a mapping of so little would cost more.
_SMALL_BYTES = 1 << 16


class _Told:
    """It says all in its message; how it came about is no news to the author of a cell."""

    def _render_traceback_(self, *_: Any) -> list[str]:
        return ["%s: %s" % (type(self).__name__, self)]


class ValueNotLoaded(_Told, Exception):
    """A value that was sent with the cell cannot be had in this environment."""


class NoSuchValue(_Told, ImportError):
    """What a value needs is not installed in this environment."""


def take(job: Job) -> None:
    """Put all that came with the cell into ``__main__``.

    Raises
    ------
    ValueNotLoaded, NoSuchValue
        When a value cannot be loaded.
    Exception
        Of a definition, as its own code raises it.
    """
    space = job.main.__dict__
    order = job.order
    if order.get("inputs"):
        sys.path.insert(0, order["inputs"])
    for name, text in (order.get("params") or {}).items():
        space[name] = _literal(text)
    sources = order.get("sources") or []
    values = order.get("values") or []
    _show_texts(job, sources)
    for number, source in enumerate(sources):
        for value in values:
            if value["before"] == number:
                space[value["name"]] = _loaded(value)
        _define(source, space)
    for value in values:
        if value["before"] is None:
            space[value["name"]] = _loaded(value)


def _literal(text: str) -> Any:
    import ast

    return ast.literal_eval(text)


def _name_of(source: dict[str, Any]) -> str:
    return "<%s>" % source["origin"]


def _show_texts(job: Job, sources: list[dict[str, Any]]) -> None:
    """Let tracebacks show the lines of the definitions, each where it stood in the notebook."""
    lines: dict[str, list[str]] = {}
    for source in sources:
        here = lines.setdefault(_name_of(source), [])
        first, text = source["line"] - 1, source["text"].split("\n")
        here.extend([""] * (first + len(text) - len(here)))
        here[first : first + len(text)] = text
    job.texts.update({name: "\n".join(text) + "\n" for name, text in lines.items()})
    if "linecache" in sys.modules:
        job.remember_source()


def _define(source: dict[str, Any], space: dict[str, Any]) -> None:
    text = "\n" * (source["line"] - 1) + source["text"]
    code = compile(text, _name_of(source), "exec", dont_inherit=True)
    exec(code, space)  # noqa: S102


def _loaded(value: dict[str, Any]) -> Any:
    from mlmagics_job import packing, pickles

    told = "%s (%s), which was sent with this cell," % (value["name"], value["kind"])
    try:
        info, pickled, buffers = packing.taken_apart(_memory(value["path"]))
    except (OSError, packing.NotPacked) as error:
        raise ValueNotLoaded("%s cannot be read: %s" % (told, error)) from None
    try:
        pickles.borrow()
        return pickles.loads(pickled, buffers)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        text = "%s needs the module %s, which the Python of this job (%s) lacks: add --with %s, or choose a --runtime that has it"
        raise NoSuchValue(text % (told, missing, sys.executable, missing), name=error.name) from None
    except Exception as error:
        raise ValueNotLoaded(
            "%s cannot be loaded here: %s: %s; %s"
            % (told, type(error).__name__, " ".join(str(error).split())[:500], _versions(info))
        ) from None


def _versions(info: dict[str, Any]) -> str:
    here = "%d.%d.%d" % sys.version_info[:3]
    return "it was made by Python %s and cloudpickle %s, and this is Python %s" % (
        info.get("python"),
        info.get("cloudpickle"),
        here,
    )


def _memory(path: str) -> Any:
    """The bytes of a file; of a large one a private mapping, so that arrays are used where they lie."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size < _SMALL_BYTES:
            return bytearray(file.read())
        return mmap.mmap(file.fileno(), size, access=mmap.ACCESS_COPY)
