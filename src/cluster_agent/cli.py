"""The command ``cluster-agent``: what ops type on a box."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from cluster_agent import __version__
from cluster_agent.config import Config, ConfigError, load_config, settings
from cluster_agent.errors import AgentError
from cluster_agent.home import user_name
from cluster_agent.units import parse_duration

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
    status = _command(commands, "status", _status, "what runs and waits on this box")
    status.add_argument("--json", action="store_true", help="as /v1/info tells it")
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


def _duration(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


# The commands import what they need when they run: a serving agent carries no HTTP client, and the other
# commands no server. Both matter, the first to the agent's memory, the second to the patience of people.


def _serve(args: argparse.Namespace) -> None:
    from cluster_agent.service import serve

    serve(_config(args))


def _init(args: argparse.Namespace) -> None:
    from cluster_agent import setup

    for line in setup.init(_home(args), python=args.python, service=args.service):
        print(line)


def _status(args: argparse.Namespace) -> None:
    from cluster_agent import admin

    for line in admin.status(_home(args), as_json=args.json):
        print(line)


def _token_create(args: argparse.Namespace) -> None:
    from cluster_agent import admin

    print(admin.create_token(_home(args), args.user, args.role, label=args.label, expires_s=args.expires))


def _token_list(args: argparse.Namespace) -> None:
    from cluster_agent import admin

    for line in admin.list_tokens(_home(args)):
        print(line)


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
