"""The card: what it says while a job runs, and what stays of it."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from cluster_agent.protocol import Event, State
from mlmagics.display import card
from mlmagics.display.outputs import outputs
from mlmagics.display.telling import Contact, Subject
from mlmagics.display.view import Budget, View

GIB = 2**30
SUBJECT = Subject(
    ref="gpu-box/7",
    cluster="gpu-box",
    job_id=7,
    agent_id="a1",
    history_url="https://b/history/7",
    name="train",
    cpus=8,
    memory_bytes=16 * GIB,
)
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
END = Event(type="ended", state=State.SUCCEEDED, seconds=14.0, at=1e9)
NOW = 1e9


def output(text: str, stream: str = "stdout", at: float = 160.0) -> Event:
    return Event(type="output", stream=stream, text=text, at=at)  # type: ignore[arg-type]


def display(data: dict[str, Any], **fields: Any) -> Event:
    return Event(type="display", data=data, **fields)


def running(*events: Event) -> View:
    view = View()
    for event in (Event(type="started", at=100.0), *events):
        view.feed(event)
    return view


def bundle(view: View, *, beneath: bool = True, **contact: Any) -> dict[str, Any]:
    shown = outputs(view, SUBJECT.ref, lambda shown: shown.data, beneath=beneath) if view.done else None
    return card.bundle(SUBJECT, view, Contact(**{"as_of": NOW, **contact}), shown)


def text(view: View, **contact: Any) -> list[str]:
    lines: list[str] = bundle(view, **contact)["text/plain"].splitlines()
    return lines


def day(at: float) -> str:
    return f"{time.strftime('%H:%M:%S', time.localtime(at))} on {time.strftime('%d %b %Y', time.localtime(at)).lstrip('0')}"


def test_card_of_a_live_job_names_its_time_and_the_ways_on() -> None:
    data = bundle(running(output("epoch <1>\n")), age_s=2.0)
    assert data["text/plain"].splitlines() == [
        f"gpu-box/7 train: Running, for 1 min 2 s, as of {day(NOW)}",
        "epoch <1>",
        "To see all of it: %logs gpu-box/7   To cancel it: %cancel gpu-box/7",
    ]
    assert "epoch &lt;1&gt;" in data["text/html"]
    assert "<strong>Running</strong>" in data["text/html"]
    assert {"state": "running", "as_of": NOW, "job_id": 7}.items() <= data[card.MIME].items()


def test_card_of_a_queued_job_says_why_and_until_when() -> None:
    view = View()
    view.feed(
        Event(
            type="queue",
            state=State.QUEUED,
            position=3,
            waiting_for="needs 2 GPUs, 1 free",
            starts_by=5000.0,
            at=200.0,
        )
    )
    lines = text(view)
    assert lines[0] == f"gpu-box/7 train: Queued, place 3, as of {day(NOW)}"
    # 4,800 s from the agent's now, which is this machine's
    starts = time.strftime("%H:%M", time.localtime(NOW + 4800))
    assert lines[1].startswith("needs 2 GPUs, 1 free; starts by ")
    assert lines[1].endswith(starts)


def test_card_shows_progress_in_words_and_as_a_bar() -> None:
    data = bundle(running(output("\rtrain:  62%|###  | 620/1000 [00:10<00:06, 61it/s]", "stderr")))
    bar = re.search(r'<div role="progressbar"[^>]*>', data["text/html"])
    assert bar is not None
    for attribute in ('aria-valuenow="62"', 'aria-valuemin="0"', 'aria-valuemax="100"'):
        assert attribute in bar[0]
    assert 'aria-valuetext="train: 62 %, 620 of 1,000, 6 s left"' in bar[0]
    assert "width:62.0%" in data["text/html"]
    assert "[##################------------] train: 62 %, 620 of 1,000, 6 s left" in data["text/plain"]
    unknown = bundle(running(output("\r5it [00:01, 9it/s]")))
    assert "5 it" in unknown["text/plain"]
    assert "progressbar" not in unknown["text/html"]


def test_card_shows_use_of_the_box_and_metrics() -> None:
    values = {
        "cpus": 1.93,
        "memory_bytes": 3 * GIB,
        "gpus": [{"id": "x", "percent": 93, "memory_bytes": 31 * GIB, "memory_total_bytes": 80 * GIB}],
    }
    metrics = [Event(type="metric", values={"loss": 1 / (n + 1)}, step=float(n)) for n in range(4)]
    data = bundle(running(Event(type="sample", values=values, t=1.0), *metrics))
    assert "1 GPU 93 %, 31 GiB of 80 GiB; memory 3 GiB of 16 GiB; 1.9 of 8 CPUs" in data["text/plain"]
    assert "loss 0.25 (step 3)" in data["text/plain"]
    assert "<title>loss by step" in data["text/html"]
    assert "<details" not in data["text/html"]


def test_card_warns_before_the_time_is_up_and_not_earlier() -> None:
    view = running(output("x\n", at=10_000.0))
    assert not any("time limit" in line for line in text(view, deadline_at=10_901.0))
    (warning,) = [line for line in text(view, deadline_at=10_700.0, age_s=4.0) if "time limit" in line]
    at = time.strftime("%H:%M", time.localtime(NOW + 696))
    assert f"{at}, in 12 min. To give it more time: %extend gpu-box/7 2h" in warning
    assert not any("time limit" in line for line in text(view, deadline_at=9_999.0))
    # of a short time not the whole
    assert not any("time limit" in line for line in text(running(output("x\n", at=110.0)), deadline_at=200.0))


def test_card_without_contact_says_since_when_and_claims_nothing_more() -> None:
    lines = text(running(output("x\n")), trouble="connection refused.", lost_at=NOW)
    since = time.strftime("%H:%M:%S", time.localtime(NOW))
    assert (
        f"No contact with gpu-box since {since}: connection refused. A job goes on without it; trying again"
        in lines
    )
    lines = text(running(), trouble="gone", lost_at=NOW, given_up=True)
    assert f"No contact with gpu-box since {since}: gone. To look again: %logs gpu-box/7" in lines


def test_card_of_an_ended_job_holds_all_that_was_displayed() -> None:
    view = running(
        output("a\n"),
        display({"text/plain": "plot", "image/png": PIXEL}, metadata={"image/png": {"width": 30}}),
        display({"text/html": "<b>t</b>", "text/plain": "t"}),
        display({"text/latex": "$x<1$", "text/plain": "x"}),
        output("b\n"),
        Event(type="metric", values={"loss": 0.5}),
        Event(type="file", path="m", size=3),
        Event(type="result", name="rmse", kind="float", format="json", size=8),
        Event(type="result", name="df", kind="DataFrame", reason="too large"),
        END,
    )
    data = bundle(view)
    assert data["text/plain"].splitlines() == [
        f"gpu-box/7 train: Finished after 14 s, {day(1e9)}",
        "a",
        "plot",
        "t",
        "x",
        "b",
        "loss 0.5 (step 0)",
        "1 file, 3 B: %fetch gpu-box/7 --files",
        "Kept: rmse (8 B): %fetch gpu-box/7 rmse",
        "Not kept: df: too large",
    ]
    markup = data["text/html"]
    parts = [
        "Finished",
        ">a\n<",
        f'width="30" style="max-width:100%" src="data:image/png;base64,{PIXEL}"',
        "<b>t</b>",
        "$x&lt;1$",
        ">b\n<",
        "<title>loss",
        "1 file",
        "Kept: rmse",
    ]
    places = [markup.index(part) for part in parts]
    assert places == sorted(places)
    assert "as of" not in data["text/plain"]
    assert "%cancel" not in data["text/plain"]


def test_card_tells_why_a_job_failed_and_how_far_it_got() -> None:
    view = running(
        output("\r 62%|###  | 620/1000 [00:10<00:06, 61it/s]\n"),
        Event(type="error", ename="ValueError", evalue="no", traceback=["\x1b[31mTraceback\x1b[0m <x>"]),
        Event(type="ended", state=State.FAILED, reason="ValueError: no", seconds=3.0, peak_memory_bytes=GIB),
    )
    data = bundle(view)
    assert data["text/plain"].splitlines() == [
        "gpu-box/7 train: Failed after 3 s, ValueError: no",
        "peak memory 1 GiB",
        "It got as far as 62 %, 620 of 1,000",
        " 62%|###  | 620/1000 [00:10<00:06, 61it/s]",
        "Traceback <x>",
    ]
    assert "&lt;x&gt;" in data["text/html"]


def test_card_names_the_environment_that_was_made_for_a_job() -> None:
    view = running(
        Event(type="started", at=101.0, environment="3f2a9c"),
        Event(type="ended", state=State.SUCCEEDED, seconds=3.0),
    )
    assert text(view)[1] == "environment 3f2a9c"


def test_card_plots_drawn_from_data_and_huge_displays_go_beneath_it() -> None:
    plot = {"application/vnd.plotly.v1+json": {"data": []}, "text/plain": "Figure"}
    huge = {"text/html": "<p>" + "x" * 3_000_000 + "</p>"}
    view = running(output("a\n"), display(plot), display(huge), output("b\n"), END)
    shown = outputs(view, "gpu-box/7", lambda shown: shown.data, beneath=True)
    assert [data for data, _ in shown.beneath] == [plot, huge]
    lines = text(view)
    assert lines[1:] == ["a", "[display 1 beneath]", "[display 2 beneath]", "b"]
    # where outputs cannot be put beneath it
    assert text(view, beneath=False)[1:] == ["a", "2 displays (2.9 MiB) left out here: %logs gpu-box/7", "b"]


def test_card_stays_within_bounds() -> None:
    view = View(budget=Budget(head_lines=10**6, head_chars=10**6))
    for number in range(60_000):
        view.feed(output(f"{number} {'x' * 20}\n"))
    for _ in range(100):
        view.feed(display({"text/html": "<p>" + "x" * 300_000}))
    view.feed(END)
    data = bundle(view)
    assert len(data["text/html"]) < 4_000_000
    assert len(data["text/plain"]) < 110_000
    assert "0 xxx" in data["text/plain"]
    assert "59999 xxx" in data["text/plain"]
    assert "lines left out; all of it: %logs gpu-box/7 --save FILE" in data["text/plain"]
    assert re.search(r"\d+ displays \([\d.]+ MiB\) left out here: %logs gpu-box/7", data["text/plain"])


@pytest.mark.parametrize(
    "hostile", ['"><script>x</script>', "</div><img src=x onerror=x>", "a\nb\x1b]0;t\x07"]
)
def test_card_whatever_a_job_says_stays_text(hostile: str) -> None:
    view = View()
    view.feed(Event(type="queue", state=State.QUEUED, position=1, waiting_for=hostile))
    markup = [bundle(view)["text/html"]]
    events = (
        Event(type="metric", values={hostile: 1.0}),
        output(f"\r{hostile}: 62%|###  | 620/1000 [00:10<00:06, 1it/s]"),
        output(f"\n{hostile}"),
    )
    view = running(Event(type="started", at=100.0, environment=hostile), *events)
    markup.append(bundle(view, trouble=hostile)["text/html"])
    view.feed(Event(type="result", name=hostile, reason=hostile))
    view.feed(Event(type="ended", state=State.FAILED, reason=hostile))
    markup.append(bundle(view)["text/html"])
    assert not re.search(r"<script|<img|\x1b", "".join(markup))
    assert (
        re.findall(
            r"<(?!/?(?:div|strong|pre|svg|title|desc|line|g|path|circle|table|thead|tbody|tr|th|td|span|details|summary)\b)",
            "".join(markup),
        )
        == []
    )


def test_card_has_no_script_no_motion_and_follows_the_theme() -> None:
    markup = bundle(running(output("\x1b[31mx\x1b[0m\r 62%|###  | 62/100 [00:10<00:06, 61it/s]")))[
        "text/html"
    ]
    assert not re.search(r"<script|\son\w+=|animation|transition|<style", markup)
    colours = re.findall(r"(?:color|border-color|border-top-color):([^;\"]+)", markup)
    assert colours
    assert all(colour.startswith(("var(--jp-", "var(--mlm", "inherit")) for colour in colours)
