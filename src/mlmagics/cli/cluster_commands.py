"""The commands of ``mlmagics`` about clusters and kernels. Each takes its words and gives its exit status."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Sequence

from cluster_agent.units import format_duration
from mlmagics.cli import enabling
from mlmagics.cli.terminal import out, tell
from mlmagics.cluster import attaching, checking
from mlmagics.cluster.overview import attachments as attached
from mlmagics.cluster.session import current
from mlmagics.display.tables import attachments_table
from mlmagics.magics import attachments as clusters
from mlmagics.magics.words import HelpAskedFor, LineParser, WrongUse, nearest

_VERBS = ("add", "alias", "check", "list", "remove")


def attachments(given: Sequence[str]) -> int:
    """``mlmagics attachments``: the table, and what changes it."""
    verb, rest = (given[0], given[1:]) if given else ("list", [])
    if verb in ("-h", "--help", "help"):
        raise HelpAskedFor(f"usage: mlmagics attachments [{'|'.join(_VERBS)}] ...\nEach takes --help.")
    if verb == "add":
        return _add(rest)
    if verb == "check":
        return _check(rest)
    if verb == "alias":
        parser = _parser("alias", "Give a cluster another address for history URLs.")
        parser.add_argument("url", metavar="URL", help="another address of its agent")
        found = parser.read(rest)
        attaching.alias(found.name, found.url)
        tell(f"history URLs that begin with {found.url} are of {found.name}")
        return 0
    if verb == "remove":
        name = _parser("remove", "Forget a cluster. Its jobs go on.").read(rest).name
        attaching.remove(name)
        tell(f"{name} is no longer attached; its jobs go on")
        return 0
    if verb == "list":
        LineParser("mlmagics attachments list", "List the clusters and how they do.").read(rest)
        out(attachments_table(attached()).as_text())
        return 0
    raise WrongUse(f"mlmagics attachments: {verb!r} is none of {', '.join(_VERBS)}{nearest(verb, _VERBS)}")


def _add(given: Sequence[str]) -> int:
    parser = clusters.add_parser("mlmagics attachments add")
    found = parser.read(given)
    row = attaching.add(
        found.name,
        found.url,
        token_file=found.token_file,
        token_env=found.token_env,
        ca=found.ca,
        insecure=found.insecure,
        ask=getpass.getpass if sys.stdin.isatty() else None,
        taken=enabling.builtin_magics(),
    )
    out(attachments_table([row]).as_text())
    tell(f"Attached. In a notebook a cell that begins with %%{found.name} runs there.")
    return 0


def _check(given: Sequence[str]) -> int:
    name = _parser("check", "Try everything that a job on a cluster needs.").read(given).name
    good = True
    for step in checking.check(name):
        mark = {True: "ok", None: "note", False: "FAILED"}[step.good]
        out(f"{mark:<6}  {step.what:<12} {step.said}")
        good = good and step.good is not False
    return 0 if good else 1


def local(given: Sequence[str]) -> int:
    """``mlmagics local``: the agent of one's own on this machine."""
    parser = LineParser("mlmagics local", "Look after the agent of your own on this machine.")
    parser.add_argument("verb", choices=("status", "stop"), help="whether it runs; or end it, jobs go on")
    agent = current().local
    if parser.read(given).verb == "stop":
        out("stopped; running jobs go on" if agent.stop() else "it does not run")
        return 0
    running = agent.running()
    if running is None:
        out(f"it does not run; it starts with the first cell on local (home {agent.home})")
        return 0
    ready, info = running
    out(
        f"running for {format_duration(info.uptime_s)}: process {ready.pid}, {ready.url}, mlmagics {ready.version}, "
        f"{info.running} running and {info.queued} queued jobs (home {agent.home})"
    )
    return 0


def enable(given: Sequence[str]) -> int:
    """``mlmagics enable``: the magics in every new kernel."""
    LineParser("mlmagics enable", "Load the magics in every new kernel and IPython terminal.").read(given)
    out(f"New kernels load the magics by themselves ({enabling.enable()}).")
    return 0


def disable(given: Sequence[str]) -> int:
    """``mlmagics disable``: the end of ``enable``."""
    LineParser("mlmagics disable", "Load the magics no longer in new kernels.").read(given)
    was_on = enabling.disable()
    out("New kernels no longer load the magics by themselves." if was_on else "It was not enabled.")
    return 0


def _parser(verb: str, does: str) -> LineParser:
    parser = LineParser(f"mlmagics attachments {verb}", does)
    parser.add_argument("name", metavar="NAME", help="of the cluster")
    return parser
