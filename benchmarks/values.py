"""A large array there and back, over HTTP and by a file, beside a plain copy. ``python -m benchmarks.values``."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.box import serving
from benchmarks.figures import Figure
from cluster_agent.client import AgentClient
from mlmagics.job.results import decode, mapped
from mlmagics.sending.cells import Cells
from mlmagics.sending.choosing import Luggage
from mlmagics.sending.modules import local_modules
from mlmagics.sending.parcel import Parcel, pack
from mlmagics.sending.uploading import send_missing

sys.path.insert(0, "tests")
from running import run_cell

MIB = 2**20
WAYS = ("there, HTTP", "back, HTTP", "there, same machine", "back, same machine")


def arrays(rounds: int, size_mib: int = 512) -> Iterator[Figure]:
    """P6: GB/s of each way, and of a copy of a file of the same size."""
    import numpy as np

    array = np.random.default_rng(0).integers(0, 255, size_mib * MIB, dtype="uint8")
    found: dict[str, list[float]] = {name: [] for name in WAYS}
    copies: dict[str, list[float]] = {name: [] for name in WAYS}
    with (
        serving() as box,
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        AgentClient(box.agent.url, uds=str(box.agent.socket)) as own,
    ):
        for number in range(rounds):
            for name, client in (("HTTP", box.client), ("same machine", own)):
                ways = _round_trip(client, array, number)
                for way, measure in zip(("there", "back"), ways, strict=True):
                    copies[f"{way}, {name}"].append(_copy(Path(folder), array))
                    found[f"{way}, {name}"].append(measure)
    for name in WAYS:
        yield Figure(
            row="P6",
            name=f"{size_mib} MiB array {name}",
            unit="GB/s",
            values=found[name],
            bases=copies[name],
            base="a copy of a file",
        )


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


if __name__ == "__main__":
    for figure in arrays(5):
        print(figure.detail())
