"""Cells, a kernel to run them in, and one form for what they showed there and as jobs."""

from __future__ import annotations

import base64
import json
import queue
import re
import tempfile
import time
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.manager import KernelManager

from cluster_agent.protocol import Event

Output = dict[str, Any]

_ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
_PATTERNS = (
    (r"(In\[\d+\]|job/\d+)", "CELL"),
    (r"<(cell|ipython-input)[^>]*>", "CELL"),
    (r"/tmp/kernel-\w+/ipykernel_\d+/\d+\.py", "CELL"),
    (r"\(\d+\.py, line", "(CELL, line"),
    (r"sk-(container|estimator)-id-\d+", r"sk-\1-id"),
    (r"/[\w./-]*/(\w+_mod\.py)", r"\1"),
    (r"File:(\S+ +)\S+\n", r"File:\1CELL\n"),
    (r"\(\d+ times\)", "(N times)"),
    (r"0x[0-9a-f]{6,}", "ADDRESS"),
    (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "UUID"),
)


@dataclass(frozen=True)
class Cell:
    """One cell of ``cells.ipy``."""

    name: str
    source: str
    #: modules that it cannot do without
    needs: frozenset[str]
    #: whether it shows durations, so that numbers are not compared
    numbers: bool


def read_cells(path: Path) -> list[Cell]:
    """The cells of a file."""
    parts = re.split(r"^# %% (\w+)(?: \[(.*)\])?\n", path.read_text("utf-8"), flags=re.MULTILINE)[1:]
    return [
        Cell(name, source.rstrip(), frozenset(words) - {"numbers"}, "numbers" in words)
        for name, words, source in (
            (name, (marks or "").split(), source)
            for name, marks, source in zip(parts[::3], parts[1::3], parts[2::3], strict=True)
        )
    ]


class Outputs:
    """What a notebook would hold after the messages so far."""

    def __init__(self) -> None:
        self.list: list[Output] = []
        self._clear_next = False

    def add(self, output: Output) -> None:
        self._clear_if_due()
        self.list.append(output)

    def update(self, display_id: str | None, data: dict[str, Any], metadata: dict[str, Any]) -> None:
        for output in self.list:
            if display_id and output.get("display_id") == display_id:
                output.update(data=data, metadata=metadata)

    def clear(self, wait: bool) -> None:
        self._clear_next = True
        if not wait:
            self._clear_if_due()

    def _clear_if_due(self) -> None:
        if self._clear_next:
            self._clear_next = False
            self.list.clear()


#: ``%fresh FOLDER`` makes the kernel as new, as far as these cells change it.
#: Its IPython takes a simpler way for a traceback when the file that a cell is called after is not there. JupyterLab's
#: debugger writes these files; so does ``keep``.
_SETUP = """
def fresh(folder, shell=get_ipython(), filters=__import__("warnings").filters[:]):
    import logging, os, sys, warnings
    for name, module in list(sys.modules.items()):
        if module is None:
            continue
        module.__dict__.pop("__warningregistry__", None)
        if name.endswith("_mod"):
            del sys.modules[name]
    warnings.filters[:] = filters
    logging.root.handlers.clear()
    logging.root.setLevel("WARNING")
    if "matplotlib.pyplot" in sys.modules:
        from matplotlib_inline.config import InlineBackend
        from matplotlib_inline.backend_inline import set_matplotlib_formats
        pyplot = sys.modules["matplotlib.pyplot"]
        pyplot.close("all")
        pyplot.rcdefaults()
        set_matplotlib_formats("png")
        InlineBackend.instance().figure_formats = {"png"}
    if "pandas" in sys.modules:
        sys.modules["pandas"].reset_option("display")
    if "numpy" in sys.modules:
        sys.modules["numpy"].set_printoptions(precision=8)
    shell.run_line_magic("precision", "")
    shell.InteractiveTB.set_mode("Context")
    shell.reset(new_session=False)
    os.makedirs(folder)
    os.chdir(folder)

def keep(info, shell=get_ipython()):
    import pathlib
    path = pathlib.Path(shell.compile.get_code_name(info.raw_cell, info.raw_cell, 0))
    path.parent.mkdir(exist_ok=True)
    path.write_text(info.raw_cell, errors="replace")

get_ipython().register_magic_function(fresh, "line", "fresh")
get_ipython().events.register("pre_run_cell", keep)
"""


class LocalKernel:
    """A kernel of ipykernel: one for all cells, with an empty namespace for each."""

    def __init__(self, env: dict[str, str]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="kernel-")
        self._manager = KernelManager(
            kernel_name="python3", transport="ipc", ip=str(Path(self._folder.name) / "socket")
        )
        self._manager.start_kernel(env={**env, "TMPDIR": self._folder.name})
        self._client: BlockingKernelClient = self._manager.client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=60)
        self._cells = 0
        assert self._execute(_SETUP) == []

    def close(self) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)
        self._manager.cleanup_resources()
        self._folder.cleanup()

    def run(self, source: str) -> list[Output]:
        """The outputs of the cell in an empty namespace and folder."""
        self._cells += 1
        left = self._execute(f"%fresh {self._folder.name}/{self._cells}")
        assert not left, f"the cell before was not done: {left}"
        return self._execute(source)

    def _execute(self, source: str, within_s: float = 60.0) -> list[Output]:
        outputs = Outputs()
        message_id = self._client.execute(source, allow_stdin=False)
        deadline = time.monotonic() + within_s
        while True:
            assert time.monotonic() < deadline, f"the kernel is still busy with {source!r}"
            try:
                message = self._client.get_iopub_msg(timeout=1)
            except queue.Empty:
                continue
            if message["parent_header"].get("msg_id") != message_id:
                continue
            kind, content = message["header"]["msg_type"], message["content"]
            if kind == "status" and content["execution_state"] == "idle":
                break
            _take_message(outputs, kind, content)
        reply: dict[str, Any] = {"parent_header": {}}
        while reply["parent_header"].get("msg_id") != message_id:
            reply = self._client.get_shell_msg(timeout=within_s)
        for payload in reply["content"].get("payload", ()):
            if payload["source"] == "page":
                outputs.add({"type": "display", "data": payload["data"], "metadata": {}})
        return outputs.list


def _take_message(outputs: Outputs, kind: str, content: dict[str, Any]) -> None:
    display_id = content.get("transient", {}).get("display_id")
    if kind == "stream":
        outputs.add({"type": "stream", "name": content["name"], "text": content["text"]})
    elif kind in ("display_data", "execute_result"):
        outputs.add(
            {
                "type": "result" if kind == "execute_result" else "display",
                "data": content["data"],
                "metadata": content["metadata"],
                "display_id": display_id,
            }
        )
    elif kind == "update_display_data":
        outputs.update(display_id, content["data"], content["metadata"])
    elif kind == "clear_output":
        outputs.clear(content["wait"])
    elif kind == "error":
        outputs.add({"type": "error", **content})


def outputs_of_job(events: Iterable[Event]) -> list[Output]:
    """The outputs of a job, from its events."""
    outputs = Outputs()
    for event in events:
        if event.type == "output":
            text = base64.b64decode(event.base64).decode(errors="replace") if event.base64 else event.text
            outputs.add({"type": "stream", "name": event.stream, "text": text})
        elif event.type == "display" and event.update:
            outputs.update(event.display_id, event.data or {}, event.metadata or {})
        elif event.type == "display":
            outputs.add(
                {
                    "type": "result" if event.result else "display",
                    "data": event.data,
                    "metadata": event.metadata or {},
                    "display_id": event.display_id,
                }
            )
        elif event.type == "clear":
            outputs.clear(bool(event.wait))
        elif event.type == "error":
            outputs.add(
                {
                    "type": "error",
                    "ename": event.ename,
                    "evalue": event.evalue,
                    "traceback": event.traceback,
                }
            )
    return outputs.list


def normalised(outputs: list[Output], *, numbers: bool = False) -> list[Output]:
    """``outputs`` without what differs from run to run.

    Neighbouring texts of a stream are one. Between two other outputs stdout stands before stderr: a kernel
    keeps no order between them.
    """
    plain: list[Output] = []
    streams: dict[str, str] = {}

    def settle() -> None:
        plain.extend(
            {"type": "stream", "name": name, "text": _text(streams[name], numbers)}
            for name in ("stdout", "stderr")
            if name in streams
        )
        streams.clear()

    for output in outputs:
        if output["type"] == "stream":
            streams[output["name"]] = streams.get(output["name"], "") + output["text"]
            continue
        settle()
        plain.append(_plain(output, numbers))
    settle()
    return plain


def _plain(output: Output, numbers: bool) -> Output:
    if output["type"] == "error":
        traceback = "\n".join(output["traceback"])
        return {
            "type": "error",
            "ename": output["ename"],
            "evalue": _text(output["evalue"], numbers),
            "traceback": _text(traceback, numbers),
        }
    data = {mime: _datum(mime, value, numbers) for mime, value in output["data"].items()}
    return {"type": output["type"], "data": data, "metadata": output["metadata"]}


def _datum(mime: str, value: Any, numbers: bool) -> Any:
    if mime.startswith("image/") and mime != "image/svg+xml":
        content = base64.b64decode(value)
        size = content[16:24] if content.startswith(b"\x89PNG") else b""
        return (
            f"{mime}: {int.from_bytes(size[:4], 'big')} x {int.from_bytes(size[4:], 'big')}, {content[:4]!r}"
        )
    if mime == "image/svg+xml":
        picture = re.sub(r"(?s)<metadata>.*?</metadata>|id=\"\w+\"|#\w+", "", value)
        return picture[:200] + str(zlib.crc32(picture.encode()))
    return _text(value if isinstance(value, str) else json.dumps(value), numbers)


def _text(text: str, numbers: bool) -> str:
    for pattern, word in _PATTERNS:
        text = re.sub(pattern, word, text)
    if numbers:
        text = re.sub(r"CPU times: .*", "CPU times: T", text)
        text = re.sub(r"\d+([.:]\d+)*(e[+-]\d+)?", "N", text)
        text = re.sub(r"N ?(ns|[µμu]s|ms|s|min|it/s|s/it)\b", "N T", text)
        text = re.sub(r" +(?=[\r\n])", "", text)
    return text
