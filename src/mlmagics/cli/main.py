"""The command ``mlmagics``: what the magics do, from a terminal, a script or CI.

A job's output goes where the job wrote it; what we say about it goes to stderr. Exit status: 0 fine, 1 failed,
2 wrong use, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from cluster_agent import __version__
from mlmagics.cli.lines import tell
from mlmagics.errors import BadValue, Interrupted, UserError
from mlmagics.magics.words import HelpAskedFor, WrongUse, nearest

#: The module and the function of each command, imported when it is given: `--help` and a typing error need none.
_COMMANDS = {
    "run": ("run_commands", "run", "run a file as a job and show its output"),
    "logs": ("run_commands", "logs", "show a job's log and follow it"),
    "jobs": ("job_commands", "jobs", "list your jobs on all clusters"),
    "wait": ("job_commands", "wait", "wait for jobs to end"),
    "cancel": ("job_commands", "cancel", "stop jobs"),
    "extend": ("job_commands", "extend", "give a job more time"),
    "resubmit": ("run_commands", "resubmit", "run the cell of a job again"),
    "fetch": ("job_commands", "fetch", "list what a job has kept, or copy it here"),
    "open": ("job_commands", "open_page", "open a job's page in a browser"),
    "attachments": ("cluster_commands", "attachments", "list, add, remove, check clusters"),
    "config": ("cluster_commands", "config", "set options that jobs need not be given"),
    "local": ("cluster_commands", "local", "look after the agent of your own on this machine"),
    "enable": ("cluster_commands", "enable", "load the magics in every new kernel"),
    "disable": ("cluster_commands", "disable", "load them no more"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv``; the exit status."""
    given = list(sys.argv[1:] if argv is None else argv)
    # Python has none where the caller has closed them
    sys.stdout = sys.stdout or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    try:
        status = _status(given)
        sys.stdout.flush()
    except OSError as error:
        # nobody reads the output any more, or its disk is full; what is buffered must not raise again at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            tell(f"mlmagics: {error.strerror or error}")
        return 1
    return status


def _status(given: list[str]) -> int:
    try:
        return _run(given)
    except HelpAskedFor as asked:
        print(asked.text.rstrip("\n"))
        return 0
    except Interrupted as stopped:
        tell(f"\n{stopped.message}")
        return 130
    except UserError as error:
        tell(f"mlmagics: {error.message}")
        return 2 if isinstance(error, BadValue) else 1
    except KeyboardInterrupt:
        tell("mlmagics: interrupted; jobs go on")
        return 130


def _run(given: list[str]) -> int:
    if not given or given[0] in ("-h", "--help", "help"):
        raise HelpAskedFor(_help())
    if given[0] == "--version":
        print(f"mlmagics {__version__}")
        return 0
    if given[0] not in _COMMANDS:
        raise WrongUse(f"{given[0]!r} is not a command{nearest(given[0], _COMMANDS)} (mlmagics --help)")
    module, function, _ = _COMMANDS[given[0]]
    command: Callable[[Sequence[str]], int] = getattr(import_module(f"mlmagics.cli.{module}"), function)
    from mlmagics.cluster.session import current

    try:
        return command(given[1:])
    finally:
        current().close()


def _help() -> str:
    lines = "".join(f"  {name:<12} {does}\n" for name, (_, _, does) in _COMMANDS.items())
    return (
        f"usage: mlmagics COMMAND [options]\n\n{lines}\n"
        "Each takes --help. JOB is gpu-box/42, or a history URL; without one the last job.\n\n"
        "Examples:\n"
        "  mlmagics run train.py --on gpu-box --gpus 2 --timeout 8h\n"
        "  mlmagics logs gpu-box/42\n"
        "  mlmagics jobs --state failed --since 2d\n"
    )
