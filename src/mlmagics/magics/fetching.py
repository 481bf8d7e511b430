"""``%fetch``: what a job has kept, listed or brought here: results into variables, files into a folder."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from cluster_agent.protocol import ACTIVE, ResultEntry
from mlmagics.display.kept import kept_table, no_files, nothing_kept
from mlmagics.display.writing import say, show_table
from mlmagics.errors import UserError
from mlmagics.job.download import copy_files
from mlmagics.job.handle import Job
from mlmagics.job.references import find
from mlmagics.job.results import described, entry_of, not_kept
from mlmagics.job.variables import variable_name
from mlmagics.magics.cells import watched_in
from mlmagics.magics.words import LineParser, WrongUse


@lru_cache
def fetch_parser() -> LineParser:
    """The options of ``%fetch``."""
    parser = LineParser(
        "%fetch",
        "List what a job has kept, results and files, or bring some of it here.",
        examples=(
            "%fetch gpu-box/42                         what there is",
            "%fetch gpu-box/42 rmse, model as best     results into variables",
            "%fetch gpu-box/42 report.txt --files out  files into the folder out",
        ),
    )
    add = parser.add_argument
    add("job", metavar="JOB", help="gpu-box/42")
    add("names", nargs="*", metavar="RESULT", help="results, or 'RESULT as NAME'; with --files paths")
    add("--trust", action="store_true", help="also what only a pickle holds: reading it runs what is in it")
    add("--all", action="store_true", help="all results that it kept")
    add("--files", nargs="?", const=".", metavar="DIR", help="copy its files to DIR, or here")
    add("--overwrite", action="store_true", help="replace other files of the same names")
    return parser


def fetch(shell: Any, line: str) -> None:
    """What the magic ``%fetch`` does.

    Raises
    ------
    UserError
        When something cannot be had; all that can is here then.
    """
    options = fetch_parser().read(line)
    if options.all and (options.names or options.files is not None):
        raise WrongUse("%fetch: --all brings all results: leave out their names and --files")
    if options.overwrite and options.files is None:
        raise WrongUse("%fetch: --overwrite is for --files; a result always takes the place of a variable")
    wanted = _renamed(options.names) if options.files is None else []
    job = find(options.job)
    if options.files is not None:
        copied = copy_files(job, options.files, options.names or None, overwrite=options.overwrite)
        say("\n".join(file.line for file in copied) or no_files(job))
    elif options.all:
        entries = job.results()
        for entry in entries:
            if entry.reason is not None:
                say(not_kept(entry, job.ref))
        kept = [entry.name for entry in entries if entry.reason is None]
        if not kept:
            say(nothing_kept(job))
        _bring(shell, job, entries, dict(zip(kept, kept, strict=True)), trust=options.trust)
    elif wanted:
        if job.info.state in ACTIVE:
            raise UserError(
                f"{job.ref} is {job.word}: results are there at its end. To wait: %wait {job.ref}"
            )
        _bring(shell, job, job.results(), {new: name for name, new in wanted}, trust=options.trust)
    else:
        _list(shell, job)


def _renamed(words: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of a result and the variable that gets it, from ``m as m42, rmse``."""
    parts = " ".join(words).replace(",", " ").split()
    found: list[tuple[str, str]] = []
    while parts:
        name = parts.pop(0)
        new = name
        if parts[:1] == ["as"]:
            new = parts[1] if len(parts) > 1 else ""
            del parts[:2]
        if not name.isidentifier():
            raise WrongUse(f"%fetch: {name!r} is not a variable; for files say so: %fetch JOB {name} --files")
        if variable_name(new) is None:
            raise WrongUse(f"%fetch: {name} as {new!r}: that cannot be the name of a variable")
        found.append((name, new))
    return found


def _bring(shell: Any, job: Job, entries: list[ResultEntry], wanted: dict[str, str], *, trust: bool) -> None:
    """Put results into variables; ``wanted`` has the result of each variable. One that fails spoils no other."""
    troubles = []
    for new, name in wanted.items():
        try:
            value = job.value_of(entry_of(entries, name, job.ref), trust=trust)
        except UserError as error:
            troubles.append(error.message)
            continue
        remark = watched_in(shell).pending.put(new, value)
        say(f"{new} ({described(value)}) from {job.ref}" + (f"; {remark}" if remark else ""))
    if troubles:
        raise UserError("; ".join(troubles))


def _list(shell: Any, job: Job) -> None:
    entries, files = job.results(), [entry for entry in job.files() if entry.type == "file"]
    if not entries and not files:
        say(f"{nothing_kept(job)}; {no_files(job)}")
        return
    show_table(shell, kept_table(entries, files))
    kept = [entry.name for entry in entries if entry.reason is None]
    if kept:
        say(f"To have results here: %fetch {job.ref} {kept[0]}, or %fetch {job.ref} --all")
    if files:
        say(f"To copy the files here: %fetch {job.ref} --files")
