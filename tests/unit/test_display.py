from __future__ import annotations

from typing import Any

import pytest

from cluster_agent.protocol import Event, State
from mlmagics.display import ansi, card
from mlmagics.display.changes import Changes, Clear, Raised, Show, Update, Write
from mlmagics.display.mime import as_html, shown_bundle
from mlmagics.display.place import LINGER_S, Place, waiting_s
from mlmagics.display.tables import Table
from mlmagics.display.view import Budget, Shown, View
from mlmagics.errors import BadValue
from mlmagics.magics.completion import Completion
from mlmagics.magics.logs import last_lines


def output(text: str) -> Event:
    return Event(type="output", stream="stdout", text=text)


def display(text: str, **fields: Any) -> Event:
    return Event(type="display", data={"text/plain": text}, **fields)


END = Event(type="ended", state=State.SUCCEEDED, seconds=14.0)


class Cell:
    """A view and what was written of it."""

    def __init__(self, *, redraw: bool = True, budget: Budget | None = None) -> None:
        self.view = View(budget=budget)
        self.changes = Changes("gpu-box/7", redraw=redraw)

    def after(self, *events: Event) -> list[Any]:
        for event in events:
            self.view.feed(event)
        return [
            change.text if isinstance(change, Write) else change
            for change in self.changes.since_last(self.view)
        ]


def test_changes_write_each_character_once() -> None:
    cell = Cell()
    assert cell.after(output("a\nb")) == ["a\nb"]
    assert cell.after() == []
    assert cell.after(output("c\nd\n")) == ["c\nd\n"]
    assert cell.after(output("e"), END) == ["e"]


def test_changes_redraw_an_overwritten_line_in_place() -> None:
    cell = Cell()
    assert cell.after(output("10 %")) == ["10 %"]
    assert cell.after(output("\r20 %\r30 %")) == ["\r30 %"]
    assert cell.after(output("\r\x1b[Kok\nnext")) == ["\rok  \nnext"]


def test_changes_where_nobody_looks_an_overwritten_line_is_written_once() -> None:
    cell = Cell(redraw=False)
    assert cell.after(output("\r10 %")) == []
    assert cell.after(output("\r20 %")) == []
    assert cell.after(output("\r99 %\n")) == ["99 %\n"]
    assert cell.after(output("\rlast"), END) == ["last"]


def test_changes_displays_in_order_and_updated_in_place() -> None:
    cell = Cell()
    first, show, second = cell.after(output("a\n"), display("p", display_id="d"), output("b\n"))
    assert (first, second) == ("a\n", "b\n")
    assert isinstance(show, Show)
    (update,) = cell.after(display("q", display_id="d", update=True))
    assert isinstance(update, Update)
    assert update.place == show.place
    assert update.shown.data == {"text/plain": "q"}


def test_changes_clear_takes_everything_back() -> None:
    cell = Cell()
    cell.after(output("a\n"), display("p"))
    clear, text = cell.after(Event(type="clear", wait=True), output("b\n"))
    assert isinstance(clear, Clear)
    assert text == "b\n"


def test_changes_error_comes_after_the_text_before_it() -> None:
    text, raised = Cell().after(output("a"), Event(type="error", ename="E", evalue="v", traceback=["t"]))
    assert text == "a"
    assert isinstance(raised, Raised)


def test_changes_of_a_long_log_are_head_gap_and_tail() -> None:
    cell = Cell(budget=Budget(head_lines=2, tail_lines=2))
    assert cell.after(*(output(f"{n}\n") for n in range(6))) == ["0\n1\n"]
    assert cell.after(output("6\n"), END) == [
        "... 3 lines left out; all of it: %logs gpu-box/7 --save FILE\n5\n6\n"
    ]


def test_mime_own_job_is_shown_as_jupyter_does_but_without_scripts_and_widgets() -> None:
    data = {
        "text/html": "<b>x</b>",
        "text/plain": "x",
        "application/javascript": "alert(1)",
        "application/vnd.jupyter.widget-view+json": {},
        "application/vnd.plotly.v1+json": {"data": []},
    }
    assert set(shown_bundle(data, foreign=False)) == {
        "text/html",
        "text/plain",
        "application/vnd.plotly.v1+json",
    }


def test_mime_foreign_html_is_shut_in_and_svg_becomes_an_image() -> None:
    bundle = shown_bundle({"text/html": '<script>"a"</script>', "text/plain": "x"}, foreign=True)
    assert 'sandbox="allow-scripts"' in bundle["text/html"]
    assert "<script" not in bundle["text/html"]
    svg = shown_bundle({"image/svg+xml": "<svg onload='x()'/>"}, foreign=True)
    assert svg["text/html"].startswith("<img ")
    assert "onload" not in svg["text/html"]
    assert "image/svg+xml" not in svg
    assert set(shown_bundle({"text/markdown": "<b>", "image/png": "aa"}, foreign=True)) == {"image/png"}


def test_mime_nothing_that_can_be_shown_is_said() -> None:
    assert shown_bundle({"application/javascript": "x"}, foreign=False) == {
        "text/plain": "<not shown here: application/javascript>"
    }


def test_mime_image_data_cannot_leave_its_attribute() -> None:
    markup = as_html({"image/png": 'AA"><script>x</script>', "text/plain": '"><i>'})
    assert "<script>" not in markup
    assert "<i>" not in markup


def test_ansi_colours_become_styles_and_markup_stays_text() -> None:
    assert ansi.to_html("a < b & c") == "a &lt; b &amp; c"
    assert ansi.to_html("\x1b[1mx\x1b[0my") == '<span style="font-weight:bold">x</span>y'
    assert "rgb(95,135,0)" in ansi.to_html("\x1b[38;5;64mx")
    assert "rgb(1,2,3)" in ansi.to_html("\x1b[48;2;1;2;3mx")
    marked = ansi.to_html("\x1b[30;43m1/0\x1b[39;49m")
    assert marked == '<span style="color:#111111;background:#e8c268">1/0</span>'
    assert ansi.to_html("\x1b[38;5mx\x1b[999mx") == "xx"


SUBJECT = card.Subject(
    ref="gpu-box/7",
    cluster="gpu-box",
    job_id=7,
    agent_id="a1",
    history_url="https://b/history/7",
    name="train",
)


def bundle(view: View, trouble: str | None = None) -> dict[str, Any]:
    return card.bundle(SUBJECT, view, as_of=1e9, age_s=2.0, trouble=trouble, data_of=lambda shown: shown.data)


def test_card_of_a_live_job_names_its_time_and_the_ways_on() -> None:
    view = View()
    view.feed(Event(type="started", at=100.0))
    view.feed(Event(type="output", stream="stdout", text="epoch <1>\n", at=160.0))
    data = bundle(view)
    first, *rest = data["text/plain"].splitlines()
    assert first.startswith("gpu-box/7 train: Running, for 1 min 2 s, as of ")
    assert rest[0] == "epoch <1>"
    assert "%logs gpu-box/7" in rest[-1]
    assert "%cancel gpu-box/7" in rest[-1]
    assert "epoch &lt;1&gt;" in data["text/html"]
    assert data[card.MIME]["state"] == "running"
    assert "No contact at present: refused" in bundle(view, trouble="refused")["text/plain"]


def test_card_of_an_ended_job_holds_all_that_was_displayed() -> None:
    view = View()
    for event in (output("a\n"), display("plot"), output("b\n"), Event(type="file", path="m", size=3), END):
        view.feed(event)
    data = bundle(view)
    assert data["text/plain"].splitlines() == [
        "gpu-box/7 train: Finished after 14 s",
        "a",
        "plot",
        "b",
        "1 file, 3 B: %fetch gpu-box/7 --files",
    ]
    assert "as of" not in data["text/plain"]


def test_card_tells_why_a_job_failed() -> None:
    view = View()
    view.feed(
        Event(type="error", ename="ValueError", evalue="no", traceback=["\x1b[31mTraceback\x1b[0m <x>"])
    )
    view.feed(Event(type="ended", state=State.FAILED, reason="ValueError: no", seconds=3.0))
    data = bundle(view)
    assert data["text/plain"].splitlines()[:2] == [
        "gpu-box/7 train: Failed after 3 s, ValueError: no",
        "Traceback <x>",
    ]
    assert "&lt;x&gt;" in data["text/html"]


def test_card_stays_within_one_message() -> None:
    view = View(budget=Budget(head_lines=10**6, head_chars=10**8))
    for number in range(40_000):
        view.feed(output(f"{number} {'x' * 20}\n"))
    view.feed(Event(type="display", data={"image/png": "A" * 3_000_000}))
    view.feed(END)
    data = bundle(view)
    assert len(data["text/html"]) < 500_000
    assert "lines left out; all of it: %logs gpu-box/7 --save FILE" in data["text/plain"]
    assert "is left out: %logs gpu-box/7" in data["text/html"]
    head, tail = "0 xxx", "39999 xxx"
    assert head in data["text/plain"]
    assert tail in data["text/plain"]


@pytest.mark.parametrize(
    ("asked", "place", "variable", "expected"),
    [
        (None, Place.NOTEBOOK, "", LINGER_S),
        (None, Place.TERMINAL, "", LINGER_S),
        (None, Place.HEADLESS, "", float("inf")),
        (None, Place.NOTEBOOK, "1", float("inf")),
        (None, Place.HEADLESS, "0", LINGER_S),
        (0.0, Place.HEADLESS, "1", 0.0),
        (30.0, Place.NOTEBOOK, "0", 30.0),
    ],
)
def test_waiting_is_decided_by_the_cell_then_the_variable_then_the_place(
    asked: float | None, place: Place, variable: str, expected: float
) -> None:
    assert waiting_s(asked, place, {"MLMAGICS_WAIT": variable} if variable else {}) == expected


def test_waiting_variable_with_another_value_is_refused() -> None:
    with pytest.raises(BadValue, match="set it to 1"):
        waiting_s(None, Place.NOTEBOOK, {"MLMAGICS_WAIT": "yes"})


def test_last_lines_cut_in_the_middle_of_an_event_and_keep_what_came_between() -> None:
    events = [output("1\n2\n3\n"), display("p"), output("4\n"), output("5")]
    assert [event.text or event.type for event in last_lines(events, 3)] == ["3\n", "display", "4\n", "5"]
    assert last_lines(events, 99) == events
    assert [event.text for event in last_lines([output("a\nb\nc\n")], 1)] == ["c\n"]


def test_table_aligns_and_escapes() -> None:
    table = Table(["job", "name"], [["gpu-box/7", "<b>\x1b[31m"], ["a/1", "x\ny"]])
    assert table.as_text() == "job        name\ngpu-box/7  <b>\na/1        x y"
    assert "&lt;b&gt;" in table.as_html()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("%%gpu-box --gp", ["--gpus"]),
        ("%%gpu-box --gpus 2 --time", ["--timeout", "--time"]),
        ("%%on gp", ["gpu-box"]),
        ("%%on gpu-box --pri", ["--priority"]),
        ("%logs --no", ["--no-follow"]),
        ("%attachments add --tok", ["--token-file", "--token-env"]),
        ("%%other --gp", []),
        ("%%gpu-box", []),
        ("x = 1 --gp", []),
    ],
)
def test_completion_on_the_first_line(line: str, expected: list[str]) -> None:
    completion = Completion(lambda: ["gpu-box", "local"])
    assert [text for text, _ in completion.matches(0, line)] == expected
    assert completion.matches(1, line) == []


def test_shown_bundle_never_shares_the_events_dictionary() -> None:
    shown = Shown(data={"text/plain": "x"}, metadata={}, blobs={}, display_id=None, result=False)
    shown_bundle(shown.data, foreign=False)["text/html"] = "y"
    assert shown.data == {"text/plain": "x"}
