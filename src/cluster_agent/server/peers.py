"""Who comes by the socket for people of this machine: programs of its unix users, over ssh or at home here.

The kernel says which user a program at the other end is; nothing that it sends has a say in it. Who that is to the agent
is looked up as it is for jobs: the person of the same name, or whom ``[users]`` names (:mod:`cluster_agent.isolation.people`).
"""

from __future__ import annotations

import asyncio
import os
import pwd
import socket
import time
from collections.abc import Collection, Mapping
from pathlib import Path

from cluster_agent.config import Config, ConfigError
from cluster_agent.errors import AgentError, Conflict, Forbidden
from cluster_agent.home import Home, user_name
from cluster_agent.isolation.people import People
from cluster_agent.protocol import Role
from cluster_agent.server.auth import Caller, Keyring, peer_uid
from cluster_agent.server.tokens import check_user

#: A user directory is not asked for each request.
_KNOWN_S = 15.0
_SOCKET = "people.sock"


class Peers:
    """Turns users of this machine into callers.

    Parameters
    ----------
    users
        Unix users by the names that people have here, where these differ.
    people
        At level ``user``: as whom jobs can run.
    role
        Of people who are not in ``admins``.
    """

    def __init__(
        self,
        *,
        users: Mapping[str, str],
        people: People | None,
        keyring: Keyring,
        role: Role,
        admins: Collection[str],
    ) -> None:
        self._users, self._people, self._keyring = users, people, keyring
        self._role, self._admins = role, frozenset(admins)
        self._known: dict[int, tuple[Caller | AgentError, float]] = {}

    async def caller(self, connection: socket.socket) -> Caller:
        """Who is at the other end.

        Raises
        ------
        Forbidden
            When that is nobody who may use this agent, with what to do.
        """
        uid = peer_uid(connection)
        found, until = self._known.get(uid, (None, 0.0))
        if found is None or until <= time.monotonic():
            found = await asyncio.to_thread(self._look_up, uid)
            self._known[uid] = found, time.monotonic() + _KNOWN_S
        if isinstance(found, AgentError):
            raise type(found)(found.message, field=found.field)
        return found

    def _look_up(self, uid: int) -> Caller | AgentError:
        if uid in {os.geteuid(), 0}:
            return Caller(user=user_name(os.geteuid()), role="admin")
        try:
            person = self._person(uid)
            check_user(person)
            self._keyring.check_new_user(person)
            if self._people is not None and self._people.ids(person).uid != uid:
                raise Forbidden(f"{person} is another unix user here")
        except Forbidden as error:
            return error
        except Conflict as error:
            return Forbidden(error.message)
        except AgentError as error:
            return Forbidden(f"{error.message}; say under [users] in agent.toml what to call them")
        return Caller(user=person, role="admin" if person in self._admins else self._role)

    def _person(self, uid: int) -> str:
        try:
            name = pwd.getpwuid(uid).pw_name
        except KeyError:
            raise Forbidden(f"the unix user {uid} has no name on this box") from None
        named = [person for person, unix in self._users.items() if unix == name]
        if len(named) > 1:
            raise Forbidden(
                f"the unix user {name} is {' and '.join(named)} here, so nobody can tell which of them asks: an invite can"
            )
        if named:
            return named[0]
        if name in self._users or self._people is None:
            # where jobs run as the agent's user, an account on the box is no right to be that user
            raise Forbidden(
                f"the unix user {name} is nobody to this agent: whoever runs it says under [users] in agent.toml who that"
                " is, or sends an invite"
            )
        return name


def socket_path(config: Config, home: Home) -> Path | None:
    """Where the socket for people is: as told, in the service's folder below /run, or in the home; None where off."""
    if config.people_socket not in {"auto", "off"}:
        return Path(config.people_socket)
    if config.people_socket == "off":
        return None
    runtime = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return Path(runtime) / _SOCKET if runtime else home.socket.with_name(_SOCKET)


def prepare_folder(path: Path) -> None:
    """Make the folder of the socket, and see that nobody else can put another socket into its place.

    Raises
    ------
    ConfigError
        When somebody could.
    """
    folder = path.parent
    try:
        if not folder.exists():
            folder.mkdir(parents=True)
            folder.chmod(0o755)
        facts = folder.stat()
    except OSError as error:
        raise ConfigError(f"--people-socket {path} cannot be used: {error.strerror}") from None
    if facts.st_uid != os.geteuid() or facts.st_mode & 0o022:
        raise ConfigError(
            f"--people-socket {path}: {folder} must belong to the agent's user and be writable by nobody else, or"
            " another program could take its place"
        )
