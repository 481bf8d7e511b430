"""What a cluster may be called, and what to say when there is none of a name. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from mlmagics.errors import BadValue

#: The cluster that is always there: an agent of one's own on this machine.
LOCAL = "local"
_NAME = re.compile(r"[a-z][a-z0-9._-]{0,31}")
#: Words that mean something else in a magic or command of ours.
VERBS = frozenset(
    [
        "active",
        "add",
        "alias",
        "all",
        "attachments",
        "cancel",
        "check",
        "config",
        "diff",
        "disable",
        "done",
        "enable",
        "extend",
        "fetch",
        "help",
        "jobs",
        "list",
        "local",
        "logs",
        "mine",
        "mlmagics",
        "notify",
        "on",
        "open",
        "project",
        "remove",
        "rerun",
        "resubmit",
        "results",
        "run",
        "submit",
        "use",
        "wait",
    ]
)


def check_name(name: str, taken: frozenset[str] = frozenset()) -> None:
    """Nothing, when a cluster may be called ``name``; ``taken`` holds the names of existing magics.

    Raises
    ------
    BadValue
        With the reason, and a name to take instead where one is near.
    """
    if name in VERBS:
        owner = "your own agent on this machine" if name == LOCAL else "a command of mlmagics"
        raise BadValue(f"{name} is the name of {owner}: choose another name, e.g. {name}-box", field="name")
    if name in taken:
        raise BadValue(f"{name} is an IPython magic: choose another name, e.g. {name}-box", field="name")
    if not _NAME.fullmatch(name):
        raise BadValue(
            f"{name!r} cannot be a cluster's name: up to 32 of a-z 0-9 . _ -, a letter first", field="name"
        )


def unknown_cluster(name: str, known: Iterable[str]) -> str:
    """The line for a cluster that is not attached, with what there is."""
    names = [*(other for other in known if other != LOCAL), LOCAL]
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    meant = f": did you mean {near[0]}?" if near else "."
    return f"no cluster {name!r} is attached{meant} Attached: {', '.join(names)}. To add one: %attachments add NAME URL"
