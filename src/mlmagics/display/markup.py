"""Whether markup is inert: whether it can be put into a page without anything in it ever running. Pure.

No parser is asked, as browsers read broken markup in their own ways and there are many of these. Instead every
``<`` in the text has to begin a tag of a known kind with known attributes, written without any oddity; then it
does not matter in what state a browser is when it comes to it. Styles run nothing; those that leave their place to
cover the page, or could tell what is on it to another host, are refused. What is refused is not lost: it is shown in
a frame that is shut off from the page.
"""

from __future__ import annotations

import html
import re

_WORD = re.compile(r"\S+")
_HTML_TAGS = frozenset(
    _WORD.findall(
        "a abbr article aside audio b bdi bdo blockquote br caption center cite code col colgroup dd del details dfn "
        "div dl dt em figcaption figure font footer h1 h2 h3 h4 h5 h6 header hr i img input ins kbd label li main mark "
        "meter ol p picture pre progress q s samp section small source span strike strong style sub summary sup table "
        "tbody td tfoot th thead time tr tt u ul var video wbr"
    )
)
_SVG_TAGS = frozenset(
    _WORD.findall(
        "svg g path rect circle ellipse line polyline polygon text tspan textpath defs clippath mask use symbol image "
        "lineargradient radialgradient stop pattern marker title desc metadata filter fegaussianblur feoffset feblend "
        "feflood fecomposite fecolormatrix femerge femergenode fedropshadow"
    )
)
#: Descriptions that matplotlib puts into its SVG.
_METADATA = frozenset(
    _WORD.findall(
        "rdf:rdf rdf:description rdf:bag rdf:li cc:work cc:agent cc:license dc:type dc:date dc:format dc:creator "
        "dc:title"
    )
)
_TAGS = _HTML_TAGS | _SVG_TAGS | _METADATA

_NAME = r"[A-Za-z_][A-Za-z0-9_:.-]*"
# What HTML takes for space; to Python's own classes more is space, so that a value would seem to end too early.
_S = r"[ \t\n\r\f]"
_ATTRIBUTE = re.compile(
    rf"{_S}+({_NAME})(?:{_S}*={_S}*(?:\"([^\"<>]*)\"|'([^'<>]*)'|([^\s\"'=<>`]+(?<!/))))?(?={_S}|/?>)"
)
_TAG = re.compile(
    rf"<({_NAME})((?:{_S}+{_NAME}(?:{_S}*={_S}*(?:\"[^\"<>]*\"|'[^'<>]*'|[^\s\"'=<>`]+(?<!/)))?(?={_S}|/?>))*)"
    rf"{_S}*/?>"
    rf"|</({_NAME}){_S}*>"
    r"|<!--(?:(?!--)[^<>])*-->|<!DOCTYPE[^<>\[\]]*>|<\?xml[^<>]*\?>|<(?=[\s\d=]|$)"
)
#: Beside all that begin with "on": these load, submit, or are read by programs of the page, such as JupyterLab's own.
_ATTRIBUTES = re.compile(
    r"on.*|data-.*|srcdoc|srcset|action|formaction|form|ping|background|dynsrc|lowsrc|is|slot|nonce|popover.*|"
    r"http-equiv|autofocus|tabindex|accesskey|contenteditable|xml:base",
    re.IGNORECASE,
)
_ADDRESSES = frozenset({"href", "xlink:href", "src", "poster", "cite", "longdesc", "data"})
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):")
_MEDIA = re.compile(r"data:(?:image/(?:png|jpeg|gif|webp|svg\+xml)|audio/[\w.+-]+|video/[\w.+-]+)[;,]")
_INVISIBLE = re.compile(r"[\x00-\x20\x7f-\x9f]")
_RUNNING = re.compile(r"(?:javascript|vbscript|livescript|data):")
# Of a style: what is placed on the page and not in the output; what can be written so that it is not seen here.
_PLACED = re.compile(r"\\|(?<!table-layout:)(?<![a-z-])fixed(?![a-z-])")
# Of a style sheet: what loads something; rules could make that depend on what stands in the page.
_LOADING = re.compile(r"@import|image-set|src\(|url\((?![\"']?(?:#|data:image/))")
_SPACES = re.compile(r"[\x00-\x20]+")
_LATEX = re.compile(
    r"\\(?:href|url|require|unicode|class|cssId|style|html\w*|data|includegraphics|input|def)\b"
)


def is_inert(markup: str) -> bool:
    """Whether nothing in ``markup``, HTML or SVG, can run, whoever shows it."""
    position = markup.find("<")
    while position >= 0:
        tag = _TAG.match(markup, position)
        if tag is None or not _harmless(tag):
            return False
        position = markup.find("<", tag.end())
    return _keeps_to_itself(markup)


def is_inert_markdown(text: str) -> bool:
    """Whether ``text`` is Markdown without active HTML and without links that run something."""
    bare = _INVISIBLE.sub("", html.unescape(text)).replace("\\", "").lower()
    return is_inert(text) and not _RUNNING.search(bare)


def is_inert_latex(text: str) -> bool:
    """Whether ``text`` is formulas only: without links, loading, styles and macros."""
    return _LATEX.search(text) is None


def _harmless(tag: re.Match[str]) -> bool:
    name = (tag[1] or tag[3] or "").lower()
    if name and name not in _TAGS:
        return False
    for found in _ATTRIBUTE.finditer(f"{tag[2] or ''}>"):
        key, value = found[1].lower(), found[2] or found[3] or found[4] or ""
        if _ATTRIBUTES.fullmatch(key):
            return False
        if key in _ADDRESSES and not _leads_nowhere_bad(name, value):
            return False
        if key == "style" and _PLACED.search(_rules(value)):
            return False
        if key == "name" and name not in {"a", "input"}:
            return False  # `document.cookie` is then a picture of this name, and the page can save nothing any more
        if name == "input" and key == "type" and value.lower() not in {"checkbox", "radio"}:
            return False
    return True


def _keeps_to_itself(markup: str) -> bool:
    """Whether the style sheets in ``markup`` neither cover the page nor load anything."""
    lower = markup.lower()
    start, end = lower.find("<style"), lower.rfind("</style")
    sheet = _rules(markup[start : end if end > start else None]) if start >= 0 else ""
    return not _PLACED.search(sheet) and not _LOADING.search(sheet)


def _rules(style: str) -> str:
    return _SPACES.sub("", html.unescape(style)).lower()


def _leads_nowhere_bad(tag: str, value: str) -> bool:
    address = _INVISIBLE.sub("", html.unescape(value)).lower()
    if tag == "use":
        return address.startswith("#")
    scheme = _SCHEME.match(address)
    if scheme is None or scheme[1] in {"http", "https", "mailto"}:
        return True
    return tag in {"img", "audio", "video", "source", "image"} and _MEDIA.match(address) is not None
