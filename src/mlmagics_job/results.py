"""The variables that the job keeps: those that it was asked for, and small ones unasked, or why they are not kept.

JSON goes into the frame itself; all else is written to a file without a name, whose descriptor goes with the frame,
so that hundreds of megabytes pass through no channel.
"""

from __future__ import annotations

import os
import sys
import tempfile

from mlmagics_job import forms, plain
from mlmagics_job.channel import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Optional

    from mlmagics_job.state import Job

_KIND = 200
_PLACE = 80
_HEAD_BYTES = 1000


def send_all(job: Job) -> None:
    """Send each variable: one without a value that can be kept loses no other."""
    space = job.main.__dict__
    for name in job.fetch:
        try:
            send_one(job, name, space)
        except Exception as error:
            refuse(job, name, space.get(name), "its value could not be sent: %s" % told(error))
    if job.keep_each:
        from mlmagics_job import unasked

        unasked.send_all(job)


def send_one(job: Job, name: str, space: dict[str, Any]) -> None:
    """Send the variable ``name``, which was asked for: in a plain form, or else as a pickle."""
    if name not in space:
        job.send({"type": "result", "name": name, "reason": "the cell made no variable of this name"})
        return
    value = space[name]
    try:
        send_plain(job, name, value)
    except plain.TooLarge:
        refuse(job, name, value, "%s has more than 64 MiB as JSON: write it to a file of the project" % name)
    except plain.Refused as refused:
        _send_pickle(job, name, value, "%s%.*s %s" % (name, _PLACE, refused.place, refused.why))


def send_plain(job: Job, name: str, value: Any, room: Optional[int] = None, **more: Any) -> int:
    """Send ``value`` in a plain form; the bytes that were sent.

    Raises
    ------
    plain.Refused
        When it has no such form.
    plain.TooLarge
        When it has more than ``room`` bytes, or more than JSON may have.
    """
    frame = {"type": "result", "name": name, "kind": kind_of(value), **more}
    form = forms.binary_form(value)
    if form is not None:
        return _send_file(job, {**frame, "format": form[0]}, form[2], room)
    most = forms.MAX_JSON_BYTES if room is None else min(room, forms.MAX_JSON_BYTES)
    found, made = forms.json_form(value, most)
    frame = {**frame, "format": found, "data": {"application/json": made}}
    size = len(encode({**frame, "ack": True}))
    if size > most + _HEAD_BYTES:
        raise plain.TooLarge
    job.send(frame)
    return size


def refuse(job: Job, name: str, value: Any, reason: str, **more: Any) -> None:
    """Say why ``name`` is not kept."""
    job.send({"type": "result", "name": name, "kind": kind_of(value), "reason": reason, **more})


def kind_of(value: Any) -> str:
    """The name of its type."""
    return "%.*s" % (_KIND, type(value).__name__)


def told(error: BaseException) -> str:
    """``error`` in one line."""
    return "%s: %.300s" % (type(error).__name__, " ".join(str(error).split()))


def _send_file(
    job: Job, frame: dict[str, Any], write: Callable[[Any], None], room: Optional[int] = None
) -> int:
    with _nameless(job.results) as file:
        write(file)
        file.flush()
        size = os.fstat(file.fileno()).st_size
        if room is not None and size > room:
            raise plain.TooLarge(size)
        job.send(frame, file.fileno())
    return size


def _send_pickle(job: Job, name: str, value: Any, why: str) -> None:
    """Send a value that has no plain form as what only ``--trust`` reads."""
    from mlmagics_job import packing, pickles

    try:
        made = pickles.packed(value)
    except Exception as error:
        refuse(job, name, value, "%s, and it cannot be pickled: %s" % (why, told(error)))
        return

    def write(file: Any) -> None:
        for piece in packing.pieces(*made):
            file.write(piece)

    _send_file(job, {"type": "result", "name": name, "kind": kind_of(value), "format": "pickle"}, write)


def _nameless(folder: str) -> Any:
    """An open file on the disk of the job's folder that has no name, so that nothing of it is left behind."""
    if not folder:
        return tempfile.TemporaryFile("w+b")
    os.makedirs(folder, 0o700, exist_ok=True)
    flag = getattr(os, "O_TMPFILE", None)
    if sys.platform == "linux" and flag:
        try:
            return os.fdopen(os.open(folder, flag | os.O_RDWR, 0o600), "w+b")
        except OSError:
            pass  # not every file system has these
    return tempfile.TemporaryFile("w+b", dir=folder)
