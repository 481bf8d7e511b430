"""What a card says in words: the state, why it is so, what is used, what to type. Pure."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass, replace

from cluster_agent.protocol import State
from cluster_agent.units import format_duration, format_size
from mlmagics.display.clock import clock, until
from mlmagics.display.drawing import left_out_lines
from mlmagics.display.escapes import one_line
from mlmagics.display.sampling import usage_line
from mlmagics.display.view import Kept, View
from mlmagics.display.watch import files_line

#: the end of its time is told so long before; of a short time in its last half
_WARNING_S = 900.0
_MAX_REASON = 300
_MAX_NAMES = 10
#: How the reason of a result ends that only has to be asked for.
_ASK = "name it in --fetch"


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Whose card it is; does not change while the job runs."""

    ref: str
    cluster: str
    job_id: int
    agent_id: str
    history_url: str
    name: str
    cpus: int = 1
    memory_bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class Contact:
    """What is known of the present.

    Attributes
    ----------
    as_of
        When the view was last known to be so, Unix seconds of this machine.
    age_s
        How long before that the last event came.
    deadline_at
        When the time limit ends the job, on the agent's clock; None when that is not known.
    trouble, lost_at
        Why nothing newer is known, and since when; None while there is contact.
    given_up
        Whether nobody tries any more to know.
    """

    as_of: float
    age_s: float = 0.0
    deadline_at: float | None = None
    trouble: str | None = None
    lost_at: float | None = None
    given_up: bool = False


def title(subject: Subject, view: View, contact: Contact) -> tuple[str, str, str]:
    """The first line in three parts, of which the second is the word for the state."""
    name = f" {subject.name}" if subject.name else ""
    after = ""
    if view.ended is not None and view.ended.seconds is not None:
        after = f" after {format_duration(view.ended.seconds)}"
    rest = "".join(f", {part}" for part in _circumstances(view, contact))
    return f"{subject.ref}{name}: ", view.word, after + rest


def _circumstances(view: View, contact: Contact) -> list[str]:
    ended = view.ended
    if ended is not None:
        why = one_line(ended.reason or "")[:_MAX_REASON] if view.state is not State.SUCCEEDED else ""
        return [part for part in (why, _moment(ended.at) if ended.at else "") if part]
    parts = []
    if view.state is State.QUEUED and view.position:
        parts.append(f"place {view.position}")
    if view.state is State.RUNNING and view.started_at is not None:
        # both times are the agent's; its clock need not be this machine's
        ran = view.as_of - view.started_at + contact.age_s
        parts.append(f"for {format_duration(max(0, round(ran)))}")
    return [*parts, f"as of {_moment(contact.as_of)}"]


def facts(subject: Subject, view: View, contact: Contact) -> list[str]:
    """What is known about a job beside its state."""
    said = []
    if view.state is State.QUEUED:
        starts = ""
        if view.starts_by is not None:
            starts = f"starts by {until(_here(view.starts_by, view, contact))}"
        said.append("; ".join(part for part in (one_line(view.waiting_for or ""), starts) if part))
    elif view.message:
        said.append(one_line(view.message))
    samples = view.figures.samples
    if view.done:
        peak = view.ended.peak_memory_bytes if view.ended else None
        memory = f"peak memory {format_size(peak)}" if peak else ""
        environment = f"environment {one_line(view.environment)}" if view.environment else ""
        said.append(", ".join(part for part in (memory, samples.summary(), environment) if part))
        if view.state is not State.SUCCEEDED and view.progress:
            said.append(f"It got as far as {replace(view.progress, eta_s=None).text}")
    elif samples.latest is not None:
        said.append(usage_line(samples.latest, cpus=subject.cpus, memory_bytes=subject.memory_bytes))
    return [fact for fact in said if fact]


def warnings(subject: Subject, view: View, contact: Contact) -> list[str]:
    """What somebody should know soon: a log that may miss something, no contact, hardly any time left."""
    said = [] if view.done else [f"{hole[0].upper()}{hole[1:]}" for hole in view.holes[-1:]]
    if contact.trouble and not view.done:
        since = f" since {clock(contact.lost_at)}" if contact.lost_at is not None else ""
        going_on = (
            f"To look again: %logs {subject.ref}"
            if contact.given_up
            else "A job goes on without it; trying again"
        )
        trouble = one_line(contact.trouble).rstrip(".")
        stop = "" if trouble.endswith("?") else "."
        said.append(f"No contact with {subject.cluster}{since}: {trouble}{stop} {going_on}")
    if view.state is State.RUNNING and not view.stopping and contact.deadline_at and view.started_at:
        left = contact.deadline_at - view.as_of - contact.age_s
        if 0 < left <= min(_WARNING_S, (contact.deadline_at - view.started_at) / 2):
            at = until(contact.as_of + left)
            rounded = left if left < 60 else 60 * round(left / 60)
            said.append(
                f"Its time limit ends it at {at}, in {format_duration(round(rounded))}. "
                f"To give it more time: %extend {subject.ref} 2h"
            )
    return said


def notes(subject: Subject, view: View) -> list[str]:
    """What to type: while the job goes on, and to get what it left behind."""
    if not view.done:
        return [f"To see all of it: %logs {subject.ref}   To cancel it: %cancel {subject.ref}"]
    lines = (
        *left_out_lines(view, subject.ref),
        files_line(view, subject.ref),
        *results_lines(view, subject.ref),
    )
    return [line for line in lines if line]


def results_lines(view: View, ref: str, told: Collection[str] = ()) -> list[str]:
    """Which variables of the job were kept and which were not, and how to get them; but those that were ``told``.

    Nothing of a job that did not succeed: what a cell had when it was stopped is no result.
    """
    if view.state is not State.SUCCEEDED:
        return []
    entries = [entry for entry in view.results if entry.name not in told]
    kept = [entry for entry in entries if entry.reason is None]
    large = [entry for entry in entries if (entry.reason or "").endswith(_ASK)]
    lines = []
    if kept:
        names, size = _some([one_line(entry.name) for entry in kept]), sum(entry.size for entry in kept)
        lines.append(f"Kept: {names} ({format_size(size)}): %fetch {ref} {_one_of(kept)}")
    if large:
        names = _some([_with_size(entry) for entry in large])
        lines.append(f"Not kept: {names}, {_ASK if len(large) == 1 else 'name what you need in --fetch'}")
    return lines + [
        f"Not kept: {one_line(entry.name)}: {one_line(entry.reason)}"
        for entry in entries
        if entry.reason is not None and entry not in large
    ]


def _some(names: list[str]) -> str:
    more = len(names) - _MAX_NAMES
    return ", ".join(names[:_MAX_NAMES]) + (f" and {more} more" if more > 0 else "")


def _one_of(kept: list[Kept]) -> str:
    return one_line(kept[0].name) if len(kept) == 1 else "NAME"


def _with_size(entry: Kept) -> str:
    return one_line(entry.name) + (f" ({format_size(entry.size)})" if entry.size else "")


def _here(at: float, view: View, contact: Contact) -> float:
    """The agent's time ``at`` on this machine's clock."""
    return at + contact.as_of - contact.age_s - view.as_of if view.as_of else at


def _moment(at: float) -> str:
    """A time that can still be understood in a notebook that is opened next year."""
    return f"{clock(at)} on {time.strftime('%d %b %Y', time.localtime(at)).lstrip('0')}"
