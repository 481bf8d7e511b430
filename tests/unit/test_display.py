from __future__ import annotations

import base64
import hashlib
import time
from typing import Any

import pytest

from cluster_agent.protocol import Event, State
from mlmagics.display import ansi
from mlmagics.display.changes import Changes, Clear, Raised, Rest, Show, Update, Write, gap_note, rest_text
from mlmagics.display.clock import clock, until
from mlmagics.display.drawing import Drawing
from mlmagics.display.pace import Pace, message_bytes
from mlmagics.display.place import LINGER_S, Place, waiting_s
from mlmagics.display.tables import Table
from mlmagics.display.text import Text
from mlmagics.display.view import Budget, Shown, View
from mlmagics.display.watch import state_line
from mlmagics.display.writing import Canvas, whole_data
from mlmagics.errors import BadValue, UserError
from mlmagics.magics.logs import last_lines


def output(text: str, stream: str = "stdout") -> Event:
    return Event(type="output", stream=stream, text=text)  # type: ignore[arg-type]


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
    assert cell.after(output("no end yet")) == []
    assert cell.after(output(", now\n")) == ["no end yet, now\n"]
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


def test_changes_film_of_displays_is_updated_in_its_place() -> None:
    cell = Cell()
    clear = Event(type="clear", wait=True)
    first = cell.after(clear, display("1"))
    assert [type(change) for change in first] == [Show]
    for number in range(3):
        (update,) = cell.after(clear, display(f"{number}"))
        assert isinstance(update, Update)
        assert (update.place, update.shown.data) == (0, {"text/plain": f"{number}"})
    more = cell.after(clear, display("a"), display("b"), output("c\n"))
    assert [change if isinstance(change, str) else type(change) for change in more] == [Show, Update, "c\n"]
    assert [type(change) for change in cell.after(clear, display("d"))] == [Clear, Show]


def test_changes_clear_of_nothing_is_nothing() -> None:
    assert Cell().after(Event(type="clear"), Event(type="clear", wait=True), output("a\n")) == ["a\n"]


def test_changes_text_is_not_taken_back_by_a_display() -> None:
    cell = Cell()
    assert cell.after(output("a\n")) == ["a\n"]
    assert [type(change) for change in cell.after(Event(type="clear"), display("p"))] == [Clear, Show]


def test_changes_error_comes_after_the_text_before_it() -> None:
    text, raised = Cell().after(output("a"), Event(type="error", ename="E", evalue="v", traceback=["t"]))
    assert text == "a"
    assert isinstance(raised, Raised)


def test_changes_of_a_long_log_are_head_gap_and_tail() -> None:
    cell = Cell(budget=Budget(head_lines=2, tail_lines=2))
    text, rest = cell.after(*(output(f"{n}\n") for n in range(6)))
    assert text == "0\n1\n"
    assert isinstance(rest, Rest)
    assert rest.note.startswith("... 4 more lines, as of ")
    assert (rest.text, rest.final) == ("3\n4\n5\n", False)
    (end,) = cell.after(output("6\n"), END)
    note = "... 3 lines left out; all of it: %logs gpu-box/7 --save FILE\n"
    assert end == Rest(0, note, "5\n6\n", final=True)
    assert cell.after() == []
    (item,) = cell.view.items
    assert isinstance(item, Text)
    assert rest_text(item, "gpu-box/7") == note + "5\n6\n"


def test_changes_an_unfinished_line_that_no_longer_fits_is_taken_back() -> None:
    cell = Cell(budget=Budget(head_lines=1, tail_lines=9))
    assert cell.after(output("a\nbegun")) == ["a\nbegun"]
    blank, rest = cell.after(output(" and done\n"), END)
    assert blank == "\r     \r"
    assert rest == Rest(0, "", "begun and done\n", final=True)


def test_changes_streams_are_told_apart() -> None:
    cell = Cell()
    for event in (output("a\n"), output("b\n", "stderr"), output("c"), END):
        cell.view.feed(event)
    assert list(cell.changes.since_last(cell.view)) == [Write("a\n"), Write("b\n", "stderr"), Write("c")]


def test_changes_whoever_stops_in_between_gets_the_rest_later() -> None:
    cell = Cell(budget=Budget(head_lines=4, tail_lines=1))
    events = [
        output("a\n"),
        display("p", display_id="d"),
        output("b\n"),
        output("e\n", "stderr"),
        display("q"),
    ]
    for event in [*events, output("1\n2\n3\n4\n"), Event(type="error", ename="E"), END]:
        cell.view.feed(event)
    one_by_one = []
    while (change := next(cell.changes.since_last(cell.view), None)) is not None:
        one_by_one.append(change)
        cell.view.feed(display("r", display_id="d", update=True))
        if len(one_by_one) > 20:
            break
    kinds = [type(change) for change in one_by_one if not isinstance(change, Update)]
    assert kinds == [Write, Show, Write, Write, Show, Write, Rest, Raised]


def test_changes_a_flood_of_updates_does_not_hold_up_what_is_new() -> None:
    cell = Cell()
    cell.after(*(display("p", display_id=f"{n}") for n in range(20)))
    seen: set[Any] = set()
    for round_ in range(12):
        cell.view.feed(output(f"{round_}\n"))
        for n in range(20):
            cell.view.feed(display(f"{round_}", display_id=f"{n}", update=True))
        changes = cell.changes.since_last(cell.view)
        seen |= {
            change.place if isinstance(change, Update) else change.text
            for change in (next(changes), next(changes), next(changes))
        }  # type: ignore[union-attr]
    assert seen >= {*range(20), "0\n", "11\n"}


def test_gap_note_counts_lines_and_bytes() -> None:
    end = " left out; all of it: %logs a/1 --save FILE\n"
    assert gap_note(0, "a/1") == ""
    assert gap_note(1, "a/1") == "... 1 line" + end
    assert gap_note(0, "a/1", 99_000_000) == "... 99,000,000 bytes of a line" + end
    assert gap_note(1200, "a/1", 5) == "... 1,200 lines and 5 bytes of the next" + end


class RecordingShell:
    """A shell whose front end is a list."""

    kernel = object()

    def __init__(self) -> None:
        self.display_pub = self
        self.published: list[dict[str, Any]] = []

    def publish(
        self, data: dict[str, Any], metadata: Any = None, *, transient: dict[str, str], update: bool = False
    ) -> None:
        self.published.append(
            {"data": data, "metadata": metadata, "id": transient["display_id"], "update": update}
        )

    def clear_output(self, wait: bool = False) -> None:
        self.published.append({"clear": wait})


def no_blob(sha256: str) -> bytes:
    raise UserError(f"there is no {sha256[:4]}")


def canvas_of(shell: Any, place: Place = Place.NOTEBOOK, **options: Any) -> Canvas:
    return Canvas(shell, place, options.pop("blob", no_blob), foreign=False)


def draw(canvas: Canvas, *events: Event, budget: Budget | None = None) -> None:
    view = View(budget=budget)
    for event in events:
        view.feed(event)
    Drawing(canvas, view, "gpu-box/7", raises=False).all()


def test_canvas_writes_each_stream_to_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    draw(canvas_of(RecordingShell()), output("a\n"), output("b\n", "stderr"), output("c"), END)
    assert capsys.readouterr() == ("a\nc", "b\n")


def test_canvas_a_line_of_ours_stands_on_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    canvas = canvas_of(RecordingShell())
    canvas.apply(Write("50 %"))
    canvas.line("ours")
    canvas.apply(Write("x\n"))
    canvas.line("ours")
    assert capsys.readouterr().out == "50 %\nours\nx\nours\n"


def test_canvas_rest_of_a_long_log_is_one_display_that_is_updated(capsys: pytest.CaptureFixture[str]) -> None:
    shell = RecordingShell()
    canvas = canvas_of(shell)
    canvas.apply(Rest(0, "... 4 more lines\n", "last\n", final=False))
    canvas.apply(Rest(0, "... 5 more lines\n", "last\n", final=False))
    canvas.apply(Rest(0, "... 3 lines left out\n", "5\n6\n", final=True))
    first, last = shell.published
    assert first["data"] == {"text/plain": "... 4 more lines\nlast"}
    assert last["data"] == {"text/plain": "... 3 lines left out\n5\n6"}
    assert (first["id"], first["update"], last["update"]) == (last["id"], False, True)
    canvas = canvas_of(shell, Place.HEADLESS)
    canvas.apply(Write("head without end"))
    canvas.apply(Rest(0, "... 4 more lines\n", "last\n", final=False))
    canvas.apply(Rest(0, "... 3 lines left out\n", "5\n6\n", final=True))
    assert capsys.readouterr().out == "head without end\n... 3 lines left out\n5\n6\n"


def test_canvas_tells_of_displays_beyond_the_budget(capsys: pytest.CaptureFixture[str]) -> None:
    shell = RecordingShell()
    events = [display(f"{n}") for n in range(1000)]
    dropped = Event(type="dropped", stream="stdout", count=3_000_000)
    refused = Event(type="storage", message="the disk refused")
    draw(canvas_of(shell), *events, dropped, refused, refused, END, budget=Budget(displays=5))
    assert [one["data"]["text/plain"] for one in shell.published] == ["0", "1", "2", "3", "4"]
    assert capsys.readouterr().out.splitlines() == [
        "... 995 displays left out; all of them: %logs gpu-box/7 --open",
        "... 2.9 MiB of output are in no log",
        "... the disk refused",
    ]


def test_canvas_holds_no_more_than_a_notebook_should() -> None:
    shell = RecordingShell()
    canvas = canvas_of(shell)
    picture = base64.b64encode(bytes(3_000_000)).decode()
    for place in range(7):
        canvas.apply(Show(place, Shown({"image/png": picture}, {}, {}, None, False)))
    assert sum(len(one["data"].get("image/png", "")) for one in shell.published) == 20_000_000
    assert shell.published[5]["data"]["text/plain"].startswith("<left out: image/png; the cell is full")


def test_canvas_headings_stay_when_the_job_clears(capsys: pytest.CaptureFixture[str]) -> None:
    shell = RecordingShell()
    canvas = canvas_of(shell)
    canvas.heading("Job Status: Running")
    canvas.heading("second")
    canvas.apply(Write("a"))
    canvas.apply(Clear())
    assert capsys.readouterr().out == "Job Status: Running\nsecond\naJob Status: Running\nsecond\n"
    assert shell.published == [{"clear": True}]


class PlainShell:
    """IPython without a kernel."""


def test_canvas_without_a_terminal_or_with_no_color_is_plain(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    events = [
        output("\x1b[31mred\x1b[0m\n"),
        display("\x1b[32mshown\x1b[0m"),
        Event(type="display", data={"image/png": "AAAA"}),
        Event(type="error", ename="E", evalue="v", traceback=["\x1b[31mTrace\x1b[0m"]),
        END,
    ]
    monkeypatch.delenv("NO_COLOR", raising=False)
    draw(canvas_of(PlainShell(), Place.TERMINAL), *events)
    assert capsys.readouterr().out == "red\nshown\n<image/png>\nTrace\n"
    draw(canvas_of(RecordingShell()), *events)
    assert "\x1b[31mred" in capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    shell = RecordingShell()
    draw(canvas_of(shell), *events)
    assert capsys.readouterr().out == "red\nTrace\n"
    assert shell.published[0]["data"] == {"text/plain": "shown"}


def test_blobs_are_fetched_where_they_are_shown_and_only_right_ones_taken() -> None:
    content = b'{"a": 1}'
    good = hashlib.sha256(content).hexdigest()
    bad = hashlib.sha256(b"\xff").hexdigest()
    stored = {good: content, bad: b"\xff", "0" * 64: b"other"}
    asked = []

    def blob(sha256: str) -> bytes:
        asked.append(sha256)
        return stored[sha256] if sha256 in stored else no_blob(sha256)

    def data_of(**blobs: str) -> dict[str, Any]:
        named = {mime.replace("_", "/"): sha256 for mime, sha256 in blobs.items()}
        return whole_data(Shown({}, {}, named, None, False), blob)

    assert data_of(application_json=good) == {"application/json": {"a": 1}}
    assert data_of(application_javascript=good) == {"application/javascript": ""}
    assert asked == [good]
    for wrong, why in (
        (bad, "codec"),
        ("0" * 64, "not what the job displayed"),
        ("f" * 64, "there is no ffff"),
    ):
        assert why in data_of(text_html=wrong)["text/plain"]


def test_pace_lets_ten_messages_and_half_a_megabyte_out_a_second() -> None:
    pace = Pace()
    assert pace.wait_s == 0
    for _ in range(10):
        pace.sent(100)
    assert 0.8 < pace.wait_s <= 1.0
    pace = Pace()
    pace.sent(1_000_000)
    assert 1.8 < pace.wait_s <= 2.0
    assert message_bytes("\x1b[0m\u00e4\n") == 6 + 3 + 2 + 2


def test_times_are_told_with_their_day_when_it_is_another_one() -> None:
    now = time.mktime((2026, 1, 21, 14, 2, 11, 0, 0, -1))
    assert clock(now) == "14:02:11"
    assert until(now + 1080, now) == "14:20"
    assert until(now + 86_400, now) == "22 Jan 14:02"
    assert until(1e300, now)
    assert clock(-1e300)


def test_state_line_of_a_queued_job_tells_place_reason_and_time() -> None:
    view = View()
    assert state_line(view) == "queued"
    at = time.mktime((2089, 1, 21, 14, 20, 0, 0, 0, -1))
    view.feed(
        Event(type="queue", state=State.QUEUED, position=2, waiting_for="needs 2 GPUs, 1 free", starts_by=at)
    )
    assert state_line(view) == "queued, place 2: needs 2 GPUs, 1 free; starts by 21 Jan 14:20"


def test_ansi_colours_become_styles_and_markup_stays_text() -> None:
    assert ansi.to_html("a < b & c") == "a &lt; b &amp; c"
    assert ansi.to_html("\x1b[1mx\x1b[0my") == '<span style="font-weight:bold">x</span>y'
    assert "rgb(95,135,0)" in ansi.to_html("\x1b[38;5;64mx")
    assert "rgb(1,2,3)" in ansi.to_html("\x1b[48;2;1;2;3mx")
    marked = ansi.to_html("\x1b[30;43m1/0\x1b[39;49m")
    assert marked == '<span style="color:#111111;background:#e8c268">1/0</span>'
    assert ansi.to_html("\x1b[38;5mx\x1b[999mx") == "xx"


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
