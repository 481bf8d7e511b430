"""The history page in a real browser, against an agent whose log and connections the test decides."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

import pytest
from history_page import NETWORK, beginnings, enter, expect, lines, png, state

from cluster_agent import protocol, units

pytestmark = pytest.mark.browser

STATIC = Path(units.__file__).parent / "server" / "static"


# ---- ways in ----


def test_without_a_token_the_page_tells_the_ways_in_and_nothing_else(agent: Any, page: Any) -> None:
    page.goto(agent.page)
    expect(page.locator("#entry-shell")).to_have_text(f"mlmagics open {agent.page}")
    expect(page.locator("#entry-magic")).to_have_text(f"%logs --url {agent.page} --open")
    expect(page.locator("#entry")).to_contain_text("mlmagics open gpu-box/42")
    expect(page.locator("#entry")).to_contain_text("%logs gpu-box/42 --open")
    assert page.title() == "Job history"
    assert "taxi" not in page.content()
    assert agent.script.asked("GET", "/v1/") == []


def test_a_code_opens_the_page_and_leaves_the_address(agent: Any, page: Any) -> None:
    page.goto(f"{agent.page}#code=once")
    expect(page.get_by_role("heading", level=1)).to_have_text("train taxi")
    assert page.url == agent.page
    assert page.evaluate("history.length") <= 2
    assert {told for _, _, told in agent.script.asked("GET", "/v1/")} == {"Bearer view-only"}
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("train taxi")
    assert page.context.cookies() == []
    assert page.evaluate("localStorage.length") == 0


def test_a_used_code_says_so_and_leaves_the_other_ways(agent: Any, page: Any) -> None:
    page.expected.append(NETWORK)
    page.goto(f"{agent.page}#code=used")
    expect(page.get_by_role("alert")).to_contain_text("This code has been used")
    assert page.url == agent.page
    enter(page, agent)


def test_a_wrong_token_is_told_and_not_kept(agent: Any, page: Any) -> None:
    page.expected.append(NETWORK)
    page.goto(agent.page)
    page.get_by_label("Token of this agent").fill("wrong")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("not valid")
    assert page.evaluate("sessionStorage.length") == 0
    assert page.get_by_label("Token of this agent").input_value() == ""


def test_a_token_that_ends_while_the_page_is_open_asks_for_another(
    agent: Any, page: Any, script: Any
) -> None:
    page.expected.append(NETWORK)
    enter(page, agent)
    script.out("one\n")
    expect(page.locator("#log")).to_contain_text("one")
    script.token = "next-token"
    script.cuts.append(0)
    script.away = True
    expect(page.locator("#connection")).to_have_text("Reconnecting…")
    script.away = False
    expect(page.get_by_role("alert")).to_contain_text("not valid")
    assert page.title() == "Job history"
    page.get_by_label("Token of this agent").fill("next-token")
    page.get_by_role("button", name="Show the job").click()
    expect(page.locator("#log")).to_contain_text("one")


def test_forgetting_the_token_shuts_the_page(agent: Any, page: Any) -> None:
    enter(page, agent)
    page.get_by_role("button", name="Forget the token in this tab").click()
    expect(page.locator("#entry")).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0


# ---- the job ----


def test_a_job_goes_from_queued_to_finished(agent: Any, page: Any, script: Any) -> None:
    script.job |= {"state": "queued", "started_at": None, "deadline_at": None, "position": 3}
    script.job |= {"waiting_for": "needs 2 GPUs, 1 free"}
    enter(page, agent)
    state(page, "Queued")
    expect(page.locator("#reason")).to_have_text("Place 3 in the queue: needs 2 GPUs, 1 free.")
    expect(page.locator("#log-empty")).to_have_text("No output yet.")
    now = script.job["submitted_at"] + 25
    script.job |= {"state": "running", "started_at": now, "position": None, "waiting_for": None}
    script.add("started", pid=7)
    state(page, "Running")
    expect(page.locator("#reason")).to_be_hidden()
    script.out("hello\n")
    script.add("metric", values={"rmse": 0.41234567}, step=3)
    script.end(exit_code=0, seconds=12.4, peak_memory_bytes=3 * 2**30)
    state(page, "Finished")
    facts = page.locator("#facts").inner_text()
    for part in ("1 GPU, 8 CPUs, 64 GiB", "Ran\n12 s", "Waited\n25 s", "code 0", "3 GiB"):
        assert part in facts
    assert page.title() == "Finished · train taxi, Job 42"


def test_a_failed_job_shows_its_reason_and_traceback(agent: Any, page: Any, script: Any) -> None:
    script.out("loading\n")
    trace = [
        "\x1b[31mValueError\x1b[39m  Traceback (most recent call last)",
        "\x1b[1;31mValueError\x1b[0m: no rows",
    ]
    script.add("error", ename="ValueError", evalue="no rows", traceback=trace)
    script.end("failed", exit_code=1, reason="ValueError: no rows")
    enter(page, agent)
    state(page, "Failed")
    expect(page.locator("#reason")).to_have_text("ValueError: no rows")
    expect(page.locator("#log .error")).to_contain_text("ValueError: no rows")
    expect(page.locator("#log .error .fg-1").first).to_have_text("ValueError")


def test_the_words_and_figures_are_those_of_the_other_ends(agent: Any, page: Any) -> None:
    page.goto(agent.page)
    script = "async () => { const m = await import('/static/format.js'); return [m.WORDS, %s]; }"
    durations = [0, 0.42, 7, 9.96, 14, 125, 3600, 14400, 108000]
    sizes = [0, 500, 14.2 * 2**20, 64 * 2**30, 2**41]
    asked = f"{durations}.map(m.duration), {sizes}.map(m.size)"
    words, shown, sized = page.evaluate(script % asked)
    assert words == {state.value: word for state, word in protocol.WORDS.items()}
    assert shown == [units.format_duration(seconds) for seconds in durations]
    assert sized == [units.format_size(size) for size in sizes]


def test_state_is_announced_and_the_log_is_not(agent: Any, page: Any, script: Any) -> None:
    enter(page, agent)
    assert page.locator("#state").get_attribute("role") == "status"
    expect(page.get_by_role("region", name="Log of the job")).to_be_visible()
    assert page.locator("#log-box [aria-live], #log-box [role=log], [role=progressbar]").count() == 0


def test_the_cell_and_the_commands_can_be_copied(agent: Any, new_page: Any, script: Any) -> None:
    page = new_page(permissions=["clipboard-read", "clipboard-write"])
    enter(page, agent)
    clipboard = "navigator.clipboard.readText()"
    page.get_by_text("Cell 2 lines").click()
    expect(page.locator("#source")).to_have_text(script.job["source"])
    for name, text in [
        ("Copy cell", script.job["source"]),
        ("Copy link", "https://gpu-box:8900/history/42"),
        ("Copy command", "%logs --url https://gpu-box:8900/history/42"),
    ]:
        button = page.get_by_role("button", name=name)
        button.click()
        expect(page.locator("#said")).to_have_text("Copied")
        assert page.evaluate(clipboard) == text


def test_cancel_asks_first_and_then_says_stopping(agent: Any, page: Any, script: Any) -> None:
    enter(page, agent)
    page.get_by_role("button", name="Cancel job…").click()
    dialog = page.get_by_role("dialog", name="Cancel train taxi, job 42?")
    dialog.get_by_role("button", name="Keep it running").click()
    expect(dialog).to_be_hidden()
    assert script.asked("POST", "/v1/jobs/42/cancel") == []
    page.get_by_role("button", name="Cancel job…").click()
    dialog.get_by_role("button", name="Cancel the job").click()
    state(page, "Stopping")
    assert len(script.asked("POST", "/v1/jobs/42/cancel")) == 1
    script.end("cancelled", reason="cancelled by ada", stopping=False)
    state(page, "Cancelled")


@pytest.mark.parametrize(("role", "user"), [("viewer", "ada"), ("user", "grace")])
def test_cancel_is_offered_only_to_those_who_may(
    agent: Any, page: Any, script: Any, role: str, user: str
) -> None:
    script.role = role
    script.job["user"] = user
    with page.expect_response("**/v1/info"):
        enter(page, agent)
    script.out("after\n")
    expect(page.locator("#log")).to_contain_text("after")
    expect(page.get_by_role("button", name="Cancel job…")).to_be_hidden()


def test_a_code_offers_no_cancel(agent: Any, page: Any, script: Any) -> None:
    with page.expect_response("**/v1/info"):
        page.goto(f"{agent.page}#code=once")
    script.out("after\n")
    expect(page.locator("#log")).to_contain_text("after")
    expect(page.get_by_role("button", name="Cancel job…")).to_be_hidden()


def test_the_last_minutes_of_the_time_limit_are_told(agent: Any, page: Any, script: Any) -> None:
    script.job["deadline_at"] = script.job["started_at"] + 75 + 8.5 * 60
    enter(page, agent)
    expect(page.locator("#limit")).to_have_text(re.compile(r"ends it in [89] min\. .*%extend"))


# ---- the connection ----


@pytest.mark.parametrize("overlap", [0, 7])
def test_no_line_comes_twice_or_is_missing_over_cut_connections(
    agent: Any, page: Any, script: Any, overlap: int
) -> None:
    script.overlap = overlap
    page.expected += ["net::ERR", NETWORK]
    for number in range(400):
        script.out(f"line {number}\n", "stderr" if number % 5 == 0 else "stdout")
    script.cuts += [0, 3, 120, 121, 399]
    script.end(exit_code=0)
    enter(page, agent)
    expect(page.locator("#log > .line")).to_have_count(400)
    state(page, "Finished")
    assert lines(page) == [f"line {number}" for number in range(400)]
    assert script.cuts == []
    assert beginnings(script)[0] == "tail=2000&follow=1"


def test_an_agent_that_is_away_never_makes_a_job_look_finished(agent: Any, page: Any, script: Any) -> None:
    page.expected += ["net::ERR", NETWORK]
    script.out("before\n")
    enter(page, agent)
    expect(page.locator("#log")).to_contain_text("before")
    script.away = True
    expect(page.locator("#connection")).to_have_text("Reconnecting…")
    state(page, "Running")
    expect(page.locator("#state-more")).to_have_text(re.compile(r"as of \d\d:\d\d:\d\d"))
    script.out("meanwhile\n")
    script.away = False
    expect(page.locator("#log")).to_contain_text("meanwhile")
    expect(page.locator("#connection")).to_have_text("")
    expect(page.locator("#state-more")).to_have_text("")
    assert lines(page) == ["before", "meanwhile"]
    assert beginnings(script)[-1] == "after=0badcafe.1&follow=1"


def test_a_log_that_was_cut_is_read_anew(agent: Any, page: Any, script: Any) -> None:
    page.expected += ["net::ERR", NETWORK]
    script.out("kept\n")
    script.out("lost with the power\n")
    enter(page, agent)
    expect(page.locator("#log")).to_contain_text("lost with the power")
    script.away = True
    expect(page.locator("#connection")).to_have_text("Reconnecting…")
    script.events[1:] = []
    script.add("recovered", old_tag="deadbeef", kept_seq=1)
    script.end("lost", reason="The box was restarted while it ran.")
    script.refuse_events = 410
    script.away = False
    state(page, "Lost")
    expect(page.locator("#log .note")).to_contain_text("The box was restarted here")
    assert lines(page) == ["kept"]


def test_what_is_missing_in_a_log_is_said_where_it_is_missing(agent: Any, page: Any, script: Any) -> None:
    script.out("before\n")
    script.add("storage", message="the disk failed to keep its log (Input/output error)")
    script.add("dropped", count=3, message="3 events of type metric, beyond their limit")
    script.out("after\n")
    script.end()
    enter(page, agent)
    state(page, "Finished")
    notes = page.locator("#log .note.warn")
    expect(notes.nth(0)).to_contain_text("failed to keep its log (Input/output error)")
    expect(notes.nth(1)).to_contain_text("3 events of type metric")


# ---- the log ----


def test_carriage_returns_and_escapes(agent: Any, page: Any, script: Any) -> None:
    script.out(
        "\x1b[1;32mok\x1b[0m plain \x1b[38;5;208mamber\x1b[0m \x1b[38;2;1;2;3mown\x1b[m \x1b[7minverse\x1b[0m\n"
    )
    script.out("10%\r20%\r\x1b[K100%\r\nnext\n")
    script.out("\x1b]0;title\x07\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\ \x1b[2J\x1b[5;5Hx\x1b(B\x07\b\by\n")
    script.out("split \x1b[3")
    script.out("1mred\x1b[0m é\n")
    script.add("output", stream="stdout", base64=base64.b64encode(b"bytes \xff\n").decode())
    script.end(exit_code=0)
    enter(page, agent)
    expect(page.locator("#log > .line").last).to_have_text("bytes \ufffd")
    assert lines(page) == [
        "ok plain amber own inverse",
        "100%",
        "next",
        "linkyx",
        "split red é",
        "bytes \ufffd",
    ]
    first = page.locator("#log > .line").first.locator("span")
    assert [span.get_attribute("class") for span in first.all()] == ["bold fg-2", "", "", "fg-paper bg-ink"]
    assert first.nth(1).evaluate("node => node.style.color") == "rgb(255, 135, 0)"
    assert first.nth(2).evaluate("node => node.style.color") == "rgb(1, 2, 3)"
    assert page.locator("#log .fg-1").text_content() == "red"


def test_a_progress_bar_stays_one_line_below_what_is_printed(agent: Any, page: Any, script: Any) -> None:
    for step in range(1, 40):
        script.out(f"\rstep {step}/40", "stderr")
        if step % 10 == 0:
            script.out(f"epoch {step // 10}\n")
    enter(page, agent)
    expect(page.locator("#log > .line").last).to_have_text("step 39/40")
    assert lines(page) == ["epoch 1", "epoch 2", "epoch 3", "step 39/40"]
    script.out(" done\n", "stderr")
    expect(page.locator("#log > .line").last).to_have_text("step 39/40 done")


def test_outputs_are_drawn_by_their_kind(agent: Any, page: Any, script: Any) -> None:
    picture = base64.b64encode(png(40, 20)).decode()
    svg = "<svg xmlns='http://www.w3.org/2000/svg' width='30' height='30'><script>parent.hit=1</script></svg>"
    script.out("before")
    script.add("display", data={"image/png": picture, "text/plain": "<Figure size 40x20>"}, metadata={})
    script.out("after\n")
    script.add("display", data={"image/svg+xml": svg}, metadata={})
    script.add("display", data={"text/latex": "$x^2$", "text/plain": "<IPython.core.display.Latex object>"})
    script.add("display", data={"application/json": {"a": [1]}}, metadata={})
    script.add("display", data={"text/plain": "<b>not markup</b>"}, metadata={})
    script.add("display", data={"application/vnd.jupyter.widget-view+json": {}}, metadata={})
    script.end(exit_code=0)
    enter(page, agent)
    state(page, "Finished")
    shown = page.locator("#log > *")
    expect(shown).to_have_count(8)
    assert [shown.nth(index).get_attribute("class") for index in (0, 1, 2)] == [
        "line stdout",
        "display",
        "line stdout",
    ]
    for index, (width, height) in enumerate([(40, 20), (30, 30)]):
        expect(page.locator("#log img").nth(index)).to_have_js_property("naturalWidth", width)
        expect(page.locator("#log img").nth(index)).to_have_js_property("naturalHeight", height)
    texts = page.locator("#log .display .text").all_text_contents()
    assert texts == ["$x^2$", '{\n  "a": [\n    1\n  ]\n}', "<b>not markup</b>"]
    assert "widget-view+json" in shown.last.inner_text()
    assert page.evaluate("window.hit") is None


def test_html_is_shown_in_a_frame_that_can_do_nothing(agent: Any, page: Any, script: Any) -> None:
    html = (
        "<style scoped>td{color:red}</style><script>top.document.title='owned'</script>"
        "<img src=x onerror='parent.hit=1'><img src='http://192.0.2.1/track.png'><a href='javascript:1'>link</a>"
        "<meta http-equiv=refresh content='0;url=http://192.0.2.1/'><form action=/v1/jobs><input></form>"
        "<table border=1 onclick='x()' class=dataframe><tr><th>fare</th></tr><tr><td>12.5</td></tr></table>"
    )
    script.add("display", data={"text/html": html, "text/plain": "   fare\n0  12.5"}, metadata={})
    script.end(exit_code=0)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    enter(page, agent)
    frame = page.locator("#log iframe")
    assert frame.get_attribute("sandbox") == ""
    inside = page.frame_locator("#log iframe")
    expect(inside.locator("td")).to_have_text("12.5")
    assert (
        inside.locator(
            "script, style, form, input, [http-equiv], [onclick], [onerror], [href^=javascript]"
        ).count()
        == 0
    )
    expect(inside.locator("td")).to_have_css("text-align", "-webkit-right")
    assert page.title() == "Finished · train taxi, Job 42"
    assert not [url for url in asked if "192.0.2.1" in url]
    assert script.asked("foreign origin", "") == []


def test_html_that_lives_by_its_style_or_scripts_gives_way_to_text(
    agent: Any, page: Any, script: Any
) -> None:
    sklearn = "<style>" + "#sk{color:black}" * 200 + "</style><div id=sk>LinearRegression?i</div>"
    script.add("display", data={"text/html": sklearn, "text/plain": "LinearRegression()"}, metadata={})
    script.add("display", data={"text/html": "<script>plot()</script>", "text/plain": "a plot"}, metadata={})
    enter(page, agent)
    expect(page.locator("#log .display .text")).to_have_count(2)
    assert page.locator("#log .display .text").all_text_contents() == ["LinearRegression()", "a plot"]


def test_updates_and_clear_output_are_honoured(agent: Any, page: Any, script: Any) -> None:
    script.out("first\n")
    script.add("display", data={"text/plain": "0 %"}, display_id="bar")
    script.out("second\n")
    enter(page, agent)
    expect(page.locator("#log .display")).to_have_text("0 %")
    script.add("display", data={"text/plain": "90 %"}, display_id="bar", update=True)
    expect(page.locator("#log .display")).to_have_text("90 %")
    assert page.locator("#log > *").all_text_contents() == ["first", "90 %", "second"]
    script.add("clear", wait=True)
    script.out("third\n")
    expect(page.locator("#log > *")).to_have_count(1)
    assert lines(page) == ["third"]
    script.add("clear", wait=False)
    expect(page.locator("#log > *")).to_have_count(0)


def test_large_outputs_come_from_the_blob_store(agent: Any, page: Any, script: Any) -> None:
    data = base64.b64encode(png(400, 300))
    name = hashlib.sha256(data).hexdigest()
    script.blobs[name] = data
    script.add("display", data={"text/plain": "<Figure>"}, blobs={"image/png": name})
    enter(page, agent)
    expect(page.locator("#log img")).to_have_js_property("naturalWidth", 400)


def test_a_flood_keeps_the_page_small_and_at_its_end(agent: Any, page: Any, script: Any) -> None:
    enter(page, agent)
    for block in range(300):
        script.out("".join(f"row {block * 1000 + row}\n" for row in range(1000)))
    script.end(exit_code=0)
    state(page, "Finished")
    expect(page.locator("#log > .line").last).to_have_text("row 299999")
    assert lines(page) == [f"row {row}" for row in range(295_000, 300_000)]
    expect(page.locator("#earlier")).to_contain_text("295,000 earlier lines are not shown here.")
    box = page.locator("#log-box")
    assert box.evaluate("node => node.scrollTop + node.clientHeight >= node.scrollHeight - 24")


def test_a_reader_who_scrolled_up_is_left_in_peace(agent: Any, page: Any, script: Any) -> None:
    script.out("".join(f"row {row}\n" for row in range(6000)))
    enter(page, agent)
    expect(page.locator("#log > .line").last).to_have_text("row 5999")
    box = page.locator("#log-box")
    box.hover()
    page.mouse.wheel(0, -2000)
    button = page.get_by_role("button", name="Jump to end")
    expect(button).to_be_visible()
    top = box.evaluate("node => node.scrollTop")
    for block in range(20):
        script.out("".join(f"more {block * 1000 + row}\n" for row in range(1000)))
    script.add("metric", values={"told": 1})
    expect(page.locator("#metrics")).to_contain_text("told")
    assert box.evaluate("node => node.scrollTop") == top
    assert page.locator("#log > .line").first.text_content() == "row 1000"
    button.click()
    expect(page.locator("#log > .line").last).to_have_text("more 19999")
    assert page.locator("#log > .line").count() == 5000
    expect(button).to_be_hidden()
    script.out("still following\n")
    expect(page.get_by_text("still following")).to_be_in_viewport(ratio=1)
    page.set_viewport_size({"width": 1200, "height": 760})
    expect(page.get_by_text("still following")).to_be_in_viewport(ratio=1)


def test_a_long_log_begins_near_its_end_and_can_be_read_from_its_start(
    agent: Any, page: Any, script: Any
) -> None:
    for row in range(12_000):
        script.out(f"row {row}\n")
    script.end(exit_code=0)
    enter(page, agent)
    expect(page.locator("#earlier")).to_contain_text("Earlier output is not shown here.")
    expect(page.locator("#log > .line").first).to_have_text("row 10001")
    expect(page.locator("#log > .line").last).to_have_text("row 11999")
    expect(page.get_by_role("status").get_by_text("Finished")).to_be_visible()
    page.get_by_role("button", name="Read from the start").click()
    expect(page.locator("#paused")).to_be_visible()
    expect(page.locator("#log > .line").first).to_have_text("row 0")
    expect(page.locator("#log > .line")).to_have_count(5000)
    assert lines(page) == [f"row {row}" for row in range(5000)]
    page.get_by_role("button", name="Continue").click()
    expect(page.locator("#log > .line").last).to_have_text("row 9999")
    page.get_by_role("button", name="Continue").click()
    expect(page.locator("#log > .line").last).to_have_text("row 11999")
    page.get_by_role("button", name="Jump to end").click()
    expect(page.locator("#log > .line").first).to_have_text("row 10001")


def test_a_whole_stream_can_be_downloaded(agent: Any, page: Any, script: Any) -> None:
    script.out("one\n")
    script.out("warning\n", "stderr")
    enter(page, agent)
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download stdout").click()
    assert saved.value.suggested_filename == "job-42-stdout.log"
    assert Path(saved.value.path()).read_text() == "one\n"


def test_one_endless_line_does_not_grow_for_ever(agent: Any, page: Any, script: Any) -> None:
    for _ in range(50):
        script.out("x" * 1000)
    script.out("\nnext\n")
    enter(page, agent)
    expect(page.locator("#log > .line").last).to_have_text("next")
    first = lines(page)[0]
    assert first.startswith("x" * 20_000)
    assert "the download has all of it" in first


# ---- looks ----


@pytest.mark.parametrize("width", [400, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_sticks_out_and_all_text_has_contrast(
    agent: Any, new_page: Any, script: Any, width: int, scheme: str
) -> None:
    script.job["name"] = "a-very-long-name-without-any-space-" * 4
    script.out("".join(f"\x1b[{code}mcolour {code}\x1b[0m\n" for code in [*range(30, 38), *range(90, 98)]))
    script.out("".join(f"\x1b[{code}mground {code}\x1b[0m\n" for code in [*range(40, 48), *range(100, 108)]))
    script.out("w" * 3000 + "\n", "stderr")
    script.out("\r50%|#####     | 1/2 [00:01<00:01, 1it/s]", "stderr")
    for step in range(3):
        script.add("metric", values={"train_loss": 1.0 + step, "val_loss": 2.0}, step=step)
        script.add("sample", values={"cpus": 1.5, "memory_bytes": 2**30, "gpus": []})
    script.add("result", name="x", kind="int", format="json", size=1, sha256="a" * 64)
    script.job["deadline_at"] = script.job["started_at"] + 75 + 500
    page = new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    enter(page, agent)
    expect(page.locator("#log > .line")).to_have_count(34)
    expect(page.locator(".chart svg[role=img]")).to_have_count(3)
    for part in ("cell", "spec", "results"):
        page.locator(f"#{part} > summary").click()
    page.get_by_label("Search in the log").fill("colour")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    poor = page.evaluate((Path(__file__).parent / "contrast.js").read_text())
    assert poor == []


def test_the_shell_has_nothing_inline_and_fetches_from_nowhere_else() -> None:
    for page in ("history.html", "index.html"):
        html = (STATIC / page).read_text()
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*src=)|javascript:", html)
    for path in STATIC.iterdir():
        text = path.read_text()
        assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|\beval\(", text), path.name
        known = {"http://www.w3.org/2000/svg"}
        assert set(re.findall(r"https?://[\w./-]+", text)) <= known, path.name
