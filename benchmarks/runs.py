"""What is timed, the same for all systems: a run of some source whose output somebody sees as it comes.

Nothing but the standard library is imported: the environment of the other systems has no more than they need.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence

Sink = Callable[[str], None]
#: Runs a source to its end and hands over what it prints.
Run = Callable[[str, Sink], None]

MARK = "this-is-it"
TRIVIAL = f"print({MARK!r})"
#: What most cells here begin with; the import is nearly all that it costs.
IMPORTS = f"import pandas, xgboost\nprint({MARK!r})"
LINE_BYTES = 100
STAMPS = 300
#: They would change what is measured, on one side or the other.
_OF_WHO_MEASURES = ("PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH")
#: How many jobs run at a time where there are many.
WIDTH = os.cpu_count() or 1


def forget_settings() -> None:
    """Take from this process's variables what nobody who uses the systems would have set."""
    for name in _OF_WHO_MEASURES:
        os.environ.pop(name, None)


def end_cleanly() -> None:
    """Let a time limit end what was started too, as Ctrl-C does."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def flood_of(lines: int) -> str:
    """A source that prints as many lines of 100 bytes."""
    return f"pad = 'p' * {LINE_BYTES - 11}\nfor n in range({lines}):\n    print(f'{{n:09}} ' + pad)"


def stamps(*, flush: bool) -> str:
    """A source that prints the time every 10 ms."""
    return (
        f"import time\nfor n in range({STAMPS}):\n"
        f"    print('at-ns', time.time_ns(), flush={flush})\n    time.sleep(0.01)"
    )


def bare(source: str, sink: Sink) -> None:
    """``python -c`` and a pipe: what everything is compared with."""
    with subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdout is not None
        while chunk := os.read(process.stdout.fileno(), 1 << 16):
            sink(chunk.decode())
    if process.returncode:
        raise RuntimeError(f"python -c ended with {process.returncode}")


def bare_many(source: str, count: int) -> None:
    """As many processes, as many at a time as there are processors."""
    running: deque[subprocess.Popen[bytes]] = deque()
    for _ in range(count):
        if len(running) == WIDTH:
            running.popleft().wait()
        running.append(subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.DEVNULL))
    for process in running:
        process.wait()


def first_line_ms(run: Run, source: str = TRIVIAL) -> float:
    """Milliseconds until the line of ``source`` is seen."""
    seen: list[float] = []
    began = time.perf_counter()

    def sink(text: str) -> None:
        if not seen and MARK in text:
            seen.append(time.perf_counter())

    run(source, sink)
    return (seen[0] - began) * 1000


def flood_speed(run: Run, lines: int) -> float:
    """MB/s of as many lines of 100 bytes, from the start to the last byte seen; fails when one is lost."""
    seen, tail = 0, ""
    last = began = time.perf_counter()

    def sink(text: str) -> None:
        nonlocal seen, tail, last
        tail += text
        seen += tail.count("ppp\n")
        tail = tail[-3:]
        last = time.perf_counter()

    run(flood_of(lines), sink)
    if seen < lines:
        raise RuntimeError(f"{lines - seen} of {lines} lines were lost")
    return lines * LINE_BYTES / 1e6 / (last - began)


def line_latencies_ms(run: Run, *, flush: bool) -> list[float]:
    """Milliseconds from each line's print to when it was seen."""
    found: list[float] = []
    rest = ""

    def sink(text: str) -> None:
        nonlocal rest
        now = time.time_ns()
        *lines, rest = (rest + text).split("\n")
        for line in lines:
            _, at, stamp = line.rpartition("at-ns ")
            if at:
                found.append((now - int(stamp)) / 1e6)

    run(stamps(flush=flush), sink)
    if len(found) != STAMPS:
        raise RuntimeError(f"{len(found)} of {STAMPS} lines were seen")
    return found


def seconds(act: Callable[[], object]) -> float:
    """How long ``act`` takes."""
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def p99(values: Sequence[float]) -> float:
    """What 99 of 100 are not above."""
    return statistics.quantiles(values, n=100, method="inclusive")[-1]


def pairs(
    rounds: int,
    ours: Callable[[], float],
    base: Callable[[], float],
    rest: Callable[[], object] = lambda: None,
) -> tuple[list[float], list[float]]:
    """Values of ``ours`` and of ``base``, taken in turn; ``rest`` comes before each of ours and is in neither."""
    values, bases = [], []
    for _ in range(rounds):
        bases.append(base())
        rest()
        values.append(ours())
    return values, bases
