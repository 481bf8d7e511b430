"""Which of a job's displays are shown, and in which form. Pure.

What a cell shows is *trusted* by Jupyter: scripts in it run in the reader's page, with the reader's files and
clusters. So nothing that comes from a job goes there as it is unless it is inert. Tables, styled ones too,
pictures, formulas and formatted text are, and look as they do in a local cell. HTML with scripts goes into a
frame without an origin, where it works and reaches nothing. Script and widget types are dropped: a saved copy of
them runs later, at somebody who did not ask. Of somebody else's job every HTML is in a frame, as its styles may
paint over the page, and what needs a renderer that reads more than data is shown as text.
"""

from __future__ import annotations

import base64
import binascii
import html
import math
import re
from typing import Any

import msgspec

from cluster_agent.units import format_size
from mlmagics.display.escapes import one_line, shown_text
from mlmagics.display.markup import is_inert, is_inert_latex, is_inert_markdown

#: A display of more than this, in one of its forms, is left out: a notebook file has to hold it.
MAX_CHARS = 5_000_000

_IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")
#: Renderers that draw data; only for one's own jobs.
_DATA = re.compile(r"application/geo\+json|application/vnd\.(plotly|vega|vegalite)\.v\d+\+json")
_MAX_TYPES = 5
_MAX_TYPE = 60

_FRAME_STYLE = (
    "width:100%;height:20em;resize:vertical;border:1px solid var(--jp-border-color2,#bdbdbd);background:#fff"
)


def shown_bundle(data: dict[str, Any], *, foreign: bool) -> dict[str, Any]:
    """The part of the MIME bundle ``data`` that is shown; never empty.

    Parameters
    ----------
    foreign
        Whether it comes from somebody else's job.
    """
    bundle: dict[str, Any] = {}
    left_out: list[str] = []
    for mime, content in data.items():
        try:
            bundle |= _shown(mime, content, foreign=foreign)
        except _LeftOut as reason:
            left_out.append(f"{_name(mime)}: {reason}")
    if (
        "text/html" in bundle
        and "image/svg+xml" in data
        and "text/html" not in data
        and "image/png" in bundle
    ):
        del bundle["text/html"]
    if not bundle or (left_out and set(bundle) <= {"text/plain"}):
        bundle["text/plain"] = "\n".join(filter(None, [bundle.get("text/plain"), _told(data, left_out)]))
    return bundle


def shown_metadata(bundle: dict[str, Any], metadata: dict[str, Any]) -> dict[str, Any]:
    """What of ``metadata`` goes with ``bundle``: sizes and grounds of pictures, nothing that a page obeys."""
    shown = {}
    for mime in bundle:
        told = metadata.get(mime)
        if isinstance(told, dict):
            kept = {key: value for key, value in told.items() if _is_known(mime, key, value)}
            if kept:
                shown[mime] = kept
    return shown


def can_be_shown(mime: str) -> bool:
    """Whether data of this type is ever shown."""
    return (
        mime in _TEXTS or mime in _IMAGES or mime == "application/json" or _DATA.fullmatch(mime) is not None
    )


class _LeftOut(Exception):
    """Why a form of a display is not shown."""


def _shown(mime: str, content: Any, *, foreign: bool) -> dict[str, Any]:
    if mime == "application/json" or (_DATA.fullmatch(mime) and not foreign):
        _check_size(msgspec.json.encode(content))
        return {mime: content}
    if not can_be_shown(mime) or _DATA.fullmatch(mime):
        # what is not known is worth a word only when nothing else is shown
        return {}
    text = _text(content)
    _check_size(text)
    if mime in _IMAGES:
        return {mime: _image(text if isinstance(content, str | list) else "")}
    return _TEXTS[mime](text, foreign)


def _plain_text(text: str, _foreign: bool) -> dict[str, Any]:
    return {"text/plain": shown_text(text)}


def _html_text(text: str, foreign: bool) -> dict[str, Any]:
    return {"text/html": text if not foreign and is_inert(text) else framed(text)}


def _svg_text(text: str, foreign: bool) -> dict[str, Any]:
    return {"image/svg+xml": text} if not foreign and is_inert(text) else {"text/html": svg_image(text)}


def _markdown_text(text: str, foreign: bool) -> dict[str, Any]:
    return {"text/markdown": text} if not foreign and is_inert_markdown(text) else {}


def _latex_text(text: str, foreign: bool) -> dict[str, Any]:
    return {"text/latex": text} if not foreign and is_inert_latex(text) else {}


_TEXTS = {
    "text/plain": _plain_text,
    "text/html": _html_text,
    "text/markdown": _markdown_text,
    "text/latex": _latex_text,
    "image/svg+xml": _svg_text,
}


def _image(text: str) -> str:
    try:
        content = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise _LeftOut("its base64 is broken") from None
    if not content:
        raise _LeftOut("it is empty")
    return text


def _check_size(content: str | bytes) -> None:
    if len(content) > MAX_CHARS:
        raise _LeftOut(f"{format_size(len(content))} is too large for a cell; the job's page has it")


def _told(data: dict[str, Any], left_out: list[str]) -> str:
    if left_out:
        return "\n".join(f"<not shown: {reason}>" for reason in left_out)
    first = next((data[mime] for mime in ("text/markdown", "text/latex") if mime in data), None)
    if first is not None:
        return shown_text(_text(first))
    names = [_name(mime) for mime in sorted(data)[:_MAX_TYPES]]
    more = f" and {len(data) - _MAX_TYPES} more" if len(data) > _MAX_TYPES else ""
    return f"<not shown here: {', '.join(names) + more or 'an empty display'}>"


def _name(mime: str) -> str:
    return one_line(mime)[:_MAX_TYPE]


def _is_known(mime: str, key: str, value: Any) -> bool:
    if mime == "application/json":
        return key == "expanded" and isinstance(value, bool)
    if not mime.startswith("image/"):
        return False
    if key in ("width", "height"):
        return isinstance(value, int | float) and math.isfinite(value) and 0 < value <= 10_000
    return (key == "needs_background" and value in ("light", "dark")) or (
        key == "unconfined" and value is True
    )


def framed(markup: str) -> str:
    """``markup`` in a frame whose scripts reach neither the page around it nor its origin."""
    return (
        f'<iframe sandbox="allow-scripts" referrerpolicy="no-referrer" style="{_FRAME_STYLE}" '
        f'title="HTML output of the job" srcdoc="{html.escape(markup)}"></iframe>'
    )


def svg_image(markup: str) -> str:
    """An SVG as an image: its scripts do not run, its ids do not clash with the page's."""
    encoded = base64.b64encode(markup.encode("utf-8", "replace")).decode()
    return f'<img alt="SVG output of the job" src="data:image/svg+xml;base64,{encoded}">'


def _text(content: Any) -> str:
    # Notebooks keep long strings as lists of lines; kernels may send them so, too.
    if isinstance(content, list):
        return "".join(part for part in content if isinstance(part, str))
    return content if isinstance(content, str) else str(content)
