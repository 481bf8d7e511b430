"""A large array there and back, over HTTP and by a file, beside a plain copy. ``python -m benchmarks.values``."""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster_agent.client import AgentClient
from mlmagics.job.results import decode, mapped
from mlmagics.sending.cells import Cells
from mlmagics.sending.choosing import Luggage
from mlmagics.sending.modules import local_modules
from mlmagics.sending.parcel import Parcel, pack
from mlmagics.sending.uploading import send_missing

sys.path.insert(0, "tests")
from running import AgentProcess, run_cell

MIB = 2**20
GOALS = {
    "there, HTTP": "0.7",
    "back, HTTP": "1.2",
    "there, same machine": "a copy",
    "back, same machine": "a copy",
}


@dataclass(frozen=True, kw_only=True)
class Speed:
    """GB/s of one way, and of a plain file copy at the same time."""

    name: str
    speeds: list[float]
    copies: list[float]

    def row(self) -> str:
        ratios = [speed / copy for speed, copy in zip(self.speeds, self.copies, strict=True)]
        return f"| {self.name} | {_spread(self.speeds)} GB/s | {_spread(ratios)} | {GOALS[self.name]} |"


def table(size_mib: int = 512, rounds: int = 5) -> list[str]:
    """Lines of a table: each way, and its ratio to a copy of a file of the same size."""
    import numpy as np

    array = np.random.default_rng(0).integers(0, 255, size_mib * MIB, dtype="uint8")
    found: dict[str, list[float]] = {name: [] for name in GOALS}
    copies: dict[str, list[float]] = {name: [] for name in GOALS}
    with tempfile.TemporaryDirectory() as folder:
        agent = AgentProcess(Path(folder) / "home")
        agent.start()
        try:
            own = AgentClient(agent.url, uds=str(agent.home / "agent.sock"))
            for number in range(rounds):
                for name, client in (("HTTP", agent.client()), ("same machine", own)):
                    ways = _round_trip(client, array, number)
                    for way, measure in zip(("there", "back"), ways, strict=True):
                        copies[f"{way}, {name}"].append(_copy(Path(folder), array))
                        found[f"{way}, {name}"].append(measure)
            own.close()
        finally:
            agent.destroy()
    rows = [Speed(name=name, speeds=found[name], copies=copies[name]).row() for name in GOALS]
    head = f"| {size_mib} MiB array | speed | to a file copy | goal (GB/s) |"
    return [head, "|---|---|---|---|", *rows]


def _round_trip(client: AgentClient, array: Any, number: int) -> tuple[float, float]:
    array[0] = number
    array[1] = client.on_socket

    def there() -> Parcel:
        luggage = Luggage({"a": array}, Cells(), local_modules())
        luggage.add(["a"])
        parcel = pack(luggage)
        send_missing(client, parcel.blobs.values(), lambda *_: None)
        return parcel

    parcel, went = _timed(there, array.nbytes)
    job, _ = run_cell(client, "a[2] = 5", values=parcel.inputs.values, fetch=["a"])
    [entry] = client.results(job.job_id)

    def back() -> Any:
        if entry.path:
            found = decode(entry, mapped(entry.path, entry.size), "bench", sha256=entry.sha256)
            found.sum(dtype="uint64")  # it is read from where it lies
            return found
        data, sha256 = client.result_of(job.job_id, entry)
        return decode(entry, data, "bench", sha256=sha256)

    result, came = _timed(back, array.nbytes)
    assert result[0] == number
    assert result[2] == 5
    return went, came


def _copy(folder: Path, array: Any) -> float:
    source, target = folder / "source", folder / "target"
    if not source.exists():
        array.tofile(source)
    _, speed = _timed(lambda: shutil.copyfile(source, target), array.nbytes)
    os.unlink(target)
    return speed


def _timed(act: Callable[[], Any], size: int) -> tuple[Any, float]:
    began = time.perf_counter()
    result = act()
    return result, size / 1e9 / (time.perf_counter() - began)


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    print("\n".join(table(args.mib, args.rounds)))


if __name__ == "__main__":
    main()
