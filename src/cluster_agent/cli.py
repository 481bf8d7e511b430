"""The command ``cluster-agent``: what ops type on a box."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from cluster_agent import __version__
from cluster_agent.config import Config, ConfigError, load_config, settings
from cluster_agent.errors import AgentError
from cluster_agent.home import user_name
from cluster_agent.protocol import parse_states
from cluster_agent.units import parse_duration, parse_moment

_T = TypeVar("_T")
_SWITCHES = {"local", "insecure_http", "shared_uid"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0 when it worked, 1 when it did not, 2 for wrong usage."""
    args = _parser().parse_args(argv)
    try:
        return int(args.run(args) or 0)
    except (ConfigError, AgentError) as error:
        print(f"cluster-agent: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cluster-agent",
        allow_abbrev=False,
        description="Run jobs on this box: training cells that notebooks send.",
    )
    parser.add_argument("--version", action="version", version=f"cluster-agent {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_serve(commands)
    _add_init(commands)
    _add_token(commands)
    _add_ops(commands)
    _command(commands, "restore", _restore, "accept a home that was copied or restored from a backup")
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    run: Callable[[argparse.Namespace], int | None],
    text: str,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name, help=text, description=f"{text[0].upper()}{text[1:]}.", allow_abbrev=False
    )
    parser.set_defaults(run=run)
    if name != "serve":
        parser.add_argument("--home", help="the agent's home folder")
    return parser


def _add_serve(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    serve = _command(commands, "serve", _serve, "serve jobs until told to stop")
    serve.add_argument(
        "--config", type=Path, help="settings file; without it HOME/agent.toml if there is one"
    )
    for item in settings():
        flag = f"--{item.name.replace('_', '-')}"
        text = item.metadata["help"]
        if item.name in _SWITCHES:
            serve.add_argument(flag, dest=item.name, action="store_const", const="true", help=text)
        else:
            serve.add_argument(flag, dest=item.name, metavar=item.name.rpartition("_")[2].upper(), help=text)


def _add_init(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    init = _command(commands, "init", _init, "make home, certificate and a commented agent.toml")
    init.add_argument("--python", help="interpreter that runs the jobs")
    init.add_argument("--service", action="store_true", help="also write a systemd unit")


def _add_token(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    token = commands.add_parser("token", help="create, list and revoke tokens", allow_abbrev=False)
    verbs = token.add_subparsers(metavar="VERB", required=True)
    create = _command(verbs, "create", _token_create, "create a token; it is printed once")
    create.add_argument("user", nargs="?", default=user_name(os.geteuid()), help="who will use it; you")
    create.add_argument("--role", choices=["viewer", "user", "admin"], default="user")
    create.add_argument("--label", default="", help="a note, such as the machine it is for")
    create.add_argument("--expires", type=_duration, metavar="DURATION", help="such as 90d")
    _command(verbs, "list", _token_list, "list tokens, without the tokens themselves")
    revoke = _command(verbs, "revoke", _token_revoke, "make a token invalid")
    revoke.add_argument("token_id", help="as token list shows it")


def _add_ops(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    status = _command(commands, "status", _status, "what runs and waits on this box")
    _add_json(status, "as /v1/info tells it")
    queue = _command(commands, "queue", _queue, "who waits, in which order, for what and how long")
    _add_json(queue)
    jobs = _command(commands, "jobs", _jobs, "the newest jobs of all people")
    jobs.add_argument("--state", type=_states, help="comma-separated: running, failed, active, done, ...")
    jobs.add_argument("--user", help="of one person")
    jobs.add_argument("--since", type=_ago, metavar="WHEN", help="submitted since then: 7d, or 2026-11-22")
    jobs.add_argument("--limit", type=int, default=20, metavar="N", help="at most so many (20)")
    _add_json(jobs)
    usage = _command(commands, "usage", _usage, "GPU-hours, CPU-hours, jobs and waits of each person")
    usage.add_argument("--since", type=_ago, metavar="WHEN", help="30d unless told; or a day, 2026-11-22")
    usage.add_argument("--csv", action="store_true", help="for a spreadsheet")
    _add_json(usage)
    drain = _command(commands, "drain", _drain, "start no jobs for the time being; those that run go on")
    drain.add_argument(
        "--until", type=_later, metavar="WHEN", help="resume by itself then: 18:00, 2026-11-22 18:00, 2h"
    )
    drain.add_argument("--message", default="", metavar="TEXT", help="what those are told who wait")
    _command(commands, "resume", _resume, "start jobs again")
    move = _command(commands, "move", _move, "put a waiting job before all others")
    move.add_argument("job", type=_job, metavar="JOB", help="such as 42 or gpu-box/42")
    place = move.add_mutually_exclusive_group(required=True)
    place.add_argument("--first", action="store_true", help="before all others")
    place.add_argument("--back", action="store_true", help="back to where it belongs")
    collect = _command(commands, "gc", _collect, "delete jobs that are too old or too much, as every hour")
    collect.add_argument("--dry-run", action="store_true", help="only tell what would be deleted")
    _add_json(collect)


def _add_json(parser: argparse.ArgumentParser, text: str = "as the agent tells it") -> None:
    parser.add_argument("--json", action="store_true", help=text)


def _checked(parse: Callable[[str], _T]) -> Callable[[str], _T]:
    """``parse`` for an argument: its ValueError becomes a message of the parser."""

    def read(text: str) -> _T:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read


def _job_id(text: str) -> int:
    number = text.rpartition("/")[2]
    if not number.isdecimal():
        raise ValueError(f"{text!r} is not a job: write 42 or gpu-box/42")
    return int(number)


def _moment_ago(text: str) -> float:
    now = time.time()
    at = parse_moment(text, now)
    return at if at <= now else now - (at - now)


_job = _checked(_job_id)
_states = _checked(parse_states)
_ago = _checked(_moment_ago)
_later = _checked(lambda text: parse_moment(text, time.time()))
_duration = _checked(parse_duration)


# The commands import what they need when they run: a serving agent carries no HTTP client, and the other
# commands no server. Both matter, the first to the agent's memory, the second to the patience of people.


def _serve(args: argparse.Namespace) -> None:
    from cluster_agent.service import serve

    serve(_config(args))


def _init(args: argparse.Namespace) -> None:
    from cluster_agent import setup

    _tell(setup.init(_home(args), python=args.python, service=args.service))


def _status(args: argparse.Namespace) -> None:
    from cluster_agent import ops

    _tell(ops.status(_home(args), as_json=args.json))


def _queue(args: argparse.Namespace) -> None:
    from cluster_agent import ops

    _tell(ops.queue(_home(args), as_json=args.json))


def _jobs(args: argparse.Namespace) -> None:
    from cluster_agent import ops

    found = ops.jobs(
        _home(args), states=args.state, user=args.user, since=args.since, count=args.limit, as_json=args.json
    )
    _tell(found)


def _usage(args: argparse.Namespace) -> None:
    from cluster_agent import ops

    _tell(ops.usage(_home(args), since=args.since, as_csv=args.csv, as_json=args.json))


def _drain(args: argparse.Namespace) -> None:
    from cluster_agent import ops

    _tell(ops.drain(_home(args), until=args.until, message=args.message))


def _resume(args: argparse.Namespace) -> None:
    from cluster_agent import ops

    _tell(ops.resume(_home(args)))


def _move(args: argparse.Namespace) -> None:
    from cluster_agent import ops

    _tell(ops.move(_home(args), args.job, first=args.first))


def _collect(args: argparse.Namespace) -> None:
    from cluster_agent import ops

    _tell(ops.collect(_home(args), dry_run=args.dry_run, as_json=args.json))


def _tell(lines: Iterable[str]) -> None:
    for line in lines:
        print(line)


def _token_create(args: argparse.Namespace) -> None:
    from cluster_agent import admin

    print(admin.create_token(_home(args), args.user, args.role, label=args.label, expires_s=args.expires))


def _token_list(args: argparse.Namespace) -> None:
    from cluster_agent import admin

    _tell(admin.list_tokens(_home(args)))


def _token_revoke(args: argparse.Namespace) -> None:
    from cluster_agent import admin

    print(admin.revoke_token(_home(args), args.token_id))


def _restore(args: argparse.Namespace) -> None:
    from cluster_agent import admin

    print(admin.restore(_home(args)))


def _config(args: argparse.Namespace) -> Config:
    flags = {item.name: getattr(args, item.name, None) for item in settings()}
    return load_config(flags, os.environ, getattr(args, "config", None))


def _home(args: argparse.Namespace) -> Path:
    return load_config({"home": args.home}, os.environ).home
