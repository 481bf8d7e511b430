"""A front end for tests: a real kernel, and what a person would see of each cell, late updates included."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.connect import write_connection_file

from hosted import KERNEL, Hosted

_ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Shown:
    """One cell as a notebook has it."""

    message_id: str
    outputs: list[dict[str, Any]] = field(default_factory=list)
    #: None until the cell is done; "ok" or "error"
    status: str | None = None
    idle: bool = False

    @property
    def text(self) -> str:
        """All text that is shown, without colours: streams, the text form of displays, errors."""
        parts = []
        for output in self.outputs:
            if output["type"] == "stream":
                parts.append(output["text"])
            elif output["type"] == "error":
                parts.append("\n".join(output["traceback"]) + "\n")
            else:
                parts.append(output["data"].get("text/plain", "") + "\n")
        return _ESCAPE.sub("", "".join(parts))

    @property
    def streams(self) -> str:
        """The text of streams alone."""
        return "".join(output["text"] for output in self.outputs if output["type"] == "stream")

    @property
    def displays(self) -> list[dict[str, Any]]:
        """The MIME bundles of displays, as they are now."""
        return [output["data"] for output in self.outputs if output["type"] == "display"]


class FrontEnd:
    """One kernel and a notebook before it, watched as JupyterLab does.

    Parameters
    ----------
    env
        Variables of the kernel, beside this process's.
    person
        Whether the front end is one where a person could answer a question; nbclient and papermill say no.
    hosted
        Whether the kernel may begin with its imports done, those of the magics too.
    """

    def __init__(self, env: Mapping[str, str], *, person: bool = True, hosted: bool = True) -> None:
        variables = {name: value for name, value in os.environ.items() if not _tells_of_a_front_end(name)}
        # sockets in a folder of their own: ports on loopback could be taken by another kernel in between
        self._folder = tempfile.TemporaryDirectory(prefix="kernel-")
        folder = Path(self._folder.name)
        known, _ = write_connection_file(
            str(folder / "kernel.json"),
            transport="ipc",
            ip=str(folder / "socket"),
            key=os.urandom(16).hex().encode(),
        )
        # it watches whether its parent lives
        variables |= {"JPY_PARENT_PID": "", **env}
        self._kernel: Hosted | subprocess.Popen[bytes] = (
            Hosted(KERNEL, ["-f", known], variables, stderr=2) if hosted else _from_nothing(known, variables)
        )
        self._client = BlockingKernelClient(connection_file=known)
        self._client.load_connection_file()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=60)
        self._person = person
        self._cells: dict[str, Shown] = {}
        self.updates = 0

    def close(self) -> None:
        self._client.stop_channels()
        self.kill()
        if self._kernel.stdout is not None:
            self._kernel.stdout.close()
        self._folder.cleanup()

    def interrupt(self) -> None:
        os.killpg(self._kernel.pid, signal.SIGINT)

    def kill(self) -> None:
        """End the kernel, and what it has started, as a crash does."""
        if self._kernel.poll() is None:
            os.killpg(self._kernel.pid, signal.SIGKILL)
            self._kernel.wait(30)

    def send(self, source: str) -> Shown:
        """The cell, sent to the kernel and not waited for."""
        cell = Shown(self._client.execute(source, allow_stdin=self._person, stop_on_error=True))
        self._cells[cell.message_id] = cell
        return cell

    def run(self, source: str, *, within_s: float = 60.0) -> Shown:
        """The cell, once it has come back."""
        cell = self.send(source)
        self.wait(lambda: cell.status is not None and cell.idle, within_s=within_s)
        return cell

    def complete(self, source: str) -> list[str]:
        """What ``source`` could become when Tab is pressed at its end."""
        content = self._client.complete(source, len(source), reply=True, timeout=60)["content"]
        assert content["cursor_end"] == len(source)
        return [source[: content["cursor_start"]] + match for match in content["matches"]]

    def wait(self, ready: Callable[[], object], *, within_s: float = 60.0) -> None:
        """Take messages until ``ready``."""
        deadline = time.monotonic() + within_s
        while not ready():
            if time.monotonic() > deadline:
                last = [cell.text[-1500:] for cell in self._cells.values()][-2:]
                raise AssertionError(f"not ready within {within_s} s; the last cells end in {last}")
            self._take(0.1)

    def _take(self, timeout: float) -> None:
        try:
            message = self._client.get_iopub_msg(timeout=timeout)
        except queue.Empty:
            message = None
        if message is not None:
            self._show(message)
        while True:
            try:
                reply = self._client.get_shell_msg(timeout=0)
            except queue.Empty:
                return
            cell = self._cells.get(reply["parent_header"].get("msg_id", ""))
            if cell is not None:
                cell.status = reply["content"]["status"]

    def _show(self, message: dict[str, Any]) -> None:
        kind, content = message["header"]["msg_type"], message["content"]
        display_id = content.get("transient", {}).get("display_id")
        if kind == "update_display_data":
            self.updates += 1
            for cell in self._cells.values():
                for output in cell.outputs:
                    if display_id and output.get("display_id") == display_id:
                        output["data"] = content["data"]
            return
        cell = self._cells.get(message["parent_header"].get("msg_id", ""))
        if cell is None:
            return
        if kind == "stream":
            last = cell.outputs[-1] if cell.outputs else None
            if last is not None and last["type"] == "stream" and last["name"] == content["name"]:
                last["text"] += content["text"]
            else:
                cell.outputs.append({"type": "stream", **content})
        elif kind in ("display_data", "execute_result"):
            cell.outputs.append({"type": "display", "display_id": display_id, **content})
        elif kind == "error":
            cell.outputs.append({"type": "error", **content})
        elif kind == "clear_output":
            cell.outputs.clear()
        elif kind == "status" and content["execution_state"] == "idle":
            cell.idle = True


def _from_nothing(known: str, variables: Mapping[str, str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", known]
    return subprocess.Popen(
        command, env={**variables, "JPY_PARENT_PID": str(os.getpid())}, stdin=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip


def _tells_of_a_front_end(name: str) -> bool:
    return name == "JPY_SESSION_NAME" or name.startswith(("VSCODE_", "MLMAGICS_"))
