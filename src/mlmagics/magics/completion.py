"""Tab on the line of a magic: options and their values, clusters, jobs, results. IPython completes magics' names."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from cluster_agent.protocol import WORDS, State
from mlmagics.errors import UserError
from mlmagics.magics.attachments import verb_parsers
from mlmagics.magics.candidates import Candidates
from mlmagics.magics.config import config_parser
from mlmagics.magics.one_cluster import CLUSTER_WORDS
from mlmagics.magics.options import cell_parser
from mlmagics.magics.slots import Slot, slot_of
from mlmagics.magics.verbs import LINE_MAGICS
from mlmagics.magics.words import LineParser

_LINE = re.compile(r"\s*(?P<marks>%%?)(?P<name>[\w.-]+)\s(?P<rest>.*)", re.DOTALL)
_STATES = ("active", "done", *(state.value for state in State))


@dataclass(frozen=True, slots=True)
class Match:
    """One word that may stand there, and what it is."""

    text: str
    kind: str


@dataclass(frozen=True, slots=True)
class Found:
    """What may stand in place of ``typed``, the best first."""

    typed: str
    matches: tuple[Match, ...] = ()
    #: whether nothing else makes sense there, not even a name in Python or of a file
    alone: bool = True


_NOT_OURS = Found("", alone=False)


class Completion:
    """A matcher for IPython's completer.

    Parameters
    ----------
    clusters
        Gives the names of the clusters at this moment.
    candidates
        Knows jobs, results and projects.
    """

    def __init__(self, clusters: Callable[[], list[str]], candidates: Candidates) -> None:
        self._clusters = clusters
        self._candidates = candidates
        self._matcher: Any = None

    def load(self, shell: Any) -> None:
        """Add the matcher to ``shell``."""
        from IPython.core.completer import SimpleCompletion, context_matcher

        @context_matcher(identifier="mlmagics.magic_line")  # type: ignore[untyped-decorator]
        def matcher(context: Any) -> dict[str, Any]:
            lines = context.full_text.split("\n")[: context.cursor_line + 1]
            lines[-1] = lines[-1][: context.cursor_position]
            try:
                found = self.matches(lines)
            except UserError:  # such as attachments that cannot be read: the next cell tells
                found = _NOT_OURS
            matches = found.matches
            if found.alone and not matches:
                # IPython heeds "suppress" only of those who offer something: what is there already
                matches = (Match(found.typed, ""),)
            return {
                "completions": [SimpleCompletion(text=match.text, type=match.kind) for match in matches],
                "matched_fragment": found.typed,
                "suppress": found.alone,
                "ordered": True,
            }

        self._matcher = matcher
        shell.Completer.custom_matchers.append(matcher)

    def unload(self, shell: Any) -> None:
        """Take the matcher out of ``shell``."""
        if self._matcher in shell.Completer.custom_matchers:
            shell.Completer.custom_matchers.remove(self._matcher)

    def matches(self, lines: list[str]) -> Found:
        """What may follow at the end of ``lines``, the cell up to the cursor."""
        command = _LINE.match(_continued(lines))
        if command is None:
            return _NOT_OURS
        name, rest = command["name"], command["rest"]
        if command["marks"] == "%%":
            # below other lines it would be no cell magic
            return self._cell(name, rest) if _starts_cell(lines) else _NOT_OURS
        if name in LINE_MAGICS:
            return self._fill(name, LINE_MAGICS[name].parser(), rest)
        return self._line(name, rest)

    def _cell(self, name: str, rest: str) -> Found:
        if name == "on":
            cluster, blank, behind = rest.partition(" ")
            if not blank:
                return _among(rest, self._clusters(), "cluster")
            name, rest = cluster, behind
        return (
            self._fill(name, cell_parser(f"%%{name}"), rest, cluster=name)
            if name in self._clusters()
            else _NOT_OURS
        )

    def _line(self, name: str, rest: str) -> Found:
        word, blank, behind = rest.lstrip().partition(" ")
        if name == "attachments":
            parsers = verb_parsers()
            if not blank:
                return _among(word, parsers, "verb")
            return self._fill(f"attachments {word}", parsers[word], behind) if word in parsers else _NOT_OURS
        if name == "on":
            return self._line(word, behind) if blank else _among(word, self._clusters(), "cluster")
        if name not in self._clusters():
            return _NOT_OURS
        if not blank:
            return _among(word, CLUSTER_WORDS, "verb")
        return (
            self._fill("config", config_parser(f"%{name} config"), behind) if word == "config" else _NOT_OURS
        )

    def _fill(self, name: str, parser: LineParser, rest: str, *, cluster: str | None = None) -> Found:
        slot = slot_of(parser, rest)
        found = [Match(text, "option" if text.startswith("--") else "value") for text in slot.choices]
        for kind in slot.kinds:
            found += self._of_kind(kind, name, parser, slot, cluster)
        matches = tuple(match for match in found if match.text.startswith(slot.typed))
        return Found(slot.typed, matches, alone="file" not in slot.kinds)

    def _of_kind(
        self, kind: str, name: str, parser: LineParser, slot: Slot, cluster: str | None
    ) -> Iterable[Match]:
        ask = self._candidates
        if kind == "job":
            given = slot.positional
            return [
                Match(*job)
                for job in ask.jobs(slot.typed, active_first=name != "fetch")
                if job[0] not in given
            ]
        if kind == "result":
            return [
                Match(*result)
                for result in ask.results(slot.positional[0])
                if result[0] not in slot.positional
            ]
        if kind == "cluster":
            return [] if name == "attachments add" else [Match(text, "cluster") for text in self._clusters()]
        if kind == "project":
            return [Match(text, "project") for text in ask.projects(cluster)]
        if kind == "runtime":
            return [Match(*runtime) for runtime in ask.runtimes(cluster)]
        if kind == "state":
            return [
                Match(text, WORDS.get(State(text), text) if text in _WIRE else "states") for text in _STATES
            ]
        if kind == "variable":
            return [Match(text, "variable") for text in sorted(os.environ)]
        if kind == "option":
            return [Match(text.lstrip("-"), "option") for text in parser.options() if text != "--reset"]
        return []


_WIRE = frozenset(state.value for state in State)


def _among(typed: str, names: Iterable[str], kind: str) -> Found:
    return Found(typed, tuple(Match(name, kind) for name in names if name.startswith(typed)))


def _starts_cell(lines: list[str]) -> bool:
    return all(line.rstrip().endswith("\\") for line in lines[:-1])


def _continued(lines: list[str]) -> str:
    r"""The last line, with those before it that a ``\`` continues."""
    first = len(lines) - 1
    while first > 0 and lines[first - 1].rstrip().endswith("\\"):
        first -= 1
    head, *more = lines[first:]
    # as it is read, but for the blank at the end that says that a new word begins
    return " ".join([part.rstrip().removesuffix("\\") for part in [head, *more][:-1]] + [lines[-1]])
