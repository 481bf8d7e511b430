"""Coloured text as HTML. Pure."""

from __future__ import annotations

import html
import re

_CODE = re.compile(r"\x1b\[([0-9;:]*)m")
# Middle tones, for light and for dark ground; THEMED brings each nearer to the colour of the theme's text.
_TONES = (
    *("#6b7280", "#c0392b", "#2e8b57", "#a8730b", "#2f6fd0", "#a04bb5", "#12868f", "#8b9099"),
    *("#7f8794", "#d9483b", "#36a264", "#b98512", "#4b86e0", "#b565c9", "#1d9aa3", "#a3a8b0"),
)
_COLOURS = tuple(f"var(--mlm{number},{tone})" for number, tone in enumerate(_TONES))
_TEXT = "var(--jp-content-font-color0,var(--vscode-foreground,#333))"
#: declarations for an element around the text, so that its colours can be read on the theme's ground
THEMED = f"--mlmt:{_TEXT};" + ";".join(
    f"--mlm{number}:color-mix(in srgb,{tone} {70 if number % 8 != 7 else 45}%,{_TEXT})"
    for number, tone in enumerate(_TONES)
)
# Light tones, so that dark text can be read on them whatever the theme is.
_GROUNDS = ("#9ca3af", "#f0a49b", "#93d1ae", "#e8c268", "#9dbff0", "#d8aee3", "#86cdd3", "#d5d8dd")
_DARK = "#111111"
_LEVELS = (0, 95, 135, 175, 215, 255)


def to_html(text: str) -> str:
    """``text`` escaped for HTML, its colours as styles."""
    shown: list[str] = []
    style: dict[str, str] = {}
    end = 0
    for code in _CODE.finditer(text):
        shown.append(_span(text[end : code.start()], style))
        style = _after(style, [int(number or 0) for number in re.split("[;:]", code[1])])
        end = code.end()
    shown.append(_span(text[end:], style))
    return "".join(shown)


def _span(text: str, style: dict[str, str]) -> str:
    escaped = html.escape(text, quote=False)
    if not style or not text:
        return escaped
    if style.get("background") in _GROUNDS and style.get("color", _COLOURS[0]) == _COLOURS[0]:
        style = {**style, "color": _DARK}
    css = ";".join(f"{name}:{value}" for name, value in style.items())
    return f'<span style="{css}">{escaped}</span>'


_SIMPLE: dict[int, tuple[str, str | None]] = {
    1: ("font-weight", "bold"),
    3: ("font-style", "italic"),
    4: ("text-decoration", "underline"),
    22: ("font-weight", None),
    23: ("font-style", None),
    24: ("text-decoration", None),
    39: ("color", None),
    49: ("background", None),
    **{30 + n: ("color", _COLOURS[n]) for n in range(8)},
    **{90 + n: ("color", _COLOURS[8 + n]) for n in range(8)},
    **{40 + n: ("background", _GROUNDS[n]) for n in range(8)},
    **{100 + n: ("background", _GROUNDS[n]) for n in range(8)},
}


def _after(style: dict[str, str], codes: list[int]) -> dict[str, str]:
    style = dict(style)
    while codes:
        code = codes.pop(0)
        if code == 0:
            style = {}
        elif code in (38, 48):
            colour = _extended(codes)
            if colour:
                style["color" if code == 38 else "background"] = _nearer(colour) if code == 38 else colour
        elif code in _SIMPLE:
            name, value = _SIMPLE[code]
            style.pop(name, None)
            if value is not None:
                style[name] = value
    return style


def _nearer(colour: str) -> str:
    """``colour`` nearer to that of the theme's text, where it is not one of ours that is so anyway."""
    return colour if colour.startswith("var") else f"color-mix(in srgb,{colour} 65%,var(--mlmt,currentColor))"


def _extended(codes: list[int]) -> str | None:
    """The colour that follows a 38 or 48; its numbers are taken from ``codes``."""
    kind = codes.pop(0) if codes else 0
    if kind == 2 and len(codes) >= 3:
        red, green, blue = (min(codes.pop(0), 255) for _ in range(3))
        return f"rgb({red},{green},{blue})"
    if kind != 5 or not codes:
        return None
    number = min(codes.pop(0), 255)
    if number < 16:
        return _COLOURS[number]
    if number >= 232:
        grey = 8 + 10 * (number - 232)
        return f"rgb({grey},{grey},{grey})"
    number -= 16
    return f"rgb({_LEVELS[number // 36]},{_LEVELS[number // 6 % 6]},{_LEVELS[number % 6]})"
