"""``%attachments`` and ``%NAME``: the clusters of this person."""

from __future__ import annotations

import getpass
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from mlmagics.cluster import attaching, checking
from mlmagics.cluster.overview import attachments, jobs
from mlmagics.cluster.session import current
from mlmagics.display.place import Place, place_of
from mlmagics.display.tables import attachments_table, jobs_table
from mlmagics.display.writing import say, show_table
from mlmagics.errors import UserError
from mlmagics.magics.options import cell_parser
from mlmagics.magics.words import HelpAskedFor, LineParser, WrongUse, nearest, words

_VERBS = ("add", "alias", "check", "list", "remove", "use")


@lru_cache
def add_parser(magic: str = "%attachments add") -> LineParser:
    """The options of ``%attachments add``."""
    parser = LineParser(magic, "Make a cluster known, as the magic %%NAME.")
    add = parser.add_argument
    add("name", metavar="NAME", help="what to call it: a-z 0-9 . _ -")
    add("url", metavar="URL", help="its agent's address, https://HOST:PORT")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--token-file", metavar="FILE", help="file that holds your token")
    how.add_argument("--token-env", metavar="VARIABLE", help="variable that holds your token")
    add("--ca", metavar="FILE", help="certificate (PEM) that the agent's must be signed by, or is")
    add(
        "--insecure",
        action="store_true",
        help="http to another machine: anybody on the way can read the token",
    )
    return parser


@lru_cache
def name_parser(verb: str, does: str, *, url: bool = False) -> LineParser:
    """The words behind ``%attachments remove``, ``check`` and ``alias``."""
    parser = LineParser(f"%attachments {verb}", does)
    parser.add_argument("name", metavar="NAME", help="of the cluster")
    if url:
        parser.add_argument("url", metavar="URL", help="another address of its agent, for history URLs")
    return parser


def manage(shell: Any, line: str, taken: frozenset[str]) -> None:
    """What the magic ``%attachments`` does; ``taken`` holds names that no cluster may get."""
    given = words(line)
    if given and given[0] in ("-h", "--help", "help"):
        raise HelpAskedFor(_help())
    verb, rest = (given[0], given[1:]) if given else ("list", [])
    if verb == "list" and not rest:
        show_table(shell, attachments_table(attachments()))
    elif verb == "add":
        _add(shell, rest, taken)
    elif verb == "remove":
        name = name_parser("remove", "Forget a cluster. Its jobs go on.").read(rest).name
        attaching.remove(name)
        say(f"{name} is no longer attached; its jobs go on")
    elif verb == "check":
        _check(rest)
    elif verb == "alias":
        options = name_parser("alias", "Give a cluster another address for history URLs.", url=True).read(
            rest
        )
        attaching.alias(options.name, options.url)
        say(f"history URLs that begin with {options.url} are of {options.name}")
    elif verb == "use":
        name = name_parser("use", "Make a cluster's project the one of this notebook.").read(rest).name
        current().use(name)
        say(f"project:// is the project of {name} in this notebook")
    else:
        raise WrongUse(f"%attachments: {verb!r} is none of {', '.join(_VERBS)}{nearest(verb, _VERBS)}")


def _add(shell: Any, given: Sequence[str], taken: frozenset[str]) -> None:
    options = add_parser().read(given)
    can_ask = place_of(shell) is not Place.HEADLESS
    row = attaching.add(
        options.name,
        options.url,
        token_file=options.token_file,
        token_env=options.token_env,
        ca=options.ca,
        insecure=options.insecure,
        ask=getpass.getpass if can_ask else None,
        taken=taken,
    )
    show_table(shell, attachments_table([row]))
    say(f"Attached. A cell that begins with %%{options.name} runs there.")


def _check(given: Sequence[str]) -> None:
    name = name_parser("check", "Try everything that a job on a cluster needs.").read(given).name
    failed = None
    for step in checking.check(name):
        mark = {True: "ok", None: "note", False: "FAILED"}[step.good]
        say(f"{mark:<6}  {step.what:<12} {step.said}")
        failed = failed or (step if step.good is False else None)
    if failed is not None:
        raise UserError(f"{name} cannot be used as it is: {failed.said}")


def _help() -> str:
    parsers = [
        add_parser(),
        name_parser("remove", "Forget a cluster. Its jobs go on."),
        name_parser("check", "Try everything that a job on a cluster needs."),
        name_parser("alias", "Give a cluster another address for history URLs.", url=True),
        name_parser("use", "Make a cluster's project the one of this notebook."),
    ]
    lines = "".join(f"  {parser.format_usage().removeprefix('usage: ')}" for parser in parsers)
    return f"%attachments                list the clusters\n{lines}Each takes --help.\n"


def show_cluster(shell: Any, name: str, line: str) -> None:
    """What the magic ``%NAME`` does: the cluster at this moment and one's own jobs there."""
    given = words(line)
    if given and given[0] in ("help", "-h", "--help"):
        raise HelpAskedFor(cell_parser(f"%%{name}").format_help())
    if given:
        raise WrongUse(
            f"%{name} takes no {given[0]!r}: to run a cell there begin it with %%{name}; %{name} help"
        )
    row = next((row for row in attachments() if row.name == name), None)
    if row is None:
        say(f"{name}: starts with the first %%{name} cell")
        return
    show_table(shell, attachments_table([row]))
    if row.info is None:
        return
    found = jobs(on=name)
    if found.jobs:
        show_table(shell, jobs_table(found.jobs, users=False, now=time.time()))


def not_first(name: str) -> UserError:
    """What to say when ``%%NAME`` stands below a comment or code."""
    return WrongUse(f"%%{name} must be the first line of its cell: move comments and code below it")
