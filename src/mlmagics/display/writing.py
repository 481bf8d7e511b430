"""Puts a job's output into a cell: real text and displays, paced so that no front end drops any of it."""

from __future__ import annotations

import json
import sys
import time
import uuid
from collections.abc import Callable
from typing import Any

from mlmagics.display.changes import Change, Clear, Raised, Show, Update, Write
from mlmagics.display.mime import shown_bundle
from mlmagics.display.place import Place
from mlmagics.display.tables import Table
from mlmagics.display.view import Shown
from mlmagics.errors import UserError

#: Jupyter Server drops what comes faster than 1 MB or 1,000 messages a second, for good.
_CHARS_PER_S = 500_000
_PIECE = 50_000


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
        self._blob = blob
        self._foreign = foreign
        self._area = uuid.uuid4().hex
        self._heading: list[str] = []
        self._at_line_start = True
        self._has_status = False
        self._free_at = 0.0

    def heading(self, line: str) -> None:
        """A line above the output, which stays when the job clears its output."""
        self._heading.append(line)
        self.line(line)

    def line(self, line: str) -> None:
        """A line of our own, on a line of its own."""
        self._write(line + "\n" if self._at_line_start else f"\n{line}\n")

    def status(self, text: str) -> None:
        """Show ``text`` in one place that is overwritten; where there is no such place, the first one is printed."""
        if self.place is Place.NOTEBOOK:
            known, self._has_status = self._has_status, True
            transient = {"display_id": f"mlmagics-{self._area}-status"}
            self._shell.display_pub.publish({"text/plain": text}, transient=transient, update=known)
        elif not self._has_status:
            self._has_status = True
            self.line(text)

    def apply(self, change: Change) -> None:
        """Make ``change`` visible; takes as long as the pace asks for."""
        if isinstance(change, Write):
            for start in range(0, len(change.text), _PIECE):
                self._write(change.text[start : start + _PIECE])
        elif isinstance(change, Show | Update):
            self._publish(change)
        elif isinstance(change, Clear):
            self._clear()
        elif isinstance(change, Raised):
            self.line(
                "\n".join(change.failure.traceback) or f"{change.failure.ename}: {change.failure.evalue}"
            )

    def _write(self, text: str) -> None:
        if not text:
            return
        sys.stdout.write(text)
        sys.stdout.flush()
        self._at_line_start = text.endswith("\n")
        self._pace(len(text))

    def _publish(self, change: Show | Update) -> None:
        bundle = shown_bundle(whole_data(change.shown, self._blob), foreign=self._foreign)
        if self.place is not Place.NOTEBOOK and self._plain_only():
            if isinstance(change, Show) or change.shown.display_id:
                self.line(str(bundle.get("text/plain", f"<{', '.join(sorted(bundle))}>")))
            return
        metadata = {mime: extra for mime, extra in change.shown.metadata.items() if mime in bundle}
        self._shell.display_pub.publish(
            bundle,
            metadata,
            transient={"display_id": f"mlmagics-{self._area}-{change.place}"},
            update=isinstance(change, Update),
        )
        self._pace(sum(len(content) for content in bundle.values() if isinstance(content, str)))

    def _plain_only(self) -> bool:
        return getattr(self._shell, "kernel", None) is None

    def _clear(self) -> None:
        if self._plain_only():
            return
        self._shell.display_pub.clear_output(wait=True)
        self._at_line_start = True
        for line in self._heading:
            self.line(line)

    def _pace(self, chars: int) -> None:
        if self.place is not Place.NOTEBOOK:
            return
        now = time.monotonic()
        if self._free_at > now:
            time.sleep(self._free_at - now)
        self._free_at = max(now, self._free_at) + max(0.001, chars / _CHARS_PER_S)


def whole_data(shown: Shown, blob: Callable[[str], bytes]) -> dict[str, Any]:
    """The MIME bundle of ``shown`` with what was too large for the log fetched from the agent."""
    data = dict(shown.data)
    for mime, sha256 in shown.blobs.items():
        try:
            text = blob(sha256).decode("utf-8")
            data[mime] = json.loads(text) if mime.endswith("json") else text
        except (UserError, ValueError) as error:
            data.setdefault("text/plain", f"<{mime} cannot be shown: {error}>")
    return data
