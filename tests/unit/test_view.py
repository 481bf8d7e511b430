from __future__ import annotations

import base64
from typing import Any

import pytest

from cluster_agent.protocol import Event, State
from mlmagics.display.escapes import Cleaner, one_line, plain, shown_text, style_after
from mlmagics.display.lines import MAX_LINE, Fold
from mlmagics.display.text import Text
from mlmagics.display.view import Budget, Failure, Shown, View


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
            part = f"[{item.left_out_bytes} bytes]" if item.left_out_bytes else ""
            found.append("".join(item.head) + gap + part + "".join(item.tail) + item.current)
        elif isinstance(item, Shown):
            found.append(f"<{item.data['text/plain']}>")
        else:
            found.append(f"!{item.ename}")
    return found


def lines_of(fold: Fold, text: str) -> list[str]:
    return "".join(fold.feed(text)).splitlines(keepends=True)


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


@pytest.mark.parametrize("cut", range(1, 40))
def test_fold_gives_the_same_wherever_the_text_is_cut(cut: int) -> None:
    text = "a\x1b[31mred\x1b[0m\r\nb\rB\x1b]0;title\x07c\x1b[2Ad\x1b]8;;u\x1b\\e\n"
    whole, cut_up = Fold(), Fold()
    expected = "".join(whole.feed(text))
    assert "".join(cut_up.feed(text[:cut]) + cut_up.feed(text[cut:])) == expected
    assert plain(expected) == "ared\nBcde\n"


def test_fold_keeps_colours_and_drops_every_other_escape() -> None:
    text = "\x1b[1;31mred\x1b[0m \x1b[3Aup \x1b]8;;http://x\x1b\\link \x07\x00\x9b2Jbell\n"
    assert Fold().feed(text) == ["\x1b[1;31mred\x1b[0m up link 2Jbell\n"]
    assert Fold().feed("\x1b[38;5;208ma\x1b[48;2;1;2;3mb\x1b[4:3mc\n") == [
        "\x1b[38;5;208ma\x1b[48;2;1;2;3mb\x1b[4:3mc\n"
    ]


@pytest.mark.parametrize(
    ("escape", "left"),
    [
        ("\x1b]0;title\x07", ""),
        ("\x1b]52;c;cm0gLXJm\x07", ""),
        ("\x1b]8;;javascript:x\x1b\\", ""),
        ("\x1bP+q544e\x1b\\", ""),
        ("\x1b_Gf=100;AAAA\x1b\\", ""),
        ("\x1b^private\x1b\\", ""),
        ("\x1bXstring\x1b\\", ""),
        ("\x1b[?1049h\x1b[2J\x1b[10;10H", ""),
        ("\x1b[6n\x1b[c\x1b[>c", ""),
        ("\x1b[>4;2m", ""),
        ("\x1b(0\x1bc\x1b7\x1b=", ""),
        ("\x9d0;title\x9c\x90\x98\x9b31m", "0;title31m"),
        ("\x1b]never ended", "]never ended"),
        ("\x1b[" + "1;" * 5000 + "m", ""),
        ("\x1b[3\x071m", "[31m"),
        ("\x1b\x1bq", ""),
        ("\x0e\x0f\x05\x7f", ""),
    ],
)
def test_fold_lets_no_terminal_be_steered(escape: str, left: str) -> None:
    folded = "".join(Fold().feed(f"a{escape}b\n"))
    assert folded == f"a{left}b\n"
    assert plain(f"a{escape}b") == f"a{left}b"
    assert shown_text(f"a{escape}b") == f"a{left}b"


def test_fold_an_escape_never_swallows_a_lines_end() -> None:
    assert "".join(Fold().feed("\x1b]0;title\nnext\x07\n")).count("\n") == 2


def test_one_line_is_plain_and_in_one_direction() -> None:
    assert one_line("\x1b[31ma\nb\u202egnp.exe\u2066\t.") == "a bgnp.exe ."


def test_cleaner_keeps_bars_and_colours_of_a_stream_that_is_cut_anywhere() -> None:
    text = "\x1b[31m10%\x1b[0m\r\x1b]52;c;AA\x1b\\20%\n"
    for colours, expected in ((True, "\x1b[31m10%\x1b[0m\r20%\n"), (False, "10%\r20%\n")):
        for cut in range(len(text)):
            cleaner = Cleaner(colours=colours)
            assert cleaner.feed(text[:cut]) + cleaner.feed(text[cut:]) == expected


def test_style_after_forgets_what_a_reset_ends_and_stays_small() -> None:
    assert style_after("\x1b[1m", "x\x1b[31my\x1b[0mz\x1b[4m") == "\x1b[4m"
    assert style_after("", "\x1b[31m\x1b[32m\x1b[31m") == "\x1b[32m\x1b[31m"
    assert len(style_after("", "".join(f"\x1b[38;2;{n};0;0m" for n in range(5000)))) < 400


def test_fold_colour_that_is_on_survives_an_overwritten_line() -> None:
    first, second = lines_of(Fold(), "\x1b[31mred\nold\rnew\x1b[0m plain\n")
    assert first == "\x1b[31mred\n"
    assert second == "new\x1b[0m plain\n"


def test_fold_cuts_a_line_without_end_in_the_same_places_however_it_comes() -> None:
    text = "ab\n" + "x" * (3 * MAX_LINE) + "\nlast"
    whole = Fold()
    expected = whole.feed(text)
    assert [len(piece) for piece in expected] == [3, MAX_LINE, MAX_LINE, MAX_LINE + 1]
    for size in (1000, MAX_LINE, MAX_LINE + 1):
        fold, pieces = Fold(), []
        for start in range(0, len(text), size):
            pieces += fold.feed(text[start : start + size])
        assert [piece for piece in pieces if "\n" not in piece] == expected[1:3]
        assert "".join(pieces) == "".join(expected)
        assert fold.current == whole.current == "last"


def test_fold_of_a_bar_without_end_stays_small() -> None:
    fold = Fold()
    for _ in range(100):
        assert fold.feed("".join(f"\r{n % 100:3} %" for n in range(1000))) == []
    assert fold.current == " 99 %"


@pytest.mark.parametrize("text", ["10%\r20%\r", "\x1b[32m10%\x1b[0m\r\x1b[32m20%\x1b[0m\r", "abc\b\b\b20%"])
def test_fold_bars_that_end_with_the_return(text: str) -> None:
    fold = Fold()
    assert fold.feed(text) == []
    assert plain(fold.current) == "20%"
    assert fold.volatile


def test_view_keeps_the_order_of_text_displays_and_errors() -> None:
    view = view_of(
        output("a\n"),
        output("warning\n", "stderr"),
        display("plot"),
        output("b"),
        Event(type="error", ename="ValueError", evalue="no", traceback=["t"]),
        ended(State.FAILED),
    )
    assert shown(view) == ["a\n", "warning\n", "<plot>", "b", "!ValueError"]
    assert [item.stream for item in view.items if isinstance(item, Text)] == ["stdout", "stderr", "stdout"]
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
    assert view.left_out == 5


def test_view_of_text_before_a_display_keeps_a_short_end_and_before_the_error_a_long_one() -> None:
    budget = Budget(head_lines=1, tail_lines=30)
    many = "".join(f"{n}\n" for n in range(50))
    view = view_of(output(many), display("p"), output(many), Event(type="error", ename="E"), budget=budget)
    before, _, after, _ = shown(view)
    assert before.startswith("0\n[29]30\n")
    assert after.startswith("[20]20\n")


def test_view_counts_characters_as_well() -> None:
    budget = Budget(head_chars=10, tail_chars=10)
    view = view_of(*(output("1234567\n") for _ in range(5)), ended(), budget=budget)
    assert shown(view) == ["1234567\n[3]1234567\n"]


def test_view_counts_the_bytes_of_a_huge_line() -> None:
    budget = Budget(head_chars=MAX_LINE + 10, tail_chars=1000)
    view = view_of(*(output("\u00e4" * 1000) for _ in range(1000)), output("\n"), ended(), budget=budget)
    (text,) = view.items
    assert isinstance(text, Text)
    assert ["".join(text.head), "".join(text.tail)] == ["\u00e4" * MAX_LINE, "\u00e4" * 999 + "\n"]
    assert (text.left_out, text.left_out_bytes) == (0, 2 * (1_000_000 - MAX_LINE - 999))


@pytest.mark.parametrize("size", [1, 7, 100, 4000])
def test_view_keeps_the_same_however_the_text_is_cut(size: int) -> None:
    text = "".join(f"{n} {'x' * (n % 90)}\r{n}\n" if n % 7 == 0 else f"{n}\n" for n in range(2000))
    text += "y" * 3000 + "\nend"
    budget = Budget(head_lines=50, head_chars=1000, tail_lines=20, tail_chars=500)
    whole = view_of(output(text), ended(), budget=budget)
    pieces = [output(text[start : start + size]) for start in range(0, len(text), size)]
    assert shown(view_of(*pieces, ended(), budget=budget)) == shown(whole)
    assert "end" in shown(whole)[0]


def test_view_memory_is_bounded_whatever_comes() -> None:
    view = View()
    for _ in range(60):
        view.feed(output("z" * 60_000))
        view.feed(output("line\n" * 10_000))
        view.feed(output("\r50 %" * 10_000))
    held = sum(
        len("".join(item.head)) + len("".join(item.tail)) for item in view.items if isinstance(item, Text)
    )
    assert held < 1_500_000
    assert view.overflows


def test_view_streams_that_take_turns_too_often_go_on_in_one() -> None:
    events = [output(f"{n}\n", ("stdout", "stderr")[n % 2]) for n in range(1000)]
    view = view_of(*events, ended())
    assert len(view.items) == 51
    assert "".join(shown(view)) == "".join(f"{n}\n" for n in range(1000))


def test_view_lines_of_two_streams_in_one_text_do_not_mix() -> None:
    view = view_of(output("head\n"), budget=Budget(head_lines=0))
    for event in (
        output("\r10 %", "stderr"),
        output("out\n"),
        output("\r20 %", "stderr"),
        output("put"),
        ended(),
    ):
        view.feed(event)
    assert shown(view) == ["head\nout\nput\n20 %"]


def test_view_last_lines_of_what_is_left_out() -> None:
    view = view_of(*(output(f"{n}\n") for n in range(100)), output("now"), budget=Budget(head_lines=3))
    assert view.last_lines(3) == ["98", "99", "now"]


def test_view_skips_lines_as_if_they_had_been_read() -> None:
    budget = Budget(head_lines=2, tail_lines=3)
    read = view_of(*(output(f"{n}\n") for n in range(100)), ended(), budget=budget)
    jumped = view_of(output("0\n1\n2\n3\n4"), budget=budget)
    jumped.skip("stdout", 86)
    for event in (output("".join(f"{n}\n" for n in range(90, 100))), ended()):
        jumped.feed(event)
    assert shown(jumped) == shown(read) == ["0\n1\n[95]97\n98\n99\n"]


def test_view_shows_what_is_not_utf8_and_no_more_displays_than_the_budget() -> None:
    raw = base64.b64encode(b"\xff\xfe").decode()
    view = view_of(Event(type="output", stream="stdout", base64=raw), budget=Budget(displays=1))
    assert shown(view) == ["\ufffd\ufffd"]
    view.feed(display("1"))
    view.feed(display("2"))
    assert (shown(view)[1:], view.displays_left_out) == (["<1>"], 1)


def test_view_of_nonsense_survives() -> None:
    view = view_of(
        Event(type="output", base64="*"),
        Event(type="output"),
        Event(type="display"),
        Event(type="display", update=True),
        Event(type="clear"),
        Event(type="error", ename="\x1b]0;x\x07E\n", evalue="\x9bv", traceback=["\x1b[2Jt"], at=1e300),
        Event(type="metric", values={"a": {"b": []}}),
        Event(type="file", size=-1),
        Event(type="dropped", count=-5),
        Event(type="queue", state=State.LOST, position=-1),
        Event(type="__class__"),
        Event(type="ended", state=State.RUNNING, at=-1.0),
    )
    (failure,) = view.items
    assert isinstance(failure, Failure)
    assert (failure.ename, failure.evalue, failure.traceback) == ("E ", "v", ["t"])
    assert (view.state, view.as_of) == (State.LOST, 0.0)


def test_view_states_from_queue_to_end() -> None:
    view = View()
    why = "needs 1 GPU, 0 free"
    view.feed(Event(type="queue", state=State.QUEUED, position=2, waiting_for=why, starts_by=9.0))
    assert (view.word, view.position, view.waiting_for, view.starts_by) == ("Queued", 2, why, 9.0)
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


def test_view_collects_files_and_counts_what_is_in_no_log() -> None:
    view = view_of(
        Event(type="file", path="a.txt", size=3, sha256="0"),
        Event(type="dropped", stream="stdout", count=7),
        Event(type="dropped", count=2, message="2 events of type metric, beyond their limit"),
        *[Event(type="storage", message="the disk\nrefused")] * 2,
        Event(type="recovered"),
    )
    assert [(file.path, file.size) for file in view.files] == [("a.txt", 3)]
    assert view.dropped_bytes == 7
    assert view.holes == [
        "not in the log: 2 events of type metric, beyond their limit",
        "the disk refused",
        "the box was restarted here; lines that were not on its disk are lost",
    ]
