"""The commands of ``mlmagics`` about clusters and kernels. Each takes its words and gives its exit status."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Sequence
from dataclasses import fields

from cluster_agent.units import format_duration
from mlmagics.cli import enabling
from mlmagics.cli.lines import as_commands, out, out_json, out_table, tell
from mlmagics.cluster import attaching, checking
from mlmagics.cluster.overview import AttachmentRow
from mlmagics.cluster.overview import attachments as attached
from mlmagics.cluster.session import current
from mlmagics.display.tables import attachments_table
from mlmagics.magics import attachments as clusters
from mlmagics.magics.config import config_parser, configure_person, preferences
from mlmagics.magics.words import HelpAskedFor, LineParser, WrongUse

_MAGIC = "mlmagics attachments"
#: What is typed here can be seen by others: in lists of processes and in the shell's history.
SEEN = "others on this machine can see command lines"


def attachments(given: Sequence[str]) -> int:
    """``mlmagics attachments``: the table, and what changes it."""
    # project:// is chosen in a notebook, or by PROJECT_URL
    parsers = {verb: parser for verb, parser in clusters.verb_parsers(_MAGIC).items() if verb != "use"}
    if given and given[0] == "--json":
        given = ["list", *given]
    verb, rest = clusters.verb_of(_MAGIC, given, parsers)
    if verb == "list":
        return _list(rest)
    found = parsers[verb].read(rest)
    if verb == "add":
        return _add(found)
    if verb == "check":
        return _check(found.name)
    if verb == "alias":
        attaching.alias(found.name, found.url)
        tell(f"history URLs that begin with {found.url} are of {found.name}")
    else:
        attaching.remove(found.name)
        tell(f"{found.name} is no longer attached; its jobs go on")
    return 0


def _list(given: Sequence[str]) -> int:
    parser = LineParser(f"{_MAGIC} list", "List the clusters and how they do.")
    parser.add_argument("--json", action="store_true", help="for programs")
    as_json, rows = parser.read(given).json, attached()
    if as_json:
        out_json({"attachments": [_row(row) for row in rows]})
    else:
        out_table(attachments_table(rows))
    return 0


def _row(row: AttachmentRow) -> dict[str, object]:
    return {field.name: getattr(row, field.name) for field in fields(row) if field.name != "info"}


def _add(found: argparse.Namespace) -> int:
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
    out_table(attachments_table([row]))
    tell(f"Attached. In a notebook a cell that begins with %%{found.name} runs there.")
    return 0


def _check(name: str) -> int:
    good = True
    for step in checking.check(name):
        mark = {True: "ok", None: "note", False: "FAILED"}[step.good]
        out(as_commands(f"{mark:<6}  {step.what:<12} {step.said}"))
        good = good and step.good is not False
    return 0 if good else 1


def config(given: Sequence[str]) -> int:
    """``mlmagics config NAME``: options that jobs on a cluster need not be given."""
    if not given or given[0] in ("-h", "--help", "help"):
        if not given and (known := preferences().all()):
            out("\n".join(f"{name}  {' '.join(words)}" for name, words in known.items()))
            return 0
        raise HelpAskedFor(config_parser("mlmagics config NAME").format_help())
    if given[0].startswith("-"):
        raise WrongUse(f"mlmagics config: say first for which cluster: mlmagics config NAME {given[0]}")
    found = configure_person(given[0], given[1:], SEEN)
    if isinstance(found, str):
        out(found)
    else:
        out_table(found)
    return 0


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
    parser = LineParser("mlmagics enable", "Load the magics in every new kernel and IPython terminal.")
    _add_profile(parser)
    path, was_there = enabling.enable(parser.read(given).profile)
    out(
        f"{path}: {'is there already' if was_there else 'written'}. New kernels load the magics by themselves;"
    )
    out("one that runs already: %load_ext mlmagics. To end it: mlmagics disable")
    return 0


def disable(given: Sequence[str]) -> int:
    """``mlmagics disable``: the end of ``enable``."""
    parser = LineParser("mlmagics disable", "Load the magics no longer in new kernels.")
    _add_profile(parser)
    path, was_there = enabling.disable(parser.read(given).profile)
    if was_there:
        out(f"{path}: removed. New kernels no longer load the magics by themselves.")
    else:
        out(f"It was not enabled: there is no {path}")
    return 0


def _add_profile(parser: LineParser) -> None:
    parser.add_argument(
        "--profile", default="default", metavar="NAME", help="of this IPython profile instead of default"
    )
