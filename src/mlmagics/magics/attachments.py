"""``%attachments``: the clusters of this person."""

from __future__ import annotations

import argparse
import getpass
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any

from mlmagics.cluster import attaching, checking
from mlmagics.cluster.overview import attachments
from mlmagics.cluster.session import current
from mlmagics.display.place import Place, place_of
from mlmagics.display.tables import attachments_table
from mlmagics.display.writing import say, show_table
from mlmagics.errors import UserError
from mlmagics.magics.words import HelpAskedFor, LineParser, WrongUse, nearest, words


@lru_cache
def add_parser(magic: str = "%attachments add") -> LineParser:
    """The options of ``%attachments add``."""
    parser = LineParser(
        magic,
        "Make a cluster known, as the magic %%NAME, by an invite (URL#CODE), by your account there (ssh://), or by its "
        "agent's address: then you are asked for your token, unless --token-file or --token-env says where it is.",
        examples=(
            f"{magic} gpu-box https://gpu-box:8900#CODE",
            f"{magic} gpu-box ssh://ada@gpu-box",
            f"{magic} gpu-box https://gpu-box:8900 --ca cert.pem",
            f"{magic} gpu-box https://gpu-box:8900 --token-env GPU_BOX_TOKEN",
        ),
    )
    add = parser.add_argument
    add("name", metavar="NAME", help="what to call it: a-z 0-9 . _ -")
    add("url", metavar="URL", help="an invite, ssh://USER@HOST, or its agent's address, https://HOST:PORT")
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
def verb_parsers(magic: str = "%attachments") -> dict[str, LineParser]:
    """The parsers of all that ``%attachments``, or ``mlmagics attachments``, can do."""

    def of_one(verb: str, does: str, *more: str) -> LineParser:
        parser = LineParser(f"{magic} {verb}", does, examples=(" ".join([magic, verb, "gpu-box", *more]),))
        parser.add_argument("name", metavar="NAME", help="of the cluster")
        return parser

    alias = of_one("alias", "Give a cluster another address, for history URLs only.", "https://old-name:8900")
    alias.add_argument("url", metavar="URL", help="another address of its agent")
    return {
        "list": LineParser(f"{magic} list", "List the clusters and how they do."),
        "add": add_parser(f"{magic} add"),
        "remove": of_one("remove", "Forget a cluster. Its jobs go on."),
        "check": of_one("check", "Try, one by one, all that a job on a cluster needs."),
        "alias": alias,
        "use": of_one("use", "Make a cluster's project the project:// of this notebook."),
    }


def verb_of(magic: str, given: Sequence[str], verbs: Collection[str]) -> tuple[str, list[str]]:
    """The verb among the words ``given``, ``list`` without any, and the words behind it.

    Raises
    ------
    HelpAskedFor, WrongUse
        When help is asked for, or there is no such verb.
    """
    verb, *rest = given or ["list"]
    if verb in ("-h", "--help", "help"):
        raise HelpAskedFor(_help(magic, verbs))
    if verb not in verbs:
        raise WrongUse(f"{magic}: {verb!r} is none of {', '.join(sorted(verbs))}{nearest(verb, verbs)}")
    return verb, rest


def manage(shell: Any, line: str, taken: frozenset[str]) -> None:
    """What the magic ``%attachments`` does; ``taken`` holds names that no cluster may get."""
    parsers = verb_parsers()
    verb, rest = verb_of("%attachments", words(line), parsers)
    found = parsers[verb].read(rest)
    if verb == "list":
        show_table(shell, attachments_table(attachments()))
    elif verb == "add":
        _add(shell, found, taken)
    elif verb == "remove":
        attaching.remove(found.name)
        say(f"{found.name} is no longer attached; its jobs go on")
    elif verb == "check":
        _check(found.name)
    elif verb == "alias":
        attaching.alias(found.name, found.url)
        say(f"history URLs that begin with {found.url} are of {found.name}")
    elif verb == "use":
        current().use(found.name)
        say(f"project:// is the project of {found.name} in this notebook")


def _add(shell: Any, options: argparse.Namespace, taken: frozenset[str]) -> None:
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


def _check(name: str) -> None:
    failed = None
    for step in checking.check(name):
        mark = {True: "ok", None: "note", False: "FAILED"}[step.good]
        say(f"{mark:<6}  {step.what:<12} {step.said}")
        failed = failed or (step if step.good is False else None)
    if failed is not None:
        raise UserError(f"{name} cannot be used as it is: {failed.said}")


def _help(magic: str, verbs: Collection[str]) -> str:
    parsers = verb_parsers(magic)
    usages = [parsers[verb].format_usage().removeprefix("usage: ").rstrip() for verb in verbs]
    return "\n".join(
        [
            f"usage: {magic}",
            "List the clusters and how they do. Also:",
            "",
            *(f"  {usage}" for usage in usages),
            "",
            "Examples:",
            f"  {magic} add gpu-box https://gpu-box:8900#CODE",
            f"  {magic} check gpu-box",
            "",
            "Each takes --help.",
        ]
    )
