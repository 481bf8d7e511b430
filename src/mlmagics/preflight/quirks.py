"""Habits of notebooks that mean nothing in a job: earlier outputs, a file of one's own, a keyboard. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mlmagics.preflight.calls import Calls
from mlmagics.preflight.finding import Finding
from mlmagics.preflight.names import is_past
from mlmagics.preflight.places import NAME_ERRORS, binds

_KEYBOARD = {"input": "input()", "getpass.getpass": "getpass()"}


def check_quirks(calls: Calls, *, dynamic: bool) -> Iterator[Finding]:
    """What is said about them.

    Parameters
    ----------
    dynamic
        Whether names may come from where nobody can see.
    """
    yield from _own_file(calls, dynamic)
    yield from _keyboard(calls)
    yield from _past(calls)


def _own_file(calls: Calls, dynamic: bool) -> Iterator[Finding]:
    places = calls.places
    for node in places.nodes:
        if isinstance(node, ast.Name) and node.id == "__file__":
            sure = not (dynamic or places.guarded(node, NAME_ERRORS) or places.conditional(node))
            yield Finding(
                level="error" if sure else "warning",
                code="no_file",
                message="a cell has no __file__: write Path.cwd() for the job's own folder, "
                "or a path under project://",
                name="__file__",
                line=calls.cell.line(node),
            )
            return


def _keyboard(calls: Calls) -> Iterator[Finding]:
    for name, node in calls.named:
        if name in _KEYBOARD:
            places = calls.places
            guarded = places.guarded(node, frozenset({"EOFError", "Exception", "BaseException"}))
            sure = not (guarded or places.conditional(node) or places.deferred(node))
            advice = "write the value into the cell, or pass it with --param NAME=VALUE"
            if name != "input":
                advice = "set the secret in the environment here and pass it with --env NAME"
            yield Finding(
                level="error" if sure else "warning",
                code="no_keyboard",
                message=f"{_KEYBOARD[name]} is called, but a job has no keyboard: {advice}",
                name=name,
                line=calls.cell.line(node),
            )
            return


def _past(calls: Calls) -> Iterator[Finding]:
    nodes = calls.places.nodes
    bound = {name for node in nodes for name in binds(node)} | {
        node.arg for node in nodes if isinstance(node, ast.arg)
    }
    for node in nodes:
        if (
            isinstance(node, ast.Name)
            and node.id not in bound
            and (node.id in ("In", "Out") or is_past(node.id))
        ):
            # only the plain ones are bound in a job too, to outputs of its own
            certain = node.id.strip("_").isdigit() and not calls.places.conditional(node)
            yield Finding(
                level="error" if certain and not calls.places.guarded(node) else "warning",
                code="past_output",
                message=f"{node.id} is an earlier input or output of your notebook, which the job has not: "
                "give the value a name and send it with --send NAME",
                name=node.id,
                line=calls.cell.line(node),
            )
            return
