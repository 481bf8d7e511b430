"""What a job must not be able to do to the page: run something, lead it elsewhere, stop it, mislead its reader."""

from __future__ import annotations

import base64
import hashlib
import os
from typing import Any

import pytest
from history_page import enter, expect, lines, png, state, until

pytestmark = pytest.mark.browser

MARKUP = "<img src=x onerror='window.hit=1'><script>window.hit=1</script><svg onload='window.hit=1'>"
SVG = (
    "<svg xmlns='http://www.w3.org/2000/svg' width='30' height='30' onload='parent.hit=1'>"
    "<script>parent.hit=1</script><image href='http://192.0.2.1/x.png'/><rect width='30' height='30'/></svg>"
)
HTML = (
    f"{MARKUP}</svg><p><iframe srcdoc='<script>top.hit=1</script>'></iframe><object data='javascript:top.hit=1'></object>"
    "<a href='javascript:top.hit=1' id=link>press</a><base href='http://192.0.2.1/'><b>bold</b>"
    "<img src='data:image/svg+xml,<svg onload=alert(1)>'><link rel=stylesheet href=http://192.0.2.1/>"
)


def picture(width: int, height: int, rows: bytes | None = None) -> str:
    return base64.b64encode(png(width, height, rows=rows)).decode()


def test_nothing_that_a_job_says_runs_or_leads_elsewhere(agent: Any, page: Any, script: Any) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: asked.append(dialog.message))
    script.job |= {"name": f"{MARKUP}\u202egnp.exe", "user": MARKUP, "reason": MARKUP, "source": MARKUP}
    script.job |= {"project": MARKUP, "notebook": MARKUP, "env_names": [MARKUP], "cluster": MARKUP}
    script.job |= {"packages": [MARKUP], "environment": MARKUP, "params": {MARKUP: MARKUP}}
    script.add("preparing", message=MARKUP)
    script.out(
        f"{MARKUP}\n\x1b]8;;javascript:window.hit=1\x07link\x1b]8;;\x07\x1b]52;c;aGk=\x07\x1b]0;{MARKUP}\x07\n"
    )
    script.add("display", data={"text/html": HTML, "text/plain": MARKUP})
    for mime in ("text/html", "text/plain", "text/markdown", "image/svg+xml", "application/javascript"):
        script.add("display", data={mime: SVG if "svg" in mime else MARKUP}, metadata={mime: MARKUP})
    script.add("display", data={f"text/html;{MARKUP}": MARKUP, "application/x-evil": MARKUP})
    script.add("display", data={"text/latex": MARKUP, "application/json": {MARKUP: MARKUP}})
    script.add("error", ename=MARKUP, evalue=MARKUP, traceback=[MARKUP])
    script.add("metric", values={MARKUP: 1.0, "__proto__": 2.0, "constructor": 3.0}, step=1)
    script.add("result", name=MARKUP, kind=MARKUP, format=MARKUP, size=1, sha256="a" * 64)
    script.add("file", path=f"{MARKUP}/\u202etxt.exe", size=1)
    script.add("cancel", by=MARKUP, reason=MARKUP)
    script.out("\repoch 1/2 " + MARKUP + "\n")
    script.end("failed", exit_code=1, reason=MARKUP)
    enter(page, agent)
    state(page, "Failed")
    expect(page.locator("#metric-charts .chart")).to_have_count(3)
    for part in ("cell", "spec", "results", "files"):
        page.locator(f"#{part} > summary").click()
    frame = page.locator("#log iframe").first
    frame.scroll_into_view_if_needed()
    inside = page.frame_locator("#log iframe").first
    expect(inside.locator("b")).to_have_text("bold")
    inside.get_by_text("press").click()
    assert page.locator("#job script, #job [onerror], #job [onload], #job a[href^='javascript']").count() == 0
    assert page.locator("#job img:not(#log img)").count() == 0
    assert page.evaluate("window.hit") is None
    assert all(frame.get_attribute("sandbox") == "" for frame in page.locator("iframe").all())
    assert "\u202e" not in page.title() + page.locator("#title, #files").first.inner_text()
    own = (agent.url, f"blob:{agent.url}", "data:", "about:")
    assert [url for url in asked if not url.startswith(own)] == []
    assert script.asked("foreign origin", "") == []


def test_events_of_no_sense_are_passed_over(agent: Any, page: Any, script: Any) -> None:
    senseless: list[Any] = [None, 0, -1, 1e308, "text", [], [[]], {}, {"a": None}, True]
    script.out("begin\n")
    for value in senseless:
        for kind in ("output", "display", "error", "clear", "metric", "sample", "result", "file", "dropped"):
            names = {
                "output": ("text", "base64"),
                "display": ("data", "metadata", "blobs", "display_id"),
                "error": ("ename", "evalue", "traceback"),
                "clear": ("wait",) if value is not True else (),
                "metric": ("values", "step"),
                "sample": ("values",),
                "result": ("name", "reason", "size"),
                "file": ("path", "size"),
                "dropped": ("count", "stream", "message"),
            }[kind]
            for name in names:
                script.add(kind, **{name: value})
        script.add("display", data={"image/png": value, "text/html": value, "text/plain": value})
        script.add("metric", values={"m": value}, step=value)
        script.add(
            "sample", values={"cpus": value, "memory_bytes": value, "gpus": [value, {"percent": value}]}
        )
    script.add("file", path="huge", size=1e300)
    script.add("metric", values={"m": 1e308}, step=1e300)
    script.add("metric", values={"m": -1e308}, step=-1e300)
    script.add("unheard-of", text="nothing")
    script.out("still here\n")
    script.end(exit_code=0, seconds=-1, peak_memory_bytes=1e300)
    script.job |= {"submitted_at": 1e300, "started_at": -1e300, "deadline_at": "soon"}
    enter(page, agent)
    state(page, "Finished")
    expect(page.locator("#log > .line").last).to_have_text("still here")
    expect(page.locator("#metric-charts svg[role=img]")).to_be_visible()
    assert "NaN" not in page.locator("#metric-charts .plot path").first.get_attribute("d")


def test_a_damaged_line_of_the_log_is_told(agent: Any, page: Any, script: Any) -> None:
    script.out("before\n")
    script.raw.append(b'{"seq":2,"at":1,"t":1,"type":"output","stre\n')
    script.out("after\n")
    enter(page, agent)
    expect(page.locator("#log > .line").last).to_have_text("after")
    expect(page.locator("#log .note")).to_have_text("A line of the log could not be read.")


def test_images_that_are_none_or_too_large_are_not_drawn(agent: Any, page: Any, script: Any) -> None:
    jpeg = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x11\x08\xff\xff\xff\xff\x03" + b"\0" * 20
    bad = {
        "An image that is damaged; %logs has it.": {"image/png": "%%% not base64"},
        "Data that is not image/jpeg; %logs has it.": {"image/jpeg": base64.b64encode(b"hello").decode()},
        "An image of 90,000 by 90,000 pixels, too large for this page; %logs has it.": {
            "image/png": picture(90_000, 90_000, b"")
        },
        "An image of 65,535 by 65,535 pixels, too large for this page; %logs has it.": {
            "image/jpeg": base64.b64encode(jpeg).decode()
        },
        "An image that the browser cannot show; %logs has it.": {
            "image/png": base64.b64encode(png(20, 20)[:33] + b"no chunk" * 9).decode()
        },
    }
    for data in bad.values():
        script.add("display", data=data)
    script.add(
        "display", data={"image/png": picture(20, 10)}, metadata={"image/png": {"width": 1e9, "height": -5}}
    )
    script.add("display", data={"image/png": picture(20, 10)}, metadata={"image/png": {"width": 10}})
    enter(page, agent)
    shown = page.locator("#log > .display")
    expect(shown).to_have_count(len(bad) + 2)
    for index, text in enumerate(bad):
        expect(shown.nth(index)).to_have_text(text)
    for index, (width, height) in enumerate([(20, 10), (10, 5)]):
        image = shown.nth(len(bad) + index).locator("img")
        expect(image).to_have_js_property("width", width)
        expect(image).to_have_js_property("height", height)


def test_large_images_are_fetched_when_they_come_near(agent: Any, page: Any, script: Any) -> None:
    noise = base64.b64encode(png(1200, 2800, rows=b"".join(b"\0" + os.urandom(3600) for _ in range(2800))))
    assert len(noise) > 10_000_000
    name = hashlib.sha256(noise).hexdigest()
    script.blobs[name] = noise
    for number in range(40):
        script.out(f"figure {number}\n")
        script.add("display", data={"text/plain": "<Figure>"}, blobs={"image/png": name})
    enter(page, agent)
    images = page.locator("#log img")
    expect(images.last).to_have_js_property("naturalWidth", 1200)
    assert images.count() < 10
    assert len(script.asked("GET", "/v1/jobs/42/blobs/")) < 9
    page.locator("#log-box").focus()
    page.keyboard.press("g")
    expect(page.get_by_text("figure 0", exact=True)).to_be_in_viewport()
    expect(page.locator("#log > .display").first.locator("img")).to_have_js_property("naturalWidth", 1200)
    until(page, "document.querySelectorAll('#log img').length < 10")
    expect(page.locator("#log > .display").last.locator("img")).to_have_count(0)


def test_hundreds_of_figures_leave_the_page_quick(agent: Any, page: Any, script: Any) -> None:
    pictures = [picture(300 + number, 200) for number in range(5)]
    for number in range(400):
        script.add("display", data={"image/png": pictures[number % 5], "text/plain": "<Figure>"})
    for number in range(100):
        table = f"<table><tr><td>{number}</td></tr></table>"
        script.add("display", data={"text/html": table, "text/plain": str(number)})
    script.out("all drawn\n")
    enter(page, agent)
    expect(page.locator("#log > .line").last).to_be_in_viewport(ratio=1)
    expect(page.locator("#log img")).to_have_count(400)
    page.keyboard.press("g")
    expect(page.locator("#log img").first).to_be_in_viewport()


BOMBS = {
    "sheets without an end": "<style>" * 200_000,
    "tags without an end": "<a " * 500_000,
    "a tag full of handlers": "<b " + " onx=1" * 200_000 + ">text</b>",
    "nesting": "<div>" * 200_000,
    "many elements": "<i>x</i>" * 150_000,
    "more than is looked at": "x" * 4_000_000,
}


def test_html_that_is_made_to_be_slow_does_not_stop_the_page(agent: Any, page: Any, script: Any) -> None:
    for kind, text in BOMBS.items():
        data = text.encode()
        name = hashlib.sha256(data).hexdigest()
        script.blobs[name] = data
        script.add("display", data={"text/plain": kind}, blobs={"text/html": name})
    script.out("still here\n")
    enter(page, agent)
    expect(page.locator("#log > .line").last).to_have_text("still here")
    shown = page.locator("#log > .display")
    expect(shown.locator("iframe, .text, .aside")).to_have_count(len(BOMBS))
    for kind in ("nesting", "many elements", "more than is looked at"):
        expect(shown.nth(list(BOMBS).index(kind))).to_have_text(kind)
    page.get_by_label("Search in the log").fill("still")
    expect(page.locator("#find-count")).to_have_text("1 found")


def test_text_that_is_made_to_be_slow_is_shown(agent: Any, page: Any, script: Any) -> None:
    colours = "".join(f"\x1b[{31 + step % 6}m{step % 10}" for step in range(60_000))
    script.out(colours)
    script.out("\b\x1b[35mx" * 50_000)
    script.out("\n" + "\x1b[" * 100_000 + "\n" + "\x1b]0;never ended " * 20_000 + "\n")
    script.out("10% " * 100_000 + "\n" + "[1]\t" * 100_000 + "\n" + "{'epoch': 1" * 50_000 + "}\n")
    script.out("\r" * 500_000 + "end\n")
    enter(page, agent)
    expect(page.locator("#log > .line").last).to_have_text("end")
    first = lines(page)[0]
    assert first.startswith("0123456789")
    assert page.locator("#log > .line").first.locator("span").count() <= 510
