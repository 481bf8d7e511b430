"""Puts a job's output into a cell: real text and displays, paced so that no front end drops any of it."""

from __future__ import annotations

import hashlib
import os
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from mlmagics.display.changes import Change, Clear, Raised, Rest, Show, Update, Write
from mlmagics.display.escapes import plain
from mlmagics.display.mime import can_be_shown, shown_bundle, shown_metadata
from mlmagics.display.pace import Pace, message_bytes
from mlmagics.display.place import Place
from mlmagics.display.tables import Table
from mlmagics.display.view import Shown
from mlmagics.errors import UserError

#: Text goes out in messages of so many characters.
_PIECE = 50_000
#: What all displays of a cell may have together; a notebook file has to hold it.
_MAX_SHOWN = 20_000_000
_REST_EVERY_S = 1.0
_STATUS_CHARS = 100


def say(line: str) -> None:
    """A line of ours in the cell that runs."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def show_table(shell: Any, table: Table) -> None:
    """A table in the cell that runs: HTML where it can be shown, else text."""
    if getattr(shell, "kernel", None) is None:
        say(table.as_text())
    else:
        shell.display_pub.publish(table.bundle())


def colours_wanted(*, kernel: bool, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether colours are shown: not where somebody asked for none, nor in a file or a pipe."""
    return not environ.get("NO_COLOR") and (kernel or sys.stdout.isatty())


class Canvas:
    """One cell's output area.

    Parameters
    ----------
    shell
        The IPython shell that runs the cell.
    place
        Kind of its front end.
    blob
        Fetches display data that was too large for the log, by its sha256.
    foreign
        Whether the output comes from somebody else's job.
    """

    def __init__(self, shell: Any, place: Place, blob: Callable[[str], bytes], *, foreign: bool) -> None:
        self.place = place
        self._shell = shell
        self._kernel = getattr(shell, "kernel", None) is not None
        self._blob = blob
        self._foreign = foreign
        self._colours = colours_wanted(kernel=self._kernel)
        self._pace = Pace()
        self._area = uuid.uuid4().hex
        self._heading: list[str] = []
        #: whether there is a heading that may not have gone out yet
        self._unsent = False
        #: the stream with a line that has no end yet
        self._open: str | None = None
        self._status = ""
        self._rests: set[int] = set()
        self._rest_at = 0.0
        #: sizes of what is shown, by place
        self._sizes: dict[int, int] = {}

    @property
    def redraws(self) -> bool:
        """Whether somebody sees a line grow that gets overwritten."""
        return self.place is Place.NOTEBOOK or (self.place is Place.TERMINAL and sys.stdout.isatty())

    @property
    def wait_s(self) -> float:
        """Seconds until more may be written."""
        return self._pace.wait_s if self._kernel else 0.0

    def heading(self, line: str) -> None:
        """A line above the output, which stays when the job clears its output."""
        self._heading.append(line)
        # not flushed: it goes out with what follows, or by itself in a moment
        sys.stdout.write(f"{line}\n")
        self._unsent = True

    def line(self, line: str) -> None:
        """A line of our own, on a line of its own."""
        self._write(self._break("stdout") + line + "\n")

    def own(self, bundle: dict[str, Any]) -> None:
        """A display of our own; a terminal has no place for it."""
        if self._kernel:
            self._erase_status()
            self._publish(bundle, {}, "own", update=False)

    def apply(self, change: Change) -> None:
        """Make ``change`` visible."""
        if isinstance(change, Write):
            self._write(change.text, change.stream)
        elif isinstance(change, Rest):
            self._show_rest(change)
        elif isinstance(change, Show | Update):
            self._show(change)
        elif isinstance(change, Clear):
            self._clear()
        elif isinstance(change, Raised):
            self.line(change.failure.text)

    def _write(self, text: str, stream: str = "stdout") -> None:
        self._erase_status()
        if not self._colours:
            text = plain(text) if "\r" not in text else "\r".join(plain(part) for part in text.split("\r"))
        out = sys.stderr if stream == "stderr" else sys.stdout
        if self._unsent and stream == "stderr":
            # the streams go out by themselves, each in its own time
            sys.stdout.flush()
        self._unsent = False
        for start in range(0, len(text), _PIECE):
            piece = text[start : start + _PIECE]
            if start and self._kernel:
                self._pace.wait()
            out.write(piece)
            out.flush()
            self._pace.sent(message_bytes(piece))
        if text:
            self._open = None if text.endswith(("\n", "\r")) else stream

    def _break(self, stream: str) -> str:
        """What ends the line that has no end yet, if the next text of ``stream`` would go on with it."""
        # in a notebook another stream is another output
        return "\n" if self._open is not None and (self._open == stream or not self._kernel) else ""

    def _show_rest(self, rest: Rest) -> None:
        if not rest.final and time.monotonic() < self._rest_at + _REST_EVERY_S:
            return
        if self.place is Place.NOTEBOOK:
            self._rest_at = time.monotonic()
            known = rest.place in self._rests
            self._rests.add(rest.place)
            text = rest.note + rest.text
            self._publish({"text/plain": text.removesuffix("\n")}, {}, f"rest-{rest.place}", update=known)
        elif rest.final:
            self._write((self._break("stdout") + rest.note if rest.note else "") + rest.text)
        elif self.redraws:
            self._rest_at = time.monotonic()
            self._show_status(rest)

    def _show_status(self, rest: Rest) -> None:
        """One line of a terminal that is overwritten in its place."""
        last = plain(rest.text).rstrip("\n").rpartition("\n")[2]
        text = f"{rest.note.rstrip()} {last}"[:_STATUS_CHARS]
        sys.stdout.write(f"\r{text}{' ' * (len(self._status) - len(text))}")
        sys.stdout.flush()
        self._status = text

    def _erase_status(self) -> None:
        if self._status:
            sys.stdout.write(f"\r{' ' * len(self._status)}\r")
            self._status = ""

    def _show(self, change: Show | Update) -> None:
        bundle = shown_bundle(whole_data(change.shown, self._blob), foreign=self._foreign)
        if not self._kernel:
            self.line(str(bundle.get("text/plain", f"<{', '.join(sorted(bundle))}>")))
            return
        size = _size(bundle)
        if size + sum(self._sizes.values()) - self._sizes.get(change.place, 0) > _MAX_SHOWN:
            types = ", ".join(sorted(bundle))
            bundle = {"text/plain": f"<left out: {types}; the cell is full, the job's page has it>"}
            size = 0
        self._sizes[change.place] = size
        metadata = shown_metadata(bundle, change.shown.metadata)
        self._publish(bundle, metadata, str(change.place), update=isinstance(change, Update))

    def _publish(self, bundle: dict[str, Any], metadata: dict[str, Any], name: str, *, update: bool) -> None:
        if not self._colours and "text/plain" in bundle:
            bundle = {**bundle, "text/plain": plain(bundle["text/plain"])}
        transient = {"display_id": f"mlmagics-{self._area}-{name}"}
        self._shell.display_pub.publish(bundle, metadata, transient=transient, update=update)
        self._pace.sent(_size(bundle), text=False)
        if not update:
            self._open = None

    def _clear(self) -> None:
        if not self._kernel:
            return
        self._shell.display_pub.clear_output(wait=True)
        self._pace.sent(0)
        self._open = None
        self._rests.clear()
        self._sizes.clear()
        self._write("".join(f"{line}\n" for line in self._heading))


def _size(bundle: dict[str, Any]) -> int:
    return sum(len(content) for content in bundle.values() if isinstance(content, str))


def whole_data(shown: Shown, blob: Callable[[str], bytes]) -> dict[str, Any]:
    """The MIME bundle of ``shown`` with what was too large for the log fetched from the agent."""
    data = dict(shown.data)
    for mime, sha256 in shown.blobs.items():
        if not can_be_shown(mime):
            data[mime] = ""
            continue
        try:
            data[mime] = _fetched(mime, sha256, blob)
        except (UserError, ValueError, msgspec.MsgspecError, RecursionError) as error:
            data.setdefault("text/plain", f"<{mime} cannot be shown: {error}>")
    return data


def _fetched(mime: str, sha256: str, blob: Callable[[str], bytes]) -> Any:
    content = blob(sha256)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError("what the agent sent is not what the job displayed")
    return msgspec.json.decode(content) if mime.endswith("json") else content.decode("utf-8")
