"""Addresses of the form ``ssh://[USER@]HOST[:PORT][/PATH]``, and what of them reaches ``ssh``. Pure.

What is in an address may come from a colleague or a web page. So it has only characters that mean nothing to ssh, to a
shell, or to a ``ProxyCommand`` of somebody's configuration.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mlmagics.errors import BadValue

SCHEME = "ssh://"
_ADDRESS = re.compile(
    r"ssh://(?:(?P<user>[A-Za-z0-9_][A-Za-z0-9._-]{0,63})@)?"
    r"(?P<host>[A-Za-z0-9][A-Za-z0-9._-]{0,252}|\[[0-9A-Fa-f:.]{2,45}\])"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?"
    r"(?P<path>(?:/[A-Za-z0-9._+~@-]+)*)/?"
)
_SOCKET = re.compile(r"(?:/[A-Za-z0-9._+~@-]+)+")
#: What the address of a Unix socket holds.
_MAX_SOCKET_PATH = 103
#: Where the agent of a box has its socket when a service manager runs it; and one's own agent.
_USUAL = (
    "/run/cluster-agent/people.sock",
    "${XDG_DATA_HOME:-$HOME/.local/share}/cluster-agent/people.sock",
)
_FOUND, _CLOSED, _NONE = "mlmagics-socket", "mlmagics-closed", "mlmagics-none"


@dataclass(frozen=True, kw_only=True, slots=True)
class SshAddress:
    """Where ssh leads, and where the agent is there."""

    user: str
    #: as ssh takes it, so that it may be a name of somebody's configuration
    host: str
    port: int | None
    #: the agent's home or its socket there; empty for the usual places
    path: str

    @property
    def url(self) -> str:
        """The address in one fixed form."""
        return f"ssh://{self.user}{'@' if self.user else ''}{self._place}"

    @property
    def shown(self) -> str:
        """The same for everybody: without the user."""
        return f"ssh://{self._place}"

    @property
    def _place(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}{f':{self.port}' if self.port else ''}{self.path}"

    @property
    def words(self) -> list[str]:
        """The words that tell ssh where to go."""
        return [
            *(["-l", self.user] if self.user else []),
            *(["-p", str(self.port)] if self.port else []),
            "--",
            self.host,
        ]

    @property
    def typed(self) -> str:
        """What a person types to get there."""
        port = f"-p {self.port} " if self.port else ""
        return f"ssh {port}{self.user}{'@' if self.user else ''}{self.host}"

    @property
    def look(self) -> str:
        """A command for the other side, in whatever shell, that tells where the agent's socket is."""
        places = " ".join(f'"{place}"' for place in self._places)
        return (
            f'exec sh -c \'for f in {places}; do if [ -S "$f" ]; then if [ -w "$f" ]; then echo {_FOUND} "$f"; '
            f'else echo {_CLOSED} "$f"; fi; exit 0; fi; done; echo {_NONE}\''
        )

    @property
    def _places(self) -> tuple[str, ...]:
        if not self.path:
            return _USUAL
        path = f"$HOME{self.path[2:]}" if self.path.startswith("/~") else self.path
        return (path if path.endswith(".sock") else f"{path}/people.sock",)

    def socket(self, said: str) -> str:
        """The path of the agent's socket, after :attr:`look` has ``said`` something.

        Raises
        ------
        ValueError
            With what to do, when there is none that can be used.
        """
        told = re.search(rf"^({_FOUND}|{_CLOSED}|{_NONE})(?: (.*))?$", said, re.MULTILINE)
        if told is None:
            # a command of sshd's in place of ours; whether it is there will be seen
            path = self._places[0]
            if "$" in path:
                raise ValueError(
                    "no command runs there, so the address has to tell the socket: /PATH/people.sock"
                )
        elif told[1] == _NONE:
            # as people write them
            places = " or ".join(
                re.sub(r"\$\{.*?\$HOME/|\$HOME/", "~/", place).replace("}", "") for place in self._places
            )
            raise ValueError(
                f"no agent's socket is there ({places}): does the agent run, and is its home another "
                "(ssh://HOST/PATH/OF/ITS/HOME)?"
            )
        else:
            path = told[2] or ""
            if told[1] == _CLOSED:
                raise ValueError(
                    f"{path} is not open to you: ask whoever runs the agent (setting people_socket)"
                )
        if not _SOCKET.fullmatch(path) or len(path) > _MAX_SOCKET_PATH:
            raise ValueError(
                f"ssh cannot forward to {path[:200]!r}: ops can give the socket a plain, shorter path"
            )
        return path


def parse_ssh(text: str) -> SshAddress:
    """The address in ``text``.

    Raises
    ------
    BadValue
        When it is none, or has anything in it that could mean more to ssh than a place.
    """
    match = _ADDRESS.fullmatch(text.strip())
    port = int(match["port"]) if match and match["port"] else None
    if match is None or (port or 0) > 65535 or {"..", "."} & set(match["path"].split("/")):
        raise BadValue(
            f"{re.sub(r'//[^/@]*:[^/@]*@', '//...@', text.strip())[:200]!r} is not an address for ssh: write "
            "ssh://USER@HOST, ssh://HOST:PORT, or a name of your ssh configuration, and behind it the path of the "
            "agent's home when that is not a usual one",
            field="url",
        )
    return SshAddress(
        user=match["user"] or "", host=match["host"].strip("[]"), port=port, path=match["path"].rstrip("/")
    )
