"""Where the example's trips come from: a given file, a download, the generator."""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

pandas = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")

NOTEBOOK = Path(__file__).parent.parent.parent / "examples" / "taxi.ipynb"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names that the folded cell defines, over an empty project."""
    (tmp_path / "project").mkdir()
    monkeypatch.setenv("PROJECT_URL", (tmp_path / "project").as_uri())
    monkeypatch.delenv("TAXI_DATA", raising=False)
    names: dict[str, Any] = {}
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    (found,) = (cell for cell in cells if cell["id"] == "data-functions")
    exec("".join(found["source"]), names)
    names["TLC_URL"] = "http://127.0.0.1:9/"
    return names


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address under which its files can be downloaded."""
    folder = tmp_path / "served"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield folder, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_simulated_trips_look_like_real_ones(cell: dict[str, Any]) -> None:
    trips, zones = cell["simulated"](count=20_000)
    seconds = (trips.dropoff_datetime - trips.pickup_datetime).dt.total_seconds()
    plausible = seconds.between(60, 3 * 3600) & trips.trip_distance.between(0.01, 100)
    assert 0.97 < plausible.mean() < 0.99, "some rows are dirty"
    low, middle, high = seconds[plausible].quantile([0.05, 0.5, 0.95])
    assert 150 < low < 350
    assert 600 < middle < 850
    assert 1900 < high < 2500
    assert set(trips.pickup_location_id) <= set(zones.location_id)
    assert trips.equals(cell["simulated"](count=20_000)[0]), "the same each time"
    assert len(zones) == 260
    assert zones.latitude.between(40.4, 41).all()
    assert zones.longitude.between(-74.3, -73.6).all()


def test_without_file_and_network_trips_are_simulated(
    cell: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    cell["simulated"].__defaults__ = (1000, 0)
    assert cell["prepare"]() == "simulated trips, calibrated on real ones"
    assert "cannot be had here" in capsys.readouterr().out
    assert len(pandas.read_parquet("project://data/trips.parquet")) == 1000
    cell["simulated"] = None
    assert cell["prepare"]() == "simulated trips, calibrated on real ones", "what is there stays"


def test_the_public_records_are_brought_to_the_same_form(
    cell: dict[str, Any], served: tuple[Path, str]
) -> None:
    folder, url = served
    trips, _ = cell["simulated"](count=500)
    back = {ours: theirs for theirs, ours in cell["COLUMNS"].items()}
    trips.rename(columns=back).assign(VendorID=1, fare_amount=1.5).to_parquet(folder / "tlc.parquet")
    cell["TLC_URL"] = f"{url}/tlc.parquet"

    assert cell["prepare"]() == f"real trips, from {url}/tlc.parquet"
    found = pandas.read_parquet("project://data/trips.parquet")
    assert found.sort_values("pickup_datetime", ignore_index=True).equals(trips)
    assert len(pandas.read_csv("project://data/zones.csv")) == 260


def test_a_slow_download_is_given_up(cell: dict[str, Any], served: tuple[Path, str], tmp_path: Path) -> None:
    folder, url = served
    (folder / "tlc.parquet").write_bytes(b"0" * 100)
    cell.update(TLC_URL=f"{url}/tlc.parquet", TLC_SECONDS=-1)
    cell["simulated"].__defaults__ = (1000, 0)
    assert cell["prepare"]().startswith("simulated")
    assert not (tmp_path / "project" / "data" / "tlc.parquet").exists()


def test_a_given_file_is_taken_with_the_zones_beside_it(
    cell: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trips, zones = cell["simulated"](count=500)
    trips.assign(fare_amount=1.5).to_parquet(tmp_path / "mine.parquet")
    zones.head(200).to_csv(tmp_path / "nyc_taxi_zones.csv", index=False)
    monkeypatch.setenv("TAXI_DATA", str(tmp_path / "mine.parquet"))

    assert cell["prepare"]().startswith(f"real trips, from {tmp_path / 'mine.parquet'} (")
    assert pandas.read_parquet("project://data/trips.parquet").equals(trips)
    assert len(pandas.read_csv("project://data/zones.csv")) == 200
    trips.head(100).to_parquet(tmp_path / "mine.parquet")
    cell["prepare"]()
    assert len(pandas.read_parquet("project://data/trips.parquet")) == 100, "another file is taken anew"
