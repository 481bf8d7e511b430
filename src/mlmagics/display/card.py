"""The card that a job leaves in a notebook: one display that is updated in place. Pure.

HTML and text only, and no script: so it is the same in JupyterLab, in VS Code, in the saved file, in nbconvert. It
states nothing about the present without the time at which it was so.
"""

from __future__ import annotations

import html
from typing import Any

from mlmagics.display import ansi, telling
from mlmagics.display.chart import MUTED, charts_html, metrics_line
from mlmagics.display.escapes import plain
from mlmagics.display.outputs import PRE, Outputs
from mlmagics.display.progress import Progress
from mlmagics.display.telling import Contact, Subject
from mlmagics.display.view import View

MIME = "application/vnd.mlmagics.job+json"
_LIVE_LINES = 12
_MAX_LINE = 2000
_BAR_CHARS = 30

_BORDER = "var(--jp-border-color1,var(--vscode-panel-border,#bdbdbd))"
_BAR = "var(--jp-brand-color1,var(--vscode-progressBar-background,#1976d2))"
_WARNING = "var(--jp-warn-color1,var(--vscode-editorWarning-foreground,#b26a00))"


def bundle(
    subject: Subject, view: View, contact: Contact, shown: Outputs | None = None, advice: str = ""
) -> dict[str, Any]:
    """The card as a MIME bundle; ``shown`` is what an ended job showed, ``advice`` what to type next."""
    head, word, rest = telling.title(subject, view, contact)
    facts, warnings = telling.facts(subject, view, contact), telling.warnings(subject, view, contact)
    notes = [note for note in (*telling.notes(subject, view), advice) if note]
    metrics = view.figures.metrics.traces()
    progress = view.progress if not view.done else None
    markup, text = _body(view, shown)
    charts = charts_html(metrics, points=view.done)
    blocks = [
        *(_muted(fact) for fact in facts),
        _bar(progress) if progress else "",
        *(_warning(line) for line in warnings),
        *((markup, charts) if view.done else (charts, markup)),
        *(_muted(note) for note in notes),
    ]
    latest = metrics_line(metrics)
    told = [head + word + rest, *facts, _text_bar(progress) if progress else "", *warnings]
    told += [text, latest] if view.done else [latest, text]
    return {
        "text/plain": "\n".join(part for part in (*told, *notes) if part),
        "text/html": _frame(head, word, rest, blocks),
        MIME: {
            "cluster": subject.cluster,
            "job_id": subject.job_id,
            "agent_id": subject.agent_id,
            "history_url": subject.history_url,
            "name": subject.name,
            "state": view.state.value,
            "as_of": contact.as_of,
        },
    }


def charts_bundle(view: View) -> dict[str, Any] | None:
    """The metrics of an ended job as a display of their own; None when it has none."""
    metrics = view.figures.metrics.traces()
    if not metrics:
        return None
    return {"text/plain": metrics_line(metrics), "text/html": charts_html(metrics, points=True)}


def _body(view: View, shown: Outputs | None) -> tuple[str, str]:
    if shown is not None:
        return "".join(shown.markup), "".join(shown.text).rstrip("\n")
    lines = [line[:_MAX_LINE] for line in view.last_lines(_LIVE_LINES)]
    text = "\n".join(lines)
    return (f'<pre style="{PRE}">{ansi.to_html(text)}</pre>' if text else ""), plain(text).rstrip("\n")


def _bar(progress: Progress) -> str:
    said = html.escape(progress.text)
    if progress.fraction is None:
        return f"<div>{said}</div>"
    # borders, as backgrounds are not printed, and taken away where colours are forced
    fill = f"width:{100 * progress.fraction:.1f}%;height:0;border-top:8px solid;border-top-color:{_BAR};border-radius:2px"
    return (
        f'<div>{said}</div><div role="progressbar" aria-label="progress of the job" aria-valuemin="0" '
        f'aria-valuemax="100" aria-valuenow="{progress.percent}" aria-valuetext="{said}" '
        f'style="border:1px solid;border-color:{_BORDER};border-radius:3px;margin:2px 0 6px;max-width:480px">'
        f'<div style="{fill}"></div></div>'
    )


def _text_bar(progress: Progress) -> str:
    if progress.fraction is None:
        return progress.text
    done = int(progress.fraction * _BAR_CHARS)
    return f"[{'#' * done}{'-' * (_BAR_CHARS - done)}] {progress.text}"


def _muted(line: str) -> str:
    return f'<div style="color:{MUTED};white-space:pre-wrap">{html.escape(line)}</div>'


def _warning(line: str) -> str:
    return f'<div style="border-left:4px solid;border-left-color:{_WARNING};padding-left:8px">{html.escape(line)}</div>'


def _frame(head: str, word: str, rest: str, blocks: list[str]) -> str:
    head, rest = html.escape(head), html.escape(rest)
    style = f"border:1px solid;border-color:{_BORDER};border-radius:3px;padding:6px 10px;margin:2px 0;{ansi.THEMED}"
    inner = "".join(f'<div style="margin-top:4px">{block}</div>' for block in blocks if block)
    return (
        f'<div class="mlmagics-card" role="group" aria-label="{head}{word}{rest}" style="{style}">'
        f"<div>{head}<strong>{word}</strong>{rest}</div>{inner}</div>"
    )
