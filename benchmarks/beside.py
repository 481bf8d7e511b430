"""Other systems in the same run: each measured by :mod:`benchmarks.peers` in their environment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, number

PYTHON = Path(".venvs/peers/bin/python")
#: those with a process for each job first
NAMES = ("submitit", "rq", "ipykernel", "papermill", "metaflow", "mlflow", "ray", "dask")
#: What a system may take for all its rows; what it has told until then counts.
_PATIENCE_S = 1200.0
_END_S = 40.0
Row = dict[str, Any]
#: what is said of a system that does not show what a job prints
END_SEEN = "end seen"

#: which figures of ours have a peer beside them: row, part of our name, part of theirs, whether more is better
_SAME: tuple[tuple[str, str, str, bool], ...] = (
    ("P1", "", "", False),
    ("P1c", "", "", False),
    ("P2", "", "", False),
    ("P3", "", "", True),
    ("P4", ", flushed, p50", "p50", False),
    ("P4", ", flushed, p99", "p99", False),
    ("P5", "", "", False),
    ("P6", "there, same machine", "there", True),
    ("P6", "back, same machine", "back", True),
    ("P7", "", "", False),
    ("P8", "ready", "ready", False),
    ("P8", "agent's memory", "memory", False),
)


def measured(only: Sequence[str], rounds: int) -> Iterator[Row]:
    """Rows of all other systems; one with a reason for each that could not be measured."""
    for name in NAMES:
        if not PYTHON.exists():
            yield _left_out(name, f"there is no {PYTHON}")
            continue
        yield from _one(name, only, rounds)


def _one(name: str, only: Sequence[str], rounds: int) -> Iterator[Row]:
    command = [str(PYTHON), "-m", "benchmarks.peers", name, "--rounds", str(rounds), "--only", ",".join(only)]
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=said, text=True, start_new_session=True
        )
        trouble = ""
        try:
            out, _ = process.communicate(timeout=_PATIENCE_S)
        except subprocess.TimeoutExpired:
            trouble = f"stopped after {_PATIENCE_S:.0f} s"
            out = _end(process)
        except BaseException:
            _end(process)
            raise
        yield from (json.loads(line) for line in out.splitlines() if line.startswith("{"))
        if process.returncode:
            said.seek(0)
            lines = said.read().strip().splitlines()
            yield _left_out(name, trouble or (lines[-1] if lines else f"it ended with {process.returncode}"))


def _end(process: subprocess.Popen[str]) -> str:
    """End it, as it does with all that it has started, or by force; what it has told until then."""
    process.terminate()
    try:
        out, _ = process.communicate(timeout=_END_S)
    except subprocess.TimeoutExpired:
        # all of its session; it has not been waited for, so that its number is nobody else's
        os.killpg(process.pid, signal.SIGKILL)
        out, _ = process.communicate()
    return out


def _left_out(name: str, reason: str) -> Row:
    return {
        "row": "",
        "system": name,
        "isolated": "",
        "what": "",
        "measured": f"not measured: {reason}"[:200],
        "ratio": "",
    }


def beside(figure: Figure, peers: Sequence[Row]) -> Figure:
    """``figure`` with the best of the systems that measured the same, one with a process for each job if there is."""
    same = next((one for one in _SAME if one[0] == figure.row and one[1] in figure.name), None)
    if same is None:
        return figure
    row, _, part, more = same
    fitting = [
        one
        for one in peers
        if one["row"] == row.removesuffix("c") and part in one["what"] and one.get("value") is not None
    ]
    alone = [one for one in fitting if one["isolated"] != "no"] or fitting
    if not alone:
        return figure
    best = _best(alone, more=more)
    told = _told(best)
    if best["what"] == END_SEEN and (streaming := [one for one in alone if one["what"] != END_SEEN]):
        told += f"; {_told(_best(streaming, more=more))}"
    return replace(figure, peer=told)


def _best(rows: Sequence[Row], *, more: bool) -> Row:
    return (max if more else min)(
        rows, key=lambda one: one["value"] if one["median"] is None else one["median"]
    )


def _told(row: Row) -> str:
    if row["median"] is None:
        return f"{number(row['value'])} {row['measured'].rpartition(' ')[2]} ({row['system']})"
    return f"{number(row['median'])} ({row['system']}{', ' + END_SEEN + ' only' if row['what'] == END_SEEN else ''})"
