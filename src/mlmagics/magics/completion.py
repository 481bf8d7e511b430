"""Completion of options and job names on the first line of a cell. Names of magics IPython completes by itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from mlmagics.cluster.session import current
from mlmagics.magics.attachments import add_parser
from mlmagics.magics.commands import cancel_parser, fetch_parser, jobs_parser, wait_parser
from mlmagics.magics.logs import logs_parser
from mlmagics.magics.options import cell_parser
from mlmagics.magics.words import LineParser

_LINE = re.compile(r"\s*(?P<marks>%%?)(?P<name>[\w.-]+)\s(?P<rest>.*)", re.DOTALL)
_COMMANDS: dict[str, Callable[[], LineParser]] = {
    "logs": logs_parser,
    "wait": wait_parser,
    "jobs": jobs_parser,
    "cancel": cancel_parser,
    "fetch": fetch_parser,
}
_TAKE_JOBS = ("logs", "wait", "cancel", "fetch")


class Completion:
    """A matcher for IPython's completer."""

    def __init__(self, clusters: Callable[[], list[str]]) -> None:
        self._clusters = clusters
        self._matcher: Any = None

    def load(self, shell: Any) -> None:
        """Add the matcher to ``shell``."""
        from IPython.core.completer import SimpleCompletion, context_matcher

        @context_matcher(identifier="mlmagics.first_line")  # type: ignore[untyped-decorator]
        def matcher(context: Any) -> dict[str, Any]:
            found = self.matches(context.cursor_line, context.line_with_cursor[: context.cursor_position])
            return {
                "completions": [SimpleCompletion(text=text, type=kind) for text, kind in found],
                # nothing else makes sense among the options, not even a file name
                "suppress": bool(found),
            }

        self._matcher = matcher
        shell.Completer.custom_matchers.append(matcher)

    def unload(self, shell: Any) -> None:
        """Take the matcher out of ``shell``."""
        if self._matcher in shell.Completer.custom_matchers:
            shell.Completer.custom_matchers.remove(self._matcher)

    def matches(self, line_number: int, line: str) -> list[tuple[str, str]]:
        """What may follow at the end of ``line``: texts that begin with its last word, and their kinds."""
        command = _LINE.match(line)
        if line_number != 0 or command is None:
            return []
        word = re.split(r"\s", command["rest"])[-1]
        name = command["name"]
        is_cell = command["marks"] == "%%"
        if is_cell and name == "on" and not re.search(r"\s", command["rest"]):
            return [(cluster, "cluster") for cluster in self._clusters() if cluster.startswith(word)]
        if word.startswith("-"):
            options = self._options(name, is_cell, command["rest"])
            return [(option, "option") for option in options if option.startswith(word)]
        if not is_cell and name in _TAKE_JOBS:
            refs = sorted(job.ref for job in [*current().known.values()])
            return [(ref, "job") for ref in refs if ref.startswith(word)]
        return []

    def _options(self, name: str, is_cell: bool, rest: str) -> list[str]:
        if is_cell:
            known = name == "on" or name in self._clusters()
            return [*cell_parser(f"%%{name}").options()] if known else []
        if name == "attachments":
            return [*add_parser().options()] if rest.startswith("add ") else []
        return [*_COMMANDS[name]().options()] if name in _COMMANDS else []
