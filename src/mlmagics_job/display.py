"""``display()`` and the last expression of a cell: by IPython where it is installed, plainly where it is not.

Plain values never ask IPython: importing it takes longer than many a cell.
"""

from __future__ import annotations

import builtins

from mlmagics_job import state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Tuple

    Bundle = Tuple[dict[str, Any], dict[str, Any]]

#: IPython breaks longer ones into lines.
_LINE = 79
_SIMPLE = frozenset((type(None), bool, int, float, complex, str, bytes))
_METHODS = {
    "_repr_html_": "text/html",
    "_repr_markdown_": "text/markdown",
    "_repr_latex_": "text/latex",
    "_repr_svg_": "image/svg+xml",
    "_repr_png_": "image/png",
    "_repr_jpeg_": "image/jpeg",
    "_repr_json_": "application/json",
    "_repr_javascript_": "application/javascript",
}


def show_result(value: object) -> None:
    """``sys.displayhook`` of a cell: show its last expression."""
    job = state.current
    if value is None or job is None:
        return
    builtins._ = value  # type: ignore[attr-defined]
    if job.in_child:
        return  # the parent shows its own
    data, metadata = bundle_of(value)
    if data:
        publish(data, metadata, result=True)


def publish(
    data: dict[str, Any],
    metadata: dict[str, Any] | None = None,
    *,
    display_id: str | None = None,
    update: bool = False,
    result: bool = False,
) -> None:
    """Send a bundle of representations, MIME type to data, to the reader of the job."""
    job = state.current
    if job is None:
        print(data.get("text/plain", ""))  # noqa: T201
        return
    job.send(
        {
            "type": "display",
            "data": data,
            "metadata": metadata or {},
            "display_id": display_id,
            "update": update,
            "result": result,
        }
    )


def clear_output(wait: bool = False) -> None:
    """Clear what the job has shown so far; with ``wait`` when the next output comes."""
    job = state.current
    if job is not None:
        job.send({"type": "clear", "wait": wait})


def bundle_of(value: object) -> Bundle:
    """The representations of ``value`` and their metadata; empty when it has displayed itself."""
    if is_plain(value):
        return {"text/plain": repr(value)}, {}
    job = state.current
    shell = None if job is None else job.shell()
    if shell is not None:
        data, metadata = shell.display_formatter.format(value)
        return data, metadata
    return _own_bundle(value)


def is_plain(value: object) -> bool:
    """Whether IPython would show ``value`` as its ``repr`` and nothing else."""
    kind = type(value)
    if kind in _SIMPLE:
        return True
    if kind not in (list, tuple, dict):
        return False
    return _only_simple(value, 0) and len(repr(value)) <= _LINE


def _only_simple(value: Any, depth: int) -> bool:
    kind = type(value)
    if kind in _SIMPLE:
        return True
    if depth > 3 or kind not in (list, tuple, dict) or len(value) > _LINE:
        return False
    if kind is dict:
        return all(
            _only_simple(key, depth + 1) and _only_simple(item, depth + 1) for key, item in value.items()
        )
    return all(_only_simple(item, depth + 1) for item in value)


def _own_bundle(value: Any) -> Bundle:
    kind = type(value)
    # Classes have the methods of their instances, but no instance to call them with.
    if isinstance(value, type):
        return {"text/plain": repr(value)}, {}
    if hasattr(kind, "_ipython_display_"):
        value._ipython_display_()
        return {}, {}
    data: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    if kind.__module__ == "matplotlib.figure" and hasattr(kind, "savefig"):
        from mlmagics_job import pictures

        data.update(pictures.bundle(value)[0])
    for name, mime in _METHODS.items():
        if hasattr(kind, name):
            _add(mime, _asked(getattr(value, name)), data, metadata)
    if hasattr(kind, "_repr_mimebundle_"):
        given = _asked(lambda: value._repr_mimebundle_(include=None, exclude=None))
        more, about = given if isinstance(given, tuple) else (given, {})
        data.update(more or {})
        metadata.update(about or {})
    if "text/plain" not in data:
        _add("text/plain", _asked(lambda: repr(value)), data, metadata)
    return data, metadata


def _asked(method: Callable[[], Any]) -> Any:
    """What ``method`` gives; None when it cannot, which is told and fails no cell."""
    try:
        return method()
    except NotImplementedError:
        return None
    except Exception as error:
        from mlmagics_job import errors

        if state.current is None:
            raise
        errors.mention(state.current, error)
        return None


def _add(mime: str, given: Any, data: dict[str, Any], metadata: dict[str, Any]) -> None:
    if isinstance(given, tuple):
        given, metadata[mime] = given
    if given is not None:
        data[mime] = given


def display(
    *objs: Any,
    include: Any = None,
    exclude: Any = None,
    metadata: dict[str, Any] | None = None,
    transient: dict[str, Any] | None = None,
    display_id: Any = None,
    raw: bool = False,
    clear: bool = False,
    update: bool = False,
) -> DisplayHandle | None:
    """Show objects in the job's output; with ``display_id`` return a handle whose ``update`` replaces them."""
    options = {"include": include, "exclude": exclude, "metadata": metadata, "transient": transient}
    if state.current is not None and not all(map(is_plain, objs)) and state.current.shell() is not None:
        from IPython.display import display as real

        shown: DisplayHandle | None = real(
            *objs,
            display_id=display_id,
            raw=raw,
            clear=clear,
            **options,
            **({"update": True} if update else {}),
        )
        return shown
    display_id = (transient or {}).get("display_id") or display_id
    if display_id is True:
        display_id = _new_id()
    if clear:
        clear_output(wait=True)
    empty: Any = ({},) if display_id else ()
    for value in objs or empty:
        data, about = (value, {}) if raw or not objs else bundle_of(value)
        data = {
            mime: content
            for mime, content in data.items()
            if (not include or mime in include) and mime not in (exclude or ())
        }
        if data or not objs:
            publish(data, {**about, **(metadata or {})}, display_id=display_id, update=update)
    return DisplayHandle(display_id) if display_id else None


def _new_id() -> str:
    import os

    return os.urandom(16).hex()


class DisplayHandle:
    """A place in the output which can be drawn again."""

    def __init__(self, display_id: str | None = None) -> None:
        self.display_id = display_id or _new_id()

    def __repr__(self) -> str:
        return "<DisplayHandle display_id=%s>" % self.display_id

    def display(self, value: object, **options: Any) -> None:
        """Show ``value`` in a new place with the same id, and in the earlier ones."""
        display(value, display_id=self.display_id, **options)

    def update(self, value: object, **options: Any) -> None:
        """Show ``value`` in place of what stands there."""
        display(value, display_id=self.display_id, update=True, **options)
