"""All that is said about a cell before it is sent. Pure, but for what ``target`` asks."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from mlmagics.errors import BadCell
from mlmagics.preflight.calls import Calls
from mlmagics.preflight.finding import Finding
from mlmagics.preflight.here import Here
from mlmagics.preflight.imports import check_imports
from mlmagics.preflight.names import missing_in
from mlmagics.preflight.paths import check_paths
from mlmagics.preflight.places import Places, bound_in
from mlmagics.preflight.project_calls import check_project_calls
from mlmagics.preflight.quirks import check_quirks
from mlmagics.preflight.reading import read
from mlmagics.preflight.skew import check_skew
from mlmagics.preflight.target import Target
from mlmagics.preflight.variables import check_variables, held_names

#: lines of warnings that are shown; a cell with more of them is a special one
_MOST = 8
_ANYWAY = "--no-check sends it as it is"


def check(source: str, *, sent: Collection[str] = (), here: Here, target: Target) -> list[Finding]:
    """What may go wrong with ``source`` on ``target``, by line; nothing for what cannot be read as Python here.

    Parameters
    ----------
    sent
        Names of variables that the job has before its first line.
    """
    try:
        cell = read(source)
        places = Places(cell.tree)
        missing = missing_in(
            cell,
            places,
            held=held_names(here) - set(sent),
            known=sent,
            later_annotations=target.version is not None and target.version >= (3, 14),
        )
        calls = Calls(cell, places, here.names)
        found = [
            *check_skew(cell, target),
            *check_variables(missing, set(bound_in(cell.tree)), here),
            *check_imports(calls, target, here),
            *check_paths(calls, target, here),
            *check_project_calls(calls),
            *check_quirks(calls, dynamic=missing.dynamic),
        ]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    return sorted(found, key=lambda finding: finding.line)


def refuse(findings: Sequence[Finding], cluster: str) -> None:
    """Nothing, unless one of ``findings`` is an error.

    Raises
    ------
    BadCell
        With a line for each error, and what to type for all of them.
    """
    errors = [finding for finding in findings if finding.level == "error"]
    if not errors:
        return
    if len(errors) == 1:
        raise BadCell(f"nothing was sent: {errors[0].told} ({_ANYWAY})", field="source")
    lines = [f"the cell cannot run on {cluster}, nothing was sent ({_ANYWAY}):"]
    lines += [f"    {finding.told}" for finding in errors]
    names = [finding.name for finding in errors if f"--send {finding.name}" in finding.message]
    if len(names) > 1:
        lines.append(f"    all at once: --send {','.join(dict.fromkeys(names))}   or --send auto")
    raise BadCell("\n".join(lines), field="source")


def remarks(findings: Sequence[Finding]) -> list[str]:
    """The lines of warnings, to be shown with the job that goes on."""
    told = list(dict.fromkeys(finding.told for finding in findings if finding.level == "warning"))
    if len(told) <= _MOST:
        return told
    return [*told[:_MOST], f"and {len(told) - _MOST} more of this kind"]
