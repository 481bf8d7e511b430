"""All that an ended job showed, as one piece of HTML and of text with a bounded size. Pure.

What cannot stand inside HTML (plots that a front end draws from data), or is too large for it, is left for outputs of
its own beneath: nothing that ``%logs`` shows is lost.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cluster_agent.units import format_size
from mlmagics.display import ansi
from mlmagics.display.changes import gap_note, rest_text
from mlmagics.display.escapes import plain
from mlmagics.display.mime import shown_bundle, shown_metadata, svg_image
from mlmagics.display.view import Failure, Item, Shown, View

#: a card's text where there is no HTML (that has all that the view holds), its displays, what goes beneath it
_TEXT_CHARS = 100_000
_DISPLAY_CHARS = 2_000_000
_BENEATH_CHARS = 20_000_000

_IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")
_DRAWN = re.compile(r"application/(?:json|geo\+json|vnd\.(?:plotly|vega|vegalite)\..*\+json)")

_FONT = "var(--jp-code-font-family,var(--vscode-editor-font-family,monospace))"
PRE = (
    "margin:0;padding:0;border:0;white-space:pre-wrap;overflow-wrap:anywhere;background:none;color:inherit;"
    f"font-family:{_FONT};font-size:var(--jp-code-font-size,13px);line-height:1.4"
)


@dataclass
class Outputs:
    """What an ended job showed.

    Attributes
    ----------
    markup, text
        All of it, with a line in place of each display that is in ``beneath`` or left out.
    beneath
        MIME bundles and their metadata, each for an output of its own below.
    """

    markup: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    beneath: list[tuple[dict[str, Any], dict[str, Any]]] = field(default_factory=list)
    _left_out: int = 0
    _left_out_chars: int = 0

    def line(self, said: str) -> None:
        """A line of our own between the outputs."""
        self.markup.append(f"<div>{html.escape(said)}</div>")
        self.text.append(f"{said}\n")

    def leave_out(self, size: int) -> None:
        """Count a display that is not shown."""
        self._left_out += 1
        self._left_out_chars += size

    def tell_left_out(self, ref: str) -> None:
        """Say what was left out since the last time."""
        if self._left_out:
            what = "1 display" if self._left_out == 1 else f"{self._left_out:,} displays"
            self.line(f"{what} ({format_size(self._left_out_chars)}) left out here: %logs {ref}")
        self._left_out = self._left_out_chars = 0


def outputs(view: View, ref: str, data_of: Callable[[Shown], dict[str, Any]], *, beneath: bool) -> Outputs:
    """All that ``view`` holds.

    Parameters
    ----------
    data_of
        The MIME bundle of a display, fetched if need be.
    beneath
        Whether there can be outputs beneath; else what would be there is left out and counted.
    """
    made = Outputs()
    room, room_beneath = _DISPLAY_CHARS, _BENEATH_CHARS if beneath else 0
    texts = [_text(item, ref) for item in view.items]
    for item, full, short in zip(view.items, texts, _within(texts, ref), strict=True):
        if not isinstance(item, Shown):
            made.tell_left_out(ref)
            made.markup.append(f'<pre style="{PRE}">{ansi.to_html(full)}</pre>' if full else "")
            made.text.append(plain(short) if short.endswith("\n") else plain(short) + "\n")
            continue
        data = shown_bundle(data_of(item), foreign=False)
        content = inline(data, shown_metadata(data, item.metadata))
        size = len(content) or _size(data)
        if content and size <= room:
            made.tell_left_out(ref)
            room -= size
            made.markup.append(f'<div style="overflow-x:auto">{content}</div>')
            made.text.append(f"{data.get('text/plain', '<' + ', '.join(sorted(data)) + '>')}\n")
        elif size <= room_beneath:
            made.tell_left_out(ref)
            room_beneath -= size
            made.beneath.append((data, shown_metadata(data, item.metadata)))
            made.line(f"[display {len(made.beneath)} beneath]")
        else:
            made.leave_out(size)
    made.tell_left_out(ref)
    return made


def inline(data: dict[str, Any], metadata: dict[str, Any]) -> str:
    """The form of the bundle ``data`` that front ends prefer, as HTML; empty for plots drawn from data."""
    if any(_DRAWN.fullmatch(mime) for mime in data):
        return ""
    if "text/html" in data:
        return _joined(data["text/html"])
    if "image/svg+xml" in data:
        return svg_image(_joined(data["image/svg+xml"]))
    for mime in _IMAGES:
        if mime in data:
            alt = html.escape(_joined(data.get("text/plain", "image output of the job")))
            size = "".join(
                f' {side}="{int(extent)}"'
                for side, extent in sorted(metadata.get(mime, {}).items())
                if side in ("width", "height")
            )
            encoded = re.sub(r"[^A-Za-z0-9+/=]", "", _joined(data[mime]))
            return f'<img alt="{alt}"{size} style="max-width:100%" src="data:{mime};base64,{encoded}">'
    if "text/latex" in data:
        # front ends typeset formulas in HTML, but not in preformatted text
        return f"<div>{html.escape(_joined(data['text/latex']))}</div>"
    text = next((data[mime] for mime in ("text/markdown", "text/plain") if mime in data), None)
    return f'<pre style="{PRE}">{html.escape(_joined(text))}</pre>' if text is not None else ""


def _joined(content: Any) -> str:
    # notebooks keep long strings as lists of lines; kernels may send them so, too
    return "".join(map(str, content)) if isinstance(content, list) else str(content)


def _size(data: dict[str, Any]) -> int:
    return sum(len(content if isinstance(content, str) else repr(content)) for content in data.values())


def _within(texts: list[str], ref: str) -> list[str]:
    """``texts`` as they are shown where there is no HTML: of too much the middle is left out."""
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


def _text(item: Item, ref: str) -> str:
    if isinstance(item, Shown):
        return ""
    if isinstance(item, Failure):
        return item.text
    return "".join(item.head) + (rest_text(item, ref) if item.overflows else "")
