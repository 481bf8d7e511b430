"""``%NAME``: one cluster at this moment, its help, and what holds for cells there."""

from __future__ import annotations

import time
from typing import Any

from mlmagics.cluster.overview import attachments, jobs
from mlmagics.cluster.session import current
from mlmagics.display.tables import Table, attachments_table, cluster_table, jobs_table
from mlmagics.display.writing import say, show_table
from mlmagics.environments.runtimes import runtime_lines
from mlmagics.errors import UserError
from mlmagics.magics.config import configure
from mlmagics.magics.options import cell_parser
from mlmagics.magics.words import HelpAskedFor, WrongUse, nearest, words

#: What may follow ``%NAME``.
CLUSTER_WORDS = ("config", "help")
ON_HELP = """\
usage: %%on NAME [options]
Run this cell on the cluster NAME: the same as %%NAME, also where another
extension has a magic of that name. The options are those of %%NAME.

Examples:
  %%on gpu-box --gpus 2
  %on gpu-box              what is free there, and your jobs
  %on gpu-box config       options that cells on gpu-box need not write
  %on gpu-box help         the options
"""
#: Jobs of one's own that ``%NAME`` lists even when they have ended.
_LAST = 5


def show_cluster(shell: Any, name: str, line: str) -> None:
    """What the magic ``%NAME`` does: the cluster at this moment, and what runs and waits there."""
    given = words(line)
    if given and given[0] in ("help", "-h", "--help"):
        raise HelpAskedFor(cell_parser(f"%%{name}").format_help())
    if given and given[0] == "config":
        _show(shell, configure(name, given[1:]))
        return
    if given:
        near = nearest(given[0], CLUSTER_WORDS) or f": a cell that begins with %%{name} runs there"
        raise WrongUse(f"%{name} takes no {given[0]!r}{near} (%{name} help)")
    current().attachment(name)
    row = next(iter(attachments(on=name)))
    if row.info is None:
        show_table(shell, attachments_table([row]))
        return
    show_table(shell, cluster_table(row, row.info))
    for line_of in runtime_lines(row.info.runtimes):
        say(line_of)
    active, mine = jobs(on=name, all_users=True, state="active"), jobs(on=name, limit=_LAST)
    listed = {job.ref: job for job in (*active.jobs, *mine.jobs)}
    if listed:
        ordered = sorted(listed.values(), key=lambda job: job.info.submitted_at, reverse=True)
        show_table(shell, jobs_table(ordered, users=row.info.shared, now=time.time()))
    else:
        say(f"Nothing runs there and nothing waits. A cell that begins with %%{name} runs there.")


def on_cluster(shell: Any, line: str) -> None:
    """What the magic ``%on`` does: ``%on NAME ...`` is ``%NAME ...``, also where another magic has the name."""
    name, _, rest = line.strip().partition(" ")
    if name in ("", "-h", "--help", "help"):
        raise HelpAskedFor(ON_HELP)
    current().attachment(name)
    show_cluster(shell, name, rest)


def _show(shell: Any, what: Table | str) -> None:
    if isinstance(what, str):
        say(what)
    else:
        show_table(shell, what)


def not_first(name: str) -> UserError:
    """What to say when ``%%NAME`` stands below a comment or code."""
    return WrongUse(f"%%{name} must be the first line of its cell: move comments and code below it")
