"""Why an environment could not be built, in one line with what to do: from what uv says. Pure but for a look at the disk."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from cluster_agent.environments.base import Base
from cluster_agent.environments.locking import needs_build
from cluster_agent.units import format_size

_LENGTH = 260
#: How each reason begins.
START = "its environment cannot be built"
_NOT_FOUND = re.compile(
    r"(?P<name>[\w.\[\]-]+) was not found in (?:the package registry|the provided package locations)"
)
_NOT_CACHED = re.compile(r"(?P<name>[\w.\[\]-]+) was not found in the cache")
_BUILD = re.compile(r"Failed to build `(?P<what>[^`]+)`")
_HASH = re.compile(r"[Hh]ash mismatch for `(?P<what>[^`]+)`")
_FETCH = re.compile(r"Failed to (?:fetch|download|query)[^`\n]*:?\s+`?(?P<what>[^`\s]+)`?")
_STATUS = re.compile(r"HTTP status \w+ error \((?P<status>[^)]+)\)")
_CAUSE = re.compile(r"^\s*(?:cause|Caused by): (?P<text>.+)$", re.MULTILINE)
_UNREACHABLE = ("error sending request", "dns error", "timed out", "Connection refused", "tcp connect error")


def explain(said: str, base: Base, home: Path) -> str:
    """The reason of a job whose environment uv could not build.

    Parameters
    ----------
    said
        All that uv said.
    home
        A folder on the disk of the environments.
    """
    if "No space left on device" in said or "os error 28" in said:
        return f"{START}: the disk of the box is full ({_free(home)} left); ask whoever runs it for room"
    if found := _HASH.search(said):
        return (
            f"{START}: {_pinned(found['what'])} is not the file any more that was locked (its hash differs); run the"
            " cell again, so that versions are chosen anew"
        )
    if found := _BUILD.search(said):
        return (
            f"{START}: {_pinned(found['what'])} has no wheel for Python {base.minor} on this box, and building it from"
            " its source failed; the log has why. Another version may have one: --with NAME==VERSION"
        )
    if found := _NOT_CACHED.search(said):
        return (
            f"{START}: {found['name']} is not on this box, which does not ask the network for packages; whoever runs"
            " it can add it ([packages] find_links)"
        )
    if any(word in said for word in _UNREACHABLE):
        where = _FETCH.search(said)
        cause = _last_cause(said)
        return _cut(f"{START}: {where['what'] if where else 'the index'} does not answer ({cause}); try again, or tell"
                    " whoever runs the box")  # fmt: skip
    if found := _NOT_FOUND.search(said):
        return (
            f"{START}: there is no package {found['name']} where this box looks for packages; is its name right?"
            " A name to import can differ from the package's"
        )
    if found := _STATUS.search(said):
        where = _FETCH.search(said)
        return _cut(
            f"{START}: {where['what'] if where else 'the index'} answers {found['status']}; tell whoever runs the box"
        )
    if "No solution found" in said:
        because = " ".join(_because(said).split())
        return _cut(f"{START}: {because}; ask for other versions with --with")
    first = next(
        (line for line in said.splitlines() if line.startswith("error:")), said.strip().partition("\n")[0]
    )
    return _cut(f"{START}: {first.removeprefix('error:').strip()}; the log has all that uv said")


def is_final(said: str) -> bool:
    """Whether what uv said will be so however long one waits: there is nothing that could be installed."""
    return (
        "No solution found" in said
        and not needs_build(said)
        and not any(word in said for word in _UNREACHABLE)
    )


def _because(said: str) -> str:
    """The first sentence of a resolver's proof."""
    text = said.partition("No solution found when resolving dependencies")[2]
    found = re.search(r"Because (.+?)(?:, we can conclude|\.\s*$|\.\n)", text, re.DOTALL)
    return found[1] if found else "the packages do not go together"


def _last_cause(said: str) -> str:
    causes = [found["text"] for found in _CAUSE.finditer(said)]
    return re.sub(r" \(os error \d+\)", "", causes[-1]) if causes else "no answer"


def _pinned(what: str) -> str:
    return what.replace("==", " ").partition(" @ ")[0]


def _free(home: Path) -> str:
    for folder in (home, *home.parents):
        try:
            return format_size(shutil.disk_usage(folder).free)
        except OSError:
            continue
    return "nothing"


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LENGTH else f"{line[: _LENGTH - 1]}…"
