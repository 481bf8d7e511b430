"""A kernel of its own for each job, as gateways and papermill have it."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from jupyter_client.manager import start_new_kernel

from benchmarks.peers.base import Peer
from benchmarks.runs import WIDTH, Sink

#: newer kernels warn of local TCP each time they start
_QUIET = ["--log-level=ERROR"]


class Ipykernel(Peer):
    name = "ipykernel, fresh"

    def run(self, source: str, sink: Sink) -> None:
        manager, client = start_new_kernel(kernel_name="python3", extra_arguments=_QUIET)
        try:
            asked = client.execute(source, store_history=False)
            while True:
                message = client.get_iopub_msg(timeout=300)
                if message["parent_header"].get("msg_id") != asked:
                    continue
                kind, content = message["msg_type"], message["content"]
                if kind == "stream":
                    sink(content["text"])
                elif kind == "error":
                    raise RuntimeError(content["evalue"])
                elif kind == "status" and content["execution_state"] == "idle":
                    return
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)

    def run_many(self, source: str, count: int) -> None:
        with ThreadPoolExecutor(WIDTH) as pool:
            list(pool.map(lambda _: self.run(source, lambda _: None), range(count)))


class Papermill(Peer):
    """The import of papermill is not counted."""

    name = "papermill"
    rows = ("P1", "P2", "P3", "P4")
    lines = 50_000
    most_rounds = 3

    def open(self, folder: Path) -> None:
        import nbformat
        import papermill

        logging.getLogger("papermill").setLevel(logging.ERROR)
        self._formats, self._papermill, self._folder = nbformat, papermill, folder

    def run(self, source: str, sink: Sink) -> None:
        cells = self._formats.v4
        notebook = cells.new_notebook(cells=[cells.new_code_cell(source)])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python", "language": "python"}
        path = self._folder / "one.ipynb"
        self._formats.write(notebook, path)
        self._papermill.execute_notebook(
            path, self._folder / "done.ipynb", progress_bar=False, log_output=False, stdout_file=_Seen(sink)
        )


class _Seen:
    """A file that hands on what is written to it."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def write(self, text: str) -> int:
        self._sink(text)
        return len(text)

    def flush(self) -> None:
        """Nothing is held back."""
