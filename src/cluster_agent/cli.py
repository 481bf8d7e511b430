"""The command ``cluster-agent``: what ops type on a box."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from cluster_agent import __version__, arguments
from cluster_agent.config import SWITCHES, Config, ConfigError, chosen_home, load_config, settings
from cluster_agent.errors import AgentError
from cluster_agent.home import user_name

_T = TypeVar("_T")


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
    _add_invite(commands)
    _add_ops(commands)
    _add_care(commands)
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
        if item.name in SWITCHES:
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
    create.add_argument("--expires", type=arguments.duration, metavar="DURATION", help="such as 90d")
    _command(verbs, "list", _token_list, "list tokens, without the tokens themselves")
    rotate = _command(verbs, "rotate", _token_rotate, "create a token in place of another; printed once")
    rotate.add_argument("token_id", help="as token list shows it")
    rotate.add_argument(
        "--overlap", type=arguments.duration_or_none, default=86400.0, metavar="DURATION",
        help="how long the old one works on: 24h unless told; 0 ends it at once",
    )  # fmt: skip
    rotate.add_argument(
        "--expires",
        type=arguments.duration,
        metavar="DURATION",
        help="as long as the old one was made for, unless told",
    )
    revoke = _command(verbs, "revoke", _token_revoke, "make tokens invalid")
    revoke.add_argument("token_ids", nargs="*", metavar="token_id", help="as token list shows it")
    revoke.add_argument("--user", help="all tokens of this person")


def _add_invite(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    invite = _command(
        commands, "invite", _invite, "print the line that lets somebody in; it works once, for 24 h"
    )
    what = invite.add_mutually_exclusive_group(required=True)
    what.add_argument("user", nargs="?", help="who will use it")
    what.add_argument("--list", action="store_true", help="list invites, without their codes")
    what.add_argument("--revoke", metavar="INVITE", help="make one invalid, as --list shows it")
    invite.add_argument("--role", choices=["viewer", "user", "admin"], default="user")
    invite.add_argument("--label", default="", help="a note; the name of the person's machine unless told")
    invite.add_argument(
        "--expires",
        type=arguments.duration,
        metavar="DURATION",
        help="how long the person's token will be valid",
    )


def _add_care(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    doctor = _command(commands, "doctor", _doctor, "what is wrong with this box, and how to mend it")
    _add_json(doctor, "for programs")
    backup = _command(commands, "backup", _backup, "write what counts of the home to a new file")
    backup.add_argument(
        "file", type=Path, metavar="FILE", help="such as box.tar; it holds keys: keep it safe"
    )
    backup.add_argument("--jobs", action="store_true", help="with logs, results and files of all jobs")
    restore = _command(
        commands, "restore", _restore, "accept a home that was copied, or make one from a backup"
    )
    restore.add_argument("file", nargs="?", type=Path, metavar="FILE", help="of cluster-agent backup")


def _add_ops(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    status = _command(commands, "status", _status, "what runs and waits on this box")
    _add_json(status, "as /v1/info tells it")
    queue = _command(commands, "queue", _queue, "who waits, in which order, for what and how long")
    _add_json(queue)
    jobs = _command(commands, "jobs", _jobs, "the newest jobs of all people")
    jobs.add_argument(
        "--state", type=arguments.states, help="comma-separated: running, failed, active, done, ..."
    )
    jobs.add_argument("--user", help="of one person")
    jobs.add_argument(
        "--since", type=arguments.ago, metavar="WHEN", help="submitted since then: 7d, or 2026-11-22"
    )
    jobs.add_argument("--limit", type=int, default=20, metavar="N", help="at most so many (20)")
    _add_json(jobs)
    usage = _command(commands, "usage", _usage, "GPU-hours, CPU-hours, jobs and waits of each person")
    usage.add_argument(
        "--since", type=arguments.ago, metavar="WHEN", help="30d unless told; or a day, 2026-11-22"
    )
    usage.add_argument("--csv", action="store_true", help="for a spreadsheet")
    _add_json(usage)
    drain = _command(commands, "drain", _drain, "start no jobs for the time being; those that run go on")
    drain.add_argument(
        "--until",
        type=arguments.later,
        metavar="WHEN",
        help="resume by itself then: 18:00, 2026-11-22 18:00, 2h",
    )
    drain.add_argument("--message", default="", metavar="TEXT", help="what those are told who wait")
    _command(commands, "resume", _resume, "start jobs again")
    move = _command(commands, "move", _move, "put a waiting job before all others")
    move.add_argument("job", type=arguments.job, metavar="JOB", help="such as 42 or gpu-box/42")
    place = move.add_mutually_exclusive_group(required=True)
    place.add_argument("--first", action="store_true", help="before all others")
    place.add_argument("--back", action="store_true", help="back to where it belongs")
    collect = _command(commands, "gc", _collect, "delete jobs that are too old or too much, as every hour")
    collect.add_argument("--dry-run", action="store_true", help="only tell what would be deleted")
    _add_json(collect)


def _add_json(parser: argparse.ArgumentParser, text: str = "as the agent tells it") -> None:
    parser.add_argument("--json", action="store_true", help=text)


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


def _token_rotate(args: argparse.Namespace) -> None:
    from cluster_agent import admin

    token, ends = admin.rotate_token(
        _home(args), args.token_id, overlap_s=args.overlap, expires_s=args.expires
    )
    print(token, flush=True)
    print(ends, file=sys.stderr)


def _token_revoke(args: argparse.Namespace) -> int:
    from cluster_agent import admin

    if not args.token_ids and args.user is None:
        print("cluster-agent token revoke: say which: a token_id, or --user NAME", file=sys.stderr)
        return 2
    _tell(admin.revoke_tokens(_home(args), args.token_ids, args.user))
    return 0


def _invite(args: argparse.Namespace) -> None:
    from cluster_agent import admin

    if args.list:
        _tell(admin.list_invites(_home(args)))
    elif args.revoke:
        _tell(admin.revoke_invite(_home(args), args.revoke))
    else:
        line, about = admin.invite(
            _home(args), args.user, args.role, label=args.label, expires_s=args.expires
        )
        print(line, flush=True)
        print(about, file=sys.stderr)


def _doctor(args: argparse.Namespace) -> int:
    from cluster_agent.doctor import report

    lines, good = report.examine(_home(args), as_json=args.json)
    _tell(lines)
    return 0 if good else 1


def _backup(args: argparse.Namespace) -> None:
    from cluster_agent import backup

    _tell(backup.backup(_home(args), args.file, with_jobs=args.jobs))


def _restore(args: argparse.Namespace) -> None:
    from cluster_agent import backup

    _tell(backup.restore(_home(args), args.file))


def _config(args: argparse.Namespace) -> Config:
    flags = {item.name: getattr(args, item.name, None) for item in settings()}
    return load_config(flags, os.environ, getattr(args, "config", None))


def _home(args: argparse.Namespace) -> Path:
    return chosen_home(args.home, os.environ)
