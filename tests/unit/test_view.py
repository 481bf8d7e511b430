from __future__ import annotations

import base64
from typing import Any

import pytest

from cluster_agent.protocol import Event, State
from mlmagics.display.lines import Fold, plain
from mlmagics.display.view import Budget, Failure, Shown, Text, View


def output(text: str, stream: str = "stdout") -> Event:
    return Event(type="output", stream=stream, text=text)  # type: ignore[arg-type]


def display(text: str, **fields: Any) -> Event:
    return Event(type="display", data={"text/plain": text}, **fields)


def ended(state: State = State.SUCCEEDED, **fields: Any) -> Event:
    return Event(type="ended", state=state, **fields)


def view_of(*events: Event, budget: Budget | None = None) -> View:
    view = View(budget=budget)
    for event in events:
        view.feed(event)
    return view


def shown(view: View) -> list[str]:
    """Each item as text, with its gap as ``[N]``."""
    found = []
    for item in view.items:
        if isinstance(item, Text):
            gap = f"[{item.left_out}]" if item.left_out else ""
            found.append("".join(item.head) + gap + "".join(item.tail) + item.current)
        elif isinstance(item, Shown):
            found.append(f"<{item.data['text/plain']}>")
        else:
            found.append(f"!{item.ename}")
    return found


def test_fold_overwrites_after_a_carriage_return_as_a_terminal_does() -> None:
    fold = Fold()
    assert fold.feed(" 10%|#    |\r 20%|##   |\r100%|#####|\nnext") == ["100%|#####|\n"]
    assert fold.current == "next"
    assert fold.feed("\rne") == []
    assert fold.current == "next"
    assert fold.volatile


def test_fold_shorter_text_leaves_the_rest_unless_the_line_is_erased() -> None:
    assert Fold().feed("abcdef\rXY\n") == ["XYcdef\n"]
    assert Fold().feed("abcdef\r\x1b[KXY\n") == ["XY\n"]
    assert Fold().feed("abcdef\x1b[2K\rXY\n") == ["XY\n"]
    assert Fold().feed("abc\b\bX\n") == ["aXc\n"]


@pytest.mark.parametrize("cut", range(1, 30))
def test_fold_gives_the_same_wherever_the_text_is_cut(cut: int) -> None:
    text = "a\x1b[31mred\x1b[0m\r\nb\rB\x1b]0;title\x07c\x1b[2Ad\n"
    whole, cut_up = Fold(), Fold()
    expected = whole.feed(text)
    assert cut_up.feed(text[:cut]) + cut_up.feed(text[cut:]) == expected
    assert [plain(line) for line in expected] == ["ared\n", "Bcd\n"]


def test_fold_keeps_colours_and_drops_every_other_escape() -> None:
    assert Fold().feed("\x1b[1;31mred\x1b[0m \x1b[3Aup \x1b]8;;http://x\x1b\\link \x07\x00\x9b2Jbell\n") == [
        "\x1b[1;31mred\x1b[0m up link 2Jbell\n"
    ]


def test_fold_colour_that_is_on_survives_an_overwritten_line() -> None:
    fold = Fold()
    first, second = fold.feed("\x1b[31mred\nold\rnew\x1b[0m plain\n")
    assert first == "\x1b[31mred\n"
    assert second == "new\x1b[0m plain\n"


def test_fold_cuts_a_line_without_end() -> None:
    fold = Fold()
    pieces = fold.feed("x" * 200_000)
    assert sum(map(len, pieces)) + len(fold.current) == 200_000
    assert max(map(len, pieces)) < 70_000


def test_view_keeps_the_order_of_text_displays_and_errors() -> None:
    view = view_of(
        output("a\n"),
        output("warning\n", "stderr"),
        display("plot"),
        output("b"),
        Event(type="error", ename="ValueError", evalue="no", traceback=["t"]),
        ended(State.FAILED),
    )
    assert shown(view) == ["a\nwarning\n", "<plot>", "b", "!ValueError"]
    assert isinstance(view.items[-1], Failure)
    assert view.error is not None
    assert view.word == "Failed"


def test_view_update_changes_the_display_in_its_place() -> None:
    view = view_of(
        display("0 %", display_id="bar"), output("x\n"), display("50 %", display_id="bar", update=True)
    )
    assert shown(view) == ["<50 %>", "x\n"]
    view.feed(display("lost", display_id="unknown", update=True))
    assert shown(view) == ["<50 %>", "x\n"]


def test_view_clear_output_now_and_with_the_next_output() -> None:
    view = view_of(output("a\n"), Event(type="clear"))
    assert shown(view) == []
    view = view_of(output("a\n"), Event(type="clear", wait=True))
    assert shown(view) == ["a\n"]
    view.feed(output("b\n"))
    assert (shown(view), view.generation) == (["b\n"], 1)


def test_view_leaves_out_the_middle_and_counts_it() -> None:
    budget = Budget(head_lines=3, tail_lines=2)
    view = view_of(*(output(f"{n}\n") for n in range(10)), ended(), budget=budget)
    assert shown(view) == ["0\n1\n2\n[5]8\n9\n"]
    assert (view.left_out, view.lines) == (5, 10)


def test_view_tail_budget_is_shared_by_all_texts() -> None:
    budget = Budget(head_lines=1, tail_lines=2)
    view = view_of(output("a\nb\nc\n"), display("p"), output("d\ne\n"), ended(), budget=budget)
    assert shown(view) == ["a\n[2]", "<p>", "d\ne\n"]


def test_view_counts_characters_as_well() -> None:
    budget = Budget(head_chars=10, tail_chars=10)
    view = view_of(*(output("1234567\n") for _ in range(5)), budget=budget)
    assert shown(view) == ["1234567\n[3]1234567\n"]


def test_view_shows_what_is_not_utf8_and_no_more_displays_than_the_budget() -> None:
    raw = base64.b64encode(b"\xff\xfe").decode()
    view = view_of(Event(type="output", stream="stdout", base64=raw), budget=Budget(displays=1))
    assert shown(view) == ["\ufffd\ufffd"]
    view.feed(display("1"))
    view.feed(display("2"))
    assert (shown(view)[1:], view.displays_left_out) == (["<1>"], 1)


def test_view_states_from_queue_to_end() -> None:
    view = View()
    view.feed(Event(type="queue", state=State.QUEUED, position=2, waiting_for="needs 1 GPU, 0 free"))
    assert (view.word, view.position, view.waiting_for) == ("Queued", 2, "needs 1 GPU, 0 free")
    view.feed(Event(type="preparing", seq=1))
    assert view.word == "Preparing"
    view.feed(Event(type="started", seq=2, at=5.0))
    assert (view.word, view.position) == ("Running", None)
    view.feed(Event(type="cancel", seq=3, by="ada"))
    assert view.word == "Stopping"
    view.feed(ended(State.CANCELLED))
    assert (view.word, view.done) == ("Cancelled", True)


def test_view_ignores_types_of_newer_agents_and_takes_an_unknown_end_for_lost() -> None:
    view = view_of(Event(type="hologram", text="x"), Event(type="ended"))
    assert shown(view) == []
    assert view.state is State.LOST


def test_view_last_lines_go_across_items_and_include_the_unfinished_one() -> None:
    view = view_of(output("a\nb\n"), display("p"), output("c\nd"))
    assert view.last_lines(3) == ["b", "c", "d"]
    assert view.last_lines(9) == ["a", "b", "c", "d"]


def test_view_collects_files_and_metrics() -> None:
    view = view_of(
        Event(type="metric", values={"rmse": 0.4}),
        Event(type="metric", values={"step": 3}),
        Event(type="file", path="a.txt", size=3, sha256="0"),
        Event(type="dropped", stream="stdout", count=7),
    )
    assert view.metric == {"rmse": 0.4, "step": 3}
    assert [(file.path, file.size) for file in view.files] == [("a.txt", 3)]
    assert view.dropped_bytes == 7
