"""Whatever a job prints and displays: a cell gets few messages, says what is left out, and the kernel stays small."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Callable
from typing import Any

import psutil
import pytest
from front_end import FrontEnd, Shown

#: Jupyter Server drops what is beyond 1,000 messages and 1 MB of streams a second, taken over so long.
WINDOW_S = 3.0
MAX_STREAM_BYTES = 1_000_000 * WINDOW_S
#: a pause that makes up for it follows what goes out at once
BURST = 20


class Meter:
    """Takes note of each message that a kernel sends, and of when it was sent."""

    def __init__(self, front_end: FrontEnd) -> None:
        self.sent: list[tuple[float, str, int]] = []
        self._take = front_end._show
        front_end._show = self._note  # type: ignore[method-assign]

    def _note(self, message: dict[str, Any]) -> None:
        kind = message["header"]["msg_type"]
        if kind not in {"status", "execute_input"}:
            at = message["header"]["date"].timestamp()
            self.sent.append((at, kind, len(json.dumps(message["content"]).encode())))
        self._take(message)

    def check(self) -> None:
        """As many messages and bytes as the server lets through, and on average ten messages a second."""
        times = [at for at, _, _ in self.sent]
        for number, at in enumerate(times):
            window = self.sent[number : bisect_left(times, at + WINDOW_S)]
            assert len(window) <= BURST + 10 * WINDOW_S + 2, window
            assert sum(size for _, kind, size in window if kind == "stream") <= MAX_STREAM_BYTES
        assert len(times) <= BURST + 10 * (times[-1] - times[0] + 1), len(times)


@pytest.fixture
def meter(lab: FrontEnd) -> Meter:
    return Meter(lab)


def run(lab: FrontEnd, source: str) -> Shown:
    cell = lab.run(f"%%gpu-box --wait\n{source}", within_s=150)
    assert cell.status == "ok", cell.text[-2000:]
    return cell


def test_hundred_thousand_lines_that_are_flushed_each(lab: FrontEnd, meter: Meter) -> None:
    cell = run(lab, "for n in range(100_000): print('line', n, flush=True)")
    meter.check()
    lines = cell.text.splitlines()[3:]
    assert lines == [
        *(f"line {n}" for n in range(4000)),
        "... 95,000 lines left out; all of it: %logs gpu-box/1 --save FILE",
        *(f"line {n}" for n in range(99_000, 100_000)),
    ]


def test_hundred_megabytes_in_one_line(lab: FrontEnd, meter: Meter) -> None:
    kernel = psutil.Process(int(lab.run("import os; print(os.getpid())").text))
    before = kernel.memory_info().rss
    cell = run(lab, "import sys\nfor _ in range(100): sys.stdout.write('x' * 1_000_000)\nprint('end')")
    meter.check()
    first = cell.streams.splitlines()[3]
    note, last = cell.displays[0]["text/plain"].splitlines()
    gone = int(note.removeprefix("... ").partition(" bytes of a line left out")[0].replace(",", ""))
    assert len(first) + gone + len(last) == 100_000_003
    assert last.endswith("xend")
    assert kernel.memory_info().rss - before < 150 * 2**20
    assert lab.run("1 + 1").status == "ok"


@pytest.mark.parametrize("many", [1000, pytest.param(5000, marks=pytest.mark.soak)])
def test_thousands_of_displays_updates_and_clears(lab: FrontEnd, meter: Meter, many: int) -> None:
    # a pace far beyond what may go out, and then displays that can only be counted
    cell = run(
        lab,
        "from IPython.display import clear_output, display\n"
        f"for n in range({many}):\n    clear_output(wait=True)\n    display(n)\n    print('frame', n)\n"
        "handle = display('start', display_id=True)\n"
        f"for n in range({many}): handle.update(n)\n"
        "clear_output()\n"
        "print('counted')\n"
        f"for n in range({2 * many}): display(n)",
    )
    meter.check()
    assert cell.text.splitlines()[3:] == [
        "counted",
        *map(str, range(200)),
        f"... {2 * many - 200:,} displays left out; all of them: %logs gpu-box/1 --open",
    ]


def test_bars_and_colours_of_a_flood_are_kept(lab: FrontEnd, meter: Meter) -> None:
    cell = run(
        lab,
        "for n in range(200_000): print(f'\\r\\x1b[32m{n:6}\\x1b[0m|' + '#' * (n % 50), end='')\n"
        "print()\nprint('\\x1b[38;5;208mdone\\x1b[0m\\x1b]0;title\\x07')",
    )
    meter.check()
    text = "".join(output["text"] for output in cell.outputs if output["type"] == "stream")
    assert text.endswith("\x1b[38;5;208mdone\x1b[0m\n")
    assert text.splitlines()[-2].split("\r")[-1].startswith("\x1b[32m199999\x1b[0m|")
    assert "title" not in text


def test_nothing_is_left_behind_by_cells_that_have_ended(
    lab: FrontEnd, open_front_end: Callable[..., FrontEnd]
) -> None:
    count = (
        "import threading\nprint(sum(thread.name.startswith('mlmagics') for thread in threading.enumerate()))"
    )
    for number in range(12):
        assert f"{number}\n" in lab.run(f"%%gpu-box --wait\nprint({number})").text
        assert lab.run("%logs --no-follow").text.splitlines()[-1] == str(number)
    assert lab.run(count).text == "0\n"
