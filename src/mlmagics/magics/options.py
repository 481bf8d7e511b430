"""The options of a training cell, checked one by one before anything is sent. Pure."""

from __future__ import annotations

import argparse
import ast
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from cluster_agent.protocol import Priority
from cluster_agent.units import parse_duration, parse_size
from mlmagics.job.asked import FROM_NOTEBOOK, Asked
from mlmagics.job.variables import variable_name
from mlmagics.magics.defaults import inherited
from mlmagics.magics.given_variables import variable
from mlmagics.magics.words import LineParser, WrongUse, words
from mlmagics.sending.notebook import AUTO

#: Why no secret belongs into a cell.
CELL_IS_SEEN = "a cell is saved with the notebook"


@dataclass(frozen=True, kw_only=True)
class CellOptions:
    """What the first line of a training cell asks for; None leaves the choice to the agent."""

    name: str = ""
    project: str | None = None
    gpus: int | None = None
    cpus: int | None = None
    memory_bytes: int | None = None
    timeout_s: float | None = None
    grace_s: float | None = None
    priority: Priority = "normal"
    #: requirements; the same as written in a block of PEP 723
    packages: tuple[str, ...] = ()
    runtime: str | None = None
    env: dict[str, str] = field(default_factory=dict)
    #: name of the variable that gets the job
    as_var: str | None = None
    #: names of the variables that come back; None when not said
    fetch: tuple[str, ...] | None = None
    #: whether results that only a pickle holds are read, which runs what is in them
    trust: bool = False
    #: names of the variables that travel, or ``auto`` alone; None when not said
    send: tuple[str, ...] | str | None = None
    #: constants for the job; :data:`FROM_NOTEBOOK` stands for the value that the notebook has
    params: dict[str, object] = field(default_factory=dict)
    #: whether nothing is sent, only told what would be
    dry_run: bool = False
    #: whether an equal job that has succeeded, or has not ended, is shown in place of a new one
    once: bool = False
    #: whether the cell is looked at before it is sent
    check: bool = True
    #: how long to wait for the end: seconds, ``inf``, 0 for not at all, None when not said
    wait_s: float | None = None
    #: options that were not written but set as defaults, but how long to wait
    config: tuple[str, ...] = ()

    @property
    def asked(self) -> Asked:
        """What a submit with these options asks for."""
        return Asked(
            name=self.name,
            project=self.project,
            gpus=self.gpus,
            cpus=self.cpus,
            memory=self.memory_bytes,
            timeout=self.timeout_s,
            grace=self.grace_s,
            priority=self.priority,
            packages=self.packages,
            runtime=self.runtime or "",
            env=self.env,
            fetch=self.fetch or (),
            send=self.send or (),
            params=self.params,
            once=self.once,
        )

    def defaulted(self) -> list[str]:
        """The options that decide about resources and limits and were not given."""
        given = {
            "--gpus": self.gpus,
            "--cpus": self.cpus,
            "--memory": self.memory_bytes,
            "--timeout": self.timeout_s,
        }
        return [option for option, value in given.items() if value is None]

    def not_written(self) -> str:
        """The bracket behind a job's resources: what config decided, what the agent did, and how to decide it."""
        config, defaults = " ".join(self.config), " ".join(self.defaulted())
        if not config:
            return f" (defaults; {defaults})" if defaults else ""
        return f" (config: {config}; defaults: {defaults})" if defaults else f" (config: {config})"


def cell_options(
    magic: str, line: str, environ: Mapping[str, str], defaults: Sequence[str] = ()
) -> CellOptions:
    """The options in ``line``, the rest of a training cell's first line.

    Parameters
    ----------
    magic
        How the cell begins, such as ``%%gpu-box``; for messages.
    environ
        Where ``--env NAME`` without a value takes it from.
    defaults
        Options that hold where the cell does not say otherwise.

    Raises
    ------
    WrongUse, HelpAskedFor
        See :meth:`LineParser.read`.
    """
    found = options_of(cell_parser(magic), words(line), environ, CELL_IS_SEEN, defaults)
    if found.trust and not found.fetch:
        raise WrongUse(f"{magic}: --trust is for what --fetch brings, which names nothing here")
    return found


def options_of(
    parser: LineParser, given: Sequence[str], environ: Mapping[str, str], seen: str, defaults: Sequence[str]
) -> CellOptions:
    """The options among the words ``given``, and those of ``defaults`` that they leave undecided.

    ``parser`` has those of :func:`add_lasting_options` at least; ``seen`` says why no secret belongs there.
    """
    found = chosen(parser.read(given), environ, seen)
    more = inherited(parser, given, defaults)
    if not more:
        return found
    try:
        found = chosen(parser.read([*given, *(taken.word for taken in more)]), environ, seen)
    except WrongUse as error:
        raise WrongUse(f"{error.message} (a default that was set with config)") from None
    decided = {taken.option for taken in more} - {"--wait", "--no-wait"}
    return replace(found, config=tuple(option for option in parser.options() if option in decided))


def chosen(found: argparse.Namespace, environ: Mapping[str, str], seen: str) -> CellOptions:
    """The options that a parser with :func:`add_job_options` has found; ``seen`` says why no secret belongs there."""
    return CellOptions(
        name=getattr(found, "name", None) or "",
        project=found.project,
        gpus=found.gpus,
        cpus=found.cpus,
        memory_bytes=found.memory,
        timeout_s=found.timeout,
        grace_s=found.grace,
        priority=found.priority or "normal",
        packages=tuple(found.packages),
        runtime=found.runtime,
        env=dict(variable(text, environ, seen) for text in found.env),
        as_var=getattr(found, "as_var", None),
        fetch=_fetched(getattr(found, "fetch", None), getattr(found, "as_var", None)),
        trust=getattr(found, "trust", False),
        send=_sent(getattr(found, "send", None)),
        params=dict(_param(text) for text in getattr(found, "param", [])),
        once=getattr(found, "once", False),
        dry_run=getattr(found, "dry_run", False),
        check=not getattr(found, "no_check", False),
        wait_s=0.0 if found.no_wait else found.wait,
    )


@lru_cache
def cell_parser(magic: str) -> LineParser:
    """The parser of a training cell's first line."""
    name = magic.lstrip("%")
    parser = LineParser(
        magic,
        f"Run this cell as a job. Defaults for what it does not say: %{name} config",
        usage="%(prog)s [options]",
        examples=(
            f"%%{name} --gpus 2 --timeout 8h --name train",
            f"%%{name} --wait --env WANDB_API_KEY",
            f"%{name}         what is free there, and your jobs",
        ),
    )
    add_job_options(parser)
    add_once_options(parser)
    add_result_options(parser)
    parser.add_argument("--dry-run", action="store_true", help="send nothing; tell what would be sent")
    return parser


def add_job_options(parser: LineParser) -> None:
    """Give ``parser`` the options of a job, for :func:`options_of`."""
    parser.add_argument("--name", type=_title, metavar="TEXT", help="what to call the job in lists")
    add_lasting_options(parser)
    parser.add_argument("--param", action="append", default=[], metavar="NAME[=VALUE]",
                        help="a constant; without a value as it is here (repeatable)")  # fmt: skip
    parser.add_argument("--no-check", action="store_true", help="send the cell without looking at it first")


def add_lasting_options(parser: LineParser) -> None:
    """Give ``parser`` those options of a job that can be defaults of many."""
    add = parser.add_argument
    add("--project", metavar="PROJECT", help="its storage is the job's project://")
    add("--gpus", type=_count("GPUs", 0), metavar="N", help="GPUs; 0 for none")
    add("--cpus", type=_count("CPUs", 1), metavar="N", help="CPU cores")
    add("--memory", "--mem", type=_size, metavar="SIZE", help="main memory: 512M, 16G")
    add("--timeout", "--time", type=duration, metavar="D", help="longest run time: 90s, 30m, 8h, 2d")
    add("--grace", type=duration, metavar="D", help="between the interrupt and the end when it is stopped")
    add("--priority", choices=("low", "normal"), help="low lets others go first")
    add("--with", dest="packages", action="append", default=[], metavar="PKG[,PKG]",
        help="packages to install for the job (repeatable)")  # fmt: skip
    add("--runtime", metavar="RUNTIME", help="an interpreter of the cluster by its name")
    add("--env", action="append", default=[], metavar="KEY[=VALUE]",
        help="a variable; without a value as it is here (repeatable)")  # fmt: skip
    how_long = parser.add_mutually_exclusive_group()
    how_long.add_argument("-w", "--wait", nargs="?", type=duration, const=float("inf"), metavar="D",
                          help="show the output live until the job's end, or for D")  # fmt: skip
    how_long.add_argument("--no-wait", action="store_true", help="come back at once")


def add_once_options(parser: LineParser) -> None:
    """Give ``parser`` the options that decide whether what was done is done again."""
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--once", action="store_true",
                        help="show an equal job that succeeded, or goes on, instead")  # fmt: skip
    either.add_argument("--no-once", action="store_true", help="run it in any case")


def _count(what: str, lowest: int) -> Callable[[str], int]:
    def count(text: str) -> int:
        if not re.fullmatch(r"\d{1,9}", text) or int(text) < lowest:
            raise argparse.ArgumentTypeError(
                f"{text!r} is not a number of {what}: a whole number from {lowest}"
            )
        return int(text)

    return count


def duration(text: str) -> float:
    """Seconds in ``text``, for argparse."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _size(text: str) -> int:
    try:
        return parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _title(text: str) -> str:
    if not text.strip() or len(text) > 100 or not text.isprintable():
        raise argparse.ArgumentTypeError("a name has 1 to 100 characters on one line")
    return text.strip()


def add_result_options(parser: LineParser) -> None:
    """Give ``parser`` the options that name variables of the notebook."""
    add = parser.add_argument
    add("-i", "--send", type=_names, action="extend", metavar="NAME[,NAME]",
        help="what it needs from here; auto for all that it uses")  # fmt: skip
    add("-o", "--fetch", type=_names, action="extend", metavar="NAME[,NAME]",
        help="variables to bring back; cells that use them wait")  # fmt: skip
    add(
        "--trust",
        action="store_true",
        help="bring pickles too: reading one runs what is in it",
    )
    add("--as", dest="as_var", type=_identifier, metavar="VAR", help="bind the job to this variable")


def _names(text: str) -> list[str]:
    return [_identifier(part.strip()) for part in text.split(",")]


def _fetched(names: list[str] | None, as_var: str | None) -> tuple[str, ...] | None:
    if names is not None and as_var in names:
        raise WrongUse(f"--fetch {as_var} and --as {as_var}: one name cannot be both the result and the job")
    return None if names is None else tuple(dict.fromkeys(names))


def _sent(names: list[str] | None) -> tuple[str, ...] | str | None:
    if names is None:
        return None
    if AUTO in names and len(names) > 1:
        raise WrongUse(f"--send {AUTO} finds what the cell uses: leave out {', '.join(set(names) - {AUTO})}")
    return AUTO if AUTO in names else tuple(dict.fromkeys(names))


def _param(text: str) -> tuple[str, object]:
    key, given, value = text.partition("=")
    name = variable_name(key.strip())
    if name is None:
        raise WrongUse(f"--param: {key!r} cannot be the name of a variable: write --param NAME=VALUE")
    if not given:
        return name, FROM_NOTEBOOK
    try:
        return name, ast.literal_eval(value.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return name, value


def _identifier(text: str) -> str:
    name = variable_name(text)
    if name is None:
        raise argparse.ArgumentTypeError(f"{text!r} cannot be the name of a variable")
    return name
