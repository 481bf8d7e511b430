"""Small results that nobody has asked for: they are kept, for who asks only afterwards."""

from __future__ import annotations

import time

from mlmagics_job import forms, plain, results
from mlmagics_job.made import made_here

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mlmagics_job.state import Job

#: For all of them: nobody waits longer than this for the end of a job because of what it was not asked for.
_PATIENCE_S = 5.0
#: So many are looked at, the first ones that the cell has made.
_MAX_NAMES = 200
#: So many that are not kept are told.
_MAX_TOLD = 20
#: What the cell has shown, as a rule; drawing takes its time.
_SHOWN = frozenset(("png",))
_NO_ROOM = "more than the %s that are kept unasked: name it in --fetch"
#: types whose length is about their size
_LONG = (str, bytes, bytearray)


def send_all(job: Job) -> None:
    """Send what is small and plain, the smallest first, and say what else there is."""
    give_up = time.monotonic() + _PATIENCE_S
    space = job.main.__dict__
    left = job.keep_all
    sized: list[tuple[int, str]] = []
    not_kept: list[tuple[str, str, int]] = []
    for name in made_here(job)[:_MAX_NAMES]:
        try:
            form = forms.binary_form(space[name])
            if form is None or form[0] not in _SHOWN:
                sized.append((form[1] if form else 0, name))
        except plain.Refused as refused:
            not_kept.append((name, "%s%.80s %s" % (name, refused.place, refused.why), 0))
        except Exception as error:
            not_kept.append((name, results.told(error), 0))
    sized.sort(key=lambda item: item[0])
    for size, name in sized:
        value, room = space[name], min(left, job.keep_each)
        try:
            if size > room or time.monotonic() > give_up:
                raise plain.TooLarge(size)
            left -= results.send_plain(job, name, value, room, unasked=True)
        except plain.TooLarge as large:
            size = large.args[0] if large.args else len(value) if type(value) in _LONG else 0
            limit = _size(job.keep_each if size > job.keep_each or not size else job.keep_all)
            not_kept.append((name, _NO_ROOM % limit, size))
        except plain.Refused:
            continue  # there is no plain form of its kind, as of most objects
        except Exception as error:
            not_kept.append((name, results.told(error), 0))
    for name, reason, size in not_kept[:_MAX_TOLD]:
        results.refuse(job, name, space[name], reason, unasked=True, size=size)


def _size(count: float) -> str:
    for unit in ("bytes", "KiB", "MiB"):
        if count < 1024:
            return "%.4g %s" % (count, unit)
        count /= 1024
    return "%.4g GiB" % count
