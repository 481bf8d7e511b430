"""Exceptions of a cell as ``error`` frames: coloured by IPython where it is installed, else by Python itself."""

from __future__ import annotations

import os
import sys

from mlmagics_job import state
from mlmagics_job.channel import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

    from mlmagics_job.state import Job

#: Characters of a traceback, and the bytes of its frame (a line of the log has at most 1 MiB).
_LIMIT = 200_000
_FRAME_BYTES = 900_000
_NAME_LIMIT = 4096
#: Whoever raises from here has said it all in the message; the ways into it are no news.
_OURS = frozenset(("mlmagics_job", "mlmagics", "cluster_agent"))
#: What the methods of an exception may raise in their turn; one that exits must not make a success of the failure.
_BROKEN = (Exception, SystemExit)


def report(job: Job, error: BaseException) -> None:
    """Send ``error`` to the reader of the job; a forked child prints it instead."""
    job.reserve = b""
    strip(error, job.filename)
    if job.in_child:
        print_plainly(error)
        return
    lines = _by_ipython(job, error) or _by_python(error)
    name = type(error).__name__
    if isinstance(error, SyntaxError) and name.startswith("_"):
        name = "SyntaxError"  # IPython asks Python for a private kind of it
    send(job, name, _text_of(job, error), lines, **_missing(error))


def mention(job: Job, error: BaseException) -> None:
    """Print ``error`` on stderr as a reader would see it, when the cell goes on after it."""
    strip(error, job.filename)
    lines = None if job.in_child else _by_ipython(job, error)
    _print(lines or _by_python(error))


def send(job: Job, ename: str, evalue: str, traceback: list[str], **missing: str) -> None:
    """Send an ``error`` frame, cut where it would not fit into a line of the log."""
    limit = _LIMIT
    while True:
        frame = {
            "type": "error",
            "ename": ename,
            "evalue": _cut(evalue, limit // 4),
            "traceback": bounded(traceback, limit),
            **missing,
        }
        if limit < 100 or len(encode(frame)) < _FRAME_BYTES:
            break
        limit //= 2
    job.send(frame)


def print_plainly(error: BaseException) -> None:
    """Print ``error`` on stderr, as Python would."""
    _print(_by_python(error))


def _print(lines: list[str]) -> None:
    for line in lines:
        sys.stderr.write(line + "\n")
    sys.stderr.flush()


def _missing(error: BaseException) -> dict[str, str]:
    """What readers give advice by: the ``name`` that has no value, the ``path`` that an OSError is about."""
    try:
        if isinstance(error, NameError):
            # Python 3.10 and later tell it, but not for a local variable.
            key, text = "name", getattr(error, "name", None) or _quoted(str(error))
        elif isinstance(error, OSError) and isinstance(error.filename, (str, bytes, os.PathLike)):
            key, text = "path", os.fsdecode(error.filename)
        else:
            return {}
    except _BROKEN:
        return {}  # its class has methods of its own
    return {key: text} if isinstance(text, str) and 0 < len(text) <= _NAME_LIMIT else {}


def _quoted(text: str) -> str:
    parts = text.split("'")
    return parts[1] if len(parts) == 3 and parts[1].isidentifier() else ""


def _text_of(job: Job, error: BaseException) -> str:
    try:
        if isinstance(error, SyntaxError) and error.filename == job.filename:
            # Python would shorten the name of the cell at its slash.
            return "%s (%s, line %s)" % (error.msg, job.title, error.lineno)
        return str(error)
    except _BROKEN as broken:
        return "<its text could not be had: %s>" % type(broken).__name__


def _by_ipython(job: Job, error: BaseException) -> list[str] | None:
    try:
        shell = job.shell()
        if shell is None or _has_group(error):
            return None
        lines = shell.lines_of(error)
    except _BROKEN:
        # The process may be in any state by now; the error must get out nevertheless.
        return None
    return list(lines)


def _by_python(error: BaseException) -> list[str]:
    import traceback

    try:
        return (
            "".join(traceback.format_exception(type(error), error, error.__traceback__))
            .rstrip("\n")
            .split("\n")
        )
    except _BROKEN:
        return [type(error).__name__]


def _has_group(error: BaseException | None) -> bool:
    # IPython leaves exception groups to Python, too.
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(getattr(error, "exceptions", None), tuple) and hasattr(error, "derive"):
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


def strip(error: BaseException | None, filename: str) -> None:
    """Take the frames that are not the author's off ``error`` and all that it is chained to."""
    todo: list[Any] = [error]
    seen: set[int] = set()
    while todo:
        error = todo.pop()
        if not isinstance(error, BaseException) or id(error) in seen:
            continue
        seen.add(id(error))
        if isinstance(error, SyntaxError) and error.filename == filename:
            error.__traceback__ = None  # of the cell itself: only the compiler's callers would stand there
        else:
            error.__traceback__ = _stripped(error, filename)
        todo += [error.__cause__, error.__context__]
        inner = getattr(error, "exceptions", ())
        todo += inner if isinstance(inner, tuple) else ()


def _stripped(error: BaseException, filename: str) -> TracebackType | None:
    links: list[TracebackType] = []
    traceback = error.__traceback__
    in_cell = ours = False
    while traceback is not None:
        name = traceback.tb_frame.f_code.co_filename
        if name == filename and not in_cell:
            in_cell = True
            links.clear()  # what led into the cell: the kit, an event loop, a shell
        ours = _is_ours(traceback)
        if not name.startswith(state.KIT_CODE):
            links.append(traceback)
        traceback = traceback.tb_next
    return _chained(_of_author(links) if ours and isinstance(error, Exception) else links)


def own_lines(error: BaseException) -> list[str]:
    """What IPython shows of ``error`` in a notebook when only the author's own lines shall stand there."""
    from IPython.core.getipython import get_ipython

    links: list[TracebackType] = []
    traceback = error.__traceback__
    while traceback is not None:
        links.append(traceback)
        traceback = traceback.tb_next
    short = _chained(_of_author(links))
    shell = get_ipython()
    if shell is None:
        return _by_python(error.with_traceback(short))
    lines: list[str] = shell.InteractiveTB.structured_traceback(type(error), error, short, tb_offset=0)
    return lines


def _of_author(links: list[TracebackType]) -> list[TracebackType]:
    """The frames from the first that is no library's to the next that is one's."""
    found: list[TracebackType] = []
    for link in links:
        if not _is_ours(link) and not _is_library(link.tb_frame.f_code.co_filename):
            found.append(link)
        elif found:
            break
    return found


def _is_ours(link: TracebackType) -> bool:
    return str(link.tb_frame.f_globals.get("__name__", "")).partition(".")[0] in _OURS


def _is_library(filename: str) -> bool:
    return (
        "site-packages" in filename
        or "dist-packages" in filename
        or filename.startswith(("<frozen ", os.path.dirname(os.__file__) + os.sep))
    )


def _chained(links: list[TracebackType]) -> TracebackType | None:
    result = None
    for link in reversed(links):
        result = type(link)(result, link.tb_frame, link.tb_lasti, link.tb_lineno)
    return result


def bounded(lines: list[str], limit: int = _LIMIT) -> list[str]:
    """``lines`` with at most about ``limit`` characters: long ones, then middle ones, say what was cut."""
    lines = [_cut(line, limit // 4) for line in lines]
    if sum(map(len, lines)) <= limit:
        return lines
    first: list[str] = []
    last: list[str] = []
    for part, source in ((first, lines), (last, lines[::-1])):
        room = limit // 2
        for line in source:
            room -= len(line)
            if room < 0:
                break
            part.append(line)
    left_out = len(lines) - len(first) - len(last)
    return [*first, "... %d more lines, cut here ..." % left_out, *last[::-1]]


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    half = limit // 2
    return "%s\n... %d more characters, cut here ...\n%s" % (text[:half], len(text) - 2 * half, text[-half:])
