"""Which of a job's displays are shown, and in which form. Pure.

A display of one's own job is treated as Jupyter treats the output of a cell: its HTML is shown as it is. The
code that made it was written and run by the same person a moment ago, and comes from an agent that this person
attached; a frame around it would break tables, themes and plots and protect from nobody. Somebody else's job is
another matter: outputs of a cell that was just run are *trusted* by Jupyter, so that scripts in them would run
in the reader's browser, with the reader's files and clusters. There HTML goes into a frame without an origin
and SVG becomes an image. Script and widget types are dropped for everybody: a saved copy of them runs later, at
somebody who did not ask.
"""

from __future__ import annotations

import base64
import html
import re
from typing import Any

#: shown to everybody as they are
_SAFE = ("text/plain", "image/png", "image/jpeg", "image/gif", "image/webp", "application/json")
#: shown as they are for one's own jobs; renderers that draw data, and text that may hold HTML
_OWN = ("text/html", "text/markdown", "text/latex", "image/svg+xml", "application/geo+json")
_OWN_DATA = re.compile(r"application/vnd\.(plotly|vega|vegalite)\.v\d+\+json")

_FRAME_STYLE = (
    "width:100%;height:20em;resize:vertical;border:1px solid var(--jp-border-color2,#bdbdbd);background:#fff"
)


def shown_bundle(data: dict[str, Any], *, foreign: bool) -> dict[str, Any]:
    """The part of the MIME bundle ``data`` that is shown; never empty."""
    bundle = {mime: content for mime, content in data.items() if mime in _SAFE}
    if foreign:
        if "image/svg+xml" in data and "image/png" not in bundle:
            bundle["text/html"] = svg_image(_text(data["image/svg+xml"]))
        elif "text/html" in data:
            bundle["text/html"] = framed(_text(data["text/html"]))
    else:
        bundle |= {
            mime: content for mime, content in data.items() if mime in _OWN or _OWN_DATA.fullmatch(mime)
        }
    if not bundle:
        types = ", ".join(sorted(data)) or "an empty display"
        bundle["text/plain"] = f"<not shown here: {types}>"
    return bundle


def framed(markup: str) -> str:
    """``markup`` in a frame whose scripts reach neither the page around it nor its origin."""
    return (
        f'<iframe sandbox="allow-scripts" referrerpolicy="no-referrer" style="{_FRAME_STYLE}" '
        f'title="HTML output of the job" srcdoc="{html.escape(markup)}"></iframe>'
    )


def svg_image(markup: str) -> str:
    """An SVG as an image: its scripts do not run, its ids do not clash with the page's."""
    encoded = base64.b64encode(markup.encode()).decode()
    return f'<img alt="SVG output of the job" src="data:image/svg+xml;base64,{encoded}">'


def as_html(data: dict[str, Any]) -> str:
    """The richest form of the bundle ``data`` that fits into HTML."""
    for mime in ("image/png", "image/jpeg", "image/gif", "image/webp"):
        if mime in data:
            alt = html.escape(_text(data.get("text/plain", "image output of the job")))
            encoded = re.sub(r"[^A-Za-z0-9+/=]", "", _text(data[mime]))
            return f'<img alt="{alt}" style="max-width:100%" src="data:{mime};base64,{encoded}">'
    if "text/html" in data:
        return _text(data["text/html"])
    if "image/svg+xml" in data:
        return svg_image(_text(data["image/svg+xml"]))
    first = next((data[mime] for mime in ("text/plain", "text/markdown", "text/latex") if mime in data), "")
    return f"<pre>{html.escape(_text(first))}</pre>"


def _text(content: Any) -> str:
    # Notebooks keep long strings as lists of lines; kernels may send them so, too.
    return "".join(content) if isinstance(content, list) else str(content)
