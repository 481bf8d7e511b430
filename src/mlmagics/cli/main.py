"""The command ``mlmagics``: what the magics do, from a terminal, a script or CI.

A job's output goes where the job wrote it; what we say about it goes to stderr. Exit status: 0 fine, 1 failed,
2 wrong use, 130 interrupted.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence

from cluster_agent import __version__
from mlmagics.cli import cluster_commands, job_commands
from mlmagics.cli.terminal import tell
from mlmagics.cluster.session import current
from mlmagics.display.watch import StoppedWatching
from mlmagics.errors import BadValue, UserError
from mlmagics.magics.words import HelpAskedFor, WrongUse, nearest

_MAGIC = re.compile(r"(?<![%\w])%(?=(?:attachments|cancel|extend|fetch|jobs|logs|wait)\b)")
_COMMANDS: dict[str, tuple[Callable[[Sequence[str]], int], str]] = {
    "run": (job_commands.run, "run a file as a job and show its output"),
    "logs": (job_commands.logs, "show a job's log and follow it"),
    "jobs": (job_commands.jobs, "list your jobs on all clusters"),
    "wait": (job_commands.wait, "wait for jobs to end"),
    "cancel": (job_commands.cancel, "stop jobs"),
    "extend": (job_commands.extend, "give a job more time"),
    "fetch": (job_commands.fetch, "list or copy the files that a job left"),
    "open": (job_commands.open_page, "open a job's page in a browser"),
    "attachments": (cluster_commands.attachments, "list, add, remove, check clusters"),
    "local": (cluster_commands.local, "look after the agent of your own on this machine"),
    "enable": (cluster_commands.enable, "load the magics in every new kernel"),
    "disable": (cluster_commands.disable, "load them no more"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv``; the exit status."""
    given = list(sys.argv[1:] if argv is None else argv)
    try:
        return _run(given)
    except HelpAskedFor as asked:
        print(asked.text.rstrip("\n"))
        return 0
    except StoppedWatching as stopped:
        tell(f"\n{_as_command(stopped.message)}")
        return 130
    except UserError as error:
        tell(f"mlmagics: {_as_command(error.message)}")
        return 2 if isinstance(error, BadValue) else 1
    except KeyboardInterrupt:
        tell("mlmagics: interrupted; jobs go on")
        return 130
    except BrokenPipeError:
        # who read the output has gone; what is buffered must not raise again at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    finally:
        current().close()


def _run(given: list[str]) -> int:
    if not given or given[0] in ("-h", "--help", "help"):
        raise HelpAskedFor(_help())
    if given[0] == "--version":
        print(f"mlmagics {__version__}")
        return 0
    if given[0] not in _COMMANDS:
        raise WrongUse(f"{given[0]!r} is not a command{nearest(given[0], _COMMANDS)} (mlmagics --help)")
    return _COMMANDS[given[0]][0](given[1:])


def _as_command(message: str) -> str:
    return _MAGIC.sub("mlmagics ", message)


def _help() -> str:
    lines = "".join(f"  {name:<12} {does}\n" for name, (_, does) in _COMMANDS.items())
    return (
        f"usage: mlmagics COMMAND [options]\n\n{lines}\n"
        "Each takes --help. JOB is written gpu-box/42, or is a history URL; without one the last job is meant.\n"
    )
