"""The card that a job leaves in a notebook: one display that is updated in place. Pure."""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cluster_agent.protocol import State
from cluster_agent.units import format_duration, format_size
from mlmagics.display import ansi
from mlmagics.display.changes import gap_note
from mlmagics.display.lines import plain
from mlmagics.display.mime import as_html, shown_bundle
from mlmagics.display.view import Failure, Shown, Text, View
from mlmagics.display.watch import clock, files_line, state_line

MIME = "application/vnd.mlmagics.job+json"
#: A card is one message, and Jupyter Server drops messages that are much larger than a megabyte a second allows.
_TEXT_CHARS = 300_000
_DISPLAY_CHARS = 2_000_000
_LIVE_LINES = 12
_MAX_LINE = 2000

_BORDER = "var(--jp-border-color2,var(--vscode-panel-border,#bdbdbd))"
_MUTED = "var(--jp-ui-font-color2,var(--vscode-descriptionForeground,#616161))"
_PRE = (
    "margin:0;white-space:pre-wrap;overflow-wrap:anywhere;background:none;color:inherit;"
    "font-family:var(--jp-code-font-family,var(--vscode-editor-font-family,monospace));"
    "font-size:var(--jp-code-font-size,13px)"
)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Whose card it is; does not change while the job runs."""

    ref: str
    cluster: str
    job_id: int
    agent_id: str
    history_url: str
    name: str


def bundle(
    subject: Subject,
    view: View,
    *,
    as_of: float,
    age_s: float,
    trouble: str | None,
    data_of: Callable[[Shown], dict[str, Any]],
) -> dict[str, Any]:
    """The card as a MIME bundle.

    Parameters
    ----------
    as_of
        When this was last known to be so, Unix seconds of this machine.
    age_s
        How long before that the last event came.
    trouble
        Why nothing newer is known; None while there is contact.
    data_of
        The MIME bundle of a display, fetched if need be.
    """
    title = _title(subject, view, as_of, age_s)
    notes = _notes(subject, view, trouble)
    if view.done:
        body_html, body_text = _outputs(subject, view, data_of)
    else:
        lines = [line[:_MAX_LINE] for line in view.last_lines(_LIVE_LINES)]
        body_html = f'<pre style="{_PRE}">{ansi.to_html(chr(10).join(lines))}</pre>' if lines else ""
        body_text = "\n".join(plain(line) for line in lines)
    return {
        "text/plain": "\n".join(part for part in (title, body_text.rstrip("\n"), *notes) if part),
        "text/html": _frame(title, body_html, notes, view.word),
        MIME: {
            "cluster": subject.cluster,
            "job_id": subject.job_id,
            "agent_id": subject.agent_id,
            "history_url": subject.history_url,
            "name": subject.name,
            "state": view.state.value,
            "as_of": as_of,
        },
    }


def _title(subject: Subject, view: View, as_of: float, age_s: float) -> str:
    name = f" {subject.name}" if subject.name else ""
    head = f"{subject.ref}{name}: "
    if view.ended is not None:
        parts = [view.word]
        if view.ended.seconds is not None:
            parts[0] += f" after {format_duration(view.ended.seconds)}"
        if view.state is not State.SUCCEEDED and view.ended.reason:
            parts.append(view.ended.reason)
        if view.ended.peak_memory_bytes:
            parts.append(f"peak memory {format_size(view.ended.peak_memory_bytes)}")
        return head + ", ".join(parts)
    line = state_line(view)
    shown = [line[0].upper() + line[1:]]
    if view.state is State.RUNNING and view.started_at is not None:
        # both times are the agent's; its clock need not be this machine's
        ran = view.as_of - view.started_at + age_s
        shown.append(f"for {format_duration(max(0, round(ran)))}")
    shown += [f"{key} {_number(value)}" for key, value in list(view.metric.items())[:4]]
    return head + ", ".join([*shown, f"as of {clock(as_of)}"])


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)[:40]


def _notes(subject: Subject, view: View, trouble: str | None) -> list[str]:
    if view.done:
        files = files_line(view, subject.ref)
        dropped = f"{format_size(view.dropped_bytes)} of output are in no log" if view.dropped_bytes else ""
        return [note for note in (files, dropped) if note]
    notes = [f"No contact at present: {trouble}; the job is not affected, trying again"] if trouble else []
    return [*notes, f"To see all of it: %logs {subject.ref}   To cancel it: %cancel {subject.ref}"]


def _frame(title: str, body: str, notes: list[str], state: str) -> str:
    style = f"border:1px solid {_BORDER};border-radius:3px;padding:6px 10px;margin:2px 0"
    rest = "".join(
        f'<div style="color:{_MUTED};white-space:pre-wrap">{html.escape(note)}</div>' for note in notes
    )
    bold = html.escape(title).replace(html.escape(state), f"<strong>{html.escape(state)}</strong>", 1)
    inner = f'<div style="margin:6px 0">{body}</div>' if body else ""
    return (
        f'<div class="mlmagics-card" role="group" aria-label="{html.escape(title)}" style="{style}">'
        f"<div>{bold}</div>{inner}{rest}</div>"
    )


def _outputs(subject: Subject, view: View, data_of: Callable[[Shown], dict[str, Any]]) -> tuple[str, str]:
    """All that the job displayed, within the budget of one message, as HTML and as text."""
    markup, text = [], []
    room = _DISPLAY_CHARS
    for item, lines in zip(view.items, _text_within(view, subject.ref), strict=True):
        if isinstance(item, Shown):
            data = shown_bundle(data_of(item), foreign=False)
            content = as_html(data)
            if len(content) > room:
                content = (
                    f"<div>A display of {format_size(len(content))} is left out: %logs {subject.ref}</div>"
                )
            room -= len(content)
            markup.append(f"<div>{content}</div>")
            text.append(f"{data.get('text/plain', '<' + ', '.join(sorted(data)) + '>')}\n")
        else:
            markup.append(f'<pre style="{_PRE}">{ansi.to_html(lines)}</pre>')
            text.append(plain(lines) if lines.endswith("\n") else plain(lines) + "\n")
    return "".join(markup), "".join(text)


def _text_within(view: View, ref: str) -> list[str]:
    """The text of each item (empty for displays): of too much text the middle is left out."""
    texts = [_text(item, ref) for item in view.items]
    share = _TEXT_CHARS // 2
    if sum(map(len, texts)) <= _TEXT_CHARS:
        return texts
    ends = [0]
    for text in texts:
        ends.append(ends[-1] + len(text))
    first, last = share, ends[-1] - share
    shown = []
    for start, text in zip(ends, texts, strict=False):
        head, tail = text[: max(0, first - start)], text[max(0, last - start) :]
        if len(head) + len(tail) >= len(text):
            shown.append(text)
            continue
        head, tail = head[: head.rfind("\n") + 1], tail[tail.find("\n") + 1 :]
        left_out = text.count("\n") - head.count("\n") - tail.count("\n")
        shown.append(head + gap_note(left_out, ref) + tail)
    return shown


def _text(item: Text | Shown | Failure, ref: str) -> str:
    if isinstance(item, Shown):
        return ""
    if isinstance(item, Failure):
        return "\n".join(item.traceback) or f"{item.ename}: {item.evalue}"
    gap = gap_note(item.left_out, ref) if item.left_out else ""
    return "".join(item.head) + gap + "".join(item.tail)
